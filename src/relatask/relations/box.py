"""Clusters of tasks and shared subspaces: one spectral box norm, squared, seen from the tasks or from the features."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from scipy.linalg import qr, solve_triangular

from relatask.notices import InputError
from relatask.relations.checks import Array, Strength, check_strength, chosen, like, read_w
from relatask.relations.relation import Proximal, around
from relatask.relations.spectral import plain, reshaped, shares, singular_values

NEGLIGIBLE = 1e-10
"""A singular value this much smaller than the largest is rounding, and its direction means nothing."""


class Box(Proximal):
    """ridge (ridge + strength) times the least of sum_i s_i^2 / (ridge + strength m_i), 0 <= m <= 1, sum m = k.

    s are the singular values of W: k directions of W cost ridge ||.||_F^2, the others up to ridge + strength.
    """

    strength: Strength
    ridge: Strength
    strengths: ClassVar[tuple[str, ...]] = ("strength", "ridge")
    counted: ClassVar[str]
    """Name of the field that holds k."""

    def __post_init__(self) -> None:
        """Check the strengths and the number."""
        owner, size = type(self).__name__, getattr(self, self.counted)
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise InputError(f"{owner}: {self.counted}={size!r} is not usable; expected a whole number >= 1.")
        object.__setattr__(self, self.counted, int(size))
        for name in self.strengths:
            object.__setattr__(self, name, check_strength(owner, getattr(self, name), name))
        if self.ridge == 0:
            raise InputError(
                f"{owner}: ridge=0 is not usable, because {self.counted} directions would then cost nothing and the "
                "others no more; expected a number > 0, or 'auto' to let an estimator choose it."
            )

    def value(self, W: Array) -> Array:
        """Give the formula at W (t, d); its gradient is taken at the best m, held fixed."""
        strength, ridge, k = self._numbers()
        W, xp = read_w(W, owner=type(self).__name__)
        singular = xp.linalg.svdvals(W)
        m = shares(plain(singular), ridge, strength, k)
        price = ridge * ((ridge + strength) / (ridge + strength * m))
        return xp.sum(singular * singular * like(price, W, xp))

    def prox(self, W: Array, step: float) -> Array:
        """Give W with every singular value shrunk, the largest least."""
        strength, ridge, k = self._numbers()
        pull = 2 * step * ridge * (ridge + strength)

        def change(singular: np.ndarray) -> np.ndarray:
            held = ridge + strength * shares(singular, ridge + pull, strength, k)
            return singular * (held / (held + pull))

        return reshaped(W, type(self).__name__, change)

    def gauge(self, Z: Array) -> Array:
        """Give 0: R grows like a square."""
        Z, xp = read_w(Z, owner=type(self).__name__)
        return like(np.asarray(0.0), Z, xp)

    def conjugate(self, Z: Array) -> Array:
        """Give (ridge ||Z||_F^2 + strength * the sum of the k largest squared singular values) / (4 ridge (...))."""
        strength, ridge, k = self._numbers()
        Z, xp = read_w(Z, owner=type(self).__name__)
        squares = singular_values(Z, type(self).__name__) ** 2
        share = strength / (ridge + strength)
        value = ((1 - share) * squares.sum() + share * squares[:k].sum()) / (4 * ridge)
        return like(np.asarray(value), Z, xp)

    def bind(self, tasks: Sequence[Hashable]) -> Self:
        """Check the number against the tasks there are."""
        size, owner = getattr(self, self.counted), type(self).__name__
        if size > len(tasks):
            raise InputError(
                f"{owner}: {self.counted}={size}, but there are {len(tasks)} tasks; expected at most one a task."
            )
        return self

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give four decades around the value at which the relation is as steep as the data."""
        return around(curvature / 2)

    def _numbers(self) -> tuple[float, float, int]:
        owner = type(self).__name__
        return chosen(owner, self.strength), chosen(owner, self.ridge, "ridge"), getattr(self, self.counted)


