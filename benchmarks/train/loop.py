"""What the loop costs over the same loop written by hand, and what share of it reads data; CPU seconds, one process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from relatask.data.tensors import Columns, Loader
from relatask.nets import HardSharing
from relatask.tasks import Task
from relatask.train import fit

WIDTH, ROWS, FEATURES, STEPS = 512, 256, 100, 20
"""Three hidden layers, a batch, columns, steps of an epoch."""


def report(rounds: int = 15) -> Iterator[str]:
    """A row a number of tasks: median ratio of an epoch by `fit` and one by hand, taken in turn."""
    yield f"## An epoch by fit, the same by hand = 1 (MLP 3 x {WIDTH}, B = {ROWS}, AdamW, equal weights)"
    yield ""
    yield "| tasks | missing | fit / by hand | quartiles | reading data, share of an epoch |"
    yield "|---|---|---|---|---|"
    for t in (2, 8):
        for missing in (0.0, 0.2):
            data = table(t, missing)
            ratios = sorted(by_fit(t, data) / by_hand(t, data) for _ in range(rounds))
            low, high = ratios[len(ratios) // 4], ratios[-len(ratios) // 4]
            share = median(reading(data) for _ in range(rounds)) / median(by_fit(t, data) for _ in range(5))
            yield f"| {t} | {missing:.0%} | {median(ratios):.3f} | {low:.3f} to {high:.3f} | {share:.1%} |"


def table(t: int, missing: float) -> Columns:
    """Rows with labels of t tasks."""
    torch.manual_seed(0)
    n = STEPS * ROWS
    y = torch.where(torch.rand(t, n) < missing, torch.nan, torch.randn(t, n))
    return Columns(torch.randn(n, FEATURES), {f"task {k}": y[k] for k in range(t)})


def net(t: int) -> HardSharing:
    """A trunk, and a linear head a task."""
    torch.manual_seed(0)
    pairs = pairwise((FEATURES, WIDTH, WIDTH, WIDTH))
    trunk = nn.Sequential(*(layer for i, o in pairs for layer in (nn.Linear(i, o), nn.ReLU())))
    return HardSharing(trunk, {f"task {k}": nn.Linear(WIDTH, 1) for k in range(t)})


class Clock:
    """CPU seconds of an epoch, the second of two: the first one warms up."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_epoch_start(self, run: Any) -> None:
        self.began = time.process_time()

    def on_epoch(self, run: Any) -> None:
        self.seconds.append(time.process_time() - self.began)


def by_fit(t: int, data: Columns) -> float:
    """Seconds of an epoch by `fit`."""
    clock = Clock()
    tasks = [Task(f"task {k}") for k in range(t)]
    fit(net(t), tasks, Loader(data, ROWS), epochs=3, device="cpu", callbacks=[clock])
    return min(clock.seconds[1:])


def by_hand(t: int, data: Columns) -> float:
    """Seconds of an epoch by a loop that does the same: masks, null losses, equal weights, running means."""
    model = net(t)
    heads = [model.heads[f"task {k}"] for k in range(t)]
    y = [data.y[f"task {k}"] for k in range(t)]
    nulls = [float(np.nanvar(labels.numpy())) for labels in y]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    seconds = []
    for epoch in range(3):
        began = time.process_time()
        order = torch.from_numpy(np.random.default_rng(epoch).permutation(len(data)))
        running = torch.zeros(t)
        for i in range(0, len(order), ROWS):
            rows = order[i : i + ROWS]
            z = model.encoder(data.x[rows])
            losses: list[Tensor] = []
            for head, labels, null in zip(heads, y, nulls, strict=True):
                target = labels[rows]
                seen = ~target.isnan()
                losses.append((head(z)[seen, 0] - target[seen]).square().mean() / null)
            stacked = torch.stack(losses)
            stacked.mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            running += stacked.detach()
        seconds.append(time.process_time() - began)
    return min(seconds[1:])


def reading(data: Columns) -> float:
    """Seconds to read an epoch's batches and nothing else."""
    began = time.process_time()
    for _ in Loader(data, ROWS).epoch(1):
        pass
    return time.process_time() - began


def main(rounds: int = 15) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    for line in report(rounds):
        print(line)


if __name__ == "__main__":
    main()
