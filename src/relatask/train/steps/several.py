"""`MoDo` and `SDMGrad` as in their papers: weights learned from the gradients of independent batches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from relatask.balance import Balance
from relatask.balance.loops import Weighted, modo, sdmgrad
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


class MoDo(Several):
    """Multi-objective gradient with double sampling: ``w <- P(w - gamma (J_1 J_2' w + rho w))``, then ``J_3' w``.

    Parameters
    ----------
    draws : 3 or 2
        Independent batches a step; with two, the parameters move along the mean of both.
    gamma : float
        Step of the weights.
    rho : float
        Pulls the weights towards equal ones.

    Raises
    ------
    InputError
        For another number of batches.

    References
    ----------
    Chen and others 2023, Three-way trade-off in multi-objective learning, NeurIPS, Algorithm 1.

    Examples
    --------
    >>> MoDo(draws=2).draws
    2
    """

    def __init__(self, draws: int = 3, gamma: float = 1e-3, rho: float = 0.1) -> None:
        super().__init__(draws)
        self.gamma, self.rho = gamma, rho

    def loop(
        self, losses: list[Tensor], shared: Sequence[Parameter], weights: np.ndarray, places: np.ndarray
    ) -> Weighted:
        """Step as `relatask.balance.loops.modo` does."""
        return modo(losses, shared, weights, gamma=self.gamma, rho=self.rho)


class SDMGrad(Several):
    """Direction-oriented gradient: ``w <- P(w - lr J_1 J_2' (w + lambda p))`` a few times, ``J_3' (w + lambda p)``.

    Parameters
    ----------
    draws : 3 or 2
        Independent batches a step.
    lambda_, steps, lr, momentum, normalized
        As `relatask.balance.loops.sdmgrad` takes them.
    preference : sequence of float, optional
        p, one a task, in the model's order; equal by default.

    Raises
    ------
    InputError
        For another number of batches, or numbers out of range.

    References
    ----------
    Xiao, Ban and Ji 2023, Direction-oriented multi-objective learning, NeurIPS, Algorithm 1.

    Examples
    --------
    >>> SDMGrad().draws
    3
    """

    def __init__(
        self,
        draws: int = 3,
        lambda_: float = 0.3,
        steps: int = 20,
        lr: float = 10.0,
        momentum: float = 0.5,
        *,
        normalized: bool = True,
        preference: Sequence[float] | None = None,
    ) -> None:
        super().__init__(draws)
        self.lambda_, self.steps, self.lr, self.momentum = lambda_, steps, lr, momentum
        self.normalized, self.preference = normalized, preference

    def loop(
        self, losses: list[Tensor], shared: Sequence[Parameter], weights: np.ndarray, places: np.ndarray
    ) -> Weighted:
        """Step as `relatask.balance.loops.sdmgrad` does."""
        preference = None if self.preference is None else [float(self.preference[k]) for k in places]
        return sdmgrad(
            losses,
            shared,
            weights,
            lambda_=self.lambda_,
            steps=self.steps,
            lr=self.lr,
            momentum=self.momentum,
            normalized=self.normalized,
            preference=preference,
        )
