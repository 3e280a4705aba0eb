"""`leave_task_out` of a fitted model: which way it goes, and what it stores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import logsumexp
from sklearn.utils.validation import check_is_fitted

from relatask.linear.influence import measures
from relatask.linear.influence.attributes import LINEAR, NotDefined, check_linear, is_smooth, kept, setting
from relatask.linear.influence.refits import Error, by_refits, loss_fit, squared_fit
from relatask.linear.influence.removal import Removal, removal
from relatask.linear.influence.solution import Fit, at_solution, is_bent
from relatask.linear.influence.training import check_counts, check_same, squared_rows, training_design
from relatask.linear.input.classes import class_weights, encode_classes
from relatask.linear.input.design import Design
from relatask.linear.input.labels import listed
from relatask.linear.input.targets import task_weights
from relatask.linear.losses import AnyLoss, Loss, Multinomial, SquaredError
from relatask.linear.losses.model import LossModel
from relatask.linear.losses.named import chosen_loss
from relatask.linear.sums.forms import Array
from relatask.notices import InputError
from relatask.relations import HierarchicalPrior

WAYS = ("auto", "refit")
SETTINGS = ("weighting", "intercept", "standardize", "solver", "tol", "max_iter")


def leave_task_out(model: Any, X: Any, y: Any, tasks: Any, sample_weight: Any, method: str) -> Array:
    """What removing each task's labels does to the others; stored as `leave_task_out_`, and how it was found."""
    check_is_fitted(model)
    if method not in WAYS:
        raise InputError(f"method={method!r} is unknown; expected one of {', '.join(map(repr, WAYS))}.")
    loss = chosen_loss(model.loss)
    stats = getattr(model, "_statistics", None)
    if stats is None and loss is None:
        raise NotDefined("leave_task_out needs the statistics of the training rows, which this model has not; fit it.")
    design = training_design(model, X, y, tasks, sample_weight)
    if stats is None:
        check_counts(design, model.n_labels_)
    else:
        check_same(design, stats)
    if method == "refit":
        return _stored(model, *_refitted(model, loss, design), "refit")
    if loss is None and (is_smooth(model.relation_) or isinstance(model.relation_, HierarchicalPrior)):
        check_linear(model, "leave_task_out")
        known = setting(model, "leave_task_out")
        found = removal(known.inverse, known.forms, known.level, *squared_rows(known, design))
        return _stored(model, found.effect, found.error, "exact")
    return _at_solution(model, loss or SquaredError(), design)


def leave_task_out_of_classes(model: Any, X: Any, y: Any, tasks: Any, sample_weight: Any, method: str) -> Array:
    """The same of a classifier, whose errors are log losses."""
    check_is_fitted(model)
    classes, encoded = encode_classes(y)
    if classes.tolist() != model.classes_.tolist():
        raise InputError(
            f"y holds the classes {listed(classes.tolist())}, the model was fitted on "
            f"{listed(model.classes_.tolist())}; leave_task_out takes the X, y, tasks and sample_weight of fit."
        )
    design = training_design(model, X, encoded, tasks, sample_weight)
    check_counts(design, model.n_labels_)
    design = replace(design, weights=class_weights(design, classes, model.class_weight))
    loss_model: LossModel = model._model(len(classes))
    if method not in WAYS:
        raise InputError(f"method={method!r} is unknown; expected one of {', '.join(map(repr, WAYS))}.")
    if method == "refit":
        fit = loss_fit(loss_model, model.relation_, design)
        return _stored(model, *by_refits(design, fit, _error(loss_model.loss, np.ones(design.n_tasks))), "refit")
    if not isinstance(loss_model.loss, Loss):
        raise InputError("leave_task_out of more than two classes goes by method='refit'.")
    fitted = Fit(loss_model.loss, loss_model, model.relation_, model.coef_, model.intercept_, np.ones(design.n_tasks))
    return _near(model, fitted, design)


def _at_solution(model: Any, loss: AnyLoss, design: Design) -> Array:
    """One Newton step from the solution, on the coefficients that are not zero."""
    if not isinstance(loss, Loss):
        raise InputError(f"leave_task_out under {type(loss).__name__} goes by method='refit'.")
    unit = model.target_scale_
    return _near(
        model, Fit(loss, _loss_model(model, loss), model.relation_, model.coef_, model.intercept_, unit), design
    )


def _near(model: Any, fitted: Fit, design: Design) -> Array:
    relation = fitted.relation
    if not is_bent(relation):
        raise InputError(
            f"leave_task_out has a closed form under {LINEAR}, and near the solution under SharedSparsity, Sparse or "
            f"TraceNorm, not under {type(relation).__name__}; give method='refit', which fits again without each task."
        )
    if design.absent is not None:
        raise InputError(
            "leave_task_out with missing_features='block' goes by quadratic relations and squared loss only."
        )
    known, rows, error = at_solution(fitted, design)
    found: Removal = removal(known.inverse, known.forms, known.level, rows, error)
    kept(model, "at the solution", lambda: measures.transfer(known))
    return _stored(model, found.effect, found.error, "one Newton step")


def _refitted(model: Any, loss: AnyLoss | None, design: Design) -> tuple[Array, Array]:
    if isinstance(model.relation_, HierarchicalPrior):
        raise InputError("under HierarchicalPrior leave_task_out is exact at what was learned: leave method='auto'.")
    if loss is None:
        fit = squared_fit(model._model(model._statistics, model.tasks_), model.relation_, design)
        return by_refits(design, fit, _error(SquaredError(), np.ones(design.n_tasks)))
    unit = model.target_scale_
    moved = replace(design, y=design.y / (unit if design.codes is None else unit[design.codes]))
    return by_refits(moved, loss_fit(_loss_model(model, loss), model.relation_, moved), _error(loss, unit))


def _loss_model(model: Any, loss: AnyLoss) -> LossModel:
    settings = {name: getattr(model, name) for name in SETTINGS}
    return LossModel(loss, **settings, task_weight=task_weights(model.task_weight, model.tasks_))


def _error(loss: AnyLoss, unit: Array) -> Error:
    """Errors of held-out labels: squared ones in squared units of the labels, or the loss's own."""
    if isinstance(loss, Multinomial):
        return lambda eta, y, task: logsumexp(eta, axis=-1) - eta[np.arange(len(y)), y.astype(np.intp)]
    if isinstance(loss, Loss) and not isinstance(loss, SquaredError):
        return lambda eta, y, task: loss.value(eta, y)
    return lambda eta, y, task: np.square((eta - y) * unit[task])


def _stored(model: Any, effect: Array, error: Array, way: str) -> Array:
    model.leave_task_out_, model.leave_one_out_, model.leave_task_out_method_ = effect, error, way
    return np.asarray(effect)
