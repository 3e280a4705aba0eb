"""LogMelCNN: sounds as pictures of their loudness by pitch and time, through convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from relatask.notices import InputError


class LogMel(nn.Module):
    """Loudness by pitch and time: ``log(floor + M |FFT(window * frame)|^2)``, M triangles evenly spaced in mel.

    Parameters
    ----------
    rate : int
        Samples a second.
    mels : int
        Bands of pitch.
    window, hop : float
        Length of a frame, and from one to the next, in seconds.
    floor : float
        What silence is taken to be; of samples in [-1, 1].

    Raises
    ------
    InputError
        For bands too narrow for the frame.

    References
    ----------
    Davis and Mermelstein 1980, IEEE Transactions on acoustics, speech, and signal processing 28 (mel bands); the mel
    scale 2595 log10(1 + f / 700).

    Examples
    --------
    >>> loud, frames = LogMel(8000, mels=40)(torch.zeros(1, 8000))
    >>> loud.shape, frames
    (torch.Size([1, 98, 40]), tensor([98]))
    """

    weights: Tensor
    shape: Tensor

    def __init__(
        self, rate: int = 8000, mels: int = 40, window: float = 0.025, hop: float = 0.01, floor: float = 1e-6
    ) -> None:
        super().__init__()
        self.size, self.hop, self.floor = round(rate * window), round(rate * hop), floor
        self.points = 2 ** (self.size - 1).bit_length()
        found = triangles(rate, self.points, mels)
        if not (found.sum(0) > 0).all():
            raise InputError(
                f"LogMel: {mels} bands are too many for frames of {self.size} samples at {rate} a second; take fewer, "
                "or a longer window."
            )
        self.register_buffer("weights", found.float(), persistent=False)
        self.register_buffer("shape", torch.hann_window(self.size, periodic=False), persistent=False)

    def forward(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Give loudness (n, frames, mels) of sounds (n, L), NaN behind the end of each; and each one's frames (n,).

        A frame is where the whole window lies in the sound, a sound shorter than a window has one; the others are 0.
        """
        known = ~sound.isnan()
        lengths = (torch.arange(1, sound.shape[1] + 1, device=sound.device) * known).amax(1)
        filled = torch.where(known, sound, 0.0)
        short = self.size - filled.shape[1]
        filled = nn.functional.pad(filled, (0, short)) if short > 0 else filled
        pieces = filled.unfold(1, self.size, self.hop) * self.shape
        power = torch.fft.rfft(pieces, self.points).abs().square()
        frames = (lengths - self.size).clamp(min=0) // self.hop + (lengths > 0)
        seen = torch.arange(pieces.shape[1], device=sound.device) < frames[:, None]
        loud = torch.log(power @ self.weights + self.floor)
        return torch.where(seen[..., None], loud, 0.0), frames


class LogMelCNN(nn.Module):
    """Log-mel loudness through convolutions that halve time and pitch, the mean over time, and a layer over pitch.

    Loudness is centred per sound; ``h <- relu(norm(conv(h)))``, norms over the channels of each place, so that neither
    padding nor other sounds of a batch change an output. Behind the end of a sound all is zero at every layer.

    Parameters
    ----------
    rate : int
        Samples a second.
    mels : int
        Bands of pitch.
    widths : sequence of int
        Channels of the layers.
    dropout : float
        Of what it gives.

    Attributes
    ----------
    features : int
        The last width.

    Raises
    ------
    InputError
        For inputs that are no sounds.

    Examples
    --------
    >>> encoder = LogMelCNN(widths=(8, 16))
    >>> encoder([torch.zeros(4000), torch.zeros(2500)]).shape
    torch.Size([2, 16])
    """

    def __init__(
        self, rate: int = 8000, mels: int = 40, widths: Sequence[int] = (32, 64, 96), dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.front = LogMel(rate, mels)
        before = [1, *widths[:-1]]
        self.convolutions = nn.ModuleList([nn.Conv2d(i, o, 3, 2, 1) for i, o in zip(before, widths, strict=True)])
        self.norms = nn.ModuleList([nn.LayerNorm(width) for width in widths])
        bands = mels
        for _ in widths:
            bands = (bands + 1) // 2
        self.mix = nn.Linear(widths[-1] * bands, widths[-1])
        self.features = widths[-1]
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Any) -> Tensor:
        """Give (n, features) of sounds (n, L), NaN behind the end of each, or a list of sounds (L_i,)."""
        loud, frames = self.front(sounds(x, self.norms[0].weight))  # type: ignore[arg-type]
        count = (frames[:, None, None] * loud.shape[2]).clamp(min=1)
        mean = loud.sum((1, 2), keepdim=True) / count
        h = ((loud - mean) / 4.0 * _seen(frames, loud.shape[1])[..., None])[:, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            frames = (frames + 1) // 2
            h = convolution(h)
            h = norm(h.movedim(1, -1)).movedim(-1, 1).relu() * _seen(frames, h.shape[2])[:, None, :, None]
        pooled = h.sum(2).flatten(1) / frames[:, None].clamp(min=1)
        return self.drop(self.mix(pooled).relu())


def triangles(rate: int, points: int, mels: int) -> Tensor:
    """Give M (points / 2 + 1, mels): triangles whose corners are evenly spaced in mel from 0 to half the rate.

    Examples
    --------
    >>> triangles(8000, 256, 4).shape, float(triangles(8000, 256, 4).max()) <= 1
    (torch.Size([129, 4]), True)
    """
    top = 2595.0 * torch.log10(torch.tensor(1 + rate / 2 / 700.0, dtype=torch.float64))
    corners = 700.0 * (10 ** (torch.linspace(0, 1, mels + 2, dtype=torch.float64) * top / 2595.0) - 1)
    pitch = torch.arange(points // 2 + 1, dtype=torch.float64)[:, None] * rate / points
    low, mid, high = corners[:-2], corners[1:-1], corners[2:]
    return torch.minimum((pitch - low) / (mid - low), (high - pitch) / (high - mid)).clamp(min=0)


def sounds(x: Any, like: Tensor) -> Tensor:
    """Give (n, L) sounds of the net's numbers, NaN behind the end of each; whole numbers are divided by 32768.

    Raises
    ------
    InputError
        For what is no sound.
    """
    if isinstance(x, Sequence) and not isinstance(x, str) and len(x):
        rows = [torch.as_tensor(row).reshape(-1) for row in x]
        x = pad_sequence([_samples(row, like) for row in rows], batch_first=True, padding_value=float("nan"))
    if not isinstance(x, Tensor) or x.ndim != 2:
        told = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"LogMelCNN takes sounds (n, L), NaN behind the end of each, or a list of them; given {told}.")
    return _samples(x, like)


def _samples(x: Tensor, like: Tensor) -> Tensor:
    return x.to(like) if x.is_floating_point() else x.to(like) / 32768


def _seen(frames: Tensor, length: int) -> Tensor:
    return torch.arange(length, device=frames.device) < frames[:, None]
