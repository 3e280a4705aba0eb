"""`Step`: what is done with one or more batches between two updates; the loop knows no method by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from torch import nn

from relatask.balance import Balance, Balancer, Equal, FromLosses, backward
from relatask.data.batch import Batch
from relatask.nets.model import Model
from relatask.train.losses import Losses, LossesOf

Update = Callable[[], None]
"""The loop's own: unscale, clip, step, zero, schedule, EMA."""


class Step(nn.Module, ABC):
    """From batches to gradients to an update; a Module, because some have state to save."""

    draws: int = 1
    """How many independent training batches a step eats."""
    descends: bool = False
    """Whether it descends one scalar of the losses, so that heads and losses of one kind may be one product."""

    def prepare(self, model: Model) -> None:
        """Look at the model once before training begins."""
        self.__dict__["model"] = model  # not a submodule: its parameters are not the step's
        model.join(self.descends)

    @abstractmethod
    def forward(self, losses_of: LossesOf, batches: Sequence[Batch], update: Update) -> tuple[Losses, Balance | None]:
        """Do the step; give the losses, and what the balancer did, for the log."""


class Balanced(Step):
    """One batch, one balanced backward pass, one update.

    Parameters
    ----------
    balancer : Balancer
        How the tasks are balanced; equal weights by default.
    representation : bool
        Balance at the representation, at about the cost of plain training; not the parameter-level method.
    """

    def __init__(self, balancer: Balancer | None = None, *, representation: bool = False) -> None:
        super().__init__()
        self.balancer = Equal() if balancer is None else balancer
        self.representation = representation
        self.descends = isinstance(self.balancer, FromLosses)

    def forward(self, losses_of: LossesOf, batches: Sequence[Batch], update: Update) -> tuple[Losses, Balance | None]:
        """Balance and update."""
        model: Model = self.__dict__["model"]
        losses = losses_of(batches[0])
        values = {str(task): value for task, value in losses.values.items()}
        done = backward(
            values,
            self.balancer,
            shared=model.shared_parameters(),
            heads={str(task): model.task_parameters(task) for task in losses.values},
            representation=losses.representation if self.representation else None,
            extra=losses.extra,
        )
        update()
        if self.balancer.observes:
            again = losses_of(batches[0])
            self.balancer.observe({str(task): value.detach() for task, value in again.values.items()})
        return losses, done
