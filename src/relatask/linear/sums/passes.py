"""One pass over rows in memory, and never a row again: from rows to per-task statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.linear.sums import batched
from relatask.linear.sums.forms import Array, Bucket, Forms
from relatask.linear.sums.groups import by_pattern, by_task, label_patterns, row_weights
from relatask.linear.sums.moments import CHUNK, column_moments, shared_rows
from relatask.linear.sums.sparse_statistics import moments, sparse_column_moments
from relatask.linear.sums.statistics import Statistics

THIN = 64
"""From this many features on, a task of fewer than d/2 rows keeps its rows instead of a (d, d) Gram."""


def grouped(X: NDArray, y: Array, codes: NDArray[np.integer], n_tasks: int, weights: Array | None = None) -> Statistics:
    """Statistics of rows that each belong to one task.

    Parameters
    ----------
    X : (n, d)
        float32 or float64; read once, a task's rows at a time.
    y : (n,)
        Without NaN.
    codes : (n,)
        Task of each row, 0 <= code < n_tasks.
    n_tasks : int
        t.
    weights : (n,), optional
        Positive; None for 1.
    """
    if sparse.issparse(X):
        return sparse_statistics(X, y, codes, n_tasks, weights)
    d = X.shape[1]
    count = np.bincount(codes, minlength=n_tasks)
    weight: Array = np.bincount(codes, weights, minlength=n_tasks).astype(np.float64)
    if d <= THIN and batched.pays(n_tasks, len(codes), d):
        return _of_small_tasks(X, y, codes, count, weight, weights)
    # Codes in the smallest type are sorted by radix, ten times faster.
    order = np.argsort(codes.astype(np.min_scalar_type(max(n_tasks - 1, 0))), kind="stable")
    ends = np.cumsum(count)
    thin = (count < d / 2) & (d > THIN) & (count > 0)
    mean_x, mean_y = np.zeros((n_tasks, d)), np.zeros(n_tasks)
    cross, yy = np.zeros((n_tasks, d)), np.zeros(n_tasks)
    position = np.cumsum(~thin) - 1
    grams = np.zeros((int((~thin).sum()), d, d))
    few: dict[int, Array] = {}
    for k in range(n_tasks):
        index = order[ends[k] - count[k] : ends[k]]
        if not count[k]:
            continue  # A task without rows keeps its place, with zero moments.
        if thin[k]:
            mean_x[k], mean_y[k], few[k], cross[k], yy[k] = _rows(X, y, weights, index)
        elif len(index) <= CHUNK:
            mean_x[k], mean_y[k], yy[k] = _moments(X, y, weights, index, grams[position[k]], cross[k])
        else:
            _chunked(X, y, weights, index, k, mean_x, mean_y, grams[position[k]], cross, yy)
    center, spread = _columns_from_tasks(weight, mean_x, grams, few)
    forms = Forms(_buckets(grams, np.flatnonzero(~thin), few), n_tasks, d)
    return Statistics(count, weight, mean_x, mean_y, forms, cross, yy, center, spread, float(weight.sum()))


def columns(X: NDArray, Y: Array, weights: Array | None = None) -> Statistics:
    """Statistics of tasks that are columns of Y (n, t), NaN where a label is missing.

    Tasks whose labels are observed on the same rows, with the same weights (n,) or (n, t), share one Gram. A label of
    weight 0 is missing. For the columns' mean and standard deviation a row has the weight of its heaviest label.
    """
    observed, member = label_patterns(Y, weights)
    patterns = observed.T[np.unique(member, return_index=True)[1]]
    if sparse.issparse(X):
        return sparse_statistics(X, Y, member, Y.shape[1], weights)
    if len(patterns) == 1 and weights is not None and weights.ndim == 2:
        weights = weights[:, 0]
    if len(patterns) > 1:
        return _columns_with_holes(X, Y, observed, patterns, member, weights)
    t, d = Y.shape[1], X.shape[1]
    every = np.arange(t)
    rows = np.flatnonzero(patterns[0])
    shared = shared_rows(X, Y, weights, rows, every, _is_thin(len(rows), d))
    base = shared.base[None]
    bucket = Bucket(every, np.ones(t), rows=base) if shared.thin else Bucket(every, np.ones(t), gram=base)
    square = np.einsum("nd,nd->d", shared.base, shared.base) if shared.thin else np.diagonal(shared.base)
    return Statistics(
        count=observed.sum(0),
        weight=np.full(t, shared.weight),
        mean_x=np.tile(shared.mean_x, (t, 1)),
        mean_y=shared.mean_y,
        forms=Forms((bucket,), t, d),
        cross=shared.cross,
        yy=shared.yy,
        center=shared.mean_x,
        spread=_flat(np.sqrt(square / shared.weight), shared.mean_x),
        row_weight=shared.weight,
    )


def sparse_statistics(X: Any, y: Array, codes: NDArray[np.integer], n_tasks: int, weights: Array | None) -> Statistics:
    """Statistics of CSR rows: `codes` are the tasks of rows, or of columns of y (n, t) their patterns."""
    if y.ndim == 1:
        groups = by_task(y, codes, n_tasks, weights)
        count, row_weight = np.bincount(codes, minlength=n_tasks), np.ones(len(y)) if weights is None else weights
    else:
        observed, _ = label_patterns(y, weights)
        groups = by_pattern(y, observed, codes, weights)
        count, row_weight = observed.sum(0), row_weights(observed, weights)
    found = moments(X, groups, n_tasks, THIN)
    center, spread = sparse_column_moments(X, row_weight)
    parts = found.weight, found.mean_x, found.mean_y, found.forms, found.cross, found.yy
    return Statistics(count, *parts, center, _flat(spread, center), float(row_weight.sum()))


def _of_small_tasks(
    X: NDArray, y: Array, codes: NDArray[np.integer], count: NDArray[np.intp], weight: Array, weights: Array | None
) -> Statistics:
    """Many tasks of few rows each, in one compiled loop."""
    t, d = len(count), X.shape[1]
    mean_x, mean_y, grams, cross, yy = batched.task_moments(X, y, codes, count, weights)
    center, spread = _columns_from_tasks(weight, mean_x, grams, {})
    forms = Forms((Bucket(np.arange(t), np.ones(t), gram=grams),), t, d)
    return Statistics(count, weight, mean_x, mean_y, forms, cross, yy, center, spread, float(weight.sum()))


def _columns_with_holes(
    X: NDArray, Y: Array, observed: NDArray, patterns: NDArray, member: NDArray, weights: Array | None
) -> Statistics:
    """Each pattern of missing labels has its own rows; tasks of one pattern get copies of its Gram."""
    t, d = Y.shape[1], X.shape[1]
    mean_x, mean_y, cross, yy = np.zeros((t, d)), np.zeros(t), np.zeros((t, d)), np.zeros(t)
    weight = np.zeros(t)
    count = observed.sum(0)
    grams: list[Array] = []
    dense: list[int] = []
    few: dict[int, Array] = {}
    for p, pattern in enumerate(patterns):
        rows, tasks = np.flatnonzero(pattern), np.flatnonzero(member == p)
        if not len(rows):
            dense.extend(tasks.tolist())
            grams.extend([np.zeros((d, d))] * len(tasks))
            continue  # A task without labels keeps its place, with zero moments.
        own = weights if weights is None or weights.ndim == 1 else weights[:, tasks[0]]
        shared = shared_rows(X, Y, own, rows, tasks, _is_thin(len(rows), d))
        weight[tasks], mean_x[tasks], mean_y[tasks] = shared.weight, shared.mean_x, shared.mean_y
        cross[tasks], yy[tasks] = shared.cross, shared.yy
        if shared.thin:
            few.update(dict.fromkeys(tasks.tolist(), shared.base))
        else:
            dense.extend(tasks.tolist())
            grams.extend([shared.base] * len(tasks))
    of_rows = row_weights(observed, weights)
    center, spread = column_moments(X, of_rows)
    order = np.argsort(dense)
    stacked = np.stack(grams)[order] if grams else np.zeros((0, d, d))
    forms = Forms(_buckets(stacked, np.asarray(dense, dtype=np.intp)[order], few), t, d)
    of_columns = center, _flat(spread, center), float(of_rows.sum())
    return Statistics(count, weight, mean_x, mean_y, forms, cross, yy, *of_columns)


def _moments(
    X: NDArray, y: Array, weights: Array | None, index: NDArray, gram: Array, cross: Array
) -> tuple[Array, float, float]:
    """Centred moments of some rows, written into `gram` and `cross`; returns the means and y'y."""
    x, labels = _gathered(X, index), y.take(index)
    if weights is None:
        mean, mean_y = np.add.reduce(x, 0) / len(index), float(np.add.reduce(labels) / len(index))
        x -= mean
        labels -= mean_y
    else:
        s = weights.take(index)
        mean, mean_y = s @ x / s.sum(), float(s @ labels / s.sum())
        root = np.sqrt(s)
        x = (x - mean) * root[:, None]
        labels = (labels - mean_y) * root
    np.dot(x.T, x, out=gram)
    np.dot(labels, x, out=cross)
    return mean, mean_y, float(labels @ labels)


