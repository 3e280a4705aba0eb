"""Sources: where rows come from; each gives a `Part` of any of its rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch

from relatask.data.batch import Part
from relatask.notices import InputError


class Source(ABC):
    """Rows with the labels of one or more tasks."""

    @property
    @abstractmethod
    def tasks(self) -> tuple[Hashable, ...]:
        """The tasks that rows may have labels of."""

    @abstractmethod
    def __len__(self) -> int:
        """How many rows."""

    @abstractmethod
    def part(self, rows: np.ndarray, seed: tuple[int, ...] = (0,)) -> Part:
        """Give some rows; whatever is random about them (augmentation) is drawn from `seed`."""

    def target(self, task: Hashable) -> Any:
        """Give all labels of a task, for null losses and counts."""
        return self.part(np.arange(len(self))).y[task]


class Columns(Source):
    """Shared inputs held in memory, a column of labels for each task.

    Parameters
    ----------
    x : tensor, array, list, or mapping from modality to such
        n rows.
    y : mapping from task to tensor, array or list
        n labels of each task, missing ones as NaN, -100 or None.
    weight : tensor or array (n,), optional
        Weights of the rows.

    Raises
    ------
    InputError
        Where lengths differ.

    Examples
    --------
    >>> source = Columns(np.zeros((3, 2), dtype="float32"), {"price": [1.0, float("nan"), 3.0]})
    >>> source.part(np.array([0, 2])).y["price"]
    tensor([1., 3.])
    """

    def __init__(self, x: Any, y: Mapping[Hashable, Any], weight: Any = None) -> None:
        self.x = {name: _held(value) for name, value in x.items()} if isinstance(x, Mapping) else _held(x)
        self.y = {task: _held(values) for task, values in y.items()}
        self.weight = None if weight is None else _held(weight)
        first = next(iter(self.x.values())) if isinstance(self.x, dict) else self.x
        self._length = len(first)
        for task, values in self.y.items():
            if len(values) != self._length:
                raise InputError(f"task {task!r} has {len(values)} labels and x {self._length} rows; give as many.")

    @property
    def tasks(self) -> tuple[Hashable, ...]:
        """The tasks, in the order given."""
        return tuple(self.y)

    def __len__(self) -> int:
        return self._length

    def part(self, rows: np.ndarray, seed: tuple[int, ...] = (0,)) -> Part:
        """Give some rows."""
        index = torch.from_numpy(np.asarray(rows))
        x = {k: _some(v, index) for k, v in self.x.items()} if isinstance(self.x, dict) else _some(self.x, index)
        weight = None if self.weight is None else self.weight[index]
        return Part(x, {task: _some(values, index) for task, values in self.y.items()}, weight, index)

    def target(self, task: Hashable) -> Any:
        """All labels of a task."""
        return self.y[task]


def _held(values: Any) -> Any:
    """Values as a tensor where they are numbers; floats in single precision unless they are a tensor or an array."""
    if isinstance(values, torch.Tensor):
        return values
    if isinstance(values, np.ndarray):
        return list(values) if values.dtype == object else torch.from_numpy(values)
    values = list(values)
    return torch.tensor(values) if values and isinstance(values[0], int | float) else values


def _some(values: Any, index: torch.Tensor) -> Any:
    return values[index] if isinstance(values, torch.Tensor) else [values[i] for i in index.tolist()]
