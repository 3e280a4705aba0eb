"""Learned relations whose convex problems are quadratic: what is learned is eliminated, and W descends.

The least objective over what is learned, phi(W), has in W the gradient of the convex problem (the envelope theorem). A
step of the alternation is that gradient under the inverse of the convex problem's Hessian; limited-memory BFGS begins
with that inverse, and learns how far the alternation would have gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from relatask.linear.problem import Problem
from relatask.linear.solvers.direct import AIM, direct
from relatask.linear.solvers.family import family
from relatask.linear.sums.forms import Array
from relatask.relations import LearnedGraph, Relation, Sum, split, surrogate

MEMORY = 10
ROUGH = 1e-3
"""Starts are compared where their gap is this."""
LOOSE, TIGHT = 1e-1, 1e-4
"""Relative residual of the linear system of a step, and of one that tells the gap."""
SHARE = 0.02
"""Share of the gap by which what is learned may be off the best: both get better together."""
ARMIJO, SHORTER, HALVINGS = 1e-4, 0.4, 20
FLOOR = 1e-4
"""A gap is relative to the objective, and to no less than this share of it at W = 0: an exact fit has nothing left."""
PATIENCE = 60
"""Steps in which the gap must become smaller."""


@dataclass(frozen=True, eq=False)
class Place:
    """A point of the descent.

    Attributes
    ----------
    W : (t, d).
    relation : what was learned from W.
    value : F(W) + R(W), R that relation.
    slope : gradient of the convex problem under that relation, (t, d).
    gap : what its solution would gain, as a share of the objective.
    n_iter : steps so far.
    """

    W: Array
    relation: Relation
    value: float
    slope: Array
    gap: float
    n_iter: int = 0


def eliminated(
    problem: Problem, relation: Relation, starts: Sequence[tuple[Array, Relation]], *, tol: float, max_iter: int
) -> Place:
    """Descend from the lowest of several points until the convex problem, under what was learned, has nothing to gain.

    Parameters
    ----------
    problem : Problem
        The data.
    relation : Relation
        One that learns, or a sum with one; what is convex in W under it is quadratic.
    starts : sequence of (W, relation)
        Where to begin, and what was learned nearby. All go to a gap of 1e-3, and the lowest of them on.
    tol : float
        Gap to reach, as a share of the objective.
    max_iter : int
        Steps at most.
    """
    rough = max(ROUGH, tol)
    places = [_descended(problem, W, near, tol=rough, max_iter=max_iter) for W, near in starts]
    best = min(places, key=lambda place: place.value)
    n_iter = sum(place.n_iter for place in places)
    end = _descended(problem, best.W, best.relation, tol=tol, max_iter=max_iter)
    return replace(end, n_iter=n_iter + end.n_iter)


def gap_of(
    problem: Problem, relation: Relation, value: float, W: Array, accuracy: float = TIGHT
) -> tuple[float, Array]:
    """What the convex problem's solution would gain at W, as a share of the objective; and minus the way there."""
    slope = _slope(problem, relation, W)
    way = _solved(problem, relation, slope, accuracy)
    here = problem.value(W) + float(surrogate(relation).value(W))
    size = max(abs(value), here, FLOOR * problem.constant)
    return max(0.5 * float(np.vdot(slope, way)), 0.0) / size if size > 0 else 0.0, way


def _descended(problem: Problem, W: Array, near: Relation, *, tol: float, max_iter: int) -> Place:
    """Preconditioned limited-memory BFGS; what is learned gets as accurate as the gap is small."""
    place, way = _at(problem, W, near, ROUGH * abs(problem.constant))
    pairs: list[tuple[Array, Array, float]] = []
    best, stale = place, 0
    while True:
        if place.gap <= tol:
            exact, way = _at(problem, place.W, place.relation, 0.0, TIGHT)
            place = replace(exact, n_iter=place.n_iter)
            if place.gap <= tol:
                return place
        stale = 0 if place.gap < best.gap else stale + 1
        best = place if place.gap < best.gap else best
        if place.n_iter >= max_iter or stale > PATIENCE:
            exact, _ = _at(problem, best.W, best.relation, 0.0, TIGHT)
            return replace(exact, n_iter=place.n_iter)
        D = _direction(problem, place, way, pairs)
        promised = float(np.vdot(place.slope, D))
        if promised >= 0:
            D, pairs = -way, []
            promised = float(np.vdot(place.slope, D))
        slack = SHARE * max(place.gap, 0.1 * tol) * max(abs(place.value), FLOOR * problem.constant)
        length = 1.0
        for _ in range(HALVINGS):
            after, way = _at(problem, place.W + length * D, place.relation, slack)
            if after.value <= place.value + ARMIJO * length * promised + 2 * slack:
                break
            length *= SHORTER
        step, change = after.W - place.W, after.slope - place.slope
        bend = float(np.vdot(step, change))
        if bend > 1e-10 * float(np.linalg.norm(step)) * float(np.linalg.norm(change)):
            pairs = [*pairs[1 - MEMORY :], (step, change, 1 / bend)]
        place = replace(after, n_iter=place.n_iter + 1)


def _at(problem: Problem, W: Array, near: Relation, slack: float, accuracy: float = LOOSE) -> tuple[Place, Array]:
    """A place, with what is learned from W to a slack in the objective; and minus the way to the convex solution."""
    learned = _learned(near, W, slack)
    value = problem.value(W) + float(learned.value(W))
    gap, way = gap_of(problem, learned, value, W, accuracy)
    return Place(W, learned, value, _slope(problem, learned, W), gap), way


def _direction(problem: Problem, place: Place, way: Array, pairs: list[tuple[Array, Array, float]]) -> Array:
    """The two loops of limited-memory BFGS, the convex problem's Hessian between them."""
    if not pairs:
        return -way
    q, weights = place.slope, []
    for step, change, inverse in reversed(pairs):
        weights.append(inverse * float(np.vdot(step, q)))
        q = q - weights[-1] * change
    D = _solved(problem, place.relation, q, LOOSE)
    for (step, change, inverse), weight in zip(pairs, reversed(weights), strict=True):
        D = D + step * (weight - inverse * float(np.vdot(change, D)))
    return -D


def _solved(problem: Problem, relation: Relation, right: Array, accuracy: float) -> Array:
    """The convex problem's Hessian, inverted."""
    one = family([surrogate(relation)], problem.shape[0])
    found = direct(replace(problem, cross=right), one, tol=accuracy / AIM, max_iter=1_000)[0]
    return np.asarray(found[:, 0])


def _slope(problem: Problem, relation: Relation, W: Array) -> Array:
    precision, _ = split(surrogate(relation), problem.shape[0])
    gradient = problem.gradient(W)
    return gradient if precision is None else gradient + precision.apply(W)


def _learned(relation: Relation, W: Array, slack: float) -> Relation:
    """What is learned from W, the objective at most `slack` above the best."""
    if isinstance(relation, Sum):
        return Sum(tuple(_learned(part, W, slack) for part in relation.parts))
    return relation.given(W, slack) if isinstance(relation, LearnedGraph) else relation.given(W)
