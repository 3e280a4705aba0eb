"""ResNet: pictures through residual blocks, a map and its mean."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from relatask.nets.encoders.states import PictureStates, one_of
from relatask.notices import InputError

GIVES = ("pooled", "map", "both")


class ResNet(nn.Module):
    """Residual blocks of two convolutions, each level half the size and twice the width of the one before.

    ``h <- relu(h + norm(conv(relu(norm(conv(h))))))``; where size or width change, h goes through a convolution of
    width 1. Pictures of whole numbers (uint8) are divided by 255.

    Parameters
    ----------
    channels : int
        Of pictures (n, channels, height, width).
    width : int
        Channels of the first level.
    blocks : sequence of int
        How many blocks each level has.
    stem : {1, 2, 4}
        What the first layer divides height and width by: 1 for small pictures, 4 (a stride and a pooling) for large.
    normalization : {"batch", "group"}
        Of convolutions; groups of 8 channels do not depend on the other pictures of a batch.
    gives : {"pooled", "map", "both"}
        A tensor (n, features) or (n, features, height / s, width / s), s = stem 2^(levels - 1), or `PictureStates` with
        both, for `PooledHead` and `MapHead`.

    Attributes
    ----------
    features : int
        Channels of the last level, width 2^(levels - 1).
    stride : int
        s.

    Raises
    ------
    InputError
        For unknown names, and inputs that are no pictures.

    References
    ----------
    He, Zhang, Ren and Sun 2016, Deep residual learning for image recognition, CVPR (the blocks of its ResNet-18).

    Examples
    --------
    >>> import torch
    >>> encoder = ResNet(channels=1, width=8, blocks=(1, 1))
    >>> encoder(torch.zeros(2, 1, 28, 28)).shape, encoder.features
    (torch.Size([2, 16]), 16)
    """

    def __init__(
        self,
        channels: int = 3,
        width: int = 32,
        blocks: Sequence[int] = (1, 1, 1, 1),
        stem: int = 1,
        normalization: str = "batch",
        gives: str = "pooled",
    ) -> None:
        super().__init__()
        self.gives = one_of(gives, GIVES, "gives", "ResNet")
        one_of(normalization, ("batch", "group"), "normalization", "ResNet")
        if stem not in (1, 2, 4) or not blocks:
            raise InputError(f"ResNet: stem={stem!r}, blocks={blocks!r}; expected 1, 2 or 4, and at least one level.")
        self.channels = channels
        self.features = width * 2 ** (len(blocks) - 1)
        self.stride = stem * 2 ** (len(blocks) - 1)
        first = [_conv(channels, width, 3, min(stem, 2)), _norm(normalization, width), nn.ReLU()]
        layers: list[nn.Module] = [*first, *([nn.MaxPool2d(3, 2, 1)] if stem == 4 else [])]
        before = width
        for level, count in enumerate(blocks):
            for place in range(count):
                own = width * 2**level
                layers.append(_Block(before, own, 2 if level and not place else 1, normalization))
                before = own
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor | PictureStates:
        """Give (n, features), a map, or both, of pictures (n, channels, height, width)."""
        if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[1] != self.channels:
            told = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise InputError(f"ResNet takes pictures (n, {self.channels}, height, width); given {told}.")
        found: Tensor = self.layers(pictured(x, next(self.parameters())))
        if self.gives == "map":
            return found
        pooled = found.mean((2, 3))
        return pooled if self.gives == "pooled" else PictureStates(found, pooled)


class _Block(nn.Module):
    def __init__(self, before: int, width: int, stride: int, normalization: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(before, width, 3, stride),
            _norm(normalization, width),
            nn.ReLU(),
            _conv(width, width, 3, 1),
            _norm(normalization, width),
        )
        same = before == width and stride == 1
        self.skip = (
            nn.Identity() if same else nn.Sequential(_conv(before, width, 1, stride), _norm(normalization, width))
        )

    def forward(self, h: Tensor) -> Tensor:
        return (self.body(h) + self.skip(h)).relu()


def pictured(x: Tensor, like: Tensor) -> Tensor:
    """Give pictures as the net's numbers: whole ones divided by 255."""
    return x.to(like.dtype) if x.is_floating_point() else x.to(like.dtype) / 255


def _conv(before: int, width: int, size: int, stride: int) -> nn.Conv2d:
    layer = nn.Conv2d(before, width, size, stride, size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def _norm(kind: str, width: int) -> nn.Module:
    return nn.BatchNorm2d(width) if kind == "batch" else nn.GroupNorm(max(width // 8, 1), width)
