"""What `MoDo` and `SDMGrad` share: weights learned from the gradients of independent batches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from relatask.balance import Balance
from relatask.balance.loops import Weighted
from relatask.data.batch import Batch
from relatask.nets.model import Model
from relatask.notices import InputError
from relatask.train.losses import Losses, LossesOf
from relatask.train.step import Step, Update
from relatask.train.steps.common import add_gradients, check_finite, in_all, put, stack, told, trained


class Several(Step):
    """A step with two or three independent batches, whose products weigh the tasks.

    What is shared gets the weighted gradient; each head its own task's, unweighted, of the batches that the parameters
    are moved by (the third of three, the mean of two). Tasks without a label in one of the batches keep their weight;
    their heads still learn.
    """

    alone: ClassVar[bool] = True
    weights: Tensor

    def __init__(self, draws: int = 3) -> None:
        super().__init__()
        if draws not in (2, 3):
            raise InputError(f"{type(self).__name__}: draws is {draws!r}; the method takes 2 batches a step, or 3.")
        self.draws = draws

    def prepare(self, model: Model) -> None:
        """Find what is shared, and begin with equal weights."""
        super().prepare(model)
        model.join(False)
        shared = [p for p in model.shared_parameters() if p.requires_grad]
        if not shared:
            raise InputError(
                f"{type(self).__name__} weighs gradients of what tasks share, and {type(model).__name__} shares "
                "nothing "
                "that is trained; use Balanced()."
            )
        self.__dict__["shared"] = shared
        if not hasattr(self, "weights"):
            t = len(model.tasks)
            self.register_buffer("weights", torch.full((t,), 1 / t, dtype=torch.float64))

    def forward(self, losses_of: LossesOf, batches: Sequence[Batch], update: Update) -> tuple[Losses, Balance | None]:
        """Move the weights, then the parameters."""
        found = [losses_of(batch) for batch in batches]
        for losses in found:
            check_finite(losses)
        tasks = in_all(self.model, found)
        used = found[2:] or found
        done = None
        if tasks:
            done = self._weigh(found, tasks)
        shared = {id(p) for p in self.__dict__["shared"]}
        rest = [p for p in trained(self.model).values() if id(p) not in shared]
        for losses in used:
            if losses.values:
                add_gradients(torch.stack(list(losses.values.values())).sum() / len(used), rest)
            if losses.extra is not None:
                add_gradients(losses.extra / len(used), list(trained(self.model).values()))
        update()
        return used[-1], done

    def _weigh(self, found: Sequence[Losses], tasks: tuple[Hashable, ...]) -> Balance:
        places = torch.tensor([self.model.tasks.index(task) for task in tasks])
        held = self.weights.cpu()[places].numpy()
        share = float(held.sum())
        w = held / share if share > 0 else np.full(len(held), 1 / len(held))
        shared: list[Parameter] = self.__dict__["shared"]
        done = self.loop([stack(losses, tasks) for losses in found], shared, w, places.numpy())
        self.weights[places.to(self.weights.device)] = torch.from_numpy(share * done.weights).to(self.weights)
        for parameter, gradient in zip(shared, done.gradients, strict=True):
            put(parameter, gradient)
        return told(found[-1], tasks, done.weights)

    @abstractmethod
    def loop(
        self, losses: list[Tensor], shared: Sequence[Parameter], weights: np.ndarray, places: np.ndarray
    ) -> Weighted:
        """Give the weights (a,) after the step, and the gradient of what is shared."""
