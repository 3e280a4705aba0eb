"""What is checked of a task, its labels and its output before anything is computed with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from relatask.kinds.kind import Kind
from relatask.kinds.labels import MISSING, present
from relatask.notices import InputError
from relatask.tasks import Task


def check_task(task: Task, kind: Kind) -> None:
    """Refuse what the kind has no use for: class weights, label smoothing, metrics that are not its own."""
    if task.class_weight is not None and not kind.class_weights:
        raise InputError(f"task {task.name!r}: class_weight means nothing for kind {task.kind!r}; leave it out.")
    if task.label_smoothing and not kind.smooths:
        raise InputError(f"task {task.name!r}: label_smoothing means nothing for kind {task.kind!r}; leave it out.")
    for name in task.metrics:
        if name not in kind.metrics:
            raise InputError(
                f"task {task.name!r}: metric {name!r} is not one of kind {task.kind!r}; expected some of "
                f"{', '.join(kind.metrics)}."
            )


def check_output(task: Task, kind: Kind, output: Any, target: Any) -> None:
    """Refuse an output whose shape does not fit the labels."""
    expected = kind.shape(target, task)
    if expected is None or not isinstance(output, Tensor):
        return
    given = tuple(output.shape)
    if len(given) != len(expected) or any(e is not None and g != e for g, e in zip(given, expected, strict=True)):
        told = ", ".join("any" if side is None else str(side) for side in expected)
        raise InputError(
            f"task {task.name!r} ({task.kind}): the model's output is {given}; expected ({told}) for these labels: "
            "look at the task's head and its number of classes."
        )


def check_where(tasks: Iterable[Task]) -> None:
    """Refuse a `where` that names no task of these, or one whose labels are not one value a row."""
    known = {task.name: task for task in tasks}
    for task in known.values():
        if task.where is None:
            continue
        other, value = task.where
        if other not in known:
            raise InputError(
                f"task {task.name!r}: where={task.where!r} names no task; expected one of {', '.join(map(str, known))}."
            )
        if known[other].kind in ("multilabel", "tagging", "detection", "segmentation"):
            raise InputError(
                f"task {task.name!r}: where={task.where!r}: a label of task {other!r} ({known[other].kind}) is not one "
                "value; name a task that has one value a row."
            )
        if not isinstance(value, int | float) or value != value or value == MISSING:
            raise InputError(
                f"task {task.name!r}: where={task.where!r}: {value!r} is no value a label can have; give a number."
            )


def labelled(task: Task, kind: Kind, y: Mapping[Any, Any]) -> Tensor:
    """Whether each row has a label that counts, (n,) of bool: it is there, and so is the other label `where` asks for.

    Raises
    ------
    InputError
        Where the labels of the other task are not among `y`.
    """
    seen = kind.observed(y[task.name])
    if task.where is None:
        return seen
    other, value = task.where
    if other not in y:
        raise InputError(
            f"task {task.name!r}: where={task.where!r} needs the labels of task {other!r} beside its own; the rows "
            f"have {', '.join(map(str, y))}."
        )
    condition = torch.as_tensor(y[other])
    if condition.ndim != 1:
        raise InputError(f"task {task.name!r}: labels of {other!r} are {tuple(condition.shape)}; where needs (n,).")
    return seen.to(condition.device) & present(condition) & (condition == value)
