"""Tables as values: the page and its Markdown twin show the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from relatask.report.words import number, places


@dataclass(frozen=True)
class Column:
    """A column: its title, whether it holds words or numbers, and a note for the title's tooltip."""

    title: str
    kind: Literal["text", "number"] = "number"
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """What a cell says, what it is sorted by (None: last), its tone, and for a bar its length in [0, 1]."""

    text: str
    sort: float | str | None = None
    tone: str = ""
    bar: float | None = None


@dataclass(frozen=True)
class Row:
    """Cells, the name of the task that the row is about, and whether it is the one to look at."""

    cells: tuple[Cell, ...]
    task: str | None = None
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a caption; `name` is unique in the page."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def text(value: str, tone: str = "") -> Cell:
    """A cell of words."""
    return Cell(value, value.casefold(), tone)


def numbers(values: Sequence[float | None], *, sign: bool = False, scale: float = 1.0) -> list[Cell]:
    """Cells of a column of numbers: equal decimals, about three significant digits.

    Examples
    --------
    >>> [cell.text for cell in numbers([1.2345, None, -0.5], sign=True)]
    ['+1.23', '–', '−0.50']
    """
    scaled = [None if value is None or value != value else value * scale for value in values]
    digits = 0 if all(value is None or value == int(value) for value in scaled) else places(scaled)
    return [Cell(number(value, digits, sign=sign), value) for value in scaled]


def columns_to_rows(
    columns: Sequence[Sequence[Cell]], tasks: Sequence[str] | None = None, strong: Sequence[bool] | None = None
) -> tuple[Row, ...]:
    """Put columns of cells side by side."""
    return tuple(
        Row(cells, tasks[i] if tasks else None, bool(strong and strong[i]))
        for i, cells in enumerate(zip(*columns, strict=True))
    )
