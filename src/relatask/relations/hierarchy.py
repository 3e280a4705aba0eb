"""Relations over a tree of tasks: means pulled to the means above them, and groups that select features together."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from relatask.notices import InputError
from relatask.relations.checks import Array, Strength, check_strength, chosen, like, plain, read_w
from relatask.relations.forms import TaskPrecision, complement
from relatask.relations.gauges import largest_ratio
from relatask.relations.precision import Dense, Diagonal, LowRank, Precision
from relatask.relations.relation import Proximal, Quadratic
from relatask.relations.trees import BoundTree, Levels, Tree, bind_tree, depth_of, kept_tree, levels_of, read_tree


@dataclass(frozen=True)
class HierarchicalClusters(Quadratic):
    """Tasks are pulled to the mean of their cluster, clusters to the mean of theirs, up to the mean of all tasks.

    ``R(W) = strength * sum over levels l of levels[l] * sum over nodes c of n_c ||m_c - m_parent(c)||^2``, m_c the mean
    of the n_c tasks below c. With the same number on every level this is ``strength * sum_k ||w_k - mean||^2``,
    whatever the tree; a tree is felt where the numbers differ.

    Parameters
    ----------
    tree : nested lists, dict, list of arrays
        Of task labels, the outermost list being all tasks; see `trees.read_tree`: ``[["a", "b"], ["c", ["d", "e"]]]``,
        ``{"north": ["a", "b"], "south": ["c"]}``, ``{node: parent}``, or arrays ``[tasks, clusters, regions]``. `bind`
        turns labels into rows; unbound integers 0 .. t - 1 are read as rows.
    strength : float >= 0 or "auto"
        Of all levels together.
    levels : sequence of floats >= 0, optional
        One per level below the top: the uppermost clusters first, the tasks last. None doubles from each to the next,
        1, 2, 4, ...: tasks hold to their cluster more than clusters to each other.

    Raises
    ------
    InputError
        For a bad strength or level; a tree with a circle, an empty node or a task twice; in `bind` for a task that is
        unknown or missing.

    References
    ----------
    Evgeniou, Micchelli, Pontil: Learning multiple tasks with kernel methods, 2005, JMLR 6, section 3.1 (clusters).

    Examples
    --------
    >>> tree = HierarchicalClusters([["a", "b"], ["c", "d"]], 0.5, levels=[1, 3]).bind("abcd")
    >>> float(tree([[1.0], [3.0], [6.0], [6.0]]))
    11.0
    """

    tree: Any
    strength: Strength = 1.0
    levels: tuple[float, ...] | Sequence[float] | None = None

    formula: ClassVar[str] = (
        "strength * sum over levels l of levels[l] * sum over nodes c of n_c ||m_c - m_parent(c)||^2"
    )
    source: ClassVar[str] = "Evgeniou, Micchelli, Pontil 2005, Learning multiple tasks with kernel methods"

    def __post_init__(self) -> None:
        """Check the strength, the tree and the levels."""
        _check(self, top=False)

    def value(self, W: Array) -> Array:
        """Give the weighted squared distances between the means of neighbouring levels; W is (t, d)."""
        W, xp = read_w(W, owner="HierarchicalClusters")
        groups = levels_of("HierarchicalClusters", self.tree, W.shape[0])
        strength = chosen("HierarchicalClusters", self.strength)
        above = xp.mean(W, axis=0, keepdims=True)
        total = xp.sum(W * 0)
        for level, weight in enumerate(self._weights(), start=1):
            sizes = like(groups.sizes(level)[:, None].astype(float), W, xp)
            if level < groups.depth:
                means = groups.sums(W, level) / sizes
            else:
                means = xp.take(W, like(groups.order, W, xp, integer=True), axis=0)
            apart = means - xp.take(above, like(groups.parents(level), W, xp, integer=True), axis=0)
            total = total + strength * weight * xp.sum(sizes * apart * apart)
            above = means
        return total

    def precision(self, n_tasks: int) -> Precision:
        """Give a multiple of the identity and a vector per node; dense where there are as many nodes as tasks."""
        groups = levels_of("HierarchicalClusters", self.tree, n_tasks)
        # With Pi_l the projector on what is constant within the groups of level l, P = 2 sum_l s_l (Pi_l - Pi_(l-1)).
        # A group that is one from level a to b has the share s_a - s_(b+1) of it; so nothing is left to cancel.
        s = 2 * chosen("HierarchicalClusters", self.strength) * np.array([0.0, *self._weights(), 0.0])
        spans = groups.spans()
        alone = [s[level] for level, (first, _) in enumerate(spans) if (groups.sizes(level)[first] == 1).any()]
        base = np.full(n_tasks, alone[-1])
        factor, shares = [np.zeros((n_tasks, 0))], [np.zeros(0)]
        for level, (first, last) in enumerate(spans):
            sizes = groups.sizes(level)[first]
            share = np.where(sizes == 1, s[level] - base[0], s[level] - s[last[first] + 1]) / sizes
            used = share != 0
            factor.append(groups.members(level, first[used]))
            shares.append(share[used])
        vectors, weights = np.hstack(factor), np.concatenate(shares)
        if not len(weights):
            return Diagonal(base)
        if len(weights) >= n_tasks:
            return Dense(np.diag(base) + (vectors * weights) @ vectors.T)
        return LowRank(base, vectors, weights)

    def bind(self, tasks: Sequence[Hashable]) -> HierarchicalClusters:
        """Give the relation over these tasks: labels become rows."""
        return replace(self, tree=bind_tree("HierarchicalClusters", self.tree, tasks))

    def among(self, kept: Sequence[int]) -> TaskPrecision:
        """Give the precision of some tasks, the others free: the Schur complement of the tree's."""
        tree = self.bind(range(len(self.tree)))
        whole = replace(tree, strength=1.0).precision(len(self.tree)).dense()
        return TaskPrecision(complement(whole, kept), self.strength)

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5 over two clusters."""
        return cls(_halves(n_tasks), 0.5)

    def _weights(self) -> tuple[float, ...]:
        if self.levels is not None:
            return tuple(self.levels)
        return tuple(2.0**level for level in range(depth_of(self.tree)))


@dataclass(frozen=True)
class TreeGuided(Proximal):
    """A feature is used by all tasks below a node of the tree or by none of them, on every level of the tree.

    ``R(W) = strength * sum over features j and nodes v of s_v ||W[v, j]||_2``, W[v, j] the coefficients of the tasks
    below v, s_v = levels[depth of v].

    Parameters
    ----------
    tree : nested lists, dict, list of arrays
        Of task labels, the outermost list being all tasks; see `trees.read_tree`: ``[["a", "b"], ["c", ["d", "e"]]]``,
        ``{"north": ["a", "b"], "south": ["c"]}``, ``{node: parent}``, or arrays ``[tasks, clusters, regions]``. `bind`
        turns labels into rows; unbound integers 0 .. t - 1 are read as rows.
    strength : float >= 0 or "auto"
        Of all levels together; at and above the gauge of the correlations W = 0.
    levels : sequence of floats >= 0, optional
        s_v per level: all tasks first, then the uppermost clusters, the single tasks last. A task that hangs higher
        than others has those of the levels below too. None takes Kim and Xing's g_v * prod of s over the nodes above v
        with s = (levels below v) / (1 + levels of the tree) and g = 1 - s, so that those above a task add up to 1.
        (They leave the 1 + out, and with it the group of all tasks.)

    Raises
    ------
    InputError
        For a bad strength or level; a tree with a circle, an empty node or a task twice; in `bind` for a task that is
        unknown or missing.

    References
    ----------
    Kim, Xing: Tree-guided group lasso for multi-task regression with structured sparsity, 2010, ICML. Its prox:
    Jenatton, Mairal, Obozinski, Bach: Proximal methods for hierarchical sparse coding, 2011, JMLR 12.

    Examples
    --------
    >>> guided = TreeGuided([["a", "b"], ["c"]], 2.0, levels=[1, 1, 0]).bind("abc")
    >>> float(guided([[3.0], [4.0], [12.0]]))
    60.0
    """

    tree: Any
    strength: Strength = 1.0
    levels: tuple[float, ...] | Sequence[float] | None = None

    formula: ClassVar[str] = "strength * sum over features j and nodes v of s_v ||W[v, j]||_2"
    source: ClassVar[str] = "Kim, Xing 2010, Tree-guided group lasso for multi-task regression"

    def __post_init__(self) -> None:
        """Check the strength, the tree and the levels."""
        _check(self, top=True)

    def value(self, W: Array) -> Array:
        """Give the weighted sum of the groups' norms; W is (t, d)."""
        W, xp = read_w(W, owner="TreeGuided")
        groups, weights = self._groups(W.shape[0])
        total = weights[-1] * xp.sum(xp.abs(W))
        for level, weight in enumerate(weights[:-1]):
            if weight > 0:
                squares = groups.sums(W * W, level)
                zero = squares == 0
                # The inner `where` keeps the square root away from zero, where its slope is infinite.
                roots = xp.sqrt(xp.where(zero, xp.ones_like(squares), squares))
                total = total + weight * xp.sum(xp.where(zero, xp.zeros_like(squares), roots))
        return total

    def prox(self, W: Array, step: float) -> Array:
        """Give W with every group's norm lowered, from the single tasks up: exact (not differentiable)."""
        W, xp = read_w(W, owner="TreeGuided")
        groups, weights = self._groups(W.shape[0])
        return like(_shrunk(plain(W), groups, [step * weight for weight in weights]), W, xp)

    def gauge(self, Z: Array) -> Array:
        """Give the smallest r with a prox of Z (t, d) at step r that is zero, to about 1e-14."""
        Z, xp = read_w(Z, owner="TreeGuided")
        groups, weights = self._groups(Z.shape[0])

        def below_top(columns: np.ndarray, r: float) -> np.ndarray:
            return _shrunk(columns, groups, [0.0, *(r * weight for weight in weights[1:])])

        def prices(X: np.ndarray) -> np.ndarray:
            norms = [np.sqrt(groups.sums(X * X, level)).sum(axis=0) for level in range(len(weights))]
            return np.tensordot(weights, norms, axes=1)

        return like(np.asarray(largest_ratio(plain(Z), below_top, prices, weights[0])), Z, xp)

    def bind(self, tasks: Sequence[Hashable]) -> TreeGuided:
        """Give the relation over these tasks: labels become rows."""
        return replace(self, tree=bind_tree("TreeGuided", self.tree, tasks))

    def among(self, kept: Sequence[int]) -> TreeGuided:
        """Give the relation over the tree without some tasks, whose coefficients would be zero."""
        return replace(self, tree=kept_tree("TreeGuided", self.tree, kept))

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strength 0.5 over two clusters."""
        return cls(_halves(n_tasks), 0.5)

    def _groups(self, n_tasks: int) -> tuple[Levels, list[float]]:
        """The groups of each level and their weights, the strength inside."""
        strength, depth = chosen("TreeGuided", self.strength), depth_of(self.tree)
        if self.levels is not None:
            weights = list(self.levels)
        else:
            weights, above = [], 1.0
            for level in range(depth + 1):
                s = (depth - level) / (depth + 1)
                weights.append((1 - s) * above)
                above *= s
        return levels_of("TreeGuided", self.tree, n_tasks), [strength * weight for weight in weights]


def _shrunk(W: np.ndarray, groups: Levels, thresholds: Sequence[float]) -> np.ndarray:
    """Lower the norm of every group by its level's threshold, groups within groups first; W is (t, d), plain.

    Shrinking a group multiplies the norms of those within it, so that only norms go up the tree and factors down.
    """
    norms = np.abs(W[groups.order])
    factors = []
    for level in range(groups.depth, -1, -1):
        if level < groups.depth:
            first_child = np.searchsorted(groups.starts[level + 1], groups.starts[level])
            norms = np.sqrt(np.add.reduceat(np.square(norms), first_child, axis=0))
        lowered = np.maximum(norms - thresholds[level], 0.0)
        factors.append(np.divide(lowered, norms, out=np.zeros_like(norms), where=norms > 0))
        norms = lowered
    factor = factors.pop()
    for level in range(1, groups.depth + 1):
        factor = factor[groups.parents(level)] * factors.pop()
    found = np.empty_like(W)
    found[groups.order] = W[groups.order] * factor
    return found


def _check(relation: HierarchicalClusters | TreeGuided, *, top: bool) -> None:
    """Put the checked fields in place of those given; with `top` there is a number for the level of all tasks too."""
    owner = type(relation).__name__
    object.__setattr__(relation, "strength", check_strength(owner, relation.strength))
    tree: Tree | BoundTree = read_tree(owner, relation.tree)
    object.__setattr__(relation, "tree", tree)
    if relation.levels is None:
        return
    if isinstance(relation.levels, str) or not hasattr(relation.levels, "__iter__"):
        raise InputError(f"{owner}: levels={relation.levels!r} is not usable; expected a sequence of numbers, or None.")
    levels = list(relation.levels)
    names = ["all tasks"] * top + ["clusters"] * (depth_of(tree) - 1) + ["tasks"]
    if len(levels) != len(names):
        raise InputError(
            f"{owner}: levels has {len(levels)} numbers, but the tree has {len(names)} levels, from the top down: "
            f"{', '.join(names)}."
        )
    for value in levels:
        if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
            raise InputError(f"{owner}: levels holds {value!r}; expected finite numbers >= 0.")
    if not any(levels):
        raise InputError(f"{owner}: levels are all zero; give one that is positive, or strength=0.")
    object.__setattr__(relation, "levels", tuple(float(value) for value in levels))


def _halves(n_tasks: int) -> list[Any]:
    """Two clusters, the second in reverse; one task alone."""
    rows = list(range(n_tasks))
    return [rows[: n_tasks // 2], rows[: n_tasks // 2 - 1 : -1]] if n_tasks > 1 else rows
