"""Reads CSV and TSV into a table: delimiter, missing values, codes that must stay text, decimal commas."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from relatask.notices import InputError

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "?")
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
CODE = r"^\s*0[0-9]+\s*$"
DECIMAL_COMMA = r"^\s*[+-]?([0-9]+|[0-9]*,[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_NOTES = b"relatask.reading"
_BLOCK = 1 << 22


def read_csv(file: Path) -> pa.Table:
    """Read a delimited file of any ending.

    A column whose cells are numbers stays text where any of them has a leading zero (01, 007): read as numbers, "01"
    and "1" would be one value. Decimal commas are read where cells are parted by semicolons and no number of the file
    has a decimal point.

    Raises
    ------
    InputError
        For a file that is empty, not text, or has rows of different lengths.
    """
    try:
        with pa.input_stream(str(file), compression="detect") as stream:
            head = stream.read(1 << 16)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file}: cannot be read: {first_line(error)}.") from None
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise InputError(f"{file}: the file is empty.")
    delimiter = _delimiter(file, head)
    table = _parse(file, delimiter)
    undecoded = [field.name for field in table.schema if pa.types.is_binary(field.type)]
    if undecoded:
        raise InputError(f"{file}: column {undecoded[0]!r} holds text that is not UTF-8. Save the file as UTF-8.")
    if len(set(table.column_names)) < table.num_columns:
        return table  # whoever needs names refuses it
    notes, point = [], "."
    if delimiter == ";" and (commas := _decimal_commas(table)):
        table, point = _parse(file, delimiter, ","), ","
        notes.append(f"decimal commas are read as such, for example in {commas[0]!r}")
    if codes := _codes(file, table, delimiter):
        texts = dict.fromkeys(codes, pa.string())
        table = _parse(file, delimiter, point, texts)
        notes.append(f"leading zeros (as in 007): read as text, not as numbers: {', '.join(map(repr, codes))}")
    return table.replace_schema_metadata({_NOTES: json.dumps(notes).encode()}) if notes else table


def reading_notes(table: pa.Table) -> tuple[str, ...]:
    """Say what was not plain about reading a CSV file: columns kept as text, decimal commas."""
    return tuple(json.loads((table.schema.metadata or {}).get(_NOTES, b"[]")))


def first_line(error: BaseException) -> str:
    """Give an error's first line, without its full stop."""
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def _parse(file: Path, delimiter: str, point: str = ".", types: dict[str, Any] | None = None) -> pa.Table:
    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "error"

    try:
        # One block at a time: with threads pyarrow does not know the number of a bad row.
        return pa.csv.read_csv(
            str(file),
            read_options=pa.csv.ReadOptions(use_threads=False),
            parse_options=pa.csv.ParseOptions(delimiter=delimiter, invalid_row_handler=note),
            convert_options=pa.csv.ConvertOptions(
                null_values=list(MISSING), strings_can_be_null=True, decimal_point=point, column_types=types or {}
            ),
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if ragged:
            row = ragged[0]
            line = f"line {row.number}" if row.number is not None else f"the line {row.text[:60]!r}"
            raise InputError(
                f"{file}: {line} has {row.actual_columns} cells and the header has {row.expected_columns} "
                f"(delimiter: {DELIMITERS[delimiter]}). Quote cells that hold the delimiter, or repair the line."
            ) from None
        advice = " Save it as UTF-8." if "UTF8" in str(error) else ""
        raise InputError(f"{file}: cannot be read as CSV: {first_line(error)}.{advice}") from None


def _delimiter(file: Path, head: bytes) -> str:
    """Give the delimiter that stands most often in the header, outside quotes."""
    if ".tsv" in file.suffixes:
        return "\t"
    header = head.splitlines()[0].decode("utf-8", errors="replace")
    bare = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=bare.count)


def _decimal_commas(table: pa.Table) -> list[str]:
    """Give the columns of numbers with decimal commas; none where another column has decimal points."""
    if any(pa.types.is_floating(field.type) for field in table.schema):
        return []
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    return [
        name
        for name in texts
        if pc.all(pc.match_substring_regex(table.column(name), DECIMAL_COMMA)).as_py()
        and pc.any(pc.match_substring(table.column(name), ",")).as_py()
    ]


def _codes(file: Path, table: pa.Table, delimiter: str) -> list[str]:
    """Give the columns of numbers in which a cell has a leading zero."""
    numeric = [
        field.name for field in table.schema if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    ]
    if not numeric or not _maybe_codes(file, delimiter):
        return []
    texts = _parse(file, delimiter, types=dict.fromkeys(numeric, pa.string()))
    return [name for name in numeric if pc.any(pc.match_substring_regex(texts.column(name), CODE)).as_py()]


def _maybe_codes(file: Path, delimiter: str) -> bool:
    """Say whether any cell may have a leading zero: a pass over the bytes, so that most files are parsed once."""
    begins = re.compile(rb'(?:^|[\r\n" ' + re.escape(delimiter).encode() + rb"])0[0-9]")
    with pa.input_stream(str(file), compression="detect") as stream:
        kept = b""
        while block := stream.read(_BLOCK):
            if begins.search(kept + block):
                return True
            kept = block[-2:]
    return False
