"""Pictures of one size, decoded once, changed at random along with their boxes and masks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from relatask.data.batch import Part
from relatask.data.collection import MISSING
from relatask.data.tensors.sources import Columns, Source, observed
from relatask.notices import InputError


@dataclass(frozen=True)
class Augment:
    """What is changed at random in a picture, and with it in its boxes and masks.

    Parameters
    ----------
    flip, flip_vertical : float
        Chances of turning left and right, or top and bottom, over.
    shift : float
        Moved by up to this share of the sides; black comes in, boxes are cut at the border.
    brightness : float
        Multiplied by a number from 1 - brightness to 1 + brightness.
    """

    flip: float = 0.0
    flip_vertical: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flip", "flip_vertical", "shift", "brightness"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augment: {name}={getattr(self, name)!r}; expected a number from 0 to 1.")


class Pictures(Source):
    """Pictures brought to one size, with labels of any kind.

    Inputs are (n, 3, height, width) of float32 in [0, 1]; pictures without colours, (height, width) each, give (n, 1,
    height, width). A picture is decoded when it is first needed, and kept as bytes.

    Parameters
    ----------
    pictures : sequence of arrays
        Each (height, width, 3) or (height, width) of uint8, such as `relatask.data.media.PictureFiles`.
    y : mapping from task to sequence
        Numbers as in `Columns`; boxes as ``{"boxes": (m, 4), "labels": (m,)}`` with corners in pixels of the picture as
        it is given; masks as arrays (height, width) of whole numbers, read when needed.
    size : (height, width)
        What all are brought to; sides are scaled on their own.
    augment : Augment, optional
        Random changes, for training; the generator is seeded with the batch, so that an epoch can be repeated.
    weight : tensor or array (n,), optional
        Weights of the rows.

    Raises
    ------
    InputError
        Where lengths differ.

    Examples
    --------
    >>> box = {"boxes": np.array([[0.0, 0.0, 4.0, 2.0]]), "labels": np.array([1])}
    >>> source = Pictures([np.zeros((4, 8), np.uint8)], {"things": [box]}, size=(2, 2))
    >>> part = source.part(np.array([0]))
    >>> tuple(part.x.shape), part.y["things"][0]["boxes"].tolist()
    ((1, 1, 2, 2), [[0.0, 0.0, 1.0, 1.0]])
    """

    def __init__(
        self,
        pictures: Sequence[Any],
        y: Mapping[Hashable, Any],
        size: tuple[int, int],
        augment: Augment | None = None,
        weight: Any = None,
    ) -> None:
        self.pictures = pictures
        self.size = size
        self.augment = augment
        self._order = tuple(y)
        sorts = {task: _sort(values) for task, values in y.items()}
        self._drawn = {task: values for task, values in y.items() if sorts[task] != "plain"}
        self._masks = {task for task, sort in sorts.items() if sort == "masks"}
        plain = {task: values for task, values in y.items() if task not in self._drawn}
        self._plain = Columns(np.arange(len(pictures)), plain, weight)
        for task, values in self._drawn.items():
            if len(values) != len(pictures):
                raise InputError(f"task {task!r} has {len(values)} labels and there are {len(pictures)} pictures.")
        self._kept: dict[int, tuple[torch.Tensor, tuple[int, int]]] = {}
        self._labels: dict[tuple[Hashable, int], Any] = {}

    @property
    def tasks(self) -> tuple[Hashable, ...]:
        """The tasks, in the order given."""
        return self._order

    def __len__(self) -> int:
        return len(self.pictures)

    def part(self, rows: np.ndarray, seed: tuple[int, ...] = (0,)) -> Part:
        """Give some rows; random changes are drawn from `seed`."""
        plain = self._plain.part(rows, seed)
        numbers = [int(row) for row in rows]
        x = torch.stack([self._picture(row)[0] for row in numbers]).float() / 255
        drawn = {task: [self._label(task, row) for row in numbers] for task in self._drawn}
        if self.augment is not None:
            rng = np.random.default_rng(seed)
            changed = [_changed(self.augment, *self.size, rng) for _ in numbers]
            x = torch.stack([change.picture(one) for change, one in zip(changed, x, strict=True)])
            drawn = {
                task: [change.label(one) for change, one in zip(changed, labels, strict=True)]
                for task, labels in drawn.items()
            }
        y = {task: self._together(task, drawn[task]) if task in drawn else plain.y[task] for task in self._order}
        return Part(x, y, plain.weight, plain.index)

    def weights(self, task: Hashable) -> torch.Tensor | None:
        """The rows' weights."""
        return self._plain.weight

    def target(self, task: Hashable) -> Any:
        """Give all labels of a task as they are without random changes."""
        if task not in self._drawn:
            return self._plain.target(task)
        return self._together(task, [self._label(task, row) for row in range(len(self))])

    def labelled(self, task: Hashable) -> np.ndarray:
        """Say which rows have a label of a task, (n,) of bool."""
        return super().labelled(task) if task not in self._masks else observed(self._drawn[task])

    def _picture(self, row: int) -> tuple[torch.Tensor, tuple[int, int]]:
        if row not in self._kept:
            given = torch.from_numpy(np.asarray(self.pictures[row]))
            channels = given[None] if given.ndim == 2 else given.permute(2, 0, 1)
            self._kept[row] = _resized(channels, self.size, "bilinear"), (given.shape[0], given.shape[1])
        return self._kept[row]

    def _label(self, task: Hashable, row: int) -> Any:
        if (task, row) not in self._labels:
            self._labels[task, row] = self._scaled(self._drawn[task][row], row)
        return self._labels[task, row]

    def _together(self, task: Hashable, labels: list[Any]) -> Any:
        """Stack masks, -100 throughout where there is none; leave boxes a list."""
        if task not in self._masks:
            return labels
        none = torch.full(self.size, MISSING, dtype=torch.long)
        return torch.stack([none if label is None else label for label in labels])

    def _scaled(self, label: Any, row: int) -> Any:
        if label is None:
            return None
        if not isinstance(label, Mapping):
            mask = torch.from_numpy(np.asarray(label))
            return _resized(mask[None], self.size, "nearest-exact")[0].long()
        height, width = self._picture(row)[1]
        scale = torch.tensor([self.size[1] / width, self.size[0] / height] * 2)
        boxes = torch.as_tensor(label["boxes"], dtype=torch.float32).reshape(-1, 4) * scale
        return {"boxes": boxes, "labels": torch.as_tensor(label["labels"], dtype=torch.long)}


