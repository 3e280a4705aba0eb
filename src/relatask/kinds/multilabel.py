"""Multilabel: any subset of several classes per row, the log loss of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.special import entr

from relatask.kinds.binary import log_losses
from relatask.kinds.kind import Kind
from relatask.kinds.labels import MISSING, classes_of, in_range, present, single, tensor_of
from relatask.notices import InputError
from relatask.tasks import Better, Task


class Multilabel(Kind):
    """Any subset of several classes per row; labels are (n, classes) of 0, 1 and NaN, entry by entry.

    An entry counts as one label. `Task.class_weight` multiplies the losses of each class's ones.
    """

    name: ClassVar[str] = "multilabel"
    words: ClassVar[str] = "any subset of several classes per row"
    metrics: ClassVar[Mapping[str, Better]] = {
        "macro_average_precision": "higher",
        "macro_auc": "higher",
        "micro_f1": "higher",
        "log_loss": "lower",
    }
    class_weights: ClassVar[bool] = True
    smooths: ClassVar[bool] = True

    def width(self, task: Task) -> int:
        """A logit per class."""
        return classes_of(task)

    def observed(self, target: Tensor) -> Tensor:
        """Rows with at least one entry."""
        return present(target).any(1)

    def counts(self, target: Tensor) -> Tensor:
        """Entries that are there (n,)."""
        return present(target).sum(1).float()

    def losses(self, output: Tensor, target: Tensor, task: Task) -> Tensor:
        """Log losses summed over the entries that are there (n,)."""
        row, column = present(target).nonzero(as_tuple=True)
        logit = single(output[row, column])
        of_one = 1.0 if task.class_weight is None else logit.new_tensor(task.class_weight)[column]
        losses = log_losses(logit, target[row, column], 1.0, of_one, task.label_smoothing)
        return losses.new_zeros(len(target)).index_add(0, row, losses)

    def null_loss(self, target: Tensor, task: Task, weight: Tensor | None = None) -> float | None:
        """The entropies of the classes, weighted by how many entries each has."""
        seen = present(target)
        if not seen.any():
            return None
        rows = seen.double() if weight is None else seen * weight.double()[:, None]
        ones = (rows * (target == 1)).sum(0)
        total, smooth = rows.sum(0), task.label_smoothing
        of_one = torch.ones_like(ones) if task.class_weight is None else ones.new_tensor(task.class_weight)
        up = of_one * (ones * (1 - smooth) + total * smooth / 2)
        down = (total - ones) * (1 - smooth) + total * smooth / 2
        share = up / (up + down).clamp(min=torch.finfo(torch.double).tiny)
        return float(((up + down) * (entr(share) + entr(1 - share))).sum() / total.sum())

    def answer(self, output: Tensor, task: Task) -> Any:
        """Chances (n, classes)."""
        return single(output).detach().sigmoid().cpu()

    def check(self, target: Any, task: Task) -> None:
        """Expect (n, classes) of 0, 1 and NaN."""
        labels = tensor_of(task, target, 2, "(n, classes): 0 or 1 for each class, NaN where it is missing")
        if task.classes is not None and labels.shape[1] != task.classes:
            raise InputError(
                f"task {task.name!r} (multilabel): labels {tuple(labels.shape)}; expected (n, {task.classes})."
            )
        in_range(task, labels, 0, 1)

    def resolved(self, task: Task, target: Any) -> Task:
        """As many classes as columns."""
        return task if task.classes is not None else replace(task, classes=target.shape[1])

    def meters(self, task: Task) -> dict[str, Any]:
        """Mean average precision of the classes, and F1 of all entries together; entries that are missing count not."""
        from torchmetrics.classification import BinaryF1Score

        from relatask.kinds.meters import Flat, MacroAveragePrecision

        return {
            "macro_average_precision": MacroAveragePrecision(),
            "micro_f1": Flat(BinaryF1Score(ignore_index=MISSING)),
        }

    def watched(self, output: Any, target: Any, task: Task) -> tuple[Any, Any]:
        """Chances and entries, -100 where they are missing."""
        labels = target.double().nan_to_num(nan=float(MISSING)) if target.is_floating_point() else target
        return self.answer(output, task), labels.long().cpu()
