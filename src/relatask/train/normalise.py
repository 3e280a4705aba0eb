"""What losses are divided by, so that tasks of different scale start alike: the loss of the best constant answer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from relatask.kinds import kind_of
from relatask.tasks import Task


class Scales(Mapping[Hashable, float]):
    """What each task's loss is divided by.

    The null loss, where it is known. Where it is not (detection, a loss of one's own), the mean of the first epoch:
    while that lasts the mean of the losses so far, this one included.

    Parameters
    ----------
    known : mapping from task to float or None
        Null losses.
    """

    def __init__(self, known: Mapping[Hashable, float | None]) -> None:
        self.known = dict(known)
        self.sums: dict[Hashable, float] = {task: 0.0 for task, value in known.items() if value is None}
        self.counts: dict[Hashable, float] = dict.fromkeys(self.sums, 0.0)
        self.open = True

    def __getitem__(self, task: Hashable) -> float:
        value = self.known[task]
        if value is not None:
            return value
        count = self.counts[task]
        return self.sums[task] / count if count and self.sums[task] > 0 else 1.0

    def __iter__(self) -> Any:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)

    @property
    def learning(self) -> bool:
        """Whether any is still being learned."""
        return self.open and bool(self.sums)

    def see(self, task: Hashable, total: float, count: float) -> None:
        """Take note of a task's summed loss over so many labels."""
        self.sums[task] += total
        self.counts[task] += count

    def state(self) -> dict[str, Any]:
        """Give what has been learned, for a checkpoint."""
        return {"sums": list(self.sums.values()), "counts": list(self.counts.values()), "open": self.open}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what was learned before."""
        self.sums = dict(zip(self.sums, state["sums"], strict=True))
        self.counts = dict(zip(self.counts, state["counts"], strict=True))
        self.open = state["open"]


def null_losses(
    tasks: Sequence[Task], targets: Mapping[Hashable, Any], weights: Mapping[Hashable, Tensor] | None = None
) -> dict[Hashable, float | None]:
    """Give each task's null loss: the one it has, or that of its training labels; None where it is undefined."""
    return {task.name: _null_loss(task, targets.get(task.name), targets, weights or {}) for task in tasks}


def _null_loss(
    task: Task, target: Any, targets: Mapping[Hashable, Any], weights: Mapping[Hashable, Tensor]
) -> float | None:
    if task.null_loss is not None:
        return task.null_loss
    if task.loss is not None or target is None:
        return None
    kind, weight = kind_of(task), weights.get(task.name)
    if task.where is not None:
        other, value = task.where
        labels = targets.get(other)
        if labels is None or len(labels) != len(target):
            return None
        rows = labels == value if isinstance(labels, torch.Tensor) else torch.tensor([x == value for x in labels])
        target = kind.take(target, rows)
        weight = None if weight is None else weight[rows]
    seen = kind.observed(target)
    if not bool(seen.any()):
        return None
    return kind.null_loss(target, task, weight) or None


def with_null_losses(tasks: Sequence[Task], nulls: Mapping[Hashable, float | None]) -> tuple[Task, ...]:
    """Give the tasks with their null losses filled in."""
    return tuple(replace(task, null_loss=nulls[task.name]) for task in tasks)


def targets_of(loader: Any) -> dict[Hashable, Any]:
    """Give all labels of every task, over all sources of a loader; none where it has no sources."""
    found: dict[Hashable, list[Any]] = {}
    for source in getattr(loader, "sources", ()):
        for task in source.tasks:
            found.setdefault(task, []).append(source.target(task))
    return {task: _together(parts) for task, parts in found.items()}


def weights_of(loader: Any) -> dict[Hashable, Tensor]:
    """Give the weights of every task's rows, in the order of `targets_of`; of a task whose rows all count alike, none.

    Sources without weights count 1 a row.
    """
    sources = getattr(loader, "sources", ())
    found: dict[Hashable, Tensor] = {}
    for task in dict.fromkeys(task for source in sources for task in source.tasks):
        parts = [(source, source.weights(task)) for source in sources if task in source.tasks]
        if any(weight is not None for _, weight in parts):
            found[task] = torch.cat(
                [torch.ones(len(source.target(task))) if weight is None else weight for source, weight in parts]
            )
    return found


def _together(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts) if isinstance(parts[0], torch.Tensor) else [x for part in parts for x in part]
