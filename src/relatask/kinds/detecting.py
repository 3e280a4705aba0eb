"""The parts of detection: the head, what its output means, which location tells which box, losses of boxes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from relatask.kinds.labels import single
from relatask.notices import InputError

RADIUS = 1.5
"""Strides from a box's middle within which locations tell it."""
_WIDEST = 8.0  # a box's longer side, in strides, from which the next stride has it (FCOS: 64 pixels at stride 8)
_PRIOR = 0.01
_GROWTH = 6.0  # the largest exponent of a side: 400 strides


class BoxHead(nn.Module):
    """A head for detection on a feature map, or on several of different strides, without anchors.

    At the location (x, y) of a cell, in pixels, it gives the classes' logits, the quality's, and a box with the middle
    ``(x, y) + stride (d_x, d_y)`` and the sides ``stride exp(s_x), stride exp(s_y)``. The output is (n, locations,
    classes + 8): class logits, quality logit, corners x0, y0, x1, y1, then x, y and the stride, in single precision at
    least.

    Parameters
    ----------
    features : int
        Channels of the maps (n, features, h, w).
    classes : int
        How many.
    strides : sequence of float
        Pixels of the picture to a cell; with several the representation is a sequence of maps.
    hidden : int, optional
        Channels of one layer of 3 x 3 before; None for none.

    Examples
    --------
    >>> BoxHead(16, 3)(torch.zeros(2, 16, 30, 40)).shape
    torch.Size([2, 1200, 11])
    """

    def __init__(
        self, features: int, classes: int, strides: Sequence[float] = (8.0,), hidden: int | None = None
    ) -> None:
        super().__init__()
        self.strides = tuple(float(stride) for stride in strides)
        self.before: nn.Module = nn.Identity()
        if hidden is not None:
            self.before = nn.Sequential(nn.Conv2d(features, hidden, 3, padding=1), nn.ReLU())
        self.convolution = nn.Conv2d(hidden or features, classes + 5, 3, padding=1)
        nn.init.normal_(self.convolution.weight, std=0.01)
        with torch.no_grad():  # few locations tell a box: begin there, or the first steps are spent on saying no
            self.convolution.bias[:classes] = -math.log((1 - _PRIOR) / _PRIOR)  # type: ignore[index]

    def forward(self, z: Tensor | Sequence[Tensor]) -> Tensor:
        """Give what is seen at the locations of all maps, one after the other."""
        maps = (z,) if isinstance(z, Tensor) else tuple(z)
        if len(maps) != len(self.strides) or any(one.ndim != 4 for one in maps):
            raise InputError(
                f"a BoxHead with strides {self.strides} takes {len(self.strides)} maps (n, features, h, w); given "
                f"{', '.join(str(tuple(one.shape)) for one in maps)}."
            )
        return torch.cat([self._at(one, stride) for one, stride in zip(maps, self.strides, strict=True)], 1)

    def _at(self, z: Tensor, stride: float) -> Tensor:
        found = single(self.convolution(self.before(z))).flatten(2).transpose(1, 2)
        height, width = z.shape[2:]
        y, x = torch.meshgrid(
            *(torch.arange(side, device=z.device, dtype=found.dtype) + 0.5 for side in (height, width)), indexing="ij"
        )
        place = torch.stack([x.flatten(), y.flatten()], 1) * stride
        middle = place + stride * found[..., -4:-2]
        half = stride / 2 * found[..., -2:].clamp(max=_GROWTH).exp()
        where = torch.cat([place, torch.full_like(place[:, :1], stride)], 1).expand(len(z), -1, -1)
        return torch.cat([found[..., :-4], middle - half, middle + half, where], 2)


class Seen(NamedTuple):
    """An output of `BoxHead` by its parts; locations and strides are those of all pictures."""

    logits: Tensor
    quality: Tensor
    boxes: Tensor
    centres: Tensor
    strides: Tensor


def read(output: Tensor) -> Seen:
    """Take an output (n, locations, classes + 8) apart."""
    output = single(output)
    return Seen(
        output[..., :-8], output[..., -8], output[..., -7:-3], output[0, :, -3:-1].detach(), output[0, :, -1].detach()
    )


def boxes_of(picture: Mapping[str, Any], device: torch.device) -> tuple[Tensor, Tensor]:
    """Give the boxes (m, 4) and classes (m,) of a picture as tensors."""
    boxes = torch.as_tensor(picture["boxes"], device=device).float().reshape(-1, 4)
    return boxes, torch.as_tensor(picture["labels"], device=device).long().reshape(-1)


@torch.no_grad()
def assigned(centres: Tensor, strides: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Say which locations tell a box, and which.

    Parameters
    ----------
    centres, strides : tensor (P, 2), (P,)
        Locations and the pixels to a cell there.
    boxes : tensor (m, 4)
        What is in the picture.

    Returns
    -------
    places, boxes : tensor (k,), (k,)
        Locations, each once, and the box each tells; every box has at least one unless a smaller one took it.
    """
    if not len(boxes):
        none = torch.zeros(0, dtype=torch.long, device=centres.device)
        return none, none
    boxes = boxes.to(centres.dtype)
    middle, side = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    away = centres[:, None] - middle  # (P, m, 2)
    levels, level = strides.unique(return_inverse=True)
    own = torch.bucketize(side.amax(1), _WIDEST * levels[:-1], right=True)
    mine = level[:, None] == own
    tells = mine & (away.abs().amax(-1) < RADIUS * strides[:, None]) & (away.abs() < side / 2).all(-1)
    nearest = away.square().sum(-1).masked_fill(~mine, torch.inf).argmin(0)
    tells[nearest, torch.arange(len(boxes), device=boxes.device)] = True
    area = side.prod(1).expand(len(centres), -1).masked_fill(~tells, torch.inf)
    places = tells.any(1).nonzero()[:, 0]
    return places, area[places].argmin(1)


def focal_losses(logits: Tensor, target: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Give ``-alpha_t (1 - p_t)^gamma log p_t``, p_t the chance given to what is the case (Lin et al. 2017)."""
    chance = logits.sigmoid()
    wrong = chance + target - 2 * chance * target
    plain = binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (alpha * target + (1 - alpha) * (1 - target)) * wrong**gamma * plain


def overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Give the overlap of each pair of boxes (k, 4), and the generalized one (Rezatofighi et al. 2019).

    ``GIoU = IoU - (C - U) / C``, U the area of both together and C that of the smallest box around them.
    """
    both = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    around = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - both
    iou = both / union
    return iou, iou - (around - union) / around
