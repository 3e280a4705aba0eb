"""How things look in a terminal: consoles, tables, numbers, complaints; plain lines where there is no terminal."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from relatask.notices import RelataskWarning

_PLAIN = re.compile(r"[\w.+()=/*-]+")
VERDICT_STYLES = {"helped": "green", "hurt": "red", "no difference shown": "dim"}


def results() -> Console:
    """Return the console of results: stdout."""
    return _console(sys.stdout)


def progress() -> Console:
    """Return the console of progress and warnings: stderr."""
    return _console(sys.stderr)


def _console(stream: Any) -> Console:
    terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
    width = None if terminal else 160
    return Console(file=stream, width=width, highlight=False, markup=False, soft_wrap=not terminal)


def say(words: str = "", style: str | None = None) -> None:
    """Print a line of the result."""
    results().print(words, style=style)


def note(words: str, style: str | None = "dim") -> None:
    """Print a line of progress."""
    progress().print(words, style=style)


def complain(words: str) -> None:
    """Print an error: one message, no traceback."""
    progress().print(Text.assemble(("relatask: ", "bold red"), words))


def print_json(value: Any) -> None:
    """Print a value as strict JSON: a number that is not finite becomes null."""
    sys.stdout.write(json.dumps(jsonable(value), ensure_ascii=False, allow_nan=False, indent=1) + "\n")


def jsonable(value: Any) -> Any:
    """Turn numpy values, tuples and numbers that are not finite into what JSON has."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None, left: int = 1) -> Table:
    """Return a table of text, numbers or `Text`: the first `left` columns to the left, the others to the right."""
    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    cells = [[cell if isinstance(cell, Text) else Text(number(cell)) for cell in row] for row in rows]
    for position, name in enumerate(columns):
        words = position < left
        widest = max((len(row[position]) for row in cells), default=0)
        # Headers may fold, numbers may not.
        made.add_column(name, justify="left" if words else "right", min_width=min(widest, 28) if words else widest)
    for row in cells:
        made.add_row(*row)
    return made


def fitting(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, drop: Sequence[int], **how: Any) -> Table:
    """Return a table as wide as the terminal allows: columns leave in the order of `drop` until it fits."""
    room, gone, out = results().width - 8, list(drop), set[int]()
    while True:
        kept = [position for position in range(len(columns)) if position not in out]
        names, body = [columns[k] for k in kept], [[row[k] for k in kept] for row in rows]
        if not gone or sum(width + 3 for width in _widths(names, body)) <= room:
            return table(names, body, **how)
        out.add(gone.pop(0))


def _widths(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[int]:
    """Return the least width of each column: its widest cell, or the longest word of its header."""
    cells = [[len(cell) if isinstance(cell, Text) else len(number(cell)) for cell in row] for row in rows]
    heads = [max((len(word) for word in name.split()), default=0) for name in columns]
    return [max([head, *(row[k] for row in cells)]) for k, head in enumerate(heads)]


def number(value: Any, digits: int = 4) -> str:
    """Return a cell: numbers with so many significant digits, nothing known as a dash.

    Examples
    --------
    >>> number(12.34567), number(12000), number(None), number(float("nan"))
    ('12.35', '12,000', '-', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, (bool, str)):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    value = float(value)
    if not math.isfinite(value):
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
        return f"{value:,.{min(decimals, 6)}f}"
    return f"{value:.{digits - 1}g}"


def signed(value: float | None) -> str:
    """Return a difference with its sign."""
    text = number(value, 3)
    return text if value is None or text == "-" or text.startswith("-") else f"+{text}"


def interval(low: float | None, high: float | None) -> str:
    """Return an interval as [low, high]."""
    return "-" if low is None or high is None or not math.isfinite(low) else f"[{signed(low)}, {signed(high)}]"


def seconds(value: float | None) -> str:
    """Return a duration a person can read."""
    if value is None or not math.isfinite(value):
        return "-"
    if value < 1:
        return f"{1000 * value:.0f} ms" if value >= 0.001 else "< 1 ms"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def verdict(words: str) -> Text:
    """Return a verdict in its colour."""
    return Text(words, style=VERDICT_STYLES.get(words, ""))


def plural(count: int, word: str) -> str:
    """Return '1 task', '2 tasks'."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def listed(names: Sequence[Any], most: int = 6) -> str:
    """Return the first names and how many more there are; in quotes where any is more than one word.

    Examples
    --------
    >>> listed(["Oslo", "Bonn"]), listed(["Rome, IT", "Oslo"]), listed([1, 2, 3], 2)
    ('Oslo, Bonn', "'Rome, IT', 'Oslo'", '1, 2 and 1 more')
    """
    plain = all(not isinstance(name, str) or _PLAIN.fullmatch(name) for name in names[:most])
    shown = ", ".join(str(name) if plain or not isinstance(name, str) else repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def quoted(names: Sequence[Any], most: int = 6) -> str:
    """Return the first names, text in quotes, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show coded warnings as one line on stderr, each once; what libraries below murmur is not shown."""
    seen: set[str] = set()

    def show(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
        text = str(message)
        if text not in seen and issubclass(category, (RelataskWarning, UserWarning)):
            seen.add(text)
            note(f"warning: {text}", style="yellow")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RelataskWarning)
        warnings.showwarning = show
        yield
