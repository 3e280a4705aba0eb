"""From what a person passes (X, y, tasks) to rows with task codes: every check at the public door."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.input.labels import encode_tasks, listed, object_array
from relatask.linear.sums import passes
from relatask.linear.sums.absent import without
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError, RelataskWarning, tell


@dataclass(frozen=True, eq=False)
class Design:
    """Rows, labels and tasks, checked.

    Attributes
    ----------
    X : (n, d) float32 or float64, or CSR; what a task does not have at all (`absent`) is 0.
    y : (n,) for rows that each belong to a task, or (n, t) with NaN where a label is missing.
    codes : (n,) the task of each row, or None where tasks are columns.
    tasks : the t labels, in order.
    weights : (n,) positive, or (n, t) >= 0 for columns, or None.
    absent : (t, d) columns that a task does not have, or None.
    """

    X: Any
    y: Array
    codes: NDArray[np.intp] | None
    tasks: NDArray
    weights: Array | None
    absent: NDArray[np.bool_] | None = None

    @property
    def n_tasks(self) -> int:
        """t."""
        return len(self.tasks)

    def statistics(self) -> Statistics:
        """One pass over the rows."""
        if self.codes is None:
            return passes.columns(self.X, self.y, self.weights)
        stats = passes.grouped(self.X, self.y, self.codes, self.n_tasks, self.weights)
        return stats if self.absent is None else without(stats, self.absent)

    def rows(self, index: NDArray[np.intp]) -> Design:
        """Some of the rows, the tasks unchanged."""
        return Design(
            self.X[index],
            self.y[index],
            None if self.codes is None else self.codes[index],
            self.tasks,
            None if self.weights is None else self.weights[index],
            self.absent,
        )


def grouped_design(X: Any, y: Any, tasks: Any, sample_weight: Any, *, some: bool = False) -> Design:
    """Rows of several tasks, or of one where `tasks` is None; rows without a label or without weight are left out.

    Raises
    ------
    InputError
        For lengths that differ, labels that are not numbers, a task without labels unless these are but `some` rows,
        which may have none at all.
    """
    labels = as_float(y, "y").reshape(-1)
    same_length(X, labels, "y")
    weights = as_weights(sample_weight, len(labels), some=some)
    if tasks is None:
        names, codes = np.zeros(1, dtype=np.intp), np.zeros(len(labels), dtype=np.intp)
    else:
        names, codes = encode_tasks(tasks, len(labels))
    kept = ~np.isnan(labels) if weights is None else ~np.isnan(labels) & (weights > 0)
    count = np.bincount(codes[kept] if not kept.all() else codes, minlength=len(names))
    if not some:
        _check_labels(names, count, grouped=tasks is not None)
    if not kept.all():
        X, labels, codes = X[kept], labels[kept], codes[kept]
        weights = None if weights is None else weights[kept]
    return Design(X, labels, codes, names, weights)


def column_design(
    X: Any, Y: Any, names: Sequence[Hashable] | None, sample_weight: Any, *, some: bool = False
) -> Design:
    """Tasks that are the columns of Y, NaN where a label is missing; rows without weight are left out.

    Raises
    ------
    InputError
        For lengths that differ, labels that are not numbers, columns of one name, a task without labels unless these
        are but `some` rows.
    """
    labels = as_float(Y, "y")
    same_length(X, labels, "y")
    tasks = np.arange(labels.shape[1]) if names is None else object_array(names)
    check_names(tasks, "y")
    weights = as_weights(sample_weight, len(labels), tasks, some=some)
    if weights is not None and weights.ndim == 2:
        labels[weights == 0] = np.nan
    kept = None if weights is None else (weights > 0 if weights.ndim == 1 else (weights > 0).any(1))
    if kept is not None and not kept.all():
        assert weights is not None
        X, labels, weights = X[kept], labels[kept], weights[kept]
    if not some:
        _check_labels(tasks, (~np.isnan(labels)).sum(0), grouped=True)
    return Design(X, labels, None, tasks, weights)


def as_float(values: Any, name: str) -> Array:
    """Labels as a new float64 array (None and NaN are missing labels).

    Raises
    ------
    InputError
        If they do not convert to numbers, or one is infinite.
    """
    array = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    if array.dtype.kind == "c":
        raise InputError(f"Complex data not supported: {name} has dtype {array.dtype}; give real numbers.")
    if array.dtype.kind in "mM":
        raise InputError(f"{name} has dtype {array.dtype}; give numbers, such as days since a date.")
    try:
        out = with_nan(values) if array.dtype.kind == "O" else array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} has dtype {array.dtype} and does not convert to float: {error}.") from error
    if np.isinf(out).any():
        place = np.argwhere(np.isinf(out))[0].tolist()
        raise InputError(f"{name} contains infinity at row {place[0]}; expected numbers, or NaN for a missing label.")
    return out


def with_nan(values: Any) -> Array:
    """Values as float64, what is missing as NaN: pandas' own NA, too."""
    if hasattr(values, "iloc"):
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(values).astype(np.float64)


