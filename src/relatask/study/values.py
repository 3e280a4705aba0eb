"""What splits follow: the time or the group of each row, read from anything, as codes in order."""

from __future__ import annotations

import datetime
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.linear.input.labels import encode_tasks, object_array
from relatask.notices import InputError

Ints = npt.NDArray[np.int64]


def group_codes(values: Any) -> Ints:
    """Codes (n,) of groups, by labels of any type, also mixed.

    Raises
    ------
    InputError
        If a row has no group.
    """
    column = _column(values, "group splits", "group")
    return encode_tasks(column, len(column))[1].astype(np.int64) if len(column) else np.zeros(0, dtype=np.int64)


def time_codes(values: Any) -> Ints:
    """Ranks (n,) of times, equal for equal times: numbers, dates or datetimes of any of the usual kinds.

    Raises
    ------
    InputError
        If a row has no time, or the times are text or of kinds that have no common order.
    """
    column = _column(values, "time splits", "time")
    if column.dtype.kind == "O" and len(column):
        column = _typed(column)
    if column.dtype.kind not in "iufmMO":
        told = f"time splits: the values are text, such as {str(column[0])!r:.40}, and text sorts as text"
        raise InputError(
            f'{told} ("10" before "9"). Give numbers (values.astype(float)) or datetimes '
            '(numpy.array(values, dtype="datetime64[s]"), pandas.to_datetime(values)).'
            if column.dtype.kind in "UST"
            else f"time splits: values of type {column.dtype} have no order in time; give numbers or datetimes."
        )
    try:
        return np.unique(column, return_inverse=True)[1].astype(np.int64)
    except TypeError as error:  # with and without a time zone
        raise InputError(f"time splits: the times have no common order ({error}); give them in one form.") from error


def _typed(column: npt.NDArray[np.object_]) -> npt.NDArray[Any]:
    """Objects as numbers or datetimes; text as text; what can be compared, such as Python's datetimes, stays."""
    members = column.tolist()
    if any(isinstance(value, str | bytes) for value in members):
        return np.array([next(value for value in members if isinstance(value, str | bytes))], dtype=str)
    if all(isinstance(value, Real) for value in members) or all(isinstance(v, np.datetime64) for v in members):
        return np.array(members)
    kinds = {datetime.datetime if isinstance(v, datetime.datetime) else type(v) for v in members}
    if kinds in ({datetime.datetime}, {datetime.date}):
        return column
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise InputError(f"time splits: values of type {names} have no common order in time; give numbers or datetimes.")


def _column(values: Any, what: str, word: str) -> npt.NDArray[Any]:
    """Values as an array (n,), none of them missing."""
    array = values.to_numpy() if hasattr(values, "to_numpy") else values
    if isinstance(array, str) or not (isinstance(array, np.ndarray) or hasattr(array, "__iter__")):
        raise InputError(f"{what}: {array!r:.60} is not usable; give the {word} of each row.")
    if not isinstance(array, np.ndarray):
        array = object_array(list(array))
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"{what}: values of shape {array.shape}; expected (n,), the {word} of each row.")
    if array.dtype.kind == "O":
        missing = np.array([_is_missing(value) for value in array.tolist()], dtype=bool)
    else:
        missing = array != array if array.dtype.kind in "fmM" else np.zeros(len(array), dtype=bool)
    if missing.any():
        count = int(missing.sum())
        raise InputError(
            f"{what}: {count} row{'s have' if count > 1 else ' has'} no {word} (NaN, None or NaT), the first is row "
            f"{int(np.flatnonzero(missing)[0])}; fill in the {word}, or leave these rows out."
        )
    return array


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except (TypeError, ValueError):  # pandas' NA knows no truth
        return True
