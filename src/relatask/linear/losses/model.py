"""Fitting under a loss other than the squared one: what the estimators share, and how strengths are chosen there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.choosing.folds import by_task, cross_validated
from relatask.linear.fitting import tell_idle, tell_unconverged
from relatask.linear.input.design import Design
from relatask.linear.input.labels import listed
from relatask.linear.losses import AnyLoss, ByTask, Loss, Multinomial, RootSquared
from relatask.linear.losses.squared import Intercept, Weighting
from relatask.linear.newton.local import DataTerm
from relatask.linear.newton.prepare import Prepared, prepared
from relatask.linear.newton.solving import LossSolution, LossStart, data_term, solve_prepared
from relatask.linear.path import PATH_TOL, Path, open_strengths, predict_rows, reach_of
from relatask.linear.problem import Columns
from relatask.linear.sums.forms import Array
from relatask.notices import InputError, RelataskWarning, tell
from relatask.relations import Relation, strengths, with_parameters

STEPS = 200
"""Newton steps at most, unless an estimator's max_iter says fewer."""


@dataclass(frozen=True, eq=False)
class LossModel:
    """What is fitted, apart from the relation."""

    loss: AnyLoss
    weighting: Weighting
    intercept: Intercept
    standardize: bool
    solver: str
    tol: float
    max_iter: int
    task_weight: Array | None = None

    def prepare(self, design: Design) -> Prepared:
        """Rows scaled, centred and sorted."""
        shape = prepared(
            design.X,
            design.y,
            design.codes,
            design.n_tasks,
            design.weights,
            self.weighting,
            self.intercept,
            self.standardize,
        )
        return shape if self.task_weight is None else replace(shape, c=shape.c * self.task_weight)

    def solve(self, design: Design, relation: Relation, start: LossStart | None = None) -> LossSolution:
        """Fit under a relation whose strengths are numbers."""
        shape = self.prepare(design)
        return self.solve_prepared(shape, data_term(shape, self.loss), relation, start)

    def solve_prepared(
        self, shape: Prepared, data: DataTerm, relation: Relation, start: LossStart | None = None
    ) -> LossSolution:
        """The same for rows that are prepared: once for many relations."""
        return solve_prepared(
            shape,
            data,
            self.loss,
            relation,
            solver=self.solver,
            tol=self.tol,
            max_iter=min(self.max_iter, STEPS),
            start=start,
        )

    def choose(self, design: Design, relation: Relation) -> tuple[Relation, Path]:
        """Fill the relation's open strengths by cross-validation within tasks, on the held-out loss."""
        errors_of = partial(fold_losses, relation, self)
        return cross_validated(design, label_counts(design), relation, self.reach(design), errors_of)

    def reach(self, design: Design) -> Callable[[Relation, str], tuple[float, float]]:
        """How far strengths reach for these rows."""
        correlations, curvature, columns = self._at_zero(design)
        return partial(reach_of, correlations=correlations, curvature=curvature, columns=columns)

    def _at_zero(self, design: Design) -> tuple[list[Array], float, Columns]:
        """Minus the gradient at W = 0, one (t, p) a class, the mean diagonal of the curvature, and the columns."""
        shape = self.prepare(design)
        data = data_term(shape, self.loss)
        zero = data.zero()
        slopes = data.slopes(zero)
        curvature = float(data.local(zero, slopes, 0.0).forms.diagonal().mean()) or 1.0
        n_classes = self.loss.n_classes if isinstance(self.loss, Multinomial) else 1
        return np.split(-slopes.W, n_classes, axis=1), curvature, Columns.scaled(shape.scale, shape.shape[1])


def learned(
    design: Design, layout: str, relation: Relation, model: LossModel, start: LossStart | None
) -> tuple[LossSolution, dict[str, Any]]:
    """Fit, and give what every estimator stores; warnings are told on the way."""
    if relation.alone:
        name = type(relation).__name__
        raise InputError(
            f"{name} is for the squared loss alone, given {type(model.loss).__name__}; fit it by MultiTaskRegressor "
            "with loss='squared', or take a convex relation here, such as Pairwise."
        )
    path = None
    if open_strengths(relation):
        relation, path = model.choose(design, relation)
    found = model.solve(design, relation, start)
    solution = found.solution
    if solution.residual > model.tol:
        tell_unconverged(solution, model.tol)
    tell_idle(relation, found.coef.shape[-2:])
    return found, {
        "_fit_layout": layout,
        "tasks_": design.tasks,
        "n_labels_": label_counts(design),
        "objective_": solution.objective,
        "residual_": solution.residual,
        "n_iter_": solution.n_iter,
        "relation_": _with_learned(relation, found),
        "components_": found.components,
        "strengths_": {name: float(value) for name, value in strengths(relation).items()},
        "path_": path,
    }


