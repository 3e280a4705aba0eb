"""From a batch to the tasks' losses: means over the labels that are there, divided by the null losses."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from relatask.data.batch import Batch, Part
from relatask.kinds import kind_of, row_losses
from relatask.nets.model import Model
from relatask.tasks import Task


@dataclass(frozen=True)
class Losses:
    """What a step works on.

    Parameters
    ----------
    values : mapping from task to tensor ()
        The losses of the tasks that have a label in the batch.
    active : tuple of task
        Their names.
    representation : tensor, optional
        What the trunk gave, where there is one such tensor.
    extra : tensor (), optional
        The sum of the model's penalties, which is not balanced.
    penalties : mapping from name to float
        The same one by one, for the log.
    labels : mapping from task to float
        How many labels the batch had.
    """

    values: Mapping[Hashable, Tensor]
    active: tuple[Hashable, ...]
    representation: Tensor | None
    extra: Tensor | None
    penalties: Mapping[str, Tensor]
    labels: Mapping[Hashable, float]


LossesOf = Callable[..., Losses]
"""``losses_of(batch, params=None) -> Losses``; `params` stand in for the model's own, by name."""


def losses_of(model: Model, tasks: Sequence[Task]) -> LossesOf:
    """Give the function from a batch to the tasks' losses.

    ``L_k = weight_k / null_k * sum_i s_i l_i / sum_i s_i c_i`` over the batch's rows with a label, l_i the loss of row
    i summed over its labels and c_i how many it has.
    """
    by_name = {task.name: task for task in tasks}

    def compute(batch: Batch, params: Mapping[str, Tensor] | None = None) -> Losses:
        sums: dict[Hashable, list[Tensor]] = {}
        counts: dict[Hashable, list[Tensor]] = {}
        for part in batch:
            there = [name for name in part.y if name in by_name]
            called = (part.x, there)
            outputs = model(*called) if params is None else functional_call(model, dict(params), called)
            for name in there:
                found = part_loss(by_name[name], outputs[name], part)
                if found is not None:
                    sums.setdefault(name, []).append(found[0])
                    counts.setdefault(name, []).append(found[1])
        labels = {name: float(torch.stack(found).sum()) for name, found in counts.items()}
        values = {}
        for name, parts in sums.items():
            if labels[name] > 0:
                task = by_name[name]
                scale = task.weight / (labels[name] * (task.null_loss or 1.0))
                values[name] = torch.stack(parts).sum() * scale
        penalties = model.penalties()
        extra = torch.stack(list(penalties.values())).sum() if penalties else None
        return Losses(values, tuple(values), model.representation, extra, penalties, labels)

    return compute


def part_loss(task: Task, output: Any, part: Part) -> tuple[Tensor, Tensor] | None:
    """Give the weighted sum of a task's row losses in a part and its weighted number of labels; None without labels."""
    kind, target = kind_of(task), part.y[task.name]
    seen = kind.observed(target)
    if task.where is not None:
        other, value = task.where
        seen = seen & (part.y[other] == value)
    if not seen.any():
        return None
    if not seen.all():
        output, target = kind.take(output, seen), kind.take(target, seen)
    losses, counts = row_losses(task, output, target), kind.counts(target)
    if part.weight is None:
        return losses.sum(), counts.sum()
    weight = part.weight[seen]
    return (losses * weight).sum(), (counts * weight).sum()
