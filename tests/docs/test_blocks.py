"""Every code block of README and the guides runs: Python in one namespace a page, commands in order, YAML read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if "design" not in p.parts),
]
KNOWN = {"python", "sh", "yaml", "text", "html", "make"}
BUNDLED = {"diabetes"}
NOT_HERE = ("make ", "pip ", "git ", "cd ", "python -m venv", "xdg-open ", "#")


class Block(NamedTuple):
    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Fenced blocks of a page, with the line they begin at."""
    source = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", source, re.MULTILINE | re.DOTALL)
    return [Block(m[1], m[2], source.count("\n", 0, m.start()) + 2) for m in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_block_of_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = re.findall(r"""(?:load\(["']|relatask data )([\w/]+)""", page.read_text(encoding="utf-8"))
    if (far := sorted(set(named) - BUNDLED)) and not os.environ.get("RELATASK_DATA"):
        pytest.skip(f"RELATASK_DATA is not set: {', '.join(far)} would have to be fetched")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELATASK_CACHE", str(tmp_path / "cache"))
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        assert block.language in KNOWN, f"{page.name}:{block.line}: a block of {block.language!r} is run by nobody"
        if block.language == "python":
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                exec(code, namespace)
        elif block.language == "sh":
            for command in commands(block.text):
                run(command, tmp_path)
        elif block.language == "yaml":
            assert isinstance(yaml.safe_load(block.text), dict)


def commands(text: str) -> list[str]:
    """The commands of a block, continued lines joined; those that set a machine up are not run here."""
    lines = text.replace("\\\n", " ").splitlines()
    wanted = [line.strip().removeprefix("$ ") for line in lines if line.strip()]
    kept = [line for line in wanted if not line.startswith(NOT_HERE)]
    assert all(line.startswith("relatask ") for line in kept), kept
    return [line.split("  #")[0] for line in kept]


def run(command: str, folder: Path) -> None:
    """Run `relatask ...` as this interpreter has it."""
    call = f"{sys.executable} -m relatask {command.removeprefix('relatask ')}"
    environment = {**os.environ, "COLUMNS": "120"}
    done = subprocess.run(call, shell=True, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_the_commands_of_make_demo_run(tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not here")
    # What make would do, without the installation, in another folder.
    plan = subprocess.run(
        ["make", "--dry-run", "--old-file=.venv/base.stamp", "demo", f"DEMO={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    recipe = [line.split("/relatask ", 1)[1] for line in plan.splitlines() if "/bin/relatask " in line]
    assert [line.split()[0] for line in recipe] == ["data", "init", "train"]
    for line in recipe:
        run(f"relatask {line}", tmp_path)
    reports = list(tmp_path.rglob("report.html"))
    assert len(reports) == 1
    assert "Did sharing help?" in reports[0].read_text(encoding="utf-8")
