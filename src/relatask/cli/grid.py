"""Tables that fit the terminal: no number is ever cut; columns leave, and are named, or rows become lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from relatask.cli.show import number, results

WORDS = (28, 16)
"""Columns of words are not folded below these widths: the second where the first leaves too little room."""


def tabular(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    title: str | None = None,
    left: int = 1,
    drop: Sequence[int] | None = None,
    console: Console | None = None,
) -> RenderableType:
    """Return a table of text, numbers or `Text`, as wide as the terminal allows.

    Parameters
    ----------
    columns : sequence of str
        The headers, which may fold.
    rows : sequence of sequences
        Their cells. Words fold; numbers, intervals and verdicts do not.
    title : str, optional
        Above the table.
    left : int
        The first so many columns are words, to the left; the others are numbers, to the right.
    drop : sequence of int, optional
        Columns of numbers, in the order in which they leave a narrow terminal; from the last to the second if not
        given. They are named below the table. Where what is left does not fit, each row becomes lines.
    console : Console, optional
        Where it will be shown; stdout if not given. Without a terminal nothing leaves.
    """
    console = results() if console is None else console
    cells = [[cell if isinstance(cell, Text) else Text(number(cell)) for cell in row] for row in rows]
    if not console.is_terminal:
        made = _grid(columns, cells, title, left, WORDS[0])
        made.width = max(160, _least(console, made)) if _least(console, made) > console.width else None
        return made
    gone = list(range(len(columns) - 1, left, -1)) if drop is None else list(drop)
    for leaving in range(len(gone) + 1):
        out = set(gone[:leaving])
        kept = [position for position in range(len(columns)) if position not in out]
        for width in WORDS:
            body = [[row[position] for position in kept] for row in cells]
            made = _grid([columns[position] for position in kept], body, title, left, width)
            if _least(console, made) <= console.width:
                if out:
                    made.caption = _left_out([columns[position] for position in sorted(out)])
                return made
    return _lines(columns, cells, title)


def _grid(columns: Sequence[str], cells: Sequence[Sequence[Text]], title: str | None, left: int, width: int) -> Table:
    made = Table(
        title=title,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        pad_edge=False,
    )
    for position, name in enumerate(columns):
        words = position < left
        widest = max((row[position].cell_len for row in cells), default=0)
        least = min(widest, width) if words else widest
        made.add_column(name, justify="left" if words else "right", min_width=least, overflow="fold")
    for row in cells:
        made.add_row(*row)
    return made


def _least(console: Console, made: Table) -> int:
    """Return the width below which a table would have to cut: no word of a header is broken either."""
    options = console.options.update_width(10_000)
    widths = []
    for column in made.columns:
        header = Measurement.get(console, options, Text(str(column.header))).minimum
        widths.append(max(column.min_width or 0, header))
    return sum(widths) + 3 * len(widths) + 1  # padding, dividers, edges


def _left_out(names: Sequence[str]) -> Text:
    return Text(f"No room for: {', '.join(names)}. A wider terminal shows all.", style="dim")


def _lines(columns: Sequence[str], cells: Sequence[Sequence[Text]], title: str | None) -> Group:
    """Return each row as lines: its first cell, and below it a line for each other cell."""
    parts: list[RenderableType] = [Text(title, style="bold")] if title else []
    for row in cells:
        parts.append(row[0])
        parts += [
            Padding(Text.assemble((f"{name}: " if name else "", "dim"), cell), (0, 0, 0, 2))
            for name, cell in zip(columns[1:], row[1:], strict=True)
        ]
    return Group(*parts)
