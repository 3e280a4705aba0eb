"""Targets of several classes in a study: labels as positions 0, 1, ..., and what models say of them as chances."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.given.classes import encode_classes
from relatask.given.numbers import as_float
from relatask.measure.catalogue import MULTICLASS
from relatask.notices import InputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Named:
    """Labels (n, t) of any type, with the names of their columns."""

    columns: tuple[Hashable, ...]
    values: npt.NDArray[Any]

    def to_numpy(self) -> npt.NDArray[Any]:
        """The labels."""
        return self.values


def named(y: Any) -> Any:
    """A pyarrow table as labels that know their columns; anything else as it is."""
    if not hasattr(y, "column_names"):
        return y
    columns = np.empty((y.num_rows, y.num_columns), dtype=object)
    for k, column in enumerate(y.columns):
        columns[:, k] = column.to_pylist()
    return Named(tuple(y.column_names), columns)


def several_classes(y: Any) -> tuple[tuple[Hashable, ...], Any]:
    """The classes of all tasks together, sorted, and the labels as their positions, NaN where missing."""
    classes, found = encode_classes(named(y))
    return tuple(one.item() if hasattr(one, "item") else one for one in classes), found


def as_positions(y: Any, kind: Any) -> Any:
    """Labels of several kinds with every multiclass column that is not numbers as positions of its own classes."""
    if not isinstance(kind, Mapping) or MULTICLASS not in kind.values() or not _has_columns(y):
        return y
    frame = named(y)
    raw = np.array(frame.to_numpy(), dtype=object)
    values = np.empty(raw.shape, dtype=np.float64)
    for k, name in enumerate(frame.columns):
        if kind.get(name) == MULTICLASS and any(isinstance(value, str) for value in raw[:, k]):
            values[:, k] = encode_classes(raw[:, k])[1]
        else:
            values[:, k] = as_float(raw[:, k], f"y, column {name!r},")
    return Named(tuple(frame.columns), values)


def _has_columns(y: Any) -> bool:
    return hasattr(y, "column_names") or (hasattr(y, "columns") and hasattr(y, "to_numpy"))


def check_positions(y: Floats) -> None:
    """Raise InputError for labels that are no positions of classes."""
    wrong = (y < 0) | (y != np.floor(y))
    if wrong.any():
        raise InputError(f"labels hold {y[wrong][0]:g}; expected the classes as whole numbers 0, 1, ..., or as text.")


def stacked(found: Sequence[Floats], kinds: Sequence[str], sizes: Sequence[int]) -> Floats:
    """Answers for all columns (n, t, C) from those of each: see `relatask.measure.several.plain`.

    Parameters
    ----------
    found : sequence of t arrays
        Numbers (n,), or chances (n, its classes).
    kinds, sizes : sequences of t
        Of the tasks.
    """
    whole = np.full((len(found[0]), len(found), max(sizes)), np.nan)
    for k, (kind, values) in enumerate(zip(kinds, found, strict=True)):
        if kind == MULTICLASS:
            whole[:, k, : values.shape[1]] = values
        else:
            whole[:, k, 0] = values.reshape(len(values))
    return whole


def spread(chances: Any, classes: Any, size: int) -> Floats:
    """Chances (..., C) of the classes that a model saw as those of all classes (..., size): 0 for the others."""
    raw = np.asarray(chances, dtype=np.float64)
    found = np.zeros((*raw.shape[:-1], size))
    found[..., np.asarray(classes, dtype=np.float64).astype(np.int64)] = raw
    return found
