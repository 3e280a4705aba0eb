"""`Kind`: what a kind of task brings along: which labels are there, a loss, a head, answers, what to watch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from relatask.tasks import Task


class Kind(ABC):
    """A kind of task; it has no state, so one instance serves all tasks of the kind."""

    name: ClassVar[str]
    words: ClassVar[str]
    """What a label is."""

    @abstractmethod
    def width(self, task: Task) -> int:
        """How many numbers the head gives for a row (or a token, or a pixel)."""

    def head(self, features: int, task: Task) -> nn.Module:
        """Give the default head, from a representation with so many features."""
        return nn.Linear(features, self.width(task))

    def counts(self, target: Any) -> Tensor:
        """How many labels each row has, (n,) float: 0 where it is missing."""
        return self.observed(target).float()

    @abstractmethod
    def observed(self, target: Any) -> Tensor:
        """Whether each row has a label, (n,) of bool."""

    @abstractmethod
    def losses(self, output: Any, target: Any, task: Task) -> Tensor:
        """Give the loss of each row, (n,), summed over the row's labels; every row has at least one."""

    def null_loss(self, target: Any, task: Task) -> float | None:
        """Give the mean loss per label of the best constant answer to these labels; None where it is undefined."""
        return None

    @abstractmethod
    def answer(self, output: Any, task: Task) -> Any:
        """Give what is told: expected numbers, chances, tags, boxes; on the CPU."""

    def take(self, values: Any, rows: Tensor) -> Any:
        """Give some rows of a target or an output."""
        if isinstance(values, list):
            return (
                [values[i] for i in rows.nonzero()[:, 0].tolist()]
                if rows.dtype == torch.bool
                else [values[i] for i in rows.tolist()]
            )
        return values[rows]
