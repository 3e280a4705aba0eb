"""The tasks' quadratic forms G_k = X_k' X_k, held as small as they can be, and their spectra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


ROUNDING = 16 * float(np.finfo(np.float64).eps)
"""Eigenvalues below this share of the largest one, times their number, are rounding."""

SLAB = 1 << 17
"""Numbers of the blocks that are multiplied at a time: what a processor's cache holds."""


@dataclass(frozen=True, eq=False)
class Bucket:
    """Forms of one shape: G_k = scale_k * base_k, where base is a Gram, or the Gram of few rows.

    Attributes
    ----------
    tasks : (k,) positions of these tasks.
    scale : (k,) factors >= 0.
    gram : (k, d, d), or (1, d, d) where the tasks share it; None where `rows` is given.
    rows : (k, m, d), or (1, m, d) where shared, m < d; the base is rows' rows.
    """

    tasks: NDArray[np.intp]
    scale: Array
    gram: Array | None = None
    rows: Array | None = None

    @property
    def base(self) -> Array:
        """The array that is held."""
        if self.gram is not None:
            return self.gram
        assert self.rows is not None
        return self.rows

    @property
    def height(self) -> int:
        """Rows of a base."""
        return self.base.shape[1]

    @property
    def shared(self) -> bool:
        """Whether all tasks of the bucket have one base."""
        return len(self.base) == 1

    def apply(self, W: Array) -> Array:
        """G_k w for (k, s, d) coefficients."""
        if self.gram is not None:
            product = W @ self.gram
        else:
            assert self.rows is not None
            product = sandwich(W, self.rows)
        return product * self.scale[:, None, None]

    def diagonal(self) -> Array:
        """(k, d) diagonals of G_k."""
        if self.gram is not None:
            base = np.diagonal(self.gram, axis1=1, axis2=2)
        else:
            assert self.rows is not None
            base = np.einsum("kmd,kmd->kd", self.rows, self.rows)
        return base * self.scale[:, None]

    def combined(self, factor: Array) -> Array:
        """sum_k factor_k base_k, (d, d)."""
        if self.gram is not None:
            return self.gram[0] * factor.sum() if self.shared else np.asarray(np.tensordot(factor, self.gram, 1))
        root = np.sqrt(factor.sum(keepdims=True)) if self.shared else np.sqrt(factor)
        flat = (self.base * root[:, None, None]).reshape(-1, self.base.shape[2])
        return flat.T @ flat

    def dense(self) -> Array:
        """(k, d, d) forms written out."""
        base = self.gram
        if base is None:
            assert self.rows is not None
            base = self.rows.swapaxes(1, 2) @ self.rows
        return base * self.scale[:, None, None]

    def spectrum(self) -> SpectrumBucket:
        """Eigenvectors as rows and eigenvalues; those below rounding are set to 0."""
        if self.gram is not None:
            values, vectors = np.linalg.eigh(self.gram)
            vectors = np.ascontiguousarray(vectors.swapaxes(1, 2))
            values = _clean(values, self.gram.shape[-1])
            return SpectrumBucket(self.tasks, vectors, values * self.scale[:, None], full=True)
        assert self.rows is not None
        values, vectors = np.linalg.eigh(self.rows @ self.rows.swapaxes(1, 2))
        values = _clean(values, self.rows.shape[-1])
        inverse_root = np.zeros_like(values)
        np.divide(1.0, np.sqrt(values), out=inverse_root, where=values > 0)
        vectors = (vectors * inverse_root[:, None, :]).swapaxes(1, 2) @ self.rows
        return SpectrumBucket(self.tasks, vectors, values * self.scale[:, None], full=False)


