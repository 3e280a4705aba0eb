"""The loop: `fit` trains any `Model` on any tasks by any `Step`."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from relatask.data.tensors import Loader
from relatask.kinds import kind_of
from relatask.nets.model import Model
from relatask.notices import InputError
from relatask.tasks import Task
from relatask.train.callbacks import call, check_callbacks
from relatask.train.door import check_data, check_model, try_out
from relatask.train.evaluate import evaluated
from relatask.train.feed import Feed
from relatask.train.losses import LossesOf, Place
from relatask.train.normalise import Scales, null_losses, targets_of, with_null_losses
from relatask.train.ranks import device_of, ranks, same_start
from relatask.train.run import Run, snapshot
from relatask.train.step import Step
from relatask.train.steps.balanced import Balanced
from relatask.train.trained import Trained
from relatask.train.update import (
    Average,
    OptimizerOf,
    Schedule,
    Updates,
    groups_of,
    optimizer_of,
    parameters_of,
    scheduler_of,
)
from relatask.train.watch import Monitor, Watch


def fit(
    model: Model,
    tasks: Sequence[Task],
    train: Loader,
    valid: Loader | None = None,
    *,
    step: Step | None = None,
    optimizer: OptimizerOf | None = None,
    epochs: int = 10,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    schedule: Schedule = None,
    accumulate: int = 1,
    clip: float | None = None,
    precision: str = "32-true",
    device: str = "auto",
    lr_of: Mapping[Hashable, float] | None = None,
    freeze: Sequence[Any] = (),
    ema: float | None = None,
    monitor: Monitor = "mean_delta",
    stop: str | None = None,
    patience: int = 10,
    callbacks: Sequence[Any] = (),
    folder: str | os.PathLike[str] | None = None,
    resume: bool = False,
    normalize: bool = True,
    seed: int = 0,
    live: bool = False,
) -> Trained:
    """Train a model (docstring to come)."""
    step = Balanced() if step is None else step
    check_model(model, tasks)
    targets = targets_of(train)
    tasks = tuple(kind_of(t).resolved(t, targets[t.name]) if t.name in targets else t for t in tasks)
    check_data(tasks, train, valid, step, targets)
    callbacks = check_callbacks(callbacks)
    watch = Watch([task.name for task in tasks], monitor, stop, patience)
    frozen = parameters_of(model, freeze)

    from lightning_fabric import Fabric

    comm = ranks()
    fabric = Fabric(
        accelerator=_accelerator(device), devices=device_of(device), precision=_precision(precision, device)
    )
    fabric.strategy.precision.convert_module(model)
    model.to(fabric.device)
    place = Place(fabric.device, _dtype(model), fabric.autocast if "mixed" in precision else nullcontext, comm)
    nulls = null_losses(tasks, targets)
    tasks = with_null_losses(tasks, nulls)
    scales = Scales(nulls)
    losses_of = LossesOf(model, tasks, scales if normalize else dict.fromkeys(nulls, 1.0), place)
    judged = LossesOf(model, tasks, scales, place)

    with torch.random.fork_rng([fabric.device] if fabric.device.type == "cuda" else []):
        torch.manual_seed(seed)
        try_out(judged, train)
        same_start(model, comm)
        for parameter in frozen:
            parameter.requires_grad_(False)
        step.to(fabric.device)
        step.prepare(model)
        feed = Feed(train, valid, step, accumulate, comm)
        built = optimizer_of(optimizer, groups_of(model, step, lr, weight_decay, lr_of or {}))
        updates = Updates(
            built,
            clip=clip,
            scaler=getattr(fabric.strategy.precision, "scaler", None),
            scheduler=scheduler_of(schedule, built, (feed.steps() or 0) * epochs),
            average=None if ema is None else Average(model, ema),
            comm=comm,
        )
        run = Run(model, tasks, step, updates, watch, scales, epochs, None if folder is None else Path(folder))
        best: dict[str, Any] | None = None
        call(callbacks, "on_start", run)
        for run.epoch in range(run.epoch, epochs):
            call(callbacks, "on_epoch_start", run)
            model.train()
            for batches in feed.epoch(run.epoch, run.at):
                try:
                    run.took(*step(losses_of, batches, updates))
                except InputError as error:
                    raise _where(error, run) from error
                call(callbacks, "on_step", run)
            scales.open = False
            run.close()
            if valid is not None:
                with nullcontext() if updates.average is None else updates.average.standing_in():
                    if run.validated(*evaluated(judged, valid.epoch(0))):
                        best = snapshot(model)
            run.at = 0
            call(callbacks, "on_epoch", run)
            if run.stopped:
                break
        if best is None and updates.average is not None:
            updates.average.standing_in().__enter__()
        if best is not None:
            model.load_state_dict(best)
        for parameter in frozen:
            parameter.requires_grad_(True)
        call(callbacks, "on_end", run)
    return Trained(
        model.eval(),
        tasks,
        run.history,
        watch.best_at if valid is not None else run.epoch,
        dict(watch.best_epoch),
        run.stopped,
        run.folder,
        place,
    )


def _where(error: InputError, run: Run) -> InputError:
    """Say in which step it was, after the code if there is one."""
    told, place = str(error), f"step {run.updates + 1} (epoch {run.epoch})"
    code, _, rest = told.partition(": ")
    return InputError(f"{code}: {place}: {rest}" if code.startswith("RT") else f"{place}: {told}")


def _accelerator(device: str) -> str:
    return {"gpu": "cuda"}.get(device, device)


def _precision(precision: str, device: str) -> Any:
    """Give Fabric's precision; half precision with a scaler is bfloat16 where there is no GPU, as Fabric has it."""
    no_gpu = device == "cpu" or not torch.cuda.is_available()
    return "bf16-mixed" if precision == "16-mixed" and no_gpu else precision


def _dtype(model: Model) -> torch.dtype:
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
