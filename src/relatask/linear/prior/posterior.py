"""What a fitted hierarchical prior says of each task and of new ones: coefficients, covariances, variances."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from relatask.linear.prior.marginal import Part, Rows
from relatask.linear.sums.forms import Array
from relatask.linear.sums.informed import unpacked

NEW = -1
"""The code of a task that fit has not seen."""

CHUNK = 4_000_000
"""Numbers held at once for variances of predictions."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Variances of predictions; all of its fields are arrays (or tuples of them), so that a model can keep them.

    A row x has coordinates z: x / scale less `origin` (t + 1, d), the last one for new tasks, and 1 where `last`; of
    these, those of `columns`. With a = z `effects` and b = z `fixed`, in task k:
    ``var = |a|^2 - |half_k a|^2 + |inverse_root (b - mean_k' half_k a)|^2 + noise_k``. These are the mixed model's
    prediction error variances: m is not taken for known, S and the noise are. Intervals made of them cover on average
    over tasks, not for each, and a little less than they say where S is learned from few tasks of few rows.

    Attributes
    ----------
    scale, origin, columns, last : as above.
    effects : (q, r) root of the effects' covariance.
    fixed : (q, f) basis of the mean.
    inverse_root : (f, f) root of the covariance of the mean.
    blocks : (tasks (k,), half (k or 1, p, r), mean (k or 1, p, f)) of tasks with rows of one shape.
    noise : (t + 1,) variance of a label of weight 1 about its line, that of the line's level included where each task
        has an intercept of its own; the last one for new tasks.
    information : (t, q (q + 1) / 2)
        Of very many tasks, instead of `blocks`: lower triangles of N_k, where half_k = N_k^1/2 `effects` and
        mean_k = N_k^1/2 `fixed`; else empty.
    """

    scale: Array
    origin: Array
    columns: NDArray[np.intp]
    last: bool
    effects: Array
    fixed: Array
    inverse_root: Array
    blocks: tuple[tuple[NDArray[np.intp], Array, Array], ...]
    noise: Array
    information: Array = field(default_factory=lambda: np.zeros((0, 0)))

    def coordinates(self, X: NDArray, codes: NDArray[np.intp]) -> Array:
        """(n, q) coordinates z of rows X (n, d) in their tasks."""
        z = X / self.scale - (self.origin[-1] if (self.origin == self.origin[-1]).all() else self.origin[codes])
        if self.last:
            z = np.hstack([z, np.ones((len(z), 1))])
        return np.asarray(z[:, self.columns], dtype=np.float64)

    def variance(self, X: NDArray, codes: NDArray[np.intp], *, noise: bool = True) -> Array:
        """(n,) variances of labels (or of their expectation, where not `noise`); codes of new tasks are NEW."""
        z = self.coordinates(X, codes)
        a, b = z @ self.effects, z @ self.fixed
        out = np.square(a).sum(1)
        for tasks, half, mean in self.blocks:
            place = np.full(len(self.origin), -1)
            place[tasks] = np.arange(len(tasks)) if len(half) > 1 else 0
            slot = np.where(codes == NEW, -1, place[codes])
            known = np.flatnonzero(slot >= 0)
            step = max(1, CHUNK // max(half[0].size + mean[0].size, 1))
            for first in range(0, len(known), step):
                rows = known[first : first + step]
                u = (half[slot[rows]] @ a[rows][:, :, None])[:, :, 0]
                # A difference of squares: what rounding leaves below 0 is 0.
                out[rows] = np.maximum(out[rows] - np.square(u).sum(1), 0.0)
                b[rows] -= (u[:, None, :] @ mean[slot[rows]])[:, 0]
        known = np.flatnonzero(codes != NEW) if len(self.information) else np.zeros(0, dtype=np.intp)
        step = max(1, CHUNK // max(self.effects.shape[0] ** 2, 1))
        for first in range(0, len(known), step):
            rows = known[first : first + step]
            w = a[rows] @ self.effects.T
            seen = (unpacked(self.information[codes[rows]], w.shape[1]) @ w[:, :, None])[:, :, 0]
            out[rows] = np.maximum(out[rows] - (w * seen).sum(1), 0.0)
            b[rows] -= seen @ self.fixed
        out += np.square(b @ self.inverse_root.T).sum(1)
        return out + self.noise[codes] if noise else out

    def covariance(self, task: int) -> Array:
        """(w, w) covariance of one task's coefficients, in original units; `NEW` for those of a new task.

        Its own noise aside; with tied or common intercepts the last row is the intercept's.
        """
        root, mean_root = self.effects, self.fixed
        size = root.shape[1]
        known = self._known(task)
        if known is not None:
            inner, shared = known
            values, vectors = np.linalg.eigh(np.eye(size) - inner)
            mean_root = mean_root - root @ shared
            root = root @ (vectors * np.sqrt(np.maximum(values, 0.0)))
        mean_root = mean_root @ self.inverse_root.T
        return self.in_units(root @ root.T + mean_root @ mean_root.T)

    def _known(self, task: int) -> tuple[Array, Array] | None:
        """half_k' half_k and half_k' mean_k of one task; None of a new one."""
        if task == NEW:
            return None
        if len(self.information):
            seen = self.effects.T @ unpacked(self.information[task : task + 1], len(self.effects))[0]
            return seen @ self.effects, seen @ self.fixed
        for tasks, half, mean in self.blocks:
            slot = np.flatnonzero(tasks == task)
            if len(slot):
                h, m = (v[slot[0] if len(v) > 1 else 0] for v in (half, mean))
                return h.T @ h, h.T @ m
        return None

    def in_units(self, covariance: Array) -> Array:
        """From coordinates of the seen columns to (w, w) in original units: coefficients, then an intercept."""
        width = len(self.scale) + self.last
        to_units = np.diag(np.concatenate([1 / self.scale, np.ones(int(self.last))]))
        if self.last:
            to_units[-1, :-1] = -self.origin[-1]
        to_units = to_units[:, self.columns]
        assert to_units.shape[0] == width
        return np.asarray(to_units @ covariance @ to_units.T, dtype=np.float64)


def kept(
    rows: tuple[Rows, ...], parts: tuple[Part, ...], root: Array, spread: float
) -> tuple[tuple[NDArray[np.intp], Array, Array], ...]:
    """The blocks of an `Uncertainty` whose effects are those of (r, r) `root` times `spread`."""
    return tuple(
        (r.tasks, p.random @ root, p.fixed / (spread if spread > 0 else np.inf))
        for r, p in zip(rows, parts, strict=True)
    )
