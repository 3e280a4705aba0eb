"""`Updates`: what happens once gradients are there: unscale, clip, step, zero, schedule, average."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from relatask.balance import Comm
from relatask.nets.model import Model
from relatask.notices import InputError

OptimizerOf = Callable[[list[dict[str, Any]]], Optimizer]
"""From parameter groups, each with its ``lr`` and ``weight_decay``, to an optimizer; `torch.optim.SGD` is one."""

Schedule = str | Callable[[Optimizer], Any] | None
SCHEDULES = ("cosine", "onecycle")


class Updates:
    """What happens once gradients are there.

    Parameters
    ----------
    optimizer : Optimizer
        Moves the parameters.
    clip : float, optional
        Largest norm of the gradient, after balancing.
    scaler : GradScaler, optional
        Of half precision; steps whose gradients overflow are skipped.
    scheduler : optional
        Has ``step()``, which is called after every update.
    average : Average, optional
        Of the parameters.
    comm : Comm, optional
        The ranks.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        clip: float | None = None,
        scaler: torch.amp.GradScaler | None = None,
        scheduler: Any = None,
        average: Average | None = None,
        comm: Comm | None = None,
    ) -> None:
        self.optimizer, self.clip, self.scaler, self.comm = optimizer, clip, scaler, comm
        self.scheduler, self.average = scheduler, average
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.searches = signature(optimizer.step).parameters.get("closure") is not None and _needs(optimizer)
        self.waiting = list(self.parameters)
        """Parameters that no gradient has reached yet."""
        self.skipped = 0

    @property
    def lr(self) -> float:
        """The learning rate of the first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def __call__(self, again: Callable[[], Tensor] | None = None) -> None:
        """Update, and forget the gradients."""
        if self.waiting:
            self.waiting = [p for p in self.waiting if p.grad is None]
        if self.searches:
            self._search(again)
        elif self.scaler is not None:
            self._scaled(self.scaler)
        else:
            if self.clip is not None:
                nn.utils.clip_grad_norm_(self.parameters, self.clip)
            self.optimizer.step()
        self.optimizer.zero_grad()
        if self.scheduler is not None:
            self.scheduler.step()
        if self.average is not None:
            self.average.update()

    def _scaled(self, scaler: torch.amp.GradScaler) -> None:
        if all(p.grad is None for p in self.parameters):  # a batch without labels, which a scaler does not know
            return
        scaler.unscale_(self.optimizer)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        before = scaler.get_scale()
        scaler.step(self.optimizer)
        scaler.update()
        self.skipped += scaler.get_scale() < before

    def _search(self, again: Callable[[], Tensor] | None) -> None:
        if again is None:
            raise InputError(
                f"{type(self.optimizer).__name__} looks at the loss more than once a step, which this step does not "
                "offer; train by Balanced() on batches that are not accumulated, or with another optimizer."
            )
        compute = again

        def closure() -> Tensor:
            self.optimizer.zero_grad()
            return compute()

        self.optimizer.step(closure)  # type: ignore[arg-type]


def _needs(optimizer: Optimizer) -> bool:
    """Whether the optimizer cannot step without a closure: its `step` as it was written has no default for it."""
    step = getattr(type(optimizer).step, "__wrapped__", type(optimizer).step)
    found = signature(step).parameters.get("closure")
    return found is not None and found.default is found.empty


class Average:
    """A moving average of parameters: ``a <- decay a + (1 - decay) p`` after every update; buffers are taken over.

    Parameters
    ----------
    model : Module
        Whose parameters.
    decay : float in (0, 1)
        How much of the average stays.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = model, decay
        self.held = {name: value.detach().clone() for name, value in self._floating()}

    def _floating(self) -> Iterable[tuple[str, Tensor]]:
        yield from ((name, p) for name, p in self.model.named_parameters() if p.is_floating_point())

    @torch.no_grad()
    def update(self) -> None:
        """Take note of the parameters."""
        torch._foreach_lerp_(list(self.held.values()), [p for _, p in self._floating()], 1 - self.decay)

    def take_over(self) -> None:
        """Let the model keep the averaged parameters."""
        self._swap()

    @contextmanager
    def standing_in(self) -> Iterator[None]:
        """Let the model have the averaged parameters for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, p in self._floating():
            p.data, self.held[name] = self.held[name], p.data


def groups_of(
    model: Model, step: nn.Module, lr: float, weight_decay: float, lr_of: Mapping[Hashable, float]
) -> list[dict[str, Any]]:
    """Give the parameter groups: what has the common learning rate, each task with its own, the step's parameters."""
    taken: set[int] = set()
    found: list[dict[str, Any]] = []
    for task, rate in lr_of.items():
        own = [p for p in model.task_parameters(task) if id(p) not in taken]
        if not own:
            raise InputError(
                f"lr_of names task {task!r}, which has no parameters of its own in {type(model).__name__}, so that no "
                "learning rate would change; leave it out, or give lr."
            )
        taken |= {id(p) for p in own}
        found.append({"params": own, "lr": rate, "weight_decay": weight_decay})
    rest = [p for p in model.parameters() if id(p) not in taken]
    found.insert(0, {"params": rest, "lr": lr, "weight_decay": weight_decay})
    found.append({"params": list(step.parameters()), "lr": lr, "weight_decay": 0.0})
    return [group for group in found if group["params"]]


