"""A sparse graph of the tasks that is learned with them: Gaussian tasks and the graphical lasso."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from relatask.notices import InputError
from relatask.relations.checks import (
    Array,
    Strength,
    check_size,
    check_strength,
    chosen,
    like,
    plain,
    positive_semidefinite,
    read_w,
    spectrum,
)
from relatask.relations.forms import TaskPrecision
from relatask.relations.glasso import TOL, graphical_lasso
from relatask.relations.quadratic import Ridge
from relatask.relations.relation import Alternating, Quadratic, around, below


@dataclass(frozen=True, eq=False)
class LearnedGraph(Alternating):
    """The columns of W are draws of one normal distribution over the tasks, whose sparse precision is learned.

    ``R(W) = strength/2 tr(W' Theta W) - d/2 strength logdet Theta + sparsity * sum over i != j of |Theta_ij|
    + d/2 strength jitter tr Theta``, d the number of columns of W

    Given W, Theta is the graphical lasso of ``W W'/d + jitter I`` at ``2 sparsity / (d strength)``; given Theta, it is
    `TaskPrecision`. The two alternate and end at a stationary point: the objective is convex in each, not in both.
    Without the last term it would fall without end where a task's row vanishes. In a fit d counts the columns that
    the data see (and a tied intercept). `value` takes Theta as it is held; while it is None, as the identity.

    Parameters
    ----------
    strength : float >= 0 or "auto"
        How strongly tasks are drawn to their distribution.
    sparsity : float >= 0 or "auto"
        Price of an edge; from d/2 strength max |W W'|_ij / d over i != j on, the graph has none.
    jitter : float > 0
        A variance in units of W^2, added to those of the tasks: what they are known to vary by at least. A small one
        lets tasks vanish: their variance falls to it, and their precision holds them there.
    precision : (t, t) array, optional
        Theta, symmetric positive definite; learned by an estimator, or by `given`.

    Raises
    ------
    InputError
        For strengths that are negative or no numbers, a jitter that is not positive, a precision that is not
        positive definite or is of another size.

    References
    ----------
    Goncalves, Das, Chatterjee, Sivakumar, Von Zuben, Banerjee: Multi-task sparse structure learning, 2014, CIKM,
    equation 6. Friedman, Hastie, Tibshirani: Sparse inverse covariance estimation with the graphical lasso, 2008,
    Biostatistics 9.

    Examples
    --------
    >>> W = [[1.0, 2.0, -1.0], [1.1, 1.9, -1.0], [-2.0, 1.0, 0.5]]
    >>> learned = LearnedGraph(1.0, 0.5).given(W)
    >>> (learned.graph != 0).astype(int)
    array([[0, 1, 0],
           [1, 0, 0],
           [0, 0, 0]])
    >>> bool(learned(W) < LearnedGraph(1.0, 0.5)(W))
    True
    """

    strength: Strength = 1.0
    sparsity: Strength = 1.0
    jitter: float = 0.1
    precision: Any = None

    learned: ClassVar[tuple[str, ...]] = ("precision",)
    formula: ClassVar[str] = (
        "strength/2 * tr(W' Theta W) - d/2 strength logdet Theta + sparsity ||Theta||_1,off + d/2 strength jitter tr"
        " Theta"
    )
    source: ClassVar[str] = "Goncalves, Das, Chatterjee, Sivakumar, Von Zuben, Banerjee 2014, MSSL"
    strengths: ClassVar[tuple[str, ...]] = ("strength", "sparsity")

    def __post_init__(self) -> None:
        """Check the strengths, the jitter and the precision."""
        for name in self.strengths:
            object.__setattr__(self, name, check_strength("LearnedGraph", getattr(self, name), name))
        if isinstance(self.jitter, bool) or not isinstance(self.jitter, Real) or not 0 < self.jitter < np.inf:
            raise InputError(f"LearnedGraph: jitter={self.jitter!r} is not usable; expected a finite number > 0.")
        if self.precision is not None:
            theta = positive_semidefinite("LearnedGraph", "precision", self.precision)
            if spectrum(theta)[0][0] <= 0:
                raise InputError("LearnedGraph: the precision is singular; expected positive definite, or None.")
            object.__setattr__(self, "precision", theta)

    def value(self, W: Array) -> Array:
        """Give the formula at the Theta that is held; W is (t, d)."""
        W, xp = read_w(W, None if self.precision is None else len(self.precision), "LearnedGraph")
        t, d = W.shape
        strength = chosen("LearnedGraph", self.strength) / 2
        if self.precision is None:
            return strength * (xp.sum(W * W) + d * self.jitter * t)
        theta = self.precision
        off = float(np.abs(theta).sum() - np.abs(np.diagonal(theta)).sum())
        log = float(np.log(spectrum(theta)[0]).sum())
        constant = strength * d * (self.jitter * float(np.trace(theta)) - log)
        return (
            strength * xp.sum(W * (like(theta, W, xp) @ W))
            + constant
            + chosen("LearnedGraph", self.sparsity, "sparsity") * off
        )

    def given(self, W: Array, slack: float = 0.0) -> LearnedGraph:
        """Give the relation with Theta learned from W, which never raises its value there.

        Its value is then at most `slack` above the least, or a duality gap of 1e-10 a task.
        """
        W = plain(W, owner="LearnedGraph")
        t, d = W.shape
        strength = chosen("LearnedGraph", self.strength)
        sparsity = chosen("LearnedGraph", self.sparsity, "sparsity")
        if strength == 0:
            return replace(self, precision=np.eye(t))
        S = W @ W.T / d + self.jitter * np.eye(t)
        tol = max(TOL, slack / (d * strength / 2 * t))
        found = graphical_lasso(S, 2 * sparsity / (d * strength), self.precision, tol)
        if found.precision is self.precision:
            return self
        new = replace(self, precision=found.precision)
        # Where Theta was optimal already, rounding must not undo it.
        return self if self.precision is not None and self.value(W) <= new.value(W) else new

    def surrogate(self) -> Quadratic:
        """Give strength/2 tr(W' Theta W)."""
        return Ridge(self.strength) if self.precision is None else TaskPrecision(self.precision, self.strength)

    @property
    def graph(self) -> np.ndarray:
        """Partial correlations -Theta_ij / sqrt(Theta_ii Theta_jj) (t, t): an edge where two tasks tell of each other.

        Positive between tasks that are alike given all others; zero on the diagonal.
        """
        if self.precision is None:
            raise InputError("LearnedGraph: there is no graph before it is learned; fit an estimator, or call given.")
        root = np.sqrt(np.diagonal(self.precision))
        graph = 0.0 - self.precision / np.multiply.outer(root, root)
        np.fill_diagonal(graph, 0.0)
        return graph

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give four decades around the strength that weighs as much as the data; the sparsity without any edge."""
        W = correlation / curvature
        own = float(np.mean(np.square(W))) + self.jitter
        if name == "strength":
            return around(curvature * own)
        strength = curvature * own if self.strength == "auto" else self.strength
        products = np.abs(W @ W.T)
        np.fill_diagonal(products, 0.0)
        return below(strength / 2 * float(products.max()))

    def bind(self, tasks: Sequence[Hashable]) -> LearnedGraph:
        """Check the size of a precision that is held."""
        if self.precision is not None:
            check_size("LearnedGraph", "precision", len(self.precision), len(tasks))
        return self

    def among(self, kept: Sequence[int]) -> LearnedGraph:
        """Give the precision of some tasks, the others free: the Schur complement of Theta."""
        if self.precision is None:
            return self
        inverse = np.linalg.inv(np.linalg.inv(self.precision)[np.ix_(kept, kept)])
        return replace(self, precision=(inverse + inverse.T) / 2)

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5 and sparsity 0.1."""
        return cls(0.5, 0.1)
