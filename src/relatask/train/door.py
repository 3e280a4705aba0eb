"""The door of `fit`: model, tasks and data are read and matched, or refused before anything is trained or written."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from relatask.balance import Balancer
from relatask.kinds import check_target, check_tasks, kind_of, resolved
from relatask.nets.model import Model
from relatask.notices import InputError
from relatask.tasks import Task
from relatask.train.labels import summed
from relatask.train.losses import LossesOf
from relatask.train.normalise import null_losses, targets_of, weights_of, with_null_losses
from relatask.train.ranks import ranks
from relatask.train.step import Step
from relatask.train.update import parameters_of


def check_model(model: Any, tasks: Sequence[Task]) -> None:
    """Refuse what is no model, no task, a head without a task and a task without a head."""
    if not isinstance(model, Model):
        raise InputError(
            f"model is {model!r:.60}, a {type(model).__name__}; a relatask.nets.Model is needed: "
            "HardSharing(encoder, {task: head}) makes one of any encoder."
        )
    if isinstance(tasks, str) or not isinstance(tasks, Sequence) or not tasks:
        raise InputError(f"tasks is {tasks!r:.60}; give a list with a relatask.tasks.Task for each head.")
    for task in tasks:
        if not isinstance(task, Task):
            raise InputError(f"tasks holds {task!r:.60}; give a relatask.tasks.Task: Task({task!r:.60}).")
    check_tasks(tasks)
    names = [task.name for task in tasks]
    told = [str(name) for name in names]
    twice = sorted({name for name in told if told.count(name) > 1})
    if twice:
        raise InputError(f"the task {twice[0]!r} is there twice; every task needs a name of its own.")
    headless = [name for name in names if name not in model.tasks]
    if headless:
        raise InputError(
            f"task {headless[0]!r} has no head; the model has heads for {', '.join(map(repr, model.tasks))}. Give it "
            "one, "
            "or leave the task out."
        )
    idle = [name for name in model.tasks if name not in names]
    if idle:
        raise InputError(
            f"the model has a head for {idle[0]!r}, which is none of the tasks {', '.join(map(repr, names))}; give "
            f"Task({idle[0]!r}, ...), or a model without that head."
        )


def read_tasks(
    model: Any, tasks: Sequence[Task], train: Any, valid: Any, step: Any, scaled: bool = False
) -> tuple[tuple[Task, ...], dict[Hashable, float | None]]:
    """Match model, tasks and data; give the tasks with what their labels tell filled in, and their null losses.

    Raises
    ------
    InputError
        For a model or a task that is none, heads and tasks that do not match, loaders that are none, tasks that no
        source has or that have no label at all, and labels that their kind cannot have.
    """
    check_model(model, tasks)
    _check_loaders(train, valid, step, scaled)
    targets = targets_of(train)
    tasks = tuple(resolved(t, targets[t.name]) if t.name in targets else t for t in tasks)
    if hasattr(train, "sources"):
        for task in tasks:
            _check_labels(task, targets)
    nulls = null_losses(tasks, targets, weights_of(train))
    held_out = targets_of(valid)
    for task in tasks:
        if task.name in held_out:
            _check_held_out(task, held_out[task.name])
    return with_null_losses(tasks, nulls), nulls


def _check_loaders(train: Any, valid: Any, step: Any, scaled: bool) -> None:
    for name, loader in (("train", train), ("valid", valid)):
        if loader is None and name == "valid":
            continue
        if not callable(getattr(loader, "epoch", None)):
            raise InputError(
                f"{name} is {loader!r:.60}, a {type(loader).__name__}; give a relatask.data.tensors.Loader: "
                "Loader(Columns(x, {task: labels}), batch_size=128); of torch's, Loader(TorchDataset(dataset, tasks)) "
                "or TorchLoaders({task: data_loader})."
            )
    if not isinstance(step, Step):
        hint = f"Balanced({type(step).__name__}(...))" if isinstance(step, Balancer) else "Balanced(PCGrad())"
        raise InputError(f"step is {step!r:.60}, a {type(step).__name__}; give a Step, for example {hint}.")
    if step.alone and (scaled or ranks() is not None):
        raise InputError(
            f"{type(step).__name__} takes gradients of several batches by itself, in one process and without a loss "
            "scaler; train in one process, with precision='32-true' or 'bf16-mixed'."
        )
    if step.valid_draws and valid is None:
        raise InputError(
            f"{type(step).__name__} learns from validation batches, and valid is None; give fit(..., "
            "valid=Loader(...))."
        )


def _check_labels(task: Task, targets: Mapping[Hashable, Any]) -> None:
    if task.name not in targets:
        raise InputError(
            f"task {task.name!r} is in no source of the training data, which have "
            f"{', '.join(map(repr, targets)) or 'no task'}."
        )
    if not bool(kind_of(task).observed(targets[task.name]).any()):
        raise InputError(
            f"task {task.name!r} has no label at all in the training data; give it some, or leave the task out."
        )


def _check_held_out(task: Task, target: Any) -> None:
    try:
        check_target(task, target)
    except InputError as error:
        raise InputError(f"in the validation data: {error}") from error


def read_settings(
    model: Model,
    step: Step,
    train: Any,
    epochs: int,
    lr: float,
    lr_of: Mapping[Hashable, float],
    accumulate: int,
    clip: float | None,
    ema: float | None,
    freeze: Sequence[Any],
) -> list[Parameter]:
    """Check the numbers, and give the parameters that are to rest."""
    for name, value in (("epochs", epochs), ("accumulate", accumulate)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name} is {value!r}; a whole number, 1 or more, is needed.")
    for task in lr_of:
        if task not in model.tasks:
            raise InputError(
                f"lr_of names {task!r}, which is no task; the tasks are {', '.join(map(str, model.tasks))}."
            )
    rates = [("lr", lr), *((f"lr_of[{task!r}]", rate) for task, rate in lr_of.items())]
    for name, number in [*rates, *([] if clip is None else [("clip", clip)])]:
        if not isinstance(number, int | float) or not 0 < number < math.inf:
            raise InputError(f"{name} is {number!r}; a number above 0 is needed.")
    if ema is not None and not 0 < ema < 1:
        raise InputError(f"ema is {ema!r}; a decay between 0 and 1 is needed, for example 0.999.")
    if accumulate > 1 and not step.accumulates:
        raise InputError(
            f"accumulate={accumulate}: {type(step).__name__} takes {step.draws} batches of its own a step, and none of "
            "them in parts; give accumulate=1 and smaller batches."
        )
    if isinstance(freeze, str):
        raise InputError(f"freeze is the text {freeze!r}; give a list: freeze=[{freeze!r}].")
    frozen = [parameter for parameter in parameters_of(model, freeze) if parameter.requires_grad]
    resting = {id(parameter) for parameter in frozen}
    if not any(p.requires_grad and id(p) not in resting for p in model.parameters()):
        raise InputError("no parameter is left to train: all are frozen. Freeze fewer.")
    return frozen


@torch.no_grad()
def check_watched(task: Hashable | None, valid: Any) -> None:
    """Refuse to watch a task of which no validation row has a label."""
    if task is None or valid is None or not hasattr(valid, "sources"):
        return
    found = [source for source in valid.sources if task in source.tasks]
    if not any(source.labelled(task).any() for source in found):
        raise InputError(
            f"monitor='task:{task}', and no row of valid has a label of task {task!r}; give it some, or watch "
            "'mean_delta', or another task."
        )


def settings_of(
    train: Any,
    lr: float,
    weight_decay: float,
    lr_of: Mapping[Hashable, float] | None,
    schedule: Any,
    accumulate: int,
    clip: float | None,
    precision: str,
    normalize: bool,
) -> dict[str, Any]:
    """Say what a run was asked for, as JSON holds it, so that it can only go on as it began."""
    sources = getattr(train, "sources", ())
    return {
        "lr": lr,
        "weight_decay": weight_decay,
        "lr_of": [[str(task), rate] for task, rate in (lr_of or {}).items()],
        "schedule": schedule if schedule is None or isinstance(schedule, str) else "a function",
        "accumulate": accumulate,
        "clip": clip,
        "precision": precision,
        "normalize": normalize,
        "batch_size": getattr(train, "batch_size", None),
        "rows": [len(source) for source in sources] if hasattr(train, "batch_size") else None,
    }


def try_out(losses_of: LossesOf, train: Any, rows: int = 2) -> None:
    """Send a few rows of every source through the model and the losses, so that shapes that do not match are told now.

    In eval mode, so that nothing of the model moves.
    """
    model = losses_of.model
    was, _ = model.training, model.eval()
    try:
        for source in getattr(train, "sources", ()):
            part = source.part(_some(source, losses_of, rows))
            found = losses_of.read(part)
            if not found:
                continue
            with losses_of.place.autocast():
                try:
                    (outputs,), _, _ = losses_of.run((part,), [found])
                except (RuntimeError, ValueError, TypeError, IndexError, KeyError) as error:
                    if isinstance(error, InputError):
                        raise
                    raise InputError(
                        f"the model cannot read the inputs of {', '.join(map(repr, found))}, which are "
                        f"{_shape(part.x)}: {type(error).__name__}: {error}. Give a model for inputs of this shape."
                    ) from error
                for name, labels in found.items():
                    _check_shape(losses_of.tasks[name], outputs[name], part.y[name])
                    summed(losses_of.tasks[name], outputs[name], labels)
    finally:
        model.train(was)


def _shape(x: Any) -> str:
    """Say what inputs are."""
    if isinstance(x, Mapping):
        return ", ".join(f"{name}: {_shape(value)}" for name, value in x.items())
    if isinstance(x, Tensor):
        return f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}"
    return f"a {type(x).__name__}" + (f" of {len(x)}" if hasattr(x, "__len__") else "")


def _some(source: Any, losses_of: LossesOf, rows: int) -> np.ndarray:
    """Give the first rows, and beside them one with a label of each task, where the source tells them cheaply."""
    found = list(range(min(rows, len(source))))
    for name in source.tasks:
        if name in losses_of.tasks and len(found) < 64:
            seen = kind_of(losses_of.tasks[name]).observed(source.target(name)).nonzero()[:1, 0].tolist()
            found += [row for row in seen if row not in found]
    return np.asarray(found)


def _check_shape(task: Task, output: Any, target: Any) -> None:
    expected = None if task.loss is not None else kind_of(task).shape(target, task)
    if expected is None or not isinstance(output, Tensor):
        return
    given = tuple(output.shape)
    if len(given) == len(expected) and all(e is None or e == g for e, g in zip(expected, given, strict=True)):
        return
    told = ", ".join("any" if size is None else str(size) for size in expected)
    raise InputError(
        f"task {task.name!r} ({task.kind}): the head gives outputs of shape {given} for {len(target)} rows, and "
        f"({told}{',' * (len(expected) == 1)}) is expected; give a head with {kind_of(task).width(task)} outputs."
    )
