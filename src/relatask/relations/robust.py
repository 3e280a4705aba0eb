"""Relations of W as what tasks share plus what is their own: robust multi-task learning, sparse and low rank."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from relatask.notices import InputError
from relatask.relations.checks import Array, Strength, check_strength, like, read_w
from relatask.relations.norms import SharedSparsity, Sparse, TraceNorm
from relatask.relations.relation import Proximal
from relatask.relations.spectral import excess, reshaped, singular_values
from relatask.relations.splitting import Split

ROUNDING = 1e-9
"""A trace norm this fraction above its bound is at it."""


@dataclass(frozen=True)
class OutlyingTasks(Proximal):
    """A task lies outside or it does not: strength * sum_k ||W[k]||_2, the part of robust relations that finds them."""

    strength: Strength = 1.0

    formula: ClassVar[str] = "strength * sum over tasks k of ||W[k]||_2"
    source: ClassVar[str] = "Chen, Zhou, Ye 2011, Integrating low-rank and group-sparse structures"

    def value(self, W: Array) -> Array:
        """Give strength times the sum over tasks of the norm over features; W is (t, d)."""
        return self._transposed.value(read_w(W, owner="OutlyingTasks")[0].T)

    def prox(self, W: Array, step: float) -> Array:
        """Give W with every task's norm lowered by step * strength, at most to zero."""
        return self._transposed.prox(read_w(W, owner="OutlyingTasks")[0].T, step).T

    def gauge(self, Z: Array) -> Array:
        """Give the largest norm of a row of Z (t, d), over the strength."""
        return self._transposed.gauge(read_w(Z, owner="OutlyingTasks")[0].T)

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5."""
        return cls(0.5)

    @property
    def _transposed(self) -> SharedSparsity:
        return SharedSparsity(self.strength)


@dataclass(frozen=True)
class TraceBall(Proximal):
    """0 where ||W||_* <= bound, infinity elsewhere."""

    bound: float = 1.0

    formula: ClassVar[str] = "0 where ||W||_* <= bound"
    source: ClassVar[str] = "Chen, Liu, Ye 2010, Learning incoherent sparse and low-rank patterns"
    strengths: ClassVar[tuple[str, ...]] = ()

    def value(self, W: Array) -> Array:
        """Give 0 within the ball and infinity outside of it."""
        W, xp = read_w(W, owner="TraceBall")
        outside = singular_values(W, "TraceBall").sum() > self.bound * (1 + ROUNDING)
        return like(np.asarray(np.inf if outside else 0.0), W, xp)

    def prox(self, W: Array, step: float) -> Array:
        """Give the nearest point of the ball: every singular value lowered by the same amount, at most to zero."""
        return reshaped(W, "TraceBall", lambda s: np.maximum(s - excess(s, self.bound), 0.0))

    def gauge(self, Z: Array) -> Array:
        """Give 0: the ball is bounded."""
        Z, xp = read_w(Z, owner="TraceBall")
        return like(np.asarray(0.0), Z, xp)

    def conjugate(self, Z: Array) -> Array:
        """Give bound times the operator norm of Z (t, d)."""
        Z, xp = read_w(Z, owner="TraceBall")
        return self.bound * xp.max(xp.linalg.svdvals(Z))

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give bound 1."""
        return cls(1.0)


