"""The hierarchical prior: tasks are draws from one normal distribution, whose mean and covariance are learned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from array_api_compat import to_device

from relatask.notices import InputError
from relatask.relations.checks import Array, like, positive_semidefinite, read_w, spectrum
from relatask.relations.relation import Relation

CHOICES = {
    "covariance": ("auto", "full", "diagonal", "isotropic"),
    "noise": ("common", "task"),
    "method": ("reml", "ml"),
}

FLAT = 1e-10
"""Directions in which S has less than this share of its largest variance are priced as if they had that share."""


@dataclass(frozen=True, eq=False)
class HierarchicalPrior(Relation):
    """Tasks are draws from one normal distribution, w_k ~ N(m, S): nothing to choose, m and S are learned.

    ``R(W) = 1/2 sum_k (w_k - m)' S^-1 (w_k - m)``

    As long as m and S are None, `value` is this formula with S = I and the m that is best for W, its mean:
    ``1/2 sum_k ||w_k - mean||^2``. A linear estimator learns m, S and the noise from the data, by (restricted) maximum
    likelihood; `given` learns m and S from W. Where S has no variance in a direction, or less than 1e-10 of its
    largest, that share is taken, so that the value stays finite.

    Parameters
    ----------
    covariance : {"auto", "full", "diagonal", "isotropic"}
        Of S: any; diagonal; one variance for all coefficients (and another for tied intercepts). "auto" fits the three
        and takes the one with the best Bayesian information criterion, counting tasks: full pays with many tasks only.
        `given` reads "auto" as "full".
    noise : {"common", "task"}
        One noise variance, or one a task; the latter are held together by a prior worth two rows a task.
    method : {"reml", "ml"}
        Restricted likelihood, in which m costs its degrees of freedom, or the plain one.
    m : (d,) array, optional
        The learned mean.
    S : (d, d) array, optional
        The learned covariance.

    Raises
    ------
    InputError
        For another word; for m without S, or shapes that do not fit; for an S that is not positive semidefinite.

    References
    ----------
    Laird, Ware: Random-effects models for longitudinal data, 1982, Biometrics 38.

    Examples
    --------
    >>> W = [[1.0, 0.0], [3.0, 0.0]]
    >>> float(HierarchicalPrior()(W))
    1.0
    >>> float(HierarchicalPrior(m=[0.0, 0.0], S=[[4.0, 0.0], [0.0, 1.0]])(W))
    1.25
    """

    covariance: Literal["auto", "full", "diagonal", "isotropic"] = "auto"
    noise: Literal["common", "task"] = "common"
    method: Literal["reml", "ml"] = "reml"
    m: Any = None
    S: Any = None

    learned: ClassVar[tuple[str, ...]] = (
        "m",
        "S",
    )
    formula: ClassVar[str] = "1/2 * sum over k of (w_k - m)' S^-1 (w_k - m), w_k ~ N(m, S)"
    source: ClassVar[str] = "Laird, Ware 1982, Random-effects models for longitudinal data"
    strengths: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the words and the arrays."""
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if not isinstance(value, str) or value not in allowed:
                expected = ", ".join(map(repr, allowed))
                raise InputError(f"HierarchicalPrior: {name}={value!r} is unknown; expected one of {expected}.")
        if (self.m is None) != (self.S is None):
            raise InputError("HierarchicalPrior: only one of m and S is given; expected both, or none to learn them.")
        if self.m is None:
            return
        try:
            mean = np.array(self.m, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"HierarchicalPrior: m could not be read as numbers ({error}).") from error
        if mean.ndim != 1 or not np.isfinite(mean).all():
            raise InputError(f"HierarchicalPrior: m has shape {mean.shape}; expected (d,), finite numbers.")
        S = positive_semidefinite("HierarchicalPrior", "S", self.S)
        if len(S) != len(mean):
            raise InputError(f"HierarchicalPrior: S is {len(S)} x {len(S)}, but m has {len(mean)} entries.")
        mean.flags.writeable = False
        object.__setattr__(self, "m", mean)
        object.__setattr__(self, "S", S)

    def value(self, W: Array) -> Array:
        """Give the formula at the learned m and S; half the squared distances to the mean before they are learned."""
        W, xp = read_w(W, owner="HierarchicalPrior")
        if self.m is None:
            deviation = W - xp.mean(W, axis=0, keepdims=True)
            return xp.sum(deviation * deviation) / 2
        if W.shape[1] != len(self.m):
            raise InputError(
                f"HierarchicalPrior: W has {W.shape[1]} columns, but m and S were learned for {len(self.m)}; "
                f"use HierarchicalPrior() anew for these."
            )
        values, basis = spectrum(self.S)
        root = np.sqrt(np.maximum(values, max(FLAT * values[-1], np.finfo(np.float64).tiny)))
        half = (W - like(self.m, W, xp)) @ like(basis / root, W, xp)
        return xp.sum(half * half) / 2

    def given(self, W: Array) -> HierarchicalPrior:
        """Give the prior with m and S learned from W, by moments.

        m is the mean of the rows. S is their covariance (divided by t), of which "full" takes the oracle-approximating
        shrinkage towards ``tr(S)/d I`` (Chen, Wiesel, Eldar, Hero 2010, equation 23), so that it can be inverted also
        where there are fewer tasks than columns.
        """
        W, _ = read_w(W, owner="HierarchicalPrior")
        values = np.asarray(to_device(getattr(W, "detach", lambda: W)(), "cpu"), dtype=np.float64)
        t, d = values.shape
        mean = values.mean(0)
        S = (values - mean).T @ (values - mean) / t
        # Rows that are all alike leave no scale; what is left is what rounding can tell apart.
        least = np.finfo(np.float64).eps * max(
            float(np.square(mean).max(initial=0.0)), np.finfo(np.float64).tiny ** 0.5
        )
        level = max(float(np.trace(S)) / d, least)
        if self.covariance == "isotropic":
            S = level * np.eye(d)
        elif self.covariance == "diagonal":
            S = np.diag(np.maximum(np.diagonal(S), FLAT * level))
        else:
            square, trace = float(np.vdot(S, S)), float(np.trace(S))
            excess = (t + 1 - 2 / d) * (square - trace**2 / d)
            share = 1.0 if excess <= 0 else min(1.0, ((1 - 2 / d) * square + trace**2) / excess)
            S = (1 - share) * S + share * level * np.eye(d)
        return replace(self, m=mean, S=S)

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give the prior before it has learned anything."""
        return cls()
