"""Long tables, in which every row belongs to one task, and a data set for each task."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch

from relatask.data.batch import Part
from relatask.data.collection import MISSING
from relatask.data.tensors.sources import Columns, Source
from relatask.notices import InputError


class LongTable(Source):
    """Rows that each belong to one task: a column says to which.

    A batch has the labels of the tasks it holds rows of, NaN (whole numbers: -100) in the other tasks' rows; no (n, t)
    array is ever made.

    Parameters
    ----------
    x : tensor, array, list, or mapping from modality to such
        n rows.
    task : sequence of n task names
        The task of each row.
    y : tensor or array (n,)
        The label of each row.
    weight : tensor or array (n,), optional
        Weights of the rows.

    Raises
    ------
    InputError
        Where lengths differ.

    Examples
    --------
    >>> source = LongTable(np.zeros((3, 2), dtype="float32"), ["b", "a", "b"], np.array([1.0, 2.0, 3.0]))
    >>> source.tasks, source.part(np.array([1, 2])).y
    (('a', 'b'), {'a': tensor([2., nan], dtype=torch.float64), 'b': tensor([nan, 3.], dtype=torch.float64)})
    """

    def __init__(self, x: Any, task: Any, y: Any, weight: Any = None) -> None:
        self._rows = Columns(x, {"y": y}, weight)
        names = np.asarray(task)
        if len(names) != len(self._rows):
            raise InputError(f"the column of tasks has {len(names)} rows and x {len(self._rows)}; give as many.")
        found, codes = np.unique(names, return_inverse=True)
        self._tasks: tuple[Hashable, ...] = tuple(found.tolist())
        self._codes = torch.from_numpy(codes)
        self._y = self._rows.y["y"]
        if not isinstance(self._y, torch.Tensor) or self._y.ndim != 1:
            raise InputError("the labels of a long table are one number a row; give a tensor or array (n,).")

    @property
    def tasks(self) -> tuple[Hashable, ...]:
        """The tasks, sorted."""
        return self._tasks

    def __len__(self) -> int:
        return len(self._rows)

    def part(self, rows: np.ndarray, seed: tuple[int, ...] = (0,)) -> Part:
        """Give some rows."""
        part = self._rows.part(rows, seed)
        there, place = self._codes[part.index].unique(return_inverse=True)
        missing = float("nan") if self._y.is_floating_point() else MISSING
        y = torch.full((len(there), len(rows)), missing, dtype=self._y.dtype)
        y[place, torch.arange(len(rows))] = part.y["y"]
        return Part(
            part.x, dict(zip([self._tasks[k] for k in there.tolist()], y, strict=True)), part.weight, part.index
        )

    def target(self, task: Hashable) -> Any:
        """Give the labels of a task's own rows."""
        return self._y[self._codes == self._tasks.index(task)]

    def weights(self, task: Hashable) -> torch.Tensor | None:
        """Give the weights of a task's own rows."""
        weight = self._rows.weight
        return None if weight is None else weight[torch.from_numpy(np.asarray(self._codes == self._tasks.index(task)))]

    def labelled(self, task: Hashable) -> np.ndarray:
        """Say which rows have a label of a task, (n,) of bool."""
        there = ~self._y.isnan() if self._y.is_floating_point() else self._y != MISSING
        return ((self._codes == self._tasks.index(task)) & there).numpy()


def per_task(data: Mapping[Hashable, Any]) -> tuple[Source, ...]:
    """Give a source for each task from its own data.

    Parameters
    ----------
    data : mapping from task to (x, y), (x, y, weight) or Source
        Each task's rows and labels; a `Source` (a `TorchDataset`, `Pictures`) has to have the task.

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> sources = per_task({"a": (np.zeros((3, 2)), [1.0, 2.0, 3.0]), "b": (np.zeros((1, 2)), [0])})
    >>> [(source.tasks, len(source)) for source in sources]
    [(('a',), 3), (('b',), 1)]
    """
    found: list[Source] = []
    for task, given in data.items():
        if isinstance(given, Source):
            if task not in given.tasks:
                raise InputError(f"the source given for task {task!r} has {', '.join(map(repr, given.tasks))} only.")
            found.append(given)
        elif isinstance(given, tuple) and len(given) in (2, 3):
            x, y, *weight = given
            found.append(Columns(x, {task: y}, *weight))
        else:
            raise InputError(
                f"the data of task {task!r} are a {type(given).__name__}; expected (x, y), (x, y, weight) or a Source."
            )
    return tuple(found)