def _gathered(X: NDArray, index: NDArray) -> Array:
    """Some rows as a new float64 array; columns stored one after another (frames) are gathered one after another."""
    by_column = X.flags.f_contiguous and not X.flags.c_contiguous
    x = X.T.take(index, 1).T if by_column else X.take(index, 0)
    return x.astype(np.float64, copy=False)


def _rows(X: NDArray, y: Array, weights: Array | None, index: NDArray) -> tuple[Array, float, Array, Array, float]:
    """Means, centred weighted rows, cross products and y'y of a task with few rows."""
    x, labels = _gathered(X, index), y.take(index)
    s = np.ones(len(index)) if weights is None else weights.take(index)
    mean, mean_y = s @ x / s.sum(), float(s @ labels / s.sum())
    x = (x - mean) * np.sqrt(s)[:, None]
    labels = (labels - mean_y) * np.sqrt(s)
    return mean, mean_y, x, labels @ x, float(labels @ labels)


def _chunked(
    X: NDArray,
    y: Array,
    weights: Array | None,
    index: NDArray,
    k: int,
    mean_x: Array,
    mean_y: Array,
    gram: Array,
    cross: Array,
    yy: Array,
) -> None:
    """A long task in pieces, merged by the update of Chan, Golub and LeVeque (1983)."""
    total = 0.0
    part_gram, part_cross = np.empty_like(gram), np.empty_like(cross[k])
    for start in range(0, len(index), CHUNK):
        part = index[start : start + CHUNK]
        size = float(len(part)) if weights is None else float(weights[part].sum())
        part_x, part_y, part_yy = _moments(X, y, weights, part, part_gram, part_cross)
        step_x, step_y = part_x - mean_x[k], part_y - mean_y[k]
        share = total * size / (total + size)
        gram += part_gram + share * np.multiply.outer(step_x, step_x)
        cross[k] += part_cross + share * step_x * step_y
        yy[k] += part_yy + share * step_y**2
        total += size
        mean_x[k] += step_x * (size / total)
        mean_y[k] += step_y * (size / total)


