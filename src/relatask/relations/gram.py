"""A Gram matrix given for the tasks: how large they are, and how alike."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from relatask.relations.checks import (
    Array,
    Strength,
    check_size,
    check_strength,
    chosen,
    like,
    read_w,
    spectrum,
    symmetric,
)
from relatask.relations.relation import Smooth, around


@dataclass(frozen=True, eq=False)
class GramTarget(Smooth):
    """The inner products of the tasks' coefficients are known beforehand: <w_i, w_j> should be Omega_ij.

    ``R(W) = strength * ||W W' - Omega||_F^2``

    Not convex, and it does not change when W's columns are rotated. An estimator takes the best of several starts and
    reports a stationary point. A column of W that no datum sees stays 0.

    Parameters
    ----------
    omega : array (t, t)
        Symmetric, in the order of the tasks; any signs, but what of it is not positive semidefinite cannot be reached.
        Its diagonal are the squared lengths of the tasks' coefficients: it says more than "alike" or "not".
    strength : float >= 0 or "auto"
        Of the fourth degree in W: in other units of y it is another one.

    Raises
    ------
    InputError
        For a matrix that is not square, symmetric and finite; in use for another number of tasks; in a sum with
        anything but quadratic relations.

    References
    ----------
    The second form of "relatedness given beforehand", ||W'W - Omega||_F^2 with tasks as columns.

    Examples
    --------
    >>> target = GramTarget([[1.0, 1.0], [1.0, 1.0]])
    >>> float(target([[1.0, 0.0], [1.0, 0.0]])), float(target([[1.0, 0.0], [0.0, 1.0]]))
    (0.0, 2.0)
    """

    omega: Any
    strength: Strength = 1.0

    formula: ClassVar[str] = "strength * ||W W' - Omega||_F^2"
    source: ClassVar[str] = "a relatedness matrix given beforehand"

    def __post_init__(self) -> None:
        """Check the strength and the matrix."""
        object.__setattr__(self, "strength", check_strength("GramTarget", self.strength))
        object.__setattr__(self, "omega", symmetric("GramTarget", "omega", self.omega))

    def value(self, W: Array) -> Array:
        """Give strength ||W W' - Omega||_F^2; W is (t, d)."""
        W, xp = read_w(W, len(self.omega), "GramTarget")
        difference = W @ W.T - like(self.omega, W, xp)
        return chosen("GramTarget", self.strength) * xp.sum(difference * difference)

    def gradient(self, W: np.ndarray) -> np.ndarray:
        """Give 4 strength (W W' - Omega) W."""
        return 4 * chosen("GramTarget", self.strength) * (W @ W.T - self.omega) @ W

    def starts(self, W: np.ndarray) -> tuple[np.ndarray, ...]:
        """Give the matrices nearest to W of those whose Gram is as near to Omega as can be, and half way there."""
        values, basis = spectrum(self.omega)
        rank = min(int((values > 0).sum()), W.shape[1])
        if rank == 0:
            return ()
        root = basis[:, -rank:] * np.sqrt(values[-rank:])
        U, _, Vt = np.linalg.svd(root.T @ W, full_matrices=False)
        nearest = root @ (U @ Vt)
        return nearest, (W + nearest) / 2

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give four decades around the strength at which Omega's curvature at 0 equals the data's."""
        size = float(np.abs(spectrum(self.omega)[0]).max())
        # Of a target of zeros: the curvature at the size of the data's own coefficients.
        size = size if size > 0 else float(np.sum(np.square(correlation / curvature)))
        return around(curvature / (4 * size) if size > 0 else curvature)

    def bind(self, tasks: Sequence[Hashable]) -> GramTarget:
        """Check the size."""
        check_size("GramTarget", "omega", len(self.omega), len(tasks))
        return self

    def among(self, kept: Sequence[int]) -> GramTarget:
        """Give the target of some tasks: the rows and columns that are theirs; the formula is about the tasks kept."""
        return replace(self, omega=self.omega[np.ix_(kept, kept)])

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give Omega = I + 11' at strength 0.5."""
        return cls(np.eye(n_tasks) + 1.0, 0.5)
