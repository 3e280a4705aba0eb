"""The pooled baselines of regression: one coefficient vector for all tasks."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from numpy.typing import NDArray

from relatask.linear.base import LinearMultiTask
from relatask.notices import InputError
from relatask.relations import Relation, Ridge


class PooledRegressor(LinearMultiTask):
    """One coefficient vector for all tasks, with ridge: the baselines that a relation has to beat.

    ``intercept="common"`` is the pooled model, ``"free"`` has pooled slopes and own intercepts. The objective is that
    of `MultiTaskRegressor` with all w_k equal and ``R = strength/2 ||w||^2``.

    Parameters
    ----------
    strength : float or "auto"
        Of the ridge on the one coefficient vector.
    intercept : {"common", "free", "none"}
        As in `MultiTaskRegressor`.
    weighting, standardize, solver, tol, max_iter, task_column, warm_start, track_rows
        As in `MultiTaskRegressor`.

    Attributes
    ----------
    coef_ : (t, d)
        t equal rows. The others are those of `MultiTaskRegressor`.

    Raises
    ------
    InputError
        For input or parameters that cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [2.0], [0.0], [1.0], [2.0]])
    >>> y = np.array([0.0, 1.0, 2.0, 1.0, 2.0, 3.0])
    >>> model = PooledRegressor(0.0, intercept="free").fit(X, y, ["a", "a", "a", "b", "b", "b"])
    >>> model.coef_.round(6).ravel(), model.intercept_.round(6)
    (array([1., 1.]), array([0., 1.]))
    """

    def __init__(
        self,
        strength: float | str = "auto",
        *,
        weighting: str = "sample",
        intercept: str = "common",
        standardize: bool = True,
        solver: str = "auto",
        tol: float = 1e-6,
        max_iter: int = 10_000,
        task_column: Hashable | None = None,
        warm_start: bool = False,
        track_rows: bool = False,
    ) -> None:
        self.strength = strength
        self.weighting = weighting
        self.intercept = intercept
        self.standardize = standardize
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.task_column = task_column
        self.warm_start = warm_start
        self.track_rows = track_rows

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
        (n,), or (n, t) where the model was fitted on y (n, t); in the units of y

        Raises
        ------
        InputError
            For a task that fit has not seen, or tasks missing where they are needed.
        """
        return self._predicted(X, tasks)

    def _relation(self) -> Relation:
        if self.intercept == "tied":
            raise InputError(
                "intercept='tied' ties tasks under a relation; pooled models take 'common', 'free' or 'none'."
            )
        return Ridge(self.strength)  # type: ignore[arg-type]

    @property
    def _pooled(self) -> bool:
        return True
