"""Rows as a person gives them, a table or a matrix: what features are read from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relatask.data.table import as_table
from relatask.given.numbers import with_nan
from relatask.notices import InputError


@dataclass(frozen=True, eq=False)
class Rows:
    """A table, or a matrix of numbers that becomes one only where it must.

    Attributes
    ----------
    names : tuple of d str
    matrix : (n, d) float64, or None where some columns may be no numbers.
    given : pyarrow.Table or None
    """

    names: tuple[str, ...]
    matrix: NDArray[np.float64] | None
    given: pa.Table | None = None

    @property
    def length(self) -> int:
        """How many rows."""
        return self.table.num_rows if self.matrix is None else len(self.matrix)

    def take(self, rows: NDArray[np.intp]) -> Rows:
        """Give some of the rows."""
        matrix = None if self.matrix is None else self.matrix[rows]
        return Rows(self.names, matrix, None if self.given is None else self.given.take(rows))

    @cached_property
    def table(self) -> pa.Table:
        """The rows as a table."""
        if self.given is not None:
            return self.given
        assert self.matrix is not None
        return pa.table({name: self.matrix[:, j] for j, name in enumerate(self.names)})


def rows_of(X: Any) -> Rows:
    """Read a table, a frame, a mapping of columns, or an array (n, d), whose columns are "0", "1", ...

    Raises
    ------
    InputError
        For anything else, and for arrays that have not two axes.
    """
    if isinstance(X, Rows):
        return X
    if not isinstance(X, np.ndarray | list):
        table = as_table(X)
        return Rows(tuple(table.column_names), None, table)
    array = np.asarray(X)
    if array.ndim != 2:
        raise InputError(f"X has shape {array.shape}; expected two axes (n, d): reshape one column to (n, 1).")
    if array.dtype.kind == "c":
        raise InputError(f"Complex data not supported: X has dtype {array.dtype}; give real numbers.")
    names = tuple(str(j) for j in range(array.shape[1]))
    if array.dtype.kind not in "OUS":
        return Rows(names, array.astype(np.float64))
    try:
        return Rows(names, with_nan(array))
    except (TypeError, ValueError):
        columns = {name: _column(array[:, j]) for j, name in enumerate(names)}
        return Rows(names, None, pa.table(columns))


def _column(values: NDArray[Any]) -> pa.Array:
    """A column of mixed objects: numbers where all are, else text."""
    try:
        return pa.array(with_nan(values))
    except (TypeError, ValueError):
        told = [None if value is None or value != value else str(value) for value in values.tolist()]
        return pa.array(told, pa.string())
