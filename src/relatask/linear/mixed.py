"""Tasks of different kinds in one model: numbers, two classes and counts under one relation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit

from relatask.linear.features import check_names
from relatask.linear.input import reading
from relatask.linear.input.design import Design, as_float, each_label
from relatask.linear.input.labels import listed
from relatask.linear.losses import KINDS, ByTask
from relatask.linear.losses.labels import mean_count
from relatask.linear.losses.model import LossModel, learned, linear_predictor
from relatask.linear.multitask import MultiTaskEstimator, chosen_relation
from relatask.linear.sums.forms import Array
from relatask.notices import InputError
from relatask.relations import Relation


class MultiTaskLinear(MultiTaskEstimator):
    """Generalised linear models of related tasks of several kinds, under one relation.

    ``min over W, b   sum_k c_k sum_i s_i loss_k(x_i w_k + b_k, y_i) + R(W)``

    with half the squared error for ``"regression"`` (of targets in units of their standard deviation), the log loss for
    ``"binary"`` and half the Poisson deviance for ``"count"``: what one unit of the linear predictor means is then of
    one size in all kinds, and the relation compares like with like.

    Parameters
    ----------
    kinds : {task: kind}, or a sequence of t kinds in the order of the columns
        ``"regression"``, ``"binary"`` (labels 0 and 1) or ``"count"`` (labels >= 0).
    relation, weighting, intercept, standardize, solver, tol, max_iter, task_column, warm_start
        As in `MultiTaskClassifier`; a strength of "auto" is chosen on the held-out loss, each task in its own.

    Attributes
    ----------
    coef_ : array (t, d)
        In units of y per unit of each column for numbers, of log-odds for classes, of log means for counts.
    intercept_ : array (t,)
    kinds_ : dict of task to kind
    target_scale_ : array (t,)
        What labels were divided by: the standard deviation of a regression's training labels, 1 for others.
    tasks_, n_labels_, objective_, residual_, n_iter_, relation_, strengths_, path_, n_features_in_
        As in `MultiTaskClassifier`.

    Raises
    ------
    InputError
        For kinds that are unknown, or not one for each task; labels that their kind cannot have.

    References
    ----------
    Nelder, Wedderburn: Generalized linear models, 1972, JRSS A 135.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
    >>> y = np.array([[100.0, 0], [200, 1], [300, 0], [400, 1], [500, np.nan], [600, 1]])
    >>> model = MultiTaskLinear(["regression", "binary"]).fit(X, y)
    >>> model.predict([[0.0], [5.0]]).round().tolist()[1][1], model.predict_mean([[5.0]]).shape
    (1.0, (1, 2))
    """

    _takes_sparse: ClassVar[bool] = True

    kinds_: dict[Hashable, str]
    target_scale_: Array

    def __init__(
        self,
        kinds: Mapping[Hashable, str] | Sequence[str],
        relation: Relation | None = None,
        *,
        weighting: str = "task",
        intercept: str = "free",
        standardize: bool = True,
        solver: str = "auto",
        tol: float = 1e-6,
        max_iter: int = 200,
        task_column: Hashable | None = None,
        warm_start: bool = False,
    ) -> None:
        self.kinds = kinds
        self.relation = relation
        self.weighting = weighting
        self.intercept = intercept
        self.standardize = standardize
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.task_column = task_column
        self.warm_start = warm_start

    def predict_mean(self, X: Any, tasks: Any = None) -> Array:
        """Expected labels: numbers, chances of class 1, mean counts.

        Parameters
        ----------
        X : (n, d)
            Features, as in fit.
        tasks : (n,), optional
            The task of each row; needed where the model was fitted with tasks.

        Returns
        -------
        (n,), or (n, t) where the model was fitted on y (n, t).
        """
        X, codes = self._rows(X, tasks)
        eta = linear_predictor(X, codes, self.coef_, self.intercept_)
        kinds = np.array([self.kinds_[task] for task in self.tasks_.tolist()])
        kind = np.broadcast_to(kinds if codes is None else kinds[codes], eta.shape)
        mean = np.where(kind == "binary", expit(eta), eta)
        return np.where(kind == "count", mean_count(eta), mean)

    def predict(self, X: Any, tasks: Any = None) -> Array:
        """Predict labels: numbers, the likelier class (0 or 1), mean counts.

        Parameters
        ----------
        X, tasks
            As in `predict_mean`.

        Raises
        ------
        InputError
            For a task that fit has not seen, or tasks missing where they are needed.
        """
        mean = self.predict_mean(X, tasks)
        codes = self._rows(X, tasks)[1]
        binary = np.array([self.kinds_[task] == "binary" for task in self.tasks_.tolist()])
        return np.where(binary if codes is None else binary[codes], (mean > 0.5).astype(np.float64), mean)

    def score(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> float:
        """Mean over tasks of the share of deviance explained, 1 - D_k / D_k(task k's mean in this sample).

        For numbers this is R squared. Tasks whose labels do not vary are left out.

        Parameters
        ----------
        X, y, tasks, sample_weight
            As in fit.

        Returns
        -------
        float, at most 1; NaN where no task's labels vary.
        """
        X, codes = self._rows(X, tasks)
        eta = linear_predictor(X, codes, self.coef_, self.intercept_)
        labels = as_float(reading.in_order(y, self.tasks_) if eta.ndim == 2 else y, "y")
        labels = labels.reshape(-1) if eta.ndim == 1 else labels
        if labels.shape != eta.shape:
            raise InputError(f"y has shape {labels.shape}, but predictions have {eta.shape}.")
        weights = each_label(sample_weight, labels.shape, self.tasks_)
        shares = []
        for k, task in enumerate(self.tasks_.tolist()):
            at = (slice(None), k) if codes is None else (codes == k,)
            shares.append(_explained(labels[at], eta[at], weights[at], self.kinds_[task], float(self.target_scale_[k])))
        defined = [share for share in shares if share == share]
        return float(np.mean(defined)) if defined else float("nan")

    def _fitted(self, X: Any, y: Any, tasks: Any, sample_weight: Any) -> dict[str, Any]:
        """Everything that fit learns, by attribute name."""
        X, tasks = reading.split_task_column(X, tasks, self.task_column)
        probe = reading.Probe()
        X = reading.features(probe, X, reset=True, sparse_too=True)
        layout, design = reading.design(X, y, tasks, sample_weight)
        kinds = _kinds_of(self.kinds, design.tasks.tolist())
        _check_labels(design, kinds)
        shift, scale = _units(design, kinds, centred=self.intercept != "none")
        code = design.codes
        own = (slice(None) if code is None else code,)
        scaled = replace(design, y=(design.y - shift[own]) / scale[own])
        relation = chosen_relation(self.relation).bind(design.tasks.tolist())
        check_names(relation, getattr(probe, "feature_names_in_", None))
        model = LossModel(
            ByTask(tuple(kinds)),
            self.weighting,  # type: ignore[arg-type]
            self.intercept,  # type: ignore[arg-type]
            self.standardize,
            self.solver,
            self.tol,
            self.max_iter,
        )
        start = getattr(self, "_end", None) if self.warm_start else None
        found, facts = learned(scaled, layout, relation, model, start)
        return {
            **vars(probe),
            **facts,
            "coef_": found.coef * scale[:, None],
            "intercept_": found.intercept * scale + shift,
            "components_": {name: piece * scale[:, None] for name, piece in found.components.items()},
            "kinds_": dict(zip(design.tasks.tolist(), kinds, strict=True)),
            "target_scale_": scale,
            "_end": found.start if self.warm_start else None,
        }


def _kinds_of(kinds: Mapping[Hashable, str] | Sequence[str], tasks: list[Hashable]) -> list[str]:
    """One kind a task, in the tasks' order."""
    if isinstance(kinds, str) or not isinstance(kinds, Mapping | Sequence):
        raise InputError(
            f"kinds={kinds!r}; expected {{task: kind}}, or one kind for each of the tasks {listed(tasks)}."
        )
    if isinstance(kinds, Mapping):
        missing = [task for task in tasks if task not in kinds]
        unknown = [task for task in kinds if task not in tasks]
        if missing or unknown:
            told = f"kinds names no kind for {listed(missing)}" if missing else f"kinds names {listed(unknown)}"
            raise InputError(f"{told}; the tasks are {listed(tasks)}: give one of {', '.join(KINDS)} for each.")
        found = [kinds[task] for task in tasks]
    else:
        found = list(kinds)
        if len(found) != len(tasks):
            raise InputError(
                f"kinds has {len(found)} entries for {len(tasks)} tasks ({listed(tasks)}); give one for each."
            )
    for task, kind in zip(tasks, found, strict=True):
        if kind not in KINDS:
            hint = " (several classes: MultiTaskClassifier)" if kind == "multiclass" else ""
            raise InputError(f"kinds: {kind!r} of task {task!r} is unknown; expected one of {', '.join(KINDS)}{hint}.")
    return found


def _check_labels(design: Design, kinds: list[str]) -> None:
    """Raise InputError, by task, for labels that their kind cannot have."""
    for k, (task, kind) in enumerate(zip(design.tasks.tolist(), kinds, strict=True)):
        y = design.y[:, k] if design.codes is None else design.y[design.codes == k]
        try:
            KINDS[kind].check(y[~np.isnan(y)])
        except InputError as error:
            raise InputError(f"task {task!r} (kind {kind!r}): {error}") from None


def _units(design: Design, kinds: list[str], centred: bool) -> tuple[Array, Array]:
    """(t,) means and standard deviations of the regressions' labels; 0 and 1 for other kinds."""
    shift, scale = np.zeros(design.n_tasks), np.ones(design.n_tasks)
    for k, kind in enumerate(kinds):
        if kind != "regression":
            continue
        y = design.y[:, k] if design.codes is None else design.y[design.codes == k]
        s = np.ones(len(design.y)) if design.weights is None else design.weights
        s = s[design.codes == k] if design.codes is not None else s[:, k] if s.ndim == 2 else s
        seen = ~np.isnan(y)
        mean = float(np.average(y[seen], weights=s[seen]))
        spread = float(np.sqrt(np.average(np.square(y[seen] - mean), weights=s[seen])))
        shift[k] = mean if centred else 0.0
        scale[k] = spread if spread > 1e-12 * abs(mean) else 1.0
    return shift, scale


def _explained(y: Array, eta: Array, s: Array, kind: str, scale: float) -> float:
    """The share of one task's deviance that is explained."""
    seen = ~np.isnan(y) & (s > 0)
    y, eta, s = y[seen], eta[seen], s[seen]
    if not len(y) or y.min() == y.max():
        return float("nan")
    loss, mean = KINDS[kind], np.full(len(y), np.average(y, weights=s))
    null = mean if kind == "regression" else loss.null(mean)
    if kind == "regression":
        y, eta, null = y / scale, eta / scale, null / scale
    return 1.0 - float(s @ loss.value(eta, y)) / float(s @ loss.value(null, y))
