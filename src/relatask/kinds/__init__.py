"""Kinds of tasks: for each which labels are there, a loss, a head, answers. One kind, one file."""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import Tensor

from relatask.kinds.binary import Binary
from relatask.kinds.kind import Kind
from relatask.kinds.multiclass import Multiclass
from relatask.kinds.regression import Regression
from relatask.tasks import Task

__all__ = ["Binary", "Kind", "Multiclass", "Regression", "kind_of", "registry", "row_losses"]


def registry() -> dict[str, Kind]:
    """Give an instance of every kind, by name.

    Examples
    --------
    >>> registry()["binary"].words
    'one of two classes per row'
    """
    found = [globals()[name] for name in __all__]
    kinds = [kind() for kind in found if isinstance(kind, type) and issubclass(kind, Kind) and kind is not Kind]
    return {kind.name: kind for kind in kinds}


@cache
def _kinds() -> dict[str, Kind]:
    return registry()


def kind_of(task: Task) -> Kind:
    """Give the kind of a task."""
    return _kinds()[task.kind]


def row_losses(task: Task, output: Any, target: Any) -> Tensor:
    """Give the loss of each row, (n,), by the task's own loss or its kind's; every row has a label."""
    return kind_of(task).losses(output, target, task) if task.loss is None else task.loss(output, target)
