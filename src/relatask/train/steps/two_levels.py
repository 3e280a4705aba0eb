"""What steps over two levels share: task weights learned from other data than the parameters."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from relatask.balance.from_losses.adam import Moments
from relatask.balance.options import number, one_of
from relatask.data.batch import Batch
from relatask.nets.model import Model
from relatask.train.losses import Losses, LossesOf
from relatask.train.step import Step, Update
from relatask.train.steps.common import add_gradients, check_finite, in_all, same_noise, stack, trained

HeldOut = Literal["valid", "train"]


class TwoLevels(Step):
    """A step whose task weights learn from held-out batches.

    Parameters
    ----------
    held_out : "valid" or "train"
        Whether the upper level sees batches of the validation loader (which then is no longer held out from choosing
        the best epoch), or a second training batch.
    meta_lr : float
        Adam's step of the weights' logits, or of the weights.

    Raises
    ------
    InputError
        For another source of batches, or a step that is not positive.
    """

    alone: ClassVar[bool] = True
    logits: Tensor

    def __init__(self, held_out: HeldOut = "valid", meta_lr: float = 0.01) -> None:
        super().__init__()
        name = type(self).__name__
        one_of(f"{name}: held_out", held_out, ("valid", "train"))
        self.draws, self.valid_draws = (1, 1) if held_out == "valid" else (2, 0)
        self.meta_lr = number(f"{name}: meta_lr", meta_lr, above=0)

    def prepare(self, model: Model) -> None:
        """Begin with equal weights."""
        super().prepare(model)
        model.join(False)
        if not hasattr(self, "moments"):
            self.moments = Moments(len(model.tasks))
            self.register_buffer("logits", torch.full((len(model.tasks),), self.start, dtype=torch.float64))

    start: ClassVar[float] = 0.0

    def both(self, losses_of: LossesOf, batches: Sequence[Batch]) -> tuple[Losses, tuple[Hashable, ...]]:
        """Give the training losses, and which of their tasks the held-out batch has labels of, too."""
        losses = losses_of(batches[0])
        check_finite(losses)
        labels = losses_of.count([batches[1]])
        return losses, tuple(task for task in in_all(self.model, [losses]) if labels.get(task, 0.0) > 0)

    def ahead(self, update: Update, inner_lr: float | None = None) -> float:
        """Give the length of the steps below; 0, as where a schedule begins, tells nothing of the weights."""
        return update.lr if inner_lr is None else inner_lr

    def places(self, tasks: Sequence[Hashable]) -> np.ndarray:
        """Give where these tasks stand among all."""
        return np.array([self.model.tasks.index(task) for task in tasks])

    def move(self, gradient: np.ndarray, places: np.ndarray) -> None:
        """Take a step of Adam in the logits of these tasks."""
        change = self.moments.step(gradient, places, self.meta_lr)
        self.logits[torch.from_numpy(places)] += torch.from_numpy(change).to(self.logits)

    def softmax(self, tasks: Sequence[Hashable]) -> Tensor:
        """Give the weights (a,) of these tasks: a times the softmax of their logits."""
        return len(tasks) * self.logits[torch.from_numpy(self.places(tasks))].softmax(0)

    def parts(
        self, losses_of: LossesOf, batch: Batch, tasks: Sequence[Hashable]
    ) -> Callable[[Sequence[Tensor]], tuple[Tensor, Tensor | None]]:
        """Give the function from the trained parameters to the losses (a,) of these tasks, and the penalties."""
        names = list(trained(self.model))

        def compute(parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
            losses = losses_of(batch, params=dict(zip(names, parameters, strict=True)), only=tasks)
            return stack(losses, tasks), losses.extra

        state = same_noise()
        return lambda parameters: state(lambda: compute(parameters))

    def weighted(self, losses: Losses, tasks: Sequence[Hashable], weights: np.ndarray) -> None:
        """Put the gradient of the weighted training losses and the penalties where the optimizer looks."""
        parameters = list(trained(self.model).values())
        scalar = losses.extra
        if tasks:
            values = stack(losses, tasks)
            total = values @ torch.from_numpy(weights).to(values)
            scalar = total if scalar is None else total + scalar
        add_gradients(scalar, parameters)


def levels(
    step: TwoLevels,
    losses_of: LossesOf,
    batches: Sequence[Batch],
    tasks: Sequence[Hashable],
    above: Sequence[Hashable],
) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """Give what the lower level minimises and the upper level's objectives, of parameters and logits.

    Below are all tasks that the training batch has labels of, above those that the held-out batch has, too: what has
    no held-out label is trained as much as the rest, and only says nothing about the weights.
    """
    training, judged = step.parts(losses_of, batches[0], tasks), step.parts(losses_of, batches[1], above)

    def lower(parameters: Sequence[Tensor], variables: Sequence[Tensor]) -> Tensor:
        values, extra = training(parameters)
        total = values @ (len(tasks) * variables[0].softmax(0))
        return total if extra is None else total + extra

    return lower, lambda parameters, variables: judged(parameters)[0]
