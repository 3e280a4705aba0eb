"""Pictures and sounds in files: sequences of arrays that are read, and their content verified, when asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, overload
from wave import Error as WaveError
from wave import open as open_wave

import numpy as np
import numpy.typing as npt

from relatask.notices import InputError


class Files(Sequence[Any], ABC):
    """Files of one sort, each read when asked for.

    Parameters
    ----------
    paths : sequence of str or None
        A file for each row, None where there is none.
    fetch : callable, optional
        From a path to where the file lies (`relatask.data.fetch.fetch`); by default the path itself.
    """

    def __init__(self, paths: Sequence[str | None], fetch: Callable[[str], Path] = Path) -> None:
        self.paths = list(paths)
        self.fetch = fetch

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, i: int) -> Any: ...
    @overload
    def __getitem__(self, i: slice) -> Files: ...
    def __getitem__(self, i: int | slice) -> Any:
        if isinstance(i, slice):
            return type(self)(self.paths[i], self.fetch)
        path = self.paths[i]
        if path is None:
            return None
        found = self.fetch(path)
        try:
            return self.read(found)
        except (OSError, EOFError, WaveError, SyntaxError) as error:
            raise InputError(f"{found}: cannot be read ({error}). Is it whole, and of the right format?") from None

    def take(self, rows: Sequence[int]) -> Self:
        """Give some of the files."""
        return type(self)([self.paths[row] for row in rows], self.fetch)

    @staticmethod
    @abstractmethod
    def read(path: Path) -> npt.NDArray[Any]:
        """Read one file."""


class PictureFiles(Files):
    """Colour pictures: each (height, width, 3) of uint8. Needs Pillow."""

    @staticmethod
    def read(path: Path) -> npt.NDArray[np.uint8]:
        """Read one picture."""
        with _pillow().open(path) as picture:
            return np.array(picture.convert("RGB"))


class MaskFiles(Files):
    """Masks: each (height, width) of uint8, the class of every pixel. Needs Pillow."""

    @staticmethod
    def read(path: Path) -> npt.NDArray[np.uint8]:
        """Read one mask."""
        with _pillow().open(path) as picture:
            return np.array(picture)


class SoundFiles(Files):
    """Sounds in WAV files of one channel and 16 bits: each (samples,) of float32 in [-1, 1)."""

    @staticmethod
    def read(path: Path) -> npt.NDArray[np.float32]:
        """Read one sound."""
        with open_wave(str(path), "rb") as stream:
            channels, width, _, n, *_ = stream.getparams()
            if (channels, width) != (1, 2):
                raise InputError(f"{path}: {channels} channels of {8 * width} bits; expected one channel of 16 bits.")
            return (np.frombuffer(stream.readframes(n), dtype="<i2") / np.float32(32768)).astype(np.float32)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise InputError("reading pictures needs Pillow. Install it: pip install 'relatask[image]'.") from None
    return Image
