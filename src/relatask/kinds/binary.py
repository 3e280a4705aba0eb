"""Binary: one of two classes per row, 0 and 1, log loss of a logit."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.special import entr

from relatask.kinds.kind import Kind
from relatask.tasks import Task


class Binary(Kind):
    """One of two classes per row; labels are 0.0, 1.0 or NaN."""

    name: ClassVar[str] = "binary"
    words: ClassVar[str] = "one of two classes per row"

    def width(self, task: Task) -> int:
        """One logit."""
        return 1

    def observed(self, target: Tensor) -> Tensor:
        """Whatever is not NaN."""
        return ~target.isnan()

    def losses(self, output: Tensor, target: Tensor, task: Task) -> Tensor:
        """Log losses (n,)."""
        return binary_cross_entropy_with_logits(output[:, 0], target.to(output.dtype), reduction="none")

    def null_loss(self, target: Tensor, task: Task) -> float | None:
        """The entropy of the labels."""
        share = target[self.observed(target)].double().mean()
        return float(entr(share) + entr(1 - share))

    def answer(self, output: Tensor, task: Task) -> Any:
        """Chances of class 1 (n,)."""
        return output[:, 0].detach().sigmoid().cpu()