@dataclass(frozen=True, eq=False)
class Clustered(Box):
    """Tasks fall into clusters, which are learned: a convex relaxation of k-means over the tasks.

    ``R(W) = ridge (ridge + strength) * min over M of tr(W' (ridge I + strength M)^-1 W)``, M (t, t), 0 <= M <= I,
    tr M = n_clusters

    Every task costs at least ridge ||w_k||^2, and what lies outside of the clusters' span up to ridge + strength. With
    at least as many clusters as tasks or features it is ridge ||W||_F^2, that is `Ridge(2 ridge)`.

    Parameters
    ----------
    n_clusters : int >= 1
        At most the number of tasks.
    strength : float >= 0 or "auto"
        Pulls tasks into clusters; at 0 this is ridge ||W||_F^2.
    ridge : float > 0 or "auto"
        Of all coefficients.
    clusters : (t,) array of int, optional
        What `given` learns from W; `assign` gives it. The value does not depend on it.

    Raises
    ------
    InputError
        For a number of clusters that is no whole number >= 1, strengths that are no numbers >= 0, a ridge of 0; in use
        for more clusters than tasks.

    References
    ----------
    Zhou, Chen, Ye: Clustered multi-task learning via alternating structure optimization, 2011, NIPS, equation 11.
    (Jacob, Bach, Vert 2009 has three terms and is another relation.)

    Examples
    --------
    >>> W = [[1.0, 0.0], [1.1, 0.0], [0.0, 2.0], [0.0, 2.1]]
    >>> Clustered(2, 1.0, 0.1).given(W).assign().tolist()
    [0, 0, 1, 1]
    """

    n_clusters: int = 2
    strength: Strength = 1.0
    ridge: Strength = 0.1
    clusters: Any = None

    learned: ClassVar[tuple[str, ...]] = ("clusters",)
    formula: ClassVar[str] = (
        "ridge (ridge + strength) * min over M of tr(W' (ridge I + strength M)^-1 W), M (t, t), 0 <= M <= I, "
        "tr M = n_clusters"
    )
    source: ClassVar[str] = "Zhou, Chen, Ye 2011, Clustered multi-task learning"
    counted: ClassVar[str] = "n_clusters"

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        if self.clusters is not None:
            object.__setattr__(self, "clusters", _kept(np.array(self.clusters, dtype=np.int64)))

    def given(self, W: Array) -> Clustered:
        """Give the relation with its `clusters`, from the leading left singular vectors of W.

        A pivoted QR finds the n_clusters tasks whose rows of those vectors are furthest apart, and every task goes to
        the one it has most of (Zha, He, Ding, Gu, Simon 2001, Spectral relaxation for k-means, section 3): no random
        start. Clusters are numbered in the order of the tasks. Where W has a lower rank, there are fewer.
        """
        U, singular, _ = np.linalg.svd(plain(read_w(W, owner="Clustered")[0]), full_matrices=False)
        rank = min(self.n_clusters, int((singular > NEGLIGIBLE * singular.max(initial=0.0)).sum()))
        if rank == 0:
            return replace(self, clusters=np.zeros(len(U), dtype=np.int64))
        _, R, order = qr(U[:, :rank].T, pivoting=True, mode="economic")
        share = np.empty((rank, len(U)))
        share[:, order] = solve_triangular(R[:, :rank], R)
        found = np.abs(share).argmax(0)
        _, first, number = np.unique(found, return_index=True, return_inverse=True)
        return replace(self, clusters=np.argsort(np.argsort(first))[number])

    def assign(self) -> np.ndarray:
        """Give the cluster (t,) of each task, numbered from 0.

        Raises
        ------
        InputError
            As long as nothing was learned.
        """
        if self.clusters is None:
            raise InputError("Clustered: nothing is learned yet; fit a model and use its relation_, or call given(W).")
        return self.clusters.copy()

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give two clusters (one, for one task) at strength 0.5 and ridge 0.1."""
        return cls(min(2, n_tasks), 0.5, 0.1)


@dataclass(frozen=True, eq=False)
class SharedSubspace(Box):
    """Tasks share a subspace of the features, which is learned: alternating structure optimisation, made convex.

    ``R(W) = ridge (ridge + strength) * min over M of tr(W (ridge I + strength M)^-1 W')``, M (d, d), 0 <= M <= I,
    tr M = rank

    The same function of the singular values as `Clustered`, so that W is the same for the same numbers; what is learned
    of it is the subspace.

    Parameters
    ----------
    rank : int >= 1
        Dimension of the subspace, at most the number of tasks.
    strength : float >= 0 or "auto"
        Pulls coefficients into the subspace; at 0 this is ridge ||W||_F^2.
    ridge : float > 0 or "auto"
        Of all coefficients.
    subspace : (d, rank) array, optional
        What `given` learns from W: an orthonormal basis. The value does not depend on it.

    Raises
    ------
    InputError
        For a rank that is no whole number >= 1, strengths that are no numbers >= 0, a ridge of 0; in use for a rank
        above the number of tasks.

    References
    ----------
    Chen, Tang, Liu, Ye: A convex formulation for learning shared structures from multiple tasks, 2009, ICML.
    Ando, Zhang: A framework for learning predictive structures from multiple tasks and unlabeled data, 2005, JMLR 6.

    Examples
    --------
    >>> SharedSubspace(1, 1.0, 0.1).given([[1.0, 0.0], [3.0, 0.0]]).subspace.round(6).tolist()
    [[1.0], [0.0]]
    """

    rank: int = 1
    strength: Strength = 1.0
    ridge: Strength = 0.1
    subspace: Any = None

    learned: ClassVar[tuple[str, ...]] = ("subspace",)
    formula: ClassVar[str] = (
        "ridge (ridge + strength) * min over M of tr(W (ridge I + strength M)^-1 W'), M (d, d), 0 <= M <= I, "
        "tr M = rank"
    )
    source: ClassVar[str] = "Chen, Tang, Liu, Ye 2009, A convex formulation for learning shared structures"
    counted: ClassVar[str] = "rank"

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        if self.subspace is not None:
            object.__setattr__(self, "subspace", _kept(np.array(self.subspace, dtype=np.float64)))

    def given(self, W: Array) -> SharedSubspace:
        """Give the relation with its `subspace`: the leading right singular vectors of W, their largest entry positive.

        Where W has a lower rank, there are fewer.
        """
        _, singular, Vt = np.linalg.svd(plain(read_w(W, owner="SharedSubspace")[0]), full_matrices=False)
        rank = min(self.rank, int((singular > NEGLIGIBLE * singular.max(initial=0.0)).sum()))
        basis = Vt[:rank].T
        largest = np.take_along_axis(basis, np.abs(basis).argmax(0)[None], axis=0) if basis.size else 1.0
        return replace(self, subspace=basis * np.sign(largest))

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give rank one at strength 0.5 and ridge 0.1."""
        return cls(1, 0.5, 0.1)


def _kept(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False
    return values
