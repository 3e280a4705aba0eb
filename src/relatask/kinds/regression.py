"""Regression: a number per row, squared error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from relatask.kinds.kind import Kind
from relatask.kinds.labels import present, single, tensor_of
from relatask.tasks import Better, Task


class Regression(Kind):
    """A number per row; half the squared error is the Gaussian's, but the plain square is what its users know."""

    name: ClassVar[str] = "regression"
    words: ClassVar[str] = "a number per row"
    metrics: ClassVar[Mapping[str, Better]] = {"rmse": "lower", "mae": "lower", "r2": "higher"}

    def width(self, task: Task) -> int:
        """One number."""
        return 1

    def losses(self, output: Tensor, target: Tensor, task: Task) -> Tensor:
        """Squared errors (n,)."""
        found = single(output[:, 0])
        return (found - target.to(found.dtype)).square()

    def null_loss(self, target: Tensor, task: Task, weight: Tensor | None = None) -> float | None:
        """The variance of the labels."""
        return variance(target, weight)

    def answer(self, output: Tensor, task: Task) -> Any:
        """Numbers (n,)."""
        return single(output[:, 0]).detach().cpu()

    def check(self, target: Any, task: Task) -> None:
        """Expect (n,) finite numbers or NaN."""
        tensor_of(task, target, 1, "(n,): a number for each row, NaN where it is missing")

    def meters(self, task: Task) -> dict[str, Any]:
        """Errors, and the share of variance explained."""
        from torchmetrics import MeanAbsoluteError, MeanSquaredError, R2Score

        return {"rmse": MeanSquaredError(squared=False), "mae": MeanAbsoluteError(), "r2": R2Score()}


def variance(target: Tensor, weight: Tensor | None) -> float | None:
    """Weighted variance of the labels that are there, about their mean; None without any."""
    seen = present(target)
    if not seen.any():
        return None
    labels = target[seen].double()
    rows = torch.ones_like(labels) if weight is None else weight[seen].double()
    mean = (rows * labels).sum() / rows.sum()
    return float((rows * (labels - mean).square()).sum() / rows.sum())
