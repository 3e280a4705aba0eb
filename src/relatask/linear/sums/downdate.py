"""Rows taken out of statistics again, and how many digits that costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.absent import measured_from
from relatask.linear.sums.forms import Array, Bucket, Forms
from relatask.linear.sums.merging import grams_of, of_labels, same_shape
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError

INDEFINITE = 1e-9
"""A negative eigenvalue above this share of what was there before is no rounding: those rows were never added."""


EPS = float(np.finfo(np.float64).eps)

FLAT = 1e-12
"""A standard deviation below this share of the mean is rounding."""

GONE = 1e-13
"""Of a column's sum of squares in a task, what is left below this share of what was there is rounding."""

NONE = 1e-12
"""Of what was there, what is left below this share is nothing or rounding."""

LARGE = 1e3
"""What is removed is large where its squares are this many times those of as many usual rows as are left."""


def without(whole: Statistics, part: Statistics, names: NDArray | None = None) -> Statistics:
    """The statistics of the rows of `whole` that are not in `part`, for the same tasks in the same order.

    Parameters
    ----------
    whole, part : Statistics
        Of all rows, and of those to take out.
    names : (t,), optional
        The tasks' labels, for messages.

    Raises
    ------
    InputError
        Where more rows would be taken out of a task than it has, or where what would be left is no sum of squares
        (not positive semidefinite): such rows were never added. That rows of the right size were never added cannot
        be told from sums.
    """
    same_shape(whole, part)
    labels = list(range(whole.n_tasks)) if names is None else names.tolist()
    nothing = np.zeros(whole.n_features)
    whole, part = measured_from(whole, nothing), measured_from(part, nothing)
    touched = np.flatnonzero(part.count)
    count = whole.count - part.count
    for k in touched[count[touched] < 0].tolist():
        raise InputError(
            f"task {labels[k]!r} has {whole.count[k]} labels, and {part.count[k]} were to be forgotten; forget only "
            f"rows that were added."
        )
    slack = 1e-9 * whole.weight
    weight = np.where(count > 0, whole.weight - part.weight, 0.0)
    wrong = (count > 0) & (weight <= slack) | (count == 0) & (np.abs(whole.weight - part.weight) > slack)
    for k in touched[wrong[touched]].tolist():
        raise InputError(
            f"task {labels[k]!r}: labels of weight {part.weight[k]:g} were to be forgotten out of {whole.weight[k]:g}, "
            f"which leaves {count[k]} labels; forget rows with the weights that they were added with."
        )
    left = np.divide(1.0, weight, out=np.zeros_like(weight), where=weight > 0)
    mean_x = (whole.mean_x * whole.weight[:, None] - part.mean_x * part.weight[:, None]) * left[:, None]
    mean_y = (whole.mean_y * whole.weight - part.mean_y * part.weight) * left
    untouched = np.ones(whole.n_tasks, dtype=bool)
    untouched[touched] = False
    mean_x[untouched], mean_y[untouched] = whole.mean_x[untouched], whole.mean_y[untouched]
    share = np.divide(weight * part.weight, whole.weight, out=np.zeros_like(weight), where=whole.weight > 0)
    step_x, step_y = part.mean_x - mean_x, part.mean_y - mean_y
    grams = grams_of(whole.forms)
    cross, yy = whole.cross.copy(), whole.yy.copy()
    taken = grams_of(part.forms)
    for k in touched.tolist():
        if count[k] <= 1:  # one row has no spread
            grams[k], cross[k], yy[k] = 0.0, 0.0, 0.0
            continue
        before = _joint(grams[k], cross[k], yy[k])
        grams[k] -= taken[k] + share[k] * np.multiply.outer(step_x[k], step_x[k])
        cross[k] -= part.cross[k] + share[k] * step_y[k] * step_x[k]
        yy[k] -= part.yy[k] + share[k] * step_y[k] ** 2
        grams[k], cross[k], yy[k] = _definite(before, _joint(grams[k], cross[k], yy[k]), labels[k])
    if whole.forms.shared is not None and (count == count[0]).all() and (grams == grams[:1]).all():
        bucket = Bucket(np.arange(whole.n_tasks), np.ones(whole.n_tasks), gram=grams[:1])
    else:
        bucket = Bucket(np.arange(whole.n_tasks), np.ones(whole.n_tasks), gram=grams)
    rest = replace(
        whole,
        count=count,
        weight=weight,
        mean_x=mean_x,
        mean_y=mean_y,
        forms=Forms((bucket,), whole.n_tasks, whole.n_features),
        cross=cross,
        yy=yy,
    )
    by_label = np.isclose(whole.row_weight, whole.weight.sum(), rtol=1e-12)
    return of_labels(rest) if by_label else _columns_left(rest, whole, part)


