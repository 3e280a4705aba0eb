"""What the linear estimators share: reading input, fitting, predicting, parameters of relations, saving."""

from __future__ import annotations

import inspect
import warnings
from abc import abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from relatask.linear import design as rows
from relatask.linear.datafits import Squared
from relatask.linear.design import Design
from relatask.linear.forms import Array
from relatask.linear.path import Model, Path, choose, open_strengths, predict_rows
from relatask.linear.problem import Solution
from relatask.linear.solvers import SOLVERS, solve
from relatask.linear.solvers.auto import Start
from relatask.linear.statistics import Statistics
from relatask.notices import InputError, RelataskWarning
from relatask.relations import Relation, parameters, with_parameters

WEIGHTINGS = ("sum", "task", "sample")
INTERCEPTS = ("free", "tied", "common", "none")


class NotConverged(RelataskWarning, ConvergenceWarning):
    """RT015: the solver stopped before its tolerance (also scikit-learn's ConvergenceWarning)."""


class LinearMultiTask(RegressorMixin, BaseEstimator):
    """One linear model a task, fitted together. Abstract: `MultiTaskRegressor`, `PooledRegressor`."""

    # Tasks travel with the rows; they are requested by default, so that cross_val_score(params={"tasks": ...}) works.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"tasks": True}
    __metadata_request__predict: ClassVar[dict[str, bool]] = {"tasks": True}
    __metadata_request__score: ClassVar[dict[str, bool]] = {"tasks": True}

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

    @abstractmethod
    def _relation(self) -> Relation:
        """The relation to fit under, not yet bound to the tasks."""

    @property
    @abstractmethod
    def _pooled(self) -> bool:
        """Whether all tasks have one coefficient vector."""

    def fit(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> Self:
        """Fit all tasks together.

        Parameters
        ----------
        X : (n, d)
            Features: array, or pandas or polars frame. No NaN, no infinity.
        y : (n,) or (n, t)
            Labels; NaN where one is missing. Two-dimensional y: a task a column.
        tasks : (n,), optional
            The task of each row, any labels; with y (n,) only. Without it, y (n,) is one task.
        sample_weight : (n,), optional
            Weights >= 0 of the rows.

        Returns
        -------
        self

        Raises
        ------
        InputError
            For input that cannot be used; the estimator is then as it was before.
        """
        self._check_parameters()
        fitted = self._fitted(X, y, tasks, sample_weight)
        # Everything is learned before anything is stored: a fit that fails changes nothing.
        for name, value in fitted.items():
            setattr(self, name, value)
        return self

    def predict(self, X: Any, tasks: Any = None) -> NDArray:
        """Predict each row for its own task, or for every task.

        Parameters
        ----------
        X : (n, d)
            Features, as in fit.
        tasks : (n,), optional
            The task of each row; needed where the model was fitted with tasks.

        Returns
        -------
        (n,) where rows have tasks or there is one task; (n, t) where the model was fitted on y (n, t).

        Raises
        ------
        InputError
            For a task that fit has not seen, or tasks missing where they are needed.
        """
        check_is_fitted(self)
        X, tasks = self._take_task_column(X, tasks)
        X = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))
        if self._layout == "columns":
            if tasks is None:
                return predict_rows(X, None, self.coef_, self.intercept_)
            codes = rows.known_codes(tasks, len(X), self.tasks_)
        elif self._layout == "one":
            codes = np.zeros(len(X), dtype=np.intp)
        elif tasks is None:
            raise InputError(
                f"predict needs tasks: the model was fitted on {len(self.tasks_)} tasks "
                f"({rows.listed(self.tasks_.tolist())}); pass predict(X, tasks=...), one label per row."
            )
        else:
            codes = rows.known_codes(tasks, len(X), self.tasks_)
        return predict_rows(X, codes, self.coef_, self.intercept_)

    def score(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> float:
        """Explained variance within tasks: 1 - sum_k SSE_k / sum_k SST_k over the observed labels.

        SST_k is about task k's own mean in this very sample; with one task this is the usual R squared.

        Parameters
        ----------
        X, y, tasks, sample_weight
            As in fit.

        Returns
        -------
        float, at most 1; NaN where no task's labels vary.
        """
        predicted = self.predict(X, tasks)
        X, tasks = self._take_task_column(X, tasks)
        labels = rows.as_float(y, "y")
        if predicted.ndim == 1:
            labels = labels.reshape(-1)
        if labels.shape != predicted.shape:
            raise InputError(f"y has shape {labels.shape}, but predictions have {predicted.shape}.")
        weights = np.ones(len(labels)) if sample_weight is None else rows.as_float(sample_weight, "sample_weight")
        if labels.ndim == 1:
            one = self._layout == "one" or tasks is None
            codes = np.zeros(len(labels), dtype=np.intp) if one else rows.known_codes(tasks, len(labels), self.tasks_)
        else:
            codes = np.broadcast_to(np.arange(labels.shape[1]), labels.shape).ravel()
            weights = np.repeat(weights, labels.shape[1])
        error, spread = _squares(labels.ravel(), predicted.ravel(), codes, weights)
        return 1.0 - error / spread if spread > 0 else float("nan")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters; with `deep`, the relation's too: `relation__strength`, in a sum `relation__Ridge__strength`."""
        params = super().get_params(deep=False)
        relation = params.get("relation")
        if deep and isinstance(relation, Relation):
            params.update({f"relation__{k}": v for k, v in parameters(relation).items()})
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters; those of the relation replace it by a new one, nothing passed in is mutated."""
        plain = {k: v for k, v in params.items() if not k.startswith("relation__")}
        own = inspect.signature(type(self).__init__).parameters
        for name in plain:
            if name not in own:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self}. Valid parameters are: "
                    f"{[k for k in own if k != 'self']!r}."
                )
        nested = {k.removeprefix("relation__"): v for k, v in params.items() if k.startswith("relation__")}
        if nested:
            relation = plain.get("relation", getattr(self, "relation", None))
            if not isinstance(relation, Relation):
                raise InputError(f"relation is {relation!r}, so relation__{next(iter(nested))} has nothing to set.")
            plain["relation"] = with_parameters(relation, **nested)
        for name, value in plain.items():
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags

    @property
    def _layout(self) -> str:
        """How labels came: "one" task, "groups" of rows, or "columns" of y."""
        return self._fit_layout

    def _fitted(self, X: Any, y: Any, tasks: Any, sample_weight: Any) -> dict[str, Any]:
        """Everything that fit learns, by attribute name."""
        X, tasks = self._take_task_column(X, tasks)
        probe = _Probe()
        # What scikit-learn learns of X's columns is set on a stand-in first, and taken over when all went well.
        X = validate_data(probe, X, dtype=(np.float64, np.float32), ensure_min_samples=1)  # type: ignore[arg-type]
        y = _labels(y)
        layout, design = _design(X, y, tasks, sample_weight)
        stats = design.statistics()
        rows.warn_about_labels(design.tasks, stats.count, stats.yy, stats.mean_y)
        relation = self._relation()
        if not self._pooled:
            relation = relation.bind(design.tasks.tolist())
        model = self._model()
        path = None
        if open_strengths(relation):
            relation, path = choose(design, stats, relation, model)
        solution, start, coef, intercept = self._solve(stats, relation, model)
        if solution.residual > self.tol:
            kind = "duality gap" if solution.certified else "gradient norm"
            warnings.warn(
                NotConverged(
                    f"the {solution.solver} solver stopped after {solution.n_iter} iterations at a relative {kind} of "
                    f"{solution.residual:.1e}, above tol={self.tol:.1e}; raise max_iter or tol.",
                    code="RT015",
                ),
                stacklevel=3,
            )
        return {
            **vars(probe),
            "_fit_layout": layout,
            "_start": (start, solution.W.shape) if self.warm_start else None,
            "coef_": coef,
            "intercept_": intercept,
            "scale_": np.where(stats.spread > 0, stats.spread, 1.0),
            "tasks_": design.tasks,
            "n_labels_": stats.count,
            "objective_": solution.objective,
            "residual_": solution.residual,
            "n_iter_": solution.n_iter,
            "relation_": relation,
            "strengths_": {k: float(v) for k, v in parameters(relation).items() if k.endswith("strength")},
            "path_": path,
        }

    def _solve(self, stats: Statistics, relation: Relation, model: Model) -> tuple[Solution, Start, Array, Array]:
        """Solve on the columns that vary, and give coefficients in original units."""
        scaled, center, scale, problem = model.prepare(stats)
        informative = np.flatnonzero(problem.forms.diagonal().any(0))
        full = problem.shape
        start = getattr(self, "_start", None) if self.warm_start else None
        reduced = problem if len(informative) == full[1] else problem.restricted(informative)
        known = start[0] if start and start[1] == full and reduced is problem else None
        solution, end = solve(
            reduced, relation, solver=model.solver, tol=model.tol, max_iter=model.max_iter, start=known
        )
        W = solution.W
        if reduced is not problem:
            W = np.zeros(full)
            W[:, informative] = solution.W
        coef, intercept = model.coefficients(scaled, center, scale, W)
        return solution, end, coef, intercept

    def _model(self) -> Model:
        fit = Squared(self.weighting, self.intercept)  # type: ignore[arg-type]
        return Model(fit, self.standardize, self._pooled, self.solver, self.tol, self.max_iter)

    def _check_parameters(self) -> None:
        for name, allowed in (("weighting", WEIGHTINGS), ("intercept", INTERCEPTS), ("solver", SOLVERS)):
            value = getattr(self, name, None)
            if value is not None and value not in allowed:
                raise InputError(f"{name}={value!r} is unknown; expected one of {', '.join(map(repr, allowed))}.")
        if not (isinstance(self.tol, int | float) and 0 < self.tol < 1):
            raise InputError(f"tol={self.tol!r} is not usable; expected a number between 0 and 1.")
        if not (isinstance(self.max_iter, int | np.integer) and self.max_iter >= 1):
            raise InputError(f"max_iter={self.max_iter!r} is not usable; expected a whole number >= 1.")

    def _take_task_column(self, X: Any, tasks: Any) -> tuple[Any, Any]:
        """Split the task column off a frame."""
        if self.task_column is None:
            return X, tasks
        if not hasattr(X, "columns"):
            raise InputError(
                f"task_column={self.task_column!r} needs a pandas or polars frame, given {type(X).__name__}."
            )
        if self.task_column not in list(X.columns):
            raise InputError(
                f"task_column={self.task_column!r} is not among the columns {rows.listed(list(X.columns))}."
            )
        column = X[self.task_column]
        rest = [c for c in X.columns if c != self.task_column]
        return X[rest], column if tasks is None else tasks


class _Probe(BaseEstimator):
    """Stands in for the estimator while scikit-learn looks at X."""


def _labels(y: Any) -> Any:
    """Refuse y that is not there in the words that scikit-learn's checks look for."""
    if y is None:
        raise InputError("requires y to be passed, but the target y is None.")
    return y


def _design(X: NDArray, y: Any, tasks: Any, sample_weight: Any) -> tuple[str, Design]:
    """Rows with one label each, or one label a task."""
    shape = getattr(y, "shape", None) or np.shape(y)
    if len(shape) == 2 and shape[1] == 1 and tasks is None and not hasattr(y, "columns"):
        warnings.warn(_column_vector(), stacklevel=5)
        y, shape = np.asarray(y).reshape(-1), shape[:1]
    if len(shape) == 2 and shape[1] >= 1 and tasks is None:
        names = list(y.columns) if hasattr(y, "columns") else None
        return "columns", rows.column_design(X, y, names, sample_weight)
    if len(shape) == 2 and shape[1] > 1:
        raise InputError(f"y has shape {shape} and tasks are given too; pass y (n,) with tasks, or y (n, t) without.")
    if len(shape) not in (1, 2):
        raise InputError(f"y has shape {shape}; expected (n,), or (n, t) with a task a column.")
    return "one" if tasks is None else "groups", rows.grouped_design(X, y, tasks, sample_weight)


def _column_vector() -> Warning:
    from sklearn.exceptions import DataConversionWarning

    return DataConversionWarning("A column-vector y was passed when a 1d array was expected; it is read as (n,).")


def _squares(y: Array, predicted: Array, codes: NDArray, weights: Array) -> tuple[float, float]:
    """Sums of squared errors, and of squares about each task's mean, over observed labels."""
    seen = ~np.isnan(y)
    y, predicted, codes, s = y[seen], predicted[seen], codes[seen], weights[seen]
    total = np.bincount(codes, s)
    mean = np.divide(np.bincount(codes, s * y), total, out=np.zeros(len(total)), where=total > 0)
    return float(s @ np.square(y - predicted)), float(s @ np.square(y - mean[codes]))
