"""Labels as a person gives them, by task and kind: numbers as they are, classes by their place, NaN where missing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import DataConversionWarning

from relatask.given.classes import encode_classes
from relatask.given.labels import encode_labels, encode_tasks, listed, object_array
from relatask.given.numbers import as_float, as_weights, check_names
from relatask.notices import InputError, RelataskWarning, tell

KINDS = ("regression", "binary", "multiclass", "ordinal", "count")
"""Kinds of tasks that a table's column can have."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of n rows.

    Attributes
    ----------
    layout : "one" task, "groups" of rows, or "columns" of y.
    tasks : (t,) their names, in order.
    kinds : t of `KINDS`.
    classes : for each task its classes, or None where its kind has none.
    codes : (n,) the task of each row; None for columns.
    values : (n,), or (n, t) for columns, NaN where a label is missing.
    weights : (n,) > 0, or None where all are 1.
    """

    layout: str
    tasks: NDArray[Any]
    kinds: tuple[str, ...]
    classes: tuple[NDArray[Any] | None, ...]
    codes: NDArray[np.intp] | None
    values: Floats
    weights: Floats | None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.intp]) -> Labels:
        """Give some of the rows."""
        return replace(
            self,
            codes=None if self.codes is None else self.codes[rows],
            values=self.values[rows],
            weights=None if self.weights is None else self.weights[rows],
        )

    def of(self, k: int) -> tuple[NDArray[np.intp], Labels]:
        """Give the labels of task k alone, as "one" task, and their rows."""
        values = self.values if self.codes is not None else self.values[:, k]
        seen = ~np.isnan(values) if self.codes is None else (self.codes == k) & ~np.isnan(values)
        rows = np.flatnonzero(seen)
        weights = None if self.weights is None else self.weights[rows]
        names = self.tasks[k : k + 1]
        codes = np.zeros(len(rows), dtype=np.intp)
        return rows, Labels("one", names, self.kinds[k : k + 1], self.classes[k : k + 1], codes, values[rows], weights)

    def pooled(self) -> tuple[NDArray[np.intp], Labels]:
        """Give all labels as those of "one" task, and the row of each.

        Raises
        ------
        InputError
            Where tasks are of several kinds, or of other classes.
        """
        kinds = sorted(set(self.kinds))
        told_of = {None if own is None else tuple(own.tolist()) for own in self.classes}
        same = len(kinds) == 1 and len(told_of) == 1
        if not same:
            told = f"kinds {listed(kinds)}" if len(kinds) > 1 else "several sets of classes"
            raise InputError(
                f"sharing='pooled' gives one answer for all tasks, but they are of {told}; leave the pooled net out."
            )
        rows, *_ = places = np.nonzero(~np.isnan(self.values))
        codes = np.zeros(len(rows), dtype=np.intp)
        weights = None if self.weights is None else self.weights[rows]
        names = np.zeros(1, dtype=np.intp)
        return rows, Labels("one", names, self.kinds[:1], self.classes[:1], codes, self.values[places], weights)

    def counts(self) -> NDArray[np.intp]:
        """Give the number of labels of each task, (t,)."""
        seen = ~np.isnan(self.values)
        if self.codes is None:
            return np.asarray(seen.sum(0))
        return np.bincount(self.codes[seen], minlength=len(self.tasks))


def read_numbers(y: Any, tasks: Any, sample_weight: Any, n: int) -> Labels:
    """Read labels that are numbers."""
    names, given = given_columns(y, tasks)
    return _read(as_float(given, "y"), names, tasks, sample_weight, n, "regression", None)


def read_classes(y: Any, tasks: Any, sample_weight: Any, n: int) -> Labels:
    """Read labels that are classes, the same for all tasks."""
    names, given = given_columns(y, tasks)
    classes, encoded = encode_classes(given)
    values = np.asarray(encoded if isinstance(encoded, np.ndarray) else encoded.to_numpy(), dtype=np.float64)
    kind = "binary" if len(classes) == 2 else "multiclass"
    return _read(values, names, tasks, sample_weight, n, kind, classes)


def read_kinds(kinds: Any, y: Any, tasks: Any, sample_weight: Any, n: int) -> Labels:
    """Read labels of several kinds, each column (or group) as its kind says.

    Raises
    ------
    InputError
        For kinds that are unknown or not one for each task, labels that their kind cannot have.
    """
    names, given = given_columns(y, tasks)
    array = given.to_numpy() if hasattr(given, "to_numpy") else np.asarray(given)
    if array.ndim == 2 and array.shape[1] == 1 and names is None:
        array = array[:, 0]
    if array.ndim == 2:
        labels = names if names is not None else list(range(array.shape[1]))
        found = _kinds_of(kinds, labels, [array[:, k] for k in range(array.shape[1])])
        columns = [_column(task, kind, array[:, k]) for k, (task, kind) in enumerate(zip(labels, found, strict=True))]
        values = np.stack([column[0] for column in columns], axis=1)
        read = _read(values, names, tasks, sample_weight, n, "regression", None)
        return replace(read, kinds=tuple(found), classes=tuple(column[1] for column in columns))
    whole, codes = (
        (np.zeros(1, dtype=np.intp), np.zeros(len(array), dtype=np.intp))
        if tasks is None
        else (encode_tasks(tasks, len(array)))
    )
    parts = [array[codes == k] for k in range(len(whole))]
    if isinstance(kinds, str) and kinds == "auto":
        found = [_inferred(array)] * len(whole)  # a group that holds only 0 and 1 is no other kind than its neighbours
    else:
        found = _kinds_of(kinds, whole.tolist(), parts)
    values, classes = np.full(len(array), np.nan), []
    for k, (task, kind) in enumerate(zip(whole.tolist(), found, strict=True)):
        values[codes == k], own = _column(task, kind, parts[k])
        classes.append(own)
    read = _read(values, None, tasks, sample_weight, n, "regression", None)
    return replace(read, kinds=tuple(found), classes=tuple(classes))


def given_columns(y: Any, tasks: Any) -> tuple[list[Hashable] | None, Any]:
    """Names of y's columns, where it has some, and y without them."""
    if y is None:
        raise InputError("requires y to be passed, but the target y is None.")
    if type(y).__module__.partition(".")[0] == "pyarrow" and hasattr(y, "column_names"):
        y = {name: y.column(name).to_pylist() for name in y.column_names}
    if isinstance(y, Mapping):
        columns = {name: np.asarray(_listed(values), dtype=object) for name, values in y.items()}
        lengths = {name: len(values) for name, values in columns.items()}
        if not columns or len(set(lengths.values())) > 1:
            raise InputError(f"y has columns of lengths {lengths}; give at least one task, and as many labels of each.")
        return list(columns), np.stack(list(columns.values()), axis=1)
    if hasattr(y, "columns"):
        check_names(y.columns, "y")
        return list(y.columns), y.to_numpy()
    array = y if hasattr(y, "to_numpy") else np.asarray(y)
    shape = tuple(array.shape)
    if len(shape) not in (1, 2) or shape[-1] == 0:
        raise InputError(f"y has shape {shape}; expected (n,), or (n, t) with a task a column.")
    if len(shape) == 2 and shape[1] == 1 and tasks is None:
        told = "A column-vector y was passed when a 1d array was expected; it is read as (n,)."
        tell(DataConversionWarning(told))
        return None, array.reshape(-1)
    return None, array


