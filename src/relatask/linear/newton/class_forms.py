"""Forms of a block of tasks under curvatures of several classes together: Grams, or sparse rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.linear.newton.products import X, grams
from relatask.linear.sums.forms import Array, Bucket
from relatask.linear.sums.passes import THIN
from relatask.linear.sums.sparse_bucket import SparseBucket
from relatask.linear.sums.sparse_rows import SparseRows


def class_bucket(tasks: NDArray[np.intp], x: X, h: Array, mixed: Array | None, followed: Array | None) -> Bucket:
    """sum_i h_i x (x_i x_i'), (C q, C q) a task, less followed mixed'; few sparse rows are kept as rows.

    Parameters
    ----------
    tasks : (k,)
        Positions.
    x : (k, m, q)
        Rows.
    h : (k, m, C, C)
        Curvatures of the rows, of rank C - 1 at most: those of 1 are 0.
    mixed, followed : (k, C q, C), optional
        Second derivatives in W and intercepts, and these times the pseudo-inverse of those in intercepts twice.
    """
    (_, m, q), n_classes = x.shape, h.shape[2]
    if isinstance(x, SparseRows) and q > THIN and m < q / 2:
        return SparseBucket(tasks, np.ones(len(tasks)), held=_class_rows(x, h, followed))
    H = np.empty((len(tasks), n_classes, q, n_classes, q))
    for a in range(n_classes):
        for b in range(a, n_classes):
            pair = grams(x, np.ascontiguousarray(h[:, :, a, b]))
            H[:, a, :, b] = pair
            H[:, b, :, a] = pair.swapaxes(1, 2)
    gram = H.reshape(len(tasks), n_classes * q, n_classes * q)
    if mixed is not None and followed is not None:
        gram -= followed @ mixed.swapaxes(1, 2)
    return Bucket(tasks, np.ones(len(tasks)), gram=gram)


def _class_rows(x: SparseRows, h: Array, followed: Array | None) -> SparseRows:
    """Rows (k, (C - 1) m, C q): with h_i = B_i B_i', row (c, i) has B_i[a, c] x_i in the place of class a.

    Its second derivatives with the intercepts are B_i[:, c], which stand in `left`: eliminated intercepts take
    `followed` off at their right.
    """
    (own, m, q), (k, _, n_classes, _) = x.shape, h.shape
    values, vectors = np.linalg.eigh(h)
    # The first eigenvector is that of 1.
    B = (vectors * np.sqrt(np.maximum(values, 0.0))[:, :, None, :])[:, :, :, 1:]
    blocks, left, right = [], [], []
    for i in range(k):
        place = 0 if own == 1 else i
        Z, mask = x.block(place), x.left[place]
        entries = np.diff(Z.indptr)
        parts = []
        for c in range(n_classes - 1):
            scaled = [
                sparse.csr_array((Z.data * np.repeat(B[i, :, a, c], entries), Z.indices, Z.indptr), shape=Z.shape)
                for a in range(n_classes)
            ]
            parts.append(sparse.hstack(scaled, format="csr"))
        blocks.append(sparse.csr_array(sparse.vstack(parts, format="csr")))
        left.append((B[i] * mask[:, :, None]).transpose(2, 0, 1).reshape(-1, n_classes))
        low = np.zeros((n_classes, n_classes, q))
        low[np.arange(n_classes), np.arange(n_classes)] = x.right[place]
        flat = low.reshape(n_classes, n_classes * q)
        right.append(flat if followed is None else flat - followed[i].T)
    return SparseRows.stacked(blocks, left, right, (n_classes - 1) * m)
