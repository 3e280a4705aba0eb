"""Tables that fit the terminal: no number is ever cut; columns leave, and are named, or rows become lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
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
        return _grid(columns, cells, title, left, _widths(columns, cells, left, max(160, console.width), WORDS[0]))
    gone = list(range(len(columns) - 1, left, -1)) if drop is None else list(drop)
    for leaving in range(len(gone) + 1):
        out = set(gone[:leaving])
        kept = [position for position in range(len(columns)) if position not in out]
        names = [columns[position] for position in kept]
        body = [[row[position] for position in kept] for row in cells]
        for least in WORDS:
            widths = _widths(names, body, left, console.width, least)
            if sum(widths) + _frame(names) <= console.width:
                made = _grid(names, body, title, left, widths)
                if out:
                    made.caption = _left_out([columns[position] for position in sorted(out)])
                return made
    return _lines(columns, cells, title)


def _widths(columns: Sequence[str], cells: Sequence[Sequence[Text]], left: int, room: int, words: int) -> list[int]:
    """Return the width of each column: what it needs, and of the room that is left what it could use.

    A column of words needs at most `words`, a column of numbers its widest cell; a header may fold between words.
    """
    widest = [max((row[k].cell_len for row in cells), default=0) for k in range(len(columns))]
    needed, wanted = [], []
    for k, name in enumerate(columns):
        header = max((cell_len(word) for word in name.split()), default=0)
        needed.append(max(header, min(widest[k], words) if k < left else widest[k]))
        wanted.append(max(needed[k], widest[k], cell_len(name)))
    spare = room - _frame(columns) - sum(needed)
    widths = []
    for least, most in zip(needed, wanted, strict=True):
        widths.append(min(most, least + max(spare, 0)))
        spare -= widths[-1] - least
    return widths


def _frame(columns: Sequence[str]) -> int:
    """Return what padding, dividers and edges take."""
    return 3 * len(columns) + 1


def _grid(
    columns: Sequence[str], cells: Sequence[Sequence[Text]], title: str | None, left: int, widths: Sequence[int]
) -> Table:
    made = Table(
        title=title,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        pad_edge=False,
        width=sum(widths) + _frame(columns),
    )
    for position, (name, width) in enumerate(zip(columns, widths, strict=True)):
        # Widths are said outright: rich makes columns narrower than their least width where room is short.
        made.add_column(name, justify="left" if position < left else "right", width=width, overflow="fold")
    for row in cells:
        made.add_row(*row)
    return made


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
