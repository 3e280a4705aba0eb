"""From a table and a configuration to a problem: input columns, labels, tasks."""

from __future__ import annotations

import fnmatch
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relatask.cli.classes import encode_targets
from relatask.cli.config import RunConfig
from relatask.cli.loading import Loaded
from relatask.cli.show import listed, note, plural
from relatask.cli.splitting import TimeSplit
from relatask.measure import ALL
from relatask.notices import InputError


@dataclass(frozen=True)
class Problem:
    """What a study needs: the input columns as a table, labels, tasks, and the column that splits follow.

    `kinds` has one for each task; labels of classes are 0, 1, ..., and `classes` says by target what they stand for.
    """

    inputs: pa.Table
    y: np.ndarray
    tasks: np.ndarray | None
    names: tuple[Any, ...]
    targets: tuple[str, ...]
    split_column: np.ndarray | None = None
    kinds: tuple[str, ...] = ()
    classes: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows."""
        return self.inputs.num_rows

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many classes each task of kind multiclass has, 0 for others."""
        targets = self.targets if self.tasks is None else self.targets * len(self.names)
        return tuple(
            len(self.classes[target]) if kind == "multiclass" else 0
            for target, kind in zip(targets, self.kinds, strict=True)
        )

    @property
    def labels(self) -> Any:
        """The labels as models take them: (n,) beside `tasks`, or (n, t) with the names of the tasks."""
        return self.y if self.tasks is not None else Columns(self.y, self.names)


def read_problem(loaded: Loaded) -> Problem:
    """Read the table that a configuration names, and take it apart."""
    from relatask.data import read_table

    table = read_table(loaded.data)
    tell_reading(table, str(loaded.data))
    return make_problem(table, loaded.config, str(loaded.data))


def tell_reading(table: pa.Table, source: str) -> None:
    """Say what was not plain about reading a table."""
    from relatask.data import reading_notes

    for words in reading_notes(table):
        note(f"{source}: {words}.")


def make_problem(table: pa.Table, config: RunConfig, source: str) -> Problem:
    """Take a table apart into inputs, labels and tasks."""
    features = input_columns(table.column_names, config, source)
    check_categorical(table.column_names, features, config, source)
    need(table, config.targets, source, "tasks")
    table, classes = encode_targets(table, config.binary, source, several=config.several)
    y = np.column_stack([label_column(table, name, source) for name in config.targets])
    for name, values in zip(config.targets, y.T, strict=True):
        if np.isnan(values).all():
            raise InputError(
                f"{source}: the target {name!r} has no label at all; expected numbers in at least one row."
            )
    tasks = None if config.data.by is None else task_column(table, config.data.by, source)
    names: tuple[Any, ...] = tuple(config.tasks)
    if tasks is not None:
        y = y[:, 0]
        names = tuple(np.unique(tasks).tolist())
        empty = [name for name in names if np.isnan(y[tasks == name]).all()] if np.isnan(y).any() else []
        if empty:
            raise InputError(
                f"{source}: {config.data.by} = {listed(empty)}: no label in {config.targets[0]!r}. "
                "Remove these rows, or give at least one label to each task."
            )
    if ALL in map(str, names):
        raise InputError(f"{source}: a task is called {ALL!r}, which means all tasks together here. Rename it.")
    _check_counts(y, config, source)
    kinds = tuple(task.kind for task in config.tasks.values())
    return Problem(
        table.select(features),
        y,
        tasks,
        names,
        config.targets,
        split_column(table, config, source),
        kinds * len(names) if tasks is not None else kinds,
        classes,
    )


def _check_counts(y: np.ndarray, config: RunConfig, source: str) -> None:
    """Raise InputError for counts below 0."""
    for name, task, values in zip(config.targets, config.tasks.values(), y.reshape(len(y), -1).T, strict=True):
        if task.kind == "count" and np.nanmin(values) < 0:
            row = int(np.nanargmin(values)) + 1
            raise InputError(
                f"{source}: the target {name!r} is of kind count and holds {np.nanmin(values):g} in row {row}; "
                "counts are >= 0. For numbers write kind: regression."
            )


