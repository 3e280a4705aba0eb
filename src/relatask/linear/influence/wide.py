"""Fewer rows than features: everything that rows say lies in the space that they span."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from relatask.linear.influence.building import check_size
from relatask.linear.problem import Problem
from relatask.linear.solvers.structured import NULL, complete_graph
from relatask.linear.sums.forms import Array, Bucket, Forms
from relatask.linear.sums.sparse_bucket import SparseBucket
from relatask.relations.precision import Diagonal, Precision

FEW = 0.5
"""Rows are few where they are less than this share of the features."""


def row_space(forms: Forms) -> Array | None:
    """(q, r) orthonormal basis of what all rows span; None where the rows are not few, or are held as Grams."""
    if any(bucket.gram is not None for bucket in forms.buckets):
        return None
    count = sum(_height(bucket) for bucket in forms.buckets)
    if count >= FEW * forms.n_features:
        return None
    check_size(float(count) * forms.n_features)
    rows = np.concatenate([_rows(bucket) for bucket in forms.buckets])
    values, vectors = np.linalg.eigh(rows @ rows.T)
    kept = values > NULL * values.max(initial=0.0)
    # Once more orthogonal, because small eigenvalues leave their vectors less exact.
    return np.asarray(np.linalg.qr(rows.T @ (vectors[:, kept] / np.sqrt(values[kept])))[0])


def within(problem: Problem, basis: Array) -> Problem:
    """The problem in coordinates of a basis."""
    buckets = []
    for bucket in problem.forms.buckets:
        rows = _rows(bucket).reshape(-1, _one_height(bucket), problem.shape[1]) @ basis
        buckets.append(Bucket(bucket.tasks, bucket.scale, gram=rows.swapaxes(1, 2) @ rows))
    coupling = None if problem.coupling is None else problem.coupling @ basis
    forms = Forms(tuple(buckets), problem.shape[0], basis.shape[1])
    return replace(problem, forms=forms, cross=problem.cross @ basis, coupling=coupling, columns=None)


def outside(precision: Precision) -> Array:
    """(t,) diagonal of P's pseudo-inverse: what the relation alone says where no row looks."""
    if isinstance(precision, Diagonal):
        values = precision.values
        return np.divide(1.0, values, out=np.zeros(len(values)), where=values > 0)
    found = complete_graph(precision)
    if found is None:
        return np.diagonal(np.linalg.pinv(precision.dense(), hermitian=True)).copy()
    (ridge, pull), t = found, precision.n_tasks
    return np.full(t, (1 - 1 / t) / (ridge + pull) + (1 / (ridge * t) if ridge > 0 else 0.0))


def _one_height(bucket: Bucket) -> int:
    return bucket.sparse_rows.shape[1] if isinstance(bucket, SparseBucket) else bucket.height


def _height(bucket: Bucket) -> int:
    """Rows of all bases of a bucket."""
    bases = bucket.sparse_rows.shape[0] if isinstance(bucket, SparseBucket) else len(bucket.base)
    return bases * _one_height(bucket)


def _rows(bucket: Bucket) -> Array:
    """They, one below the other."""
    if isinstance(bucket, SparseBucket):
        held = bucket.sparse_rows
        return held.columns(np.arange(held.shape[2])).reshape(-1, held.shape[2])
    return bucket.base.reshape(-1, bucket.base.shape[2])
