"""Structured (t, t) precisions P of quadratic relations R(W) = 1/2 tr(W' P W): numpy, for the solvers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

# Eigenvalues within this fraction of the largest are taken for zero.
ZERO = 1e-10
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Precision(ABC):
    """A symmetric positive semidefinite (t, t) operator. Values: nothing is mutated, caches are not pickled."""

    @property
    @abstractmethod
    def n_tasks(self) -> int:
        """The number of tasks t."""

    @abstractmethod
    def apply(self, W: np.ndarray) -> np.ndarray:
        """Give P W for W (t, d)."""

    @abstractmethod
    def dense(self) -> np.ndarray:
        """Give P as a new (t, t) array."""

    @abstractmethod
    def diagonal(self) -> np.ndarray:
        """Give the diagonal of P, (t,)."""

    @abstractmethod
    def scaled(self, c: float) -> Precision:
        """Give c P, of the same structure, for c >= 0."""

    @abstractmethod
    def solve(self, shift: float, W: np.ndarray) -> np.ndarray:
        """Give (shift I + P)^-1 W for shift > 0 and W (t, d)."""

    @abstractmethod
    def null_space(self) -> np.ndarray:
        """Give an orthonormal basis (t, q) of the null space of P."""

    @abstractmethod
    def plus(self, other: Precision) -> Precision | None:
        """Give self + other where this class knows a structured sum, else None."""

    def __add__(self, other: Precision) -> Precision:
        """Give the sum, as structured as it can be."""
        if not isinstance(other, Precision):
            return NotImplemented
        if self.n_tasks != other.n_tasks:
            raise ValueError(f"precisions of {self.n_tasks} and {other.n_tasks} tasks cannot be added")
        return self.plus(other) or other.plus(self) or Dense(self.dense() + other.dense())

    def __getstate__(self) -> dict[str, Any]:
        """Leave cached factors behind: some cannot be pickled, and all can be made again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, eq=False)
class Diagonal(Precision):
    """P = diag(values), values (t,) >= 0."""

    values: np.ndarray

    @property
    def n_tasks(self) -> int:
        """The number of tasks t."""
        return len(self.values)

    def apply(self, W: np.ndarray) -> np.ndarray:
        """Give P W."""
        return self.values[:, None] * W

    def dense(self) -> np.ndarray:
        """Give P as an array."""
        return np.diag(self.values)

    def diagonal(self) -> np.ndarray:
        """Give the diagonal."""
        return self.values.copy()

    def scaled(self, c: float) -> Diagonal:
        """Give c P."""
        return Diagonal(c * self.values)

    def solve(self, shift: float, W: np.ndarray) -> np.ndarray:
        """Give (shift I + P)^-1 W."""
        return W / (shift + self.values)[:, None]

    def null_space(self) -> np.ndarray:
        """Give the unit vectors of the zero entries."""
        return unit_columns(self.n_tasks, np.flatnonzero(self.values <= ZERO * self.values.max(initial=0.0)))

    def plus(self, other: Precision) -> Precision | None:
        """Add a diagonal."""
        return Diagonal(self.values + other.values) if isinstance(other, Diagonal) else None


