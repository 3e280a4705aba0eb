"""Working sets: row sparsity and sparse entries, solved on few features at a time, to a certified gap.

Block coordinate descent on a growing working set, whose priorities are the distances of the features' correlations
from their dual balls; extrapolated iterates; features that the gap-safe sphere rules out are dropped for ever.

Sources: Johnson & Guestrin 2015 (Blitz); Massias, Gramfort & Salmon 2018 (celer); Ndiaye, Fercoq, Gramfort & Salmon
2017 (gap-safe spheres); Bertrand & Massias 2021 (Anderson's extrapolation of coordinate descent).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from relatask.linear.problem import Problem, Solution
from relatask.linear.solvers.alive import Alive, nearest, pick, screen
from relatask.linear.solvers.extrapolation import combined
from relatask.linear.solvers.inner import Inner, OverGram, inner, localise
from relatask.linear.sums.forms import Array
from relatask.relations import Relation, Ridge, SharedSparsity, Sparse, parts

FIRST = 100
"""Features of the first working set, where more are not known to matter."""

STILL = 1e-28
"""A gain of this share of the objective is rounding."""

MEMORY = 6
"""Iterates that an extrapolation combines."""


@dataclass(frozen=True, eq=False)
class SparsePenalty:
    """ridge/2 ||W||_F^2 + sum_j s_j ||W[:, j]||_2 ("rows") or + sum_kj s_kj |W_kj| ("entries").

    Attributes
    ----------
    kind : which of both; "rows" are features, the rows of the transpose of W.
    strength : number, (d,), or (t, d) for entries; positive and finite.
    ridge : number >= 0.
    """

    kind: Literal["rows", "entries"]
    strength: float | Array
    ridge: float = 0.0

    def strengths(self, shape: tuple[int, int]) -> Array:
        """(1, d) strengths of rows, (t, d) of entries."""
        t, d = shape
        return np.ascontiguousarray(np.broadcast_to(self.strength, (1 if self.kind == "rows" else t, d)), np.float64)


@dataclass(frozen=True, eq=False)
class Gap:
    """Objective and lower bound at one W, and the factor that brings its residuals into the dual balls."""

    primal: float
    bound: float
    factor: float


def applies(problem: Problem, penalty: SparsePenalty) -> bool:
    """Whether `working_sets` takes this problem: strengths positive and finite, a ridge >= 0."""
    strength = np.asarray(penalty.strength)
    fit = (strength > 0).all() and np.isfinite(strength).all() and penalty.ridge >= 0
    return bool(fit) and min(problem.shape) > 0


def sparse_penalty(relation: Relation) -> SparsePenalty | None:
    """The relation as a penalty of this solver: one kind of sparsity, and ridges; None where it is another."""
    given = parts(relation)
    kinds = {type(part) for part in given if not isinstance(part, Ridge) and getattr(part, "strength", None) != 0}
    if kinds not in ({SharedSparsity}, {Sparse}):
        return None
    strength, ridge = 0.0, 0.0
    for part in given:
        if isinstance(part, Ridge):
            ridge += float(part.strength)
        else:
            strength += float(part.strength)  # type: ignore[attr-defined]
    return SparsePenalty("rows" if kinds == {SharedSparsity} else "entries", strength, ridge)


def gap_at(problem: Problem, penalty: SparsePenalty, W: Array, correlation: Array) -> Gap:
    """Objective at W and lower bound from its residuals, given B - (H + ridge) W on the columns of `problem`."""
    return _gap(problem.cross, problem.constant, penalty.strengths(problem.shape), W, correlation)


def working_sets(
    problem: Problem, penalty: SparsePenalty, *, tol: float = 1e-6, max_iter: int = 10_000, start: Array | None = None
) -> Solution:
    """Minimise F(W) + R(W) for a sparse penalty R.

    Parameters
    ----------
    problem : Problem
        On Grams or rows, shared or own, with a coupling or without.
    penalty : SparsePenalty
        For which `applies` holds.
    tol : float
        Relative duality gap to reach.
    max_iter : int
        Most passes over working sets.
    start : (t, d) or None
        Where to begin; a solution nearby saves most of the work.

    Returns
    -------
    Solution
        `residual` is the certified relative duality gap, `n_iter` the passes over working sets.

    Examples
    --------
    >>> import numpy as np
    >>> from relatask.linear.sums.forms import Bucket, Forms
    >>> X, Y = np.eye(3), np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 1.0]])
    >>> forms = Forms((Bucket(np.arange(2), np.ones(2), rows=X[None]),), 2, 3)
    >>> problem = Problem(forms, Y.T @ X, 0.5 * float((Y**2).sum()))
    >>> working_sets(problem, SparsePenalty("rows", 1.0)).W.round(6).tolist()
    [[2.4, 0.0, 0.0], [3.2, 0.0, 0.0]]
    """
    strength, ridge = penalty.strengths(problem.shape), penalty.ridge
    W = np.zeros(problem.shape) if start is None else np.array(start, dtype=np.float64)
    state = Alive(problem, strength, np.arange(problem.shape[1]))
    work, still, passes, best = None, False, 0, -np.inf
    none: list[Array | None] = [None] * len(problem.forms.buckets)
    fits = none
    while True:
        correlation = state.correlation(W, ridge, fits)
        gap = _gap(state.problem.cross, problem.constant, state.strength, W, correlation)
        done = _relative(gap.primal, max(best, gap.bound)) <= tol or passes >= max_iter
        if done and any(fit is not None for fit in fits):  # the certificate's fit is free of what rounding gathered in
            fits = none
            continue
        best = max(best, gap.bound)
        if done:
            break
        active = state.active(W)
        violated = (state.distance(correlation, 1.0, ridge) < 0) & ~active
        n_active = int(active.sum(1).max())
        target = 0.5 * tol * gap.primal
        covered = work is not None and work.covers(violated)
        if work is not None and covered and not work.loose(n_active):
            if still:  # rounding allows no better
                break
            work.refresh(correlation)
        else:
            if not covered:  # the set is not the last: a coarse answer will do
                target = max(0.3 * (gap.primal - best), target)
            distance = state.distance(correlation, gap.factor, ridge)
            reach = np.sqrt(2 * max(gap.primal - gap.bound, 0.0))
            W, correlation, state, distance = screen(W, correlation, state, distance, reach)
            distance[state.active(W)] = -np.inf
            more = max(n_active // 8, 2 * int(violated.sum(1).max()))
            chosen = nearest(distance, n_active + max(FIRST, min(n_active, more)))
            if work is not None and still and np.array_equal(chosen, work.chosen):
                break
            work = _Work(state, chosen, W, correlation, ridge)
        spent, still = work.solve(target, max_iter - passes)
        passes, fits = passes + spent, work.way.fits()
        if len(work.chosen) == 1:
            W[:, work.chosen[0]] = work.way.arrays[0]
        else:
            np.put_along_axis(W, work.chosen, work.way.arrays[0], axis=1)
    full = np.zeros(problem.shape)
    full[:, state.columns] = W
    return Solution(full, gap.primal, _relative(gap.primal, best), passes, "working_sets", certified=True)


class _Work:
    """A subproblem, and the way that it is being solved."""

    def __init__(self, state: Alive, chosen: NDArray[np.intp], W: Array, correlation: Array, ridge: float) -> None:
        self.chosen, self.n_alive = chosen, len(state.columns)
        self.local = localise(state.problem, chosen, state.strength, ridge)
        self.way = inner(self.local, pick(W, chosen), pick(correlation, chosen))
        self.history: list[list[Array]] = [_copy(self.way)]

    def covers(self, violated: NDArray[np.bool_]) -> bool:
        """Whether no feature outside is violated."""
        return int(violated.sum()) == int(np.take_along_axis(violated, self.chosen, axis=1).sum())

    def loose(self, n_active: int) -> bool:
        """Whether many features are 0 that cost as much as others."""
        return not isinstance(self.way, OverGram) and self.chosen.shape[1] > 1.25 * n_active + FIRST

    def refresh(self, correlation: Array) -> None:
        """Begin again from correlations that no rounding has gathered in."""
        self.way.refresh(pick(correlation, self.chosen))
        self.history = [_copy(self.way)]

    def gap(self) -> Gap:
        """Objective and bound of the subproblem, which is the whole one where what is outside stays 0."""
        cross, constant = self.local.problem.cross, self.local.problem.constant
        return _gap(cross, constant, self.local.strength, self.way.arrays[0], self.way.correlation())

    def solve(self, target: float, most: int) -> tuple[int, bool]:
        """Sweep until the subproblem's gap is below target; return the passes, and whether they end in rounding."""
        best, way = -np.inf, self.way
        for passes in range(1, most + 1):
            gain = way.epoch(1e-2 * target)
            self.history.append(_copy(way))
            if gain > 1e-2 * target and len(self.history) < MEMORY:
                continue
            gap = self.gap()
            best = max(best, gap.bound)
            still = gain <= STILL * gap.primal
            if still or gap.primal - best <= target:
                return passes, still
            if len(self.history) == MEMORY:
                self._extrapolate(gap)
                self.history = [_copy(way)]
        return most, False

    def _extrapolate(self, gap: Gap) -> None:
        """Go to the combination of the last iterates where it lowers the objective."""
        better = combined(self.history)
        if better is None:
            return
        kept, self.way.arrays = self.way.arrays, better
        if not self.gap().primal < gap.primal:
            self.way.arrays = kept


