"""From what an estimator was given to the relation it is to fit under: the rows read, the strengths chosen."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.choosing.choice import Road, best_per_task, chosen
from relatask.linear.choosing.folds import fold_errors, reach_under
from relatask.linear.choosing.settings import Settings
from relatask.linear.input import reading
from relatask.linear.input.classes import class_weights, encode_classes
from relatask.linear.input.design import as_float, as_weights
from relatask.linear.input.targets import target_scale, task_weights
from relatask.linear.losses import Huber, RootSquared
from relatask.linear.losses.model import LossModel, fold_losses, label_counts
from relatask.linear.losses.named import chosen_loss
from relatask.linear.losses.squared import Squared
from relatask.linear.path import Model, Path
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.relations import Pairwise, Relation

AUTOMATIC = Pairwise("auto")
"""What no relation means where strengths are chosen."""


def regression(
    params: dict[str, Any],
    relation: Relation,
    settings: Settings,
    X: Any,
    y: Any,
    tasks: Any,
    weights: Any,
    groups: Any,
) -> tuple[Relation, Path | None]:
    """Choose the strengths of a regressor with these parameters.

    Parameters
    ----------
    params : dict
        Those of `MultiTaskRegressor`.
    relation : Relation
        Not yet bound to the tasks.
    settings : Settings
        How to choose.
    X, y, tasks, weights, groups : Any
        As fit was given them.

    Returns
    -------
    relation : bound, with numbers.
    path : what was tried; None where there was nothing to choose.
    """
    X, tasks = reading.split_task_column(X, tasks, params["task_column"])
    blocks = params["missing_features"] == "block"
    probe = reading.Probe()
    X = reading.features(probe, X, reset=True, missing=blocks, sparse_too=True)
    names = getattr(probe, "feature_names_in_", None)
    layout, design = reading.design(X, y, tasks, weights, names if blocks else None)
    with np.errstate(over="ignore", invalid="ignore"):
        stats = design.statistics()
    reading.check_sums(stats)
    relation = relation.bind(design.tasks.tolist())
    scale = target_scale(stats) if params["scale_targets"] else None
    own = task_weights(params["task_weight"], design.tasks)
    kept = kept_rows(as_float(y, "y"), weights, layout)
    loss = chosen_loss(params["loss"])
    if loss is None:
        fit = Squared(params["weighting"], params["intercept"], None if own is None else tuple(own.tolist()))
        model = Model(fit, params["standardize"], False, params["solver"], params["tol"], params["max_iter"], scale)
        of_folds = partial(fold_errors, relation, model)
        reach = reach_under(model, stats)
        road = Road(design, kept, groups, stats.count, _variance(stats, scale), reach, of_folds, stats, model)
        return chosen(road, relation, settings)
    words = {name: params[name] for name in ("weighting", "intercept", "standardize", "solver", "tol", "max_iter")}
    other = LossModel(loss, task_weight=own, **words)
    if scale is not None:
        design = replace(design, y=design.y / (scale if design.codes is None else scale[design.codes]))
    unit = np.ones(stats.n_tasks)
    if isinstance(loss, Huber | RootSquared):
        unit = _variance(stats, scale) ** (0.5 if isinstance(loss, RootSquared) else 1.0)
    of_folds = partial(fold_losses, relation, other)
    road = Road(design, kept, groups, stats.count, unit, other.reach(design), of_folds)
    return chosen(road, relation, settings)


def classification(
    params: dict[str, Any],
    relation: Relation,
    settings: Settings,
    model_of: Any,
    X: Any,
    y: Any,
    tasks: Any,
    weights: Any,
    groups: Any,
) -> tuple[Relation, Path | None]:
    """Choose the strengths of a classifier; `model_of` gives the `LossModel` for a number of classes."""
    X, tasks = reading.split_task_column(X, tasks, params["task_column"])
    X = reading.features(reading.Probe(), X, reset=True, sparse_too=True)
    classes, encoded = encode_classes(y)
    layout, design = reading.design(X, encoded, tasks, weights)
    kept = kept_rows(as_float(encoded, "y"), weights, layout)
    design = replace(design, weights=class_weights(design, classes, params["class_weight"]))
    relation = relation.bind(design.tasks.tolist())
    model = model_of(len(classes))
    of_folds, unit = partial(fold_losses, relation, model), np.ones(design.n_tasks)
    road = Road(design, kept, groups, label_counts(design), unit, model.reach(design), of_folds)
    return chosen(road, relation, settings)


def facts(path: Path | None) -> dict[str, Any]:
    """What an estimator learns of a choice, by attribute name."""
    return {
        "path_": path,
        "cv_errors_": None if path is None else path.errors,
        "cv_standard_errors_": None if path is None else path.standard_errors,
        "task_errors_": None if path is None else path.task_errors,
        "best_per_task_": None if path is None else best_per_task(path),
        "left_out_": 0 if path is None else path.left_out,
    }


def kept_rows(y: Array, sample_weight: Any, layout: str) -> NDArray[np.bool_]:
    """(n,) which rows a design keeps: those with a label, and with weight; as columns those with weight."""
    weights = as_weights(sample_weight, len(y), np.arange(y.shape[1]) if layout == "columns" else None)
    if layout == "columns":
        if weights is None:
            return np.ones(len(y), dtype=bool)
        return np.asarray(weights > 0 if weights.ndim == 1 else (weights > 0).any(1))
    kept = ~np.isnan(y.reshape(-1))
    return np.asarray(kept if weights is None else kept & (weights > 0))


def _variance(stats: Statistics, scale: Array | None) -> Array:
    """(t,) variances of the labels as they are fitted; NaN where they are constant."""
    unit = np.ones(stats.n_tasks) if scale is None else scale
    variance = np.divide(stats.yy, stats.weight, out=np.zeros(stats.n_tasks), where=stats.weight > 0)
    flat = variance <= np.square(1e-12 * stats.mean_y)
    return np.where(flat, np.nan, variance / np.square(unit))