def split_column(table: pa.Table, config: RunConfig, source: str) -> np.ndarray | None:
    """Return the column that splits follow: without empty cells, and for splits in time numbers or dates."""
    from relatask.data.columns import kind_of, plain

    name = config.split_column
    if name is None:
        return None
    need(table, (name,), source, "data.split.column")
    column, kind = plain(table.column(name)), kind_of(table.column(name))
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    if column.null_count:
        first = int(column.is_null().to_numpy().argmax()) + 1
        raise InputError(
            f"{source}: data.split.column {name!r} has {plural(column.null_count, 'empty cell')} (the first in row "
            f"{first}). A row needs a value there to be on one side of a split: fill it in, or remove the row."
        )
    if kind == "other" or (kind == "text" and isinstance(config.data.split, TimeSplit)):
        example = next(iter(column.to_pylist()))
        raise InputError(
            f"{source}: data.split.column {name!r} holds {column.type}, such as {example!r:.60}; a split in time needs "
            "numbers or dates. Text would be put in the order of the alphabet. Dates are read where all are written as "
            "2024-03-31, 2024-03-31 14:05 or 2024-03-31T14:05:00."
        )
    return np.asarray(column.to_pylist())


def input_columns(columns: list[str], config: RunConfig, source: str) -> list[str]:
    """Return the input columns: those that a pattern includes and none excludes, never a target or the task column.

    The column that a split follows is an input only where it is included by its own name.
    """
    taken = {*config.targets, config.data.by}
    include, exclude = config.features.include, config.features.exclude
    for pattern in (*include, *exclude):
        if not fnmatch.filter(columns, pattern) and pattern not in columns:
            from relatask.cli.explain import suggestion

            raise InputError(f"{source}: no column matches {pattern!r} (features).{suggestion(pattern, columns)}")
    for pattern in include:
        if pattern in taken:
            raise InputError(f"{source}: features.include names {pattern!r}, which is a target or the task column.")
    if config.split_column not in include:
        taken.add(config.split_column)
    kept = [
        name
        for name in columns
        if name not in taken
        and any(name == pattern or fnmatch.fnmatchcase(name, pattern) for pattern in include)
        and not any(name == pattern or fnmatch.fnmatchcase(name, pattern) for pattern in exclude)
    ]
    if not kept:
        raise InputError(f"{source}: no input column is left; columns are {listed(columns)}.")
    return kept


def check_categorical(columns: list[str], features: list[str], config: RunConfig, source: str) -> None:
    """Raise where features.categorical names a column that is absent, or no input."""
    from relatask.cli.explain import suggestion

    for name in () if config.features.categorical == "auto" else config.features.categorical:
        if name in features:
            continue
        if name in columns:
            raise InputError(
                f"{source}: features.categorical names {name!r}, which is in the table but not among the inputs. "
                "Add it to features.include (or take it out of features.exclude), or leave it out of categorical."
            )
        raise InputError(f"{source}: there is no column {name!r} (features.categorical).{suggestion(name, columns)}")


def need(table: pa.Table, names: tuple[str, ...], source: str, key: str) -> None:
    """Raise where a column is absent, with the nearest name there is."""
    from relatask.cli.explain import suggestion

    for name in names:
        if name not in table.column_names:
            raise InputError(f"{source}: there is no column {name!r} ({key}).{suggestion(name, table.column_names)}")


def label_column(table: pa.Table, name: str, source: str) -> np.ndarray:
    """Return a target as float64, NaN where there is no label."""
    column = table.column(name)
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(table.num_rows, np.nan)
    if not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        from relatask.data.columns import kind_of, text_cell

        if kind_of(column) == "text":
            raise InputError(f"{source}: the target {name!r} holds text, {text_cell(table, name)}")
        raise InputError(f"{source}: the target {name!r} holds {kind}; numbers are expected. Choose another target.")
    values = np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise InputError(
            f"{source}: the target {name!r} is infinite in row {row + 1}; expected numbers or empty cells."
        )
    return values


def task_column(table: pa.Table, name: str, source: str) -> np.ndarray:
    """Return the labels of the tasks, one per row: integers where they are, else text."""
    from relatask.data import task_labels

    need(table, (name,), source, "data.by")
    try:
        return task_labels(table, name)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


@dataclass(frozen=True, eq=False)
class Columns:
    """Labels (n, t) that know the names of their columns, as frames do."""

    values: np.ndarray
    columns: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and tasks."""
        return self.values.shape

    def __len__(self) -> int:
        return len(self.values)

    def to_numpy(self) -> np.ndarray:
        """The labels."""
        return self.values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype, copy=True if copy is None else copy)


def labelled(problem: Problem) -> tuple[Any, Any, int]:
    """Rows with a label, their tasks, and how many rows there are: what splits are drawn from."""
    seen = ~np.isnan(problem.y)
    rows = np.flatnonzero(seen if seen.ndim == 1 else seen.any(1))
    if problem.tasks is None:
        return rows, np.zeros(len(rows), dtype=np.int64), problem.rows
    return rows, np.unique(problem.tasks, return_inverse=True)[1][rows].astype(np.int64), problem.rows


def sha256(path: Path) -> str:
    """Return the hash of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
