"""`SDMGrad` with two or three independent batches a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn import Parameter

from relatask.balance.loops import Weighted, sdmgrad
from relatask.train.steps.several import Several


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
