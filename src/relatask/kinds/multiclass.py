"""Multiclass: one of several classes per row, cross-entropy."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.special import entr

from relatask.kinds.kind import Kind
from relatask.notices import InputError
from relatask.tasks import Task


class Multiclass(Kind):
    """One of several classes per row; labels are 0, 1, ... or -100."""

    name: ClassVar[str] = "multiclass"
    words: ClassVar[str] = "one of several classes per row"

    def width(self, task: Task) -> int:
        """A logit per class."""
        if task.classes is None:
            raise InputError(
                f"task {task.name!r}: say how many classes there are: Task({task.name!r}, classes=3, ...)."
            )
        return task.classes

    def observed(self, target: Tensor) -> Tensor:
        """Whatever is not -100."""
        return target != -100

    def losses(self, output: Tensor, target: Tensor, task: Task) -> Tensor:
        """Cross-entropies (n,)."""
        weight = None if task.class_weight is None else output.new_tensor(task.class_weight)
        return cross_entropy(output, target, weight, reduction="none", label_smoothing=task.label_smoothing)

    def null_loss(self, target: Tensor, task: Task) -> float | None:
        """The entropy of the labels."""
        share = torch.bincount(target[self.observed(target)]).double()
        return float(entr(share / share.sum()).sum())

    def answer(self, output: Tensor, task: Task) -> Any:
        """Chances (n, classes)."""
        return output.detach().softmax(-1).cpu()
