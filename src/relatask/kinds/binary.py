"""Binary: one of two classes per row, 0 and 1, log loss of a logit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from relatask.kinds.kind import Kind
from relatask.kinds.labels import cross_entropy_of_best, in_range, present, single, tensor_of
from relatask.tasks import Better, Task


class Binary(Kind):
    """One of two classes per row; labels are 0, 1 or NaN (-100 among integers).

    With class weights (w_0, w_1) and label smoothing e the loss is ``-w_1 q log p - w_0 (1 - q) log(1 - p)``, q the
    label brought nearer to one half by e: what the cross-entropy of two classes is.
    """

    name: ClassVar[str] = "binary"
    words: ClassVar[str] = "one of two classes per row"
    metrics: ClassVar[Mapping[str, Better]] = {
        "log_loss": "lower",
        "auc": "higher",
        "accuracy": "higher",
        "error_rate": "lower",
        "brier": "lower",
        "average_precision": "higher",
        "ece": "lower",
    }
    class_weights: ClassVar[bool] = True
    smooths: ClassVar[bool] = True

    def width(self, task: Task) -> int:
        """One logit."""
        return 1

    def losses(self, output: Tensor, target: Tensor, task: Task) -> Tensor:
        """Log losses (n,)."""
        logit = single(output[:, 0])
        of_zero, of_one = task.class_weight or (1.0, 1.0)
        return log_losses(logit, target, of_zero, of_one, task.label_smoothing)

    def null_loss(self, target: Tensor, task: Task, weight: Tensor | None = None) -> float | None:
        """The entropy of the labels."""
        seen = present(target)
        if not seen.any():
            return None
        return cross_entropy_of_best(task, target[seen], None if weight is None else weight[seen], classes=2)

    def answer(self, output: Tensor, task: Task) -> Any:
        """Chances of class 1 (n,)."""
        return single(output[:, 0]).detach().sigmoid().cpu()

    def check(self, target: Any, task: Task) -> None:
        """Expect (n,) of 0 and 1, or missing."""
        in_range(task, tensor_of(task, target, 1, "(n,): 0 or 1 for each row, NaN where it is missing"), 0, 1)

    def meters(self, task: Task) -> dict[str, Any]:
        """Area under the curve, and the share of rows that are right."""
        from torchmetrics.classification import BinaryAccuracy, BinaryAUROC

        return {"auc": BinaryAUROC(), "accuracy": BinaryAccuracy()}

    def watched(self, output: Any, target: Any, task: Task) -> tuple[Any, Any]:
        """Chances and classes."""
        return self.answer(output, task), target.long().cpu()


def log_losses(logit: Tensor, target: Tensor, of_zero: float | Tensor, of_one: float | Tensor, smooth: float) -> Tensor:
    """Weighted log losses of logits, with labels brought nearer to one half."""
    q = target.to(logit.dtype) * (1 - smooth) + smooth / 2
    return of_one * q * softplus(-logit) + of_zero * (1 - q) * softplus(logit)