def _copy(way: Inner) -> list[Array]:
    return [array.copy() for array in way.arrays]


def _gap(cross: Array, constant: float, strength: Array, W: Array, correlation: Array) -> Gap:
    """1/2 <W, (H + ridge) W> - <B, W> + constant + penalty, from R = B - (H + ridge) W: <W, R> and <W, B> suffice."""
    with_cross, with_residual = float(np.vdot(W, cross)), float(np.vdot(W, correlation))
    if len(strength) == 1:
        penalty = float(strength[0] @ np.sqrt(np.einsum("kd,kd->d", W, W)))
        excess = np.sqrt(np.einsum("kd,kd->d", correlation, correlation)) / strength[0]
    else:
        penalty = float(np.vdot(strength, np.abs(W)))
        excess = np.abs(correlation) / strength
    primal = constant - 0.5 * (with_cross + with_residual) + penalty
    largest = float(excess.max(initial=0.0))
    shrink = 1.0 if largest <= 1.0 else 1.0 / largest
    along = 2 * constant - with_cross
    square = along - with_residual
    factor = float(np.clip(along / square, -shrink, shrink)) if square > 0 else 0.0
    return Gap(primal, factor * along - 0.5 * factor**2 * square, factor)


def _relative(primal: float, bound: float) -> float:
    size = max(abs(primal), abs(bound))
    return max(primal - bound, 0.0) / size if size > 0 else 0.0
