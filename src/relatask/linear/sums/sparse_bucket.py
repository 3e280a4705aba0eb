"""Forms of tasks whose few rows are sparse: every product goes through the rows, and no (m, d) array is written."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.forms import Array, Bucket, SpectrumBucket, _clean
from relatask.linear.sums.sparse_rows import SparseRows


@dataclass(frozen=True, eq=False)
class SparseBucket(Bucket):
    """G_k = scale_k A_k' A_k with sparse rows; `gram` and `rows` are None.

    Attributes
    ----------
    held : the rows A_k.
    """

    held: SparseRows | None = None

    @property
    def sparse_rows(self) -> SparseRows:
        """The rows."""
        assert self.held is not None
        return self.held

    @property
    def base(self) -> Array:
        """Refused: there is no array to hold."""
        raise TypeError("sparse rows have no dense base; use `sparse_rows`.")

    @property
    def height(self) -> int:
        """Rows of a task."""
        return self.sparse_rows.shape[1]

    @property
    def shared(self) -> bool:
        """Whether all tasks of the bucket have the same rows."""
        return self.sparse_rows.shape[0] == 1

    def apply(self, W: Array) -> Array:
        """G_k w for (k, s, d) coefficients."""
        return self.sparse_rows.back(self.sparse_rows.times(W)) * self.scale[:, None, None]

    def diagonal(self) -> Array:
        """(k, d) diagonals of G_k."""
        return self.sparse_rows.squares() * self.scale[:, None]

    def dense(self) -> Array:
        """(k, d, d) forms written out."""
        return self.sparse_rows.dense() * self.scale[:, None, None]

    def combined(self, factor: Array) -> Array:
        """sum_k factor_k A_k' A_k, (d, d)."""
        factor = factor.sum(keepdims=True) if self.shared else factor
        return self.sparse_rows.joined(np.sqrt(factor)).dense()[0]

    def spectrum(self) -> SparseSpectrum:
        """Eigenvalues by the rows' products with each other; eigenvectors stay products with the rows."""
        values, vectors = np.linalg.eigh(self.sparse_rows.gram())
        values = _clean(values, self.sparse_rows.shape[2])
        inverse_root = np.zeros_like(values)
        np.divide(1.0, np.sqrt(values), out=inverse_root, where=values > 0)
        turn = vectors * inverse_root[:, None, :]
        return SparseSpectrum(self.tasks, turn, values * self.scale[:, None], False, self.sparse_rows)

    def divided(self, scale: Array) -> SparseBucket:
        """The forms of columns divided by (d,) `scale`."""
        return replace(self, held=self.sparse_rows.scaled(scale))

    def restricted(self, columns: NDArray[np.intp]) -> SparseBucket:
        """The forms of some of the columns."""
        return replace(self, held=self.sparse_rows.restricted(columns))

    def with_row(self, step: Array, extra: int) -> SparseBucket:
        """One more row a task, and `extra` columns that only it has."""
        return replace(self, held=self.sparse_rows.with_row(step, extra))

    def some(self, chosen: NDArray[np.bool_]) -> SparseBucket:
        """Some of the tasks."""
        held = self.sparse_rows if self.shared else self.sparse_rows.some(np.flatnonzero(chosen))
        return replace(self, tasks=self.tasks[chosen], scale=self.scale[chosen], held=held)


@dataclass(frozen=True, eq=False)
class SparseSpectrum(SpectrumBucket):
    """Eigenvectors A_k' T_k, with `vectors` the T (k or 1, m, r)."""

    held: SparseRows | None = None

    @property
    def sparse_rows(self) -> SparseRows:
        """The rows A_k."""
        assert self.held is not None
        return self.held

    def inside(self, B: Array) -> Array:
        """Coordinates (k, s, r) of (k, s, d) vectors."""
        return self.sparse_rows.times(B) @ self.vectors

    def outward(self, coordinates: Array) -> Array:
        """Vectors (k, s, d) of coordinates (k, s, r)."""
        return self.sparse_rows.back(coordinates @ self.vectors.swapaxes(1, 2))

    def combine(self, B: Array, inside: Array, outside: Array) -> Array:
        """Multiply each eigendirection by its factor (k, s, r), and what lies outside of them by (k, s, 1)."""
        return self.outward(self.inside(B) * (inside - outside)) + B * outside

    def weighted(self, factor: Array) -> Array:
        """sum over tasks and directions of factor (k, r) v v', (d, d), one task at a time."""
        k, _, d = self.sparse_rows.shape
        out = np.zeros((d, d))
        for place in range(k):
            own = factor.sum(0) if k == 1 else factor[place]
            vectors = self.sparse_rows.some(np.array([place])).back(self.vectors[place : place + 1].swapaxes(1, 2))[0]
            out += (vectors.T * own) @ vectors
        return out
