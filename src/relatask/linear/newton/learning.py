"""Relations that learn something from W under any loss: Newton's method on the convex surrogate, stage after stage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from relatask.linear.forms import Array
from relatask.linear.newton.driver import newton
from relatask.linear.newton.local import DataTerm, Point
from relatask.linear.problem import Solution
from relatask.linear.solvers.auto import Start
from relatask.relations import Alternating, Relation, parts, surrogate

STAGES = 200
INNER = 0.25
"""The convex problems are solved to this share of the tolerance."""


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
