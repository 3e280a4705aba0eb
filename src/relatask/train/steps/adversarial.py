"""`Adversarial`: a discriminator and the rest trained in turn, on the same batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from relatask.balance import Balance
from relatask.balance.options import number, whole
from relatask.data.batch import Batch
from relatask.nets.model import Model
from relatask.notices import InputError
from relatask.train.losses import Losses, LossesOf
from relatask.train.step import Step, Update
from relatask.train.steps.balanced import Balanced


class Adversarial(Step):
    """A discriminator and the rest in turn: a few steps of the one, then one of the other, on the same batch.

    ``phi <- phi - Adam(grad_phi A)`` `turns` times, A the model's penalty of that name; then `inner`'s step with phi at
    rest. With reversal alone (`SharedPrivate` under any other step) both move at once and at one learning rate; in turn
    the discriminator can be kept near its best, which is what the encoder is to fool.

    Parameters
    ----------
    inner : Step, optional
        What is done with the tasks; `Balanced()` by default.
    turns : int
        Steps of the discriminator before each of the others.
    lr : float
        Of its Adam.
    penalty : str
        The penalty that the discriminator descends.
    discriminator : callable, optional
        From the model to the module; its ``discriminator`` by default.

    Raises
    ------
    InputError
        For a model without a discriminator, or without that penalty.

    References
    ----------
    Goodfellow and others 2014, Generative adversarial nets, NeurIPS, Algorithm 1.

    Examples
    --------
    >>> Adversarial(turns=2).turns
    2
    """

    def __init__(
        self,
        inner: Step | None = None,
        turns: int = 1,
        lr: float = 1e-3,
        penalty: str = "adversary",
        discriminator: Callable[[Model], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.inner = Balanced() if inner is None else inner
        if self.inner.draws != 1 or self.inner.valid_draws:
            raise InputError(
                f"Adversarial: {type(self.inner).__name__} takes several batches; give one such as Balanced()."
            )
        self.turns, self.penalty = whole("Adversarial: turns", turns, at_least=1), penalty
        self.lr = number("Adversarial: lr", lr, above=0)
        self.__dict__["find"] = discriminator

    def prepare(self, model: Model) -> None:
        """Find the discriminator."""
        super().prepare(model)
        find = self.__dict__["find"]
        found = getattr(model, "discriminator", None) if find is None else find(model)
        if not isinstance(found, nn.Module):
            raise InputError(
                f"Adversarial: {type(model).__name__} has no discriminator (an adversary of strength 0 has none); give "
                "discriminator=lambda model: ..."
            )
        if "discriminator" not in self.__dict__:
            self.__dict__["discriminator"] = found
            self.__dict__["optimizer"] = torch.optim.Adam(found.parameters(), lr=self.lr)
        self.inner.prepare(model)

    def trains(self) -> Sequence[nn.Parameter]:
        """Give the discriminator's parameters."""
        return tuple(self.__dict__["discriminator"].parameters())

    def forward(self, losses_of: LossesOf, batches: Sequence[Batch], update: Update) -> tuple[Losses, Balance | None]:
        """Train the discriminator, then the rest."""
        discriminator: nn.Module = self.__dict__["discriminator"]
        optimizer: torch.optim.Optimizer = self.__dict__["optimizer"]
        parameters = list(discriminator.parameters())
        for _ in range(self.turns):
            penalties = losses_of(batches[0]).penalties
            if self.penalty not in penalties:
                raise InputError(
                    f"Adversarial: the model has no penalty {self.penalty!r}; it has {', '.join(penalties) or 'none'}."
                )
            optimizer.zero_grad()
            found: Sequence[torch.Tensor | None] = torch.autograd.grad(penalties[self.penalty], parameters)
            if update.comm is not None:  # each rank has its rows, and all have one discriminator
                found = update.comm.mean(found, parameters, [0] * len(parameters))
            for parameter, gradient in zip(parameters, found, strict=True):
                parameter.grad = gradient
            optimizer.step()
            optimizer.zero_grad()
        for parameter in parameters:
            parameter.requires_grad_(False)
        try:
            done: tuple[Losses, Balance | None] = self.inner(losses_of, batches, update)
        finally:
            for parameter in parameters:
                parameter.requires_grad_(True)
        return done

    def get_extra_state(self) -> dict[str, Any]:
        """Give the state of the discriminator's optimizer."""
        return self.__dict__["optimizer"].state_dict() if "optimizer" in self.__dict__ else {}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over the state of the discriminator's optimizer."""
        if state:
            self.__dict__["optimizer"].load_state_dict(state)
