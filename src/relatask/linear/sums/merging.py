"""Statistics are a commutative monoid: those of two sets of rows give those of both, exactly (Chan, Golub, LeVeque)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.absent import measured_from
from relatask.linear.sums.absent import without as lacking
from relatask.linear.sums.forms import Array, Bucket, Forms
from relatask.linear.sums.passes import THIN, _buckets, _flat, _is_thin
from relatask.linear.sums.sparse_bucket import SparseBucket
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError

WIDEST = 2_000
"""Sparse rows of more columns than this are not merged: their Grams would be dense."""


def merge(a: Statistics, b: Statistics) -> Statistics:
    """The statistics of the rows of both, for the same tasks in the same order.

    Gram matrices add, and with them the step between the means: G = G_a + G_b + n_a n_b / (n_a + n_b) s s' with
    s = m_b - m_a.

    Raises
    ------
    InputError
        For other features, or a feature that a task lacks in one of them only.

    References
    ----------
    Chan, Golub, LeVeque: Algorithms for computing the sample variance, 1983, The American Statistician 37, equation
    1.5.
    """
    same_shape(a, b)
    absent = _absent(a, b)
    if absent is not None:
        # A column that a task lacks moves nothing.
        nothing = np.zeros(a.n_features)
        a, b = measured_from(a, nothing), measured_from(b, nothing)
    weight = a.weight + b.weight
    part = np.divide(b.weight, weight, out=np.zeros_like(weight), where=weight > 0)
    share = a.weight * part
    step_x, step_y = b.mean_x - a.mean_x, b.mean_y - a.mean_y
    rows = a.row_weight + b.row_weight
    step = b.center - a.center
    of_rows = b.row_weight / rows if rows > 0 else 0.0
    center = a.center + of_rows * step
    square = np.square(a.spread) * (1 - of_rows) + np.square(b.spread) * of_rows
    found = Statistics(
        count=a.count + b.count,
        weight=weight,
        mean_x=a.mean_x + part[:, None] * step_x,
        mean_y=a.mean_y + part * step_y,
        forms=_merged_forms(a.forms, b.forms, share, step_x),
        cross=a.cross + b.cross + (share * step_y)[:, None] * step_x,
        yy=a.yy + b.yy + share * np.square(step_y),
        center=center,
        spread=_flat(np.sqrt(square + of_rows * (1 - of_rows) * np.square(step)), center),
        row_weight=rows,
    )
    return found if absent is None else lacking(found, absent)


def among(stats: Statistics, places: NDArray[np.intp], n_tasks: int) -> Statistics:
    """The same statistics with their tasks at `places` (t,) among `n_tasks`; the other tasks have no rows."""
    places = np.asarray(places, dtype=np.intp)
    d = stats.n_features

    def spread_out(values: NDArray) -> NDArray:
        out = np.zeros((n_tasks, *values.shape[1:]), dtype=values.dtype)
        out[places] = values
        return out

    buckets = [replace(bucket, tasks=places[bucket.tasks]) for bucket in stats.forms.buckets]
    others = np.setdiff1d(np.arange(n_tasks), places)
    if len(others):
        buckets.append(Bucket(others, np.ones(len(others)), gram=np.zeros((1, d, d))))
    return replace(
        stats,
        count=spread_out(stats.count),
        weight=spread_out(stats.weight),
        mean_x=spread_out(stats.mean_x),
        mean_y=spread_out(stats.mean_y),
        forms=Forms(tuple(buckets), n_tasks, d),
        cross=spread_out(stats.cross),
        yy=spread_out(stats.yy),
        absent=None if stats.absent is None else spread_out(stats.absent),
    )


def only(stats: Statistics, places: NDArray[np.intp]) -> Statistics:
    """The statistics of some of the tasks, in the order of `places`; the columns' means and spreads are of these rows.

    Tasks that share all rows keep these. With tasks as columns with holes a row counts once for each of its labels:
    which labels are of one row is not kept.
    """
    places = np.asarray(places, dtype=np.intp)
    where = np.full(stats.n_tasks, -1)
    where[places] = np.arange(len(places))
    buckets = []
    for bucket in stats.forms.buckets:
        kept = where[bucket.tasks] >= 0
        if kept.any():
            chosen = bucket.some(kept) if isinstance(bucket, SparseBucket) else _some(bucket, kept)
            buckets.append(replace(chosen, tasks=where[chosen.tasks]))
    rest = replace(
        stats,
        count=stats.count[places],
        weight=stats.weight[places],
        mean_x=stats.mean_x[places],
        mean_y=stats.mean_y[places],
        forms=Forms(tuple(buckets), len(places), stats.n_features),
        cross=stats.cross[places],
        yy=stats.yy[places],
        absent=None if stats.absent is None else stats.absent[places],
    )
    return rest if len(places) == stats.n_tasks or stats.forms.shared is not None else of_labels(rest)


def of_labels(stats: Statistics) -> Statistics:
    """The same with the columns' means and spreads over all labels' rows, from the tasks' moments."""
    total = float(stats.weight.sum())
    if total <= 0:
        nothing = np.zeros(stats.n_features)
        return replace(stats, center=nothing, spread=nothing, row_weight=0.0)
    if stats.absent is not None:
        return replace(lacking(stats, stats.absent), row_weight=total)
    center = stats.weight @ stats.mean_x / total
    square = stats.forms.diagonal().sum(0) + stats.weight @ np.square(stats.mean_x - center)
    return replace(stats, center=center, spread=_flat(np.sqrt(square / total), center), row_weight=total)


