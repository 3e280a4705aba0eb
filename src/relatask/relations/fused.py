"""Relations along an order of tasks that also select features: fused sparsity, and disease progression."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from relatask.relations.checks import Array, Strength, check_strength, chosen, like, plain, read_w
from relatask.relations.gauges import largest_ratio
from relatask.relations.graphs import Positions, as_positions, bind_order, check_length, read_order
from relatask.relations.norms import SharedSparsity, Sparse
from relatask.relations.quadratic import Chain, Ridge
from relatask.relations.relation import Proximal, Relation, below
from relatask.relations.sums import Sum
from relatask.relations.variation import smoothed

Order = tuple[Hashable, ...] | Sequence[Hashable] | None


@dataclass(frozen=True)
class FusedSparse(Proximal):
    """Along an order of tasks coefficients stay the same but for a few jumps, and few features are used.

    ``R(W) = strength * sum_k ||w_k - w_{k+1}||_1 + sparse * ||W||_1 + shared * sum_j ||W[:, j]||_2``

    One norm with an exact prox: total variation along the tasks, then each entry, then each feature is shrunk (Zhou
    2012, theorem 1). With sparse = shared = 0 only differences are penalised: nothing bounds what the tasks have in
    common, and a fit is certified only where every task has as many independent rows as features.

    Parameters
    ----------
    strength : float >= 0 or "auto"
        Of the jumps between neighbouring tasks; large, all tasks share one row.
    sparse : float >= 0 or "auto"
        Of single coefficients.
    shared : float >= 0 or "auto"
        Of features, over all tasks together.
    order : sequence of task labels, optional
        Every task once, as for `Chain`; None takes the tasks as they come (an estimator sorts labels).

    Raises
    ------
    InputError
        For a bad strength or a task named twice; in `bind` for a label that is no task, or a task left out.

    References
    ----------
    Zhou, Liu, Narayan, Ye: Modeling disease progression via fused sparse group lasso, 2012, KDD (convex form).

    Examples
    --------
    >>> fused = FusedSparse(1.0, 0.5, 0.0, order=["before", "during", "after"]).bind(["after", "before", "during"])
    >>> float(fused([[5.0], [1.0], [3.0]]))
    8.5
    """

    strength: Strength = 1.0
    sparse: Strength = 1.0
    shared: Strength = 0.0
    order: Order = None

    formula: ClassVar[str] = (
        "strength * sum_k ||w_k - w_{k+1}||_1 + sparse * ||W||_1 + shared * sum over features j of ||W[:, j]||_2"
    )
    source: ClassVar[str] = "Zhou, Liu, Narayan, Ye 2012, Modeling disease progression via fused sparse group lasso"
    strengths: ClassVar[tuple[str, ...]] = ("strength", "sparse", "shared")

    def __post_init__(self) -> None:
        """Check the strengths and the order."""
        _check(self)

    def value(self, W: Array) -> Array:
        """Give the three penalties together; W is (t, d)."""
        W, xp = read_w(W, owner="FusedSparse")
        strength, sparse, shared = _chosen(self)
        along = W if self.order is None else xp.take(W, like(_rows(self, W.shape[0]), W, xp, integer=True), axis=0)
        jumps = xp.sum(xp.abs(along[1:, :] - along[:-1, :]))
        return strength * jumps + Sparse(sparse).value(W) + SharedSparsity(shared).value(W)

    def prox(self, W: Array, step: float) -> Array:
        """Give W smoothed along the order, then every entry and every feature lowered (not differentiable)."""
        W, xp = read_w(W, owner="FusedSparse")
        rows = _rows(self, W.shape[0])
        strength, sparse, shared = _chosen(self)
        found = np.empty(W.shape)
        found[rows] = Sparse(sparse).prox(smoothed(plain(W)[rows], step * strength), step)
        return like(SharedSparsity(shared).prox(found, step), W, xp)

    def gauge(self, Z: Array) -> Array:
        """Give the smallest r with a prox of Z (t, d) at step r that is zero.

        Right to about 1e-14 (`gauges.largest_ratio`). Without `sparse` and `shared` it is infinite, unless the columns
        of Z add up to zero, to 1e-12 of their size.
        """
        Z, xp = read_w(Z, owner="FusedSparse")
        return like(np.asarray(self._gauge(plain(Z)[_rows(self, Z.shape[0])])), Z, xp)

    def _gauge(self, Z: np.ndarray) -> float:
        strength, sparse, shared = _chosen(self)
        if sparse == shared == 0:
            sums = Z.sum(axis=0)
            if (np.abs(sums) > 1e-12 * np.abs(Z).sum(axis=0)).any():
                return np.inf
            Z = Z - sums / len(Z)

        def shrunk(columns: np.ndarray, r: float) -> np.ndarray:
            return Sparse(sparse).prox(smoothed(columns, r * strength), r)

        def prices(X: np.ndarray) -> np.ndarray:
            jumps, entries = np.abs(np.diff(X, axis=0)), np.abs(X)
            return strength * jumps.sum(axis=0) + sparse * entries.sum(axis=0) + shared * np.linalg.norm(X, axis=0)

        return largest_ratio(Z, shrunk, prices, shared)

    def bind(self, tasks: Sequence[Hashable]) -> FusedSparse:
        """Give the relation over these tasks: labels become rows."""
        return replace(self, order=_bound(self, tasks))

    def among(self, kept: Sequence[int]) -> FusedSparse:
        """Give the relation along the order of the tasks that stay; each of its three penalties by itself."""
        if self.order is None:
            return self
        place = {position: rank for rank, position in enumerate(sorted(kept))}
        rows = _rows(self, len(self.order)).tolist()
        return replace(self, order=Positions(place[row] for row in rows if row in place))

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give four decades below where all jumps, all coefficients or all features are gone, whatever the others."""
        if name == "sparse":
            return Sparse(1.0).reach("strength", correlation, curvature)
        if name == "shared":
            return SharedSparsity(1.0).reach("strength", correlation, curvature)
        along = correlation[_rows(self, len(correlation))]
        return below(float(np.abs(np.cumsum(along - along.mean(axis=0), axis=0)).max()))

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strengths 0.5, 0.3 and 0.2 over the tasks in reverse."""
        return cls(0.5, 0.3, 0.2, tuple(reversed(range(n_tasks))))


@dataclass(frozen=True)
class Progression(Relation):
    """Tasks in time, as a disease goes on: neighbours are alike, and all of them use the same few features.

    ``R(W) = ridge * ||W||_F^2 + chain * sum_k ||w_k - w_{k+1}||^2 + shared * sum_j ||W[:, j]||_2``, shorthand for
    ``Ridge(2 ridge) + Chain(chain, order) + SharedSparsity(shared)``. The ridge is without 1/2 here, as in its source.

    Parameters
    ----------
    ridge : float >= 0 or "auto"
        Of the sum of squares.
    chain : float >= 0 or "auto"
        Of squared distances between neighbouring tasks.
    shared : float >= 0 or "auto"
        Of features, over all tasks together.
    order : sequence of task labels, optional
        Every task once, as for `Chain`; None takes the tasks as they come (an estimator sorts labels).

    Raises
    ------
    InputError
        For a bad strength or a task named twice; in `bind` for a label that is no task, or a task left out.

    References
    ----------
    Zhou, Yuan, Liu, Ye: A multi-task learning formulation for predicting disease progression, 2011, KDD.

    Examples
    --------
    >>> float(Progression(1.0, 0.5, 2.0)([[3.0], [4.0]]))
    35.5
    """

    ridge: Strength = 1.0
    chain: Strength = 1.0
    shared: Strength = 1.0
    order: Order = None

    formula: ClassVar[str] = (
        "ridge * ||W||_F^2 + chain * sum_k ||w_k - w_{k+1}||^2 + shared * sum over features j of ||W[:, j]||_2"
    )
    source: ClassVar[str] = "Zhou, Yuan, Liu, Ye 2011, Predicting disease progression"
    strengths: ClassVar[tuple[str, ...]] = ("ridge", "chain", "shared")

    def __post_init__(self) -> None:
        """Check the strengths and the order."""
        _check(self)

    def value(self, W: Array) -> Array:
        """Give the three penalties together; W is (t, d)."""
        W, _ = read_w(W, owner="Progression")
        _chosen(self)
        return Sum(self.terms()).value(W)

    def terms(self) -> tuple[Ridge, Chain, SharedSparsity]:
        """Give the ridge, the chain and the shared sparsity that this is the sum of."""
        ridge = self.ridge if isinstance(self.ridge, str) else 2 * self.ridge
        return Ridge(ridge), Chain(self.chain, self.order), SharedSparsity(self.shared)

    def bind(self, tasks: Sequence[Hashable]) -> Progression:
        """Give the relation over these tasks: labels become rows."""
        return replace(self, order=_bound(self, tasks))

    def among(self, kept: Sequence[int]) -> Sum:
        """Give the sum of what the three terms say of some of the tasks."""
        return Sum(self.terms()).among(kept)

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give the reach of the term's strength."""
        term = self.terms()[self.strengths.index(name)]
        low, high = replace(term, strength=1.0).reach("strength", correlation, curvature)
        return (low / 2, high / 2) if name == "ridge" else (low, high)

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give strengths 0.2, 0.5 and 0.3 over the tasks in reverse."""
        return cls(0.2, 0.5, 0.3, tuple(reversed(range(n_tasks))))


def _check(relation: FusedSparse | Progression) -> None:
    owner = type(relation).__name__
    for name in relation.strengths:
        object.__setattr__(relation, name, check_strength(owner, getattr(relation, name), name))
    if relation.order is not None:
        object.__setattr__(relation, "order", read_order(owner, relation.order))


def _chosen(relation: FusedSparse | Progression) -> list[float]:
    return [chosen(type(relation).__name__, getattr(relation, name), name) for name in relation.strengths]


def _bound(relation: FusedSparse | Progression, tasks: Sequence[Hashable]) -> Positions | None:
    owner, order = type(relation).__name__, relation.order
    if order is None or isinstance(order, Positions):
        check_length(owner, tasks if order is None else order, len(tasks))
        return order
    return bind_order(owner, tuple(order), tasks)


def _rows(relation: FusedSparse, n_tasks: int) -> np.ndarray:
    if relation.order is None:
        return np.arange(n_tasks)
    check_length("FusedSparse", relation.order, n_tasks)
    return np.array(as_positions("FusedSparse", tuple(relation.order), n_tasks), dtype=np.int64)
