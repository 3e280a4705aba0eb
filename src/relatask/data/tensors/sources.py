"""Sources: where rows come from; each gives a `Part` of any of its rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch

from relatask.data.batch import Part
from relatask.data.collection import MISSING
from relatask.notices import InputError


class Source(ABC):
    """Rows with the labels of one or more tasks."""

    draws_globally: bool = False
    """Whether reading draws from torch's, numpy's or Python's own generators, so that no thread may read ahead."""

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

    def weights(self, task: Hashable) -> torch.Tensor | None:
        """Give the weights of the rows that `target` gives labels of; None where all count alike."""
        return None

    def labelled(self, task: Hashable) -> np.ndarray:
        """Say which rows have a label of a task, (n,) of bool: neither NaN nor -100 nor None throughout."""
        return observed(self.target(task))


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
        self.x = {name: held(value) for name, value in x.items()} if isinstance(x, Mapping) else held(x)
        self.y = {task: held(values) for task, values in y.items()}
        self.weight = None if weight is None else held(weight)
        first = next(iter(self.x.values())) if isinstance(self.x, dict) else self.x
        self._length = len(first)
        more = self.x if isinstance(self.x, dict) else {}
        for name, values in more.items():
            if len(values) != self._length:
                raise InputError(
                    f"input {name!r} has {len(values)} rows and the first input {self._length}; give as many."
                )
        for task, values in self.y.items():
            if len(values) != self._length:
                raise InputError(f"task {task!r} has {len(values)} labels and x {self._length} rows; give as many.")
        if self.weight is not None and len(self.weight) != self._length:
            raise InputError(f"there are {len(self.weight)} weights and {self._length} rows; give as many.")
        self._side_by_side, self._others = _stacked(self.y)

    @property
    def tasks(self) -> tuple[Hashable, ...]:
        """The tasks, in the order given."""
        return tuple(self.y)

    def __len__(self) -> int:
        return self._length

    def part(self, rows: np.ndarray, seed: tuple[int, ...] = (0,)) -> Part:
        """Give some rows."""
        index = torch.from_numpy(np.asarray(rows))
        x = {k: some(v, index) for k, v in self.x.items()} if isinstance(self.x, dict) else some(self.x, index)
        weight = None if self.weight is None else self.weight[index]
        y = {task: some(self.y[task], index) for task in self._others}
        for tasks, values in self._side_by_side:
            y.update(zip(tasks, values[index].T.contiguous().unbind(), strict=True))
        return Part(x, {task: y[task] for task in self.y}, weight, index)

    def target(self, task: Hashable) -> Any:
        """All labels of a task."""
        return self.y[task]

    def weights(self, task: Hashable) -> torch.Tensor | None:
        """The rows' weights."""
        return self.weight


def observed(values: Any) -> np.ndarray:
    """Say which of n labels are there, (n,) of bool: not NaN, not -100, not None, or not so throughout (tags, masks).

    Examples
    --------
    >>> observed(torch.tensor([1.0, float("nan")])), observed(torch.tensor([[1, -100], [-100, -100]])), observed([None])
    (array([ True, False]), array([ True, False]), array([False]))
    """
    if not isinstance(values, torch.Tensor):
        return np.array([value is not None for value in values], dtype=bool)
    if values.dtype == torch.bool or len(values) == 0:
        return np.ones(len(values), dtype=bool)
    there = ~values.isnan() if values.is_floating_point() else values != MISSING
    return there.reshape(len(values), -1).any(1).numpy(force=True)


def held(values: Any) -> Any:
    """Values as a tensor where they are numbers; floats in single precision unless they are a tensor or an array."""
    if isinstance(values, torch.Tensor):
        return values
    if isinstance(values, np.ndarray):
        return list(values) if values.dtype == object else torch.from_numpy(values)
    values = list(values)
    return torch.tensor(values) if values and isinstance(values[0], int | float) else values


def _stacked(
    y: Mapping[Hashable, Any],
) -> tuple[list[tuple[tuple[Hashable, ...], torch.Tensor]], tuple[Hashable, ...]]:
    """Lay labels of one type side by side, (n, t), so that rows of many tasks are taken at once; give the others."""
    alike: dict[torch.dtype, list[Hashable]] = {}
    for task, values in y.items():
        if isinstance(values, torch.Tensor) and values.ndim == 1:
            alike.setdefault(values.dtype, []).append(task)
    found = [tuple(tasks) for tasks in alike.values() if len(tasks) >= 4]
    within = {task for tasks in found for task in tasks}
    stacks = [(tasks, torch.stack([y[task] for task in tasks], dim=1)) for tasks in found]
    return stacks, tuple(task for task in y if task not in within)


def some(values: Any, index: torch.Tensor) -> Any:
    """Give some rows of values that are held."""
    return values[index] if isinstance(values, torch.Tensor) else [values[i] for i in index.tolist()]
