"""Looks at a table and says what its columns and tasks are, and which columns give a target away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from relatask.data.columns import kind_of, numbers, text_cell, texts
from relatask.data.encode import is_id_like
from relatask.data.table import as_table, need_columns, shorten
from relatask.notices import InputError
from relatask.tasks import Kind

Role = Literal["numeric", "categorical", "id-like", "constant", "empty", "time", "other"]
USABLE: tuple[Role, ...] = ("numeric", "categorical", "constant")
_SAME = 0.9999
_FEWEST = 5


@dataclass(frozen=True)
class ColumnFacts:
    """What a column that is neither target nor task column holds.

    `role` is one of `Role`; those in `USABLE` can be features. `n` counts rows with a value, `distinct` their values.
    """

    name: str
    role: Role
    n: int
    missing: float
    distinct: int


@dataclass(frozen=True)
class TaskFacts:
    """What a task's labels are: how many there are, their range, and their classes where they are not to regress.

    `missing` is the share of the task's rows without a label.
    """

    name: Any
    kind: Kind
    n: int
    missing: float
    low: float
    high: float
    classes: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Leak:
    """A column that tells a target almost exactly (RT008): `what` says how, in a sentence."""

    column: str
    target: str
    what: str
    code: str = "RT008"


@dataclass(frozen=True)
class Inference:
    """What `infer` found: `columns` (candidates for features), `tasks`, `leaks`; targets and task column as given."""

    n_rows: int
    targets: tuple[str, ...]
    by: str | None
    columns: tuple[ColumnFacts, ...]
    tasks: tuple[TaskFacts, ...]
    leaks: tuple[Leak, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that can be features; those under suspicion of a leak are still among them."""
        return tuple(column.name for column in self.columns if column.role in USABLE)

    @property
    def left_out(self) -> dict[str, Role]:
        """The columns that cannot be features, and what they are."""
        return {column.name: column.role for column in self.columns if column.role not in USABLE}


def infer(data: Any, targets: Sequence[str], by: str | None = None) -> Inference:
    """Say what a table's columns and tasks are.

    Parameters
    ----------
    data : pyarrow.Table, pandas or polars frame, or mapping of columns
        The table.
    targets : sequence of str
        The target columns, each a task; exactly one where `by` is given.
    by : str, optional
        The task column: each of its values is a task.

    Returns
    -------
    Inference

    Raises
    ------
    InputError
        For an absent column, a target without labels, a task column that is a target or has missing values, and
        several targets with `by`.

    Examples
    --------
    >>> found = infer({"x": [1.0, 2.0, 4.0], "city": ["a", "b", "a"], "y": [1.0, 2.0, None]}, ["y"])
    >>> [(column.name, column.role) for column in found.columns]
    [('x', 'numeric'), ('city', 'categorical')]
    >>> found.tasks[0].n, found.tasks[0].kind
    (2, 'regression')
    """
    table = as_table(data)
    targets = tuple(targets)
    _check(table, targets, by)
    taken = {*targets, by}
    columns = tuple(_column(table, name) for name in table.column_names if name not in taken)
    tasks = [_task(table, name) for name in targets] if by is None else _groups(table, targets[0], by)
    return Inference(table.num_rows, targets, by, columns, tuple(tasks), tuple(_leaks(table, targets, columns)))


def task_labels(table: pa.Table, by: str) -> npt.NDArray[Any]:
    """Give the task of every row: integers where the column holds whole numbers, text otherwise.

    Raises
    ------
    InputError
        Where a row has no task, or tasks are named by numbers that are not whole.
    """
    need_columns(table, [by], "task column")
    column = table.column(by)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    if column.null_count:
        first = column.is_null().to_numpy().argmax() + 1
        raise InputError(
            f"task column {by!r} has no value in {column.null_count} rows (the first is row {first}). "
            "Give every row a task, or remove these rows."
        )
    values, codes = texts(table, by)
    if kind_of(column) == "number" and not pa.types.is_boolean(column.type):
        if not all(str(value).lstrip("-").isdigit() for value in values):
            raise InputError(
                f"task column {by!r} holds numbers that are not whole, such as {values[0]}. Name the column whose "
                "values are the tasks."
            )
        return np.array([int(str(value)) for value in values])[codes]
    return np.array(values)[codes]


