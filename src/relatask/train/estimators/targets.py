"""Labels as a net is trained on them: numbers in units of their spread, classes weighted; all from training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.given.labels import listed
from relatask.notices import InputError
from relatask.tasks import Task
from relatask.train.estimators.labels import Labels

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Units:
    """What a regression's labels are measured from and in, by task: ``(y - center) / scale``; 0 and 1 for other kinds.

    Attributes
    ----------
    center, scale : (t,)
    """

    center: Floats
    scale: Floats


def units(labels: Labels) -> Units:
    """Learn units from training labels.

    Columns: each task's own mean and standard deviation. Groups share their unit: one standard deviation within groups
    for all, and for the centre the group's mean drawn to the mean of all, by the share of its variance that is noise
    (James and Stein's estimator, moments by the one-way layout).
    """
    t = len(labels.tasks)
    center, scale = np.zeros(t), np.ones(t)
    weights = np.ones(len(labels)) if labels.weights is None else labels.weights
    if labels.codes is None:
        for k, kind in enumerate(labels.kinds):
            if kind == "regression":
                center[k], scale[k] = _moments(labels.values[:, k], weights)
        return Units(center, scale)
    numbers = np.array([kind == "regression" for kind in labels.kinds])
    rows = numbers[labels.codes] & ~np.isnan(labels.values)
    if not rows.any():
        return Units(center, scale)
    y, s, codes = labels.values[rows], weights[rows], labels.codes[rows]
    mean, within = _groups(y, s, codes, t)
    return Units(np.where(numbers, mean, 0.0), np.where(numbers, within, 1.0))


def tasks_of(labels: Labels, class_weight: Any) -> tuple[Task, ...]:
    """Give each task as training knows it, by names that are text and differ."""
    told = [str(label) for label in labels.tasks.tolist()]
    names = told if len(set(told)) == len(told) else [f"{k}: {name}" for k, name in enumerate(told)]
    out = []
    for k, (name, kind, classes) in enumerate(zip(names, labels.kinds, labels.classes, strict=True)):
        weight = None
        if class_weight is not None and classes is not None and kind != "ordinal" and labels.codes is None:
            weight = tuple(factors(labels.values[:, k], labels.weights, classes, class_weight).tolist())
        count = None if classes is None or kind == "binary" else len(classes)
        out.append(Task(name, kind, classes=count, class_weight=weight))
    return tuple(out)


def row_weights(labels: Labels, class_weight: Any) -> Floats | None:
    """Give the weights of rows that each have one label, those of their classes among them."""
    if class_weight is None or labels.codes is None:
        return labels.weights
    out = np.ones(len(labels)) if labels.weights is None else labels.weights.copy()
    for k, classes in enumerate(labels.classes):
        rows = np.flatnonzero((labels.codes == k) & ~np.isnan(labels.values))
        if classes is None or not len(rows):
            continue
        own = None if labels.weights is None else labels.weights[rows]
        by_class = factors(labels.values[rows], own, classes, class_weight)
        out[rows] *= by_class[labels.values[rows].astype(np.intp)]
    return out


def factors(values: Floats, weights: Floats | None, classes: NDArray[Any], class_weight: Any) -> Floats:
    """Give the weight of each class, (C,): as told, or n / (C n_c) over the classes that are there.

    Raises
    ------
    InputError
        For a class that is not among the labels, a weight that is no number >= 0, or an unknown word.
    """
    known = classes.tolist()
    if isinstance(class_weight, Mapping):
        unknown = [label for label in class_weight if label not in known]
        if unknown:
            raise InputError(f"class_weight names {listed(unknown)}, but the classes are {listed(known)}.")
        found = np.array([class_weight.get(label, 1.0) for label in known], dtype=np.float64)
        if not (np.isfinite(found) & (found >= 0)).all():
            raise InputError(f"class_weight={dict(class_weight)!r}: expected finite weights >= 0.")
        return found
    if class_weight != "balanced":
        raise InputError(f"class_weight={class_weight!r} is unknown; expected 'balanced', {{class: weight}}, or None.")
    seen = ~np.isnan(values)
    s = None if weights is None else weights[seen]
    total = np.bincount(values[seen].astype(np.intp), s, len(known)).astype(np.float64)
    return np.divide(total.sum(), (total > 0).sum() * total, out=np.zeros(len(known)), where=total > 0)


def _moments(y: Floats, s: Floats) -> tuple[float, float]:
    seen = ~np.isnan(y)
    y, s = y[seen], s[seen]
    # In units of the largest, so that squares neither overflow nor vanish.
    unit = float(np.abs(y).max()) or 1.0
    mean = float(np.average(y / unit, weights=s))
    spread = float(np.sqrt(np.average(np.square(y / unit - mean), weights=s)))
    return mean * unit, (spread if spread > 1e-12 * abs(mean) else 1.0) * (unit if spread > 1e-12 * abs(mean) else 1.0)


def _groups(y: Floats, s: Floats, codes: NDArray[np.intp], t: int) -> tuple[Floats, float]:
    """(t,) centres of groups, and the standard deviation within them."""
    grand, overall = _moments(y, s)
    z = (y - grand) / overall
    total = np.bincount(codes, s, t)
    count = np.bincount(codes, minlength=t)
    there = total > 0
    own = np.divide(np.bincount(codes, s * z, t), total, out=np.zeros(t), where=there)
    free = len(z) - there.sum()
    residual = float(s @ np.square(z - own[codes])) / float(s.mean())
    noise = residual / free if free > 0 else 1.0
    effective = np.maximum(count, 1)
    between = float(np.square(own[there]).mean() - (noise / effective[there]).mean()) if there.sum() > 1 else 0.0
    between = max(between, 0.0)
    share = between / (between + noise / effective) if between > 0 else np.zeros(t)
    spread = float(np.sqrt(noise)) if noise > 1e-12 else 1.0
    return grand + overall * np.where(there, share * own, 0.0), overall * spread
