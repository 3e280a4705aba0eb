"""Relations that are norms of W: trace norm, features shared by all tasks, single coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from relatask.relations.checks import Array, Strength, check_strength, chosen, read_w
from relatask.relations.relation import Proximal


@dataclass(frozen=True)
class TraceNorm(Proximal):
    """The tasks' coefficients lie in few directions: strength times the sum of W's singular values.

    ``R(W) = strength * ||W||_*``

    Parameters
    ----------
    strength : float >= 0 or "auto"
        At and above the operator norm of the stacked correlations [X_k' y_k], W = 0.

    Raises
    ------
    InputError
        For a strength that is negative, not finite or not a number.

    References
    ----------
    Argyriou, Evgeniou, Pontil: Convex multi-task feature learning, 2008, Machine Learning 73.

    Examples
    --------
    >>> round(float(TraceNorm(2.0)([[3.0, 0.0], [0.0, 4.0]])), 12)
    14.0
    """

    strength: Strength = 1.0

    formula: ClassVar[str] = "strength * ||W||_*"
    source: ClassVar[str] = "Argyriou, Evgeniou, Pontil 2008, Convex multi-task feature learning"

    def __post_init__(self) -> None:
        """Check the strength."""
        object.__setattr__(self, "strength", check_strength("TraceNorm", self.strength))

    def value(self, W: Array) -> Array:
        """Give strength times the sum of the singular values of W (t, d)."""
        W, xp = read_w(W, owner="TraceNorm")
        # The gradient of the sum of singular values is U V': finite everywhere, and a subgradient where W is
        # rank-deficient, zero included.
        return chosen("TraceNorm", self.strength) * xp.sum(xp.linalg.svdvals(W))

    def prox(self, W: Array, step: float) -> Array:
        """Give W with every singular value lowered by step * strength, at most to zero."""
        W, xp = read_w(W, owner="TraceNorm")
        U, singular, Vt = xp.linalg.svd(W, full_matrices=False)
        return (U * _shrunk(singular, step * chosen("TraceNorm", self.strength), xp)) @ Vt

    def gauge(self, Z: Array) -> Array:
        """Give the operator norm of Z (t, d), its largest singular value, over the strength."""
        Z, xp = read_w(Z, owner="TraceNorm")
        return xp.max(xp.linalg.svdvals(Z)) / chosen("TraceNorm", self.strength)

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5."""
        return cls(0.5)


@dataclass(frozen=True)
class SharedSparsity(Proximal):
    """A feature is used by all tasks or by none: the sum over features of the l2 norm over tasks.

    ``R(W) = strength * sum_j ||W[:, j]||_2``

    Parameters
    ----------
    strength : float >= 0 or "auto"
        At and above the largest ||[x_kj' y_k]_k||_2 over features j, W = 0.

    Raises
    ------
    InputError
        For a strength that is negative, not finite or not a number.

    References
    ----------
    Obozinski, Taskar, Jordan: Joint covariate selection and joint subspace selection for multiple classification
    problems, 2010, Statistics and Computing 20.

    Examples
    --------
    >>> float(SharedSparsity(2.0)([[3.0, 0.0], [4.0, 0.0]]))
    10.0
    """

    strength: Strength = 1.0

    formula: ClassVar[str] = "strength * sum over features j of ||W[:, j]||_2"
    source: ClassVar[str] = "Obozinski, Taskar, Jordan 2010, Joint covariate selection"

    def __post_init__(self) -> None:
        """Check the strength."""
        object.__setattr__(self, "strength", check_strength("SharedSparsity", self.strength))

    def value(self, W: Array) -> Array:
        """Give strength times the sum over features of the norm over tasks; W is (t, d)."""
        W, xp = read_w(W, owner="SharedSparsity")
        return chosen("SharedSparsity", self.strength) * xp.sum(_feature_norms(W, xp))

    def prox(self, W: Array, step: float) -> Array:
        """Give W with every feature's norm lowered by step * strength, at most to zero."""
        W, xp = read_w(W, owner="SharedSparsity")
        norms = _feature_norms(W, xp)
        kept = _shrunk(norms, step * chosen("SharedSparsity", self.strength), xp)
        return W * (kept / xp.where(norms > 0, norms, xp.ones_like(norms)))

    def gauge(self, Z: Array) -> Array:
        """Give the largest norm over tasks of any feature of Z (t, d), over the strength."""
        Z, xp = read_w(Z, owner="SharedSparsity")
        return xp.max(_feature_norms(Z, xp)) / chosen("SharedSparsity", self.strength)

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5."""
        return cls(0.5)


@dataclass(frozen=True)
class Sparse(Proximal):
    """Few coefficients differ from zero, in each task for itself: the sum of absolute values.

    ``R(W) = strength * sum_kj |W[k, j]|``

    Parameters
    ----------
    strength : float >= 0 or "auto"
        At and above the largest |x_kj' y_k|, W = 0.

    Raises
    ------
    InputError
        For a strength that is negative, not finite or not a number.

    References
    ----------
    Tibshirani: Regression shrinkage and selection via the lasso, 1996, JRSS B 58.

    Examples
    --------
    >>> float(Sparse(0.5)([[1.0, -2.0], [0.0, 3.0]]))
    3.0
    """

    strength: Strength = 1.0

    formula: ClassVar[str] = "strength * ||W||_1"
    source: ClassVar[str] = "Tibshirani 1996, Regression shrinkage and selection via the lasso"

    def __post_init__(self) -> None:
        """Check the strength."""
        object.__setattr__(self, "strength", check_strength("Sparse", self.strength))

    def value(self, W: Array) -> Array:
        """Give strength times the sum of absolute values of W (t, d)."""
        W, xp = read_w(W, owner="Sparse")
        return chosen("Sparse", self.strength) * xp.sum(xp.abs(W))

    def prox(self, W: Array, step: float) -> Array:
        """Give W with every absolute value lowered by step * strength, at most to zero."""
        W, xp = read_w(W, owner="Sparse")
        return xp.sign(W) * _shrunk(xp.abs(W), step * chosen("Sparse", self.strength), xp)

    def gauge(self, Z: Array) -> Array:
        """Give the largest absolute value of Z (t, d), over the strength."""
        Z, xp = read_w(Z, owner="Sparse")
        return xp.max(xp.abs(Z)) / chosen("Sparse", self.strength)

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5."""
        return cls(0.5)


def _feature_norms(W: Array, xp: Any) -> Array:
    """Give the l2 norm of every column, with gradient zero (a subgradient) where a column is zero."""
    squares = xp.sum(W * W, axis=0)
    zero = squares == 0
    # The inner `where` keeps the square root away from zero, where its slope is infinite.
    roots = xp.sqrt(xp.where(zero, xp.ones_like(squares), squares))
    return xp.where(zero, xp.zeros_like(squares), roots)


def _shrunk(values: Array, threshold: float, xp: Any) -> Array:
    return xp.where(values > threshold, values - threshold, xp.zeros_like(values))
