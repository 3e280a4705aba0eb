"""One coefficient vector for all tasks, of classes or of counts: the baselines that a relation has to beat there."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from relatask.linear.input import reading
from relatask.linear.input.design import as_float, as_weights
from relatask.linear.input.labels import encode_tasks, known_codes, task_labels
from relatask.linear.losses import KINDS
from relatask.linear.losses.labels import mean_count
from relatask.linear.mixed import MultiTaskLinear
from relatask.linear.path import Path
from relatask.linear.sums.forms import Array
from relatask.notices import InputError
from relatask.relations import Pairwise, Relation, Ridge

EQUAL = 1e4
"""Where intercepts are the tasks' own, coefficients are tied this much more strongly than the labels can pull: ten
times more, and rounding stops Newton's steps at a relative gradient of 2e-6."""


class PooledLinear(BaseEstimator):
    """One generalised linear model for all tasks, with ridge; the intercept common, or each task's own.

    ``min over w, b   sum_k c_k sum_i s_i loss(x_i w + b_k, y_i) + strength/2 ||w||^2``

    with the log loss for kind ``"binary"`` (labels 0 and 1) and half the Poisson deviance for ``"count"``. With a
    common intercept the tasks' rows are one task. With own ones the tasks are tied by ``Pairwise`` so strongly that
    their coefficients nearly agree, and the mean over tasks is taken: within 2e-5 of the exact minimum, tests say,
    and not so strongly that rounding would stop the solver before its tolerance. For numbers: `PooledRegressor`.

    Parameters
    ----------
    kind : {"binary", "count"}
    strength : float or "auto"
        Of the ridge on the one coefficient vector; "auto" is chosen on the held-out loss.
    intercept : {"common", "free"}
        "free": each task its own.
    weighting, standardize, solver, tol, max_iter, task_column
        As in `MultiTaskLinear`.

    Attributes
    ----------
    coef_ : array (t, d)
        t equal rows.
    intercept_ : array (t,)
    tasks_, residual_, n_iter_, strengths_, path_
        As in `MultiTaskLinear`.

    Raises
    ------
    InputError
        For input or parameters that cannot be used.

    References
    ----------
    Nelder, Wedderburn: Generalized linear models, 1972, JRSS A 135.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [0.0], [1.0], [2.0], [3.0]])
    >>> y, tasks = np.array([0.0, 0, 1, 1, 0, 0, 0, 1]), ["a"] * 4 + ["b"] * 4
    >>> model = PooledLinear("binary", 0.1, intercept="free").fit(X, y, tasks)
    >>> bool(model.intercept_[0] > model.intercept_[1]), model.predict([[0.0], [3.0]], ["b", "a"]).tolist()
    (True, [0.0, 1.0])
    """

    __metadata_request__fit: ClassVar[dict[str, bool]] = {"tasks": True}
    __metadata_request__predict: ClassVar[dict[str, bool]] = {"tasks": True}

    coef_: Array
    intercept_: Array
    tasks_: NDArray
    residual_: float
    n_iter_: int
    strengths_: dict[str, float]
    path_: Path | None
    _columns: bool

    def __init__(
        self,
        kind: str = "binary",
        strength: float | str = "auto",
        *,
        intercept: str = "common",
        weighting: str = "sample",
        standardize: bool = True,
        solver: str = "auto",
        tol: float = 1e-6,
        max_iter: int = 200,
        task_column: Hashable | None = None,
    ) -> None:
        self.kind = kind
        self.strength = strength
        self.intercept = intercept
        self.weighting = weighting
        self.standardize = standardize
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.task_column = task_column

    def fit(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> Self:
        """Fit all tasks as one.

        Parameters
        ----------
        X : (n, d)
            Features.
        y : (n,) or (n, t)
            Labels; NaN where one is missing. Two-dimensional y: a task a column.
        tasks : (n,), optional
            The task of each row.
        sample_weight : (n,), optional
            Weights >= 0 of the rows.

        Returns
        -------
        self
        """
        self._check()
        X, tasks = reading.split_task_column(X, tasks, self.task_column)
        X = reading.features(self, X, reset=True)
        labels = as_float(y, "y")
        self._columns = labels.ndim == 2 and labels.shape[1] > 1
        labels = labels if self._columns else labels.reshape(-1)
        names, codes = self._tasks(y, tasks, labels)
        row, label, code = _flat(labels, codes)
        weight = as_weights(sample_weight, len(labels))
        weight = np.ones(len(row)) if weight is None else np.asarray(weight, dtype=np.float64)[row]
        weight = weight * _share(self.weighting, np.bincount(code, weight, len(names)).astype(np.float64))[code]
        common = self.intercept == "common"
        model = MultiTaskLinear(
            [self.kind] * (1 if common else len(names)),
            Ridge(self.strength) if common else self._tied(label, weight, code, len(names)),  # type: ignore[arg-type]
            weighting="sum",
            standardize=self.standardize,
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
        )
        model.fit(X[row], label, None if common else code, sample_weight=weight)
        times = 1 if common else len(names)
        self.coef_ = np.tile(model.coef_.mean(0), (len(names), 1))
        self.intercept_ = np.broadcast_to(model.intercept_, len(names)).copy()
        self.tasks_, self.residual_, self.n_iter_ = names, model.residual_, model.n_iter_
        name = "strength" if common else "Ridge__strength"
        self.strengths_ = {"strength": model.strengths_[name] * times}
        self.path_ = model.path_
        return self

    def predict_mean(self, X: Any, tasks: Any = None) -> Array:
        """Chances of class 1, or mean counts.

        Parameters
        ----------
        X : (n, d)
            Features, as in fit.
        tasks : (n,), optional
            The task of each row; needed where intercepts are the tasks' own.

        Returns
        -------
        (n,), or (n, t) where the model was fitted on y (n, t).
        """
        check_is_fitted(self)
        X, tasks = reading.split_task_column(X, tasks, self.task_column)
        X = reading.features(self, X, reset=False)
        eta = np.asarray(X @ self.coef_[0])
        if self._columns:
            eta = eta[:, None] + self.intercept_
        elif self.intercept == "common" or len(self.tasks_) == 1:
            eta = eta + self.intercept_[0]
        elif tasks is None:
            raise InputError("predict needs tasks: each has its own intercept; pass predict(X, tasks=...).")
        else:
            eta = eta + self.intercept_[known_codes(tasks, len(eta), self.tasks_)]
        return np.asarray(expit(eta)) if self.kind == "binary" else mean_count(eta)

    def predict(self, X: Any, tasks: Any = None) -> Array:
        """Predict labels: the likelier class (0 or 1), or mean counts.

        Parameters
        ----------
        X, tasks
            As in `predict_mean`.
        """
        mean = self.predict_mean(X, tasks)
        return (mean > 0.5).astype(np.float64) if self.kind == "binary" else mean

    def _check(self) -> None:
        if self.kind not in ("binary", "count"):
            raise InputError(
                f"PooledLinear: kind={self.kind!r}; expected 'binary' or 'count' (numbers: PooledRegressor)."
            )
        if self.intercept not in ("common", "free"):
            raise InputError(f"PooledLinear: intercept={self.intercept!r}; expected 'common' or 'free'.")
        if self.weighting not in ("sum", "task", "sample"):
            raise InputError(f"PooledLinear: weighting={self.weighting!r}; expected 'sum', 'task' or 'sample'.")

    def _tasks(self, y: Any, tasks: Any, labels: Array) -> tuple[NDArray, NDArray[np.intp] | None]:
        if not self._columns:
            if tasks is None:
                return np.array(["y"]), np.zeros(len(labels), dtype=np.intp)
            return encode_tasks(task_labels(tasks, len(labels)), len(labels))
        if tasks is not None:
            raise InputError(f"y has shape {labels.shape} and tasks are given too; pass one of the two.")
        return np.array(list(getattr(y, "columns", range(labels.shape[1])))), None

    def _tied(self, label: Array, weight: Array, code: NDArray[np.intp], t: int) -> Relation:
        """Ridge on each of t equal vectors, and what makes them equal."""
        KINDS[self.kind].check(label)
        pull = float(np.bincount(code, weight * (label if self.kind == "count" else 0.25), t).max()) or 1.0
        ridge = self.strength if isinstance(self.strength, str) else self.strength / t
        return Ridge(ridge) + Pairwise(EQUAL * pull / t)  # type: ignore[arg-type]


def _flat(labels: Array, codes: NDArray[np.intp] | None) -> tuple[NDArray[np.intp], Array, NDArray[np.intp]]:
    """The observed labels: row, label and task of each.

    Raises
    ------
    InputError
        Where there is none.
    """
    seen = ~np.isnan(labels)
    if not seen.any():
        raise InputError("y holds no label: every value is NaN.")
    if codes is None:
        row, code = np.nonzero(seen)
        return row, labels[seen], code
    return np.flatnonzero(seen), labels[seen], codes[seen]


def _share(weighting: str, total: Array) -> Array:
    """(t,) the weight of each task's loss, from the sums of its labels' weights."""
    if weighting == "task":
        return np.divide(1.0, total, out=np.zeros(len(total)), where=total > 0)
    return np.full(len(total), len(total) / total.sum() if weighting == "sample" else 1.0)
