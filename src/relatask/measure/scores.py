"""Scores: one tidy table of every number that was measured, a row per method, task, metric, seed and split."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.files import replacing
from relatask.notices import InputError

ALL = "(all tasks)"
"""The task name of numbers that are over all tasks."""

TEXT = ("run", "method", "task", "metric", "split", "better")
WHOLE = ("seed", "n", "n_train")


@dataclass(frozen=True, eq=False)
class Scores:
    """A tidy table: column arrays of one length, a row per (run, method, task, metric, seed, split).

    Parameters
    ----------
    run, method, task, metric, split, better : (rows,) arrays of str
        Which number it is; `task` is the task's label as text, or `ALL`; `better` is ``"higher"`` or ``"lower"``.
    seed : (rows,) int array
        The seed of the method.
    value : (rows,) float array
        The score, in the metric's own units; NaN where it is not defined (r2 of a constant target).
    n, n_train : (rows,) int arrays
        How many observed labels the number is over, and how many the task (or all tasks) had in training;
        `n_train` is 0 where that is not known. Intervals over repeated splits need it.

    Raises
    ------
    InputError
        Where the columns differ in length.

    Examples
    --------
    >>> rows = [{"method": "single", "task": "a", "metric": "rmse", "split": "s0", "value": 2.0, "better": "lower"}]
    >>> scores = Scores.of(rows)
    >>> len(scores), scores.where(method="single").value.tolist()
    (1, [2.0])
    """

    run: npt.NDArray[np.object_]
    method: npt.NDArray[np.object_]
    task: npt.NDArray[np.object_]
    metric: npt.NDArray[np.object_]
    seed: npt.NDArray[np.int64]
    split: npt.NDArray[np.object_]
    value: npt.NDArray[np.float64]
    better: npt.NDArray[np.object_]
    n: npt.NDArray[np.int64]
    n_train: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in columns():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=_dtype(name)))
        lengths = {name: getattr(self, name).shape for name in columns()}
        if len(set(lengths.values())) > 1 or self.value.ndim != 1:
            raise InputError(f"Scores: columns must be one-dimensional and of one length, not {lengths}.")

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Scores:
        """Build the table from mappings; what a row leaves out is empty text, seed 0, or count 0.

        Raises
        ------
        InputError
            For a row without `method`, `task`, `metric`, `value` or `better`, or with an unknown name.
        """
        rows, names = list(rows), columns()
        known, needed = set(names), {"method", "task", "metric", "value", "better"}
        for row in rows:
            if not needed <= row.keys() <= known:
                absent, unknown = (sorted(part) for part in (needed - row.keys(), row.keys() - known))
                raise InputError(f"Scores.of: a row lacks {absent} and has unknown {unknown}; known: {names}.")
        return cls(**{name: _column(name, [row.get(name, _blank(name)) for row in rows]) for name in names})

    @classmethod
    def concat(cls, parts: Iterable[Scores]) -> Scores:
        """Put tables under one another, in the order given."""
        parts = list(parts)
        if not parts:
            return cls.of([])
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns()})

    def __len__(self) -> int:
        return len(self.value)

    def __repr__(self) -> str:
        shown = f"{len(self.methods)} methods, {len(self.tasks)} tasks, {len(self.metrics)} metrics"
        return f"Scores({len(self)} rows: {shown}, {len(self.splits)} splits)"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        lists = [getattr(self, name).tolist() for name in columns()]
        return (dict(zip(columns(), row, strict=True)) for row in zip(*lists, strict=True))

    def rows(self) -> list[dict[str, Any]]:
        """Give the rows as a list of dictionaries of plain Python values."""
        return list(self)

    @property
    def methods(self) -> list[str]:
        """Methods in order of appearance."""
        return distinct(self.method)

    @property
    def tasks(self) -> list[str]:
        """Tasks in order of appearance, without `ALL`."""
        return [name for name in distinct(self.task) if name != ALL]

    @property
    def metrics(self) -> list[str]:
        """Metrics in order of appearance."""
        return distinct(self.metric)

    @property
    def splits(self) -> list[str]:
        """Splits in order of appearance."""
        return distinct(self.split)

    def where(self, **wanted: str | int | Collection[str] | Collection[int]) -> Scores:
        """Keep the rows whose columns equal what is given, or are among it.

        Parameters
        ----------
        **wanted : value or collection of values
            By column name: ``where(method=["a", "b"], metric="rmse")``.

        Raises
        ------
        InputError
            For a name that is not a column.
        """
        keep = np.ones(len(self), dtype=bool)
        for name, choice in wanted.items():
            if name not in columns():
                raise InputError(f"Scores.where: there is no column {name!r}; expected one of {columns()}.")
            among = [choice] if isinstance(choice, str) or not isinstance(choice, Collection) else list(choice)
            keep &= np.isin(getattr(self, name), np.asarray(among, dtype=_dtype(name)))
        return Scores(**{name: getattr(self, name)[keep] for name in columns()})

    def equals(self, other: Scores) -> bool:
        """Whether both tables hold the same rows in the same order; NaN equals NaN, numbers bit for bit."""
        return len(self) == len(other) and all(
            np.array_equal(getattr(self, name), getattr(other, name), equal_nan=name == "value") for name in columns()
        )

    def to_table(self) -> Any:
        """Give the rows as a pyarrow.Table."""
        import pyarrow as pa

        kinds = {name: pa.string() if name in TEXT else pa.int64() for name in columns()} | {"value": pa.float64()}
        return pa.table({name: pa.array(getattr(self, name), type=kinds[name]) for name in columns()})

    def to_pandas(self) -> Any:
        """Give the rows as a pandas.DataFrame (pandas is not among the base requirements)."""
        try:
            import pandas as pd
        except ImportError as error:  # pragma: no cover - depends on the environment
            raise InputError("Scores.to_pandas needs pandas: pip install pandas; or use Scores.to_table().") from error
        return pd.DataFrame({name: getattr(self, name) for name in columns()})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file, whole or not at all."""
        import pyarrow.parquet as pq

        with replacing(path) as part:
            pq.write_table(self.to_table(), part)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Scores:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            For a file that is not Parquet, is cut short, or lacks a column.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
        except pa.ArrowInvalid as error:
            raise InputError(f"{path}: not a whole Parquet file ({error}); write the scores again.") from error
        absent = [name for name in columns() if name not in table.column_names]
        if absent:
            raise InputError(f"{path}: not a table of scores, the columns {absent} are absent.")
        return cls(**{name: _column(name, table.column(name).to_pylist()) for name in columns()})


def columns() -> list[str]:
    """Names of the columns, in order."""
    return [field.name for field in fields(Scores)]


def distinct(values: npt.NDArray[np.object_]) -> list[str]:
    """Distinct values in order of appearance."""
    return list(dict.fromkeys(values.tolist()))


def _dtype(name: str) -> type:
    return object if name in TEXT else np.int64 if name in WHOLE else np.float64


def _blank(name: str) -> str | int:
    return "" if name in TEXT else 0


def _column(name: str, values: list[Any]) -> npt.NDArray[Any]:
    if name in TEXT:
        return np.array([str(value) for value in values], dtype=object)
    if name == "value":
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.array(values, dtype=np.int64)
