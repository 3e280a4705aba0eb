"""Kinds of tasks: for each which labels are there, a loss, a head, answers. One kind, one file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from torch import Tensor

from relatask.kinds import checks
from relatask.kinds.binary import Binary
from relatask.kinds.count import Count
from relatask.kinds.crf import Chain, LinearChain
from relatask.kinds.detecting import BoxHead
from relatask.kinds.detection import Detection
from relatask.kinds.kind import Kind
from relatask.kinds.multiclass import Multiclass
from relatask.kinds.multilabel import Multilabel
from relatask.kinds.ordinal import Ordinal, ProportionalOdds
from relatask.kinds.regression import Regression
from relatask.kinds.segmentation import PixelHead, Segmentation
from relatask.kinds.similarity import Similarity, contrastive
from relatask.kinds.tagging import Tagging
from relatask.notices import InputError
from relatask.tasks import Task

__all__ = [
    "Binary",
    "BoxHead",
    "Chain",
    "Count",
    "Detection",
    "Kind",
    "LinearChain",
    "Multiclass",
    "Multilabel",
    "Ordinal",
    "PixelHead",
    "ProportionalOdds",
    "Regression",
    "Segmentation",
    "Similarity",
    "Tagging",
    "check_target",
    "check_tasks",
    "contrastive",
    "kind_of",
    "labelled",
    "registry",
    "resolved",
    "row_losses",
]


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


def check_tasks(tasks: Iterable[Task]) -> None:
    """Refuse tasks that ask for what their kind does not have, and a `where` that names no task.

    Raises
    ------
    InputError
        For class weights, label smoothing or metrics that a kind does not know, and for a `where` that cannot hold.

    Examples
    --------
    >>> check_tasks([Task("bought", "binary"), Task("spend", where=("bought", 1))])
    """
    tasks = tuple(tasks)
    for task in tasks:
        checks.check_task(task, kind_of(task))
    checks.check_where(tasks)


def check_target(task: Task, target: Any) -> None:
    """Refuse labels that the task's kind cannot have; once, for all of them.

    Raises
    ------
    InputError
        For another type, shape or range than expected, and infinite labels; it names the task.

    Examples
    --------
    >>> import torch
    >>> check_target(Task("sold", "binary"), torch.tensor([0.0, 1.0, float("nan")]))
    """
    if task.loss is None:  # a loss of one's own decides what its labels are
        kind_of(task).check(target, task)


def resolved(task: Task, target: Any) -> Task:
    """Give the task with what its labels tell filled in: how many classes there are.

    Raises
    ------
    InputError
        For labels that the kind cannot have; where the loss is the task's own, the task is given back as it is.

    Examples
    --------
    >>> import torch
    >>> resolved(Task("digit", "multiclass"), torch.tensor([4, 9, -100])).classes
    10
    """
    try:
        kind_of(task).check(target, task)
    except InputError:
        if task.loss is None:
            raise
        return task
    return kind_of(task).resolved(task, target)


def labelled(task: Task, y: Mapping[Any, Any]) -> Tensor:
    """Whether each row has a label of the task that counts, (n,) of bool: it is there, and `where` holds.

    Examples
    --------
    >>> import torch
    >>> y = {"bought": torch.tensor([1.0, 0.0, float("nan")]), "spend": torch.tensor([5.0, 0.0, 1.0])}
    >>> labelled(Task("spend", where=("bought", 1)), y).tolist()
    [True, False, False]
    """
    return checks.labelled(task, kind_of(task), y)


def row_losses(task: Task, output: Any, target: Any) -> Tensor:
    """Give the loss of each row, (n,), by the task's own loss or its kind's; every row has a label.

    Raises
    ------
    InputError
        Where the output's shape does not fit the labels.
    """
    if task.loss is not None:
        return task.loss(output, target)
    kind = kind_of(task)
    checks.check_output(task, kind, output, target)
    return kind.losses(output, target, task)