def _read(
    values: Floats,
    names: list[Hashable] | None,
    tasks: Any,
    sample_weight: Any,
    n: int,
    kind: str,
    classes: NDArray[Any] | None,
) -> Labels:
    """Put values and tasks together, all of one kind, and check them."""
    if values.ndim == 2 and tasks is not None:
        if values.shape[1] > 1:
            raise InputError(
                f"y has shape {values.shape} and tasks are given too; pass y (n,) with tasks, or y (n, t) without."
            )
        values, names = values[:, 0], None
    if len(values) != n:
        raise InputError(f"X has {n} rows, but y has {len(values)}; give one label, or one row of labels, per row.")
    weights = as_weights(sample_weight, n)
    codes: NDArray[np.intp] | None
    if values.ndim == 2:
        layout, codes = "columns", None
        own = np.arange(values.shape[1]) if names is None else object_array(names)
    elif tasks is None:
        layout, codes, own = "one", np.zeros(n, dtype=np.intp), np.zeros(1, dtype=np.intp)
    else:
        own, codes = encode_tasks(tasks, n)
        layout = "groups"
    if weights is not None:
        values = np.where((weights > 0).reshape(-1, *[1] * (values.ndim - 1)), values, np.nan)
    t = len(own)
    found = Labels(layout, own, (kind,) * t, (classes,) * t, codes, values, weights)
    _check_counts(found)
    return found


