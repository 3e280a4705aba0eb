"""What all tasks say together, where their sparse rows are fewer than the features: never a (d, d) array."""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse

from relatask.linear.sums.forms import Array, Forms, _clean
from relatask.linear.sums.sparse_bucket import SparseBucket, SparseSpectrum
from relatask.linear.sums.sparse_rows import SparseRows


def joined(forms: Forms, weights: Array) -> SparseBucket | None:
    """The rows of all tasks, G_k weighted by (t,) `weights`, as those of one; None unless all are sparse and few."""
    if not is_few(forms):
        return None
    parts = []
    for bucket in forms.buckets:
        assert isinstance(bucket, SparseBucket)
        factor = weights[bucket.tasks] * bucket.scale
        parts.append(bucket.sparse_rows.joined(np.sqrt(factor.sum(keepdims=True) if bucket.shared else factor)))
    return SparseBucket(np.zeros(1, dtype=np.intp), np.ones(1), held=_stacked(parts))


def is_few(forms: Forms) -> bool:
    """Whether all rows are sparse, and fewer than half of the features."""
    rows = 0
    for bucket in forms.buckets:
        if not isinstance(bucket, SparseBucket):
            return False
        rows += bucket.sparse_rows.shape[0] * bucket.height
    return rows < forms.n_features / 2


def gain(forms: Forms, ridge: float, pull: float) -> tuple[SparseSpectrum, float]:
    """sum_k (G_k + ridge I)(G_k + (ridge + pull) I)^-1 as its spectrum beside a multiple of I, where `is_few`.

    With G_k = V_k' diag(e) V_k it is t outside I + sum_k V_k' diag(f) V_k, outside = ridge / (ridge + pull) and
    f = (e + ridge) / (e + ridge + pull) - outside >= 0; eigenvectors V_k = T_k' A_k stay products with the rows.
    """
    outside = 0.0 if ridge == 0 else ridge / (ridge + pull)
    parts: list[SparseRows] = []
    turns: list[Array] = []
    for bucket in forms.spectrum.buckets:
        assert isinstance(bucket, SparseSpectrum)
        total = bucket.values + ridge
        factor = np.divide(total, total + pull, out=np.zeros_like(total), where=total > 0) - outside
        factor = np.where(bucket.values > 0, np.maximum(factor, 0.0), 0.0)
        factor = factor.sum(0, keepdims=True) if len(bucket.vectors) == 1 else factor
        parts.append(bucket.sparse_rows.joined(np.ones(bucket.sparse_rows.shape[0]), padded=True))
        turns.extend(bucket.vectors * np.sqrt(factor)[:, None, :])
    held, turn = _stacked(parts), linalg.block_diag(*turns)
    values, vectors = np.linalg.eigh(turn.T @ held.gram()[0] @ turn)
    values = _clean(values, forms.n_features)
    inverse_root = np.divide(1.0, np.sqrt(values), out=np.zeros_like(values), where=values > 0)
    every = np.zeros(1, dtype=np.intp)
    found = SparseSpectrum(every, (turn @ (vectors * inverse_root))[None], values[None], False, held)
    return found, outside * forms.n_tasks


def _stacked(parts: list[SparseRows]) -> SparseRows:
    """Rows of one task each, as rows of one."""
    if len(parts) == 1:
        return parts[0]
    left = linalg.block_diag(*(part.left[0] for part in parts))
    matrix = sparse.csr_array(sparse.vstack([part.matrix for part in parts], format="csr"))
    return SparseRows(matrix, left[None], np.concatenate([part.right for part in parts], axis=1))
