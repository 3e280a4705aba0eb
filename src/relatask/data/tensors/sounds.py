"""Sounds of one length, read once, moved in time at random."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from relatask.data.batch import Part
from relatask.data.tensors.sources import Columns, Source
from relatask.notices import InputError


class Sounds(Source):
    """Sounds brought to one length, inputs (n, length) of float32: short ones filled behind their end, long ones cut.

    Parameters
    ----------
    sounds : sequence of arrays (samples,)
        Such as `relatask.data.media.SoundFiles`; each is read when it is first needed, and kept.
    y : mapping from task to tensor, array or list
        n labels of each task.
    length : int
        Samples.
    shift : float
        In training, silence of up to this share of the length comes before; drawn from the batch's seed.
    fill : float
        What stands behind the end: NaN, which `relatask.nets.encoders.LogMelCNN` takes for no sound; 0 for silence.
    weight : tensor or array (n,), optional
        Weights of the rows.

    Raises
    ------
    InputError
        For a length below 1 or a shift outside of [0, 1), and where lengths differ.

    Examples
    --------
    >>> source = Sounds([np.ones(2, dtype="float32"), np.ones(9, dtype="float32")], {"word": [1, 0]}, length=4, fill=0)
    >>> source.part(np.array([0, 1])).x.tolist()
    [[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]
    """

    def __init__(
        self,
        sounds: Sequence[Any],
        y: Mapping[Hashable, Any],
        length: int,
        shift: float = 0.0,
        fill: float = float("nan"),
        weight: Any = None,
    ) -> None:
        if length < 1 or not 0 <= shift < 1:
            raise InputError(
                f"sounds: length={length!r}, shift={shift!r}; expected samples >= 1, and a share in [0, 1)."
            )
        self.sounds = sounds
        self.length = length
        self.shift = shift
        self.fill = fill
        self._plain = Columns(np.arange(len(sounds)), y, weight)
        self._kept: dict[int, torch.Tensor] = {}

    @property
    def tasks(self) -> tuple[Hashable, ...]:
        """The tasks, in the order given."""
        return self._plain.tasks

    def __len__(self) -> int:
        return len(self.sounds)

    def part(self, rows: np.ndarray, seed: tuple[int, ...] = (0,)) -> Part:
        """Give some rows; silence before them is drawn from `seed`."""
        plain = self._plain.part(rows, seed)
        most = int(self.shift * self.length)
        moves = np.random.default_rng(seed).integers(0, most + 1, len(rows)).tolist() if most else [0] * len(rows)
        x = torch.full((len(rows), self.length), self.fill, dtype=torch.float32)
        for place, (row, move) in enumerate(zip(rows.tolist(), moves, strict=True)):
            sound = self._sound(row)[: self.length - move]
            x[place, :move] = 0
            x[place, move : move + len(sound)] = sound
        return Part(x, plain.y, plain.weight, plain.index)

    def weights(self, task: Hashable) -> torch.Tensor | None:
        """The rows' weights."""
        return self._plain.weight

    def target(self, task: Hashable) -> Any:
        """All labels of a task."""
        return self._plain.target(task)

    def _sound(self, row: int) -> torch.Tensor:
        if row not in self._kept:
            self._kept[row] = torch.from_numpy(np.asarray(self.sounds[row], dtype=np.float32)[: self.length].copy())
        return self._kept[row]
