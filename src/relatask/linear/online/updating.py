"""What a regressor learns from rows that come and go, by attribute name; the model itself is never touched here."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.fitting import End
from relatask.linear.input.design import warn_about_labels
from relatask.linear.input.labels import listed, object_array
from relatask.linear.learning import described, learned_squared, learned_under_prior
from relatask.linear.online.arriving import Batch, check_goes_on, read, with_label
from relatask.linear.online.drift import Drift, drift_of
from relatask.linear.online.joining import with_task
from relatask.linear.online.pasts import pasts_of
from relatask.linear.online.tracking import Seen, less
from relatask.linear.path import Model, open_strengths
from relatask.linear.sums.downdate import lost_digits, without
from relatask.linear.sums.forms import Bucket, Forms
from relatask.linear.sums.merging import among, only
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError, RelataskWarning, tell
from relatask.relations import HierarchicalPrior, Relation, parts, strengths, with_parameters

DIGITS = 1e6
"""Forgetting is exact to 1e-8 while condition number x removed / kept is below this."""


def with_rows(model: Any, X: Any, y: Any, tasks: Any, sample_weight: Any) -> dict[str, Any]:
    """What a fitted regressor learns from more rows."""
    check_goes_on(model)
    batch = read(model, X, y, tasks, sample_weight)
    stats = batch.added_to(model._statistics)
    some = batch.touched
    warn_about_labels(batch.tasks[some], stats.count[some], stats.yy[some], stats.mean_y[some])
    drift = drift_at(model, batch)
    return solved(model, stats, batch.tasks, batch.seen_with(model._seen)) | {"drift_": drift}


def without_rows(model: Any, X: Any, y: Any, tasks: Any, sample_weight: Any) -> dict[str, Any]:
    """What a fitted regressor has learned without some of its rows."""
    check_goes_on(model)
    batch = read(model, X, y, tasks, sample_weight, known_only=True)
    seen = None
    if batch.labels is not None and model._seen is not None:
        seen = less(model._seen, batch.labels, model.tasks_, batch.rows)
    rest = without(model._statistics, batch.stats, model.tasks_)
    if not rest.count.any():
        raise InputError("these are all the rows there are; a model needs some: fit a new one.")
    empty = model.tasks_[rest.count == 0].tolist()
    if empty and getattr(model, "scale_targets", False):
        raise InputError(
            f"no rows would be left of task{'s' if len(empty) > 1 else ''} {listed(empty)}, and scale_targets=True "
            "gives every task a unit of its own, from its labels: use remove_task, or scale_targets=False."
        )
    lost = lost_digits(rest, batch.stats)
    found = solved(model, rest, model.tasks_, seen)
    if lost.max() > DIGITS:
        few = listed(model.tasks_[lost > DIGITS].tolist())
        told = (
            f"what is left of task{'s' if (lost > DIGITS).sum() > 1 else ''} {few} is so much less than what was "
            f"forgotten that digits are lost (condition number x removed / kept = {lost.max():.1e}, above 1e6); fit "
            f"again on the rows that are left."
        )
        tell(RelataskWarning(told, code="RT019"))
    return found


def with_new_task(model: Any, name: Hashable, X: Any, y: Any, sample_weight: Any, refit: bool) -> dict[str, Any]:
    """What a fitted regressor has learned, with one more task."""
    check_goes_on(model)
    if model._fit_layout == "one":
        raise InputError("the model was fitted on one task without labels for tasks; fit it with tasks to add one.")
    _check_name(name)
    if name in model.tasks_.tolist():
        raise InputError(f"task {name!r} is known already; give it rows with partial_fit.")
    if (X is None) != (y is None):
        raise InputError("only one of X and y is given; a task comes with both, or without rows.")
    if X is None:
        return _without_labels(model, name)
    if model._fit_layout == "columns":
        raise InputError(
            "tasks are columns of y here, and which of the new task's rows have labels of the others cannot be told: "
            f"use add_task({name!r}), then partial_fit new rows with y (n, {len(model.tasks_) + 1}), or fit again."
        )
    if not hasattr(X, "__len__") and not hasattr(X, "shape"):
        raise InputError(f"X={X!r:.60} is not usable; give the task's rows, (n, d), and y (n,).")
    labels = object_array([name] * (X.shape[0] if hasattr(X, "shape") else len(X)))
    if refit:
        return with_rows(model, X, y, labels, sample_weight)
    batch = read(model, X, y, labels, sample_weight)
    place = int(batch.touched[0])
    stats = batch.added_to(model._statistics)
    own = only(batch.stats, batch.touched)
    warn_about_labels(batch.tasks[[place]], own.count, own.yy, own.mean_y)
    found = with_task(model, vars(model), model._statistics, own, batch.tasks, place, _bound(model, batch.tasks))
    return found | {"_statistics": stats, "_seen": batch.seen_with(model._seen)}


def without_task(model: Any, name: Hashable) -> dict[str, Any]:
    """What a fitted regressor has learned without one of its tasks."""
    check_goes_on(model)
    labels = model.tasks_.tolist()
    _check_name(name)
    if name not in labels:
        raise InputError(f"unknown task {name!r}: the model has {listed(labels)}.")
    kept = np.array([k for k, label in enumerate(labels) if label != name], dtype=np.intp)
    if not model._statistics.count[kept].any():
        raise InputError(f"task {name!r} is the only one with rows; a model needs some: fit a new one.")
    whole = model._statistics
    stats = only(whole, kept)
    if model._fit_layout == "columns":
        stats = replace(stats, center=whole.center, spread=whole.spread, row_weight=whole.row_weight)
        if model.standardize and whole.forms.shared is None:
            told = (
                f"tasks are columns with holes, and sums do not say which rows had a label of task {name!r} alone: "
                "the columns' means and standard deviations stay those of all rows; fit again for those of the rest."
            )
            tell(RelataskWarning(told, code="RT019"))
    seen = None if model._seen is None else model._seen.only(kept)
    return solved(model, stats, model.tasks_[kept], seen)


def solved(model: Any, stats: Statistics, tasks: NDArray, seen: Seen | None) -> dict[str, Any]:
    """Everything that a regressor learns from statistics, its strengths being those that were chosen once.

    Tasks without rows take no part: the others are fitted as if they were not there, and then they are given what the
    relation says of them.

    Parameters
    ----------
    model : fitted regressor
        Its parameters, strengths, and where it ended.
    stats : Statistics
        Of all rows.
    tasks : (t,)
        Labels.
    seen : Seen or None
        What tracks the rows.
    """
    model._check_parameters()
    every = _bound(model, tasks)
    relation = _settled(model) if every is None else every
    solver = model._model(stats, tasks)
    there = np.flatnonzero(stats.count > 0)
    own = stats
    if len(there) < len(tasks):
        own, solver = some_tasks(stats, there), _among(solver, there)
        relation = relation if every is None else relation.among(there.tolist())
    if isinstance(relation, HierarchicalPrior):
        learned = learned_under_prior(dict(vars(model)), own, relation, solver)
    else:
        names = getattr(model, "feature_names_in_", None)
        learned = learned_squared(own, relation, solver, names, _start(model))
        learned["_end"] = learned["_end"] if model.warm_start else None
    found = described(own, tasks[there], model._fit_layout, solver) | learned
    for k in np.flatnonzero(stats.count == 0).tolist():
        there = np.sort(np.append(there, k))
        bound = every if every is None or len(there) == len(tasks) else every.among(there.tolist())
        found = with_task(model, found, own, nothing(stats), tasks[there], int(np.searchsorted(there, k)), bound)
    path = model.path_ if open_strengths(model._relation()) else None
    return found | {"_statistics": stats, "_seen": seen, "path_": path}


def drift_at(model: Any, batch: Batch) -> Drift:
    """Compare a batch's errors under the model as it is with each task's past."""
    stats = model._statistics
    filled = np.flatnonzero(stats.count > 0)
    solver, relation = model._model(stats, model.tasks_), model.relation_
    noise = getattr(model, "noise_", None) if isinstance(relation, HierarchicalPrior) else None
    coming = batch.stats.count[batch.known][filled] > 0
    if len(filled) < len(model.tasks_):
        stats, solver = some_tasks(stats, filled), _among(solver, filled)
        relation = relation if solver.pooled else relation.among(filled.tolist())
        noise = None if noise is None else noise[filled]
    pasts = pasts_of(
        model.coef_[filled], model.intercept_[filled], stats, relation, noise, solver, np.flatnonzero(coming)
    )
    places = batch.known[filled]
    before = batch.beside(model._statistics)
    return drift_of({int(places[k]): past for k, past in pasts.items()}, before, batch.stats, batch.tasks)


def some_tasks(stats: Statistics, places: NDArray[np.intp]) -> Statistics:
    """Some of the tasks, columns' means and spreads being those of all rows."""
    return replace(only(stats, places), center=stats.center, spread=stats.spread, row_weight=stats.row_weight)


