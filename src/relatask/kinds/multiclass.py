"""Multiclass: one of several classes per row, cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor

from relatask.kinds.kind import Kind
from relatask.kinds.labels import (
    classes_of,
    cross_entropies,
    cross_entropy_of_best,
    highest,
    in_range,
    present,
    single,
    tensor_of,
)
from relatask.tasks import Better, Task


class Multiclass(Kind):
    """One of several classes per row; labels are 0, 1, ... or -100 (NaN among floats)."""

    name: ClassVar[str] = "multiclass"
    words: ClassVar[str] = "one of several classes per row"
    metrics: ClassVar[Mapping[str, Better]] = {
        "log_loss": "lower",
        "accuracy": "higher",
        "error_rate": "lower",
        "balanced_accuracy": "higher",
        "macro_f1": "higher",
        "ece": "lower",
    }
    class_weights: ClassVar[bool] = True
    smooths: ClassVar[bool] = True

    def width(self, task: Task) -> int:
        """A logit per class."""
        return classes_of(task)

    def losses(self, output: Tensor, target: Tensor, task: Task) -> Tensor:
        """Cross-entropies (n,)."""
        return cross_entropies(task, output, target)

    def null_loss(self, target: Tensor, task: Task, weight: Tensor | None = None) -> float | None:
        """The entropy of the labels."""
        seen = present(target)
        if not seen.any():
            return None
        return cross_entropy_of_best(task, target[seen], None if weight is None else weight[seen])

    def answer(self, output: Tensor, task: Task) -> Any:
        """Chances (n, classes)."""
        return single(output).detach().softmax(-1).cpu()

    def check(self, target: Any, task: Task) -> None:
        """Expect (n,) of 0 to classes - 1, or missing."""
        labels = tensor_of(task, target, 1, "(n,): a class for each row, -100 where it is missing")
        in_range(task, labels, 0, None if task.classes is None else task.classes - 1)

    def resolved(self, task: Task, target: Any) -> Task:
        """As many classes as the labels have, two at least."""
        return task if task.classes is not None else replace(task, classes=max(highest(target) + 1, 2))

    def meters(self, task: Task) -> dict[str, Any]:
        """The share of rows that are right, and the mean F1 of the classes."""
        from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

        classes = classes_of(task)
        return {
            "accuracy": MulticlassAccuracy(classes, average="micro"),
            "macro_f1": MulticlassF1Score(classes, average="macro"),
        }

    def watched(self, output: Any, target: Any, task: Task) -> tuple[Any, Any]:
        """Chances and classes."""
        return self.answer(output, task), target.long().cpu()
