"""Detection: boxes and their classes, found without anchors: a class, a box and its quality at every location."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from relatask.boxes import MOST, distinct
from relatask.kinds.detecting import BoxHead, assigned, boxes_of, focal_losses, overlaps, read
from relatask.kinds.kind import Kind
from relatask.kinds.labels import classes_of
from relatask.notices import InputError
from relatask.tasks import Better, Task

_CANDIDATES = 1000  # locations and classes of a picture that are looked at, the best ones
_LEAST = 0.05  # the chance of a class from which a box is told


class Detection(Kind):
    """Boxes and their classes; a label is ``{"boxes": (m, 4), "labels": (m,)}`` or None.

    Boxes are corners x0, y0, x1, y1 in pixels. A picture without any box (m = 0) has a label: there is nothing. The
    head gives (n, locations, classes + 8): see `relatask.kinds.BoxHead`.

    Each picture's loss is the focal loss of the classes at all locations, by the number of its locations that tell a
    box, and of those the means of ``1 - GIoU`` and of the quality's log loss; it counts as one label. A location tells
    the box whose middle it is near (within 1.5 strides, inside the box; the nearest one in any case), the smallest of
    several; in heads with several strides a box belongs to one, by its longer side. Quality is the overlap of the box
    told with the true one (in the place of FCOS's centerness).

    References
    ----------
    Tian et al. 2019, FCOS: Fully convolutional one-stage object detection, ICCV. Lin et al. 2017, Focal loss for dense
    object detection, ICCV. Rezatofighi et al. 2019, Generalized intersection over union, CVPR. Wu et al. 2020,
    IoU-aware single-stage object detector, Image and Vision Computing 97.
    """

    name: ClassVar[str] = "detection"
    words: ClassVar[str] = "boxes and their classes per picture"
    metrics: ClassVar[Mapping[str, Better]] = {"map": "higher", "map50": "higher"}

    def width(self, task: Task) -> int:
        """Class logits, and eight numbers about the box and where it was seen."""
        return classes_of(task) + 8

    def head(self, features: int, task: Task) -> nn.Module:
        """A `BoxHead` for one feature map of stride 8."""
        return BoxHead(features, classes_of(task))

    def shape(self, target: Any, task: Task) -> tuple[int | None, ...] | None:
        """(n, locations, classes + 8)."""
        return (len(target), None, self.width(task))

    def observed(self, target: Sequence[Any]) -> Tensor:
        """Pictures whose boxes are known, none of them included."""
        return torch.tensor([picture is not None for picture in target], dtype=torch.bool)

    def losses(self, output: Tensor, target: Sequence[Any], task: Task) -> Tensor:
        """Losses of pictures (n,)."""
        seen = read(output)
        n = len(seen.logits)
        of_class = torch.zeros_like(seen.logits)
        row: list[Tensor] = []
        at: list[Tensor] = []
        real: list[Tensor] = []
        for i, picture in enumerate(target):
            boxes, labels = boxes_of(picture, output.device)
            place, box = assigned(seen.centres, seen.strides, boxes)
            of_class[i, place, labels[box]] = 1
            row.append(torch.full_like(place, i))
            at.append(place)
            real.append(boxes[box])
        rows, ats = torch.cat(row), torch.cat(at)
        by = torch.bincount(rows, minlength=n).clamp(min=1).to(seen.logits.dtype)
        losses = focal_losses(seen.logits, of_class).sum((1, 2)) / by
        iou, generalized = overlaps(seen.boxes[rows, ats], torch.cat(real).to(seen.boxes.dtype))
        quality = binary_cross_entropy_with_logits(seen.quality[rows, ats], iou.detach(), reduction="none")
        return losses.index_add(0, rows, (1 - generalized + quality) / by[rows])

    def answer(self, output: Tensor, task: Task) -> Any:
        """A list of ``{"boxes": (k, 4), "scores": (k,), "labels": (k,)}``, best first; at most 100 a picture.

        Told is what has a chance above .05; the score is the geometric mean of chance and quality, and of boxes of one
        class that overlap by more than one half the best one is left.
        """
        with torch.no_grad():
            seen = read(output.detach())
            chances = seen.logits.sigmoid()
            scores = (chances * seen.quality.sigmoid()[..., None]).sqrt() * (chances > _LEAST)
            scores = scores.cpu()
            boxes = seen.boxes.cpu()
            edge = (seen.centres + seen.strides[:, None] / 2).amax(0).cpu()
        found = []
        for score, box in zip(scores, boxes, strict=True):
            flat = score.flatten()
            best, index = flat.topk(min(_CANDIDATES, len(flat)))
            index = index[best > 0]
            place, label = index // score.shape[1], index % score.shape[1]
            within = torch.minimum(box[place].clamp(min=0), edge.repeat(2))
            kept = distinct(within.numpy(), flat[index].numpy(), label.numpy(), limit=MOST)
            found.append({"boxes": within[kept], "scores": flat[index][kept], "labels": label[kept]})
        return found

    def check(self, target: Any, task: Task) -> None:
        """Expect a list of boxes with classes, each box with an area, or None."""
        if isinstance(target, Tensor | np.ndarray) or not isinstance(target, Sequence):
            raise InputError(
                f"task {task.name!r} (detection): labels are a {type(target).__name__}; expected a list with "
                "{'boxes': (m, 4), 'labels': (m,)} for each picture, None where they are not known."
            )
        for row, picture in enumerate(target):
            if picture is not None:
                _check_picture(task, row, picture)

    def resolved(self, task: Task, target: Any) -> Task:
        """As many classes as the labels have."""
        if task.classes is not None:
            return task
        labels = [boxes_of(picture, torch.device("cpu"))[1] for picture in target if picture is not None]
        return replace(task, classes=max((int(found.max()) + 1 for found in labels if len(found)), default=1))

    def meters(self, task: Task) -> dict[str, Any]:
        """Average precision of COCO, over ten overlaps and at one half."""
        from relatask.boxes import OVERLAPS
        from relatask.kinds.meters import AveragePrecision

        return {"map": AveragePrecision(OVERLAPS), "map50": AveragePrecision((0.5,))}

    def watched(self, output: Any, target: Any, task: Task) -> tuple[Any, Any]:
        """Boxes told and boxes there."""
        return self.answer(output, task), target


def _check_picture(task: Task, row: int, picture: Any) -> None:
    said = f"task {task.name!r} (detection): picture {row}"
    if not isinstance(picture, Mapping) or not {"boxes", "labels"} <= set(picture):
        raise InputError(f"{said} has {picture!r:.60}; expected {{'boxes': (m, 4), 'labels': (m,)}} or None.")
    raw = torch.as_tensor(picture["boxes"])
    if raw.numel() and (raw.ndim != 2 or raw.shape[1] != 4):
        raise InputError(f"{said} has boxes {tuple(raw.shape)}; expected (m, 4): x0, y0, x1, y1 in pixels.")
    boxes, labels = boxes_of(picture, torch.device("cpu"))
    if len(boxes) != len(labels):
        raise InputError(f"{said} has {len(boxes)} boxes and {len(labels)} labels; give a class for each box.")
    if not bool((boxes.isfinite().all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)).all()):
        raise InputError(f"{said} has a box without an area; expected x0 < x1 and y0 < y1, all finite.")
    top = None if task.classes is None else task.classes - 1
    if len(labels) and (int(labels.min()) < 0 or (top is not None and int(labels.max()) > top)):
        wrong = int(labels.min()) if int(labels.min()) < 0 else int(labels.max())
        raise InputError(f"{said} has class {wrong}; expected 0 to {'...' if top is None else top}.")
