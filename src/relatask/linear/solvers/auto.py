"""Which solver takes which problem, and what all of them are asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from relatask.linear.features import priced, prices_features, restored
from relatask.linear.problem import Problem, Solution
from relatask.linear.solvers.admm import State, admm, first_step
from relatask.linear.solvers.alternation import alternate
from relatask.linear.solvers.certificate import Objective
from relatask.linear.solvers.direct import direct
from relatask.linear.solvers.family import family
from relatask.linear.solvers.fista import fista
from relatask.linear.solvers.network import network
from relatask.linear.solvers.smooth import smooth
from relatask.linear.solvers.start import Start
from relatask.linear.solvers.working_sets import SparsePenalty, applies, sparse_penalty, working_sets
from relatask.notices import InputError
from relatask.relations import Alternating, Relation, Smooth, TaskRelationNetwork, parts, split

SOLVERS = ("auto", "direct", "admm", "fista", "working_sets")

MANY = 200
"""From this many features on, or where rows are held, row sparsity and sparse entries are solved on working sets."""


def objective(problem: Problem, relation: Relation) -> Objective:
    """The data and the relation's terms, those that are zero everywhere left out."""
    precision, terms = split(relation, problem.shape[0])
    return Objective(problem, precision, tuple(term for term in terms if not term.vanishes))


def solve(
    problem: Problem,
    relation: Relation,
    *,
    solver: str = "auto",
    tol: float = 1e-6,
    max_iter: int = 10_000,
    start: Start | None = None,
) -> tuple[Solution, Start]:
    """Minimise F(W) + R(W).

    ``"auto"`` is direct for quadratic relations and the method of multipliers where a norm is among the parts; of
    `SharedSparsity` or `Sparse` alone, or with `Ridge`, on many features it is working sets, and where these do not
    reach the tolerance in `max_iter` passes the method of multipliers from there.
    Relations that are not convex have a solver each, which ends at a stationary point: `alternation`, `smooth`,
    `network`. What prices features is seen as data.

    Returns
    -------
    solution : Solution
    start : Start, for a solve nearby
    """
    if prices_features(relation):
        problem, rest = priced(problem, relation)
        found, end = solve(problem, rest, solver=solver, tol=tol, max_iter=max_iter, start=start)
        learned = None if found.relation is None else restored(relation, found.relation)
        return replace(found, relation=learned), end
    nonconvex = [part for part in parts(relation) if isinstance(part, Alternating | Smooth)]
    if nonconvex:
        if solver != "auto":
            names = ", ".join(type(part).__name__ for part in nonconvex)
            raise InputError(f"solver={solver!r} is for convex relations, given {names}; use 'auto'.")
        return _stationary(problem, relation, tol=tol, max_iter=max_iter, start=start)
    target = objective(problem, relation)
    if not target.terms:
        if solver not in ("auto", "direct"):
            raise InputError(f"solver={solver!r} is for relations with a norm; this one is quadratic: use 'direct'.")
        first = None if start is None else start.W[:, None, :]
        one = family([relation], problem.shape[0])
        W, residual, n_iter = direct(problem, one, tol=tol, max_iter=max_iter, start=first)
        value = target.value(W[:, 0])
        return Solution(W[:, 0], value, float(residual[0]), n_iter, "direct", certified=False), Start(W[:, 0])
    if solver == "direct":
        names = ", ".join(type(n).__name__ for n in target.terms)
        raise InputError(f"solver='direct' takes quadratic relations only, given {names}; use 'admm' or 'auto'.")
    sparsity = sparse_penalty(relation)
    if solver == "working_sets" and (sparsity is None or not applies(problem, sparsity)):
        names = ", ".join(type(part).__name__ for part in parts(relation))
        raise InputError(
            f"solver='working_sets' takes SharedSparsity or Sparse, alone or with Ridge, given {names}; use 'admm' or "
            "'auto'."
        )
    if sparsity is not None and (solver == "working_sets" or (solver == "auto" and _is_for_sets(problem, sparsity))):
        first = None if start is None else start.W
        solution = working_sets(problem, sparsity, tol=tol, max_iter=max_iter, start=first)
        if solver == "working_sets" or solution.residual <= tol:
            return solution, Start(solution.W)
        return _finished(target, solution, tol=tol, max_iter=max_iter)
    if solver == "fista":
        solution = fista(target, tol=tol, max_iter=max_iter, start=None if start is None else start.W)
        return solution, Start(solution.W)
    solution, state = admm(target, tol=tol, max_iter=max_iter, start=None if start is None else start.admm)
    return solution, Start(solution.W, state)


def _is_for_sets(problem: Problem, sparsity: SparsePenalty) -> bool:
    """Whether there are many features: eigenvectors of every task cost more than few features' sweeps."""
    held = any(bucket.gram is None for bucket in problem.forms.buckets)
    return (held or problem.shape[1] >= MANY) and applies(problem, sparsity)


def _finished(target: Objective, found: Solution, *, tol: float, max_iter: int) -> tuple[Solution, Start]:
    """Go on with the method of multipliers from where working sets ended; the nearer of both solutions."""
    copies, duals = [[found.W]], [[target.problem.cross - target.smooth_product(found.W)]]
    if target.precision is not None:
        copies, duals = [*copies, [found.W]], [*duals, [target.precision.apply(found.W)]]
    solution, state = admm(target, tol=tol, max_iter=max_iter, start=State(copies, duals, first_step(target)))
    if solution.residual < found.residual:
        return solution, Start(solution.W, state)
    return found, Start(found.W)


def _stationary(
    problem: Problem, relation: Relation, *, tol: float, max_iter: int, start: Start | None
) -> tuple[Solution, Start]:
    """Solve under a relation that is not convex, by its kind."""
    if any(isinstance(part, Alternating) for part in parts(relation)):
        return alternate(problem, relation, solve, tol=tol, max_iter=max_iter, start=start)
    W, alone = (None, False) if start is None else (start.W, start.alone)
    if not isinstance(relation, TaskRelationNetwork):
        solution = smooth(problem, relation, tol=tol, max_iter=max_iter, start=W, alone=alone)
        return solution, Start(solution.W)
    solution = network(problem, relation, tol=tol, max_iter=max_iter, start=W, alone=alone)
    assert isinstance(solution.relation, TaskRelationNetwork)
    return solution, Start(np.asarray(solution.relation.W))


__all__ = ["SOLVERS", "Start", "objective", "solve"]
