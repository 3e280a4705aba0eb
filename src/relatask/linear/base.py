"""What the linear regressors share: squared loss from per-task statistics, and their score."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from relatask.linear.choosing.folds import choose
from relatask.linear.features import check_names
from relatask.linear.fitting import End
from relatask.linear.input import reading
from relatask.linear.input.design import Design, warn_about_labels
from relatask.linear.input.targets import target_scale, task_weights
from relatask.linear.learning import described, learned_squared, learned_under_prior
from relatask.linear.losses import Poisson
from relatask.linear.losses.labels import mean_count
from relatask.linear.losses.named import chosen_loss, learned_under
from relatask.linear.losses.squared import Squared
from relatask.linear.multitask import MultiTaskEstimator
from relatask.linear.newton.solving import LossStart
from relatask.linear.online import updating
from relatask.linear.online.drift import Drift
from relatask.linear.online.tracking import labels_of
from relatask.linear.path import Model, open_strengths, predict_rows
from relatask.linear.scoring import explained
from relatask.linear.sums.statistics import Statistics
from relatask.linear.unseen import codes_with_new, extrapolates, with_new
from relatask.relations import HierarchicalPrior, Relation


class LinearMultiTask(RegressorMixin, MultiTaskEstimator):
    """Linear regression of several tasks. Abstract: `MultiTaskRegressor`, `PooledRegressor`."""

    _takes_sparse: ClassVar[bool] = True
    __metadata_request__partial_fit: ClassVar[dict[str, bool]] = {"tasks": True}

    drift_: Drift | None

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

    def fit_batches(self, batches: Iterable[Any], *, progress: Callable[[int], object] | None = None) -> Self:
        """Fit on rows that come in batches and are forgotten: what stays are sums, so that memory knows no rows.

        The model is that of `fit` on all rows at once, to rounding. A task may appear in any batch.

        Parameters
        ----------
        batches : iterable of tuples
            (X, y), (X, y, tasks) or (X, y, tasks, sample_weight), as in fit; X may be a pyarrow RecordBatch or Table.
        progress : callable, optional
            Called after every batch with the number of rows so far.

        Returns
        -------
        self

        Raises
        ------
        InputError
            For batches that cannot be used, or do not go together (the message says which one), other losses than
            squared, no batch at all; the estimator is then as it was before.

        Notes
        -----
        A strength of "auto" is chosen by five folds, to which rows are dealt out by their number within their task:
        other folds than those of `fit`.
        """
        from relatask.linear.streaming.fitting import learned_from_batches

        return self._stored(learned_from_batches(self, batches, progress))

    def partial_fit(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more rows, exactly: as fit on all rows so far would, from their sums alone.

        Without a fit before, this is fit. Statistics of the new rows are merged with those that are kept, and the model
        is solved again; no earlier row is needed. Groups: new tasks may come at any time, where the relation knows
        them. Columns: y (n, t) of the same columns, NaN where a label is missing. `drift_` then says which tasks left
        their own past.

        Parameters
        ----------
        X, y, tasks, sample_weight
            As in fit.

        Returns
        -------
        self

        Raises
        ------
        InputError
            For input that fit would not take, other features, a relation that does not know a new task, another loss
            than the squared one. The estimator is then as it was before: rows count whole or not at all.

        Warns
        -----
        RelataskWarning
            As fit.

        Notes
        -----
        A strength of "auto" stays as the first fit chose it (`strengths_`): choosing needs rows. Columns are
        standardised anew by all rows. Iterative solvers begin as fit does, and so end where fit ends; with
        ``warm_start=True`` they begin where the last one ended, and end within `tol` of it.

        Examples
        --------
        >>> from relatask.linear import MultiTaskRegressor
        >>> X, y, tasks = np.arange(8.0)[:, None], np.arange(8.0) % 3, list("ababacca")
        >>> model = MultiTaskRegressor().partial_fit(X[:4], y[:4], tasks[:4]).partial_fit(X[4:], y[4:], tasks[4:])
        >>> bool(np.allclose(model.coef_, MultiTaskRegressor().fit(X, y, tasks).coef_))
        True
        """
        if not hasattr(self, "tasks_"):
            return self.fit(X, y, tasks, sample_weight)
        return self._updated(updating.with_rows(self, X, y, tasks, sample_weight))

    def add_task(
        self, name: Hashable, X: Any = None, y: Any = None, sample_weight: Any = None, *, refit: bool = True
    ) -> Self:
        """Take in a new task, with rows or without.

        With rows this is `partial_fit`; with ``refit=False`` no other task is touched, and the new one's coefficients
        are the best given everything else as it was learned: ``w = argmin c/2 ||y - Z w||^2 + R([W; w])``, under a
        prior w's expectation given y. Without rows it has the prior's mean, what the relation extrapolates, or the w of
        least R([W; w]): the others' mean under `Pairwise`, 0 under `Ridge` and under norms of rows. Until all tasks are
        solved again, `objective_` and `residual_` are those of the others.

        Parameters
        ----------
        name : hashable
            The task's label.
        X, y, sample_weight : (n, d), (n,), (n,), optional
            Its rows.
        refit : bool
            Whether all tasks are solved again.

        Returns
        -------
        self

        Raises
        ------
        InputError
            For a task that is known, a relation that does not know it or has no closed form (``refit=False``), rows
            where tasks are columns of y, other features. The estimator is then as it was before.
        """
        return self._updated(updating.with_new_task(self, name, X, y, sample_weight, refit))

    def remove_task(self, name: Hashable) -> Self:
        """Leave out a task and all of its rows, exactly: as fit without them would, at the same strengths.

        Parameters
        ----------
        name : hashable
            The task's label.

        Returns
        -------
        self

        Raises
        ------
        InputError
            For a task that is not there, the only one, a relation given for this very number of tasks.

        Warns
        -----
        RelataskWarning
            RT019 where tasks are columns with holes and features are standardised: by all rows still.
        """
        return self._updated(updating.without_task(self, name))

    def forget(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> Self:
        """Take rows out again: as fit on the others would, to 1e-8 where no digits are lost.

        A task all of whose rows are forgotten stays, without data: it has what the relation says of it (see
        `add_task`); `remove_task` leaves it out. Where tasks are columns, rows are forgotten whole, with all of their
        labels.

        Parameters
        ----------
        X, y, tasks, sample_weight
            Rows as they were added.

        Returns
        -------
        self

        Raises
        ------
        InputError
            For more rows than a task has, rows whose going leaves no sum of squares, with ``track_rows=True`` any row
            that was never added, by its number; for all rows there are, with ``scale_targets=True`` for all of a
            task's. The estimator is then as it was before.

        Warns
        -----
        RelataskWarning
            RT019 where condition number x removed / kept is above 1e6: fit again on what is left.
        """
        return self._updated(updating.without_rows(self, X, y, tasks, sample_weight))

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
        check_names(relation, names)
        model = self._model(stats, design.tasks)
        solved = self._solved(design, layout, stats, relation, model, names)
        seen = labels_of(design).seen() if getattr(self, "track_rows", False) else None
        return {**vars(probe), **described(stats, design.tasks, layout, model), "_seen": seen, **solved}

    def _solved(
        self, design: Design, layout: str, stats: Statistics, relation: Relation, model: Model, names: NDArray | None
    ) -> dict[str, Any]:
        """What the road for this relation and loss learns, by attribute name."""
        if isinstance(relation, HierarchicalPrior):
            return learned_under_prior(dict(vars(self)), stats, relation, model)
        end = getattr(self, "_end", None) if self.warm_start else None
        loss = chosen_loss(getattr(self, "loss", "squared"))
        if loss is not None:
            names_of = ("weighting", "intercept", "standardize", "solver", "tol", "max_iter")
            road = {name: getattr(self, name) for name in names_of}
            road["task_weight"] = task_weights(getattr(self, "task_weight", None), design.tasks)
            earlier = end if isinstance(end, LossStart) else None
            ended, facts = learned_under(loss, design, stats, relation, layout, model.target_scale, earlier, road)
            # Sums stand for the rows under squared loss only.
            return facts | {"_end": ended if self.warm_start else None, "_statistics": None}
        path = None
        if open_strengths(relation):
            relation, path = choose(design, stats, relation, model)
        facts = learned_squared(stats, relation, model, names, end if isinstance(end, End) else None)
        return facts | {"path_": path, "_end": facts["_end"] if self.warm_start else None}

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
