"""Similarity: how alike the two halves of a pair are, by the cosine of their embeddings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from relatask.kinds.kind import Kind
from relatask.kinds.labels import present, single, tensor_of
from relatask.kinds.regression import variance
from relatask.notices import InputError
from relatask.tasks import Better, Task

_EMBEDDED = 64


class Similarity(Kind):
    """How alike the two halves of a pair are; labels are numbers from -1 to 1, or NaN.

    The two halves of a row lie along the second axis of the inputs (n, 2, ...), of the representation (n, 2, features)
    and of the output (n, 2, d). The answer is the cosine of the two embeddings, the loss its squared error;
    `contrastive` is another loss, for labels 0 and 1.
    """

    name: ClassVar[str] = "similarity"
    words: ClassVar[str] = "how alike the two halves of a pair are"
    metrics: ClassVar[Mapping[str, Better]] = {"spearman": "higher", "pearson": "higher", "rmse": "lower"}

    def width(self, task: Task) -> int:
        """An embedding of 64 numbers for each half; a head of another width will do."""
        return _EMBEDDED

    def head(self, features: int, task: Task) -> nn.Module:
        """One linear layer for both halves."""
        return nn.Linear(features, _EMBEDDED)

    def shape(self, target: Any, task: Task) -> tuple[int | None, ...] | None:
        """(n, 2, d)."""
        return (len(target), 2, None)

    def losses(self, output: Tensor, target: Tensor, task: Task) -> Tensor:
        """Squared errors of the cosines (n,)."""
        found = cosines(output)
        return (found - target.to(found.dtype)).square()

    def null_loss(self, target: Tensor, task: Task, weight: Tensor | None = None) -> float | None:
        """The variance of the labels."""
        return variance(target, weight)

    def answer(self, output: Tensor, task: Task) -> Any:
        """Cosines (n,)."""
        return cosines(output.detach()).cpu()

    def check(self, target: Any, task: Task) -> None:
        """Expect (n,) of numbers from -1 to 1, or NaN."""
        labels = tensor_of(task, target, 1, "(n,): a number from -1 to 1 for each pair, NaN where it is missing")
        seen = labels[present(labels)]
        if seen.numel() and float(seen.abs().max()) > 1:
            worst = float(seen[seen.abs().argmax()])
            raise InputError(
                f"task {task.name!r} (similarity): a label is {worst:g}; a cosine lies from -1 to 1: scale the labels, "
                "y / y.max()."
            )

    def meters(self, task: Task) -> dict[str, Any]:
        """Correlations."""
        from torchmetrics import PearsonCorrCoef, SpearmanCorrCoef

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it keeps what it is shown: ranks cannot do without
            return {"spearman": SpearmanCorrCoef(), "pearson": PearsonCorrCoef()}


def cosines(output: Tensor) -> Tensor:
    """Give the cosine of the two halves (n, 2, d) of each row."""
    found = single(output)
    return cosine_similarity(found[:, 0], found[:, 1], dim=-1)


def contrastive(margin: float = 0.5) -> Callable[[Tensor, Tensor], Tensor]:
    """Give a loss for labels 1 (alike) and 0: ``y (1 - cos) + (1 - y) max(0, cos - margin)``.

    Examples
    --------
    >>> import torch
    >>> task = Task("same speaker", "similarity", loss=contrastive())
    >>> task.loss(torch.ones(2, 2, 3), torch.tensor([1.0, 0.0])).round(decimals=3).tolist()
    [0.0, 0.5]
    """

    def losses(output: Tensor, target: Tensor) -> Tensor:
        found = cosines(output)
        y = target.to(found.dtype)
        return y * (1 - found) + (1 - y) * (found - margin).clamp(min=0)

    return losses
