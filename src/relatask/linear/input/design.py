"""From what a person passes (X, y, tasks) to rows with task codes: every check at the public door."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.given.labels import encode_tasks, listed, object_array
from relatask.given.numbers import as_float, as_weights, check_names, each_label, same_length, with_nan
from relatask.linear.sums import passes
from relatask.linear.sums.absent import without
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError, RelataskWarning, tell

__all__ = [
    "Design",
    "as_float",
    "as_weights",
    "check_names",
    "column_design",
    "each_label",
    "grouped_design",
    "same_length",
    "warn_about_labels",
    "with_nan",
]


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
