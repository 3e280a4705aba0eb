"""Experts as one batched product, against one dense layer of the same FLOPs and against a loop over experts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from benchmarks.linear.timing import best_seconds
from relatask.nets import BatchedExperts, Experts, MMoE

CASES = ((8, 256, 256, (256,)), (8, 256, 256, (256, 128)), (16, 1024, 64, (64, 64)), (4, 64, 512, (512, 512)))
"""Experts, rows of a batch, features, widths of an expert's layers."""
TASKS = 4


def report(rounds: int = 9) -> Iterator[str]:
    """A row a case: forward and backward of the experts, and of a whole MMoE, the dense layers = 1."""
    yield "## Experts, dense layers of the same FLOPs = 1 (forward and backward)"
    yield ""
    yield f"| experts | rows | features | layers | batched | a loop | MMoE, {TASKS} tasks |"
    yield "|---|---|---|---|---|---|---|"
    for count, rows, features, widths in CASES:
        x = torch.randn(rows, features)
        seconds = best_seconds(works(x, count, widths), rounds)
        batched, loop, model = (seconds[name] / seconds["dense"] for name in ("batched", "loop", "MMoE"))
        layers = " x ".join(map(str, widths))
        yield f"| {count} | {rows} | {features} | {layers} | {batched:.2f} | {loop:.2f} | {model:.2f} |"
    yield ""
    yield ("Dense: linear layers with as many weights as all experts have, on the same rows: as many multiplications.")


def works(x: torch.Tensor, count: int, widths: tuple[int, ...]) -> dict[str, Callable[[], Any]]:
    """Give what is timed."""
    torch.manual_seed(0)
    features = x.shape[1]
    batched = BatchedExperts(count, features, widths)
    loop = Experts([_layers((features, *widths)) for _ in range(count)], widths[-1])
    heads = {k: nn.Linear(widths[-1], 1) for k in range(TASKS)}
    model = MMoE(BatchedExperts(count, features, widths), heads, features)
    model.join()
    sizes = (features, *widths)
    layers = nn.ModuleList([nn.Linear(i, count * o) for i, o in pairwise(sizes)])

    def dense() -> torch.Tensor:
        h = x
        for layer, width in zip(layers, sizes, strict=False):
            h = torch.relu(layer(h[:, :width]))
        return h

    return {
        "dense": lambda: _step(dense, (layers,)),
        "batched": lambda: _step(lambda: batched(x), (batched,)),
        "loop": lambda: _step(lambda: loop(x), (loop,)),
        "MMoE": lambda: _step(lambda: torch.cat(list(model(x).values()), 1), (model,)),
    }


def _layers(widths: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(*(layer for i, o in pairwise(widths) for layer in (nn.Linear(i, o), nn.ReLU())))


def _step(forward: Callable[[], torch.Tensor], modules: tuple[nn.Module, ...]) -> None:
    forward().sum().backward()
    for module in modules:
        module.zero_grad()


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    for line in report():
        print(line, flush=True)


if __name__ == "__main__":
    main()
