"""Quadratic relations given by a (t, t) matrix: a precision, a kernel (its inverse), a trace form."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from relatask.notices import InputError
from relatask.relations.checks import (
    PSD_TOLERANCE,
    Array,
    Strength,
    check_size,
    check_strength,
    chosen,
    like,
    positive_semidefinite,
    read_w,
    spectrum,
    symmetric,
)
from relatask.relations.precision import Dense, Precision
from relatask.relations.relation import Quadratic


@dataclass(frozen=True, eq=False)
class TaskPrecision(Quadratic):
    """A positive entry K_ij pushes tasks i and j apart, a negative one pulls them together.

    ``R(W) = strength/2 * sum over i, j of K_ij <w_i, w_j>``, precision ``P = strength K``

    Parameters
    ----------
    K : array (t, t)
        Symmetric positive semidefinite, one row per task in the order of the tasks. For similarities, which pull
        together, use `TaskKernel` or `Graph`.
    strength : float >= 0 or "auto"
        Multiplies K.

    Raises
    ------
    InputError
        For a matrix that is not square, symmetric, finite and positive semidefinite; in use for another size.

    References
    ----------
    Evgeniou, Micchelli, Pontil: Learning multiple tasks with kernel methods, 2005, JMLR 6.

    Examples
    --------
    >>> float(TaskPrecision([[1.0, 0.5], [0.5, 1.0]])([[1.0], [1.0]]))
    1.5
    >>> float(TaskPrecision([[1.0, 0.5], [0.5, 1.0]])([[1.0], [-1.0]]))
    0.5
    """

    K: Any
    strength: Strength = 1.0

    formula: ClassVar[str] = "strength/2 * sum over i, j of K_ij <w_i, w_j>"
    source: ClassVar[str] = "Evgeniou, Micchelli, Pontil 2005, Learning multiple tasks with kernel methods"

    def __post_init__(self) -> None:
        """Check the strength and the matrix."""
        object.__setattr__(self, "strength", check_strength("TaskPrecision", self.strength))
        object.__setattr__(self, "K", positive_semidefinite("TaskPrecision", "K", self.K))

    def value(self, W: Array) -> Array:
        """Give strength/2 tr(W' K W); W is (t, d)."""
        W, xp = read_w(W, len(self.K), "TaskPrecision")
        return chosen("TaskPrecision", self.strength) / 2 * xp.sum(W * (like(self.K, W, xp) @ W))

    def precision(self, n_tasks: int) -> Precision:
        """Give strength * K."""
        check_size("TaskPrecision", "K", len(self.K), n_tasks)
        return Dense(chosen("TaskPrecision", self.strength) * self.K)

    def bind(self, tasks: Sequence[Hashable]) -> TaskPrecision:
        """Check the size."""
        check_size("TaskPrecision", "K", len(self.K), len(tasks))
        return self

    def among(self, kept: Sequence[int]) -> TaskPrecision:
        """Give the precision of some tasks, the others free: the Schur complement of K."""
        return replace(self, K=complement(self.K, kept))

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give K = I + 11'/t at strength 0.5."""
        return cls(np.eye(n_tasks) + 1 / n_tasks, 0.5)


@dataclass(frozen=True, eq=False)
class TaskKernel(Quadratic):
    """A positive entry K_ij says that tasks i and j are alike, and pulls them together: K is their covariance.

    ``R(W) = strength/2 * sum over i, j of (K^-1)_ij <w_i, w_j>``, precision ``P = strength K^-1``

    Given all other tasks, i and j are pulled together where (K^-1)_ij < 0, which need not be where K_ij > 0.

    Parameters
    ----------
    K : array (t, t)
        Symmetric positive definite similarities, one row per task in the order of the tasks.
    strength : float >= 0 or "auto"
        Multiplies the inverse.
    jitter : float >= 0
        Added to K's diagonal before it is inverted, for a K that is singular.

    Raises
    ------
    InputError
        For a matrix that is not square, symmetric and finite, or is singular (smallest eigenvalue below 1e-10 of the
        largest) or indefinite, with the jitter added; in use for another size.

    References
    ----------
    Bonilla, Chai, Williams: Multi-task Gaussian process prediction, 2008, NIPS.

    Examples
    --------
    >>> kernel = TaskKernel([[1.0, 0.5], [0.5, 1.0]])
    >>> round(float(kernel([[1.0], [1.0]])), 6), round(float(kernel([[1.0], [-1.0]])), 6)
    (0.666667, 2.0)
    """

    K: Any
    strength: Strength = 1.0
    jitter: float = 0.0

    formula: ClassVar[str] = "strength/2 * sum over i, j of (K^-1)_ij <w_i, w_j>"
    source: ClassVar[str] = "Bonilla, Chai, Williams 2008, Multi-task Gaussian process prediction"

    def __post_init__(self) -> None:
        """Check the strength, the jitter and the matrix."""
        object.__setattr__(self, "strength", check_strength("TaskKernel", self.strength))
        if isinstance(self.jitter, bool) or not isinstance(self.jitter, int | float) or not 0 <= self.jitter < np.inf:
            raise InputError(f"TaskKernel: jitter={self.jitter!r} is not usable; expected a finite number >= 0.")
        object.__setattr__(self, "K", symmetric("TaskKernel", "K", self.K))
        eigenvalues, _ = spectrum(self.K)
        low, high = eigenvalues[0] + self.jitter, eigenvalues[-1] + self.jitter
        if low < PSD_TOLERANCE * max(high, 0.0) or high <= 0:
            kind = "singular" if abs(low) <= PSD_TOLERANCE * abs(high) else "not positive definite"
            enough = max(-2 * eigenvalues[0], 0) + 1e-6 * max(abs(eigenvalues[-1]), 1e-300)
            raise InputError(
                f"TaskKernel: K is {kind}: its smallest eigenvalue is {eigenvalues[0]:.6g} (largest "
                f"{eigenvalues[-1]:.6g}) and jitter={self.jitter:g}, so it cannot be inverted; give a positive "
                f"definite K, or add to its diagonal with jitter=, for example jitter={enough:.3g}."
            )

    def value(self, W: Array) -> Array:
        """Give strength/2 tr(W' K^-1 W) as a sum of squares; W is (t, d)."""
        W, xp = read_w(W, len(self.K), "TaskKernel")
        eigenvalues, basis = spectrum(self.K)
        half = like((basis / np.sqrt(eigenvalues + self.jitter)).T, W, xp) @ W
        return chosen("TaskKernel", self.strength) / 2 * xp.sum(half * half)

    def precision(self, n_tasks: int) -> Precision:
        """Give strength * (K + jitter I)^-1."""
        check_size("TaskKernel", "K", len(self.K), n_tasks)
        eigenvalues, basis = spectrum(self.K)
        inverse = (basis / (eigenvalues + self.jitter)) @ basis.T
        return Dense(chosen("TaskKernel", self.strength) * (inverse + inverse.T) / 2)

    def bind(self, tasks: Sequence[Hashable]) -> TaskKernel:
        """Check the size."""
        check_size("TaskKernel", "K", len(self.K), len(tasks))
        return self

    def among(self, kept: Sequence[int]) -> TaskKernel:
        """Give the kernel between some tasks: the rows and columns of K that are theirs."""
        return replace(self, K=self.K[np.ix_(kept, kept)])

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give K = I + 11'/t at strength 0.5."""
        return cls(np.eye(n_tasks) + 1 / n_tasks, 0.5)


@dataclass(frozen=True, eq=False)
class TraceForm(Quadratic):
    """A task matrix as some articles write it: its positive entries push tasks apart, like those of a precision.

    ``R(W) = strength * tr(W' A W)``, precision ``P = 2 strength A``

    Parameters
    ----------
    A : array (t, t)
        Symmetric positive semidefinite, one row per task in the order of the tasks. If A holds similarities, what is
        meant is `Graph` of A, or `TaskKernel`.
    strength : float >= 0 or "auto"
        Multiplies A.

    Raises
    ------
    InputError
        For a matrix that is not square, symmetric, finite and positive semidefinite; in use for another size.

    References
    ----------
    Evgeniou, Micchelli, Pontil: Learning multiple tasks with kernel methods, 2005, JMLR 6 (there with 1/2 and K).

    Examples
    --------
    >>> float(TraceForm([[1.0, 0.5], [0.5, 1.0]])([[1.0], [1.0]]))
    3.0
    """

    A: Any
    strength: Strength = 1.0

    formula: ClassVar[str] = "strength * tr(W' A W)"
    source: ClassVar[str] = "Evgeniou, Micchelli, Pontil 2005, Learning multiple tasks with kernel methods"

    def __post_init__(self) -> None:
        """Check the strength and the matrix."""
        object.__setattr__(self, "strength", check_strength("TraceForm", self.strength))
        object.__setattr__(self, "A", positive_semidefinite("TraceForm", "A", self.A))

    def value(self, W: Array) -> Array:
        """Give strength tr(W' A W); W is (t, d)."""
        W, xp = read_w(W, len(self.A), "TraceForm")
        return chosen("TraceForm", self.strength) * xp.sum(W * (like(self.A, W, xp) @ W))

    def precision(self, n_tasks: int) -> Precision:
        """Give 2 strength A."""
        check_size("TraceForm", "A", len(self.A), n_tasks)
        return Dense(2 * chosen("TraceForm", self.strength) * self.A)

    def bind(self, tasks: Sequence[Hashable]) -> TraceForm:
        """Check the size."""
        check_size("TraceForm", "A", len(self.A), len(tasks))
        return self

    def among(self, kept: Sequence[int]) -> TraceForm:
        """Give the form of some tasks, the others free: the Schur complement of A."""
        return replace(self, A=complement(self.A, kept))

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give A = I + 11'/t at strength 0.5."""
        return cls(np.eye(n_tasks) + 1 / n_tasks, 0.5)


def complement(matrix: np.ndarray, kept: Sequence[int]) -> np.ndarray:
    """Schur complement of a checked positive semidefinite matrix on the rows kept: what is left of tr(W' M W).

    With M = B B' it is C C', where C are the rows of B kept, less what lies in the span of those dropped; so that it
    stays positive semidefinite in rounded numbers.
    """
    eigenvalues, basis = spectrum(matrix)
    rounding = 10 * len(matrix) * np.finfo(float).eps
    some = eigenvalues > rounding * eigenvalues[-1]
    root = basis[:, some] * np.sqrt(eigenvalues[some])
    dropped = np.delete(np.arange(len(matrix)), kept)
    _, sizes, span = np.linalg.svd(root[dropped], full_matrices=False)
    span = span[sizes > rounding * np.sqrt(max(eigenvalues[-1], 0.0))]
    left = root[kept] - (root[kept] @ span.T) @ span
    return left @ left.T
