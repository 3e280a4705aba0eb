"""Relations that learn something from W: a convex problem, what is learned from its solution, and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from relatask.linear.problem import Problem, Solution
from relatask.linear.solvers.eliminated import FLOOR, eliminated, gap_of
from relatask.linear.solvers.start import Start
from relatask.linear.sums.forms import Array
from relatask.relations import (
    Alternating,
    LearnedGraph,
    Proximal,
    Relation,
    Ridge,
    Sum,
    is_quadratic,
    parts,
    split,
    surrogate,
)
from relatask.relations.capped import WeightedSparse

INNER = 0.25
"""The convex problems are solved to this share of the tolerance."""

STAGES = 1_000
"""Stages from one start at most."""

FIRST = 1_000
"""Steps of accelerated gradients that are tried first: where features cost nothing, the duals that the method of
multipliers would balance its step by may all be zero."""
LONG = 10_000
"""Iterations of the method of multipliers under a norm that leaves some features free."""


Solve = Callable[..., tuple[Solution, Start]]
"""How a convex problem is solved: (problem, relation, tol=, max_iter=, start=) -> solution, start of the next."""


@dataclass(frozen=True, eq=False)
class Stage:
    """A pair (W, relation): W solves the problem under what was learned before, the relation has learned from W.

    Attributes
    ----------
    W : (t, d).
    relation : what was learned from W.
    objective : F(W) + R(W), R that relation.
    residual : how far W is from solving the convex problem under what the relation now holds: a duality gap, as a
        share of F + R.
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
    problem: Problem, relation: Relation, solve: Solve, *, tol: float, max_iter: int, start: Start | None = None
) -> tuple[Solution, Start]:
    """Find a pair of W and of what is learned from it, each the best given the other.

    Where the convex problems are quadratic, what is learned is a function of W, and W descends (`eliminated`).

    Begun with what the relation holds; where every task has rows enough, also with what it learns from the solution
    without the parts that learn; with `start`, also with what it learns from that, and from that alone where `start`
    is of a path. The lowest end is returned. A start whose convex problem is not solved within `max_iter` is given up
    there.

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
    begin: list[tuple[Array | None, Relation]] = []
    if start is not None:
        begin.append((start.W, _carried(relation, start.relation).given(start.W)))
    if start is None or not start.alone:
        begin.append((None, relation))
        if problem.forms.spectrum.range_is_everything:
            others = [part for part in parts(relation) if not isinstance(part, Alternating)]
            bare = Sum(tuple(others)) if others else Ridge(0.0)
            W = solve(problem, bare, tol=tol, max_iter=max_iter)[0].W
            begin.append((W, relation.given(W)))
    if is_quadratic(surrogate(relation)):
        places = []
        for known, near in begin:
            W = solve(problem, surrogate(relation), tol=tol, max_iter=max_iter)[0].W if known is None else known
            places.append((W, near))
        place = eliminated(problem, relation, places, tol=tol, max_iter=max_iter)
        solution = Solution(
            place.W, place.value, place.gap, place.n_iter, "alternation", certified=False, relation=place.relation
        )
        return solution, Start(place.W, None, place.relation)
    ends: list[tuple[Stage, Start]] = []
    n_iter = 0
    for _, near in begin:
        last: tuple[Stage, Start] | None = None
        for last in stages(problem, near, solve, tol=tol, max_iter=max_iter):
            n_iter += 1
            if last[0].residual <= tol or last[0].inner > tol:
                break
        assert last is not None
        ends.append(last)
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
    return solution, replace(state, relation=stage.relation)


def stages(
    problem: Problem, relation: Relation, solve: Solve, *, tol: float, max_iter: int
) -> Iterator[tuple[Stage, Start]]:
    """Give stage after stage, each with the solver's state; the objective rises by no more than the tolerance."""

    def convex(more: float, held: Relation, start: Start | None) -> tuple[Solution, Start]:
        return _solved(solve, _raised(problem, more), held, start, tol=INNER * tol, max_iter=max_iter)

    least = FLOOR * problem.constant
    solution, state = convex(least, surrogate(relation), None)
    for _ in range(min(max_iter, STAGES)):
        learned = relation.given(solution.W)
        held, W = surrogate(learned), solution.W
        value, here = problem.value(W) + float(learned.value(W)), problem.value(W) + float(held.value(W))
        # The convex problem's objective is F + R up to a constant, which may be all of it.
        more = max(value - here, least)
        following: tuple[Solution, Start] | None = None
        if _same(relation, learned):
            residual = solution.residual
        elif is_quadratic(held):
            residual = gap_of(problem, learned, value, W)[0]
        else:
            following = convex(more, held, state)
            residual = max(here + more - _lower(following[0]), 0.0) / (here + more or 1.0)
        yield Stage(W, learned, value, residual, solution.residual, solution.components), state
        solution, state = following or convex(more, held, state)
        relation = learned


def _solved(
    solve: Solve, problem: Problem, relation: Relation, start: Start | None, *, tol: float, max_iter: int
) -> tuple[Solution, Start]:
    """Solve a convex problem: under one norm by accelerated gradients, where these get there soon."""
    _, terms = split(relation, problem.shape[0])
    if len(terms) != 1 or not isinstance(terms[0], Proximal) or terms[0].vanishes:
        return solve(problem, relation, tol=tol, max_iter=max_iter, start=start)
    free = isinstance(terms[0], WeightedSparse) and terms[0].free is not None
    best: tuple[Solution, Start] | None = None
    # Features without a price: their duals are zero at the optimum, which multipliers are slow to find where rows are
    # few, and gradients where columns are of many sizes. Each is tried for a while, then gradients to the end.
    tries = [("fista", FIRST), ("auto", LONG if free else max_iter)] + ([("fista", max_iter)] if free else [])
    for solver, steps in tries:
        found = solve(problem, relation, solver=solver, tol=tol, max_iter=min(steps, max_iter), start=start)
        best = found if best is None or found[0].residual < best[0].residual else best
        if best[0].residual <= tol:
            break
    assert best is not None
    return best


def _carried(relation: Relation, learned: Relation | None) -> Relation:
    """The relation with the graph that another of its kind has learned, to begin with."""
    if learned is None:
        return relation
    pairs = zip(parts(relation), parts(learned), strict=True)
    both = [
        replace(a, precision=b.precision) if isinstance(a, LearnedGraph) and isinstance(b, LearnedGraph) else a
        for a, b in pairs
    ]
    return Sum(tuple(both)) if isinstance(relation, Sum) else both[0]


def _raised(problem: Problem, constant: float) -> Problem:
    """The problem with a constant added, to which its gaps are then relative."""
    return replace(problem, constant=problem.constant + constant)


def _lower(solution: Solution) -> float:
    """What the optimum is at least, from a solution's relative gap."""
    return solution.objective - solution.residual * abs(solution.objective)


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
