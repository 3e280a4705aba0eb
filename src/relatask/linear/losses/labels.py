"""Losses of one label: value, slope and curvature in the prediction eta, and what a certificate needs of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import logit, xlogy

from relatask.linear.sums.forms import Array
from relatask.notices import InputError

EDGE = 30.0
"""A task whose labels are all at the edge (all of one class, all counts 0) has its intercept here, not at infinity."""
OVERFLOW = 600.0
"""exp is taken of nothing above this, so that values stay finite and a line search can step back."""


class Loss(ABC):
    """A convex loss of one label: elementwise functions of eta and y, arrays of one shape.

    Losses are values: frozen dataclasses without data.
    """

    formula: ClassVar[str]
    endless: ClassVar[bool] = False
    """Whether the loss may fall for ever, so that separable data have no minimiser."""

    @abstractmethod
    def value(self, eta: Array, y: Array) -> Array:
        """Give the loss, >= 0."""

    @abstractmethod
    def slope(self, eta: Array, y: Array) -> Array:
        """Give the first derivative in eta."""

    @abstractmethod
    def curvature(self, eta: Array, y: Array) -> Array:
        """Give the second derivative in eta, >= 0."""

    @abstractmethod
    def majorant(self, eta: Array, y: Array) -> Array:
        """Give weights, at least the curvature, of a quadratic that lies above the loss where a step would go."""

    @abstractmethod
    def conjugate(self, u: Array, y: Array) -> Array:
        """Give max over eta of u eta - loss(eta, y): infinite for slopes that the loss never has."""

    def allowed(self, u: Array) -> float:
        """Give the largest factor <= 1 at which slopes u are in the conjugate's domain, where a factor can help."""
        return 1.0

    def check(self, y: Array) -> None:
        """Raise InputError for labels (m,), without NaN, that the loss cannot have: none, for any number will do."""
        return

    def edge(self, mean: Array) -> Array:
        """Give the intercepts of tasks whose mean labels say that every label is at the edge; NaN for the others."""
        return np.full(np.shape(mean), np.nan)

    def null(self, mean: Array) -> Array:
        """Give the intercepts of tasks without features, from their mean labels; NaN where these do not tell."""
        return mean


@dataclass(frozen=True)
class SquaredError(Loss):
    """Squared error of one label.

    ``loss = 1/2 (eta - y)^2``

    Examples
    --------
    >>> float(SquaredError().value(np.array(3.0), np.array(1.0)))
    2.0
    """

    formula: ClassVar[str] = "1/2 (eta - y)^2"

    def value(self, eta: Array, y: Array) -> Array:
        """Give half the squared residual."""
        return 0.5 * np.square(eta - y)

    def slope(self, eta: Array, y: Array) -> Array:
        """Give the residual."""
        return eta - y

    def curvature(self, eta: Array, y: Array) -> Array:
        """Give ones."""
        return np.ones(np.shape(eta))

    def majorant(self, eta: Array, y: Array) -> Array:
        """Give ones."""
        return np.ones(np.shape(eta))

    def conjugate(self, u: Array, y: Array) -> Array:
        """Give u y + u^2 / 2."""
        return u * y + 0.5 * np.square(u)


@dataclass(frozen=True)
class Huber(Loss):
    """Squared error that grows linearly beyond `delta`, so that outliers pull no harder.

    ``loss = 1/2 r^2 where |r| <= delta, delta |r| - 1/2 delta^2 beyond, with r = eta - y``

    Parameters
    ----------
    delta : float > 0
        In units of y.

    Raises
    ------
    InputError
        For a delta that is not a positive number.

    References
    ----------
    Huber: Robust estimation of a location parameter, 1964, Annals of Mathematical Statistics 35.

    Examples
    --------
    >>> Huber(1.0).value(np.array([0.5, 3.0]), np.zeros(2)).tolist()
    [0.125, 2.5]
    """

    delta: float = 1.35

    formula: ClassVar[str] = "1/2 r^2 where |r| <= delta, else delta |r| - 1/2 delta^2"

    def __post_init__(self) -> None:
        """Check delta."""
        number = isinstance(self.delta, (int, float, np.integer, np.floating)) and not isinstance(self.delta, bool)
        if not number or not 0 < self.delta < np.inf:
            raise InputError(f"Huber: delta={self.delta!r}; expected a positive number, in the units of y.")

    def value(self, eta: Array, y: Array) -> Array:
        """Give the loss."""
        size = np.abs(eta - y)
        inside = np.minimum(size, self.delta)
        return inside * (size - 0.5 * inside)

    def slope(self, eta: Array, y: Array) -> Array:
        """Give the residual, cut off at delta."""
        return np.clip(eta - y, -self.delta, self.delta)

    def curvature(self, eta: Array, y: Array) -> Array:
        """Give 1 where the loss is quadratic, 0 where it is linear."""
        return (np.abs(eta - y) <= self.delta).astype(np.float64)

    def allowed(self, u: Array) -> float:
        """Give what brings the largest slope down to delta."""
        return min(1.0, self.delta / max(float(np.abs(u).max(initial=0.0)), self.delta))

    def null(self, mean: Array) -> Array:
        """Give NaN: the mean does not tell."""
        return np.full(np.shape(mean), np.nan)

    def majorant(self, eta: Array, y: Array) -> Array:
        """Give min(1, delta / |r|)."""
        return self.delta / np.maximum(np.abs(eta - y), self.delta)

    def conjugate(self, u: Array, y: Array) -> Array:
        """Give u y + u^2 / 2 for |u| <= delta."""
        # A little more is rounding.
        return np.where(np.abs(u) <= self.delta * (1 + 1e-12), u * y + 0.5 * np.square(u), np.inf)


