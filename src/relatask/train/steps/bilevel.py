"""Steps over two levels: task weights learned from other data than the parameters. `AutoLambda`, `MOML`, `FORUM`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from relatask.balance import Balance
from relatask.balance.from_losses.adam import Moments
from relatask.balance.loops import auto_lambda, forum, moml
from relatask.balance.options import number, one_of
from relatask.data.batch import Batch
from relatask.nets.model import Model
from relatask.notices import InputError
from relatask.train.losses import Losses, LossesOf
from relatask.train.step import Step, Update
from relatask.train.steps.common import add_gradients, check_finite, in_all, put, same_noise, stack, told, trained

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
        """Give the training losses, and the tasks that both batches have labels of."""
        losses = losses_of(batches[0])
        check_finite(losses)
        labels = losses_of.count([batches[1]])
        return losses, tuple(task for task in in_all(self.model, [losses]) if labels.get(task, 0.0) > 0)

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
        if tasks and primary:
            training, judged = self.parts(losses_of, first, tasks), self.parts(losses_of, second, primary)
            gradient = auto_lambda(
                lambda p: training(p)[0],
                lambda p: judged(p)[0].sum(),
                parameters,
                self.logits[torch.from_numpy(places)],
                lr=update.lr,
                epsilon=self.epsilon,
            )
            self.move(gradient.double().cpu().numpy(), places)
            self.logits.clamp_(min=0.0)
        weights = self.logits.cpu().numpy()[places] if tasks else np.zeros(0)
        self.weighted(losses, tasks, weights)
        update()
        return losses, told(losses, tasks, weights) if tasks else None


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
        losses, tasks = self.both(losses_of, batches)
        places = self.places(tasks) if tasks else np.zeros(0, dtype=int)
        if tasks:
            lower, upper = levels(self, losses_of, batches, tasks)
            alpha = self.logits[torch.from_numpy(places)].to(next(iter(losses.values.values())).dtype)
            parameters = list(trained(self.model).values())
            done = moml(lower, upper, parameters, [alpha], lr=self.inner_lr or update.lr, steps=self.steps)
            self.move(done.variables[0].double().cpu().numpy(), places)
        weights = self.softmax(tasks).cpu().numpy() if tasks else np.zeros(0)
        self.weighted(losses, tasks, weights)
        update()
        return losses, told(losses, tasks, weights) if tasks else None


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
        losses, tasks = self.both(losses_of, batches)
        if not tasks:
            self.weighted(losses, (), np.zeros(0))
            update()
            return losses, None
        places, named = self.places(tasks), trained(self.model)
        lower, upper = levels(self, losses_of, batches, tasks)
        held = self.averaged.cpu().numpy()[places]
        share = float(held.sum())
        alpha = self.logits[torch.from_numpy(places)].to(next(iter(losses.values.values())).dtype)
        done = forum(
            lower,
            upper,
            list(named.values()),
            [alpha],
            held / share if share > 0 else None,
            lr=self.inner_lr or update.lr,
            steps=self.steps,
            rho=self.rho,
            beta=float(int(self.count) + 1) ** -self.decay,
        )
        self.count += 1
        self.averaged[torch.from_numpy(places)] = torch.from_numpy(share * done.weights).to(self.averaged)
        self.move(done.variables[0].double().cpu().numpy(), places)
        gradients: Sequence[Tensor] = done.parameters
        parameters: list[Parameter] = list(named.values())
        for parameter, gradient in zip(parameters, gradients, strict=True):
            put(parameter, gradient)
        update()
        return losses, told(losses, tasks, self.softmax(tasks).cpu().numpy())


def levels(
    step: TwoLevels, losses_of: LossesOf, batches: Sequence[Batch], tasks: Sequence[Hashable]
) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """Give what the lower level minimises and the upper level's objectives, of parameters and logits."""
    training, judged = step.parts(losses_of, batches[0], tasks), step.parts(losses_of, batches[1], tasks)

    def lower(parameters: Sequence[Tensor], variables: Sequence[Tensor]) -> Tensor:
        values, extra = training(parameters)
        total = values @ (len(tasks) * variables[0].softmax(0))
        return total if extra is None else total + extra

    return lower, lambda parameters, variables: judged(parameters)[0]
