"""Sequences of different lengths, padded batch by batch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from relatask.data.batch import Part
from relatask.data.collection import MISSING
from relatask.data.tensors.sources import Columns, Source
from relatask.notices import InputError


class Sequences(Source):
    """Lists of numbers (tokens of a text), padded to the longest of each batch.

    The inputs of a batch are ``x`` (n, T), whole numbers with `padding` behind each sequence's end; with ``mask=True``
    they are ``{"tokens": (n, T), "mask": (n, T) of bool, "lengths": (n,)}``. Labels that are sequences themselves
    (tags) become (n, T) with -100 behind the end.

    Parameters
    ----------
    tokens : sequence of sequences of int
        n sequences; none of their numbers is `padding`.
    y : mapping from task to sequence
        By task a label for each sequence, or for each of its tokens (None: no label).
    padding : int
        What stands behind the end.
    mask : bool
        Whether mask and lengths go along.
    weight : tensor or array (n,), optional
        Weights of the rows.

    Raises
    ------
    InputError
        Where the numbers of labels and sequences, or of tags and tokens, differ; where a token is `padding`.

    Examples
    --------
    >>> source = Sequences([[5, 6, 7], [8]], {"intent": [1, 0], "tags": [[0, 1, 1], [0]]})
    >>> part = source.part(np.array([1, 0]))
    >>> part.x.tolist(), part.y["tags"].tolist(), part.y["intent"].tolist()
    ([[8, 0, 0], [5, 6, 7]], [[0, -100, -100], [0, 1, 1]], [0, 1])
    """

    def __init__(
        self,
        tokens: Sequence[Sequence[int]],
        y: Mapping[Hashable, Any],
        padding: int = 0,
        mask: bool = False,
        weight: Any = None,
    ) -> None:
        self.padding = padding
        self.mask = mask
        self._flat, self._starts, self.lengths = _packed(tokens)
        if (self._flat == padding).any():
            raise InputError(f"a token is {padding}, which stands for padding; give padding another number.")
        self._tags: dict[Hashable, torch.Tensor] = {}
        plain: dict[Hashable, Any] = {}
        for task, values in y.items():
            if _nested(values):
                self._tags[task] = self._aligned(task, values)
            else:
                plain[task] = values
        self._order = tuple(y)
        self._plain = Columns(np.arange(len(self.lengths)), plain, weight)

    @property
    def tasks(self) -> tuple[Hashable, ...]:
        """The tasks, in the order given."""
        return self._order

    def __len__(self) -> int:
        return len(self.lengths)

    def weights(self, task: Hashable) -> torch.Tensor | None:
        """The rows' weights."""
        return self._plain.weight

    def part(self, rows: np.ndarray, seed: tuple[int, ...] = (0,)) -> Part:
        """Give some rows, padded to the longest of them."""
        plain = self._plain.part(rows, seed)
        lengths = self.lengths[plain.index]
        place = torch.arange(max(1, int(lengths.max()) if len(lengths) else 0))
        there = place < lengths[:, None]
        at = torch.where(there, self._starts[plain.index][:, None] + place, 0)
        tokens = _taken(self._flat, at, there, self.padding)
        x: Any = {"tokens": tokens, "mask": there, "lengths": lengths} if self.mask else tokens
        tags = {task: _taken(values, at, there, MISSING) for task, values in self._tags.items()}
        y = {task: tags[task] if task in tags else plain.y[task] for task in self._order}
        return Part(x, y, plain.weight, plain.index)

    def _aligned(self, task: Hashable, values: Sequence[Any]) -> torch.Tensor:
        if len(values) != len(self.lengths):
            raise InputError(f"task {task!r} has labels of {len(values)} sequences; there are {len(self.lengths)}.")
        rows = zip(values, self.lengths.tolist(), strict=True)
        filled = [[MISSING] * n if tags is None else tags for tags, n in rows]
        flat, _, lengths = _packed(filled)
        wrong = (lengths != self.lengths).nonzero()[:, 0]
        if len(wrong):
            row = int(wrong[0])
            raise InputError(
                f"task {task!r}: sequence {row} has {int(lengths[row])} labels for {int(self.lengths[row])} tokens; "
                "give one for each."
            )
        return flat


def _packed(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Lay sequences behind one another: numbers, starts, lengths."""
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
    flat = np.concatenate([np.zeros(0, dtype=np.int64), *(np.asarray(row, dtype=np.int64) for row in rows)])
    return torch.from_numpy(flat), lengths.cumsum(0) - lengths, lengths


def _taken(flat: torch.Tensor, at: torch.Tensor, there: torch.Tensor, otherwise: int) -> torch.Tensor:
    if not len(flat):
        return torch.full(at.shape, otherwise)
    return torch.where(there, flat[at], otherwise)


def _nested(values: Any) -> bool:
    if isinstance(values, torch.Tensor | np.ndarray) and values.dtype != object:
        return False
    return any(isinstance(value, list | tuple | np.ndarray | torch.Tensor) and np.ndim(value) for value in values)
