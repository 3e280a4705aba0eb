"""Labels that are classes: of any type, encoded as 0, 1, ..."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.given.labels import encode_labels
from relatask.given.numbers import Array
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
