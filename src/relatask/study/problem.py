"""The data of a study in one form, whether the tasks are groups of rows or columns of y."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.linear.input.design import as_float
from relatask.linear.input.labels import encode_tasks, listed, task_labels
from relatask.linear.losses import KINDS as LOSSES
from relatask.measure import ALL
from relatask.measure.catalogue import KINDS, MULTICLASS
from relatask.notices import InputError
from relatask.study.several import as_positions, check_positions, several_classes

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
    kinds : tuple of t str
        The kind of each task: ``"regression"``, ``"binary"``, ``"count"`` or ``"multiclass"``.
    classes : tuple of labels, optional
        Where all tasks are of kind binary, or all of kind multiclass: what the labels 0, 1, ... were.
    sizes : tuple of t int
        How many classes each task has; 0 for those that are not of kind multiclass.
    """

    X: Any
    y: Floats
    tasks: npt.NDArray[Any] | None
    codes: Ints | None
    labels: tuple[Hashable, ...]
    names: tuple[str, ...]
    weight: Floats | None
    kinds: tuple[str, ...]
    classes: tuple[Hashable, ...] | None = None
    sizes: tuple[int, ...] = ()

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


def problem(
    X: Any, y: Any, tasks: Any = None, sample_weight: Any = None, kind: str | Mapping[Hashable, str] = "regression"
) -> Problem:
    """Check inputs, labels and tasks, and bring them to one form.

    With ``kind="binary"`` the two classes may be anything that sorts; they become 0 and 1. With ``kind="multiclass"``
    all tasks have the same classes, which may be anything that sorts; they become 0, 1, ... In tasks of several kinds
    ({task: kind}) two classes are given as 0 and 1; several as 0, 1, ..., or as text in the columns of a frame.

    Raises
    ------
    InputError
        For lengths that differ, labels that are not numbers, all missing or all equal within each task, tasks without
        any label, two tasks of one name, weights that are not finite and >= 0, kinds that are unknown or not one for
        each task, or labels that their kind cannot have.
    """
    check_kind(kind)
    classes, y = _two_classes(y) if kind == "binary" else several_classes(y) if kind == MULTICLASS else (None, y)
    y = as_positions(y, kind)
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
    kinds = kinds_of(kind, labels)
    found = Problem(X, values, grouping, codes, labels, task_names(labels), weight, kinds, classes)
    _check_labels(found)
    found = replace(found, sizes=_sizes(found))
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


def check_kind(kind: Any) -> None:
    """Raise InputError unless it is a kind's name, or a mapping to such."""
    if not isinstance(kind, str | Mapping):
        raise InputError(f"kind={kind!r:.60} must be one of {', '.join(KINDS)}, or {{task: kind}}.")
    for name in (kind,) if isinstance(kind, str) else kind.values():
        if name not in KINDS:
            raise InputError(f"kind {name!r} is unknown; expected one of {', '.join(KINDS)}, or {{task: kind}}.")


def kinds_of(kind: str | Mapping[Hashable, str], labels: Sequence[Hashable]) -> tuple[str, ...]:
    """The kind of each task, from one name for all or a mapping.

    Raises
    ------
    InputError
        For tasks without one, or kinds without a task.
    """
    if isinstance(kind, str):
        return (kind,) * len(labels)
    absent, unknown = ([x for x in a if x not in b] for a, b in ((labels, kind), (list(kind), labels)))
    if absent or unknown:
        said = f"has no task {listed(unknown)}" if unknown else f"names no kind for {listed(absent)}"
        raise InputError(f"kind {said}; the tasks are {listed(list(labels))}: give a kind for each of them.")
    return tuple(kind[label] for label in labels)


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


def _two_classes(y: Any) -> tuple[tuple[Hashable, ...], Any]:
    """The two classes, and the labels as 0, 1 and NaN."""
    classes, found = several_classes(y)
    if len(classes) != 2:
        raise InputError(
            f"kind 'binary' expects labels of two classes; y holds {len(classes)}: {listed(list(classes))}."
        )
    return classes, found


def _check_labels(data: Problem) -> None:
    """Raise InputError, by task, for labels that their kind cannot have."""
    for k, kind in enumerate(data.kinds):
        if kind == "regression":
            continue
        y = data.y.reshape(data.n_rows, -1)[:, k] if data.codes is None else data.y[data.codes == k]
        try:
            if kind == MULTICLASS:
                check_positions(y[~np.isnan(y)])
            else:
                LOSSES[kind].check(y[~np.isnan(y)])
        except InputError as error:
            raise InputError(f"task {data.names[k]!r} (kind {kind!r}): {error}") from None


def _sizes(data: Problem) -> tuple[int, ...]:
    """How many classes each task has: those of all tasks where they share them, else up to its own last one."""
    if MULTICLASS not in data.kinds:
        return (0,) * data.n_tasks
    if data.classes is not None:
        return (len(data.classes),) * data.n_tasks
    top = data.ranges()[1]
    last = np.full_like(top, np.nanmax(top)) if data.codes is not None else top
    return tuple(int(last[k]) + 1 if kind == MULTICLASS else 0 for k, kind in enumerate(data.kinds))


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
