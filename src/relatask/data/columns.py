"""What a table's column holds, and its values as numbers or as text."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from relatask.notices import InputError

_CODE = re.compile(r"\s*0[0-9]")
_COMMA = re.compile(r"[+-]?[0-9.]*,[0-9]+")


def kind_of(column: pa.ChunkedArray) -> str:
    """Give "number", "text", "time", "empty" (all missing) or "other" (lists, records, bytes).

    Booleans are numbers. A column of missing values only is empty, whatever its type.
    """
    type_ = column.type
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if column.null_count == len(column):
        return "empty"
    if pa.types.is_floating(type_) and not _observed(column).any():
        return "empty"
    if pa.types.is_boolean(type_) or pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return "number"
    if pa.types.is_decimal(type_):
        return "number"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return "text"
    return "time" if pa.types.is_temporal(type_) else "other"


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give a column without dictionary encoding (pandas' and polars' categories)."""
    if not pa.types.is_dictionary(column.type):
        return column
    # By hand: pyarrow has no cast for dictionaries of string views, which polars gives.
    chunks = [_as_string(chunk.dictionary).take(chunk.indices) for chunk in column.chunks]
    return pa.chunked_array(chunks, None if chunks else pa.string())


def numbers(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """Give a column as float64, missing values as NaN.

    Raises
    ------
    InputError
        For text that is not a number, or an infinite value; the message names column and row (counted from 1).
    """
    column = plain(table.column(name))
    kind = kind_of(column)
    if kind == "text":
        column = _parse(column, name)
    elif kind not in ("number", "empty"):
        raise InputError(f"column {name!r} holds {column.type}; expected numbers.")
    # Not safe: integers above 2^53 (long codes) may be rounded rather than refused.
    values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise InputError(
            f"column {name!r} is infinite in row {infinite[0] + 1} ({len(infinite)} such rows). "
            "Give a finite number, or leave the cell empty for a missing value."
        )
    return values


def texts(table: pa.Table, name: str) -> tuple[list[str | None], npt.NDArray[np.intp]]:
    """Give a column's distinct values as text, in order of appearance (None for missing), and each row's code.

    Whole numbers read the same whatever type holds them: 3 and 3.0 are both "3", so that a category survives a column
    that gained missing values.
    """
    column = plain(table.column(name))
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
        whole = pc.drop_null(column)
        if pc.all(pc.equal(whole, pc.floor(whole))).as_py() is not False and _fits(whole):
            column = column.cast(pa.int64())
    encoded = pc.dictionary_encode(column.cast(pa.string()), null_encoding="encode")
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], pa.string()).dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False).astype(np.intp)


def text_cell(table: pa.Table, name: str) -> str:
    """End a sentence on a column that should hold numbers: a cell that is text, and what to do about it."""
    cells = [
        (row, str(value)) for row, value in enumerate(plain(table.column(name)).to_pylist(), 1) if value is not None
    ]
    bad = [(row, value) for row, value in cells if not _is_number(value)]
    coded = [cell for cell in cells if _CODE.match(cell[1])]
    row, value = (bad or coded or cells)[0]
    if not bad and not coded:
        why = "The column is stored as text: store it as numbers."
    elif not bad:
        why = "A column with leading zeros is read as text, for codes such as 007: write its numbers without them."
    elif _COMMA.fullmatch(value.strip()):
        why = "If that is a decimal comma, write decimal points, or part the cells by semicolons."
    else:
        why = "Correct such cells, or leave them empty for a missing value."
    return f"for example {value[:60]!r} in row {row}; numbers are expected. {why}"


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _fits(values: Any) -> bool:
    return bool(pc.all(pc.less(pc.abs(values), float(2**53))).as_py() is not False)


def _as_string(values: pa.Array) -> pa.Array:
    return values.cast(pa.string()) if pa.types.is_string_view(values.type) else values


def _observed(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return ~np.isnan(np.asarray(plain(column).cast(pa.float64()).to_numpy(), dtype=np.float64))


def _parse(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Turn text into numbers: a column may arrive as text because a file had no number in it, or one bad cell."""
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        for row, value in enumerate(column.to_pylist(), start=1):
            try:
                float(value if value is not None else "nan")
            except ValueError:
                raise InputError(
                    f"column {name!r} holds {value!r} in row {row}; expected a number, as in the training rows. "
                    "Correct the cell, or leave it empty for a missing value."
                ) from None
        raise