def _check_counts(labels: Labels) -> None:
    count = labels.counts()
    if not count.any():
        raise InputError("y has no label: every value is NaN or has weight 0; expected at least one label per task.")
    empty = labels.tasks[count == 0].tolist()
    if empty:
        raise InputError(
            f"task{'s' if len(empty) > 1 else ''} {listed(empty)} without labels: every y is missing (or has weight "
            "0); leave the task out or give it labels."
        )
    single = labels.tasks[count == 1].tolist()
    if single:
        tell(RelataskWarning(f"tasks with one label only: {listed(single)}.", code="RT005"))


def _kinds_of(kinds: Any, tasks: Sequence[Hashable], columns: Sequence[NDArray[Any]]) -> list[str]:
    """One kind a task, in the tasks' order."""
    if isinstance(kinds, str) and kinds == "auto":
        return [_inferred(column) for column in columns]
    if isinstance(kinds, str) or not isinstance(kinds, Mapping | Sequence):
        raise InputError(
            f"kinds={kinds!r}; expected 'auto', {{task: kind}}, or one kind for each of the tasks {listed(tasks)}."
        )
    if isinstance(kinds, Mapping):
        missing = [task for task in tasks if task not in kinds]
        unknown = [task for task in kinds if task not in tasks]
        if missing or unknown:
            told = f"kinds names no kind for {listed(missing)}" if missing else f"kinds names {listed(unknown)}"
            raise InputError(f"{told}; the tasks are {listed(tasks)}: give one of {', '.join(KINDS)} for each.")
        found = [kinds[task] for task in tasks]
    else:
        found = list(kinds)
        if len(found) != len(tasks):
            raise InputError(f"kinds has {len(found)} entries for {len(tasks)} tasks ({listed(tasks)}); give one each.")
    for task, kind in zip(tasks, found, strict=True):
        if kind not in KINDS:
            raise InputError(f"kinds: {kind!r} of task {task!r} is unknown; expected one of {', '.join(KINDS)}.")
    return found


def _inferred(column: NDArray[Any]) -> str:
    """The kind that labels look like: text is classes, 0 and 1 alone are two classes, other numbers are numbers."""
    try:
        values = as_float(column, "y")
    except InputError:
        return "binary" if len(encode_labels(column)[0]) == 2 else "multiclass"
    return "binary" if np.array_equal(np.unique(values[~np.isnan(values)]), [0, 1]) else "regression"


def _column(task: Hashable, kind: str, column: NDArray[Any]) -> tuple[Floats, NDArray[Any] | None]:
    """Labels of one task as numbers, and its classes."""
    try:
        if kind in ("regression", "count"):
            values = as_float(column, "y")
            seen = values[~np.isnan(values)]
            if kind == "count" and ((seen < 0).any() or (seen != np.floor(seen)).any()):
                raise InputError("labels must be whole numbers >= 0.")
            return values, None
        classes, encoded = encode_classes(column)
    except InputError as error:
        raise InputError(f"task {task!r} (kind {kind!r}): {error}") from None
    if kind == "binary" and len(classes) != 2:
        raise InputError(
            f"task {task!r} (kind 'binary') has {len(classes)} classes, {listed(classes.tolist())}; say 'multiclass'."
        )
    return np.asarray(encoded, dtype=np.float64), classes


def _listed(values: Any) -> list[Any]:
    """The values of a column as a list."""
    if hasattr(values, "to_pylist"):
        return list(values.to_pylist())
    return list(values.tolist() if hasattr(values, "tolist") else values)
