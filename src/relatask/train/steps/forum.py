"""`FORUM`: task weights and parameters moved at once, by first derivatives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from relatask.balance import Balance
from relatask.balance.loops import forum
from relatask.balance.options import number
from relatask.data.batch import Batch
from relatask.nets.model import Model
from relatask.train.losses import Losses, LossesOf
from relatask.train.step import Update
from relatask.train.steps.common import in_all, put, told, trained
from relatask.train.steps.two_levels import HeldOut, TwoLevels, levels


class FORUM(TwoLevels):
    """Task weights and parameters moved at once, by first derivatives: help every held-out loss and close the gap.

    The direction of `relatask.balance.loops.forum` in the logits alpha (by Adam) and in the parameters (for the
    optimizer); below ``sum_i w_i L_i + penalties`` is trained, w = t softmax(alpha).

    Parameters
    ----------
    steps : int
        T, gradient steps below.
    inner_lr : float, optional
        Their length; the optimizer's learning rate by default.
    rho : float
        How fast the gap is to close.
    decay : float
        ``beta = (k + 1) ** -decay`` of the averaged weights at the k-th step.
    held_out, meta_lr
        As `TwoLevels` takes them.

    References
    ----------
    Ye and others 2024, A first-order multi-gradient algorithm for multi-objective bi-level optimization, ECAI,
    Algorithm 1.

    Examples
    --------
    >>> FORUM(steps=3).steps
    3
    """

    averaged: Tensor
    count: Tensor

    def __init__(
        self,
        steps: int = 5,
        inner_lr: float | None = None,
        rho: float = 0.1,
        decay: float = 0.75,
        held_out: HeldOut = "valid",
        meta_lr: float = 0.01,
    ) -> None:
        super().__init__(held_out, meta_lr)
        self.steps, self.inner_lr, self.rho = steps, inner_lr, rho
        self.decay = number("FORUM: decay", decay, at_least=0)
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def prepare(self, model: Model) -> None:
        """Begin with equal weights."""
        super().prepare(model)
        if not hasattr(self, "averaged"):
            t = len(model.tasks)
            self.register_buffer("averaged", torch.full((t,), 1 / t, dtype=torch.float64))

    def forward(self, losses_of: LossesOf, batches: Sequence[Batch], update: Update) -> tuple[Losses, Balance | None]:
        """Move weights and parameters at once."""
        losses, above = self.both(losses_of, batches)
        tasks, rate = in_all(self.model, [losses]), self.ahead(update, self.inner_lr)
        if not above or not rate > 0:
            weights = self.softmax(tasks).cpu().numpy() if tasks else np.zeros(0)
            self.weighted(losses, tasks, weights)
            update()
            return losses, told(losses, tasks, weights) if tasks else None
        places, judged, named = self.places(tasks), self.places(above), trained(self.model)
        lower, upper = levels(self, losses_of, batches, tasks, above)
        held = self.averaged.cpu().numpy()[judged]
        share = float(held.sum())
        alpha = self.logits[torch.from_numpy(places)].to(next(iter(losses.values.values())).dtype)
        done = forum(
            lower,
            upper,
            list(named.values()),
            [alpha],
            held / share if share > 0 else None,
            lr=rate,
            steps=self.steps,
            rho=self.rho,
            beta=float(int(self.count) + 1) ** -self.decay,
        )
        self.count += 1
        self.averaged[torch.from_numpy(judged)] = torch.from_numpy(share * done.weights).to(self.averaged)
        self.move(done.variables[0].double().cpu().numpy(), places)
        gradients: Sequence[Tensor] = done.parameters
        parameters: list[Parameter] = list(named.values())
        for parameter, gradient in zip(parameters, gradients, strict=True):
            put(parameter, gradient)
        update()
        return losses, told(losses, tasks, self.softmax(tasks).cpu().numpy())
