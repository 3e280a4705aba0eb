"""Learned covariance: how tasks go together is learned with them, as one convex problem."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from relatask.notices import InputError
from relatask.relations.checks import Array, Strength, check_strength, chosen, like, positive_semidefinite, read_w
from relatask.relations.relation import Proximal, around
from relatask.relations.spectral import lowered, plain, reshaped, singular_values

NAME = "LearnedCovariance"


@dataclass(frozen=True, eq=False)
class LearnedCovariance(Proximal):
    """Which tasks are alike, and which opposed, is learned: a (t, t) covariance of the tasks, together with W.

    ``R(W) = ridge/2 * ||W||_F^2 + strength/2 * ||W||_*^2``

    The second part is the least of strength/2 * tr(W' Omega^-1 W) over covariances Omega >= 0 of trace 1, which is at
    Omega = (W W')^(1/2) / trace. So the published alternation between W and Omega is one convex problem in W, with one
    optimum; alternating stops short of it where there are fewer features than tasks.

    Parameters
    ----------
    strength : float >= 0 or "auto"
        Of the learned covariance.
    ridge : float >= 0 or "auto"
        Of the coefficients.
    covariance : (t, t) array, optional
        Omega, which `given` learns from W: a fitted model has it in `relation_.covariance`. The value does not depend
        on it.

    Raises
    ------
    InputError
        For a strength that is negative, not finite or not a number; for a covariance that is not positive semidefinite.

    References
    ----------
    Zhang, Yeung: A convex formulation for learning task relationships in multi-task learning, 2010, UAI, equation 5.
    Argyriou, Evgeniou, Pontil: Convex multi-task feature learning, 2008, Machine Learning 73, for the trace norm.

    Examples
    --------
    >>> relation = LearnedCovariance(2.0, 1.0).given([[1.0, 0.0], [-1.0, 0.0]])
    >>> round(float(relation([[1.0, 0.0], [-1.0, 0.0]])), 12)
    3.0
    >>> (relation.correlation.round(6) + 0.0).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """

    strength: Strength = 1.0
    ridge: Strength = 0.0
    covariance: Any = None

    learned: ClassVar[tuple[str, ...]] = ("covariance",)
    formula: ClassVar[str] = "ridge/2 * ||W||_F^2 + strength/2 * ||W||_*^2"
    source: ClassVar[str] = "Zhang, Yeung 2010, A convex formulation for learning task relationships"
    strengths: ClassVar[tuple[str, ...]] = ("strength", "ridge")

    def __post_init__(self) -> None:
        """Check the strengths."""
        for name in self.strengths:
            object.__setattr__(self, name, check_strength(NAME, getattr(self, name), name))
        if self.covariance is not None:
            object.__setattr__(self, "covariance", positive_semidefinite(NAME, "covariance", self.covariance))

    def value(self, W: Array) -> Array:
        """Give ridge/2 times the sum of squares plus strength/2 times the square of the trace norm of W (t, d)."""
        strength, ridge = self._numbers()
        W, xp = read_w(W, owner=NAME)
        total = xp.sum(xp.linalg.svdvals(W))
        return ridge / 2 * xp.sum(W * W) + strength / 2 * (total * total)

    def prox(self, W: Array, step: float) -> Array:
        """Give W with every singular value lowered by step * strength * (their new sum), and shrunk by the ridge."""
        strength, ridge = self._numbers()
        shrink = 1 + step * ridge

        def change(singular: np.ndarray) -> np.ndarray:
            tau = lowered(singular, step * strength / shrink)
            return np.maximum(singular - tau, 0.0) / shrink

        return reshaped(W, NAME, change)

    def gauge(self, Z: Array) -> Array:
        """Give 0: R grows like a square."""
        Z, xp = read_w(Z, owner=NAME)
        return like(np.asarray(np.inf if self.vanishes and plain(Z).any() else 0.0), Z, xp)

    def conjugate(self, Z: Array) -> Array:
        """Give the least of tau^2 / (2 strength) + sum_i (z_i - tau)_+^2 / (2 ridge), z the singular values of Z."""
        strength, ridge = self._numbers()
        Z, xp = read_w(Z, owner=NAME)
        z = singular_values(Z, NAME)
        if ridge == 0:
            value = z[0] ** 2 / (2 * strength) if strength > 0 else 0.0
        else:
            tau = lowered(z, strength / ridge)
            value = float(np.sum(np.maximum(z - tau, 0.0) ** 2)) / (2 * ridge)
            value += tau**2 / (2 * strength) if strength > 0 else 0.0
        return like(np.asarray(value), Z, xp)

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give four decades around the data's curvature, shared out among the directions for the strength."""
        return around(curvature / min(correlation.shape) if name == "strength" else curvature)

    def given(self, W: Array) -> LearnedCovariance:
        """Give the relation with its `covariance` (W W')^(1/2) / trace; I / t for W = 0."""
        U, singular, _ = np.linalg.svd(plain(read_w(W, owner=NAME)[0]), full_matrices=False)
        total = float(singular.sum())
        covariance = (U * (singular / total)) @ U.T if total > 0 else np.eye(len(U)) / len(U)
        return replace(self, covariance=(covariance + covariance.T) / 2)

    @property
    def correlation(self) -> np.ndarray:
        """The (t, t) correlation of the learned covariance; a task whose W is zero has none with others.

        Raises
        ------
        InputError
            As long as nothing was learned.
        """
        if self.covariance is None:
            raise InputError(f"{NAME}: nothing is learned yet; fit a model and use its relation_, or call given(W).")
        spread = np.sqrt(np.diagonal(self.covariance))
        scale = np.where(spread > 0, spread, 1.0)
        correlation = np.clip(self.covariance / scale / scale[:, None], -1.0, 1.0)
        np.fill_diagonal(correlation, 1.0)
        return correlation

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5 and ridge 0.1."""
        return cls(0.5, 0.1)

    def _numbers(self) -> tuple[float, float]:
        return chosen(NAME, self.strength), chosen(NAME, self.ridge, "ridge")
