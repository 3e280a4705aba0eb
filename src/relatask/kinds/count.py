"""Count: a nonnegative integer per row, Poisson with a log link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor
from torch.special import xlogy

from relatask.kinds.kind import Kind
from relatask.kinds.labels import in_range, present, single, tensor_of
from relatask.tasks import Better, Task


class Count(Kind):
    """A nonnegative integer per row; labels are numbers or NaN (-100 among integers).

    The loss is half the deviance, ``exp(o) - y - y (o - log y)``: the Poisson's minus log-likelihood less its least
    value, so that it is zero where ``exp(o) = y`` and never negative.
    """

    name: ClassVar[str] = "count"
    words: ClassVar[str] = "a nonnegative integer per row"
    metrics: ClassVar[Mapping[str, Better]] = {
        "poisson_deviance": "lower",
        "rmse": "lower",
        "mae": "lower",
        "d2": "higher",
    }

    def width(self, task: Task) -> int:
        """The logarithm of the mean."""
        return 1

    def losses(self, output: Tensor, target: Tensor, task: Task) -> Tensor:
        """Half deviances (n,)."""
        found = single(output[:, 0])
        y = target.to(found.dtype)
        return found.exp() - y - y * found + xlogy(y, y)

    def null_loss(self, target: Tensor, task: Task, weight: Tensor | None = None) -> float | None:
        """Half the deviance of the mean."""
        seen = present(target)
        if weight is not None:
            seen = seen & (weight > 0)
        if not seen.any():
            return None
        y = target[seen].double()
        rows = y.new_ones(len(y)) if weight is None else weight[seen].double()
        mean = (rows * y).sum() / rows.sum()
        return float((rows * (xlogy(y, y) - xlogy(y, mean))).sum() / rows.sum())

    def answer(self, output: Tensor, task: Task) -> Any:
        """Means (n,)."""
        return single(output[:, 0]).detach().exp().cpu()

    def check(self, target: Any, task: Task) -> None:
        """Expect (n,) of 0, 1, 2, ..., or missing."""
        in_range(task, tensor_of(task, target, 1, "(n,): a count for each row, NaN where it is missing"), 0, None)

    def meters(self, task: Task) -> dict[str, Any]:
        """The deviance, and the error in counts."""
        from torchmetrics import MeanSquaredError, TweedieDevianceScore

        return {"poisson_deviance": TweedieDevianceScore(power=1.0), "rmse": MeanSquaredError(squared=False)}