def _check(table: pa.Table, targets: tuple[str, ...], by: str | None) -> None:
    if not targets:
        raise InputError("no target is given. Name at least one column to predict.")
    repeated = [name for name in targets if targets.count(name) > 1]
    if repeated:
        raise InputError(f"target {repeated[0]!r} is given twice.")
    need_columns(table, targets, "target")
    if by is not None:
        need_columns(table, [by], "task column")
        if by in targets:
            raise InputError(f"the task column {by!r} is also a target. Name two different columns.")
        if len(targets) > 1:
            raise InputError(
                f"with a task column ({by!r}) one target is expected; got {shorten(targets)}. "
                "Choose one, or leave the task column out to make the targets the tasks."
            )
    for name in targets:
        kind = kind_of(table.column(name))
        if kind == "empty":
            raise InputError(f"target {name!r} has no label in any row.")
        if kind in ("time", "other"):
            raise InputError(f"target {name!r} holds {table.column(name).type}; expected numbers or classes.")


def _column(table: pa.Table, name: str) -> ColumnFacts:
    kind = kind_of(table.column(name))
    if kind in ("time", "other", "empty"):
        role: Role = "time" if kind == "time" else "empty" if kind == "empty" else "other"
        n = table.num_rows - table.column(name).null_count if kind != "empty" else 0
        return ColumnFacts(name, role, n, 1 - n / table.num_rows, 0)
    values, codes = texts(table, name)
    distinct = len([value for value in values if value is not None])
    n = int(np.array([value is not None for value in values])[codes].sum())
    if distinct == 1 and n == table.num_rows:
        role = "constant"
    elif kind == "number":
        role = "numeric"
    else:
        role = "id-like" if is_id_like(distinct, n) else "categorical"
    return ColumnFacts(name, role, n, 1 - n / table.num_rows, distinct)


def _task(table: pa.Table, name: str) -> TaskFacts:
    if kind_of(table.column(name)) == "text":
        values, codes = texts(table, name)
        n = int(np.array([value is not None for value in values])[codes].sum())
        classes = tuple(sorted(value for value in values if value is not None))
        kind: Kind = "binary" if len(classes) == 2 else "multiclass"
        return TaskFacts(name, kind, n, 1 - n / table.num_rows, np.nan, np.nan, classes)
    return _facts(name, numbers(table, name))


def _facts(name: Any, values: npt.NDArray[np.float64]) -> TaskFacts:
    seen = values[~np.isnan(values)]
    distinct = np.unique(seen)
    low, high = (float(distinct[0]), float(distinct[-1])) if len(distinct) else (np.nan, np.nan)
    missing = 1 - len(seen) / len(values)
    if np.array_equal(distinct, [0, 1]):
        return TaskFacts(name, "binary", len(seen), missing, low, high, (0, 1))
    return TaskFacts(name, "regression", len(seen), missing, low, high)


def _groups(table: pa.Table, target: str, by: str) -> list[TaskFacts]:
    labels = task_labels(table, by)
    if kind_of(table.column(target)) == "text":
        raise InputError(f"target {target!r} holds text, {text_cell(table, target)}")
    values = numbers(table, target)
    names, codes = np.unique(labels, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    parts = np.split(values[order], np.cumsum(np.bincount(codes))[:-1])
    # A group that happens to hold only 0 and 1 is no other kind of task than its neighbours.
    kind = _facts(target, values).kind
    facts = [_facts(name, part) for name, part in zip(names.tolist(), parts, strict=True)]
    return [TaskFacts(f.name, kind, f.n, f.missing, f.low, f.high, (0, 1) if kind == "binary" else ()) for f in facts]


def _leaks(table: pa.Table, targets: tuple[str, ...], columns: Sequence[ColumnFacts]) -> list[Leak]:
    """Find features and other targets that equal a target or follow it in a straight line."""
    usable = [column.name for column in columns if column.role in ("numeric", "categorical", "id-like")]
    found = []
    for k, target in enumerate(targets):
        for other in [*usable, *targets[k + 1 :]]:
            what = _same(table, other, target)
            if what:
                found.append(Leak(other, target, f"{other!r} {what} the target {target!r}"))
    return found


def _same(table: pa.Table, left: str, right: str) -> str:
    kinds = {kind_of(table.column(left)), kind_of(table.column(right))}
    if kinds == {"text"}:
        same = pc.equal(table.column(left).cast(pa.string()), table.column(right).cast(pa.string()))
        enough = len(same) - same.null_count >= _FEWEST
        return "equals" if enough and pc.all(same).as_py() else ""
    if kinds != {"number"}:
        return ""
    a, b = numbers(table, left), numbers(table, right)
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    if len(a) < _FEWEST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return ""
    if np.array_equal(a, b):
        return "equals"
    a, b = (a - a.mean()) / a.std(), (b - b.mean()) / b.std()
    correlation = float(np.mean(a * b))
    return f"follows in a straight line (correlation {correlation:.6f})" if abs(correlation) > _SAME else ""
