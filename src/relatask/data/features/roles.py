"""What a column of a table is to a network: numbers, categories, text, paths of pictures or sounds, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pyarrow as pa

from relatask.data.columns import kind_of, plain, texts
from relatask.data.encode import is_id_like
from relatask.data.features.media import PICTURES, SOUNDS
from relatask.notices import InputError

Role = Literal["numeric", "categorical", "text", "image", "sound", "drop"]
ROLES: tuple[str, ...] = get_args(Role)
_FREE = 3.0
"""Words that a value has on average, from which on text that differs in most rows is free text, and no names."""


def role_of(table: pa.Table, name: str) -> tuple[Role, str]:
    """Say what a column is and, where it is left out, why.

    Raises
    ------
    InputError
        For dates, and values that are neither numbers nor text.
    """
    column = table.column(name)
    kind = kind_of(column)
    if kind == "empty":
        return "drop", "it has no value in the training rows"
    if kind == "number":
        return "numeric", ""
    if kind == "time":
        raise InputError(
            f"column {name!r} holds dates or times ({column.type}), which are not numbers. Turn them into numbers "
            "that mean something here (month, hour, days since an event), or leave the column out."
        )
    if is_words(column.type):
        return "text", ""
    if kind != "text":
        raise InputError(f"column {name!r} holds {column.type}; expected numbers or text. Leave it out.")
    values, codes = texts(table, name)
    known = [value for value in values if value is not None]
    for suffixes, role in ((PICTURES, "image"), (SOUNDS, "sound")):
        if all(value.lower().endswith(suffixes) for value in known):
            return role, ""  # type: ignore[return-value]
    n = int(np.array([value is not None for value in values])[codes].sum())
    long = float(np.mean([len(value.split()) for value in known])) >= _FREE
    if not is_id_like(len(known), n):
        return "categorical", ""
    return ("text", "") if long else ("drop", f"its text differs in most rows ({len(known)} values in {n} rows)")


def is_words(type_: pa.DataType) -> bool:
    """Whether a column holds lists of words."""
    listed = pa.types.is_list(type_) or pa.types.is_large_list(type_)
    return listed and (pa.types.is_string(type_.value_type) or pa.types.is_large_string(type_.value_type))


def text_values(table: pa.Table, name: str) -> Sequence[str | Sequence[str] | None]:
    """Give a column's values as text, or lists of words."""
    column = plain(table.column(name))
    return column.to_pylist() if is_words(column.type) else column.cast(pa.string()).to_pylist()
