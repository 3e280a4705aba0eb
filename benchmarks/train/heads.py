"""A step with a hundred heads of one kind, against the step with ten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from benchmarks.linear.timing import best_seconds
from relatask.balance import Equal
from relatask.data.tensors import Columns
from relatask.nets import HardSharing
from relatask.tasks import Task
from relatask.train import Balanced, losses_of

NETS = {"narrow": (512, 256), "wide": (2048, 64)}
"""Width of three hidden layers over 100 features, rows of a batch: the nets of the balance benchmarks."""
COUNTS = (10, 100)


class Update:
    """Step and forget, and nothing else."""

    scaler = None
    comm = None

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    def __call__(self, again: object = None) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()


def report(rounds: int = 9) -> Iterator[str]:
    """A row a net: joined as it is done, and head by head."""
    yield "## A step with 100 heads, the step with 10 = 1 (forward, losses, balance, backward, AdamW)"
    yield ""
    yield "| net | rows | missing | joined | head by head | 100 joined / 100 head by head |"
    yield "|---|---|---|---|---|---|"
    for name, (width, rows) in NETS.items():
        for missing in (0.0, 0.2):
            works = {(t, joined): step(t, width, rows, missing, joined) for t in COUNTS for joined in (True, False)}
            seconds = best_seconds({f"{key}": work for key, work in works.items()}, rounds)
            s = {key: seconds[f"{key}"] for key in works}
            few, many = COUNTS
            ratios = (s[many, True] / s[few, True], s[many, False] / s[few, False], s[many, True] / s[many, False])
            yield f"| {name} | {rows} | {missing:.0%} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |"


def step(t: int, width: int, rows: int, missing: float, joined: bool) -> Callable[[], None]:
    """Give a whole step of training."""
    torch.manual_seed(0)
    pairs = pairwise((100, width, width, width))
    trunk = nn.Sequential(*(layer for i, o in pairs for layer in (nn.Linear(i, o), nn.ReLU())))
    model = HardSharing(trunk, {k: nn.Linear(width, 1) for k in range(t)})
    y = torch.where(torch.rand(t, rows) < missing, torch.nan, torch.randn(t, rows))
    part = Columns(torch.randn(rows, 100), dict(enumerate(y))).part(np.arange(rows))
    compute = losses_of(model, [Task(k, null_loss=1.0) for k in range(t)])
    way = Balanced(Equal())
    way.prepare(model)
    model.join(joined)
    update = Update(torch.optim.AdamW(model.parameters(), fused=True))

    def work() -> None:
        way(compute, ((part,),), update)

    work.model = model  # type: ignore[attr-defined]
    return work


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    for line in report():
        print(line, flush=True)


if __name__ == "__main__":
    main()