def same_shape(a: Statistics, b: Statistics) -> None:
    """Raise InputError unless both are of the same numbers of tasks and features."""
    if a.n_features != b.n_features:
        raise InputError(f"these rows have {b.n_features} features, those before had {a.n_features}; give the same.")
    if a.n_tasks != b.n_tasks:
        raise InputError(f"statistics of {b.n_tasks} tasks cannot be added to those of {a.n_tasks}; see `among`.")


def grams_of(forms: Forms) -> Array:
    """(t, d, d) Gram matrices, written out.

    Raises
    ------
    InputError
        For sparse rows of too many columns.
    """
    if any(isinstance(bucket, SparseBucket) for bucket in forms.buckets) and forms.n_features > WIDEST:
        raise InputError(
            f"sparse rows of {forms.n_features} columns cannot be added to others: their sums of products would be "
            f"dense; expected at most {WIDEST} columns. Fit on all rows at once."
        )
    return forms.dense()


def _merged_forms(a: Forms, b: Forms, share: Array, step: Array) -> Forms:
    """Forms of the rows of both; rows are held where these are few, one Gram where all tasks share their rows."""
    t, d = a.n_tasks, a.n_features
    if a.shared is not None and b.shared is not None and (share == share[0]).all() and (step == step[0]).all():
        few = _rows_of(a.shared, 0), _rows_of(b.shared, 0)
        every, one = np.arange(t), np.ones(t)
        own = np.sqrt(share[0]) * step[:1]
        if few[0] is not None and few[1] is not None and _is_thin(len(few[0]) + len(few[1]) + 1, d):
            return Forms((Bucket(every, one, rows=np.vstack([few[0], few[1], own])[None]),), t, d)
        gram = _base_gram(a.shared) + _base_gram(b.shared) + own.T @ own
        return Forms((Bucket(every, one, gram=gram[None]),), t, d)
    # Rows are held of many features only.
    held_a, held_b = (_held_rows(a), _held_rows(b)) if d > THIN else ({}, {})
    few_rows: dict[int, Array] = {}
    for k in held_a.keys() & held_b.keys():
        pieces = [held_a[k], held_b[k]]
        if share[k] > 0:
            pieces.append(np.sqrt(share[k]) * step[k : k + 1])
        rows = np.vstack(pieces)
        if len(rows) and _is_thin(len(rows), d):
            few_rows[k] = rows
    dense = np.setdiff1d(np.arange(t), list(few_rows))
    if not len(dense):
        return Forms(_buckets(np.zeros((0, d, d)), dense, few_rows), t, d)
    whole = grams_of(a) + grams_of(b)
    whole += share[:, None, None] * (step[:, :, None] * step[:, None, :])
    return Forms(_buckets(whole if len(dense) == t else whole[dense], dense, few_rows), t, d)


def _held_rows(forms: Forms) -> dict[int, Array]:
    """Rows (m, d) of the tasks that hold them, zero rows left out; none for a task without data."""
    found: dict[int, Array] = {}
    for bucket in forms.buckets:
        if isinstance(bucket, SparseBucket):
            continue
        for slot, k in enumerate(bucket.tasks.tolist()):
            rows = _rows_of(bucket, slot)
            if rows is not None:
                found[k] = rows
    return found


def _rows_of(bucket: Bucket, slot: int) -> Array | None:
    """The rows of one task of a bucket, or None where it holds a Gram that is not zero."""
    if isinstance(bucket, SparseBucket):
        return None
    base = bucket.base[0 if bucket.shared else slot]
    if bucket.gram is not None:
        return None if base.any() else np.zeros((0, base.shape[1]))
    return np.asarray(base[base.any(1)] * np.sqrt(bucket.scale[slot]))


def _base_gram(bucket: Bucket) -> Array:
    """(d, d) Gram of a bucket that all tasks share."""
    base = bucket.gram[0] if bucket.gram is not None else bucket.base[0].T @ bucket.base[0]
    return np.asarray(base * bucket.scale[0])


def _some(bucket: Bucket, kept: NDArray[np.bool_]) -> Bucket:
    """Some of the tasks of a bucket."""
    if bucket.shared:
        return replace(bucket, tasks=bucket.tasks[kept], scale=bucket.scale[kept])
    name = "gram" if bucket.gram is not None else "rows"
    return replace(bucket, tasks=bucket.tasks[kept], scale=bucket.scale[kept], **{name: bucket.base[kept]})


def _absent(a: Statistics, b: Statistics) -> NDArray[np.bool_] | None:
    """Features that tasks lack: those of the rows that a task has, which must agree."""
    if a.absent is None and b.absent is None:
        return None
    shape = (a.n_tasks, a.n_features)
    in_a, in_b = (np.zeros(shape, dtype=bool) if x.absent is None else x.absent for x in (a, b))
    has_a, has_b = a.count[:, None] > 0, b.count[:, None] > 0
    differ = has_a & has_b & (in_a != in_b)
    if differ.any():
        k, j = np.argwhere(differ)[0].tolist()
        raise InputError(
            f"task {k} (counted from 0) has column {j} in some batches and lacks it in others; a task has a feature in "
            f"all of its rows or in none."
        )
    found = np.asarray(np.where(has_a, in_a, in_b))
    return found if found.any() else None
