"""What a fitted regressor says of who taught whom: computed when asked for, kept until the next fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from sklearn.utils.validation import check_is_fitted

from relatask.linear.influence import measures
from relatask.linear.influence.setting import Setting, setting_of
from relatask.linear.losses.named import chosen_loss
from relatask.linear.sums.forms import Array
from relatask.notices import InputError
from relatask.relations import FeatureQuadratic, HierarchicalPrior, Quadratic, Relation, parts

LINEAR = "quadratic relations (Ridge, Pairwise, Graph, Chain, TaskPrecision, ...) and HierarchicalPrior"


class NotDefined(InputError, AttributeError):
    """An attribute that this model does not have: also an AttributeError, so that `hasattr` says so."""


class Lazy:
    """An attribute that is computed when it is asked for; a value that fit stored stands above it."""

    def __init__(self, about: str, compute: Callable[[Any, str], Any]) -> None:
        self.__doc__ = about
        self._compute = compute

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, model: Any, owner: type) -> Any:
        return self if model is None else self._compute(model, self._name)


def setting(model: Any, name: str) -> Setting:
    """The linear map that a model has learned, kept with it; `name` is what was asked for.

    Raises
    ------
    NotDefined
        Where predictions are not linear in the labels, or the model was loaded without its statistics.
    """

    def compute() -> Setting:
        check_linear(model, name)
        stats = model._statistics
        noise = model.noise_ if isinstance(model.relation_, HierarchicalPrior) else None
        return setting_of(stats, model.relation_, model._model(stats, model.tasks_), noise)

    found: Setting = kept(model, "setting", compute)
    return found


def check_linear(model: Any, name: str) -> None:
    """Raise NotDefined unless the model's predictions are linear in its labels and its statistics are there."""
    check_is_fitted(model)
    relation = model.relation_
    if chosen_loss(model.loss) is not None:
        raise NotDefined(
            f"{name} is defined where predictions are linear in the labels, not under loss={model.loss!r}; "
            "leave_task_out(X, y, tasks) needs the rows and gives leave_task_out_ and transfer_ at the solution."
        )
    if not (isinstance(relation, HierarchicalPrior) or is_smooth(relation)):
        raise NotDefined(
            f"{name} is defined where predictions are linear in the labels: under {LINEAR}, not under "
            f"{type(relation).__name__}. leave_task_out(X, y, tasks) gives transfer_ at the solution under some norms, "
            "and with method='refit' says of any relation what removing a task does."
        )
    if getattr(model, "_statistics", None) is None:
        raise NotDefined(f"{name} needs the statistics of the training rows, which this model was loaded without; fit.")


def is_smooth(relation: Relation) -> bool:
    """Whether all parts are quadratic, on tasks or on features."""
    return all(isinstance(term, Quadratic | FeatureQuadratic) for part in parts(relation) for term in part.terms())


def kept(model: Any, name: str, compute: Callable[[], Any]) -> Any:
    """A value computed once, as long as the model's statistics and coefficients are the same objects."""
    key = (getattr(model, "_statistics", None), getattr(model, "coef_", None))
    cache = model.__dict__.get("_influence")
    if cache is None or any(a is not b for a, b in zip(cache["key"], key, strict=True)):
        cache = model.__dict__["_influence"] = {"key": key}
    if name not in cache:
        cache[name] = compute()
    return cache[name]


def _of(measure: Callable[[Setting], Array]) -> Callable[[Any, str], Array]:
    return lambda model, name: kept(model, name, lambda: measure(setting(model, name)))


def _not_called(model: Any, name: str) -> NoReturn:
    check_is_fitted(model)
    raise NotDefined(f"{name} needs the training rows: call leave_task_out(X, y, tasks) first, which sets it.")


def standard_errors(model: Any, kind: str = "posterior", name: str = "standard_errors") -> Array:
    """(t, d) of the coefficients."""
    if kind not in ("posterior", "sandwich"):
        raise InputError(f"kind={kind!r} is unknown; expected 'posterior' or 'sandwich'.")
    prior = isinstance(getattr(model, "relation_", None), HierarchicalPrior)
    if prior and kind == "sandwich":
        raise InputError(
            "kind='sandwich' holds coefficients fixed, which under HierarchicalPrior are draws: 'posterior'."
        )
    if prior:
        return np.asarray(kept(model, kind, lambda: measures.prior_errors(model.uncertainty_, model.coef_)))
    return np.asarray(kept(model, kind, lambda: measures.standard_errors(setting(model, name), kind)))


def _transfer(model: Any, name: str) -> Array:
    """Of statistics, or what `leave_task_out` found where these do not tell."""
    found = _at_solution(model)
    return _of(measures.transfer)(model, name) if found is None else found


def _transfer_of_classes(model: Any, name: str) -> Array:
    found = _at_solution(model)
    return _not_called(model, name) if found is None else found


def _at_solution(model: Any) -> Array | None:
    cache = model.__dict__.get("_influence", {})
    current = cache and cache["key"][1] is getattr(model, "coef_", None)
    return np.asarray(cache["at the solution"]) if current and "at the solution" in cache else None


TRANSFER = Lazy("(t, t) the share of task i's fitted values that task j's labels make.", _transfer)
TRANSFER_OF_CLASSES = Lazy("(t, t) the same at the solution, once leave_task_out was called.", _transfer_of_classes)
LEAVE_TASK_OUT = Lazy("(t, t) what removing task j's labels does to task i.", _not_called)
DEGREES = Lazy("(t,) effective degrees of freedom of each task.", _of(measures.degrees_of_freedom))
NOISE = Lazy("(t,) residual variances of the tasks.", _of(measures.noise))
ERRORS = Lazy("(t, d) standard errors of the coefficients.", lambda model, name: standard_errors(model, name=name))
