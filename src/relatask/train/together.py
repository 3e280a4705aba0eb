"""Labels and losses of tasks that are alike, all at once: a hundred tasks cost about what ten do."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from relatask.data.batch import Part
from relatask.kinds import kind_of, row_losses
from relatask.tasks import Task
from relatask.train.labels import Labels, holds, labels_of, summed

FEWEST = 3
"""Fewer tasks than this are not worth putting together."""


@cache
def likeness(task: Task) -> Hashable | None:
    """Give what two tasks must have in common for their row losses to be one; None for one with a loss of its own."""
    return None if task.loss is not None else replace(task, name="", metrics=(), weight=1.0, where=None, null_loss=None)


def all_labels(tasks: Iterable[Task], part: Part, move: Callable[[Any], Any]) -> dict[Hashable, Labels]:
    """Find the labels of every task, as `labels_of` finds those of one."""
    tasks = list(tasks)
    found: dict[Hashable, Labels] = {}
    for group in _groups(tasks, lambda task: _column(part.y[task.name])):
        if len(group) < FEWEST:
            found.update((task.name, labels_of(task, part, move)) for task in group)
        else:
            found.update(zip([task.name for task in group], _labels(group, part, move), strict=True))
    return {task.name: found[task.name] for task in tasks}


def all_sums(
    tasks: Iterable[Task], outputs: Mapping[Hashable, Any], labels: Mapping[Hashable, Labels], joined: bool
) -> dict[Hashable, Tensor]:
    """Give the summed loss of every task, as `summed` gives that of one.

    Joined, the losses of tasks that are alike are cut from one tensor, so that every one reaches all their heads (with
    gradients of zero): only where one scalar is descended, or nothing is differentiated.
    """
    tasks = list(tasks)
    found: dict[Hashable, Tensor] = {}
    groups = _groups(tasks, lambda task: _fits(task, outputs[task.name], labels[task.name])) if joined else []
    for group in groups:
        if len(group) >= FEWEST:
            values = _sums(group, [outputs[task.name] for task in group], [labels[task.name] for task in group])
            found.update(zip([task.name for task in group], values, strict=True))
    for task in tasks:
        if task.name not in found:
            found[task.name] = summed(task, outputs[task.name], labels[task.name])
    return {task.name: found[task.name] for task in tasks}


def scaled(sums: Mapping[Hashable, Tensor], factors: Mapping[Hashable, float], joined: bool) -> dict[Hashable, Tensor]:
    """Give every sum times its factor; joined, by one product."""
    if not joined or len(sums) < FEWEST:
        return {name: value * factors[name] for name, value in sums.items()}
    whole = torch.stack(list(sums.values()))
    return dict(zip(sums, (whole * whole.new_tensor(list(factors.values()))).unbind(), strict=True))


def _groups(tasks: Sequence[Task], shape: Callable[[Task], Hashable | None]) -> list[list[Task]]:
    """Give the tasks in groups that are alike, and whose tensors are; a task without a shape stands alone."""
    groups: dict[Hashable, list[Task]] = {}
    for task in tasks:
        form, like = shape(task), likeness(task)
        key = ("alone", task.name) if form is None or like is None else (like, form)
        groups.setdefault(key, []).append(task)
    return list(groups.values())


def _column(target: Any) -> Hashable | None:
    """Give what columns of labels must agree in; None for what is no column of numbers."""
    return (len(target), target.dtype, target.device) if isinstance(target, Tensor) and target.ndim == 1 else None


def _fits(task: Task, output: Any, labels: Labels) -> Hashable | None:
    """Give what outputs must agree in; None where output and labels do not match, which `summed` will tell."""
    target = labels.target
    if not isinstance(output, Tensor) or _column(target) is None or output.ndim != 2 or not len(target):
        return None
    rows = len(target) if labels.rows is None else None
    if output.shape[1] != kind_of(task).width(task) or (rows is not None and rows != len(output)):
        return None
    return (output.shape, output.dtype, target.dtype, labels.weight is None)


def _labels(tasks: Sequence[Task], part: Part, move: Callable[[Any], Any]) -> list[Labels]:
    target = torch.stack([part.y[task.name] for task in tasks])
    counts = kind_of(tasks[0]).counts(target.flatten()).view(target.shape)
    for k, task in enumerate(tasks):
        if task.where is not None:
            counts[k] *= holds(task, part)
    totals = (counts if part.weight is None else counts * part.weight).sum(1).tolist()
    if bool(counts.all()):
        weight = move(part.weight)
        held = zip(move(target).unbind(), totals, strict=True)
        return [Labels(labels, None, weight, total) for labels, total in held]
    place, row = counts.nonzero(as_tuple=True)
    numbers = counts.count_nonzero(1).tolist()
    targets, rows = move(target[place, row]).split(numbers), move(row).split(numbers)
    weights = [None] * len(tasks) if part.weight is None else move(part.weight[row]).split(numbers)
    return [Labels(*found) for found in zip(targets, rows, weights, totals, strict=True)]


def _sums(tasks: Sequence[Task], outputs: Sequence[Tensor], labels: Sequence[Labels]) -> tuple[Tensor, ...]:
    output = torch.stack(list(outputs))
    k, n = output.shape[:2]
    target = torch.cat([found.target for found in labels])
    weights = [found.weight for found in labels if found.weight is not None]
    if all(found.rows is None for found in labels):
        losses = row_losses(tasks[0], output.flatten(0, 1), target).view(k, n)
        return (losses if not weights else losses * torch.stack(weights)).sum(1).unbind()
    every = torch.arange(n, device=output.device)
    row = torch.cat([every if found.rows is None else found.rows for found in labels])
    numbers = torch.tensor([len(found.target) for found in labels], device=output.device)
    place = torch.repeat_interleave(torch.arange(k, device=output.device), numbers, output_size=len(row))
    losses = row_losses(tasks[0], output[place, row], target)
    losses = losses if not weights else losses * torch.cat(weights)
    return losses.new_zeros(k).index_add(0, place, losses).unbind()
