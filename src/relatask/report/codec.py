"""Frozen dataclasses to plain JSON values and back, by their type hints; NaN and infinity become null."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any

from relatask.notices import InputError

_NUMBERS = (float, float | None)


def encode(value: Any) -> Any:
    """Turn dataclasses, tuples, mappings and numbers into what strict JSON can hold.

    Parameters
    ----------
    value : dataclass, sequence, mapping, number, str, bool or None
        numpy scalars and arrays are accepted.

    Returns
    -------
    dict, list, str, int, float, bool or None
        Numbers that are not finite are None.

    Raises
    ------
    InputError
        For a value of another kind.

    Examples
    --------
    >>> encode({"a": (1.0, float("nan"))})
    {'a': [1.0, None]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if all(type(item) is float for item in value):  # most of a record: rows of matrices
            return [item if math.isfinite(item) else None for item in value]
        return [encode(item) for item in value]
    raise InputError(f"a record cannot hold {value!r} of type {type(value).__name__}; expected numbers, text or rows.")


def decode(kind: Any, value: Any, where: str = "record") -> Any:
    """Build a value of type `kind` from what `encode` gave.

    Parameters
    ----------
    kind : type
        A dataclass, ``tuple[X, ...]``, ``dict[str, X]``, ``X | None``, str, int, float or bool.
    value : object
        The JSON value. A null where a float is asked for is NaN.
    where : str
        The path to the value, for the error.

    Raises
    ------
    InputError
        Where the value does not fit the type: names the place, what was given and what was expected.

    Examples
    --------
    >>> decode(tuple[float, ...], [1, None])
    (1, nan)
    """
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        inner = [part for part in typing.get_args(kind) if part is not type(None)]
        return None if value is None else decode(inner[0], value, where)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(typing.cast(type, kind), value, where)
    if origin is tuple:
        item = typing.get_args(kind)[0]
        if item in _NUMBERS and isinstance(value, list) and all(type(part) is float for part in value):
            return tuple(value)
        return tuple(decode(item, part, f"{where}[{i}]") for i, part in enumerate(_expect(list, value, where)))
    if origin is dict:
        item = typing.get_args(kind)[1]
        return {key: decode(item, part, f"{where}.{key}") for key, part in _expect(dict, value, where).items()}
    if origin is typing.Literal:
        if value not in typing.get_args(kind):
            raise InputError(f"{where}: given {value!r:.60}, expected one of {', '.join(typing.get_args(kind))}.")
        return value
    if kind is float:
        return math.nan if value is None else _expect((int, float), value, where)
    return _expect(kind, value, where)


def _decode_dataclass(kind: type, value: Any, where: str) -> Any:
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    given = _expect(dict, value, where)
    if unknown := sorted(set(given) - set(fields)):
        raise InputError(f"{where}: unknown field {unknown[0]!r}; expected {', '.join(fields)}.")
    absent = [
        name
        for name, field in fields.items()
        if name not in given and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if absent:
        raise InputError(f"{where}: the field {absent[0]!r} is missing; was the file cut short or edited?")
    return kind(**{name: decode(hints[name], part, f"{where}.{name}") for name, part in given.items()})


def _expect(kind: Any, value: Any, where: str) -> Any:
    if (isinstance(value, bool) and kind is not bool) or not isinstance(value, kind):
        wanted = kind.__name__ if isinstance(kind, type) else "number"
        raise InputError(f"{where}: given {value!r:.60} ({type(value).__name__}), expected {wanted}.")
    return value
