"""Reads and writes tables (CSV, TSV, Parquet), with errors that say what is wrong with the file."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from relatask.data.columns import plain
from relatask.data.delimited import first_line, read_csv
from relatask.files import replacing
from relatask.notices import InputError

CSV_SUFFIXES = (".csv", ".tsv", ".txt")
PARQUET_SUFFIXES = (".parquet", ".pq")


def read_table(path: str | os.PathLike[str]) -> pa.Table:
    """Read a CSV, TSV or Parquet file.

    The delimiter of a CSV file (comma, semicolon or tab) is taken from its first line. Empty cells and the words in
    `MISSING` are missing values. A column with a leading zero in any cell (01, 007) holds codes and stays text. Between
    semicolons decimal commas are read where every number of the file has one. `reading_notes` says so of a table.

    Parameters
    ----------
    path : str or path
        A file that ends in ``.csv``, ``.tsv``, ``.txt``, ``.parquet`` or ``.pq``; ``.csv.gz`` also.

    Returns
    -------
    pyarrow.Table
        With at least one row and column names that are not repeated.

    Raises
    ------
    InputError
        For a missing file, an unknown ending, an empty file, rows of different lengths, repeated column names, or a
        Parquet file that is cut short. The message names the file.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "small.csv"
    >>> _ = path.write_text("a;b\\n1;x\\n2;NA\\n")
    >>> read_table(path).to_pydict()
    {'a': [1, 2], 'b': ['x', None]}
    """
    file = Path(path)
    _check_present(file)
    kind = _kind(file)
    table = _read_parquet(file) if kind == "parquet" else read_csv(file)
    _check_names(table.column_names, file)
    if table.num_rows == 0:
        raise InputError(f"{file}: the file has column names and no rows. Give a table with at least one row.")
    return table


def read_csv_columns(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read a delimited file of any ending into numpy columns; missing values are NaN, in text None."""
    table = read_csv(Path(path))
    return {name: table.column(name).to_numpy() for name in table.column_names}


def write_table(table: pa.Table, path: str | os.PathLike[str]) -> Path:
    """Write a table as CSV, TSV or Parquet, whole or not at all.

    Parameters
    ----------
    table : pyarrow.Table, or what `as_table` takes
        What to write; missing values become empty cells in CSV.
    path : str or path
        Where; its ending chooses the format. A file already there is replaced at the last moment.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        For an unknown ending, a folder that does not exist or cannot be written, or columns that the format cannot
        hold (lists in CSV).

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "t.parquet"
    >>> read_table(write_table({"a": [1, 2]}, path)).to_pydict()
    {'a': [1, 2]}
    """
    file = Path(path)
    kind = _kind(file)
    content = as_table(table)
    _check_names(content.column_names, file)
    try:
        with replacing(file) as part:
            _write(content, part, kind, compressed=".gz" in file.suffixes)
    except pa.ArrowException as error:
        raise InputError(f"{file}: the table cannot be written as {kind}: {first_line(error)}.") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror}). Choose another folder.") from None
    return file


def _write(content: pa.Table, path: Path, kind: str, compressed: bool) -> None:
    if kind == "parquet":
        pa.parquet.write_table(content, path)
        return
    # The CSV writer takes no dictionaries.
    content = pa.table({name: plain(content.column(name)) for name in content.column_names})
    options = pa.csv.WriteOptions(delimiter="\t" if kind == "tsv" else ",")
    with pa.OSFile(str(path), "wb") as raw:
        if compressed:
            raw = pa.CompressedOutputStream(raw, "gzip")
        with raw:
            pa.csv.write_csv(content, raw, options)


def as_table(data: Any) -> pa.Table:
    """Turn a pandas or polars frame, or a mapping of columns, into a pyarrow table.

    Raises
    ------
    InputError
        For anything else, and for columns that hold values of several types.

    Examples
    --------
    >>> as_table({"a": [1.0, None]}).num_rows
    2
    """
    if isinstance(data, pa.Table):
        return data
    try:
        if isinstance(data, Mapping):
            return pa.table(dict(data))
        if type(data).__module__.partition(".")[0] == "pandas":
            _check_names([str(name) for name in data.columns], "the frame")
            return pa.Table.from_pandas(data, preserve_index=False)
        if hasattr(data, "__arrow_c_stream__"):
            return pa.table(data)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(f"the table cannot be read: {error}. Give each column values of one type.") from None
    raise InputError(
        f"expected a table (pyarrow, pandas or polars) or a mapping of columns; got {type(data).__name__}."
    )


def need_columns(table: pa.Table, names: Iterable[str], what: str = "column") -> None:
    """Raise an `InputError` with close names for the first name that the table does not have."""
    for name in names:
        if name not in table.column_names:
            raise InputError(
                f"{what} {name!r} is not in the table{did_you_mean(name, table.column_names)} "
                f"Its columns are: {shorten(table.column_names)}."
            )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End a sentence: with the closest known name if there is one, otherwise with a full stop."""
    folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[close[0]]!r}?" if close else "."


def shorten(names: Iterable[Any], most: int = 12) -> str:
    """List names in a sentence, the first `most` of them."""
    listed = [str(name) for name in names]
    if any(re.search(r"[,;'\"]|^$|^ | $", name) for name in listed[:most]):
        listed = [repr(name) for name in listed]
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def _kind(file: Path) -> str:
    suffix = file.with_suffix("").suffix.lower() if file.suffix.lower() == ".gz" else file.suffix.lower()
    if suffix in PARQUET_SUFFIXES and file.suffix.lower() != ".gz":
        return "parquet"
    if suffix in CSV_SUFFIXES:
        return "tsv" if suffix == ".tsv" else "csv"
    raise InputError(
        f"{file}: the ending {file.suffix!r} is unknown. Expected one of {', '.join(CSV_SUFFIXES + PARQUET_SUFFIXES)}."
    )


def _check_present(file: Path) -> None:
    if file.is_file():
        return
    if file.is_dir():
        raise InputError(f"{file} is a folder. Give the table's file.")
    folder = file.parent
    if not folder.is_dir():
        raise InputError(f"{file}: there is no folder {folder}. Check the path.")
    others = [other.name for other in folder.iterdir() if other.suffix in CSV_SUFFIXES + PARQUET_SUFFIXES]
    raise InputError(f"{file}: there is no such file{did_you_mean(file.name, others)}")


def _check_names(names: Iterable[str], where: object) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(
            f"{where}: duplicate column names: {', '.join(map(repr, repeated))}. Give every column its own name."
        )


def _read_parquet(file: Path) -> pa.Table:
    if file.stat().st_size == 0:
        raise InputError(f"{file}: the file is empty.")
    try:
        return pa.parquet.ParquetFile(file).read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{file}: this is not a whole Parquet file (cut short, or another format): {first_line(error)}. "
            "Write or copy it again."
        ) from None
