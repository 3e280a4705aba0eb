"""Pictures and sounds by their paths: read, brought to one size or one rate, as arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.notices import InputError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
SOUNDS = (".wav",)


def read_pictures(
    paths: Sequence[str | None], size: tuple[int, int], folder: str | os.PathLike[str] = "."
) -> NDArray[np.uint8]:
    """Give (n, 3, height, width) pictures in colour, resized; black where there is no path.

    Parameters
    ----------
    paths : sequence of str or None
        Files of pictures.
    size : (height, width)
        In pixels.
    folder : path
        Where relative paths begin.

    Raises
    ------
    InputError
        For a file that is absent or no picture; where Pillow is not installed.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise InputError("reading pictures needs Pillow: pip install pillow.") from None
    out = np.zeros((len(paths), 3, *size), dtype=np.uint8)
    for place, path in enumerate(paths):
        if path is None:
            continue
        file = _there(path, folder, "picture")
        try:
            with Image.open(file) as image:
                found = image.convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR)
        except (UnidentifiedImageError, OSError) as error:
            raise InputError(f"{file} is no picture that can be read: {error}.") from None
        out[place] = np.asarray(found).transpose(2, 0, 1)
    return out


def read_sounds(
    paths: Sequence[str | None], rate: int, seconds: float | None = None, folder: str | os.PathLike[str] = "."
) -> NDArray[np.float32]:
    """Give (n, L) sounds in [-1, 1], one channel, at one rate; NaN behind the end of each, or without a path.

    Parameters
    ----------
    paths : sequence of str or None
        WAV files.
    rate : int
        Samples a second.
    seconds : float, optional
        The most that is read of a sound, its beginning; None reads all.
    folder : path
        Where relative paths begin.

    Raises
    ------
    InputError
        For a file that is absent or no WAV file.
    """
    found = [_sound(path, rate, folder)[: None if seconds is None else round(seconds * rate)] for path in paths]
    out = np.full((len(found), max([1, *map(len, found)])), np.nan, dtype=np.float32)
    for place, sound in enumerate(found):
        out[place, : len(sound)] = sound
    return out


def _sound(path: str | None, rate: int, folder: Any) -> NDArray[np.float32]:
    from scipy.io import wavfile
    from scipy.signal import resample_poly

    if path is None:
        return np.zeros(0, dtype=np.float32)
    file = _there(path, folder, "sound")
    try:
        own, samples = wavfile.read(file)
    except (ValueError, OSError) as error:
        raise InputError(f"{file} is no WAV file that can be read: {error}.") from None
    kind = samples.dtype
    sound = samples.astype(np.float64)
    if kind.kind == "u":
        sound = (sound - 128.0) / 128.0
    elif kind.kind == "i":
        sound = sound / -float(np.iinfo(kind).min)
    sound = sound if sound.ndim == 1 else sound.mean(1)
    if own != rate and len(sound):
        common = gcd(int(own), rate)
        sound = resample_poly(sound, rate // common, int(own) // common)
    return np.asarray(sound, dtype=np.float32)


def _there(path: str, folder: Any, what: str) -> Path:
    file = Path(folder) / path
    if not file.is_file():
        raise InputError(
            f"{what} {path!r} is not there (looked for {file}); correct the path, or leave the cell empty."
        )
    return file
