"""The labels of one task in one part: which rows have them, how many there are, and their summed loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from relatask.data.batch import Part
from relatask.kinds import kind_of, row_losses
from relatask.notices import InputError
from relatask.tasks import Task


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of a task in a part.

    Parameters
    ----------
    target : Any
        Targets of the rows that have a label.
    rows : tensor of int, optional
        Their positions; None where every row has one.
    weight : tensor, optional
        Their weights.
    total : float
        How many labels there are, weighted.
    """

    target: Any
    rows: Tensor | None
    weight: Tensor | None
    total: float


def labels_of(task: Task, part: Part, move: Callable[[Any], Any] = lambda values: values) -> Labels:
    """Find the labels of a task, where the data are; only what has a label is moved."""
    kind, target = kind_of(task), part.y[task.name]
    counts = kind.counts(target)
    if task.where is not None:
        counts = counts * holds(task, part)
    weight = part.weight
    if bool(counts.all()):
        total = counts.sum() if weight is None else (counts * weight).sum()
        return Labels(move(target), None, move(weight), float(total))
    rows = counts.nonzero()[:, 0]
    total = counts.sum() if weight is None else (counts * weight).sum()
    return Labels(
        move(kind.take(target, rows)), move(rows), None if weight is None else move(weight[rows]), float(total)
    )


def summed(task: Task, output: Any, labels: Labels) -> Tensor:
    """Give the weighted sum of a task's row losses; where it has no label here, zero that hangs on the output.

    Raises
    ------
    InputError
        Where outputs and targets do not match.
    """
    if labels.rows is not None and not len(labels.rows):
        return _nothing(output)
    target = labels.target
    try:
        chosen = output if labels.rows is None else kind_of(task).take(output, labels.rows)
        losses = row_losses(task, chosen, target)
    except (RuntimeError, IndexError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, InputError) or "out of memory" in str(error):
            raise
        raise InputError(
            f"task {task.name!r} ({task.kind}): the head gives {shape_of(output)} and the labels are "
            f"{shape_of(target)}; no loss can be computed of them ({str(error).splitlines()[0]}). Give the head "
            f"{kind_of(task).width(task)} outputs, and labels that are {kind_of(task).words}."
        ) from error
    return losses.sum() if labels.weight is None else (losses * labels.weight).sum()


def shape_of(values: Any) -> str:
    """Tell the shape of an output or a target."""
    if isinstance(values, Tensor):
        return f"of shape {tuple(values.shape)} ({str(values.dtype).removeprefix('torch.')})"
    return f"a {type(values).__name__}" + (f" of {len(values)}" if hasattr(values, "__len__") else "")


def holds(task: Task, part: Part) -> Tensor:
    """Whether the other task's label is the value that this one's are there for, (n,)."""
    assert task.where is not None
    other, value = task.where
    if other not in part.y:
        raise InputError(
            f"task {task.name!r} counts only where {other!r} is {value!r}, and the batch has no labels of {other!r}; "
            "put both in one source."
        )
    labels = part.y[other]
    return labels == value if isinstance(labels, Tensor) else torch.tensor([label == value for label in labels])


def _nothing(output: Any) -> Tensor:
    if isinstance(output, Tensor):
        return output.sum() * 0.0
    values = output.values() if isinstance(output, dict) else output
    return torch.stack([_nothing(value) for value in values]).sum()
