"""Relations that are not convex, under any loss: those that learn from W stage after stage, smooth ones by descent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from relatask.linear.newton.driver import newton
from relatask.linear.newton.local import DataTerm, Point
from relatask.linear.problem import Solution
from relatask.linear.solvers.auto import Start
from relatask.linear.solvers.smooth import descend
from relatask.linear.sums.forms import Array
from relatask.relations import Alternating, Quadratic, Relation, Ridge, Smooth, Sum, parts, split, surrogate

STAGES = 200
INNER = 0.25
"""The convex problems are solved to this share of the tolerance."""
FIRST, FIRST_STEPS, DESCENTS = 1e-2, 20, 10_000
"""How far a start without what is not convex is followed, and iterations of a descent."""


def learns(relation: Relation) -> bool:
    """Whether a part learns something from W."""
    return any(isinstance(part, Alternating) for part in parts(relation))


def alternated(
    data: DataTerm,
    relation: Relation,
    *,
    solver: str,
    tol: float,
    max_iter: int,
    start: tuple[Array, Array, Start | None] | None = None,
) -> tuple[Solution, Point, Start | None]:
    """Find W and what is learned from it, each the best given the other, begun with what the relation holds.

    The residual is the share of the convex objective, under what was learned from W, by which W is off its minimum.

    Returns
    -------
    solution : Solution, its `relation` what was learned; never certified, for the minimum may be a local one
    point : Point
    inner : Start of the last step's solver
    """
    inner_tol = INNER * tol
    found, point, inner = newton(
        data, surrogate(relation), solver=solver, tol=inner_tol, max_iter=max_iter, start=start
    )
    n_iter, residual = found.n_iter, np.inf
    for _ in range(STAGES):
        relation = relation.given(found.W)
        held = surrogate(relation)
        here = point.value + float(held.value(point.W))
        following = newton(data, held, solver=solver, tol=inner_tol, max_iter=max_iter, start=(point.W, point.b, None))
        least = following[0]
        n_iter += least.n_iter
        size = max(abs(here), abs(least.objective))
        residual = max(here - least.objective, 0.0) / size + least.residual if size > 0 else 0.0
        if residual <= tol or least.residual > tol:
            break
        found, point, inner = following
    value = point.value + float(relation.value(point.W))
    solution = replace(
        found, objective=value, residual=residual, n_iter=n_iter, solver="newton-alternation", certified=False
    )
    return replace(solution, relation=relation), point, inner


def smoothed(
    data: DataTerm,
    relation: Relation,
    *,
    solver: str,
    tol: float,
    max_iter: int,
    start: tuple[Array, Array, Start | None] | None = None,
) -> tuple[Solution, Point, Start | None]:
    """Find a stationary point of F(W, b) + R(W), b eliminated, R a sum of smooth and quadratic relations.

    Begun at 0, near the solution without what is not convex, where the relations say, and at `start`; the lowest end is
    returned. The residual is ||gradient|| / ||gradient at 0||.
    """
    nonconvex = [part for part in parts(relation) if isinstance(part, Smooth)]
    quadratic = tuple(part for part in parts(relation) if isinstance(part, Quadratic))
    convex: Relation = Sum(quadratic) if quadratic else Ridge(0.0)
    precision, _ = split(convex, data.shape[0])
    zero = data.zero()

    def point_at(W: Array) -> Point:
        return data.balanced(data.at(W, zero.b))

    def evaluate(W: Array) -> tuple[float, Array]:
        point = point_at(W)
        value, gradient = point.value, data.slopes(point).W
        if precision is not None:
            pull = precision.apply(W)
            value, gradient = value + 0.5 * float(np.vdot(W, pull)), gradient + pull
        for part in nonconvex:
            value, gradient = value + float(part.value(W)), gradient + part.gradient(W)
        return value, gradient

    bare = newton(data, convex, solver=solver, tol=FIRST, max_iter=min(FIRST_STEPS, max_iter))[0].W
    begin = [zero.W, bare, *(place for part in nonconvex for place in part.starts(bare))]
    if start is not None:
        begin.append(start[0])
    best, residual, n_iter = descend(evaluate, begin, tol=tol, max_iter=DESCENTS)
    solution = Solution(best.W, best.value, residual, n_iter, "lbfgs", certified=False)
    return solution, point_at(best.W), None
