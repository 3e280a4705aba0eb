"""Reads the matrix or the edges that a relation is given as a file, and puts them in the order of the tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from relatask.cli.show import quoted
from relatask.notices import InputError

EDGE_HEADERS = {("from", "to"), ("source", "target"), ("i", "j"), ("task_a", "task_b"), ("task1", "task2")}
ADVICE = (
    "For edges name the columns from, to, weight; for a matrix name its columns, or its first column and its columns, "
    "by the tasks."
)


def read_matrix(path: Path, name: str, tasks: Sequence[Any]) -> Any:
    """Read a matrix (t, t) or labelled edges (task, task, weight).

    Edges are two or three columns of which the first two hold tasks, under a header that does not name tasks. All else
    is a square matrix; where its header or its first column name the tasks, in any order, it is put in theirs.

    Raises
    ------
    InputError
        Where it could be either, where names are not those of the tasks, or where a cell is not a number.
    """
    from relatask.data import read_table

    table = read_table(path)
    known = {str(task): task for task in tasks}
    where = f"{name}: {path}"
    if _is_edges(table, known, where):
        return _edges(table, known, where)
    rows, header = table.num_rows, table.column_names
    if len(header) == rows + 1:  # the first column names the tasks
        first = _labels(table, 0)
        if sorted(first) != sorted(known) or sorted(header[1:]) != sorted(known):
            raise InputError(
                f"{where} names the tasks {quoted(first, 3)} in its first column and {quoted(header[1:], 3)} in its "
                f"header; expected the tasks {quoted(list(known), 3)} ({len(known)} of them) in both."
            )
        matrix = _numbers(table, list(known), where)
        return matrix[[first.index(label) for label in known]]
    if len(header) == rows:
        named = [label for label in header if label in known]
        if sorted(header) == sorted(known):  # rows stand in the order of the header
            matrix = _numbers(table, list(known), where)
            return matrix[[header.index(label) for label in known]]
        if named and len(header) == len(known):
            other = [label for label in header if label not in known]
            raise InputError(
                f"{where}: the header names the tasks {quoted(named, 3)}, and {quoted(other, 3)}, which "
                f"{'is no task' if len(other) == 1 else 'are no tasks'}. The tasks are {quoted(list(known))}."
            )
        return _numbers(table, header, where)
    raise InputError(
        f"{where} has {rows} rows below its header and {len(header)} columns; expected a square matrix "
        "(a first column of task names is allowed), or edges in two or three columns (task, task, weight)."
    )


def _is_edges(table: pa.Table, known: dict[str, Any], where: str) -> bool:
    header, rows = table.column_names, table.num_rows
    if len(header) not in (2, 3):
        return False
    head = tuple(label.strip().lower() for label in header[:2])
    labels = [*_labels(table, 0), *_labels(table, 1)]
    if set(header) & set(known):  # a header of tasks, or a first column of tasks below a corner
        return False
    if head in EDGE_HEADERS:
        return True
    words = all(pa.types.is_string(table.schema.field(k).type) for k in (0, 1))
    if not set(labels) <= set(known):
        return words or len(header) not in (rows, rows + 1)
    if len(header) == rows and not words and rows == len(known):
        raise InputError(
            f"{where} could be a matrix of {rows} tasks, or {rows} edges: its numbers are tasks, too. {ADVICE}"
        )
    return True


def _edges(table: pa.Table, known: dict[str, Any], where: str) -> list[tuple[Any, ...]]:
    """Give the edges with the tasks' own labels; those that are no tasks are left for the relation to name."""
    ends = [[known.get(label, label) for label in _labels(table, k)] for k in (0, 1)]
    weights = [] if table.num_columns == 2 else [_numbers(table, table.column_names[2:], where)[:, 0].tolist()]
    return list(zip(*ends, *weights, strict=True))


def _labels(table: pa.Table, position: int) -> list[str]:
    from relatask.data.columns import texts

    values, codes = texts(table, table.column_names[position])
    return ["" if values[code] is None else str(values[code]) for code in codes]


def _numbers(table: pa.Table, columns: Sequence[str], where: str) -> np.ndarray:
    from relatask.data.columns import numbers

    try:
        matrix = np.column_stack([numbers(table, column) for column in columns])
    except InputError as error:
        raise InputError(f"{where}: {error} {ADVICE}") from None
    if np.isnan(matrix).any():
        row, column = (int(k) for k in np.argwhere(np.isnan(matrix))[0])
        raise InputError(
            f"{where}: the cell in row {row + 1} of column {columns[column]!r} is empty; write 0 for none."
        )
    return matrix
