"""Every script under examples/ runs, asserts what it claims, and prints something; runs on real data have own tests."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(path for path in ROOT.rglob("*.py") if not path.name.startswith("_") and path.parent.name != "runs")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_example_runs(
    script: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # whatever an example writes goes here
    monkeypatch.setattr(sys, "argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out.strip()


def test_there_are_examples() -> None:
    assert {path.name for path in SCRIPTS} >= {"article_e_norms.py", "article_d_chain.py"}
