"""Quadratic relations R(W) = 1/2 tr(W' P W): ridge, and distances between tasks (all pairs, a graph, a chain)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from relatask.relations.checks import Array, Strength, check_size, check_strength, chosen, like, read_w
from relatask.relations.edges import Edges
from relatask.relations.graphs import (
    Ends,
    Positions,
    as_positions,
    bind_graph,
    bind_order,
    check_length,
    distances,
    ends,
    read_graph,
    read_order,
    shortened,
    without,
)
from relatask.relations.precision import Dense, Diagonal, LowRank, Precision
from relatask.relations.relation import Quadratic


@dataclass(frozen=True)
class Ridge(Quadratic):
    """Every coefficient is pulled to zero, each task for itself: no tie between tasks.

    ``R(W) = strength/2 * ||W||_F^2``, precision ``P = strength I``

    Parameters
    ----------
    strength : float >= 0 or "auto"
        How strongly.

    Raises
    ------
    InputError
        For a strength that is negative, not finite or not a number.

    References
    ----------
    Hoerl, Kennard: Ridge regression: biased estimation for nonorthogonal problems, 1970, Technometrics 12.

    Examples
    --------
    >>> float(Ridge(2.0)([[1.0, 2.0], [0.0, 3.0]]))
    14.0
    """

    strength: Strength = 1.0

    formula: ClassVar[str] = "strength/2 * ||W||_F^2"
    source: ClassVar[str] = "Hoerl, Kennard 1970, Ridge regression"

    def __post_init__(self) -> None:
        """Check the strength."""
        object.__setattr__(self, "strength", check_strength("Ridge", self.strength))

    def value(self, W: Array) -> Array:
        """Give strength/2 times the sum of squares of W (t, d)."""
        W, xp = read_w(W, owner="Ridge")
        return chosen("Ridge", self.strength) / 2 * xp.sum(W * W)

    def precision(self, n_tasks: int) -> Precision:
        """Give strength * I."""
        return Diagonal(np.full(n_tasks, chosen("Ridge", self.strength)))

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5."""
        return cls(0.5)


