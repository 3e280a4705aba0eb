"""Linear models of tasks of any kinds side by side: what stands beside networks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from relatask.linear import MultiTaskClassifier, MultiTaskLinear
from relatask.notices import InputError
from relatask.relations import Pairwise, Relation, Ridge

Floats = npt.NDArray[np.float64]


class LinearByKind(BaseEstimator):
    """Linear models of the columns of y: numbers, two classes and counts together, each of several classes alone.

    Where `related`, tasks that are fitted together are drawn to their mean (`Pairwise`); every strength is chosen by
    cross-validation on the training rows. A target of several classes has a multinomial model of its own under a ridge.

    Parameters
    ----------
    kinds : {task: kind} or sequence of t kinds
        In the order of the columns.
    related : bool
        Whether the tasks are tied; otherwise each is fitted alone.
    encode : object with fit and transform, optional
        Makes numbers of the rows; learned on training rows.
    weighting, standardize
        As in `MultiTaskRegressor`.

    Attributes
    ----------
    classes_ : list of t arrays
        The classes of each multiclass column in the training rows; empty for others.
    n_iter_ : int
        The most iterations of any of the models.

    Raises
    ------
    InputError
        For other than one kind a column.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> y = np.column_stack([X[:, 0], X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5])])
    >>> model = LinearByKind(["regression", "binary", "multiclass"]).fit(X, y)
    >>> [values.shape for values in model.predict_mean(X)]
    [(60,), (60,), (60, 3)]
    """

    classes_: list[Any]
    n_iter_: int

    def __init__(
        self,
        kinds: Mapping[Hashable, str] | Sequence[str],
        *,
        related: bool = True,
        encode: Any = None,
        weighting: str = "sample",
        standardize: bool = True,
    ) -> None:
        self.kinds = kinds
        self.related = related
        self.encode = encode
        self.weighting = weighting
        self.standardize = standardize

    def fit(self, X: Any, y: Any) -> LinearByKind:
        """Learn from rows X (n, d) and labels y (n,) or (n, t), NaN where missing; classes as 0, 1, ..."""
        from copy import deepcopy

        kinds = list(self.kinds.values() if isinstance(self.kinds, Mapping) else self.kinds)
        labels = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y, dtype=np.float64)
        labels = labels.reshape(len(labels), -1)
        if labels.shape[1] != len(kinds):
            raise InputError(f"{len(kinds)} kinds for {labels.shape[1]} columns of y; give one for each.")
        self._encoder = None if self.encode is None else deepcopy(self.encode).fit(X)
        rows = self._rows(X)
        together = [k for k, kind in enumerate(kinds) if kind != "multiclass"]
        groups = ([together] if together else []) + [[k] for k, kind in enumerate(kinds) if kind == "multiclass"]
        self._groups = [(group, self._model([kinds[k] for k in group])) for group in groups]
        self.classes_ = [np.empty(0)] * len(kinds)
        for group, model in self._groups:
            own = labels[:, group]
            seen = ~np.isnan(own).all(1)
            model.fit(rows[seen], own[seen] if len(group) > 1 else own[seen, 0])
            if kinds[group[0]] == "multiclass":
                self.classes_[group[0]] = model.classes_
        self.n_iter_ = max(int(np.max(model.n_iter_)) for _, model in self._groups)
        return self

    def predict_mean(self, X: Any) -> list[Floats]:
        """Give for each column numbers, chances of class 1 or mean counts (n,); of several classes chances (n, C)."""
        rows, found = self._rows(X), {}
        for group, model in self._groups:
            if isinstance(model, MultiTaskClassifier):
                found[group[0]] = model.predict_proba(rows)
                continue
            answers = np.asarray(model.predict_mean(rows)).reshape(len(rows), -1)
            found |= {k: answers[:, place] for place, k in enumerate(group)}
        return [found[k] for k in sorted(found)]

    def predict(self, X: Any) -> Floats:
        """Give numbers, the likelier class, mean counts: (n, t), classes as in `fit`."""
        answers = self.predict_mean(X)
        kinds = list(self.kinds.values() if isinstance(self.kinds, Mapping) else self.kinds)
        columns = [
            self.classes_[k][values.argmax(1)] if kind == "multiclass" else values > 0.5 if kind == "binary" else values
            for k, (kind, values) in enumerate(zip(kinds, answers, strict=True))
        ]
        return np.column_stack(columns).astype(np.float64)

    def _rows(self, X: Any) -> Any:
        return np.asarray(X, dtype=np.float64) if self._encoder is None else self._encoder.transform(X)

    def _model(self, kinds: list[str]) -> Any:
        same: dict[str, Any] = {"weighting": self.weighting, "standardize": self.standardize}
        if kinds == ["multiclass"]:
            return MultiTaskClassifier(Ridge("auto"), **same)
        relation: Relation = Pairwise("auto") if self.related and len(kinds) > 1 else Ridge("auto")
        return MultiTaskLinear(kinds, relation, **same)