@dataclass(frozen=True)
class RobustLowRank(Split):
    """Tasks lie in few directions, but for some that are outliers, which are found.

    ``R(W) = min over L + S = W of strength * ||L||_* + outlier * sum_k ||S_k||_2``

    Parameters
    ----------
    strength : float >= 0 or "auto"
        Of what is shared, L. From outlier * sqrt(t) on nothing is, for t tasks.
    outlier : float >= 0 or "auto"
        Of what outlying tasks have of their own, S. From `strength` on no task is an outlier.

    Raises
    ------
    InputError
        For a strength that is negative, not finite or not a number.

    References
    ----------
    Chen, Zhou, Ye: Integrating low-rank and group-sparse structures for robust multi-task learning, 2011, KDD.

    Examples
    --------
    >>> relation, W = RobustLowRank(2.0, 1.5), np.array([[3.0, 4.0], [3.0, 4.0], [-4.0, 3.0]])
    >>> pieces = relation.components(W)
    >>> (pieces["shared"] + pieces["outliers"]).round(6).tolist()
    [[3.0, 4.0], [3.0, 4.0], [-4.0, 3.0]]
    >>> (np.linalg.norm(pieces["outliers"], axis=1) > 1e-6).tolist()
    [False, False, True]
    """

    strength: Strength = 1.0
    outlier: Strength = 1.0

    formula: ClassVar[str] = "min over L + S = W of strength * ||L||_* + outlier * sum over tasks k of ||S_k||_2"
    source: ClassVar[str] = "Chen, Zhou, Ye 2011, Integrating low-rank and group-sparse structures"
    strengths: ClassVar[tuple[str, ...]] = ("strength", "outlier")

    def __post_init__(self) -> None:
        """Check the strengths."""
        for name in self.strengths:
            object.__setattr__(self, name, check_strength("RobustLowRank", getattr(self, name), name))

    def summands(self) -> dict[str, Proximal]:
        """Give the trace norm of what is shared, and the tasks' norms of the outliers."""
        return {"shared": TraceNorm(self.strength), "outliers": OutlyingTasks(self.outlier)}

    def idle(self, n_tasks: int, n_features: int) -> tuple[str, ...]:
        """Give the component that costs more than the other could ever save."""
        return _idle(self.strength, self.outlier, 1.0, n_tasks) if not self.vanishes else ()

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5 and outlier 0.4."""
        return cls(0.5, 0.4)


@dataclass(frozen=True)
class RobustSparse(Split):
    """A feature is used by all tasks or by none, but for some tasks that are outliers, which are found.

    ``R(W) = min over L + S = W of strength * sum_j ||L[:, j]||_2 + outlier * sum_k ||S_k||_2``

    Parameters
    ----------
    strength : float >= 0 or "auto"
        Of what is shared, L. From outlier * sqrt(t) on nothing is, for t tasks.
    outlier : float >= 0 or "auto"
        Of what outlying tasks have of their own, S. From strength * sqrt(d) on no task is an outlier, for d features.

    Raises
    ------
    InputError
        For a strength that is negative, not finite or not a number.

    References
    ----------
    Gong, Ye, Zhang: Robust multi-task feature learning, 2012, KDD, equation 2.

    Examples
    --------
    >>> round(float(RobustSparse(2.0, 1.0)([[3.0, 0.0], [4.0, 0.0]])), 6)
    7.0
    """

    strength: Strength = 1.0
    outlier: Strength = 1.0

    formula: ClassVar[str] = (
        "min over L + S = W of strength * sum over features j of ||L[:, j]||_2 "
        "+ outlier * sum over tasks k of ||S_k||_2"
    )
    source: ClassVar[str] = "Gong, Ye, Zhang 2012, Robust multi-task feature learning"
    strengths: ClassVar[tuple[str, ...]] = ("strength", "outlier")

    def __post_init__(self) -> None:
        """Check the strengths."""
        for name in self.strengths:
            object.__setattr__(self, name, check_strength("RobustSparse", getattr(self, name), name))

    def summands(self) -> dict[str, Proximal]:
        """Give the features' norms of what is shared, and the tasks' norms of the outliers."""
        return {"shared": SharedSparsity(self.strength), "outliers": OutlyingTasks(self.outlier)}

    def idle(self, n_tasks: int, n_features: int) -> tuple[str, ...]:
        """Give the component that costs more than the other could ever save."""
        return _idle(self.strength, self.outlier, np.sqrt(n_features), n_tasks) if not self.vanishes else ()

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5 and outlier 0.4."""
        return cls(0.5, 0.4)


@dataclass(frozen=True)
class SparseLowRank(Split):
    """Tasks lie in few directions, but for single coefficients of their own.

    ``R(W) = min over P + Q = W of strength * ||P||_1 under ||Q||_* <= rank_bound``

    Parameters
    ----------
    strength : float >= 0 or "auto"
        Of the single coefficients P. At 0 the relation is zero everywhere.
    rank_bound : float > 0
        Of the trace norm of the shared part Q, in the units of W; a W within it costs nothing. It has no "auto".

    Raises
    ------
    InputError
        For a strength that is negative, not finite or not a number; for a bound that is not a finite number > 0.

    References
    ----------
    Chen, Liu, Ye: Learning incoherent sparse and low-rank patterns from multiple tasks, 2010, KDD, equation 3.

    Examples
    --------
    >>> relation = SparseLowRank(1.0, rank_bound=4.0)
    >>> round(float(relation([[3.0, 0.0], [0.0, 4.0]])), 6)
    3.0
    >>> float(relation([[3.0, 0.0], [0.0, 1.0]]))
    0.0
    """

    strength: Strength = 1.0
    rank_bound: float = 1.0

    formula: ClassVar[str] = "min over P + Q = W of strength * ||P||_1 under ||Q||_* <= rank_bound"
    source: ClassVar[str] = "Chen, Liu, Ye 2010, Learning incoherent sparse and low-rank patterns"

    def __post_init__(self) -> None:
        """Check the strength and the bound."""
        object.__setattr__(self, "strength", check_strength("SparseLowRank", self.strength))
        bound: Any = self.rank_bound
        if isinstance(bound, bool) or not isinstance(bound, Real) or not 0 < float(bound) < np.inf:
            raise InputError(f"SparseLowRank: rank_bound={bound!r} is not usable; expected a finite number > 0.")
        object.__setattr__(self, "rank_bound", float(bound))

    def summands(self) -> dict[str, Proximal]:
        """Give the l1 norm of the single coefficients, and the ball of the shared part."""
        return {"sparse": Sparse(self.strength), "low_rank": TraceBall(self.rank_bound)}

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5 under a trace norm of 1."""
        return cls(0.5, 1.0)


def _idle(strength: Strength, outlier: Strength, most: float, n_tasks: int) -> tuple[str, ...]:
    """Outliers from outlier >= most * strength on, what is shared from strength >= sqrt(t) * outlier on."""
    if n_tasks == 1:  # one task is shared and outlying at once
        return ()
    if float(outlier) >= most * float(strength):
        return ("outliers",)
    return ("shared",) if float(strength) >= np.sqrt(n_tasks) * float(outlier) else ()
