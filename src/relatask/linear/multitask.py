"""What every multi-task estimator shares: fitting whole or not at all, tasks at predict, parameters, saving."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Hashable
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from relatask.linear import saving
from relatask.linear.input import reading
from relatask.linear.input.blocks import filled
from relatask.linear.input.labels import known_codes, listed
from relatask.linear.nested import nested, resolved
from relatask.linear.path import Path
from relatask.linear.solvers import SOLVERS
from relatask.linear.sums.forms import Array
from relatask.notices import InputError
from relatask.relations import HierarchicalPrior, Pairwise, Relation

WEIGHTINGS = ("sum", "task", "sample")
INTERCEPTS = ("free", "tied", "common", "none")

PRIOR_FACTS = ("prior_mean_", "prior_intercept_", "prior_covariance_", "noise_", "log_likelihood_", "uncertainty_")
"""What is learned under a prior only."""


class MultiTaskEstimator(BaseEstimator):
    """A linear model a task, fitted together. Abstract."""

    # Tasks travel with the rows; they are requested by default, so that cross_val_score(params={"tasks": ...}) works.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"tasks": True}
    __metadata_request__predict: ClassVar[dict[str, bool]] = {"tasks": True}
    __metadata_request__score: ClassVar[dict[str, bool]] = {"tasks": True}
    _takes_sparse: ClassVar[bool] = False

    weighting: str
    intercept: str
    standardize: bool
    solver: str
    tol: float
    max_iter: int
    task_column: Hashable | None
    warm_start: bool

    coef_: Array
    intercept_: Array
    tasks_: NDArray
    n_labels_: NDArray
    objective_: float
    residual_: float
    n_iter_: int
    relation_: Relation
    strengths_: dict[str, float]
    path_: Path | None
    absent_: NDArray | None
    fill_: Array
    _fit_layout: str
    """How labels came: "one" task, "groups" of rows, or "columns" of y."""

    @abstractmethod
    def _fitted(self, X: Any, y: Any, tasks: Any, sample_weight: Any) -> dict[str, Any]:
        """Everything that fit learns, by attribute name."""

    def fit(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> Self:
        """Fit all tasks together.

        Parameters
        ----------
        X : (n, d)
            Features: array, or pandas or polars frame. No NaN, no infinity. Or scipy's sparse matrices and
            arrays, which are never made dense.
        y : (n,) or (n, t)
            Labels; NaN where one is missing. Two-dimensional y: a task a column.
        tasks : (n,), optional
            The task of each row, any labels; with y (n,) only. Without it, y (n,) is one task.
        sample_weight : (n,) or (n, t), optional
            Weights >= 0 of the rows; with y (n, t) also one per label. A label of weight 0 is not seen.

        Returns
        -------
        self

        Raises
        ------
        InputError
            For input that cannot be used; the estimator is then as it was before.

        Warns
        -----
        RelataskWarning
            RT005: few labels or a constant target; RT015: the solver stopped before its tolerance; RT017: columns
            whose coefficients are not determined.
        """
        self._check_parameters()
        return self._stored(self._fitted(X, y, tasks, sample_weight))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters; with `deep`, the relation's too: `relation__strength`, in a sum `relation__Ridge__strength`."""
        params = super().get_params(deep=False)
        return {**params, **nested(params.get("relation"))} if deep else params

    def set_params(self, **params: Any) -> Self:
        """Set parameters; those of the relation replace it by a new one, nothing passed in is mutated."""
        own = list(super().get_params(deep=False))
        for name, value in resolved(params, own, getattr(self, "relation", None), type(self).__name__).items():
            setattr(self, name, value)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to `path.json` and `path.npz`: no pickle, safe to load from anyone.

        Parameters
        ----------
        path : path-like
            Without suffix, or with one of the two. Files of that name are replaced.

        Raises
        ------
        InputError
            For labels other than numbers, text and tuples of these.
        """
        check_is_fitted(self)
        learned = {k: v for k, v in sorted(vars(self).items()) if k.endswith("_") or k in saving.KEPT}
        saving.save(path, type(self).__name__, super().get_params(deep=False), learned)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model that `save` wrote; it predicts bit for bit as before.

        Parameters
        ----------
        path : path-like
            As given to `save`.

        Raises
        ------
        InputError
            If a file is missing, damaged, cut short, of another version, or holds another class.
        """
        params, learned = saving.load(path, cls.__name__, cls._get_param_names())
        return cls(**params)._updated(learned)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        tags.input_tags.sparse = self._takes_sparse
        tags.input_tags.allow_nan = self._takes_blocks
        return tags

    def _stored(self, fitted: dict[str, Any]) -> Self:
        """Take over what was learned, all of it or nothing; what an earlier fit learned, and this one did not, goes."""
        stale = {name for name in vars(self) if name.endswith("_") and not name.startswith("_")}
        self.__dict__ = {name: value for name, value in vars(self).items() if name not in stale} | fitted
        return self

    def _updated(self, found: dict[str, Any]) -> Self:
        """Take over what changed, all of it at once; the rest of what was learned stays, but for an earlier prior's."""
        prior = isinstance(found.get("relation_"), HierarchicalPrior)
        stale = {"_influence"} if prior or "relation_" not in found else {"_influence", *PRIOR_FACTS}
        self.__dict__ = {name: value for name, value in vars(self).items() if name not in stale} | found
        return self

    def _rows(self, X: Any, tasks: Any) -> tuple[Any, NDArray[np.intp] | None]:
        """What predict was given: features, and the task of each row, None where every row is for all tasks."""
        check_is_fitted(self)
        X, tasks = reading.split_task_column(X, tasks, self.task_column)
        X = reading.features(self, X, reset=False, missing=self._takes_blocks, sparse_too=self._takes_sparse)
        codes = self._codes(tasks, X.shape[0])
        return filled(X, codes, self.absent_, self.fill_, self.tasks_) if self._takes_blocks else X, codes

    @property
    def _takes_blocks(self) -> bool:
        """Whether a task may lack features."""
        return getattr(self, "missing_features", "error") == "block"

    def _codes(self, tasks: Any, n: int) -> NDArray[np.intp] | None:
        """The task of each of n rows; None where every row is for all tasks."""
        if self._fit_layout == "one":
            if tasks is not None:
                raise InputError(
                    "tasks are given, but the model was fitted without; fit it with tasks, or leave them out."
                )
            return np.zeros(n, dtype=np.intp)
        if tasks is not None:
            return known_codes(tasks, n, self.tasks_)
        if self._fit_layout == "columns":
            return None
        raise InputError(
            f"predict needs tasks: the model was fitted on {len(self.tasks_)} tasks "
            f"({listed(self.tasks_.tolist())}); pass predict(X, tasks=...), one label per row."
        )

    def _check_parameters(self) -> None:
        for name, allowed in (("weighting", WEIGHTINGS), ("intercept", INTERCEPTS), ("solver", SOLVERS)):
            value = getattr(self, name)
            if value not in allowed:
                raise InputError(f"{name}={value!r} is unknown; expected one of {', '.join(map(repr, allowed))}.")
        if not (isinstance(self.tol, Real) and 0 < self.tol < 1):
            raise InputError(f"tol={self.tol!r} is not usable; expected a number between 0 and 1.")
        if not (isinstance(self.max_iter, int | np.integer) and self.max_iter >= 1):
            raise InputError(f"max_iter={self.max_iter!r} is not usable; expected a whole number >= 1.")


def chosen_relation(relation: Any) -> Relation:
    """The relation that an estimator was given; None means ``Pairwise(1.0)``.

    Raises
    ------
    InputError
        For what is not a relation.
    """
    if relation is None:
        return Pairwise(1.0)
    if not isinstance(relation, Relation):
        raise InputError(
            f"relation={relation!r} is not a relation; expected one of relatask.relations, such as Pairwise(1.0)."
        )
    return relation