@dataclass(frozen=True)
class Logistic(Loss):
    """Log loss of a label 0 or 1; eta is the log-odds of 1.

    ``loss = log(1 + exp(eta)) - y eta``

    Examples
    --------
    >>> Logistic().value(np.array([0.0, 1e3, -1e3]), np.array([1.0, 1.0, 1.0])).round(4).tolist()
    [0.6931, 0.0, 1000.0]
    """

    formula: ClassVar[str] = "log(1 + exp(eta)) - y eta"
    endless: ClassVar[bool] = True

    def value(self, eta: Array, y: Array) -> Array:
        """Give log(1 + exp(-margin))."""
        margin = (2 * y - 1) * eta
        return np.log1p(np.exp(-np.abs(margin))) + np.maximum(-margin, 0.0)

    def slope(self, eta: Array, y: Array) -> Array:
        """Give the probability of 1, less y: small ones to their own digits."""
        sign = 2 * y - 1
        return -sign * _sigmoid(-sign * eta)

    def curvature(self, eta: Array, y: Array) -> Array:
        """Give p (1 - p)."""
        e = np.exp(-np.abs(eta))
        return e / np.square(1 + e)

    def majorant(self, eta: Array, y: Array) -> Array:
        """Give tanh(eta / 2) / (2 eta), the bound of Jaakkola and Jordan (2000)."""
        half = 0.5 * np.abs(eta)
        small = half < 1e-4
        return np.where(small, 0.25, np.tanh(half) / np.where(small, 1.0, 4 * half))

    def conjugate(self, u: Array, y: Array) -> Array:
        """Give v log v + (1 - v) log(1 - v), with v = -u for y = 1 and u for y = 0, between 0 and 1."""
        v = (1 - 2 * y) * u
        rest = 1 - v
        with np.errstate(invalid="ignore"):
            entropy = xlogy(v, v) + xlogy(rest, rest)
        return np.where((v >= 0) & (rest >= 0), entropy, np.inf)

    def check(self, y: Array) -> None:
        """Raise InputError unless every label is 0 or 1."""
        wrong = (y != 0) & (y != 1)
        if wrong.any():
            raise InputError(
                f"Logistic: y holds {y[wrong][0]:g}; expected labels 0 and 1. Encode two classes as 0 and 1."
            )

    def edge(self, mean: Array) -> Array:
        """Give -30 or 30 where all labels are of one class."""
        return np.where(mean == 0, -EDGE, np.where(mean == 1, EDGE, np.nan))

    def null(self, mean: Array) -> Array:
        """Give the log-odds."""
        return logit(mean)


@dataclass(frozen=True)
class Poisson(Loss):
    """Half the Poisson deviance of a count; eta is the log of its mean.

    ``loss = exp(eta) - y eta - (y - y log y)``, which is 0 at eta = log y

    Examples
    --------
    >>> Poisson().value(np.log([1.0, 4.0]), np.array([1.0, 0.0])).round(12).tolist()
    [0.0, 4.0]
    """

    formula: ClassVar[str] = "exp(eta) - y eta - (y - y log y)"
    endless: ClassVar[bool] = True

    def value(self, eta: Array, y: Array) -> Array:
        """Give half the deviance."""
        return mean_count(eta) - y * eta + (xlogy(y, y) - y)

    def slope(self, eta: Array, y: Array) -> Array:
        """Give the mean, less y."""
        return mean_count(eta) - y

    def curvature(self, eta: Array, y: Array) -> Array:
        """Give the mean."""
        return mean_count(eta)

    def majorant(self, eta: Array, y: Array) -> Array:
        """Give the larger of mean and count: no quadratic lies above exp everywhere; this one does up to log y."""
        return np.maximum(mean_count(eta), y)

    def conjugate(self, u: Array, y: Array) -> Array:
        """Give v log v - v + y - y log y, with v = u + y >= 0."""
        v = u + y
        safe = np.maximum(v, 0.0)
        # What is negative by rounding only is 0.
        return np.where(v >= -1e-12 * (np.abs(u) + y), xlogy(safe, safe) - safe + (y - xlogy(y, y)), np.inf)

    def check(self, y: Array) -> None:
        """Raise InputError for negative labels."""
        if (y < 0).any():
            raise InputError(f"Poisson: y holds {y.min():g}; expected counts >= 0.")

    def edge(self, mean: Array) -> Array:
        """Give -30 where all counts are 0."""
        return np.where(mean == 0, -EDGE, np.nan)

    def null(self, mean: Array) -> Array:
        """Give the log of the mean."""
        return np.log(np.maximum(mean, np.exp(-EDGE)))


def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), small ones to their own digits."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1 + e)


def mean_count(eta: Array) -> Array:
    """exp(eta), finite whatever eta is."""
    return np.exp(np.minimum(eta, OVERFLOW))
