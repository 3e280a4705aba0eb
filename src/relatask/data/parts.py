"""Parquet files larger than memory: a file, or a folder of parts, read some rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from relatask.data.delimited import first_line
from relatask.data.table import PARQUET_SUFFIXES, did_you_mean, shorten
from relatask.notices import InputError

ROWS = 65_536
"""Rows that are read at a time."""


@dataclass(frozen=True)
class Parts:
    """One table in several Parquet files.

    Attributes
    ----------
    files : in the order of their names.
    schema : columns that are read, and their types, the same in every part.
    rows : of each file.
    """

    files: tuple[Path, ...]
    schema: pa.Schema
    rows: tuple[int, ...]

    @property
    def n_rows(self) -> int:
        """Rows in all."""
        return sum(self.rows)

    @property
    def n_bytes(self) -> int:
        """Of the files."""
        return sum(file.stat().st_size for file in self.files)

    def batches(self, size: int = ROWS) -> Iterator[pa.RecordBatch]:
        """Rows in their order, at most `size` at a time; a batch is of one part.

        Raises
        ------
        InputError
            Naming a part that is cut short.
        """
        for file in self.files:
            try:
                with pa.parquet.ParquetFile(file, pre_buffer=False) as part:
                    yield from part.iter_batches(size, columns=self.schema.names)
            except (pa.ArrowException, OSError) as error:
                raise InputError(_damaged(file, error)) from None


def parquet_parts(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> Parts:
    """Look at a Parquet file, or at every part of a folder, without reading rows.

    Parameters
    ----------
    path : str or path
        A file, or a folder whose files end in ``.parquet`` or ``.pq``; what lies deeper is not read, nor are names that
        begin with a dot or an underscore.
    columns : sequence of str, optional
        Which are read; None for all, and then every part must have the same.

    Returns
    -------
    Parts

    Raises
    ------
    InputError
        For a folder without parts, a part that is no whole Parquet file, and parts that disagree: a column that one
        lacks, or that is of another type there. The message names the part and the column.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for k in range(2):
    ...     pa.parquet.write_table(pa.table({"x": [1.0, 2.0], "y": [k, k]}), folder / f"part-{k}.parquet")
    >>> parts = parquet_parts(folder)
    >>> parts.n_rows, parts.schema.names, [batch.num_rows for batch in parts.batches()]
    (4, ['x', 'y'], [2, 2])
    """
    files = _files(Path(path))
    found = [_looked_at(file) for file in files]
    schemas, rows = [schema for schema, _ in found], [n for _, n in found]
    names = list(schemas[0].names if columns is None else dict.fromkeys(columns))
    for name in names:
        if name not in schemas[0].names:
            near = did_you_mean(name, schemas[0].names)
            raise InputError(
                f"{files[0]}: there is no column {name!r}{near} Its columns are: {shorten(schemas[0].names)}."
            )
    for file, schema in zip(files[1:], schemas[1:], strict=True):
        for name in names:
            if name not in schema.names:
                raise InputError(
                    f"{file}: there is no column {name!r}, which {files[0].name} has; give every part the same columns."
                )
            kind, expected = schema.field(name).type, schemas[0].field(name).type
            if kind != expected:
                raise InputError(
                    f"{file}: the column {name!r} holds {kind}, in {files[0].name} it holds {expected}; give every "
                    "part the same types."
                )
        more = [name for name in schema.names if name not in schemas[0].names] if columns is None else []
        if more:
            raise InputError(
                f"{file}: the column {more[0]!r} is not in {files[0].name}; give every part the same columns."
            )
    if not sum(rows):
        raise InputError(f"{path}: there are no rows.")
    return Parts(tuple(files), pa.schema([schemas[0].field(name) for name in names]), tuple(rows))


def parquet_schema(path: str | os.PathLike[str]) -> pa.Schema:
    """Columns and their types of a Parquet file, or of the first part of a folder, with rows or without.

    Raises
    ------
    InputError
        For a folder without parts, and a part that is no whole Parquet file.
    """
    return _looked_at(_files(Path(path))[0])[0]


def _files(here: Path) -> list[Path]:
    """A file, or the parts of a folder in the order of their names."""
    if here.is_file():
        return [here]
    if not here.is_dir():
        raise InputError(f"{here}: there is no such file or folder. Check the path.")
    files = sorted(file for file in here.iterdir() if _is_part(file))
    if files:
        return files
    told = f"{here}: the folder holds no file that ends in {' or '.join(PARQUET_SUFFIXES)}"
    deeper = next((file.parent for file in sorted(here.rglob("*")) if _is_part(file)), None)
    if deeper is None:
        raise InputError(f"{told}.")
    raise InputError(f"{told}; what lies deeper ({deeper.relative_to(here)}) is not read: put all parts in one folder.")


def _is_part(file: Path) -> bool:
    """Whether a file holds rows; names that begin with a dot or an underscore are other programs' own."""
    return file.suffix.lower() in PARQUET_SUFFIXES and file.name[0] not in "._" and file.is_file()


def _looked_at(file: Path) -> tuple[pa.Schema, int]:
    """Schema and number of rows, from a file's footer."""
    try:
        with pa.parquet.ParquetFile(file, pre_buffer=False) as part:
            schema, rows = part.schema_arrow.remove_metadata(), part.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise InputError(_damaged(file, error)) from None
    double = next((name for name in schema.names if schema.names.count(name) > 1), None)
    if double is not None:
        raise InputError(f"{file}: several columns are named {double!r}; rename them so that names are unique.")
    return schema, rows


def _damaged(file: Path, error: Exception) -> str:
    return (
        f"{file}: this is not a whole Parquet file (cut short, or another format): {first_line(error)}. Write or copy "
        "it again."
    )
