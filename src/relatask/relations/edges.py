"""The precision of a sparse task graph: one term per edge and a diagonal; and that plus a few vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import splu

from relatask.relations.precision import ZERO, Dense, Diagonal, LowRank, Precision


class Elimination(NamedTuple):
    """An order in which the nodes of a forest can be eliminated.

    `order` (t,) lists every node before its parent, component after component; `parent` (t,) is each node's parent,
    -1 at a root. A path is listed from one end to the other.
    """

    order: np.ndarray
    parent: np.ndarray


@dataclass(frozen=True, eq=False)
class Edges(Precision):
    """P = diag(extra) + sum over edges e of weight_e (e_i - e_j)(e_i - e_j)': a Laplacian and a diagonal.

    `i`, `j` (m,) are the ends of the edges, each pair once, i != j; `weight` (m,) >= 0; `extra` (t,) >= 0.
    """

    i: np.ndarray
    j: np.ndarray
    weight: np.ndarray
    extra: np.ndarray

    @property
    def n_tasks(self) -> int:
        """The number of tasks t."""
        return len(self.extra)

    def apply(self, W: np.ndarray) -> np.ndarray:
        """Give P W."""
        return self.sparse @ W

    def dense(self) -> np.ndarray:
        """Give P as an array."""
        return self.sparse.toarray()

    def diagonal(self) -> np.ndarray:
        """Give the diagonal."""
        return self.sparse.diagonal()

    def scaled(self, c: float) -> Edges:
        """Give c P."""
        return Edges(self.i, self.j, c * self.weight, c * self.extra)

    def solve(self, shift: float, W: np.ndarray) -> np.ndarray:
        """Give (shift I + P)^-1 W: banded along a path, else by a sparse factor; the last shift's is kept."""
        if self._factors.get("shift") != shift:
            self._factors.update(shift=shift, solve=self._factorised(shift))
        return self._factors["solve"](W)

    def null_space(self) -> np.ndarray:
        """Give one column per connected component on which the diagonal is zero: constant on it."""
        count, label = self.components
        loaded = np.bincount(label, self.extra > ZERO * self.diagonal().max(initial=0.0), minlength=count) > 0
        free = np.flatnonzero(~loaded)
        column = np.full(count, -1)
        column[free] = np.arange(len(free))
        rows = np.flatnonzero(column[label] >= 0)
        basis = np.zeros((self.n_tasks, len(free)))
        basis[rows, column[label[rows]]] = 1 / np.sqrt(np.bincount(label, minlength=count)[label[rows]])
        return basis

    def plus(self, other: Precision) -> Precision | None:
        """Add a diagonal, a low-rank precision or the edges of another graph."""
        if isinstance(other, Diagonal):
            return Edges(self.i, self.j, self.weight, self.extra + other.values)
        if isinstance(other, LowRank):
            return Mixed(Edges(self.i, self.j, self.weight, self.extra + other.base), other.factor, other.weights)
        if isinstance(other, Edges):
            i, j = np.concatenate([self.i, other.i]), np.concatenate([self.j, other.j])
            weight = np.concatenate([self.weight, other.weight])
            # Equal edges are merged, so that two graphs along one path still make a path.
            ends, inverse = np.unique(np.minimum(i, j) * self.n_tasks + np.maximum(i, j), return_inverse=True)
            merged = np.bincount(inverse, weight, minlength=len(ends))
            return Edges(ends // self.n_tasks, ends % self.n_tasks, merged, self.extra + other.extra)
        return None

    @cached_property
    def sparse(self) -> sparse.csr_array:
        """P as a sparse array."""
        n = self.n_tasks
        degree = np.bincount(self.i, self.weight, minlength=n) + np.bincount(self.j, self.weight, minlength=n)
        every = np.arange(n)
        rows = np.concatenate([self.i, self.j, every])
        columns = np.concatenate([self.j, self.i, every])
        values = np.concatenate([-self.weight, -self.weight, degree + self.extra])
        return sparse.csr_array(sparse.coo_array((values, (rows, columns)), shape=(n, n)))

    @cached_property
    def components(self) -> tuple[int, np.ndarray]:
        """The number of connected components, and each task's component (t,)."""
        linked = self.weight > 0
        ends = (self.i[linked], self.j[linked])
        graph = sparse.coo_array((np.ones(len(ends[0])), ends), shape=(self.n_tasks, self.n_tasks))
        count, label = csgraph.connected_components(graph, directed=False)
        return int(count), label

    @cached_property
    def degrees(self) -> np.ndarray:
        """The number of edges at each task (t,)."""
        linked = self.weight > 0
        return np.bincount(np.concatenate([self.i[linked], self.j[linked]]), minlength=self.n_tasks)

    @property
    def is_forest(self) -> bool:
        """Whether the graph has no cycle: a chain, a tree, or several."""
        return int(self.degrees.sum()) // 2 == self.n_tasks - self.components[0]

    @property
    def is_path(self) -> bool:
        """Whether the graph is a chain, or several."""
        return self.is_forest and self.degrees.max(initial=0) <= 2

    def elimination_order(self) -> Elimination | None:
        """Give an order that eliminates every node before its parent, if the graph is a forest; else None."""
        return self._elimination if self.is_forest else None

    @cached_property
    def _elimination(self) -> Elimination:
        n = self.n_tasks
        count, label = self.components
        # Each component is walked from a node of least degree: a path from one of its ends.
        by_degree = np.lexsort((np.arange(n), self.degrees, label))
        roots = by_degree[np.searchsorted(label[by_degree], np.arange(count))]
        # One walk from an extra node, tied to every root, reaches all components at once.
        linked = self.weight > 0
        i = np.concatenate([self.i[linked], roots])
        j = np.concatenate([self.j[linked], np.full(count, n)])
        graph = sparse.csr_array(sparse.coo_array((np.ones(len(i)), (i, j)), shape=(n + 1, n + 1)))
        walk, parent = csgraph.breadth_first_order(graph, n, directed=False)
        parent = np.where(parent[:n] == n, -1, parent[:n])
        order = walk[:0:-1]
        order = order[np.argsort(label[order], kind="stable")]
        return Elimination(order, parent)

    @cached_property
    def _factors(self) -> dict:
        return {}

    def _factorised(self, shift: float) -> Callable[[np.ndarray], np.ndarray]:
        if self.is_path:
            order = self._elimination.order
            permuted = self.sparse[order][:, order]
            band = np.zeros((2, self.n_tasks))
            band[1] = permuted.diagonal() + shift
            band[0, 1:] = permuted.diagonal(1)
            factor = linalg.cholesky_banded(band)

            def along(W: np.ndarray) -> np.ndarray:
                solution = np.empty(W.shape)
                solution[order] = linalg.cho_solve_banded((factor, False), W[order])
                return solution

            return along
        shifted = sparse.csc_array(self.sparse + shift * sparse.eye_array(self.n_tasks))
        return splu(shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}).solve