@dataclass(frozen=True, eq=False)
class LowRank(Precision):
    """P = base I + F diag(weights) F': a complete graph. base (t,), all equal; F = factor (t, r); weights of any sign.

    Everything is done in the eigenbasis of the low-rank part, which keeps full accuracy where base and weights cancel.
    """

    base: np.ndarray
    factor: np.ndarray
    weights: np.ndarray

    def __post_init__(self) -> None:
        """Check the base."""
        if (self.base != self.base[0]).any():
            raise ValueError("LowRank: the entries of base differ; expected a multiple of the identity")

    @property
    def n_tasks(self) -> int:
        """The number of tasks t."""
        return len(self.base)

    def apply(self, W: np.ndarray) -> np.ndarray:
        """Give P W."""
        return self.base[:, None] * W + self.factor @ (self.weights[:, None] * (self.factor.T @ W))

    def dense(self) -> np.ndarray:
        """Give P as an array."""
        return np.diag(self.base) + (self.factor * self.weights) @ self.factor.T

    def diagonal(self) -> np.ndarray:
        """Give the diagonal."""
        return self.base + (self.factor**2) @ self.weights

    def scaled(self, c: float) -> LowRank:
        """Give c P."""
        return LowRank(c * self.base, self.factor, c * self.weights)

    def solve(self, shift: float, W: np.ndarray) -> np.ndarray:
        """Give (shift I + P)^-1 W."""
        basis, eigenvalues = self._spectrum
        outside = 1 / (shift + self.base[0])
        return outside * W + basis @ ((1 / (shift + eigenvalues) - outside)[:, None] * (basis.T @ W))

    def null_space(self) -> np.ndarray:
        """Give a basis of the null space: within the factor's span, where the base is positive."""
        if self.base[0] <= 0:
            return Dense(self.dense()).null_space()
        basis, eigenvalues = self._spectrum
        return basis[:, eigenvalues == 0]

    def plus(self, other: Precision) -> Precision | None:
        """Add a multiple of the identity, or another low-rank precision."""
        if isinstance(other, Diagonal) and (other.values == other.values[0]).all():
            return LowRank(self.base + other.values, self.factor, self.weights)
        if isinstance(other, LowRank):
            factor = np.hstack([self.factor, other.factor])
            return LowRank(self.base + other.base, factor, np.concatenate([self.weights, other.weights]))
        return None

    @cached_property
    def _spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Orthonormal basis (t, q) of the factor's span, and P's eigenvalues on it."""
        base = self.base[0]
        Q, R = np.linalg.qr(self.factor)
        added, rotation = np.linalg.eigh((R * self.weights) @ R.T)
        eigenvalues = base + added
        # What cancels up to rounding is zero: the null space of a Laplacian must stay one.
        size = max(abs(base), float(np.abs(added).max(initial=0.0)))
        eigenvalues[np.abs(eigenvalues) <= 100 * _EPS * size] = 0.0
        return Q @ rotation, eigenvalues


@dataclass(frozen=True, eq=False)
class Dense(Precision):
    """P = matrix, a symmetric positive semidefinite (t, t) array."""

    matrix: np.ndarray

    @property
    def n_tasks(self) -> int:
        """The number of tasks t."""
        return len(self.matrix)

    def apply(self, W: np.ndarray) -> np.ndarray:
        """Give P W."""
        return self.matrix @ W

    def dense(self) -> np.ndarray:
        """Give P as an array."""
        return self.matrix.copy()

    def diagonal(self) -> np.ndarray:
        """Give the diagonal."""
        return np.diagonal(self.matrix).copy()

    def scaled(self, c: float) -> Dense:
        """Give c P; an eigendecomposition already made serves it too."""
        product = Dense(c * self.matrix)
        if "eigh" in self.__dict__:
            eigenvalues, basis = self.eigh
            product.__dict__["eigh"] = (c * eigenvalues, basis)
        return product

    def solve(self, shift: float, W: np.ndarray) -> np.ndarray:
        """Give (shift I + P)^-1 W, from an eigendecomposition made once for all shifts."""
        eigenvalues, basis = self.eigh
        return basis @ ((basis.T @ W) / (shift + eigenvalues)[:, None])

    def null_space(self) -> np.ndarray:
        """Give the eigenvectors of the zero eigenvalues."""
        eigenvalues, basis = self.eigh
        return basis[:, eigenvalues <= ZERO * max(eigenvalues[-1], 0.0)]

    def plus(self, other: Precision) -> Precision | None:
        """Add anything; the sum is dense."""
        return Dense(self.matrix + other.dense())

    @cached_property
    def eigh(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues, ascending and clipped at zero, and eigenvectors."""
        eigenvalues, basis = np.linalg.eigh(self.matrix)
        return np.maximum(eigenvalues, 0.0), basis


def unit_columns(n: int, rows: np.ndarray) -> np.ndarray:
    """Give the unit vectors of these rows as the columns of an (n, len(rows)) array."""
    columns = np.zeros((n, len(rows)))
    columns[rows, np.arange(len(rows))] = 1.0
    return columns
