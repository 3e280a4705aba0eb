"""Tables in a terminal: whatever its width, no number is cut."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from relatask.cli.grid import tabular

COLUMNS = ("task", "labels", "single", "Pairwise", "gain", "95% interval", "q", "verdict")
NONE = "no difference shown"
ROWS = [
    ("Rome", 12345, 12.345678, 11.23456, "+1.234", "[+0.123, +4.567]", "0.0012", "helped"),
    ("a task with quite a long name, written out in full", 7, 1e-7, 1e9, "-0.5", "[-12.345, +11.678]", "1.0", NONE),
    ("x" * 120, 1, 2.0, 3.0, "+1.0", "[-1,234, +5,678]", "0.5", "hurt"),
]


def shown(width, **how):
    out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, highlight=False)
    out.print(tabular(COLUMNS, ROWS, title="A table", console=out, **how))
    return out.file.getvalue()


@pytest.mark.parametrize("width", [24, 30, 40, 60, 80, 100, 120, 200])
@pytest.mark.parametrize("drop", [None, (6, 5), ()])
def test_no_number_is_cut_at_any_width(width, drop):
    text = shown(width, drop=drop)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    flat = " ".join(text.split())
    left_out = flat.partition("No room for:")[2]
    for position, name in enumerate(COLUMNS[1:], 1):
        cells = [row[position] for row in ROWS if isinstance(row[position], str)]
        assert f" {name}" in left_out or all(cell in text or cell in flat for cell in cells), (name, text)


def test_a_wide_terminal_shows_all_and_a_pipe_too():
    assert "No room" not in shown(200)
    out = Console(file=io.StringIO(), width=160, soft_wrap=True)
    names = tuple(f"column {k}" for k in range(40))
    out.print(tabular(names, [tuple(range(100_000, 100_040))], console=out))
    assert all(f"{n:,}" in out.file.getvalue() for n in range(100_000, 100_040))


def test_columns_leave_in_the_order_asked_for():
    assert "No room for: 95% interval, q." in shown(80, drop=(6, 5))


@pytest.mark.parametrize("width", range(20, 90))
def test_headers_take_no_room_from_numbers(width):
    out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, highlight=False)
    row = ("Pairwise (the model)", "44.25 (2.0)", "+4.35", "[-12.4, +21.1]")
    names = ("over all tasks", "explained variance within, %", "gain over single", "interval")
    out.print(tabular(names, [row], console=out))
    text = " ".join(out.file.getvalue().split())
    for cell, left_out in zip(row[1:], ("explained", "gain", "interval"), strict=True):
        assert cell in text or left_out in text.partition("No room for:")[2]
