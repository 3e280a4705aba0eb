"""`Step`: what is done with one or more batches between two updates; the loop knows no method by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from relatask.balance import Balance, Comm
from relatask.data.batch import Batch
from relatask.nets.model import Model
from relatask.train.losses import Losses, LossesOf


class Update(Protocol):
    """The loop's own: unscale, clip, step, zero, schedule, EMA."""

    scaler: torch.amp.GradScaler | None
    comm: Comm | None

    @property
    def lr(self) -> float:
        """The learning rate that the next update has."""
        ...

    def __call__(self, again: Callable[[], Tensor] | None = None) -> None:
        """Update; `again` computes loss and gradients anew, for optimizers that look more than once (LBFGS)."""
        ...


class Step(nn.Module, ABC):
    """From batches to gradients to an update; a Module, because some have state to save."""

    draws: int = 1
    """How many independent training batches a step eats."""
    valid_draws: int = 0
    """How many validation batches it eats beside them; they follow the training batches."""
    alone: ClassVar[bool] = False
    """Whether it works in one process only, and without a loss scaler."""
    accumulates: ClassVar[bool] = False
    """Whether it takes the parts of a batch that is too large for the memory (fit's ``accumulate``)."""

    def prepare(self, model: Model) -> None:
        """Look at the model once before training begins, and whenever parameters were frozen or set free."""
        self.__dict__["model"] = model  # not a submodule: its parameters are not the step's

    def trains(self) -> Sequence[nn.Parameter]:
        """Give the parameters that it moves by itself, past the loop's optimizer."""
        return ()

    @property
    def model(self) -> Model:
        """The model that is trained."""
        found: Model = self.__dict__["model"]
        return found

    @abstractmethod
    def forward(self, losses_of: LossesOf, batches: Sequence[Batch], update: Update) -> tuple[Losses, Balance | None]:
        """Do the step; give the losses, and what the balancer did, for the log."""
