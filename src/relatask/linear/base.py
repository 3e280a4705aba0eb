"""What the linear regressors share: squared loss from per-task statistics, and their score."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from relatask.linear.choosing.folds import choose
from relatask.linear.choosing.folds import choose
from relatask.linear.fitting import End, fit_statistics
from relatask.linear.input import reading
from relatask.linear.input.design import Design, warn_about_labels
from relatask.linear.input.targets import target_scale, task_weights
from relatask.linear.losses import Poisson
from relatask.linear.losses.labels import mean_count
from relatask.linear.losses.named import chosen_loss, learned_under
from relatask.linear.losses.squared import Squared
from relatask.linear.multitask import MultiTaskEstimator
from relatask.linear.newton.solving import LossStart
from relatask.linear.path import Model, open_strengths, predict_rows
from relatask.linear.prior.model import check_settings, learned_prior
from relatask.linear.scoring import explained
from relatask.linear.sums.statistics import Statistics
from relatask.linear.unseen import codes_with_new, extrapolates, with_new
from relatask.notices import InputError
from relatask.relations import HierarchicalPrior, Relation, strengths


class LinearMultiTask(RegressorMixin, MultiTaskEstimator):
    """Linear regression of several tasks. Abstract: `MultiTaskRegressor`, `PooledRegressor`."""

    _takes_sparse: ClassVar[bool] = True

    @abstractmethod
    def _relation(self) -> Relation:
        """The relation to fit under, not yet bound to the tasks."""

    @property
    @abstractmethod
    def _pooled(self) -> bool:
        """Whether all tasks have one coefficient vector."""

    @abstractmethod
    def predict(self, X: Any, tasks: Any = None) -> Any:
        """Predict each row for its own task, or for every task."""

    def _predicted(self, X: Any, tasks: Any) -> NDArray:
        """Predictions (n,) or (n, t)."""
        labels = reading.split_task_column(X, tasks, self.task_column)[1]
        X, codes = self._rows(X, tasks)
        coef, intercept = self.coef_, self.intercept_
        if codes is not None and codes.size and codes.max() >= len(self.tasks_):
            coef, intercept = with_new(self, codes_with_new(labels, len(codes), self.tasks_)[1])
        eta = predict_rows(X, codes, coef, intercept)
        counts = isinstance(chosen_loss(getattr(self, "loss", "squared")), Poisson)
        return mean_count(eta) if counts else eta

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
        return explained(self, X, y, tasks, sample_weight)

    def _fitted(self, X: Any, y: Any, tasks: Any, sample_weight: Any) -> dict[str, Any]:
        """Everything that fit learns, by attribute name."""
        X, tasks = reading.split_task_column(X, tasks, self.task_column)
        # What scikit-learn learns of X's columns is set on a stand-in first, and taken over when all went well.
        probe = reading.Probe()
        X = reading.features(probe, X, reset=True, missing=self._takes_blocks, sparse_too=True)
        names = getattr(probe, "feature_names_in_", None)
        layout, design = reading.design(X, y, tasks, sample_weight, names if self._takes_blocks else None)
        with np.errstate(over="ignore", invalid="ignore"):
            stats = design.statistics()
        reading.check_sums(stats)
        warn_about_labels(design.tasks, stats.count, stats.yy, stats.mean_y)
        relation = self._relation()
        if not self._pooled:
            relation = relation.bind(design.tasks.tolist())
        model = self._model(stats, design.tasks)
        solved = self._solved(design, layout, stats, relation, model, names)
        return {
            **vars(probe),
            "_fit_layout": layout,
            "_end": None,
            "_statistics": stats,
            "scale_": np.where(stats.spread > 0, stats.spread, 1.0),
            "target_scale_": np.ones(stats.n_tasks) if model.target_scale is None else model.target_scale,
            "absent_": stats.absent,
            "fill_": stats.center,
            "tasks_": design.tasks,
            "n_labels_": stats.count,
            **solved,
        }

    def _solved(
        self, design: Design, layout: str, stats: Statistics, relation: Relation, model: Model, names: NDArray | None
    ) -> dict[str, Any]:
        """What the road for this relation and loss learns, by attribute name."""
        if isinstance(relation, HierarchicalPrior):
            check_settings(dict(vars(self)), stats)
            road = {name: getattr(self, name) for name in ("intercept", "standardize", "tol", "max_iter")}
            return learned_prior(stats, relation, model.target_scale, **road)
        end = getattr(self, "_end", None) if self.warm_start else None
        loss = chosen_loss(getattr(self, "loss", "squared"))
        if loss is not None:
            names_of = ("weighting", "intercept", "standardize", "solver", "tol", "max_iter")
            road = {name: getattr(self, name) for name in names_of}
            road["task_weight"] = task_weights(getattr(self, "task_weight", None), design.tasks)
            earlier = end if isinstance(end, LossStart) else None
            ended, facts = learned_under(loss, design, stats, relation, layout, model.target_scale, earlier, road)
            return facts | {"_end": ended if self.warm_start else None}
        path = None
        if open_strengths(relation):
            relation, path = choose(design, stats, relation, model)
        end = end if isinstance(end, End) else None
        fitted = fit_statistics(stats, relation, model, names, end)
        solution = fitted.solution
        return {
            "_end": fitted.end if self.warm_start else None,
            "coef_": fitted.coef,
            "intercept_": fitted.intercept,
            "fill_": fitted.fill,
            "objective_": solution.objective,
            "residual_": solution.residual,
            "n_iter_": solution.n_iter,
            "relation_": fitted.relation,
            "components_": fitted.components,
            "strengths_": {k: float(v) for k, v in strengths(relation).items()},
            "path_": path,
        }

    def _codes(self, tasks: Any, n: int) -> NDArray[np.intp] | None:
        """The task of each of n rows, tasks never seen behind the others; None where every row is for all tasks."""
        if tasks is None or self._fit_layout == "one" or not extrapolates(self.relation_):
            return super()._codes(tasks, n)
        return codes_with_new(tasks, n, self.tasks_)[0]

    def _model(self, stats: Statistics, tasks: NDArray) -> Model:
        weights = task_weights(getattr(self, "task_weight", None), tasks)
        fit = Squared(self.weighting, self.intercept, None if weights is None else tuple(weights.tolist()))  # type: ignore[arg-type]
        scale = target_scale(stats) if getattr(self, "scale_targets", False) else None
        return Model(fit, self.standardize, self._pooled, self.solver, self.tol, self.max_iter, scale)
