"""The page on relations names every relation, and its figures can be drawn from the code."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import pytest

from relatask.relations import registry

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ("relation_signs.svg", "article_a_matrices.svg")


def test_every_relation_has_a_row() -> None:
    rows = [line for line in (DOCS / "relations.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    names = [row.split("`")[1].split("(")[0] for row in rows]
    assert sorted(names) == sorted(registry())


def test_the_figures_can_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["make_relation_signs.py", os.fspath(tmp_path)])
    runpy.run_path(str(DOCS / "figures" / "make_relation_signs.py"), run_name="__main__")
    for name in NAMES:
        assert (tmp_path / name).read_text(encoding="utf-8").startswith("<?xml")
        assert (DOCS / "figures" / name).exists()
        assert f"figures/{name}" in (DOCS / "relations.md").read_text(encoding="utf-8")
