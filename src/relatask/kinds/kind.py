"""`Kind`: what a kind of task brings along: which labels are there, a loss, a head, answers, what to watch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from relatask.kinds.labels import present
from relatask.tasks import Better, Task


class Kind(ABC):
    """A kind of task; it has no state, so one instance serves all tasks of the kind."""

    name: ClassVar[str]
    words: ClassVar[str]
    """What a label is."""
    metrics: ClassVar[Mapping[str, Better]]
    """What `relatask.measure` scores it by, and which way each points; the first decides between two models."""
    class_weights: ClassVar[bool] = False
    """Whether `Task.class_weight` means something."""
    smooths: ClassVar[bool] = False
    """Whether `Task.label_smoothing` does."""

    @abstractmethod
    def width(self, task: Task) -> int:
        """How many numbers the head gives for a row (or a token, or a pixel)."""

    def head(self, features: int, task: Task) -> nn.Module:
        """Give the default head, from a representation with so many features."""
        return nn.Linear(features, self.width(task))

    def shape(self, target: Any, task: Task) -> tuple[int | None, ...] | None:
        """What shape the output for these labels has, None for any length; None where the kind checks it itself."""
        return (len(target), self.width(task))

    def observed(self, target: Any) -> Tensor:
        """Whether each row has a label, (n,) of bool: not NaN (floats), not -100 (integers)."""
        return present(target)

    def counts(self, target: Any) -> Tensor:
        """How many labels each row has, (n,) float: 0 where it is missing."""
        return self.observed(target).float()

    @abstractmethod
    def losses(self, output: Any, target: Any, task: Task) -> Tensor:
        """Give the loss of each row, (n,), summed over the row's labels; every row has at least one."""

    def null_loss(self, target: Any, task: Task, weight: Tensor | None = None) -> float | None:
        """Give the mean loss per label of the best constant answer to these labels; None where it is undefined.

        `weight` (n,) are the rows' own; rows without a label are passed over.
        """
        return None

    @abstractmethod
    def answer(self, output: Any, task: Task) -> Any:
        """Give what is told: expected numbers, chances, tags, boxes; on the CPU."""

    @abstractmethod
    def check(self, target: Any, task: Task) -> None:
        """Raise InputError, naming the task, for labels that the kind cannot have."""

    def resolved(self, task: Task, target: Any) -> Task:
        """Give the task with what its labels tell filled in: the number of classes."""
        return task

    @abstractmethod
    def meters(self, task: Task) -> dict[str, Any]:
        """Give torchmetrics' meters by the metric's name, for watching while training; fed by `watched`."""

    def watched(self, output: Any, target: Any, task: Task) -> tuple[Any, Any]:
        """Give what each meter's `update` takes, answers and labels; every row has a label."""
        return self.answer(output, task), target.cpu()

    def take(self, values: Any, rows: Tensor) -> Any:
        """Give some rows of a target or an output."""
        if isinstance(values, list):
            return (
                [values[i] for i in rows.nonzero()[:, 0].tolist()]
                if rows.dtype == torch.bool
                else [values[i] for i in rows.tolist()]
            )
        return values[rows]

    def join(self, answers: Sequence[Any]) -> Any:
        """Give the answers of several batches as one."""
        if isinstance(answers[0], list):
            return [row for batch in answers for row in batch]
        return torch.cat(list(answers))