def _columns_from_tasks(weight: Array, mean_x: Array, grams: Array, few: dict[int, Array]) -> tuple[Array, Array]:
    """Mean and standard deviation of each column over all rows, from the tasks' moments."""
    total = weight.sum()
    center = weight @ mean_x / total
    square = np.einsum("kdd->d", grams) + weight @ np.square(mean_x - center)
    for rows in few.values():
        square = square + np.einsum("nd,nd->d", rows, rows)
    return center, _flat(np.sqrt(square / total), center)


def _is_thin(count: int, d: int) -> bool:
    """Whether a task keeps its rows."""
    return d > THIN and count < d / 2


def _flat(spread: Array, center: Array) -> Array:
    """A spread that is only rounding is 0."""
    return np.where(spread > 1e-13 * np.abs(center), spread, 0.0)


def _buckets(grams: Array, tasks: NDArray, few: dict[int, Array]) -> tuple[Bucket, ...]:
    """One bucket of Grams, and buckets of rows padded to the most rows among them, at most a quarter more."""
    buckets = [Bucket(np.asarray(tasks), np.ones(len(tasks)), gram=grams)] if len(tasks) else []
    sizes: dict[int, list[int]] = {}
    for k, rows in sorted(few.items()):
        step = max(1, (1 << (len(rows) - 1).bit_length()) // 8)
        sizes.setdefault(-(-len(rows) // step) * step, []).append(k)
    for _, members in sorted(sizes.items()):
        most = max(len(few[k]) for k in members)
        padded = np.zeros((len(members), most, few[members[0]].shape[1]))
        for slot, k in enumerate(members):
            padded[slot, : len(few[k])] = few[k]
        buckets.append(Bucket(np.asarray(members), np.ones(len(members)), rows=padded))
    return tuple(buckets)
