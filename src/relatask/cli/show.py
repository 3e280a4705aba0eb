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

from rich.console import Console
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