@dataclass(frozen=True)
class _Change:
    """One draw of the random changes, for pictures of one size."""

    flip: bool
    flip_vertical: bool
    down: int
    right: int
    factor: float
    height: int
    width: int

    def picture(self, x: torch.Tensor) -> torch.Tensor:
        return (self._moved(x, 0) * self.factor).clamp_(0, 1) if self.factor != 1 else self._moved(x, 0)

    def label(self, label: Any) -> Any:
        if label is None:
            return None
        if isinstance(label, torch.Tensor):
            return self._moved(label, MISSING)
        boxes, side = label["boxes"].clone(), label["boxes"].new_tensor([self.width, self.height] * 2)
        if self.flip:
            boxes[:, [0, 2]] = self.width - boxes[:, [2, 0]]
        if self.flip_vertical:
            boxes[:, [1, 3]] = self.height - boxes[:, [3, 1]]
        before = _area(boxes)
        boxes = (boxes + boxes.new_tensor([self.right, self.down] * 2)).clamp_(min=0).minimum(side)
        left = _area(boxes) > 0.2 * before  # of a cell that is cut off but for a rim nobody can tell what it is
        return {"boxes": boxes[left], "labels": label["labels"][left]}

    def _moved(self, x: torch.Tensor, fill: float) -> torch.Tensor:
        turned = [axis for axis, on in ((-1, self.flip), (-2, self.flip_vertical)) if on]
        x = x.flip(turned) if turned else x
        if not self.down and not self.right:
            return x
        out = torch.full_like(x, fill)
        to, come = _spans(self.down, self.height), _spans(self.right, self.width)
        out[..., to[0], come[0]] = x[..., to[1], come[1]]
        return out


def _changed(augment: Augment, height: int, width: int, rng: np.random.Generator) -> _Change:
    chances, moves, light = rng.random(2), rng.uniform(-1, 1, 2), rng.uniform(-1, 1)
    down, right = (round(augment.shift * side * move) for side, move in zip((height, width), moves, strict=True))
    flips = bool(chances[0] < augment.flip), bool(chances[1] < augment.flip_vertical)
    return _Change(*flips, down, right, 1 + augment.brightness * float(light), height, width)


def _spans(by: int, side: int) -> tuple[slice, slice]:
    """Give where rows go to, and where they come from."""
    return slice(max(by, 0), side + min(by, 0)), slice(max(-by, 0), side + min(-by, 0))


def _area(boxes: torch.Tensor) -> torch.Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1)


def _resized(picture: torch.Tensor, size: tuple[int, int], mode: str) -> torch.Tensor:
    if tuple(picture.shape[-2:]) == tuple(size):
        return picture
    smooth = {"antialias": True} if mode == "bilinear" else {}
    found = interpolate(picture[None].float(), size, mode=mode, **smooth)[0]
    return found.round().clamp(0, 255).to(picture.dtype)


def _sort(values: Any) -> str:
    """Say whether labels are boxes or masks, which change with the picture, or plain numbers."""
    if isinstance(values, torch.Tensor | np.ndarray) and values.dtype != object:
        return "masks" if values.ndim == 3 else "plain"
    first = next((value for value in map(values.__getitem__, range(len(values))) if value is not None), None)
    if isinstance(first, Mapping):
        return "boxes"
    return "masks" if first is not None and np.ndim(first) == 2 else "plain"
