"""What steps with several batches share: tasks that all batches have, gradients put where the optimizer looks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from relatask.balance import Balance
from relatask.nets.model import Model
from relatask.notices import InputError
from relatask.train.losses import Losses

T = TypeVar("T")


def in_all(model: Model, losses: Sequence[Losses]) -> tuple[Hashable, ...]:
    """Give the tasks that have labels in every batch, in the model's order."""
    return tuple(task for task in model.tasks if all(task in found.values for found in losses))


def stack(losses: Losses, tasks: Sequence[Hashable]) -> Tensor:
    """Give the losses (t,) of these tasks."""
    return torch.stack([losses.values[task] for task in tasks])


def check_finite(losses: Losses) -> None:
    """Refuse a loss that is NaN or infinite, and name its task.

    Raises
    ------
    InputError
        RT013.
    """
    if not losses.values:
        return
    finite = torch.stack(list(losses.values.values())).isfinite().tolist()
    bad = [task for task, fine in zip(losses.values, finite, strict=True) if not fine]
    if bad:
        raise InputError(f"RT013: the loss of task {bad[0]!r} is NaN or infinite; look at its inputs and labels.")


def trained(model: Model) -> dict[str, Parameter]:
    """Give the parameters that are trained, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def add_gradients(scalar: Tensor | None, parameters: Sequence[Parameter]) -> None:
    """Add a scalar's gradient to `.grad`; the graph stays."""
    if scalar is None or not scalar.requires_grad or not parameters:
        return
    found = torch.autograd.grad(scalar, parameters, retain_graph=True, allow_unused=True)
    for parameter, gradient in zip(parameters, found, strict=True):
        put(parameter, gradient)


def put(parameter: Parameter, gradient: Tensor | None) -> None:
    """Add a gradient to `.grad`."""
    if gradient is not None:
        gradient = gradient.detach().to(parameter.dtype)
        parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad.add_(gradient)


def told(losses: Losses, tasks: Sequence[Hashable], weights: np.ndarray) -> Balance:
    """Tell what was done with the tasks."""
    values = stack(losses, tasks).detach()
    return Balance(torch.from_numpy(np.asarray(weights, dtype=float).copy()), None, values, tuple(map(str, tasks)))


def same_noise() -> Callable[[Callable[[], T]], T]:
    """Give a function that runs others with the same dropout masks every time: those that the next pass would draw."""
    state = torch.get_rng_state(), torch.cuda.get_rng_state() if torch.cuda.is_available() else None

    def run(compute: Callable[[], T]) -> T:
        with _at(state):
            return compute()

    return run


@contextmanager
def _at(state: tuple[Tensor, Tensor | None]) -> Iterator[None]:
    before = torch.get_rng_state(), torch.cuda.get_rng_state() if state[1] is not None else None
    _set(state)
    try:
        yield
    finally:
        _set(before)


def _set(state: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])
