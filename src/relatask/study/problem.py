"""The data of a study in one form, whether the tasks are groups of rows or columns of y."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.linear.design import as_float
from relatask.linear.labels import encode_tasks, listed, task_labels
from relatask.measure import ALL
from relatask.notices import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Problem:
    """Inputs, labels and tasks, checked.

    Parameters
    ----------
    X : array, frame or table with n rows
        Inputs, as given.
    y : (n,) or (n, t) float array
        Labels, NaN where missing.
    tasks : (n,) array, optional
        The task label of each row; None where the columns of y are the tasks.
    codes : (n,) int array, optional
        The same as positions in `labels`.
    labels : tuple of t labels
        Sorted labels of groups, or the columns in order.
    names : tuple of t str
        The labels as text; see `task_names`.
    weight : (n,) float array, optional
        Sample weights.
    """

    X: Any
    y: Floats
    tasks: npt.NDArray[Any] | None
    codes: Ints | None
    labels: tuple[Hashable, ...]
    names: tuple[str, ...]
    weight: Floats | None

    @property
    def n_rows(self) -> int:
        """Rows, with or without a label."""
        return len(self.y)

    @property
    def n_tasks(self) -> int:
        """Tasks."""
        return len(self.labels)

    @property
    def labelled(self) -> Ints:
        """Rows with at least one observed label; no other row is trained or tested on."""
        seen = ~np.isnan(self.y)
        return np.flatnonzero(seen if self.y.ndim == 1 else seen.any(1))

    def split_codes(self, rows: Ints) -> Ints:
        """Tasks of rows for the drawing of splits: columns are split all at once."""
        return np.zeros(len(rows), dtype=np.int64) if self.codes is None else self.codes[rows]

    def counts(self, rows: Ints) -> Ints:
        """Observed labels of each task among rows: (t,)."""
        if self.codes is not None:
            return np.bincount(self.codes[rows][~np.isnan(self.y[rows])], minlength=self.n_tasks)
        return (~np.isnan(self.y[rows].reshape(len(rows), -1))).sum(0)

    def ranges(self) -> tuple[Floats, Floats]:
        """Lowest and highest observed label of each task: two (t,)."""
        if self.codes is None:
            columns = self.y.reshape(self.n_rows, -1)
            return np.nanmin(columns, 0), np.nanmax(columns, 0)
        seen = ~np.isnan(self.y)
        low, high = np.full(self.n_tasks, np.inf), np.full(self.n_tasks, -np.inf)
        np.minimum.at(low, self.codes[seen], self.y[seen])
        np.maximum.at(high, self.codes[seen], self.y[seen])
        return low, high


def problem(X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> Problem:
    """Check inputs, labels and tasks, and bring them to one form.

    Raises
    ------
    InputError
        For lengths that differ, labels that are not numbers, all missing or all equal within each task, tasks without
        any label, two tasks of one name, or weights that are not finite and >= 0.
    """
    values, columns = _labels(y)
    if rows_of(X) != len(values):
        raise InputError(f"X has {rows_of(X)} rows and y has {len(values)}; expected the same number.")
    if not (~np.isnan(values)).any():
        raise InputError("y holds no label: every value is NaN.")
    grouping = codes = None
    labels: tuple[Hashable, ...]
    if tasks is not None:
        values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
        if values.ndim != 1:
            raise InputError(f"y has shape {values.shape} and tasks were given; with tasks y is (n,), without (n, t).")
        grouping = task_labels(tasks, len(values))
        known, places = encode_tasks(grouping, len(values))
        codes, labels = places.astype(np.int64), tuple(list(known) if known.dtype.kind in "mM" else known.tolist())
    else:
        labels = columns
    weight = _weights(sample_weight, len(values))
    found = Problem(X, values, grouping, codes, labels, task_names(labels), weight)
    empty = [name for name, count in zip(found.names, found.counts(np.arange(len(values))), strict=True) if not count]
    if empty:
        raise InputError(f"tasks without any label: {', '.join(empty[:5])}; leave them out or give them labels.")
    low, high = found.ranges()
    if (low == high).all():
        raise InputError(
            f"y does not vary: {'in each task ' if found.n_tasks > 1 else ''}all labels are equal (such as "
            f"{low[0]:g} in {found.names[0]!r}), so that there is nothing to learn or to compare."
        )
    return found


def task_names(labels: Sequence[Hashable]) -> tuple[str, ...]:
    """Tasks as text: ``str`` of the label, and where that is the same for several labels, ``repr``.

    Raises
    ------
    InputError
        For a label that stands twice, names that stay the same, or the name of the numbers over all tasks.

    Examples
    --------
    >>> task_names([1, "1", 2.5])
    ('1', "'1'", '2.5')
    """
    plain = [str(label) for label in labels]
    if ALL in plain:
        raise InputError(f"a task is called {ALL!r}: that name is reserved for the numbers over all tasks; rename it.")
    count = Counter(plain)
    names = tuple(repr(label) if count[name] > 1 else name for label, name in zip(labels, plain, strict=True))
    doubled = sorted(name for name, times in Counter(names).items() if times > 1)
    if doubled:
        raise InputError(f"several tasks are called {listed(doubled)}; rename them so that names are unique.")
    return names


def rows_of(X: Any) -> int:
    """Number of rows of an array, a frame or a pyarrow table."""
    if hasattr(X, "num_rows"):
        return int(X.num_rows)
    if not hasattr(X, "__len__") and not getattr(X, "shape", ()):
        raise InputError(f"X is {type(X).__name__}; expected an array (n, d), a frame or a table.")
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def take(X: Any, rows: Ints) -> Any:
    """Rows of an array, a sparse matrix, a pandas or polars frame, or a pyarrow table, by position."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "num_rows"):
        return X.take(rows)
    return X[rows]


def _labels(y: Any) -> tuple[Floats, tuple[Hashable, ...]]:
    names = getattr(y, "column_names", getattr(y, "columns", None))
    values = as_float(y, "y")
    if values.ndim not in (1, 2) or not values.size:
        raise InputError(f"y has shape {values.shape}; expected (n,) or (n, t) with at least one value.")
    if values.ndim == 1:
        return values, ("y",)
    return values, tuple(names) if names is not None else tuple(range(values.shape[1]))


def _weights(sample_weight: Any, n_rows: int) -> Floats | None:
    if sample_weight is None:
        return None
    weight = as_float(sample_weight, "sample_weight")
    if weight.shape != (n_rows,) or not np.isfinite(weight).all() or (weight < 0).any():
        raise InputError(f"sample_weight {weight.shape} must be ({n_rows},) finite numbers >= 0.")
    return weight
