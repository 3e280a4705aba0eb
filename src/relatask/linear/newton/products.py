"""Products with the rows of a block of tasks, dense (k or 1, m, d) or sparse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.forms import Array
from relatask.linear.sums.sparse_rows import SparseRows
from relatask.linear.sums.sparse_statistics import CROWDED

X = Array | SparseRows

AT_ONCE = 1 << 20
"""Numbers held at once while Grams are formed."""


def forward(x: X, W: Array) -> Array:
    """(k, m, s) products of the rows with W (k, s, d)."""
    return x.times(W).swapaxes(1, 2) if isinstance(x, SparseRows) else x @ W.swapaxes(1, 2)


def back(x: X, V: Array) -> Array:
    """(k, s, d) sums of the rows, weighted by V (k, s, m)."""
    return x.back(V) if isinstance(x, SparseRows) else V @ x


def some(x: X, keep: NDArray[np.bool_]) -> X:
    """The rows of some of the tasks."""
    if x.shape[0] == 1:
        return x
    return x.some(np.flatnonzero(keep)) if isinstance(x, SparseRows) else x[keep]


def grams(x: X, a: Array) -> Array:
    """(k, d, d) sum_i a_i x_i x_i' for a (k, m)."""
    _, m, d = x.shape
    out = np.zeros((len(a), d, d))
    if isinstance(x, SparseRows):
        for i, weights in enumerate(a):
            _sparse_gram(x, 0 if x.shape[0] == 1 else i, weights, out[i])
        return out
    step, length = max(AT_ONCE // max(m * d, 1), 1), max(AT_ONCE // d, 1)
    for start in range(0, len(a), step):
        part = slice(start, start + step)
        for first in range(0, m, length):
            rows = slice(first, first + length)
            own = x[:, rows] if len(x) == 1 else x[part, rows]
            out[part] += (own * a[part, rows, None]).swapaxes(1, 2) @ own
    return out


def _sparse_gram(x: SparseRows, place: int, a: Array, out: Array) -> None:
    """One task's, added to `out`; crowded rows are written out a few at a time."""
    _, m, d = x.shape
    Z, left, right = x.block(place), x.left[place], x.right[place]
    if Z.nnz > CROWDED * m * d:
        length = max(AT_ONCE // d, 1)
        for first in range(0, m, length):
            rows = slice(first, first + length)
            own = Z[rows].toarray() + left[rows] @ right
            out += (own * a[rows, None]).T @ own
        return
    weighted = left * a[:, None]
    scaled = Z.copy()
    scaled.data *= np.repeat(a, np.diff(Z.indptr))
    mixed = (Z.T @ weighted) @ right
    out += (Z.T @ scaled).toarray() + mixed + mixed.T + right.T @ (left.T @ weighted) @ right
