"""`MoDo` with two or three independent batches a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn import Parameter

from relatask.balance.loops import Weighted, modo
from relatask.train.steps.several import Several


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