def nothing(stats: Statistics) -> Statistics:
    """One task without rows, columns as in these statistics."""
    d = stats.n_features
    zero = np.zeros(1)
    bucket = Bucket(np.zeros(1, dtype=np.intp), np.ones(1), gram=np.zeros((1, d, d)))
    return Statistics(
        count=np.zeros(1, dtype=np.intp),
        weight=zero,
        mean_x=np.zeros((1, d)),
        mean_y=zero,
        forms=Forms((bucket,), 1, d),
        cross=np.zeros((1, d)),
        yy=zero,
        center=stats.center,
        spread=stats.spread,
        row_weight=0.0,
    )


def _settled(model: Any) -> Relation:
    """The relation to fit under, strengths that were chosen once filled in."""
    relation: Relation = model._relation()
    names = open_strengths(relation)
    if not names:
        return relation
    told = None
    if [type(part) for part in parts(relation)] != [type(part) for part in parts(model.relation_)]:
        told = f"chose those of another relation ({listed([type(part).__name__ for part in parts(model.relation_)])})"
    elif set(strengths(relation)) != set(model.strengths_):
        told = f"chose those of another relation ({listed(list(model.strengths_))})"
    elif model.path_ is None:
        told = "was given numbers"
    if told is not None:
        raise InputError(
            f"the strengths {listed(list(names))} are 'auto', and the last fit {told}; choosing needs rows: fit again "
            "on all of them, or give numbers."
        )
    return with_parameters(relation, **{name: model.strengths_[name] for name in names})


