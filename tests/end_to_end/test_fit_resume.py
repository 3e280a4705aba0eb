"""Killed at any moment and taken up again, a run ends bit for bit as if it had never stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.killed_run import CASES

ROOT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[int]]]:
    """Where the runs are, and how their processes ended: whole, killed, killed again, taken up to the end."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.killed_run", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return folder, [json.loads(line) for line in done.stdout.splitlines()]


def files(folder: Path) -> dict[str, bytes]:
    """All that a run leaves."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("number", range(len(CASES)), ids=list(CASES))
def test_killed_and_resumed_it_ends_bit_equal(number: int, runs: tuple[Path, list[list[int]]]) -> None:
    """The weights, the last checkpoint with all of its state, every task's best weights, and the logs."""
    folder, ends = runs
    assert ends[number] == [0, KILLED, KILLED, 0]
    found, expected = files(folder / str(number) / "broken"), files(folder / str(number) / "whole")
    assert found.keys() == expected.keys()
    assert {"end.safetensors", "history.jsonl", "model.safetensors"} <= found.keys()
    assert {f"checkpoints/{name}.safetensors" for name in ("last", "best", "best_PM2.5", "best_sold")} <= found.keys()
    assert [name for name in found if found[name] != expected[name]] == []
