"""The loop: `fit` trains any `Model` on any tasks by any `Step`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from relatask.data.tensors import Loader
from relatask.kinds import kind_of
from relatask.nets.model import Model
from relatask.tasks import Task
from relatask.train.losses import losses_of
from relatask.train.step import Balanced, Step


def fit(
    model: Model,
    tasks: Sequence[Task],
    train: Loader,
    valid: Loader | None = None,
    *,
    step: Step | None = None,
    epochs: int = 10,
    lr: float = 1e-3,
    seed: int = 0,
    normalize: bool = True,
) -> Any:
    """Train a model (the skeleton; the rest comes)."""
    torch.manual_seed(seed)
    step = Balanced() if step is None else step
    tasks = tuple(with_null_loss(task, train) for task in tasks) if normalize else tuple(tasks)
    step.prepare(model)
    compute = losses_of(model, tasks)
    optimizer = torch.optim.AdamW([*model.parameters(), *step.parameters()], lr=lr)

    def update() -> None:
        optimizer.step()
        optimizer.zero_grad()

    model.train()
    for epoch in range(epochs):
        for batch in train.epoch(epoch):
            step(compute, (batch,), update)
    return model.eval()


def with_null_loss(task: Task, train: Loader) -> Task:
    """Give the task with the loss of the best constant answer to its training labels."""
    found = [source.target(task.name) for source in train.sources if task.name in source.tasks]
    if task.null_loss is not None or task.loss is not None or not found:
        return task
    target = torch.cat(found) if isinstance(found[0], torch.Tensor) else [x for part in found for x in part]
    return replace(task, null_loss=kind_of(task).null_loss(target, task) or None)
