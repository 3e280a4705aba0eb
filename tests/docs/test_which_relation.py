"""The guide's tables are those of its CSV files, and no result stands on the page beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmarks.guide import figure, page
from benchmarks.guide.cases import CASES
from benchmarks.guide.record import METHODS, SETS, read
from benchmarks.guide.scarce import COLUMNS, SCARCE_NAMES, SIZES

from relatask.relations import registry

TEXT = page.PAGE.read_text(encoding="utf-8")


def test_the_tables_of_the_page_are_those_of_the_files() -> None:
    assert page.filled(TEXT) == TEXT


def test_a_changed_figure_in_a_file_changes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in page.TABLES.glob("*.csv"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    rows = (tmp_path / "methods.csv").read_text(encoding="utf-8").splitlines()
    cells = rows[1].split(",")
    cells[METHODS.index("mean")] = "0.123"
    (tmp_path / "methods.csv").write_text("\n".join([rows[0], ",".join(cells), *rows[2:]]), encoding="utf-8")
    monkeypatch.setattr(page, "TABLES", tmp_path)
    assert page.filled(TEXT) != TEXT


def test_every_comparison_is_in_the_files_and_on_the_page() -> None:
    methods, sets, labels = (read(page.TABLES / f"{name}.csv") for name in ("methods", "sets", "labels"))
    assert [row["case"] for row in sets] == list(CASES)
    assert list(dict.fromkeys(row["case"] for row in methods)) == list(CASES)
    assert list(dict.fromkeys(row["set"] for row in labels)) == list(SCARCE_NAMES)
    assert (tuple(methods[0]), tuple(sets[0]), tuple(labels[0])) == (METHODS, SETS, COLUMNS)
    for name in SCARCE_NAMES:
        sizes = {int(row["rows"]) for row in labels if row["set"] == name}
        assert sizes == set(SIZES[name.removeprefix("few-")])
    for name in [*(f"case:{case}" for case in CASES), *(name.replace("few-", "few:") for name in SCARCE_NAMES)]:
        assert f"<!-- table: {name} -->" in TEXT


def test_no_result_is_written_by_hand() -> None:
    prose = page.MARK.sub("", TEXT)
    prose = re.sub(r"```.*?```|`[^`]*`", "", prose, flags=re.DOTALL)
    assert re.findall(r"\d+\.\d+|\d+ ?%", prose) == []


def test_relations_on_the_page_exist() -> None:
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    named = set(re.findall(r"`([A-Z][A-Za-z]+)", prose)) - {"NaN", "RMSE"}
    assert named <= set(registry())
    assert set(registry()) <= named


def test_the_figure_is_drawn_from_the_files(tmp_path: Path) -> None:
    figure.draw(read(page.TABLES / "labels.csv"), tmp_path / "labels.svg")
    assert (tmp_path / "labels.svg").read_text(encoding="utf-8").count('<g id="axes_') == len(SCARCE_NAMES)
    assert "which-relation/labels.svg" in TEXT
