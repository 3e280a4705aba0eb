"""Segmentation: a class per pixel, cross-entropy of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.functional import interpolate

from relatask.kinds.kind import Kind
from relatask.kinds.labels import (
    MISSING,
    classes_of,
    cross_entropies,
    cross_entropy_of_best,
    highest,
    in_range,
    present,
    tensor_of,
)
from relatask.tasks import Better, Task


class PixelHead(nn.Module):
    """A head for segmentation: class logits on a feature map, brought to the picture's size.

    Parameters
    ----------
    features : int
        Channels of the map (n, features, h, w).
    classes : int
        How many.
    scale : float
        Pixels to a cell of the map.

    Examples
    --------
    >>> import torch
    >>> PixelHead(16, 3)(torch.zeros(2, 16, 4, 5)).shape
    torch.Size([2, 3, 32, 40])
    """

    def __init__(self, features: int, classes: int, scale: float = 8.0) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(features, classes, 1)
        self.scale = float(scale)

    def forward(self, z: Tensor) -> Tensor:
        """(n, classes, h scale, w scale)."""
        found = self.convolution(z)
        if self.scale == 1:
            return found
        return interpolate(found, scale_factor=self.scale, mode="bilinear", align_corners=False)


class Segmentation(Kind):
    """A class per pixel; labels are (n, H, W) of 0, 1, ..., and -100 where a pixel has none.

    A pixel counts as one label. The head gives (n, classes, H, W).
    """

    name: ClassVar[str] = "segmentation"
    words: ClassVar[str] = "a class per pixel"
    metrics: ClassVar[Mapping[str, Better]] = {"miou": "higher", "accuracy": "higher"}
    class_weights: ClassVar[bool] = True
    smooths: ClassVar[bool] = True

    def width(self, task: Task) -> int:
        """A logit per class."""
        return classes_of(task)

    def head(self, features: int, task: Task) -> nn.Module:
        """A `PixelHead` for a map of stride 8."""
        return PixelHead(features, classes_of(task))

    def shape(self, target: Any, task: Task) -> tuple[int | None, ...] | None:
        """(n, classes, H, W)."""
        return (len(target), self.width(task), *target.shape[1:])

    def observed(self, target: Tensor) -> Tensor:
        """Pictures with at least one pixel."""
        return present(target).flatten(1).any(1)

    def counts(self, target: Tensor) -> Tensor:
        """Pixels with a class (n,)."""
        return present(target).flatten(1).sum(1).float()

    def losses(self, output: Tensor, target: Tensor, task: Task) -> Tensor:
        """Cross-entropies summed over the pixels (n,)."""
        return cross_entropies(task, output, target).flatten(1).sum(1)

    def null_loss(self, target: Tensor, task: Task, weight: Tensor | None = None) -> float | None:
        """The entropy of the pixels' classes."""
        seen = present(target)
        if not seen.any():
            return None
        rows = None if weight is None else weight[:, None, None].expand(target.shape)[seen]
        return cross_entropy_of_best(task, target[seen], rows)

    def answer(self, output: Tensor, task: Task) -> Any:
        """A list with a map of classes (H, W) for each picture."""
        return list(output.detach().argmax(1).cpu())

    def check(self, target: Any, task: Task) -> None:
        """Expect (n, H, W) of 0 to classes - 1, and -100."""
        labels = tensor_of(task, target, 3, "(n, H, W): a class for each pixel, -100 where it has none")
        in_range(task, labels, 0, None if task.classes is None else task.classes - 1)

    def resolved(self, task: Task, target: Any) -> Task:
        """As many classes as the labels have."""
        return task if task.classes is not None else replace(task, classes=max(highest(target) + 1, 2))

    def meters(self, task: Task) -> dict[str, Any]:
        """Mean overlap of the classes, and the share of pixels that are right."""
        from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

        classes = classes_of(task)
        return {
            "miou": MulticlassJaccardIndex(classes, ignore_index=MISSING),
            "accuracy": MulticlassAccuracy(classes, average="micro", ignore_index=MISSING),
        }

    def watched(self, output: Any, target: Any, task: Task) -> tuple[Any, Any]:
        """Classes told and there, (n, H, W)."""
        return output.detach().argmax(1).cpu(), target.long().cpu()
