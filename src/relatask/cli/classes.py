"""Targets of two or several classes: which columns are, what 0, 1, ... stand for, and the columns as such."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from relatask.cli.show import quoted
from relatask.notices import InputError

Classes = dict[str, tuple[Any, ...]]
"""By target: what 0, 1, ... stand for."""
MANY = 100
"""Whole numbers of more different values are no classes."""


def looks_binary(table: pa.Table, name: str) -> bool:
    """Return whether a column holds two values of text, true and false, or 0 and 1."""
    from relatask.data.columns import kind_of

    if name not in table.column_names or kind_of(table.column(name)) not in ("number", "text"):
        return False
    try:
        found, _ = _values(table, name, "")
    except InputError:
        return False
    return len(found) == 2 and (isinstance(found[0], str | bool) or found == [0, 1])


def looks_several(table: pa.Table, name: str) -> bool:
    """Return whether a column holds text of three values or more that come again."""
    from relatask.data.columns import kind_of
    from relatask.data.encode import is_id_like

    if name not in table.column_names or kind_of(table.column(name)) != "text":
        return False
    values, codes = _values(table, name, "")
    return len(values) > 2 and not is_id_like(len(values), int((codes >= 0).sum()))


def encode_targets(
    table: pa.Table,
    columns: Sequence[str],
    source: str,
    known: Mapping[str, tuple[Any, ...]] | None = None,
    several: Sequence[str] = (),
) -> tuple[pa.Table, Classes]:
    """Return the table with these targets as 0, 1, ... and null, and what they stand for.

    Parameters
    ----------
    table : pyarrow.Table
        With the columns; those that are absent are passed over.
    columns : sequence of str
        The targets of kind binary.
    several : sequence of str, optional
        The targets of kind multiclass.
    source : str
        The table's name, for errors.
    known : {target: (class 0, class 1, ...)}, optional
        The classes of a run; otherwise the values that there are, in order.

    Raises
    ------
    InputError
        For a target that does not have two classes, or has one that the run does not know.
    """
    classes: Classes = {}
    for name in (*columns, *several):
        if name not in table.column_names:
            continue
        values, codes = _values(table, name, source)
        pair = tuple(known[name]) if known is not None else tuple(values)
        if name in several:
            _check_several(pair, name, source)
        elif len(pair) != 2:
            said = f"{len(values)} different value{'s' * (len(values) > 1)}, such as {quoted(values, 3)}"
            raise InputError(
                f"{source}: the target {name!r} is of kind binary and holds {said if values else 'no value'}; "
                "expected two. For numbers write kind: regression."
            )
        foreign = [value for value in values if value not in pair]
        if foreign:
            raise InputError(
                f"{source}: the target {name!r} holds {quoted(foreign, 3)}; the run was trained on the classes "
                f"{quoted(pair)}."
            )
        place = np.array([*(pair.index(value) for value in values), np.nan], dtype=np.float64)
        column = pa.array(place[codes], from_pandas=True)
        table = table.set_column(table.column_names.index(name), name, column)
        classes[name] = pair
    return table, classes


def _check_several(found: tuple[Any, ...], name: str, source: str) -> None:
    """Raise InputError for values that are no classes."""
    broken = [value for value in found if isinstance(value, float)]
    if len(found) < 2 or len(found) > MANY or broken:
        said = f"{len(found)} different value{'s' * (len(found) != 1)}, such as {quoted(broken or found, 3)}"
        raise InputError(
            f"{source}: the target {name!r} is of kind multiclass and holds {said if found else 'no value'}; "
            f"expected text or whole numbers of 2 to {MANY} values. For numbers write kind: regression."
        )


def pair_in_words(pair: tuple[Any, ...]) -> str:
    """Say which classes there are, and of two which of them is 1.

    Examples
    --------
    >>> pair_in_words(("no", "yes")), pair_in_words((0, 1)), pair_in_words(("a", "b", "c"))
    ('no (0) or yes (1)', '0 or 1', 'a, b or c')
    """
    if len(pair) != 2:
        shown = [str(value) for value in pair[:6]]
        return f"{', '.join(shown[:-1])} or {shown[-1]}" if len(pair) <= 6 else f"{', '.join(shown)}, ... ({len(pair)})"
    plain = pair == (0, 1) and not isinstance(pair[0], bool)
    return "0 or 1" if plain else f"{pair[0]} (0) or {pair[1]} (1)"


def read_classes(run: Path) -> Classes:
    """Return the classes that a run was trained on; none where its targets are numbers."""
    try:
        found = json.loads((run / "data.json").read_text(encoding="utf-8")).get("classes", {})
    except (OSError, ValueError) as error:
        raise InputError(f"{run / 'data.json'} is damaged or absent ({error}); train the run again.") from error
    return {name: tuple(values) for name, values in found.items()}


def _values(table: pa.Table, name: str, source: str) -> tuple[list[Any], np.ndarray]:
    """The distinct values in order, and the place of each row's among them, -1 where it is missing."""
    from relatask.cli.problem import label_column
    from relatask.data.columns import kind_of, texts

    column = table.column(name)
    if kind_of(column) == "text":
        words, codes = texts(table, name)
        order = sorted(word for word in words if word is not None)
        place = np.array([-1 if word is None else order.index(word) for word in words])
        return list(order), place[codes]
    numbers = label_column(table, name, source)
    found = np.unique(numbers[~np.isnan(numbers)])
    codes = np.where(np.isnan(numbers), -1, np.searchsorted(found, numbers))
    if pa.types.is_boolean(column.type):
        return [bool(value) for value in found], codes
    return [int(value) if value == int(value) else float(value) for value in found], codes
