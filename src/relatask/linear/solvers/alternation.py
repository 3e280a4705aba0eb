"""Relations that learn something from W: a convex problem, what is learned from its solution, and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from relatask.linear.forms import Array
from relatask.linear.problem import Problem, Solution
from relatask.linear.solvers.smooth import descend
from relatask.relations import Alternating, Relation, Ridge, Sum, is_quadratic, parts, split, surrogate

INNER = 0.25
"""The convex problems are solved to this share of the tolerance."""

STAGES = 1_000
"""Stages from one start at most."""

QUADRATIC_STAGES = 10
"""Stages where the convex problems are quadratic: then what is learned is eliminated, and W descends."""

Solve = Callable[..., tuple[Solution, Any]]
"""How a convex problem is solved: (problem, relation, tol=, max_iter=, start=) -> solution, start of the next."""


@dataclass(frozen=True, eq=False)
class Stage:
    """A pair (W, relation): W solves the problem under what was learned before, the relation has learned from W.

    Attributes
    ----------
    W : (t, d).
    relation : what was learned from W.
    objective : F(W) + R(W), R that relation.
    residual : how far W is from solving the convex problem under what the relation now holds: a relative duality gap,
        or where that is quadratic a relative gradient norm.
    inner : the residual that this stage's convex problem was solved to.
    components : as in `Solution`.
    """

    W: Array
    relation: Relation
    objective: float
    residual: float
    inner: float
    components: tuple[tuple[Array, ...], ...]


def alternate(
    problem: Problem, relation: Relation, solve: Solve, *, tol: float, max_iter: int, start: Any = None
) -> tuple[Solution, Any]:
    """Find a pair of W and of what is learned from it, each the best given the other.

    Where the convex problems are quadratic, alternation only begins: what is learned is a function of W, and the least
    objective over it has the gradient of the convex problem, along which limited-memory BFGS gets on faster (and from
    0, too).

    Begun with what the relation holds; where every task has rows enough, also with what it learns from the solution
    without the parts that learn; with `start`, also with what it learns from that. The lowest end is returned. A start
    whose convex problem is not solved within `max_iter` is given up there.

    Parameters
    ----------
    problem : Problem
        The data.
    relation : Relation
        An Alternating one, or a sum with some among its parts.
    solve : function
        For the convex problems.
    tol : float
        Residual to reach.
    max_iter : int
        Iterations of one convex problem; stages, too, but at most 1,000 from one start.
    start : Start, optional
        Where an earlier solve ended.

    Returns
    -------
    solution : Solution, its `relation` what was learned
    start : for a solve nearby
    """
    others = [part for part in parts(relation) if not isinstance(part, Alternating)]
    bare = Sum(tuple(others)) if others else Ridge(0.0)
    begin = [relation]
    if problem.forms.spectrum.range_is_everything:
        begin.append(relation.given(solve(problem, bare, tol=tol, max_iter=max_iter)[0].W))
    if start is not None:
        begin.append(relation.given(start.W))
    quadratic = _gradient(problem, surrogate(relation), np.zeros(problem.shape)) is not None
    ends: list[tuple[Stage, Any]] = []
    n_iter = 0
    for first in begin:
        last: tuple[Stage, Any] | None = None
        for count, last in enumerate(stages(problem, first, solve, tol=tol, max_iter=max_iter), start=1):
            n_iter += 1
            done = last[0].residual <= tol or last[0].inner > tol
            if done or (quadratic and count == QUADRATIC_STAGES):
                break
        assert last is not None
        ends.append(last)
    if quadratic:
        found, more = _descended(problem, ends, relation, tol=tol, max_iter=max_iter)
        ends.append((found, ends[-1][1]))
        n_iter += more
    best = ends[0]
    for end in ends[1:]:
        if _better(end[0], best[0], tol):
            best = end
    stage, state = best
    solution = Solution(
        stage.W,
        stage.objective,
        stage.residual,
        n_iter,
        "alternation",
        certified=False,
        components=stage.components,
        relation=stage.relation,
    )
    return solution, state


def stages(
    problem: Problem, relation: Relation, solve: Solve, *, tol: float, max_iter: int
) -> Iterator[tuple[Stage, Any]]:
    """Give stage after stage, each with the solver's state; the objective rises by no more than the tolerance."""
    inner = {"tol": INNER * tol, "max_iter": max_iter}
    solution, state = solve(problem, surrogate(relation), **inner)
    for _ in range(min(max_iter, STAGES)):
        learned = relation.given(solution.W)
        held, W = surrogate(learned), solution.W
        following: tuple[Solution, Any] | None = None
        if _same(relation, learned):
            residual = solution.residual
        elif (gradient := _gradient(problem, held, W)) is not None:
            residual = gradient
        else:
            following = solve(problem, held, **inner, start=state)
            here, found = problem.value(W) + float(held.value(W)), following[0]
            bound = found.objective - found.residual * abs(found.objective)
            residual = max(here - bound, 0.0) / (max(abs(here), abs(bound)) or 1.0)
        value = problem.value(W) + float(learned.value(W))
        yield Stage(W, learned, value, residual, solution.residual, solution.components), state
        solution, state = following if following is not None else solve(problem, held, **inner, start=state)
        relation = learned


def _descended(
    problem: Problem, ends: list[tuple[Stage, Any]], relation: Relation, *, tol: float, max_iter: int
) -> tuple[Stage, int]:
    """Descend from 0 and the lowest end of the stages, what is learned eliminated; all that is convex is quadratic."""
    learned = relation

    def evaluate(W: Array) -> tuple[float, Array]:
        nonlocal learned
        learned = learned.given(W)  # begun where the last W ended
        return problem.value(W) + float(learned.value(W)), _slope(problem, surrogate(learned), W)

    lowest = min((stage for stage, _ in ends), key=lambda stage: stage.objective)
    best, _, n_iter = descend(evaluate, [np.zeros(problem.shape), lowest.W], tol=tol, max_iter=max_iter)
    final = relation.given(best.W)
    residual = _gradient(problem, surrogate(final), best.W)
    assert residual is not None
    value = problem.value(best.W) + float(final.value(best.W))
    return Stage(best.W, final, value, residual, 0.0, ()), n_iter


def _slope(problem: Problem, relation: Relation, W: Array) -> Array:
    """The gradient of F + R at W, R quadratic."""
    precision, _ = split(relation, problem.shape[0])
    gradient = problem.gradient(W)
    return gradient if precision is None else gradient + precision.apply(W)


def _gradient(problem: Problem, relation: Relation, W: Array) -> float | None:
    """||gradient|| / ||gradient at 0|| at W, for quadratic relations."""
    if not is_quadratic(relation):
        return None
    return float(np.linalg.norm(_slope(problem, relation, W))) / (float(np.linalg.norm(problem.cross)) or 1.0)


def _same(a: Relation, b: Relation) -> bool:
    """Whether two relations hold the same: then nothing was learned."""
    return a is b or all(
        p is q or all(np.array_equal(getattr(p, f.name), getattr(q, f.name)) for f in fields(p))
        for p, q in zip(parts(a), parts(b), strict=True)
    )


def _better(a: Stage, b: Stage, tol: float) -> bool:
    """A lower end; one that stopped short only if the other did too."""
    if (a.residual <= tol) != (b.residual <= tol):
        return a.residual <= tol
    return a.objective < b.objective - 1e-9 * abs(b.objective)
