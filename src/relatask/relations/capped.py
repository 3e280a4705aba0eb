"""Features used or not, without shrinking those that are: the capped l1 norm, in several convex stages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from relatask.notices import InputError
from relatask.relations.checks import Array, Strength, check_strength, chosen, like, plain, read_w
from relatask.relations.relation import Alternating, Proximal, below

WIDE = 10.0
"""A feature without a price is looked for within this many times its largest coefficient."""


@dataclass(frozen=True, eq=False)
class CappedSparse(Alternating):
    """A feature costs up to a cap, however strongly the tasks use it: few features, and those not shrunk.

    ``R(W) = strength * sum over features j of min(||W[:, j]||_1, cap)``

    Not convex. Stage after stage a lasso is solved in which the features beyond the cap cost nothing; an estimator
    ends where a stage changes none of them, which is a stationary point, reached from the lasso.

    Parameters
    ----------
    strength : float >= 0 or "auto"
        At and above the largest |x_kj' y_k| the first stage ends at W = 0.
    cap : float > 0
        Size of a feature, summed over tasks, from which on it costs no more. Infinity makes it `Sparse`.
    free : (d,) array, optional
        What the last stage left: 0 for a feature that still costs; for one beyond the cap ten times its largest
        coefficient, the size within which the next stage looks. Learned by an estimator, or by `given`; None means
        that all cost.

    Raises
    ------
    InputError
        For a bad strength or a cap that is not positive; for a `free` that is not (d,) and >= 0.

    References
    ----------
    Gong, Ye, Zhang: Multi-stage multi-task feature learning, 2012, NIPS, equation 2 and algorithm 1.

    Examples
    --------
    >>> relation = CappedSparse(2.0, cap=3.0)
    >>> float(relation([[1.0, 5.0], [-1.0, 5.0]]))
    10.0
    >>> relation.given([[1.0, 5.0], [-1.0, 5.0]]).free
    array([ 0., 50.])
    """

    strength: Strength = 1.0
    cap: float = 1.0
    free: Any = None

    learned: ClassVar[tuple[str, ...]] = ("free",)
    formula: ClassVar[str] = "strength * sum over features j of min(||W[:, j]||_1, cap)"
    source: ClassVar[str] = "Gong, Ye, Zhang 2012, Multi-stage multi-task feature learning"

    def __post_init__(self) -> None:
        """Check the strength, the cap and the features."""
        object.__setattr__(self, "strength", check_strength("CappedSparse", self.strength))
        if isinstance(self.cap, bool) or not isinstance(self.cap, Real) or not self.cap > 0:
            raise InputError(f"CappedSparse: cap={self.cap!r} is not usable; expected a number > 0.")
        object.__setattr__(self, "cap", float(self.cap))
        if self.free is not None:
            try:
                free = np.array(self.free, dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise InputError(f"CappedSparse: free could not be read as numbers ({error}).") from error
            if free.ndim != 1 or not np.isfinite(free).all() or (free < 0).any():
                raise InputError(f"CappedSparse: free has shape {free.shape}; expected (d,), finite numbers >= 0.")
            free.flags.writeable = False
            object.__setattr__(self, "free", free)

    def value(self, W: Array) -> Array:
        """Give strength times the sum over features of their l1 norm over tasks, each at most the cap; W is (t, d)."""
        W, xp = read_w(W, owner="CappedSparse")
        norms = xp.sum(xp.abs(W), axis=0)
        return chosen("CappedSparse", self.strength) * xp.sum(
            xp.where(norms < self.cap, norms, xp.ones_like(norms) * self.cap) if np.isfinite(self.cap) else norms
        )

    def given(self, W: Array) -> CappedSparse:
        """Give the relation in which the features that W uses beyond the cap cost nothing."""
        size = np.abs(plain(W, owner="CappedSparse"))
        return replace(self, free=np.where(size.sum(0) < self.cap, 0.0, WIDE * size.max(0)))

    def surrogate(self) -> WeightedSparse:
        """Give the l1 norm of the features that still cost, the others within their bounds."""
        return WeightedSparse(chosen("CappedSparse", self.strength), self.free)

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give the strength from which on the first stage is W = 0, and four decades below it."""
        return below(float(np.abs(correlation).max()))

    def placed(self, columns: np.ndarray, n_features: int) -> CappedSparse:
        """Give the relation for W with more columns: those not named still cost."""
        if self.free is None:
            return self
        free = np.zeros(n_features)
        free[columns] = self.free
        return replace(self, free=free)

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5 and cap 1."""
        return cls(0.5, 1.0)


@dataclass(frozen=True, eq=False)
class WeightedSparse(Proximal):
    """``R(W) = strength * sum of |W[k, j]|`` over features with free_j = 0, the others within |W[k, j]| <= free_j.

    A stage of the above. The bounds give the conjugate a value where a feature costs nothing.
    """

    strength: float
    free: np.ndarray | None = None

    formula: ClassVar[str] = "strength * sum of |W[k, j]| over features with free_j = 0"
    source: ClassVar[str] = "Gong, Ye, Zhang 2012, Multi-stage multi-task feature learning"

    def value(self, W: Array) -> Array:
        """Give the sum of absolute values of what costs, infinite outside of the bounds; W is (t, d)."""
        W, xp = read_w(W, owner="CappedSparse")
        size = xp.abs(W)
        if self.free is None:
            return self.strength * xp.sum(size)
        free = self._free(W, xp)
        outside = (free > 0) & (size > free)
        zero = xp.zeros_like(size)
        return xp.sum(xp.where(outside, zero + float("inf"), xp.where(free > 0, zero, self.strength * size)))

    def prox(self, W: Array, step: float) -> Array:
        """Give W with the absolute values of what costs lowered by step * strength, the others within their bounds."""
        W, xp = read_w(W, owner="CappedSparse")
        size, zero = xp.abs(W), xp.zeros_like(W)
        left = xp.where(size > step * self.strength, size - step * self.strength, zero)
        if self.free is not None:
            free = self._free(W, xp)
            left = xp.where(free > 0, xp.where(size > free, free, size), left)
        return xp.sign(W) * left

    def gauge(self, Z: Array) -> Array:
        """Give the largest |Z[k, j]| of what costs, over the strength."""
        Z, xp = read_w(Z, owner="CappedSparse")
        size = xp.abs(Z)
        if self.free is not None:
            size = xp.where(self._free(Z, xp) > 0, xp.zeros_like(size), size)
        return xp.max(size) / self.strength

    def conjugate(self, Z: Array) -> Array:
        """Give the sum of free_j |Z[k, j]|."""
        if self.free is None:
            return 0.0
        Z, xp = read_w(Z, owner="CappedSparse")
        return xp.sum(self._free(Z, xp) * xp.abs(Z))

    @property
    def vanishes(self) -> bool:
        """Whether nothing costs."""
        return self.strength == 0 or (self.free is not None and bool((self.free > 0).all()))

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5, all features costing."""
        return cls(0.5)

    def _free(self, W: Array, xp: Any) -> Array:
        assert self.free is not None
        if W.shape[1] != len(self.free):
            raise InputError(f"CappedSparse: W has {W.shape[1]} columns, but the relation learned {len(self.free)}.")
        return like(self.free, W, xp) + xp.zeros_like(W)
