"""Labels as kinds share them: which are there, what is refused, constants that answer them best."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.special import entr

from relatask.notices import InputError
from relatask.tasks import Task

MISSING = -100
"""The label of integers that is not there; NaN is that of floats, None that of lists."""


def present(target: Tensor) -> Tensor:
    """Whether each label is there: not NaN (floats), not -100 (integers).

    Examples
    --------
    >>> present(torch.tensor([1.0, float("nan")])).tolist(), present(torch.tensor([-100, 0])).tolist()
    ([True, False], [False, True])
    """
    if target.is_floating_point():
        return ~target.isnan()
    if target.dtype == torch.bool:
        return torch.ones_like(target)
    return target != MISSING


def single(values: Tensor) -> Tensor:
    """Give half-precision numbers in single precision, others as they are: losses are summed over many rows."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def tensor_of(task: Task, target: Any, dims: int, what: str) -> Tensor:
    """Give the labels if they are a tensor of so many axes, finite or NaN."""
    if not isinstance(target, Tensor):
        raise InputError(
            f"task {task.name!r} ({task.kind}): labels are a {type(target).__name__}; expected a tensor {what}."
        )
    if target.ndim != dims:
        hint = " Take the column: y[:, 0]." if dims == 1 and target.ndim == 2 and target.shape[1] == 1 else ""
        raise InputError(f"task {task.name!r} ({task.kind}): labels {tuple(target.shape)}; expected {what}.{hint}")
    if target.is_complex():
        raise InputError(f"task {task.name!r} ({task.kind}): labels are complex; expected numbers.")
    if target.is_floating_point() and target.isinf().any():
        row = int(target.isinf().nonzero()[0, 0])
        raise InputError(
            f"task {task.name!r} ({task.kind}): the label of row {row} is infinite; expected finite numbers, and NaN "
            "where a label is missing."
        )
    return target


def in_range(task: Task, target: Tensor, low: int, high: int | None) -> None:
    """Refuse labels that are not whole numbers from `low` to `high` (no bound if None)."""
    seen = target[present(target)]
    seen = seen.long() if seen.dtype == torch.bool else seen
    wrong = seen < low if high is None else (seen < low) | (seen > high)
    if seen.is_floating_point():
        wrong = wrong | (seen != seen.round())
    if wrong.any():
        missing = "NaN" if target.is_floating_point() else str(MISSING)
        span = f"{low} to {high}" if high is not None else f"{low}, {low + 1}, ..."
        raise InputError(
            f"task {task.name!r} ({task.kind}): a label is {seen[wrong][0].item():g}; expected {span}, and {missing} "
            "where it is missing."
        )


def cross_entropies(task: Task, logits: Tensor, target: Tensor) -> Tensor:
    """Give the cross-entropies (n, ...) of logits (n, C, ...), with the task's class weights and smoothing.

    0 where one of several labels of a row is missing; what the logits are there changes nothing, not even a gradient.
    """
    logits = single(logits)
    if target.ndim > 1:  # labels that are one a row are all there
        seen = present(target)
        logits = torch.where(seen.unsqueeze(1), logits, logits.new_zeros(()))
        target = torch.where(seen, target, MISSING)
    weight = None if task.class_weight is None else logits.new_tensor(task.class_weight)
    smooth = task.label_smoothing
    return cross_entropy(logits, target.long(), weight, ignore_index=MISSING, reduction="none", label_smoothing=smooth)


def classes_of(task: Task) -> int:
    """Give how many classes a task has.

    Raises
    ------
    InputError
        Where it does not say.
    """
    if task.classes is None:
        raise InputError(
            f"task {task.name!r}: say how many classes there are: "
            f"Task({task.name!r}, {task.kind!r}, classes=3); relatask.kinds.resolved reads it from labels."
        )
    return task.classes


def highest(target: Tensor) -> int:
    """The highest class among integer labels, -1 without any."""
    seen = target[present(target)]
    return int(seen.max()) if seen.numel() else -1


def cross_entropy_of_best(task: Task, labels: Tensor, weight: Tensor | None, *, classes: int | None = None) -> float:
    """Give the mean cross-entropy of the best constant chances; labels are all there.

    With class weights w and label smoothing e, ``a_c = (1 - e) w_c n_c + e / C w_c n``: the cross-entropy of a constant
    p is ``-sum_c a_c log p_c / n``, least at ``p = a / sum a``. Rows' weights enter n_c and n.
    """
    labels = labels.cpu().long()
    classes = classes or task.classes or int(labels.max()) + 1
    rows = torch.ones(len(labels), dtype=torch.double) if weight is None else weight.cpu().double()
    times = torch.bincount(labels, rows, minlength=classes)
    by_class = torch.ones_like(times) if task.class_weight is None else times.new_tensor(task.class_weight)
    total, smooth = times.sum(), task.label_smoothing
    a = by_class * ((1 - smooth) * times + smooth / classes * total)
    return float(a.sum() * entr(a / a.sum()).sum() / total) if a.sum() > 0 else 0.0
