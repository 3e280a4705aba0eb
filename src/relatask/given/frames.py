"""Frames of a person: the task column taken off, columns in the order of the tasks; sums of squares of a score."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.given.labels import listed
from relatask.given.numbers import Array, check_names
from relatask.notices import InputError


def split_task_column(X: Any, tasks: Any, name: Hashable | None) -> tuple[Any, Any]:
    """Take the task column off a frame; tasks that are given too stand above it.

    Raises
    ------
    InputError
        If tasks are not given and X has no such column.
    """
    columns = list(X.columns) if hasattr(X, "columns") else None
    if name is None or (tasks is not None and (columns is None or name not in columns)):
        return X, tasks
    if columns is None:
        raise InputError(f"task_column={name!r} needs a pandas or polars frame, given {type(X).__name__}.")
    if name not in columns:
        raise InputError(f"task_column={name!r} is not among the columns {listed(columns)}.")
    check_names(columns, "X")
    return X[[c for c in columns if c != name]], X[name] if tasks is None else tasks


def in_order(y: Any, tasks: NDArray) -> Any:
    """Give a frame of labels with its columns in the order of the tasks.

    Raises
    ------
    InputError
        If its columns are not the tasks.
    """
    if not hasattr(y, "columns"):
        return y
    names = list(y.columns)
    if set(names) != set(tasks.tolist()) or len(names) != len(tasks):
        raise InputError(f"y has the columns {listed(names)}; expected the tasks {listed(tasks.tolist())}.")
    return y[tasks.tolist()]


def squares(y: Array, predicted: Array, codes: NDArray[np.intp], weights: Array) -> tuple[float, float]:
    """Sums of squared errors, and of squares about each task's mean, over observed labels."""
    seen = ~np.isnan(y)
    y, predicted, codes, s = y[seen], predicted[seen], codes[seen], weights[seen]
    total = np.bincount(codes, s)
    mean = np.divide(np.bincount(codes, s * y), total, out=np.zeros(len(total)), where=total > 0)
    spread = np.bincount(codes, s * np.square(y - mean[codes]))
    # A constant task's spread is the rounding of its mean.
    spread[spread <= total * np.square(1e-15 * 64 * mean)] = 0.0
    return float(s @ np.square(y - predicted)), float(spread.sum())
