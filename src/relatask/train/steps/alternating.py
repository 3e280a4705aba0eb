"""`Alternating`: the tasks in turn, one a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from relatask.balance import Balance, Equal
from relatask.balance.options import one_of
from relatask.data.batch import Batch
from relatask.nets.model import Model
from relatask.train.losses import Losses, LossesOf
from relatask.train.step import Step, Update
from relatask.train.steps.balanced import Balanced


class Alternating(Step):
    """The tasks in turn: a step descends one task's loss, and a t-th part of the penalties.

    ``grad L_k + grad penalties / t``, k the next task that has labels in the batch: after t steps the penalties have
    counted once, not t times. Each task sees the batches of its turns only: with shared inputs a t-th of them.

    Parameters
    ----------
    order : "cyclic" or "random"
        Tasks in the model's order, round and round; or drawn, by the seed and the step.
    seed : int
        Of the random order.

    Raises
    ------
    InputError
        For another order.

    Examples
    --------
    >>> Alternating().order
    'cyclic'
    """

    alone: ClassVar[bool] = True
    turn: Tensor

    def __init__(self, order: Literal["cyclic", "random"] = "cyclic", seed: int = 0) -> None:
        super().__init__()
        self.order = one_of("Alternating: order", order, ("cyclic", "random"))
        self.seed = seed
        self.register_buffer("turn", torch.zeros((), dtype=torch.int64))
        self.inner = Balanced(Equal())

    def prepare(self, model: Model) -> None:
        """Look at the model."""
        super().prepare(model)
        self.inner.prepare(model)

    def forward(self, losses_of: LossesOf, batches: Sequence[Batch], update: Update) -> tuple[Losses, Balance | None]:
        """Take the task whose turn it is, and update."""
        (batch,) = batches
        tasks = self.model.tasks
        labels = losses_of.count(batches)
        t, turn = len(tasks), int(self.turn)
        first = turn % t if self.order == "cyclic" else int(np.random.default_rng((self.seed, turn)).integers(t))
        place = next((k % t for k in range(first, first + t) if labels.get(tasks[k % t], 0.0) > 0), None)
        # After the task that was taken, so that tasks without labels in a batch cost nobody a turn.
        self.turn.fill_(turn + 1 if place is None or self.order == "random" else turn + (place - first) % t + 1)
        name = None if place is None else tasks[place]
        losses = losses_of(batch, share=1 / t, only=() if name is None else (name,))
        done = self.inner.descend(losses, update)
        update()
        return losses, done
