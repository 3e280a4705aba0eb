"""Rows without labels: predictions change little between rows that are neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from relatask.notices import InputError
from relatask.relations.checks import Strength, check_strength, chosen
from relatask.relations.relation import FeatureQuadratic
from relatask.relations.unlabelled import Unlabelled


@dataclass(frozen=True, eq=False)
class Manifold(FeatureQuadratic):
    """Predictions on rows without labels are smooth: what lies near each other is predicted alike, by every task.

    ``R(W) = strength/2 * sum_k mean over pairs i, j of neighbours of (x_i w_k - x_j w_k)^2 = strength/2 tr(W Q W')``
    with ``Q = 2/v X' L X``, L the Laplacian D - A of the graph in which rows are tied that are among each other's
    nearest, and v the sum of A. It does not depend on the number of rows, nor on intercepts.

    It acts on features: add a relation that ties tasks, such as ``Pairwise("auto") + Manifold(X, "auto")``. Estimators
    read X in the units of their own features; as a term of a network's loss, W acts on X as it is.

    Parameters
    ----------
    X_unlabelled : (n, d) array, frame, or scipy sparse
        Rows with the features of X in fit, in their order; labels are not asked for, so that rows with labels may be
        among them. Rows that occur twice count once.
    strength : float >= 0 or "auto"
        0 leaves the rows out; towards infinity predictions differ only where neighbours do not.
    n_neighbors : int
        Each row is tied to this many.
    normalized : bool
        Whether L is I - D^-1/2 A D^-1/2 (then v = n, and a function's level is taken where it costs least).
    landmarks : int, optional
        For many rows: this many of them, drawn by `seed`, stand for all, and rows are tied through the `n_neighbors` of
        these that are nearest to them (an anchor graph; it has no other normalisation). None finds the neighbours among
        all rows, at a cost of n^2 d.
    standardize : bool
        Whether neighbours are found on columns divided by their standard deviations.
    seed : int
        Of the landmarks.

    Raises
    ------
    InputError
        For rows that are no finite numbers; no more distinct rows (or landmarks) than neighbours; more than 10,000
        features; in use for another number of features.

    References
    ----------
    Belkin, Niyogi, Sindhwani: Manifold regularization: a geometric framework for learning from labeled and unlabeled
    examples, 2006, JMLR 7, section 4.2 (LapRLS). Landmarks: Liu, He, Chang: Large graph construction for scalable
    semi-supervised learning, 2010, ICML.

    Examples
    --------
    >>> rows = [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 9.0], [1.0, 9.0], [2.0, 9.0]]  # two groups, far apart
    >>> smooth = Manifold(rows, 1.0, n_neighbors=1)
    >>> float(smooth([[1.0, 0.0]])), float(smooth([[0.0, 1.0]]))  # what changes within the groups is priced
    (0.5, 0.0)
    """

    X_unlabelled: Any
    strength: Strength = 1.0
    n_neighbors: int = 10
    normalized: bool = False
    landmarks: int | None = None
    standardize: bool = True
    seed: int = 0

    formula: ClassVar[str] = "strength/2 * sum_k mean over neighbours i, j of (x_i w_k - x_j w_k)^2"
    source: ClassVar[str] = "Belkin, Niyogi, Sindhwani 2006, Manifold regularization"

    def __post_init__(self) -> None:
        """Check the settings and read the rows."""
        object.__setattr__(self, "strength", check_strength("Manifold", self.strength))
        for name in ("normalized", "standardize"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise InputError(f"Manifold: {name}={getattr(self, name)!r} is not usable; expected True or False.")
        _check_whole("n_neighbors", self.n_neighbors, 1)
        _check_whole("seed", self.seed, 0)
        if self.landmarks is not None:
            _check_whole("landmarks", self.landmarks, 2)
        object.__setattr__(self, "X_unlabelled", Unlabelled.read(self.X_unlabelled))
        self._check_count(self.X_unlabelled.shape[0], "rows")

    @property
    def n_features(self) -> int:
        """The number of features d."""
        return int(self.X_unlabelled.shape[1])

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the features, where rows came as a frame."""
        return self.X_unlabelled.names

    def form(self) -> np.ndarray:
        """Give strength * 2/v X' L X, (d, d)."""
        return chosen("Manifold", self.strength) * self._unit()

    @classmethod
    def example(cls, n_tasks: int, n_features: int = 4) -> Self:
        """Give strength 0.5 on twelve rows of four features, or as many as are asked for."""
        place = np.arange(12.0)[:, None]
        return cls(np.sin((1.0 + np.arange(n_features)) * place + place**2), 0.5, n_neighbors=3)

    def _unit(self) -> np.ndarray:
        """The form at strength 1."""
        X = self.X_unlabelled
        self._check_count(X.distinct.shape[0], "distinct rows")
        return X.form(self.n_neighbors, self.normalized, self.landmarks, self.standardize, self.seed)

    def _check_count(self, n: int, what: str) -> None:
        """Raise InputError where there are too few rows for the graph."""
        if self.landmarks is not None and n < self.landmarks:
            raise InputError(
                f"Manifold: landmarks={self.landmarks}, but X_unlabelled has {n} {what}; give fewer landmarks, or None "
                "for neighbours among all rows."
            )
        among, where = (n, f"X_unlabelled has {n} {what}") if self.landmarks is None else (self.landmarks, "")
        if among <= self.n_neighbors:
            where = where or f"landmarks={self.landmarks}"
            raise InputError(
                f"Manifold: n_neighbors={self.n_neighbors}, but {where}; expected fewer neighbours than that, or more "
                "rows."
            )


def _check_whole(name: str, value: Any, least: int) -> None:
    """Raise InputError unless this is a whole number from `least` on."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"Manifold: {name}={value!r} is not usable; expected a whole number >= {least}.")
