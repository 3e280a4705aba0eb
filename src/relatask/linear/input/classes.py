"""Labels that are classes: of any type, encoded as 0, 1, ...; and the weights that make them count alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.given.classes import Encoded, encode_classes
from relatask.given.labels import listed
from relatask.linear.input.design import Design
from relatask.linear.sums.forms import Array
from relatask.notices import InputError

__all__ = ["Encoded", "class_weights", "encode_classes"]


def class_weights(design: Design, classes: NDArray, class_weight: Mapping[Any, float] | str | None) -> Array | None:
    """Sample weights times those of each label's class, (n,) or (n, t); "balanced": all classes of a task weigh alike.

    Raises
    ------
    InputError
        For a class that is not among the labels, or a weight that is not a number >= 0.
    """
    if class_weight is None:
        return design.weights
    weights = np.ones(len(design.y)) if design.weights is None else design.weights
    weights = weights[:, None] if weights.ndim < design.y.ndim else weights
    seen = ~np.isnan(design.y)
    position = np.where(seen, design.y, 0).astype(np.intp)
    base = np.where(seen, weights, 0.0)
    if isinstance(class_weight, Mapping):
        return base * _named(class_weight, classes)[position]
    if class_weight != "balanced":
        raise InputError(f"class_weight={class_weight!r} is unknown; expected 'balanced', {{class: weight}}, or None.")
    t, n_classes = design.n_tasks, len(classes)
    task = np.broadcast_to(np.arange(t), design.y.shape) if design.codes is None else design.codes
    total = np.bincount((task * n_classes + position).ravel(), base.ravel(), t * n_classes).reshape(t, n_classes)
    present = (total > 0).sum(1, keepdims=True)
    # n_k / (C_k n_kc), with the classes that the task has: its labels keep their weight as a whole.
    factor = np.divide(total.sum(1, keepdims=True), present * total, out=np.zeros_like(total), where=total > 0)
    return base * factor[task, position]


def _named(class_weight: Mapping[Any, float], classes: NDArray) -> Array:
    known = classes.tolist()
    unknown = [label for label in class_weight if label not in known]
    if unknown:
        raise InputError(f"class_weight names {listed(unknown)}, but the classes are {listed(known)}.")
    factor = np.array([class_weight.get(label, 1.0) for label in known], dtype=np.float64)
    if not (np.isfinite(factor) & (factor >= 0)).all():
        raise InputError(f"class_weight={dict(class_weight)!r}: expected finite weights >= 0.")
    return factor
