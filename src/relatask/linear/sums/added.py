"""Tasks' quadratic forms with one more form added to each: G_k + Q."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from relatask.linear.sums.forms import ROUNDING, Array, Bucket, Forms


def added(forms: Forms, Q: Array) -> Forms:
    """The forms G_k + Q, for Q (d, d) positive semidefinite.

    Tasks held as few rows stay so where Q has a small rank too; others, and sparse rows, become Grams: O(t d^2).
    """
    if not Q.any():
        return forms
    grams: list[Bucket] = []
    thin: list[Bucket] = []
    root: Array | None = None
    for bucket in forms.buckets:
        if bucket.rows is not None:
            root = _root(Q) if root is None else root
            if bucket.height + len(root) < forms.n_features / 2:
                thin.append(_with_rows(bucket, root))
                continue
        grams.append(_with_gram(bucket, Q))
    return replace(forms, buckets=(*_joined(grams), *thin))


def _with_gram(bucket: Bucket, Q: Array) -> Bucket:
    """A bucket of Grams, one for all tasks where they were one."""
    if bucket.shared and (bucket.scale == bucket.scale[0]).all():
        one = replace(bucket, tasks=bucket.tasks[:1], scale=bucket.scale[:1])
        return Bucket(bucket.tasks, np.ones(len(bucket.tasks)), gram=one.dense() + Q)
    return Bucket(bucket.tasks, np.ones(len(bucket.tasks)), gram=bucket.dense() + Q)


def _with_rows(bucket: Bucket, root: Array) -> Bucket:
    """A bucket of rows, with those of `root` below."""
    same = bucket.shared and (bucket.scale == bucket.scale[0]).all()
    scale = bucket.scale[:1] if same else bucket.scale
    rows = bucket.base * np.sqrt(scale)[:, None, None]
    below = np.broadcast_to(root, (len(rows), *root.shape))
    return Bucket(bucket.tasks, np.ones(len(bucket.tasks)), rows=np.concatenate([rows, below], axis=1))


def _joined(buckets: list[Bucket]) -> list[Bucket]:
    """One bucket of all Grams, in the order of tasks."""
    if len(buckets) < 2:
        return buckets
    tasks = np.concatenate([bucket.tasks for bucket in buckets])
    order = np.argsort(tasks)
    grams = [np.broadcast_to(b.base, (len(b.tasks), *b.base.shape[1:])) for b in buckets]
    return [Bucket(tasks[order], np.ones(len(tasks)), gram=np.concatenate(grams)[order])]


def _root(Q: Array) -> Array:
    """Rows (r, d) whose Gram is Q, r its rank."""
    values, vectors = np.linalg.eigh(Q)
    kept = values > ROUNDING * len(values) * values[-1]
    return np.ascontiguousarray((vectors[:, kept] * np.sqrt(values[kept])).T)
