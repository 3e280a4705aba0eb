"""Linear models of tasks of any kinds side by side: what stands beside networks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import deepcopy
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
    tasks_ : array (t,)
        The columns of y.
    classes_ : dict of task to array (C,)
        The classes in the training rows, of the columns that have classes.
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
    >>> model.predict_mean(X).shape, model.predict_proba(X)[2].shape
    ((60, 3), (60, 3))
    """

    tasks_: npt.NDArray[Any]
    classes_: dict[Hashable, Floats]
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

    def fit(self, X: Any, y: Any, tasks: Any = None) -> LinearByKind:
        """Learn from rows.

        Parameters
        ----------
        X : (n, d) array, or what `encode` takes
            Rows.
        y : (n, t) array or frame; (n,) with `tasks`
            Labels, NaN where missing; classes as 0, 1, ...
        tasks : (n,) labels, optional
            The task of each row; all tasks are then of one kind.
        """
        kinds = self._kinds
        labels = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y, dtype=np.float64)
        self._encoder = None if self.encode is None else deepcopy(self.encode).fit(X)
        rows = self._rows(X)
        if tasks is not None:
            model = self._model(kinds)
            model.fit(rows, labels, tasks=tasks)
            self._groups, self.tasks_, self.n_iter_ = [([0], model)], model.tasks_, int(np.max(model.n_iter_))
            self.classes_ = model.classes_ if hasattr(model, "classes_") else {}
            return self
        labels = labels.reshape(len(labels), -1)
        if labels.shape[1] != len(kinds):
            raise InputError(f"{len(kinds)} kinds for {labels.shape[1]} columns of y; give one for each.")
        self.tasks_ = np.array(list(getattr(y, "columns", range(len(kinds)))))
        together = [k for k, kind in enumerate(kinds) if kind != "multiclass"]
        groups = ([together] if together else []) + [[k] for k, kind in enumerate(kinds) if kind == "multiclass"]
        self._groups = [(group, self._model([kinds[k] for k in group])) for group in groups]
        names = self.tasks_.tolist()
        self.classes_ = {names[k]: np.array([0.0, 1.0]) for k, kind in enumerate(kinds) if kind == "binary"}
        for group, model in self._groups:
            own = labels[:, group]
            seen = ~np.isnan(own).all(1)
            model.fit(rows[seen], own[seen] if len(group) > 1 else own[seen, 0])
            if kinds[group[0]] == "multiclass":
                self.classes_[names[group[0]]] = model.classes_.astype(np.float64)
        self.n_iter_ = max(int(np.max(model.n_iter_)) for _, model in self._groups)
        return self

    def predict_mean(self, X: Any, tasks: Any = None) -> Floats:
        """Give numbers, chances of class 1, mean counts, of several classes the mean place: (n, t); of groups (n,)."""
        if tasks is not None:
            return self._of_groups(X, tasks)
        return np.column_stack([v if v.ndim == 1 else v @ np.arange(v.shape[1]) for v in self._answers(X)])

    def predict_proba(self, X: Any, tasks: Any = None) -> Any:
        """Give the chances (n, C) of the classes, of every column that has classes; of groups (n, C)."""
        if tasks is not None:
            return np.asarray(self._groups[0][1].predict_proba(self._rows(X), tasks=tasks))
        found = dict(zip(self.tasks_.tolist(), self._answers(X), strict=True))
        return {
            task: np.stack([1 - found[task], found[task]], axis=1) if found[task].ndim == 1 else found[task]
            for task in self.tasks_.tolist()
            if task in self.classes_
        }

    def predict(self, X: Any, tasks: Any = None) -> Floats:
        """Give numbers, the likelier class, mean counts: (n, t), or (n,) of groups; classes as in `fit`."""
        if tasks is not None:
            return np.asarray(self._groups[0][1].predict(self._rows(X), tasks=tasks), dtype=np.float64)
        columns = []
        for task, kind, values in zip(self.tasks_.tolist(), self._kinds, self._answers(X), strict=True):
            if kind == "multiclass":
                values = self.classes_[task][values.argmax(1)]
            columns.append(values > 0.5 if kind == "binary" else values)
        return np.column_stack(columns).astype(np.float64)

    def _of_groups(self, X: Any, tasks: Any) -> Floats:
        """Expected labels of rows that each belong to a task."""
        model, rows = self._groups[0][1], self._rows(X)
        if isinstance(model, MultiTaskClassifier):
            chances = np.asarray(model.predict_proba(rows, tasks=tasks))
            return chances @ np.arange(chances.shape[1])
        return np.asarray(model.predict_mean(rows, tasks=tasks), dtype=np.float64)

    @property
    def _kinds(self) -> list[str]:
        return list(self.kinds.values() if isinstance(self.kinds, Mapping) else self.kinds)

    def _answers(self, X: Any) -> list[Floats]:
        """For each column numbers, chances of class 1 or mean counts (n,); of several classes chances (n, C)."""
        rows, found = self._rows(X), {}
        for group, model in self._groups:
            if self._kinds[group[0]] == "multiclass":
                found[group[0]] = np.asarray(model.predict_proba(rows))
                continue
            two = isinstance(model, MultiTaskClassifier)
            answers = np.asarray(model.predict_proba(rows)[..., 1] if two else model.predict_mean(rows))
            answers = answers.reshape(len(rows), -1)
            found |= {k: answers[:, place] for place, k in enumerate(group)}
        return [found[k] for k in sorted(found)]

    def _rows(self, X: Any) -> Any:
        return np.asarray(X, dtype=np.float64) if self._encoder is None else self._encoder.transform(X)

    def _model(self, kinds: list[str]) -> Any:
        same: dict[str, Any] = {"weighting": self.weighting, "standardize": self.standardize}
        if kinds == ["multiclass"]:
            return MultiTaskClassifier(Ridge("auto"), **same)
        relation: Relation = Pairwise("auto") if self.related and len(kinds) > 1 else Ridge("auto")
        if set(kinds) in ({"binary"}, {"multiclass"}):
            return MultiTaskClassifier(relation, **same)
        return MultiTaskLinear(self.kinds if isinstance(self.kinds, Mapping) else kinds, relation, **same)
