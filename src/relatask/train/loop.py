"""The loop: `fit` trains any `Model` on any tasks by any `Step`."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from relatask.data.tensors import Loader
from relatask.nets.model import Model
from relatask.notices import InputError
from relatask.tasks import Task
from relatask.train.callbacks import call, check_callbacks
from relatask.train.checkpoint import Store
from relatask.train.checks import Checks
from relatask.train.door import check_watched, read_settings, read_tasks, settings_of, try_out
from relatask.train.evaluate import evaluated
from relatask.train.feed import Feed
from relatask.train.interrupts import deferred
from relatask.train.live import LiveTable
from relatask.train.losses import LossesOf, Place
from relatask.train.normalise import Scales
from relatask.train.ranks import device_of, ranks, same_buffers, same_start
from relatask.train.run import Run
from relatask.train.step import Step
from relatask.train.steps.balanced import Balanced
from relatask.train.trained import Trained
from relatask.train.update import Average, OptimizerOf, Schedule, Updates, groups_of, optimizer_of, scheduler_of
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
    """Train a model of several tasks.

    ``min over theta  sum_k weight_k L_k(theta) / null_k + penalties(theta)``, L_k the mean over the task's labels,
    null_k the loss of the best constant answer; `step` says how the tasks' gradients are combined.

    Parameters
    ----------
    model : Model
        Trained in place.
    tasks : sequence of Task
        One for each head.
    train, valid : Loader
        Batches to learn from, and to choose the best epoch by.
    step : Step, optional
        What is done with batches: `Balanced()`, equal weights, by default; ``Balanced(PCGrad())``.
    optimizer : callable, optional
        From parameter groups, each with its ``lr`` and ``weight_decay``, to an optimizer: ``torch.optim.SGD``. AdamW by
        default.
    epochs : int
        Passes over the training loader, as its sampler defines them.
    lr, weight_decay : float
        Of all parameters.
    schedule : "cosine", "onecycle" or callable, optional
        Of the learning rates, over all updates; or a function from the optimizer to a scheduler that steps after every
        update.
    accumulate : int
        How many batches make one update: losses are means over the labels of them all, and tasks are balanced once.
    clip : float, optional
        Largest norm of the gradient, after balancing.
    precision : str
        As Fabric has it: "32-true", "bf16-mixed", "16-mixed", "64-true", "bf16-true".
    device : str
        "auto", "cpu", "cuda" or "mps".
    lr_of : mapping from task to float, optional
        Learning rates of tasks' own parameters.
    freeze : sequence
        What does not move: tasks, modules, or beginnings of parameters' names. Set free at the end.
    ema : float in (0, 1), optional
        Decay of a moving average of the parameters, which is what is evaluated and kept.
    monitor, stop, patience
        Which epoch is best and when to stop, as `relatask.train.watch.Watch` says.
    callbacks : sequence
        Objects with methods ``on_start``, ``on_epoch_start``, ``on_step``, ``on_epoch``, ``on_end``, called with the
        `Run`.
    folder : path-like, optional
        Where logs, checkpoints and the model are kept.
    resume : bool
        Go on with the run in `folder`, if there is one; on a CPU it ends as if it had never stopped, bit for bit.
    normalize : bool
        Whether losses are divided by null losses.
    seed : int
        Of dropout and whatever else torch draws; the global generator is left as it was.
    live : bool
        Show the training on stderr.

    Returns
    -------
    Trained
        The model at its best epoch, in eval mode, and its history.

    Raises
    ------
    InputError
        For what cannot be used: nothing was trained or written then. For a loss that is NaN (RT013), and the step and
        task it was in.
    KeyboardInterrupt
        After Ctrl-C, once the run is saved.

    Warns
    -----
    RelataskWarning
        RT002, RT003, RT006, RT007, RT009, RT011, when training ends.

    References
    ----------
    Kurin and others 2022, In defense of the unitary scalarization for deep multi-task learning, NeurIPS: why equal
    weights are the default.

    Examples
    --------
    >>> import numpy as np
    >>> from relatask.data.tensors import Columns, Loader
    >>> from relatask.nets import HardSharing
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 3)).astype("float32")
    >>> source = Columns(x, {"price": x[:, 0] + x[:, 1], "sold": (x[:, 0] > 0).astype("float32")})
    >>> trunk = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.ReLU())
    >>> model = HardSharing(trunk, {"price": torch.nn.Linear(16, 1), "sold": torch.nn.Linear(16, 1)})
    >>> tasks = [Task("price"), Task("sold", "binary")]
    >>> trained = fit(model, tasks, Loader(source, 32), Loader(source, 100), epochs=3, lr=0.01)
    >>> trained.best_epoch, sorted(trained.predict(x[:5]))
    (2, ['price', 'sold'])
    """
    step = Balanced() if step is None else step
    watch = Watch([getattr(task, "name", None) for task in tasks], monitor, stop, patience)
    tasks, nulls = read_tasks(model, tasks, train, valid, step, precision.startswith("16"))
    check_watched(watch.task, valid)
    frozen = read_settings(model, step, train, epochs, lr, lr_of or {}, accumulate, clip, ema, freeze)
    asked = check_callbacks(callbacks)
    comm, fabric = ranks(), _fabric(device, precision)
    fabric.strategy.precision.convert_module(model.to(fabric.device))
    place = Place(fabric.device, _dtype(model), fabric.autocast if "mixed" in precision else nullcontext, comm)
    scales, ones = Scales(nulls), dict.fromkeys(nulls, 1.0)
    losses_of, judged = (
        LossesOf(model, tasks, scales if normalize else ones, place, learns=scales),
        LossesOf(model, tasks, scales, place),
    )

    with torch.random.fork_rng([fabric.device] if fabric.device.type == "cuda" else []), deferred() as interrupt:
        torch.manual_seed(seed)
        try_out(judged, train)
        same_start(model, comm)
        free = [parameter for parameter in frozen if parameter.requires_grad_(False) is not None]
        step.to(fabric.device).prepare(model)
        feed = Feed(train, valid, step, accumulate, comm)
        moves = optimizer_of(optimizer, groups_of(model, step, lr, weight_decay, lr_of or {}))
        average = None if ema is None else Average(model, ema)
        scheduler = scheduler_of(schedule, moves, (feed.steps() or 0) * epochs)
        scaler = getattr(fabric.strategy.precision, "scaler", None)
        update = Updates(moves, clip=clip, scaler=scaler, scheduler=scheduler, average=average, comm=comm)
        kept = None if folder is None else Path(folder)
        same = settings_of(train, lr, weight_decay, lr_of, schedule, accumulate, clip, precision, normalize)
        run = Run(model, tasks, step, update, losses_of, watch, scales, epochs, seed, kept, same)
        checks = Checks()
        store = Store(run, feed, [*asked, checks])
        store.begin(resume)
        everyone = [*asked, checks, *([LiveTable()] if live else []), *store.loggers]
        call(everyone, "on_start", run)
        try:
            while run.epoch < epochs and not run.stopped:
                call(everyone, "on_epoch_start", run)
                model.train()
                for batches in feed.epoch(run.epoch, run.at):
                    try:
                        run.took(batches, *step(losses_of, batches, update))
                    except InputError as error:
                        raise _where(error, run) from error
                    with store.saving():
                        call(everyone, "on_step", run)
                        interrupt.check()
                scales.open = False
                same_buffers(model, comm)  # or ranks would disagree about which epoch is best, and when to stop
                run.close()
                if valid is not None:
                    with nullcontext() if average is None else average.standing_in():
                        store.keep(run.validated(*evaluated(judged, valid.epoch(0))))
                call(everyone, "on_epoch", run)
                run.epoch, run.at = run.epoch + 1, 0
                store.save()
                interrupt.check()
            store.finish()
            call(everyone, "on_end", run)
        finally:
            for parameter in free:
                parameter.requires_grad_(True)
    checks.tell()
    best = run.epoch - 1 if store.best is None else watch.best_at
    return Trained(model.eval(), tasks, run.history, best, dict(watch.best_epoch), run.stopped, run.folder, place)


def _fabric(device: str, precision: str) -> Any:
    """Give Fabric, for one device; in half precision without a GPU it is bfloat16, which needs no scaler."""
    from lightning_fabric import Fabric

    no_gpu = device == "cpu" or not torch.cuda.is_available()
    asked: Any = "bf16-mixed" if precision == "16-mixed" and no_gpu else precision
    try:
        return Fabric(accelerator=device, devices=device_of(device), precision=asked)
    except (ValueError, RuntimeError, TypeError) as error:
        raise InputError(f"device={device!r}, precision={precision!r} cannot be used here: {error}") from error


def _dtype(model: Model) -> torch.dtype:
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def _where(error: InputError, run: Run) -> InputError:
    """Say in which step it was, after the code if there is one."""
    told, place = str(error), f"step {run.steps + 1} (epoch {run.epoch + 1})"
    code, _, rest = told.partition(": ")
    return InputError(f"{code}: {place}: {rest}" if code.startswith("RT") else f"{place}: {told}")