@dataclass(frozen=True, eq=False)
class Forms:
    """All tasks' forms: block-diagonal H with blocks G_k, never written as one matrix."""

    buckets: tuple[Bucket, ...]
    n_tasks: int
    n_features: int

    def apply(self, W: Array) -> Array:
        """(t, s, d) -> (t, s, d): G_k times each of the s coefficient vectors of task k."""
        if self._one:
            return self.buckets[0].apply(W)
        out = np.empty_like(W)
        for bucket in self.buckets:
            out[bucket.tasks] = bucket.apply(W[bucket.tasks])
        return out

    def diagonal(self) -> Array:
        """(t, d) diagonals."""
        out = np.empty((self.n_tasks, self.n_features))
        for bucket in self.buckets:
            out[bucket.tasks] = bucket.diagonal()
        return out

    def dense(self) -> Array:
        """(t, d, d): only for solvers that need every entry."""
        out = np.empty((self.n_tasks, self.n_features, self.n_features))
        for bucket in self.buckets:
            out[bucket.tasks] = bucket.dense()
        return out

    def combined(self, weights: Array) -> Array:
        """sum_k weights_k G_k, (d, d)."""
        out = np.zeros((self.n_features, self.n_features))
        for bucket in self.buckets:
            out += bucket.combined(weights[bucket.tasks] * bucket.scale)
        return out

    def scaled(self, factor: Array) -> Forms:
        """The forms times (t,) factors."""
        return replace(self, buckets=tuple(replace(b, scale=b.scale * factor[b.tasks]) for b in self.buckets))

    @property
    def shared(self) -> Bucket | None:
        """The one bucket whose base all tasks share, if it is so."""
        return self.buckets[0] if self._one and self.buckets[0].shared else None

    @property
    def rank_bound(self) -> int:
        """No form has a larger rank than this."""
        return max(bucket.height for bucket in self.buckets)

    @cached_property
    def spectrum(self) -> Spectrum:
        """Eigen-decompositions, computed once."""
        return Spectrum(tuple(b.spectrum() for b in self.buckets), self.n_tasks, self.n_features)

    @cached_property
    def _one(self) -> bool:
        """Whether one bucket holds all tasks in their order."""
        return len(self.buckets) == 1 and _in_order(self.buckets[0].tasks)


