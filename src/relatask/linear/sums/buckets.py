"""Buckets changed: columns scaled or left out, rows measured from another origin; dense and sparse ones alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.forms import Array, Bucket, Forms
from relatask.linear.sums.sparse_bucket import SparseBucket


def divided(bucket: Bucket, scale: Array) -> Bucket:
    """The forms of columns divided by (d,) `scale`."""
    if isinstance(bucket, SparseBucket):
        return bucket.divided(scale)
    if bucket.gram is not None:
        return replace(bucket, gram=bucket.gram / np.multiply.outer(scale, scale))
    return replace(bucket, rows=bucket.base / scale)


def restricted(bucket: Bucket, columns: NDArray[np.intp]) -> Bucket:
    """The forms of some of the columns."""
    if isinstance(bucket, SparseBucket):
        return bucket.restricted(columns)
    if bucket.gram is not None:
        return replace(bucket, gram=np.ascontiguousarray(bucket.gram[:, columns][:, :, columns]))
    return replace(bucket, rows=np.ascontiguousarray(bucket.base[:, :, columns]))


def uncentred(forms: Forms, mean: Array, weight: Array, extra: int) -> Forms:
    """Forms of rows measured from another origin: (x - mean_k) + mean, with `extra` constant columns."""
    buckets: list[Bucket] = []
    for bucket in forms.buckets:
        step = mean[bucket.tasks] * np.sqrt(weight[bucket.tasks] / bucket.scale)[:, None]
        same = bool((step == step[0]).all() and (bucket.scale == bucket.scale[0]).all())
        if bucket.shared and same:
            step = step[:1]
        if isinstance(bucket, SparseBucket):
            buckets.append(bucket.with_row(step, extra))
            continue
        base = np.pad(bucket.base, [(0, 0), (0, extra if bucket.gram is not None else 0), (0, extra)])
        if bucket.gram is not None:
            buckets.append(replace(bucket, gram=base + step[:, :, None] * step[:, None, :]))
        else:
            base = np.broadcast_to(base, (len(step), *base.shape[1:]))
            buckets.append(replace(bucket, rows=np.concatenate([base, step[:, None, :]], axis=1)))
    return Forms(tuple(buckets), forms.n_tasks, forms.n_features + extra)