def as_weights(values: Any, n: int, tasks: NDArray | None = None, *, some: bool = False) -> Array | None:
    """Weights (n,), or with `tasks` (n, t) one per label, or None where all are 1.

    Raises
    ------
    InputError
        For another length, a negative or infinite weight, or none that is positive (unless these are but `some` rows).
    """
    if values is None:
        return None
    weights = as_float(values, "sample_weight")
    if weights.ndim == 0:
        weights = np.full(n, float(weights))
    if weights.ndim == 2 and tasks is not None and len(tasks) > 1:
        if weights.shape != (n, len(tasks)):
            told = f"expected (n,) or ({n}, {len(tasks)}), one weight per row or per label"
            raise InputError(f"sample_weight has shape {weights.shape}; {told}.")
        if hasattr(values, "columns") and list(values.columns) != tasks.tolist():
            told = f"the columns {listed(list(values.columns))}; expected the tasks in order, {listed(tasks.tolist())}"
            raise InputError(f"sample_weight has {told}.")
    elif weights.shape != (n,):
        raise InputError(f"sample_weight has shape {weights.shape}, but X has {n} rows; give one weight per row.")
    if np.isnan(weights).any() or (weights < 0).any():
        raise InputError("sample_weight holds NaN or a negative number; expected finite weights >= 0.")
    if not some and not (weights > 0).any():
        raise InputError("sample_weight is zero everywhere; at least one row must count.")
    if weights.ndim == 2 and (weights == weights[:, :1]).all():
        weights = weights[:, 0]
    return None if (weights == 1).all() else weights


def each_label(values: Any, shape: tuple[int, ...], tasks: NDArray) -> Array:
    """Weights in the shape of the labels, (n,) or (n, t), from those of rows or of labels; 1 where none are given.

    Raises
    ------
    InputError
        As `as_weights`.
    """
    weights = as_weights(values, shape[0], tasks if len(shape) == 2 else None)
    if weights is None:
        return np.ones(shape)
    return np.array(np.broadcast_to(weights[:, None] if weights.ndim < len(shape) else weights, shape))


def same_length(X: Any, y: Array, name: str) -> None:
    """Raise InputError unless X and y have one row each."""
    if X.shape[0] != len(y):
        raise InputError(
            f"X has {X.shape[0]} rows, but {name} has {len(y)}; give one label, or one row of labels, per row."
        )


def check_names(names: Any, what: str) -> None:
    """Raise InputError naming what stands twice."""
    values = list(names)
    if len(set(values)) < len(values):
        double = sorted({str(v) for v in values if values.count(v) > 1})
        raise InputError(f"{what} has several columns named {listed(double)}; rename them so that names are unique.")


def _check_labels(names: NDArray, count: NDArray, grouped: bool) -> None:
    if not count.any():
        raise InputError("y has no label: every value is NaN or has weight 0; expected at least one number per task.")
    empty = names[count == 0].tolist()
    if empty and grouped:
        raise InputError(
            f"task{'s' if len(empty) > 1 else ''} {listed(empty)} without labels: every y is NaN (or has weight 0); "
            f"leave the task out or give it labels."
        )


def warn_about_labels(tasks: NDArray, count: NDArray, yy: Array, mean_y: Array) -> None:
    """RT005 for tasks of one label, and for constant targets."""
    single = tasks[count == 1].tolist()
    flat = (count > 1) & (yy <= 1e-24 * count * np.square(mean_y))
    constant = tasks[flat].tolist()
    told = [f"one label only: {listed(single)}"] if single else []
    told += [f"a constant target: {listed(constant)}"] if constant else []
    if told:
        tell(RelataskWarning(f"tasks with {'; '.join(told)}.", code="RT005"))
