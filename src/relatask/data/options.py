"""Checks of the loaders' options, with close names where a value is unknown."""

from __future__ import annotations

from collections.abc import Sequence

from relatask.data.table import did_you_mean, shorten
from relatask.notices import InputError


def one_of(value: str, known: Sequence[str], option: str, name: str) -> str:
    """Give `value` back if it is one of the known ones, else raise an `InputError` with the closest."""
    if value in known:
        return value
    raise InputError(
        f"data set {name!r}: {option}={value!r} is unknown{did_you_mean(str(value), known)} "
        f"Expected one of: {shorten(known, 20)}."
    )
