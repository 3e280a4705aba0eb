"""The Multi-MNIST run: every balancer trains its net through `fit`; what the runs came to stands on their page."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.balancers.problem import Problem
from examples.runs import multi_mnist
from examples.runs.common import Results
from examples.runs.multi_mnist import METHODS, Settings, balancer_of, trained
from torch import nn

from relatask.balance import registry

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore:RT00")  # what a short run is warned of: one task's gradient is large
STEPS = Settings(looks=1, steps=20, batch_size=32)


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Pairs of ten patterns with noise, told apart with ease."""
    rng = np.random.default_rng(0)
    shapes = rng.uniform(0, 1, (10, 9, 18))

    def rows(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        digits = rng.integers(10, size=(n, 2))
        pictures = np.concatenate([shapes[digits[:, 0]], shapes[digits[:, 1]]], 1) + rng.normal(0, 0.1, (n, 18, 18))
        return torch.from_numpy(pictures.astype(np.float32)[:, None]), torch.from_numpy(digits)

    return Problem(
        kind="classes",
        train=rows(200),
        validation=rows(40),
        test=rows(40),
        null=torch.full((2,), np.log(10.0)),
        trunk=lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(256, 16), nn.ReLU()
        ),
        head=lambda: nn.Linear(16, 10),
        steps=20,
        batch=32,
    )


@pytest.mark.parametrize("name", sorted(registry()))
def test_every_balancer_takes_20_steps_through_fit(name: str, problem: Problem) -> None:
    balancer = balancer_of(name, 20)
    done = trained(problem, balancer, 5e-3, 0, STEPS)
    torch.manual_seed(0)
    start = [*problem.trunk().parameters()]
    assert all(bool(p.isfinite().all()) for p in [*done.model.parameters(), *balancer.parameters()])
    moved = [not torch.equal(a, b) for a, b in zip(done.model.encoder.parameters(), start, strict=True)]
    assert all(moved)
    found = {row["task"]: row["value"] for row in done.history if (row["split"], row["metric"]) == ("train", "loss")}
    assert set(found) == {"0", "1"}
    assert all(np.isfinite(value) for value in found.values())
    assert {row["step"] for row in done.history} == {20}


@pytest.mark.parametrize("name", ["Equal", "MGDA", "PCGrad", "NashMTL", "Uncertainty", "GradDrop", "FAMO"])
def test_what_they_learn_is_read_from_other_pairs(name: str, problem: Problem) -> None:
    done = trained(problem, balancer_of(name, 120), 1e-2, 0, Settings(looks=2, steps=120, batch_size=32))
    left, right = multi_mnist.accuracies(done, problem.test)
    assert min(left, right) > 0.5  # by chance: a tenth


@pytest.mark.data
def test_quick(data_folder: Path) -> None:
    results = multi_mnist.main(["--quick"])
    assert {row.method for row in results.rows()} == {"Equal", "MGDA"}
    assert all(0.15 < row.value < 0.6 for row in results.rows() if (row.task, row.metric) == ("", "accuracy"))


def test_the_page_tells_what_the_runs_came_to() -> None:
    results = Results("multi_mnist", ROOT / "examples" / "runs" / "results" / "multi_mnist.csv")
    page = (ROOT / "docs" / "runs" / "multi-mnist.md").read_text(encoding="utf-8")
    for method in METHODS:
        mean, _, seeds = results.mean(method, "", "accuracy")
        guide, _, _ = results.mean(method, "", "guide")
        line = re.search(rf"^\| `{method}` \|(.*)\|$", page, re.M)
        assert line is not None, method
        cells = [cell.strip() for cell in line[1].split("|")]
        assert seeds == 3
        assert cells[:2] == [f"{100 * mean:.2f}", f"{100 * guide:.2f}"]
    told = multi_mnist.compared(results, Settings())[0].partition(": ")[2]
    low, high = re.search(r"\((\S+) to (\S+)\)", told).groups()
    assert f"{100 * float(told.split()[0]):+.2f} points ({100 * float(low):+.2f} to {100 * float(high):+.2f})" in page
