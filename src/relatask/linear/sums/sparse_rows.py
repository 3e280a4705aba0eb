"""Few rows a task that are sparse: centred without a single zero being filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows A_k = Z_k + L_k R_k of k tasks: Z sparse, the rest of low rank (centring, intercepts).

    Attributes
    ----------
    matrix : CSR (k m, k d), the Z_k along its diagonal; tasks of fewer than m rows have empty ones.
    left : (k, m, q).
    right : (k, q, d).

    Examples
    --------
    >>> Z = sparse.csr_array(np.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> rows = SparseRows.stacked([Z], [-np.ones((2, 1))], [np.array([[0.5, 1.0]])])
    >>> rows.times(np.eye(2)[None])[0].T  # the rows themselves
    array([[-0.5,  1. ],
           [ 0.5, -1. ]])
    """

    matrix: Any
    left: Array
    right: Array

    @classmethod
    def stacked(cls, blocks: Sequence[Any], left: Sequence[Array], right: Sequence[Array], size: int = 0) -> SparseRows:
        """From each task's Z (m_k, d), L (m_k, q) and R (q, d), padded to `size` rows."""
        size = size or max(block.shape[0] for block in blocks)
        d, count = blocks[0].shape[1], len(blocks)
        kind = np.int32 if count * max(d, size) < 2**31 - 1 else np.int64
        indices = np.concatenate([b.indices.astype(kind) + kind(k * d) for k, b in enumerate(blocks)])
        entries = np.zeros((count, size), dtype=kind)
        padded = np.zeros((count, size, left[0].shape[1]))
        for k, block in enumerate(blocks):
            entries[k, : block.shape[0]] = np.diff(block.indptr)
            padded[k, : block.shape[0]] = left[k]
        start = np.concatenate([np.zeros(1, dtype=kind), np.cumsum(entries.ravel(), dtype=kind)])
        data = np.concatenate([b.data for b in blocks])
        matrix = sparse.csr_array((data, indices, start), shape=(count * size, count * d))
        return cls(matrix, padded, np.stack(right))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(k, m, d), as the dense array would have it."""
        return (*self.left.shape[:2], self.right.shape[2])

    def times(self, W: Array) -> Array:
        """A_k w, (j, s, m), for W (j, s, d); one task's rows serve all j."""
        k, m, d = self.shape
        j, s, _ = W.shape
        flat = W.reshape(j * s, d).T if k == 1 else W.swapaxes(1, 2).reshape(k * d, s)
        product = self.matrix @ flat
        out = product.T.reshape(j, s, m) if k == 1 else product.reshape(k, m, s).swapaxes(1, 2)
        return np.asarray(out + (W @ self.right.swapaxes(1, 2)) @ self.left.swapaxes(1, 2))

    def back(self, P: Array) -> Array:
        """A_k' p, (j, s, d), for P (j, s, m)."""
        k, m, d = self.shape
        j, s, _ = P.shape
        flat = P.reshape(j * s, m).T if k == 1 else P.swapaxes(1, 2).reshape(k * m, s)
        product = self.matrix.T @ flat
        out = product.T.reshape(j, s, d) if k == 1 else product.reshape(k, d, s).swapaxes(1, 2)
        return np.asarray(out + (P @ self.left) @ self.right)

    def squares(self) -> Array:
        """(k, d) squared norms of the columns."""
        k, _, d = self.shape
        own = np.asarray(self.matrix.multiply(self.matrix).sum(axis=0)).reshape(k, d)
        cross = self.left_products()
        inner = self.left.swapaxes(1, 2) @ self.left
        low = np.einsum("kqd,kqd->kd", self.right, 2 * cross + inner @ self.right)
        return np.maximum(own + low, 0.0)

    def gram(self) -> Array:
        """(k, m, m) products of the rows with each other, A_k A_k'."""
        k, m, _ = self.shape
        products = (self.matrix @ self.matrix.T).tocoo()
        row, column = products.coords
        out = np.zeros((k, m, m))
        out[row // m, row % m, column % m] = products.data
        side = np.stack([self.matrix @ self._block_column(q) for q in range(self.right.shape[1])], axis=-1)
        mixed = side.reshape(k, m, -1) @ self.left.swapaxes(1, 2)
        low = self.left @ (self.right @ self.right.swapaxes(1, 2)) @ self.left.swapaxes(1, 2)
        return np.asarray(out + mixed + mixed.swapaxes(1, 2) + low)

    def dense(self) -> Array:
        """(k, d, d) A_k' A_k: only for solvers that need every entry."""
        k, _, d = self.shape
        cross = self.left_products()
        inner = self.left.swapaxes(1, 2) @ self.left
        out = np.empty((k, d, d))
        for place in range(k):
            block = self.block(place)
            mixed = cross[place].T @ self.right[place]
            own = (block.T @ block).toarray()
            out[place] = own + mixed + mixed.T + self.right[place].T @ inner[place] @ self.right[place]
        return out

    def columns(self, index: NDArray[np.intp]) -> Array:
        """(k, m, c) some columns of the rows, or (k, c) of each task's, written out: for few columns at a time."""
        own = self.restricted(index)
        picked = np.stack([own.block(place).toarray() for place in range(own.shape[0])])
        return np.asarray(picked + own.left @ own.right)

    def block(self, place: int) -> Any:
        """Z (m, d) of one task."""
        _, m, d = self.shape
        first, last = self.matrix.indptr[place * m], self.matrix.indptr[(place + 1) * m]
        start = self.matrix.indptr[place * m : (place + 1) * m + 1] - first
        indices = self.matrix.indices[first:last] - place * d
        return sparse.csr_array((self.matrix.data[first:last], indices, start), shape=(m, d))

    def scaled(self, scale: Array) -> SparseRows:
        """The rows with their columns divided by (d,) `scale`."""
        d = self.shape[2]
        data = self.matrix.data / scale[self.matrix.indices % d]
        matrix = sparse.csr_array((data, self.matrix.indices, self.matrix.indptr), shape=self.matrix.shape)
        return replace(self, matrix=matrix, right=self.right / scale)

    def restricted(self, columns: NDArray[np.intp]) -> SparseRows:
        """Some of the columns, or (k, c) of each task's, ascending."""
        k, _, d = self.shape
        every = (np.arange(k)[:, None] * d + columns).ravel()
        picked = np.broadcast_to(np.atleast_2d(columns)[:, None, :], (k, self.right.shape[1], columns.shape[-1]))
        return replace(self, matrix=self.matrix[:, every], right=np.take_along_axis(self.right, picked, axis=2))

    def some(self, places: NDArray[np.intp]) -> SparseRows:
        """Some of the tasks."""
        blocks = [self.block(place) for place in places.tolist()]
        return SparseRows.stacked(blocks, list(self.left[places]), list(self.right[places]), self.shape[1])

    def weighted(self, factor: Array) -> SparseRows:
        """The rows times (j, m) factors; one task's rows that serve j become those of each."""
        k, m, _ = self.shape
        if k < len(factor):
            count = len(factor)
            own = SparseRows.stacked([self.block(0)] * count, [self.left[0]] * count, [self.right[0]] * count, m)
            return own.weighted(factor)
        data = self.matrix.data * np.repeat(factor.ravel(), np.diff(self.matrix.indptr))
        matrix = sparse.csr_array((data, self.matrix.indices, self.matrix.indptr), shape=self.matrix.shape)
        return replace(self, matrix=matrix, left=self.left * factor[:, :, None])

    def with_row(self, step: Array, extra: int) -> SparseRows:
        """One more row a task, (k or more, d + extra), the other rows having zeros in the extra columns."""
        k, m, d = self.shape
        left = np.zeros((k, m + 1, self.left.shape[2] + 1))
        left[:, :m, :-1] = self.left
        left[:, m, -1] = 1.0
        right = np.concatenate([np.pad(self.right, [(0, 0), (0, 0), (0, extra)]), step[:k, None, :]], axis=1)
        blocks = [self._padded(self.block(place), m + 1, d + extra) for place in range(k)]
        if len(step) == k:
            return SparseRows.stacked(blocks, list(left), list(right), m + 1)
        # One task's rows served all; now each has a row of its own.
        count = len(step)
        rights = np.repeat(right, count, axis=0)
        rights[:, -1] = step
        return SparseRows.stacked(blocks * count, [left[0]] * count, list(rights), m + 1)

    def joined(self, factor: Array, padded: bool = False) -> SparseRows:
        """All tasks' rows as those of one, the rows of task k times factor_k; with their padding, or without."""
        k, m, d = self.shape
        q = self.right.shape[1]
        used = (np.diff(self.matrix.indptr) > 0) | self.left.any(2).ravel() | padded
        times = np.repeat(factor, m)
        indices = self.matrix.indices % d
        data = self.matrix.data * np.repeat(times, np.diff(self.matrix.indptr))
        matrix = sparse.csr_array((data, indices, self.matrix.indptr), shape=(k * m, d))[used]
        left = np.zeros((k, m, k, q))
        left[np.arange(k), :, np.arange(k)] = self.left * factor[:, None, None]
        return SparseRows(matrix, left.reshape(k * m, k * q)[used][None], self.right.reshape(1, k * q, d))

    def left_products(self) -> Array:
        """(k, q, d) L_k' Z_k."""
        k, _, d = self.shape
        count = self.left.shape[2]
        products = [self.matrix.T @ np.ascontiguousarray(self.left[:, :, q]).ravel() for q in range(count)]
        return np.stack(products).reshape(count, k, d).swapaxes(0, 1)

    def _block_column(self, q: int) -> Array:
        """Row q of every R_k, one after another."""
        return np.ascontiguousarray(self.right[:, q]).ravel()

    @staticmethod
    def _padded(block: Any, m: int, d: int) -> Any:
        start = np.concatenate([block.indptr, np.full(m - block.shape[0], block.indptr[-1])])
        return sparse.csr_array((block.data, block.indices, start), shape=(m, d))


def sparse_row_products(X: Any, W: Array, codes: NDArray[np.intp]) -> Array:
    """(n,) products of each CSR row of X (n, d) with its own row of W (t, d)."""
    row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    return np.bincount(row, X.data * W[codes[row], X.indices], minlength=X.shape[0]).astype(np.float64)


def sparse_fingerprints(X: Any, rng: np.random.Generator) -> NDArray[np.uint64]:
    """(n,) the numbers that columns of dense X would be mixed into, one after another, from 0.

    A zero leaves x ^ (x >> 29) to be taken only, which four times over is x again: gaps count modulo four.
    """
    n, d = X.shape
    factor = rng.integers(2**64, size=d, dtype=np.uint64) | np.uint64(1)
    # -0.0 becomes 0.0.
    terms = (X.data + 0.0).astype(np.float64).view(np.uint64) * factor[X.indices]
    out, last = np.zeros(n, dtype=np.uint64), np.full(n, -1)
    entries = np.diff(X.indptr)
    for place in range(int(entries.max(initial=0))):
        rows = np.flatnonzero(entries > place)
        at = X.indptr[rows] + place
        column = X.indices[at]
        out[rows] = _mixed(_mixed_times(out[rows], column - last[rows] - 1) + terms[at])
        last[rows] = column
    return _mixed_times(out, d - 1 - last)


def _mixed_times(values: NDArray[np.uint64], times: NDArray[np.integer]) -> NDArray[np.uint64]:
    for step in range(3):
        values = np.where(times % 4 > step, _mixed(values), values)
    return values


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return values ^ (values >> np.uint64(29))