def lost_digits(rest: Statistics, part: Statistics) -> Array:
    """(t,) the factor by which rounding grows when `part` is taken out and `rest` is left: condition x removed / kept.

    It is the largest eigenvalue of what is removed over the smallest of what is left, columns scaled by what there was,
    in the directions that were seen before; or the same of weights and of labels, where that is worse. 0 where nothing
    was removed or nothing is left. Directions of which rounding alone is left (two columns that differed in these rows
    only) have no digits to lose, unless what is removed was so large that there might have been some.
    """
    found = np.zeros(rest.n_tasks)
    total = rest.weight + part.weight
    share = np.divide(rest.weight * part.weight, total, out=np.zeros(rest.n_tasks), where=part.weight > 0)
    step = part.mean_x - rest.mean_x
    labels = part.yy + share * np.square(part.mean_y - rest.mean_y)
    usual = float(rest.yy.sum() / max(rest.weight.sum(), EPS))
    size = np.square(np.maximum(np.abs(rest.mean_x), np.abs(part.mean_x)))
    left, taken = grams_of(rest.forms), grams_of(part.forms)
    for k in np.flatnonzero((part.count > 0) & (rest.count > 1)).tolist():
        removed = taken[k] + share[k] * np.multiply.outer(step[k], step[k])
        before = np.diagonal(left[k]) + np.diagonal(removed)
        seen = before > np.square(FLAT) * total[k] * size[k]
        seen &= True if rest.absent is None else ~rest.absent[k]
        room = LARGE * rest.weight[k] * np.square(rest.spread)
        large = bool((np.diagonal(removed) > room)[seen].any())
        unit = np.multiply.outer(*(np.sqrt(before[seen]),) * 2)
        kept, gone = left[k][np.ix_(seen, seen)] / unit, removed[np.ix_(seen, seen)] / unit
        ratio = float(part.weight[k] / rest.weight[k])
        if rest.yy[k] > NONE * labels[k] or labels[k] > LARGE * rest.weight[k] * usual:
            by_label = float(labels[k] / max(rest.yy[k], EPS * labels[k])) if labels[k] > 0 else 0.0
        else:
            by_label = 0.0
        found[k] = max(ratio, by_label, _worst(kept, gone, by_label, large))
    return found


def _worst(kept: Array, gone: Array, by_label: float, large: bool) -> float:
    """Largest eigenvalue of what is gone over the smallest of what is kept; `by_label` is that of the labels."""
    if not len(kept):
        return 0.0
    values, vectors = np.linalg.eigh(kept + gone)
    basis = vectors[:, values > 16 * EPS * len(values) * values[-1]]
    inside = np.linalg.eigvalsh(basis.T @ kept @ basis)
    inside = np.maximum(inside, EPS) if large else inside[inside > NONE * values[-1]]
    if not len(inside):
        return 0.0
    most = float(np.linalg.eigvalsh(gone)[-1])
    return max(most, np.sqrt(most * inside[-1] * by_label)) / float(inside[0])


def _joint(gram: Array, cross: Array, yy: float) -> Array:
    """Moments of features and label together, (d + 1, d + 1)."""
    return np.block([[gram, cross[:, None]], [cross[None], np.array([[yy]])]])


def _definite(before: Array, left: Array, label: object) -> tuple[Array, Array, float]:
    """What is left, with what is negative by rounding at zero; InputError where it is more than rounding."""
    size = np.sqrt(np.maximum(np.diagonal(before), 0.0))
    unit = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(left / np.multiply.outer(unit, unit))
    if values[0] < -INDEFINITE:
        raise InputError(
            f"task {label!r}: without these rows its sums of squares are not positive semidefinite (smallest "
            f"eigenvalue {values[0]:.1e} of what was there), so they were never added as they are; forget only rows "
            f"that were added, with their labels and weights."
        )
    gone = np.diagonal(left) <= GONE * np.square(size)
    if values[0] < 0 or gone.any():
        size[gone] = 0.0
        left = (vectors * np.maximum(values, 0.0)) @ vectors.T * np.multiply.outer(size, size)
    return left[:-1, :-1], left[:-1, -1], float(left[-1, -1])


def _columns_left(rest: Statistics, whole: Statistics, part: Statistics) -> Statistics:
    """Means and spreads of the columns over the rows that are left, where a row has labels of several tasks."""
    total = whole.row_weight - part.row_weight
    if total <= 1e-9 * whole.row_weight:
        return of_labels(rest)
    center = (whole.center * whole.row_weight - part.center * part.row_weight) / total
    share = total * part.row_weight / whole.row_weight
    square = np.square(whole.spread) * whole.row_weight - np.square(part.spread) * part.row_weight
    square -= share * np.square(part.center - center)
    # What is left of a column that no longer varies is rounding of what was there.
    square = np.where(square > 1e-13 * np.square(whole.spread) * whole.row_weight, square, 0.0)
    return replace(rest, center=center, spread=np.sqrt(square / total), row_weight=total)