@dataclass(frozen=True)
class Pairwise(Quadratic):
    """All tasks are pulled to each other, that is, to their mean.

    ``R(W) = strength * sum over i != j of ||w_i - w_j||^2 = 2 strength t * sum_k ||w_k - mean||^2``,
    precision ``P = 4 strength (t I - 11')``. The sum counts both orders of a pair, and grows with t^2.

    Parameters
    ----------
    strength : float >= 0 or "auto"
        0 leaves the tasks apart; towards infinity all tasks share one row.

    Raises
    ------
    InputError
        For a strength that is negative, not finite or not a number.

    References
    ----------
    Evgeniou, Pontil: Regularized multi-task learning, 2004, KDD.

    Examples
    --------
    >>> float(Pairwise(0.5)([[1.0], [2.0], [3.0]]))
    6.0
    """

    strength: Strength = 1.0

    formula: ClassVar[str] = "strength * sum over i != j of ||w_i - w_j||^2"
    source: ClassVar[str] = "Evgeniou, Pontil 2004, Regularized multi-task learning"

    def __post_init__(self) -> None:
        """Check the strength."""
        object.__setattr__(self, "strength", check_strength("Pairwise", self.strength))

    def value(self, W: Array) -> Array:
        """Give strength times the sum of squared distances over ordered pairs of rows of W (t, d)."""
        W, xp = read_w(W, owner="Pairwise")
        deviation = W - xp.mean(W, axis=0, keepdims=True)
        return 2 * W.shape[0] * chosen("Pairwise", self.strength) * xp.sum(deviation * deviation)

    def precision(self, n_tasks: int) -> Precision:
        """Give 4 strength (t I - 11'): a multiple of the identity and one vector, never a (t, t) array."""
        scale = 4 * chosen("Pairwise", self.strength)
        if scale == 0:
            return Diagonal(np.zeros(n_tasks))
        return LowRank(np.full(n_tasks, scale * n_tasks), np.ones((n_tasks, 1)), np.array([-scale]))

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5."""
        return cls(0.5)


@dataclass(frozen=True, eq=False)
class Graph(Quadratic):
    """Tasks joined by an edge are pulled together, in proportion to its weight.

    ``R(W) = strength * sum over i, j of A_ij ||w_i - w_j||^2``, precision ``P = 4 strength (D - A)``, D the degrees.
    An undirected edge of weight a sets A_ij and A_ji, so it counts twice. A's diagonal has no effect.

    Parameters
    ----------
    A : array or scipy sparse (t, t); list of (task, task) or (task, task, weight) tuples; networkx.Graph
        Symmetric weights >= 0. Edges and networkx nodes (edge attribute `weight`, else 1) hold task labels, which
        `bind` turns into rows; unbound integers 0 .. t - 1 are read as rows.
    strength : float >= 0 or "auto"
        Multiplies all weights.

    Raises
    ------
    InputError
        For a matrix that is not square, symmetric, finite and nonnegative; an edge given twice; a directed graph; in
        `bind` for labels that are no task; in use for another number of tasks.

    References
    ----------
    Evgeniou, Micchelli, Pontil: Learning multiple tasks with kernel methods, 2005, JMLR 6.

    Examples
    --------
    >>> graph = Graph([("north", "south", 0.5)]).bind(["north", "south", "west"])
    >>> float(graph([[1.0], [3.0], [9.0]]))
    4.0
    """

    A: Any
    strength: Strength = 1.0

    formula: ClassVar[str] = "strength * sum over i, j of A_ij ||w_i - w_j||^2"
    source: ClassVar[str] = "Evgeniou, Micchelli, Pontil 2005, Learning multiple tasks with kernel methods"

    def __post_init__(self) -> None:
        """Check the strength and read the graph."""
        object.__setattr__(self, "strength", check_strength("Graph", self.strength))
        object.__setattr__(self, "A", read_graph("Graph", self.A))

    def value(self, W: Array) -> Array:
        """Give strength times the weighted sum of squared distances over ordered pairs of rows of W (t, d)."""
        W, xp = read_w(W, owner="Graph")
        edges = self._ends(W.shape[0])
        return 2 * chosen("Graph", self.strength) * distances(W, xp, edges)

    def precision(self, n_tasks: int) -> Precision:
        """Give 4 strength (D - A): as edges, or dense where a matrix is mostly full."""
        scale = 4 * chosen("Graph", self.strength)
        i, j, weight = self._ends(n_tasks)
        edges = Edges(i, j, scale * weight, np.zeros(n_tasks))
        mostly_full = len(i) > 4 * n_tasks and len(i) > 0.15 * n_tasks**2
        return Dense(edges.dense()) if mostly_full else edges

    def bind(self, tasks: Sequence[Hashable]) -> Graph:
        """Give the graph over these tasks: labels become rows, a matrix's size is checked."""
        if isinstance(self.A, tuple):
            return replace(self, A=bind_graph("Graph", self.A, tasks))
        check_size("Graph", "A", self.A.shape[0], len(tasks))
        return self

    def among(self, kept: Sequence[int]) -> Graph:
        """Give the graph between some tasks; one that goes ties its neighbours to each other in its place."""
        return replace(self, A=without("Graph", self.A, kept))

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give a ring with one chord of weight 2."""
        weights = {frozenset((k, (k + 1) % n_tasks)): 1.0 for k in range(n_tasks)} | {frozenset((0, n_tasks // 2)): 2.0}
        return cls(tuple((min(pair), max(pair), a) for pair, a in weights.items() if len(pair) == 2), 0.5)

    def _ends(self, n_tasks: int) -> Ends:
        known = self.__dict__.get("_ends_cache")
        if known is None or known[0] != n_tasks:
            known = (n_tasks, ends("Graph", self.A, n_tasks))
            self.__dict__["_ends_cache"] = known
        return known[1]


@dataclass(frozen=True)
class Chain(Quadratic):
    """Tasks in an order (time, dose, age): each is pulled to the next.

    ``R(W) = strength * sum_k ||w_k - w_{k+1}||^2``, which is `Graph` of a path at half the strength.

    Parameters
    ----------
    strength : float >= 0 or "auto"
        0 leaves the tasks apart; towards infinity all tasks share one row.
    order : sequence of task labels, optional
        Every task once; None takes the tasks as they come (an estimator sorts labels). `bind` turns labels into
        rows; unbound integers 0 .. t - 1 are read as rows.

    Raises
    ------
    InputError
        For a bad strength or a task named twice; in `bind` for a label that is no task, or a task left out.

    References
    ----------
    Zhou, Yuan, Liu, Ye: A multi-task learning formulation for predicting disease progression, 2011, KDD.

    Examples
    --------
    >>> chain = Chain(0.5, order=["before", "during", "after"]).bind(["after", "before", "during"])
    >>> float(chain([[5.0], [1.0], [3.0]]))
    4.0
    """

    strength: Strength = 1.0
    order: tuple[Hashable, ...] | Sequence[Hashable] | None = None

    formula: ClassVar[str] = "strength * sum_k ||w_k - w_{k+1}||^2"
    source: ClassVar[str] = "Zhou, Yuan, Liu, Ye 2011, Predicting disease progression"

    def __post_init__(self) -> None:
        """Check the strength and the order."""
        object.__setattr__(self, "strength", check_strength("Chain", self.strength))
        if self.order is not None:
            object.__setattr__(self, "order", read_order("Chain", self.order))

    def value(self, W: Array) -> Array:
        """Give strength times the sum of squared distances between neighbours; W is (t, d)."""
        W, xp = read_w(W, owner="Chain")
        if self.order is not None:
            W = xp.take(W, like(self._rows(W.shape[0]), W, xp, integer=True), axis=0)
        step = W[1:, :] - W[:-1, :]
        return chosen("Chain", self.strength) * xp.sum(step * step)

    def precision(self, n_tasks: int) -> Precision:
        """Give 2 strength times the Laplacian of the path."""
        rows = self._rows(n_tasks)
        weight = np.full(max(n_tasks - 1, 0), 2 * chosen("Chain", self.strength))
        return Edges(np.minimum(rows[:-1], rows[1:]), np.maximum(rows[:-1], rows[1:]), weight, np.zeros(n_tasks))

    def bind(self, tasks: Sequence[Hashable]) -> Chain:
        """Give the chain over these tasks: labels become rows."""
        if self.order is None:
            return self
        if isinstance(self.order, Positions):
            check_length("Chain", self.order, len(tasks))
            return self
        return replace(self, order=bind_order("Chain", tuple(self.order), tasks))

    def among(self, kept: Sequence[int]) -> Graph:
        """Give a graph along the chain: two tasks with others between them are tied less, by 1 over their distance."""
        place = np.asarray(kept) if self.order is None else np.argsort(self._rows(len(self.order)))[list(kept)]
        return Graph(shortened(place), self.strength)

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5 over the tasks in reverse."""
        return cls(0.5, tuple(reversed(range(n_tasks))))

    def _rows(self, n_tasks: int) -> np.ndarray:
        if self.order is None:
            return np.arange(n_tasks)
        check_length("Chain", self.order, n_tasks)
        return np.array(as_positions("Chain", tuple(self.order), n_tasks), dtype=np.int64)
