"""The columns that can still matter: their correlations, their distances from the dual balls, and who comes first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relatask.linear.problem import Problem
from relatask.linear.solvers import kernels
from relatask.linear.sums.forms import Array
from relatask.linear.sums.sparse_bucket import SparseBucket

SMALL = 64
"""Problems with no more features than this are one working set."""

ENOUGH = 400
"""Problems with no more columns than this are not worth copying without those ruled out."""


class Alive:
    """The problem on the columns that no sphere has ruled out."""

    def __init__(self, problem: Problem, strength: Array, columns: NDArray[np.intp]) -> None:
        self.problem, self.strength, self.columns = problem, strength, columns
        shared = any(b.shared and len(b.tasks) > 1 for b in problem.forms.buckets)
        self.each = len(strength) > 1 and not shared and len(columns) > SMALL
        self.dead = np.zeros((len(strength) if self.each else 1, len(columns)), dtype=bool)
        self._diagonal: Array | None = None

    @property
    def diagonal(self) -> Array:
        """(t, d) diagonal of H, or of what it is at most."""
        if self._diagonal is None:
            self._diagonal = np.empty(self.problem.shape)
            for bucket in self.problem.forms.buckets:
                if isinstance(bucket, SparseBucket):
                    self._diagonal[bucket.tasks] = bucket.diagonal()
                    continue
                if bucket.gram is not None:
                    squares = np.diagonal(bucket.gram, axis1=1, axis2=2)
                else:
                    squares = kernels.column_squares(bucket.base)
                self._diagonal[bucket.tasks] = squares * bucket.scale[:, None]
        return self._diagonal

    def correlation(self, W: Array, ridge: float, fits: Sequence[Array | None]) -> Array:
        """B - (H + ridge) W, from fits X_k w_k where they are known, else by the columns where W is not 0."""
        active = np.flatnonzero(W.any(0))
        if not len(active):
            return self.problem.cross.copy()
        part = np.ascontiguousarray(W[:, active])
        out = self.problem.cross - ridge * W
        for bucket, known in zip(self.problem.forms.buckets, fits, strict=True):
            if isinstance(bucket, SparseBucket):
                rows = bucket.sparse_rows
                fit = rows.times(W[bucket.tasks][:, None, :])[:, 0] if known is None else known
                out[bucket.tasks] -= bucket.scale[:, None] * rows.back(fit[:, None, :])[:, 0]
                continue
            V, base = part[bucket.tasks], bucket.base
            if bucket.gram is not None:
                picked = base[:, active]
                product = V @ picked[0] if bucket.shared else (V[:, None, :] @ picked)[:, 0]
            elif bucket.shared:
                product = (V @ base[0][:, active].T if known is None else known) @ base[0]
            else:
                fit = (base[:, :, active] @ V[:, :, None])[:, :, 0] if known is None else known
                product = (fit[:, None, :] @ base)[:, 0]
            out[bucket.tasks] -= bucket.scale[:, None] * product
        u = self.problem.coupling
        if u is not None:
            out += np.vdot(u[:, active], part) * u
        return out

    def distance(self, correlation: Array, factor: float, ridge: float) -> Array:
        """Distances of dual points from the boundaries of their balls, in units of the columns' norms.

        (1, d), or (t, d) where every task has a working set of its own.
        """
        if len(self.strength) == 1:
            size = np.sqrt(np.einsum("kd,kd->d", correlation, correlation))[None]
            return (self.strength - abs(factor) * size) / self._norms(self.diagonal.max(0, keepdims=True) + ridge)
        out = (self.strength - abs(factor) * np.abs(correlation)) / self._norms(self.diagonal + ridge)
        return out if self.each else out.min(0, keepdims=True)

    def active(self, W: Array) -> NDArray[np.bool_]:
        """Where W is not 0, of the shape of `distance`."""
        return np.asarray(W != 0 if self.each else W.any(0, keepdims=True))

    @staticmethod
    def _norms(squares: Array) -> Array:
        return np.sqrt(np.maximum(squares, np.finfo(float).tiny))

    def restricted(self, kept: NDArray[np.intp]) -> Alive:
        """The same on some of its columns."""
        new = Alive(self.problem.restricted(kept), self.strength[:, kept], self.columns[kept])
        new._diagonal, new.dead, new.each = self.diagonal[:, kept], self.dead[:, kept], self.each
        return new


def screen(
    W: Array, correlation: Array, state: Alive, distance: Array, reach: float
) -> tuple[Array, Array, Alive, Array]:
    """Drop what lies further inside its ball than `reach`, the radius about the optimum; copy where that pays."""
    state.dead |= (distance > reach) & ~state.active(W)
    distance = np.where(state.dead, np.inf, distance)
    kept = np.flatnonzero(~state.dead.all(0))
    if not 0 < len(kept) < 0.2 * W.shape[1] or W.shape[1] <= ENOUGH:
        return W, correlation, state, distance
    return W[:, kept], correlation[:, kept], state.restricted(kept), distance[:, kept]


def nearest(distance: Array, size: int) -> NDArray[np.intp]:
    """(1, s) or (t, s) columns nearest to their boundaries, in their order; those ruled out only to fill a row."""
    able = int((distance < np.inf).sum(1).max())
    size = max(1, able if able <= max(size, SMALL) else size)
    if size >= distance.shape[1]:
        return np.broadcast_to(np.arange(distance.shape[1]), distance.shape)
    return np.sort(np.argpartition(distance, size - 1, axis=1)[:, :size], axis=1)


def pick(A: Array, chosen: NDArray[np.intp]) -> Array:
    """A (k, d) at the chosen columns, contiguous."""
    return np.ascontiguousarray(A[:, chosen[0]] if len(chosen) == 1 else np.take_along_axis(A, chosen, axis=1))
