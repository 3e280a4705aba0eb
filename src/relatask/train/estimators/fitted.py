"""`Fitted`: one trained net with all that it needs to answer: features, units, thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relatask.data.features import TableFeatures
from relatask.data.features.rows import Rows
from relatask.kinds import kind_of
from relatask.nets import Model
from relatask.tasks import Task
from relatask.train.estimators.grouped import CODES, LABELS, Grouped
from relatask.train.estimators.targets import Units

CHUNK = 1024
Floats = NDArray[np.float64]


@dataclass(eq=False)
class Fitted:
    """One trained net.

    Attributes
    ----------
    features : TableFeatures
        What turns rows into arrays, learned on the training rows.
    model : Model
        In eval mode; on a CPU in double precision, so that a row's answer does not depend on the rows beside it.
    tasks : tuple of Task
        In order.
    units : Units
        Of the tasks' numbers.
    grouped : bool
        Whether each row is of one task.
    history : list of dict
        Rows {step, epoch, split, metric, task, value, n} of its training.
    best_epoch, n_epochs : int
        Whose weights it has, from 0; how many it was trained for.
    """

    features: TableFeatures
    model: Model
    tasks: tuple[Task, ...]
    units: Units
    grouped: bool
    history: list[dict[str, Any]] = field(default_factory=list, repr=False)
    best_epoch: int = 0
    n_epochs: int = 0

    def answers(self, rows: Rows, codes: NDArray[np.intp] | None) -> list[Floats]:
        """Give each task's answers to all rows, [t times (n,) or (n, C)]; with codes each row's own, [(n,) or (n, C)].

        Numbers in the labels' units, chances, mean counts.
        """
        arrays = self.features.transform(rows)
        if codes is not None and len(self.tasks) > 1 and len({task.kind for task in self.tasks}) > 1:
            return [self._by_kind(arrays, codes)]
        if codes is None or len(self.tasks) == 1:
            return [self._told(answer, k) for k, answer in enumerate(self._run(self.model, arrays, self.tasks))]
        task = self.tasks[0]
        grouped = Grouped(self.model).eval()
        (found,) = self._run(grouped, arrays | {CODES: codes}, (Task(LABELS, task.kind, classes=task.classes),))
        if task.kind == "regression":
            return [found * self.units.scale[codes] + self.units.center[codes]]
        return [found]

    def _by_kind(self, arrays: dict[str, Any], codes: NDArray[np.intp]) -> Floats:
        """Each row's own answer where tasks are of several kinds; chances of classes are put side by side."""
        found = [self._told(answer, k) for k, answer in enumerate(self._run(self.model, arrays, self.tasks))]
        width = max(answer.shape[1] if answer.ndim == 2 else 1 for answer in found)
        out = np.zeros((len(codes), width))
        for k, answer in enumerate(found):
            own = codes == k
            out[own, : answer.shape[1] if answer.ndim == 2 else 1] = answer[own].reshape(int(own.sum()), -1)
        return out[:, 0] if width == 1 else out

    def _told(self, answer: Floats, k: int) -> Floats:
        regression = self.tasks[k].kind == "regression"
        return answer * self.units.scale[k] + self.units.center[k] if regression else answer

    @torch.no_grad()
    def _run(self, model: Model, arrays: dict[str, Any], tasks: tuple[Task, ...]) -> list[Floats]:
        """The net's answers, some rows at a time."""
        like = next(model.parameters())
        n = len(next(iter(arrays.values())))
        found: list[list[Any]] = [[] for _ in tasks]
        for begin in range(0, n, CHUNK):
            x = {key: _moved(values[begin : begin + CHUNK], like) for key, values in arrays.items()}
            outputs = model(x, [task.name for task in tasks])
            for place, task in enumerate(tasks):
                found[place].append(np.asarray(kind_of(task).answer(outputs[task.name], task), dtype=np.float64))
        return [np.concatenate(parts) for parts in found]


def _moved(values: NDArray[Any], like: Tensor) -> Tensor:
    found = torch.from_numpy(np.ascontiguousarray(values))
    return found.to(like.device, like.dtype) if found.is_floating_point() else found.to(like.device)
