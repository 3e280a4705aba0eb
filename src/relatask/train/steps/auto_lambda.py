"""`AutoLambda`: task weights that make the primary tasks' held-out loss fall."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import torch

from relatask.balance import Balance
from relatask.balance.loops import auto_lambda
from relatask.balance.options import number
from relatask.data.batch import Batch
from relatask.nets.model import Model
from relatask.notices import InputError
from relatask.train.losses import Losses, LossesOf
from relatask.train.step import Update
from relatask.train.steps.common import in_all, told, trained
from relatask.train.steps.two_levels import HeldOut, TwoLevels


class AutoLambda(TwoLevels):
    """Task weights that make the primary tasks' loss on held-out data fall, one step ahead.

    ``w <- w - Adam(d L_primary(theta - lr sum_i w_i grad L_i) / dw)``, then ``grad sum_i w_i L_i`` for the optimizer.

    Parameters
    ----------
    primary : sequence of task, optional
        Whose loss counts; all by default.
    held_out : "valid" or "train"
        Where the second batch is from.
    meta_lr : float
        Adam's step of the weights.
    start : float
        Weight of every task at first.
    epsilon : float
        How far parameters are moved for the difference.

    Raises
    ------
    InputError
        For numbers out of range, and a primary task that is none.

    Notes
    -----
    Weights are kept at zero or above. All passes of a step draw the same dropout masks.

    References
    ----------
    Liu and others 2022, Auto-Lambda: disentangling dynamic task relationships, TMLR, equation 5.

    Examples
    --------
    >>> AutoLambda(["price"]).valid_draws
    1
    """

    def __init__(
        self,
        primary: Sequence[Hashable] | None = None,
        held_out: HeldOut = "valid",
        meta_lr: float = 1e-3,
        start: float = 0.1,
        epsilon: float = 0.01,
    ) -> None:
        self.primary = None if primary is None else tuple(primary)
        super().__init__(held_out, meta_lr)
        self.__dict__["start"] = number("AutoLambda: start", start, above=0)
        self.epsilon = number("AutoLambda: epsilon", epsilon, above=0)

    def prepare(self, model: Model) -> None:
        """Look at the model."""
        for task in self.primary or ():
            if task not in model.tasks:
                raise InputError(
                    f"AutoLambda: {task!r} is no task; primary are some of {', '.join(map(repr, model.tasks))}."
                )
        super().prepare(model)

    def forward(self, losses_of: LossesOf, batches: Sequence[Batch], update: Update) -> tuple[Losses, Balance | None]:
        """Move the weights, then the parameters."""
        parameters = list(trained(self.model).values())
        first, second = batches[0], batches[1]
        losses, tasks = self.both(losses_of, batches)
        labels = losses_of.count([second])
        wanted = self.model.tasks if self.primary is None else self.primary
        primary = tuple(task for task in wanted if labels.get(task, 0.0) > 0)
        tasks = in_all(self.model, [losses])
        places = self.places(tasks) if tasks else np.zeros(0, dtype=int)
        if tasks and primary and self.ahead(update) > 0:
            training, judged = self.parts(losses_of, first, tasks), self.parts(losses_of, second, primary)
            gradient = auto_lambda(
                lambda p: training(p)[0],
                lambda p: judged(p)[0].sum(),
                parameters,
                self.logits[torch.from_numpy(places)],
                lr=self.ahead(update),
                epsilon=self.epsilon,
            )
            self.move(gradient.double().cpu().numpy(), places)
            self.logits.clamp_(min=0.0)
        weights = self.logits.cpu().numpy()[places] if tasks else np.zeros(0)
        self.weighted(losses, tasks, weights)
        update()
        return losses, told(losses, tasks, weights) if tasks else None
