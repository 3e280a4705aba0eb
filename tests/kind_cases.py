"""A small task of each kind: outputs, labels with holes, and how to fill what nobody may look at with rubbish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from relatask.kinds import BoxHead
from relatask.tasks import KINDS, Task

N, CLASSES, TOKENS, SIDE = 8, 3, 5, 4


@dataclass(frozen=True, eq=False)
class Case:
    """`output` (n, ...) in double precision; `looked_at` (as output) is False where no label is."""

    task: Task
    output: Tensor
    target: Any
    looked_at: Tensor


def case(kind: str, seed: int, options: dict[str, Any] | None = None, holes: float = 0.4) -> Case:
    """A task with labels of which some are missing, one row at least is not."""
    rng = np.random.default_rng(seed)
    classes = (
        CLASSES if kind in ("multiclass", "multilabel", "ordinal", "tagging", "detection", "segmentation") else None
    )
    task = Task("t", kind, classes=classes, **(options or {}))
    hole = rng.random(N) < holes
    hole[rng.integers(N)] = False
    inner = rng.random((N, 64)) < 0.3
    if kind == "detection":
        return _detection(task, rng, hole)
    shape = {
        "multiclass": (N, CLASSES),
        "multilabel": (N, CLASSES),
        "ordinal": (N, CLASSES - 1),
        "tagging": (N, TOKENS, CLASSES),
        "segmentation": (N, CLASSES, SIDE, SIDE),
        "similarity": (N, 2, 3),
    }.get(kind, (N, 1))
    output = torch.tensor(rng.normal(size=shape))
    seen = torch.tensor(~hole).reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
    if kind in ("tagging", "segmentation"):
        size = (N, TOKENS) if kind == "tagging" else (N, SIDE, SIDE)
        target = torch.tensor(rng.integers(0, CLASSES, size))
        gone = torch.tensor(inner[:, : target[0].numel()]).reshape(size).clone()
        gone.flatten(1)[:, 0] = False
        gone |= torch.tensor(hole).reshape(-1, *[1] * (len(size) - 1))
        target[gone] = -100
        return Case(task, output, target, (~gone).unsqueeze(-1 if kind == "tagging" else 1).expand(shape))
    if kind in ("multiclass", "ordinal"):
        target = torch.tensor(np.where(hole, -100, rng.integers(0, CLASSES, N)))
        return Case(task, output, target, seen)
    if kind == "multilabel":
        gone = inner[:, :CLASSES] | hole[:, None]
        gone[~hole, 0] = False
        target = torch.tensor(np.where(gone, np.nan, rng.integers(0, 2, (N, CLASSES))))
        return Case(task, output, target, torch.tensor(~gone))
    labels = {"binary": rng.integers(0, 2, N), "count": rng.poisson(3, N), "similarity": rng.uniform(-1, 1, N)}
    target = torch.tensor(np.where(hole, np.nan, labels.get(kind, rng.normal(2, 3, N))))
    return Case(task, output, target, seen)


def _detection(task: Task, rng: np.random.Generator, hole: np.ndarray) -> Case:
    with torch.no_grad():
        head = BoxHead(2, CLASSES).double()
        torch.nn.init.normal_(head.convolution.weight, std=0.3, generator=torch.Generator().manual_seed(0))
        output = head(torch.tensor(rng.normal(size=(N, 2, 4, 4))))
    target: list[Any] = []
    for gone in hole:
        m = int(rng.integers(0, 4))
        corner = rng.uniform(0, 20, (m, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(3, 12, (m, 2))], 1)
        target.append(None if gone else {"boxes": torch.tensor(boxes), "labels": torch.tensor(rng.integers(0, 3, m))})
    seen = torch.tensor(~hole)[:, None, None].expand(output.shape).clone()
    seen[..., -3:] = True  # where the locations lie is no output
    return Case(task, output, target, seen)


OPTIONS = {
    "binary": {"class_weight": (0.5, 2.0), "label_smoothing": 0.1},
    "multiclass": {"class_weight": (0.5, 1.0, 3.0), "label_smoothing": 0.1},
    "multilabel": {"class_weight": (0.5, 1.0, 3.0), "label_smoothing": 0.1},
    "tagging": {"class_weight": (0.5, 1.0, 3.0), "label_smoothing": 0.1},
    "segmentation": {"class_weight": (0.5, 1.0, 3.0), "label_smoothing": 0.1},
    "ordinal": {"class_weight": (0.5, 1.0, 3.0)},
}
"""Class weights and label smoothing, for kinds that have them."""

VARIANTS = [(kind, {}) for kind in KINDS] + list(OPTIONS.items())
NAMES = list(KINDS) + [f"{kind} weighted" for kind in OPTIONS]