def _bound(model: Any, tasks: NDArray) -> Relation | None:
    """The relation for these tasks; None where all have one coefficient vector."""
    return None if model._pooled else _settled(model).bind(tasks.tolist())


def _start(model: Any) -> End | None:
    """Where the last solve ended, if the model is to begin there; else as fit begins, to end where it ends."""
    end = getattr(model, "_end", None) if model.warm_start else None
    return end if isinstance(end, End) else None


def _among(solver: Model, places: NDArray[np.intp]) -> Model:
    """The settings of some of the tasks."""
    weight, scale = solver.datafit.task_weight, solver.target_scale
    own = None if weight is None else tuple(np.array(weight)[places].tolist())
    return replace(
        solver,
        datafit=replace(solver.datafit, task_weight=own),
        target_scale=None if scale is None else scale[places],
    )


def _check_name(name: Hashable) -> None:
    try:
        usable = isinstance(name, Hashable) and name is not None and bool(name == name)
    except TypeError:  # pandas' NA knows no truth
        usable = False
    if not usable:
        raise InputError(f"name={name!r} is not usable; give the task's label: text, a number, or a tuple of these.")


def _without_labels(model: Any, name: Hashable) -> dict[str, Any]:
    """One more task that has no rows yet."""
    stats, n = model._statistics, len(model.tasks_)
    if model._fit_layout == "columns":
        tasks, known = object_array([*model.tasks_.tolist(), name]), np.arange(n)
    else:
        tasks, known = with_label(model.tasks_, object_array([name]))
    place = int(np.setdiff1d(np.arange(n + 1), known)[0])
    found = with_task(model, vars(model), stats, nothing(stats), tasks, place, _bound(model, tasks))
    seen = None if model._seen is None else model._seen.among(known, n + 1)
    return found | {"_statistics": among(stats, known, n + 1), "_seen": seen}