def optimizer_of(optimizer: OptimizerOf | None, groups: list[dict[str, Any]]) -> Optimizer:
    """Build the optimizer: AdamW, or what the function gives.

    Raises
    ------
    InputError
        Where it is no function from parameter groups to an optimizer.
    """
    if optimizer is None:
        return torch.optim.AdamW(groups, fused=True)  # one pass over all parameters: on CPUs too twice as fast
    if isinstance(optimizer, Optimizer) or not callable(optimizer):
        raise InputError(
            f"optimizer is {optimizer!r:.60}; give a function from parameter groups to an optimizer, for example "
            "torch.optim.SGD, or functools.partial(torch.optim.SGD, momentum=0.9): fit knows the parameters."
        )
    built = optimizer(groups)
    if not isinstance(built, Optimizer):
        raise InputError(f"optimizer gave {built!r:.60}; a torch.optim.Optimizer is needed.")
    return built


def scheduler_of(schedule: Schedule, optimizer: Optimizer, updates: int | None) -> Any:
    """Build the scheduler, which steps after every update.

    Raises
    ------
    InputError
        For an unknown name, or a length that cannot be known.
    """
    if schedule is None:
        return None
    if not isinstance(schedule, str):
        if not callable(schedule):
            raise InputError(f"schedule is {schedule!r:.60}; give one of {SCHEDULES}, or a function of the optimizer.")
        return schedule(optimizer)
    if schedule not in SCHEDULES:
        raise InputError(f"schedule is {schedule!r}; expected one of {', '.join(map(repr, SCHEDULES))}, or a function.")
    if not updates:
        raise InputError(f"schedule={schedule!r} needs to know how long training is; give a function of the optimizer.")
    if schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=updates)
    rates = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(optimizer, max_lr=rates, total_steps=updates + 1)


def parameters_of(model: Model, what: Sequence[Any]) -> list[Parameter]:
    """Give the parameters that are named: by a task, by a name or its beginning, as a module, or as they are.

    Raises
    ------
    InputError
        For what names nothing.
    """
    found: dict[int, Parameter] = {}
    for item in what:
        chosen = _chosen(model, item)
        if not chosen:
            names = sorted({name.split(".")[0] for name, _ in model.named_parameters()})
            raise InputError(
                f"{item!r:.60} names no parameter of {type(model).__name__}; give a task "
                f"({', '.join(map(str, model.tasks))}), a module, or the beginning of a parameter's name "
                f"({', '.join(names)})."
            )
        found.update({id(p): p for p in chosen})
    return list(found.values())


def _chosen(model: Model, item: Any) -> list[Parameter]:
    if isinstance(item, Parameter):
        return [item]
    if isinstance(item, nn.Module):
        return list(item.parameters())
    if item in model.tasks:
        return model.task_parameters(item)
    return [p for name, p in model.named_parameters() if name == item or name.startswith(f"{item}.")]
