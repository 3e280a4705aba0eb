"""`MOML`: task weights by gradients through steps of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from relatask.balance import Balance
from relatask.balance.loops import moml
from relatask.data.batch import Batch
from relatask.train.losses import Losses, LossesOf
from relatask.train.step import Update
from relatask.train.steps.common import in_all, told, trained
from relatask.train.steps.two_levels import HeldOut, TwoLevels, levels


class MOML(TwoLevels):
    """Task weights by the gradients of every task's held-out loss through steps of training, at no task's cost.

    ``alpha <- alpha - Adam(shortest vector of the hull of d L_i(theta_T(alpha)) / d alpha)``, theta_T after T plain
    gradient steps on ``sum_i w_i L_i + penalties``, w = t softmax(alpha); then that loss's gradient for the optimizer.

    Parameters
    ----------
    steps : int
        T; all are differentiated through.
    inner_lr : float, optional
        Their length; the optimizer's learning rate by default.
    held_out, meta_lr
        As `TwoLevels` takes them.

    References
    ----------
    Ye and others 2021, Multi-objective meta learning, NeurIPS, Algorithm 1.

    Examples
    --------
    >>> MOML(held_out="train").draws
    2
    """

    def __init__(
        self,
        steps: int = 1,
        inner_lr: float | None = None,
        held_out: HeldOut = "valid",
        meta_lr: float = 0.01,
    ) -> None:
        super().__init__(held_out, meta_lr)
        self.steps, self.inner_lr = steps, inner_lr

    def forward(self, losses_of: LossesOf, batches: Sequence[Batch], update: Update) -> tuple[Losses, Balance | None]:
        """Move the weights, then the parameters."""
        losses, above = self.both(losses_of, batches)
        tasks, rate = in_all(self.model, [losses]), self.ahead(update, self.inner_lr)
        if above and rate > 0:
            places = self.places(tasks)
            lower, upper = levels(self, losses_of, batches, tasks, above)
            alpha = self.logits[torch.from_numpy(places)].to(next(iter(losses.values.values())).dtype)
            parameters = list(trained(self.model).values())
            done = moml(lower, upper, parameters, [alpha], lr=rate, steps=self.steps)
            self.move(done.variables[0].double().cpu().numpy(), places)
        weights = self.softmax(tasks).cpu().numpy() if tasks else np.zeros(0)
        self.weighted(losses, tasks, weights)
        update()
        return losses, told(losses, tasks, weights) if tasks else None
