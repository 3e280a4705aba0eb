"""Two processes, each with half of the rows of every batch, against one: `fit` gives the same weights and history."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.two_rank_fits import CASES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the processes left."""
    path = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "tests.two_rank_fits", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("number", range(len(CASES)), ids=list(CASES))
def test_two_ranks_are_one_process(number: int, folder: Path) -> None:
    """With missing labels, and a last batch of one row, of which the second rank has none."""
    one = load_file(folder / f"{number}-one" / "0.safetensors")
    for rank in range(2):
        found = load_file(folder / f"{number}-two" / f"{rank}.safetensors")
        assert found.keys() == one.keys()
        for name in one:
            assert torch.allclose(found[name], one[name], rtol=1e-4, atol=1e-5), name
    expected = json.loads((folder / f"{number}-one" / "0.json").read_text())
    history = json.loads((folder / f"{number}-two" / "0.json").read_text())
    assert len(history) == len(expected)
    for row, right in zip(history, expected, strict=True):
        assert {**row, "value": 0} == {**right, "value": 0}
        assert row["value"] == pytest.approx(right["value"], rel=1e-3, abs=1e-4)


def test_only_the_first_rank_writes(folder: Path) -> None:
    lines = (folder / "0-two" / "run" / "history.jsonl").read_text().splitlines()
    assert len(lines) == len(json.loads((folder / "0-two" / "0.json").read_text()))


def test_steps_of_several_batches_are_refused_on_all_ranks(folder: Path) -> None:
    told = [(folder / "0-two" / f"{rank}.refused").read_text() for rank in range(2)]
    assert all("MoDo takes gradients of several batches by itself, in one process" in line for line in told)


def test_ranks_end_alike_with_batch_norms_and_with_a_discriminator(folder: Path) -> None:
    """Each normalises by its own rows and tells tasks apart by its own rows; all must choose one epoch, and one net."""
    one, other = (load_file(folder / "0-two" / f"{rank}-agreeing.safetensors") for rank in range(2))
    assert one.keys() == other.keys()
    assert all(torch.allclose(one[name], other[name], atol=1e-7) for name in one)
    first, second = (
        [
            row["value"]
            for row in json.loads((folder / "0-two" / f"{rank}-agreeing.json").read_text())
            if row["split"] == "valid"
        ]
        for rank in range(2)
    )
    assert first == pytest.approx(second, rel=1e-6)