def _with_learned(relation: Relation, found: LossSolution) -> Relation:
    """The relation with what it learned; of several classes, which learn one each, as it was passed."""
    if found.solution.relation is not None:
        return found.solution.relation
    return relation.given(found.W) if found.W.ndim == 2 else relation


def label_counts(design: Design) -> NDArray[np.intp]:
    """(t,) observed labels."""
    if design.codes is None:
        return (~np.isnan(design.y)).sum(0)
    return np.bincount(design.codes, minlength=design.n_tasks)


def linear_predictor(X: Any, codes: NDArray[np.intp] | None, coef: Array, intercept: Array) -> Array:
    """x w_k + b_k: (n,) or (n, t); with a trailing axis of classes where coef is (t, C, d)."""
    if coef.ndim == 2:
        return predict_rows(X, codes, coef, intercept)
    each = [predict_rows(X, codes, coef[:, c], intercept[:, c]) for c in range(coef.shape[1])]
    return np.stack(each, axis=-1)


def held_out(loss: AnyLoss, eta: Array, y: Array, codes: NDArray[np.intp] | None, weights: Array, t: int) -> Array:
    """(t,) weighted losses of predictions, missing labels left out; of `RootSquared` its own form on these labels."""
    task = np.broadcast_to(np.arange(t), y.shape) if codes is None else codes
    weights = weights[:, None] if weights.ndim < y.ndim else weights
    seen = ~np.isnan(y)
    s, task, eta, y = np.broadcast_to(weights, y.shape)[seen], task[seen], eta[seen], y[seen]
    if isinstance(loss, RootSquared):
        n, sse = np.bincount(task, s, t), np.bincount(task, s * np.square(eta - y), t)
        return np.asarray(np.sqrt(n * sse))
    if isinstance(loss, Multinomial):
        top = eta.max(1, keepdims=True)
        spread = (top + np.log(np.exp(eta - top).sum(1, keepdims=True)))[:, 0]
        return by_task(s * (spread - eta[np.arange(len(y)), y.astype(np.intp)]), task, t)
    if isinstance(loss, Loss):
        return by_task(s * loss.value(eta, y), task, t)
    own = [(loss.losses[k], task == k) for k in range(t)]
    return np.array([s[at] @ one.value(eta[at], y[at]) for one, at in own])


def tell_single_classes(tasks: NDArray, single: NDArray[np.bool_]) -> None:
    """RT005 for tasks whose labels are all of one class."""
    if single.any():
        told = f"tasks with labels of one class only: {listed(tasks[single].tolist())}; their chances are near 0 or 1."
        tell(RelataskWarning(told, code="RT005"))


def fold_losses(
    relation: Relation,
    model: LossModel,
    train: Design,
    test: Design,
    names: Sequence[str],
    candidates: Sequence[tuple[float, ...]],
) -> tuple[Array, Array]:
    """Losses on the held-out labels (m, t), from strong to weak strengths; and the labels' weights (t,)."""
    model = replace(model, tol=max(model.tol, PATH_TOL))
    weights = np.ones(len(test.y)) if test.weights is None else test.weights
    errors = np.empty((len(candidates), test.n_tasks))
    start: LossStart | None = None
    shape = model.prepare(train)
    data = data_term(shape, model.loss)
    for m in reversed(range(len(candidates))):
        one = with_parameters(relation, **dict(zip(names, candidates[m], strict=True)))
        found = model.solve_prepared(shape, data, one, start)
        start = found.start
        coef, intercept = tasks_first(found)
        eta = linear_predictor(test.X, test.codes, coef, intercept)
        errors[m] = held_out(model.loss, eta, test.y, test.codes, weights, test.n_tasks)
    each = weights[:, None] if weights.ndim < test.y.ndim else weights
    return errors, by_task(np.where(np.isnan(test.y), 0.0, each), test.codes, test.n_tasks)


def tasks_first(found: LossSolution) -> tuple[Array, Array]:
    """Coefficients (t, d) or (t, C, d), intercepts (t,) or (t, C)."""
    if found.coef.ndim == 2:
        return found.coef, found.intercept
    return np.ascontiguousarray(found.coef.swapaxes(0, 1)), np.ascontiguousarray(found.intercept.T)


__all__ = ["ByTask", "LossModel", "held_out", "label_counts", "learned", "linear_predictor", "tasks_first"]