@dataclass(frozen=True, eq=False)
class SpectrumBucket:
    """Eigenvectors (k or 1, r, d) as rows, eigenvalues (k, r); `full` where the rows span the whole space."""

    tasks: NDArray[np.intp]
    vectors: Array
    values: Array
    full: bool

    def inside(self, B: Array) -> Array:
        """Coordinates (k, s, r) of (k, s, d) vectors."""
        return B @ self.vectors.swapaxes(1, 2)

    def outward(self, coordinates: Array) -> Array:
        """Vectors (k, s, d) of coordinates (k, s, r)."""
        return coordinates @ self.vectors

    def weighted(self, factor: Array) -> Array:
        """sum over tasks and directions of factor (k, r) v v', (d, d)."""
        factor = factor.sum(0) if len(self.vectors) == 1 else factor
        flat = self.vectors.reshape(-1, self.vectors.shape[2])
        return (flat.T * factor.reshape(-1)) @ flat

    def combine(self, B: Array, inside: Array, outside: Array) -> Array:
        """Multiply each eigendirection by its factor (k, s, r), and what lies outside of them by (k, s, 1)."""
        if self.full:
            return sandwich(B, self.vectors, inside)
        return sandwich(B, self.vectors, inside - outside) + B * outside

    def factors(self, shift: Array) -> tuple[Array, Array]:
        """What `combine` takes to solve with G_k + shift I, shifts (k, s)."""
        p = shift[:, :, None]
        return reciprocal(self.values[:, None, :] + p), reciprocal(p)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """G_k = V_k' diag(e_k) V_k for every task: shifted systems of any shift at the cost of two products."""

    buckets: tuple[SpectrumBucket, ...]
    n_tasks: int
    n_features: int

    def shifted(self, shift: Array) -> Callable[[Array], Array]:
        """Give the function B -> (G_k + shift I)^-1 b, its divisions done once.

        `shift` is (t, s), >= 0; where it is 0 the pseudo-inverse is meant. B is (t, s, d), or (t, 1, d) for all s.
        """
        prepared = []
        for bucket in self.buckets:
            prepared.append((bucket, *bucket.factors(shift[bucket.tasks])))
        if len(prepared) == 1 and _in_order(prepared[0][0].tasks):
            return lambda B: prepared[0][0].combine(B, *prepared[0][1:])

        def solve(B: Array) -> Array:
            out = np.empty((self.n_tasks, max(B.shape[1], shift.shape[1]), self.n_features))
            for bucket, inside, outside in prepared:
                out[bucket.tasks] = bucket.combine(B[bucket.tasks], inside, outside)
            return out

        return solve

    def solve(self, shift: Array, B: Array) -> Array:
        """(G_k + shift I)^-1 b, as `shifted` has it."""
        return self.shifted(shift)(B)

    def inside(self, B: Array) -> Array:
        """The part of (t, s, d) vectors that lies in the range of each G_k."""
        out = np.empty_like(B)
        for bucket in self.buckets:
            kept = bucket.inside(B[bucket.tasks]) * (bucket.values > 0)[:, None, :]
            out[bucket.tasks] = bucket.outward(kept)
        return out

    def gain(self, ridge: float, pull: float) -> Array:
        """sum_k (G_k + ridge I)(G_k + (ridge + pull) I)^-1, (d, d): what the tasks say about their mean."""
        d = self.n_features
        out = np.zeros((d, d))
        for bucket in self.buckets:
            total = bucket.values + ridge
            outside = 0.0 if bucket.full or ridge == 0 else ridge / (ridge + pull)
            # Where nothing is seen and nothing pulls, there is nothing to say.
            factor = np.divide(total, total + pull, out=np.zeros_like(total), where=total > 0) - outside
            out += bucket.weighted(factor)
            out[np.diag_indices(d)] += outside * len(bucket.tasks)
        return out

    @property
    def largest(self) -> float:
        """The largest eigenvalue of any form."""
        return float(max(bucket.values.max(initial=0.0) for bucket in self.buckets))

    @property
    def range_is_everything(self) -> bool:
        """Whether every form is positive definite."""
        return all(bucket.full and bool((bucket.values > 0).all()) for bucket in self.buckets)


def _in_order(tasks: NDArray[np.intp]) -> bool:
    return bool((tasks == np.arange(len(tasks))).all())


def sandwich(B: Array, rows: Array, factor: Array | None = None) -> Array:
    """((B rows') * factor) rows for B (k, s, d), rows (k or 1, m, d), factor (k, s, m): a few tasks at a time.

    Between its two products a task's block stays in the processor's cache, so that memory is read once.
    """
    size = max(1, SLAB // max(1, rows[0].size))
    if len(rows) == 1 or size >= len(rows):
        inside = B @ rows.swapaxes(1, 2)
        return (inside if factor is None else inside * factor) @ rows
    out = np.empty((len(rows), B.shape[1] if factor is None else max(B.shape[1], factor.shape[1]), B.shape[2]))
    for a in range(0, len(rows), size):
        some = slice(a, a + size)
        inside = B[some] @ rows[some].swapaxes(1, 2)
        np.matmul(inside if factor is None else inside * factor[some], rows[some], out=out[some])
    return out


def reciprocal(values: Array) -> Array:
    """1 / values, 0 where they are 0."""
    if values.size and values.min() > 0:
        return 1.0 / values
    return np.divide(1.0, values, out=np.zeros(values.shape), where=values > 0)


def _clean(values: Array, d: int) -> Array:
    """Eigenvalues that are rounding become 0, so that pseudo-inverses do not divide by noise."""
    cut = values.max(axis=-1, keepdims=True, initial=0.0) * d * ROUNDING
    return np.where(values > cut, values, 0.0)