@dataclass(frozen=True, eq=False)
class Mixed(Precision):
    """A graph and a complete graph over the same tasks, without a (t, t) array: solved by Woodbury's identity.

    P = E + F diag(weights) F' with E = `edges`, F = `factor` (t, r), `weights` (r,).
    """

    edges: Edges
    factor: np.ndarray
    weights: np.ndarray

    @property
    def n_tasks(self) -> int:
        """The number of tasks t."""
        return self.edges.n_tasks

    def apply(self, W: np.ndarray) -> np.ndarray:
        """Give P W."""
        return self.edges.apply(W) + self.factor @ (self.weights[:, None] * (self.factor.T @ W))

    def dense(self) -> np.ndarray:
        """Give P as an array."""
        return self.edges.dense() + (self.factor * self.weights) @ self.factor.T

    def diagonal(self) -> np.ndarray:
        """Give the diagonal."""
        return self.edges.diagonal() + (self.factor**2) @ self.weights

    def scaled(self, c: float) -> Mixed:
        """Give c P."""
        return Mixed(self.edges.scaled(c), self.factor, c * self.weights)

    def solve(self, shift: float, W: np.ndarray) -> np.ndarray:
        """Give (shift I + P)^-1 W."""
        solved, small = self._woodbury(shift)
        start = self.edges.solve(shift, W)
        return start - solved @ np.linalg.solve(small, self.weights[:, None] * (self.factor.T @ start))

    def null_space(self) -> np.ndarray:
        """Give a basis of the null space, from a problem of size r where the edges' diagonal is positive."""
        if self.edges.extra.min() <= ZERO * self.diagonal().max():
            return Dense(self.dense()).null_space()
        solved, small = self._woodbury(0.0)
        _, singular, Vt = np.linalg.svd(small)
        return np.linalg.qr(solved @ Vt[singular <= ZERO * max(1.0, singular[0])].T)[0]

    def plus(self, other: Precision) -> Precision | None:
        """Add a diagonal, edges, a low-rank precision or another of this kind."""
        if isinstance(other, Mixed):
            return (self + other.edges) + LowRank(np.zeros(self.n_tasks), other.factor, other.weights)
        if isinstance(other, LowRank):
            factor = np.hstack([self.factor, other.factor])
            edges = self.edges.plus(Diagonal(other.base))
            weights = np.concatenate([self.weights, other.weights])
        else:
            factor, weights, edges = self.factor, self.weights, self.edges.plus(other)
        return Mixed(edges, factor, weights) if isinstance(edges, Edges) else None

    def _woodbury(self, shift: float) -> tuple[np.ndarray, np.ndarray]:
        solved = self.edges.solve(shift, self.factor)
        return solved, np.eye(len(self.weights)) + self.weights[:, None] * (self.factor.T @ solved)
