"""Ordinal: one of several classes in order per row, cumulative logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, pad, softplus

from relatask.kinds.kind import Kind
from relatask.kinds.labels import (
    classes_of,
    cross_entropy_of_best,
    highest,
    in_range,
    present,
    single,
    tensor_of,
)
from relatask.notices import InputError
from relatask.tasks import Better, Task

_NARROWEST = 1e-6  # of the gap between two neighbouring classes, in logits


class ProportionalOdds(nn.Module):
    """The default head: one score a row, and steps between the classes that all rows share.

    Parameters
    ----------
    features : int
        Of the representation.
    classes : int
        How many.

    References
    ----------
    McCullagh 1980, Regression models for ordinal data, JRSS B 42.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        self.gaps = nn.Parameter(torch.zeros(classes - 2))

    def forward(self, z: Tensor) -> Tensor:
        """(n, classes - 1): the score, then the same gaps for every row."""
        first = self.linear(z)
        return torch.cat([first, self.gaps.to(first.dtype).expand(*first.shape[:-1], -1)], -1)


class Ordinal(Kind):
    """One of several classes in order; labels are 0, 1, ... or -100 (NaN among floats).

    Cumulative logits ``P(y > k) = sigmoid(o_0 - sum_{1 <= j <= k} softplus(o_j))`` for an output o (n, classes - 1): in
    order whatever the head gives (gaps are 1e-6 wider, so that none vanishes). The loss is ``-log P(y)``. The default
    head, `ProportionalOdds`, has gaps that do not depend on the row; any head of this width makes them depend on it.
    """

    name: ClassVar[str] = "ordinal"
    words: ClassVar[str] = "one of several classes in order per row"
    metrics: ClassVar[Mapping[str, Better]] = {
        "mae": "lower",
        "quadratic_kappa": "higher",
        "accuracy": "higher",
        "error_rate": "lower",
        "log_loss": "lower",
    }
    class_weights: ClassVar[bool] = True

    def width(self, task: Task) -> int:
        """A number for each border between classes."""
        if classes_of(task) < 2:
            raise InputError(f"task {task.name!r} (ordinal): classes={task.classes}; expected 2 or more.")
        return classes_of(task) - 1

    def head(self, features: int, task: Task) -> nn.Module:
        """`ProportionalOdds`."""
        return ProportionalOdds(features, self.width(task) + 1)

    def losses(self, output: Tensor, target: Tensor, task: Task) -> Tensor:
        """Minus the log chance of each label (n,)."""
        logit, gap = _borders(output)
        label = target.long()[:, None]
        # P(y) = sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), a above the class and b below it.
        above = pad(logsigmoid(logit), (1, 0)).gather(1, label)[:, 0]
        below = pad(logsigmoid(-logit), (0, 1)).gather(1, label)[:, 0]
        between = pad((-torch.expm1(-gap)).log(), (1, 1)).gather(1, label)[:, 0]
        losses = -(above + below + between)
        return losses if task.class_weight is None else losses * losses.new_tensor(task.class_weight)[label[:, 0]]

    def null_loss(self, target: Tensor, task: Task, weight: Tensor | None = None) -> float | None:
        """The entropy of the labels."""
        seen = present(target)
        if not seen.any():
            return None
        return cross_entropy_of_best(task, target[seen], None if weight is None else weight[seen])

    def answer(self, output: Tensor, task: Task) -> Any:
        """Chances (n, classes)."""
        logit, _ = _borders(output.detach())
        above = pad(pad(logit.sigmoid(), (1, 0), value=1.0), (0, 1))
        return (above[:, :-1] - above[:, 1:]).cpu()

    def check(self, target: Any, task: Task) -> None:
        """Expect (n,) of 0 to classes - 1, or missing."""
        labels = tensor_of(task, target, 1, "(n,): a class for each row, -100 where it is missing")
        in_range(task, labels, 0, None if task.classes is None else task.classes - 1)

    def resolved(self, task: Task, target: Any) -> Task:
        """As many classes as the labels have, two at least."""
        return task if task.classes is not None else replace(task, classes=max(highest(target) + 1, 2))

    def meters(self, task: Task) -> dict[str, Any]:
        """Classes off, and agreement beyond chance."""
        from torchmetrics import MeanAbsoluteError
        from torchmetrics.classification import MulticlassCohenKappa

        return {
            "mae": MeanAbsoluteError(),
            "quadratic_kappa": MulticlassCohenKappa(classes_of(task), weights="quadratic"),
        }

    def watched(self, output: Any, target: Any, task: Task) -> tuple[Any, Any]:
        """The median class and the label."""
        logit, _ = _borders(output.detach())
        return (logit > 0).sum(1).cpu(), target.long().cpu()


def _borders(output: Tensor) -> tuple[Tensor, Tensor]:
    """Give the logits of P(y > 0), P(y > 1), ..., which fall, and the gaps between them."""
    found = single(output)
    gap = softplus(found[:, 1:]) + _NARROWEST
    return found[:, :1] - pad(gap.cumsum(1), (1, 0)), gap
