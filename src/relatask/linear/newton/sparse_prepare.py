"""Sparse rows of tasks made ready for losses: sorted, scaled and centred without a single zero being filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.linear.sums.forms import Array
from relatask.linear.sums.sparse_rows import SparseRows

FLAT = 1e-13
"""A spread below this share of a column's mean is rounding."""


def stacked(X: Any, index: Sequence[NDArray[np.intp]], size: int) -> SparseRows:
    """The rows of CSR X (n, d) that each task has, padded to `size`; nothing is taken off yet."""
    blocks = [sparse.csr_array(X[rows]).astype(np.float64) for rows in index]
    left, right = [np.zeros((len(rows), 1)) for rows in index], np.zeros((1, X.shape[1]))
    return SparseRows.stacked(blocks, left, [right] * len(blocks), size)


def placed(x: SparseRows, s: Array, scale: Array, origin: Array, own: bool, tied: bool) -> SparseRows:
    """Rows scaled and measured from `origin` (k, d): each task's own mean, then written there, if `own`.

    Parameters
    ----------
    x : SparseRows (k, m, d)
        As `stacked` gives them.
    s : (k, m), or (t, m) where x is (1, m, d)
        Weights; rows without any become 0.
    scale, origin, own
        As in `prepared`.
    tied : bool
        Whether a column of ones is added.
    """
    k, m, d = x.shape
    x = x.scaled(scale)
    weight = s.max(0, keepdims=True) if k == 1 else s
    blocks, left, right = [], [], []
    for place in range(k):
        Z, low = _measured(x.block(place), weight[place], origin[place], own)
        if tied:
            Z, low = sparse.csr_array((Z.data, Z.indices, Z.indptr), shape=(m, d + 1)), np.append(low, -1.0)
        blocks.append(Z)
        left.append((weight[place] > 0).astype(np.float64)[:, None])
        right.append(-low[None])
    return SparseRows.stacked(blocks, left, right, m)


def _measured(Z: Any, s: Array, origin: Array, own: bool) -> tuple[Any, Array]:
    """Rows Z' - 1 low' that are Z - 1 origin' where s > 0, else 0.

    A column that is stored in more than half of the rows has its origin taken from each, so that an offset costs no
    digits; others keep their zeros. Where `own`, `origin` becomes the mean.
    """
    m, d = Z.shape
    row = np.repeat(np.arange(m), np.diff(Z.indptr))
    seen, total = s > 0, float(s.sum())
    kept = seen[row]
    row, column, data = row[kept], Z.indices[kept], Z.data[kept]
    if own:
        origin[:] = np.bincount(column, s[row] * data, minlength=d) / (total or 1.0)
    full = (np.bincount(column, minlength=d) > 0.5 * seen.sum()) & (origin != 0)
    if full.any():
        places, rows = np.flatnonzero(full), np.flatnonzero(seen)
        block = Z[:, places].toarray()[rows] - origin[places]
        if own:
            again = s[rows] @ block / total
            origin[places] += again
            block -= again
            # What varies by rounding only does not vary.
            block *= s[rows] @ np.square(block) > total * np.square(FLAT * origin[places])
        rest = ~full[column]
        row = np.concatenate([row[rest], np.repeat(rows, len(places))])
        column = np.concatenate([column[rest], np.tile(places, len(rows))])
        data = np.concatenate([data[rest], block.ravel()])
    return sparse.csr_array((data, (row, column)), shape=(m, d)), np.where(full, 0.0, origin)
