"""Labels that are classes: of any type, encoded as 0, 1, ...; and the weights that make them count alike."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.input.design import Design
from relatask.linear.input.labels import encode_labels, listed
from relatask.linear.sums.forms import Array
from relatask.notices import InputError


@dataclass(frozen=True, eq=False)
class Encoded:
    """Labels as the positions of their classes, NaN where one is missing; a frame's columns keep their names."""

    values: Array
    columns: list[Hashable]

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, t)."""
        return self.values.shape

    def to_numpy(self) -> Array:
        """The positions."""
        return self.values

    def __len__(self) -> int:
        return len(self.values)


def encode_classes(y: Any) -> tuple[NDArray, Any]:
    """The classes, sorted, and y with each label replaced by its class's position.

    Parameters
    ----------
    y : (n,) or (n, t)
        Numbers, text or booleans; None and NaN are missing labels.

    Returns
    -------
    classes : (C,) array
    encoded : float array, or for a frame an `Encoded` that knows its columns

    Raises
    ------
    InputError
        For numbers that are not whole (a target for regression), infinite ones, or fewer than two classes.
    """
    if y is None:
        raise InputError("requires y to be passed, but the target y is None.")
    array = y.to_numpy() if hasattr(y, "to_numpy") else np.asarray(y)
    if array.dtype.kind == "c":
        raise InputError(f"Complex data not supported: y has dtype {array.dtype}; give classes.")
    classes, positions = encode_labels(array)
    if classes.dtype.kind == "f":
        if np.isinf(classes).any():
            raise InputError("y contains infinity; expected classes, or NaN for a missing label.")
        if (classes != np.floor(classes)).any():
            raise InputError(
                f"Unknown label type: continuous. y holds {classes[classes != np.floor(classes)].tolist()[0]!r}; "
                "expected classes (whole numbers, text or booleans); for numbers use MultiTaskRegressor."
            )
        if (positions < 0).any():  # whole numbers that were floats for the sake of NaN
            classes = classes.astype(np.int64)
    if len(classes) < 2:
        only = f"the one class {classes.tolist()[0]!r}" if len(classes) else "no label"
        raise InputError(f"y holds {only}; a classifier can't train with only one class: give labels of two or more.")
    encoded = np.where(positions < 0, np.nan, positions.astype(np.float64))
    return classes, Encoded(encoded, list(y.columns)) if hasattr(y, "columns") else encoded


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
