"""What runs share: options from the settings, rows that are appended whole, runs that go on where they stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from examples.runs import common
from examples.runs.common import COLUMNS, Results, start
from examples.runs.page import ALL, BEGIN, END, PAGES, Page, filled, table


@dataclass(frozen=True)
class Settings:
    methods: tuple[str, ...] = ("hard", "single")
    seeds: tuple[int, ...] = (0, 1)
    lr: float = 1e-3
    crf: bool = True
    clip: float | None = 1.0


def test_options_are_the_settings() -> None:
    given, results = start("x", Settings, argv=["--seeds", "3", "4", "--lr", ".1", "--no-crf", "--clip", "none"])
    assert given == Settings(seeds=(3, 4), lr=0.1, crf=False, clip=None)
    assert results.path is None  # not the run's own settings: its file stays clean


def test_quick_changes_what_it_says_and_the_command_line_wins() -> None:
    given, results = start("x", Settings, quick={"seeds": (0,), "lr": 0.5}, argv=["--quick", "--lr", ".25"])
    assert given == Settings(seeds=(0,), lr=0.25)
    assert results.path is None


def test_the_runs_own_settings_write_to_its_file() -> None:
    assert start("x", Settings, argv=["--seeds", "7"])[1].path == common.RESULTS / "x.csv"


def test_a_bad_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        start("x", Settings, argv=["--lr", "fast"])
    assert "--lr" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_there_is_left_out(tmp_path: Path, kept: bool) -> None:
    path = tmp_path / "x.csv" if kept else None
    results, calls = Results("x", path), []
    for _ in range(2):
        for seed in (0, 1):
            results.run("hard", seed, lambda seed=seed: calls.append(seed) or {("a, b", "error"): seed + 0.5})
    assert calls == [0, 1]
    assert results.mean("hard", "a, b", "error")[::2] == (1.0, 2)
    if path:
        assert path.read_text().splitlines()[0] == ",".join(COLUMNS)


def test_a_line_cut_short_is_no_row(tmp_path: Path) -> None:
    results = Results("x", tmp_path / "x.csv")
    results.add("hard", 0, {("a", "error"): 1.0}, 2.0)
    whole = results.path.read_text()
    results.path.write_text(whole + "a,hard,1,err")
    assert len(results.rows()) == 1
    results.add("hard", 1, {("a", "error"): 3.0}, 2.0)
    assert [row.value for row in results.rows()] == [1.0, 3.0]


def test_the_table_tells_mean_and_deviation(capsys: pytest.CaptureFixture[str]) -> None:
    results = Results("x")
    for seed, value in enumerate((1.0, 3.0)):
        results.add("hard", seed, {("a", "error"): value}, 10.0)
    results.add("single", 0, {("b", "f1"): 0.5}, 1.0)
    results.show()
    out = capsys.readouterr().out
    assert "2.00 (1.41)" in out
    assert "0.50" in out


def test_a_page_holds_our_means_and_what_others_published() -> None:
    results = Results("x")
    for seed, value in enumerate((1.0, 3.0)):
        results.add("hard", seed, {("a", "error"): value}, 10.0)
    page = Page("x", {"error": ("a", "error"), "other": ("b", "f1")}, {"they": (None, 0.5)}, digits=1)
    lines = table(page, results).splitlines()
    assert lines[2:] == ["| hard | 2.0 (1.4) |  | 2 | 10 |", "| *they* |  | 0.5 |  |  |"]
    assert filled(f"above\n{BEGIN}\nold\n{END}\nbelow", "new") == f"above\n{BEGIN}\nnew\n{END}\nbelow"
    with pytest.raises(SystemExit, match="each once"):
        filled("no marks", "new")


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_every_page_has_its_place_for_results(page: Page) -> None:
    text = (PAGES / f"{page.name}.md").read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    assert all(len(values) == len(page.columns) for values in page.published.values())
