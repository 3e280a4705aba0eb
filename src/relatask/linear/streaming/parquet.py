"""Batches for `fit_batches` from a Parquet file or a folder of parts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from relatask.data.parts import ROWS, parquet_parts
from relatask.linear.input.labels import listed
from relatask.notices import InputError

Batch = tuple[Any, Any, Any, Any]


def parquet_batches(
    path: str | os.PathLike[str],
    y: str,
    *,
    tasks: str | None = None,
    sample_weight: str | None = None,
    features: Sequence[str] | None = None,
    size: int = ROWS,
) -> Iterator[Batch]:
    """Rows of a Parquet file, or of a folder of parts, for `fit_batches`: memory holds one batch at a time.

    Every part is looked at before the first row is read.

    Parameters
    ----------
    path : str or path
        A file, or a folder whose files end in ``.parquet`` or ``.pq``.
    y : str
        The column of labels.
    tasks, sample_weight : str, optional
        The columns of tasks and weights.
    features : sequence of str, optional
        The columns of X; None for all others.
    size : int
        Rows of a batch.

    Returns
    -------
    iterator of (X, y, tasks, sample_weight), Arrow each

    Raises
    ------
    InputError
        For columns that are not there, and parts that disagree; the message names the part and the column.

    Examples
    --------
    >>> import tempfile, pyarrow as pa, pyarrow.parquet
    >>> folder = tempfile.mkdtemp()
    >>> table = pa.table({"x": [0.0, 1.0, 2.0, 0.0, 1.0], "school": ["a", "a", "a", "b", "b"], "y": [0, 1, 2, 1, 2]})
    >>> pyarrow.parquet.write_table(table, f"{folder}/part-0.parquet")
    >>> from relatask.linear import MultiTaskRegressor
    >>> from relatask.linear.streaming import parquet_batches
    >>> MultiTaskRegressor().fit_batches(parquet_batches(folder, "y", tasks="school")).coef_.round(3).tolist()
    [[1.0], [1.0]]
    """
    named = [name for name in (y, tasks, sample_weight) if name is not None]
    if len(set(named)) < len(named):
        raise InputError(f"y, tasks and sample_weight name {listed(named)}; expected a column each.")
    parts = parquet_parts(path, None if features is None else [*features, *named])
    names = parts.schema.names
    absent = [name for name in named if name not in names]
    if absent:
        raise InputError(f"{path}: there is no column {absent[0]!r}; the columns are {listed(names)}.")
    inputs = [name for name in names if name not in named] if features is None else list(features)
    if not inputs:
        raise InputError(f"{path}: no column is left for X beside {listed(named)}.")

    def rows() -> Iterator[Batch]:
        for batch in parts.batches(size):
            of_rows = (None if name is None else batch.column(name) for name in (tasks, sample_weight))
            yield (batch.select(inputs), batch.column(y), *of_rows)

    return rows()
