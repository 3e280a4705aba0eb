"""Regression: a number per row, squared error."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from relatask.kinds.kind import Kind
from relatask.tasks import Task


class Regression(Kind):
    """A number per row; half the squared error is the Gaussian's, but the plain square is what its users know."""

    name: ClassVar[str] = "regression"
    words: ClassVar[str] = "a number per row"

    def width(self, task: Task) -> int:
        """One number."""
        return 1

    def observed(self, target: Tensor) -> Tensor:
        """Whatever is not NaN."""
        return ~target.isnan()

    def losses(self, output: Tensor, target: Tensor, task: Task) -> Tensor:
        """Squared errors (n,)."""
        return (output[:, 0] - target).square()

    def null_loss(self, target: Tensor, task: Task) -> float | None:
        """The variance of the labels."""
        return float(target[self.observed(target)].double().var(correction=0))

    def answer(self, output: Tensor, task: Task) -> Any:
        """Numbers (n,)."""
        return output[:, 0].detach().cpu()
