"""Losses of a task or a whole model: those of one label, one kind a task, root squared, several classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from relatask.linear.losses.labels import Huber, Logistic, Loss, Poisson, SquaredError
from relatask.linear.sums.forms import Array
from relatask.notices import InputError

KINDS: dict[str, Loss] = {"regression": SquaredError(), "binary": Logistic(), "count": Poisson()}
"""Losses by the kind of label."""


@dataclass(frozen=True)
class ByTask:
    """A loss of its own for every task: regression, classes and counts in one model.

    Parameters
    ----------
    kinds : sequence of t kinds or losses
        ``"regression"``, ``"binary"``, ``"count"``, or a loss such as ``Huber(1.0)``.

    Raises
    ------
    InputError
        For a kind that is none of these.

    Examples
    --------
    >>> ByTask(("regression", "binary")).losses
    (SquaredError(), Logistic())
    """

    kinds: Sequence[str | Loss]
    losses: tuple[Loss, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Look the kinds up."""
        found = []
        for kind in self.kinds:
            loss = KINDS.get(kind) if isinstance(kind, str) else kind
            if not isinstance(loss, Loss):
                raise InputError(f"ByTask: {kind!r} is no kind of label; expected {', '.join(KINDS)}, or a loss.")
            found.append(loss)
        object.__setattr__(self, "kinds", tuple(self.kinds))
        object.__setattr__(self, "losses", tuple(found))


@dataclass(frozen=True)
class RootSquared:
    """Root mean squared error a task: calibrated to each task's noise, so that one strength suits all of them.

    ``sum_k c_k n_k sqrt(1/n_k sum_i s_i r_ki^2)``, with n_k = sum_i s_i. With all tasks on one X this is
    ``1/sqrt(n) sum_k ||r_k||_2`` under weighting "sample": the strength at which W = 0, and the one that suits the
    noise, do not change when a task's labels are measured in other units. A root mean square below 1/1000 of the
    labels' own is smoothed, sqrt(q) -> q / (2 f) + f / 2, so that a fit through every label is no kink.

    References
    ----------
    Liu, Wang, Zhao: Calibrated multivariate regression, 2015, JMLR 16 (there 1/sqrt(n) ||Y - X B||_{2,1}).
    """

    formula: ClassVar[str] = "n_k sqrt(1/n_k sum_i s_i r_ki^2)"


@dataclass(frozen=True)
class Multinomial:
    """Log loss of one of several classes, the same in every task; W is (C, t, d) and the relation acts on each class.

    ``loss = log sum_c exp(eta_c) - eta_y``, and ``sum_c R(W_c)``; labels are 0, ..., C - 1

    Parameters
    ----------
    n_classes : int >= 2
        C.

    Raises
    ------
    InputError
        For fewer than two classes.
    """

    n_classes: int

    formula: ClassVar[str] = "log sum_c exp(eta_c) - eta_y"

    def __post_init__(self) -> None:
        """Check the number."""
        if not isinstance(self.n_classes, (int, np.integer)) or self.n_classes < 2:
            raise InputError(f"Multinomial: n_classes={self.n_classes!r}; expected an integer >= 2.")

    def check(self, y: Array) -> None:
        """Raise InputError for labels that are none of 0, ..., C - 1."""
        wrong = (y < 0) | (y >= self.n_classes) | (y != np.floor(y))
        if wrong.any():
            raise InputError(
                f"Multinomial: y holds {y[wrong][0]:g}; expected classes 0, ..., {self.n_classes - 1} as integers."
            )


AnyLoss = Loss | ByTask | RootSquared | Multinomial

__all__ = [
    "KINDS",
    "AnyLoss",
    "ByTask",
    "Huber",
    "Logistic",
    "Loss",
    "Multinomial",
    "Poisson",
    "RootSquared",
    "SquaredError",
]
