"""From per-task statistics to everything that a regressor keeps, by attribute name: squared loss, no rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.fitting import End, fit_statistics
from relatask.linear.path import Model
from relatask.linear.prior.model import check_settings, learned_prior
from relatask.linear.sums.statistics import Statistics
from relatask.relations import HierarchicalPrior, Relation, strengths


def described(stats: Statistics, tasks: NDArray, layout: str, model: Model) -> dict[str, Any]:
    """What a regressor keeps of its data, whatever it learns from them.

    Parameters
    ----------
    stats : Statistics
        Of the training rows.
    tasks : (t,)
        Labels, in the order of the statistics.
    layout : {"one", "groups", "columns"}
        How labels come.
    model : Model
        Which targets' units it has chosen.
    """
    return {
        "_fit_layout": layout,
        "_end": None,
        "_statistics": stats,
        "_seen": None,
        "drift_": None,
        "scale_": np.where(stats.spread > 0, stats.spread, 1.0),
        "target_scale_": np.ones(stats.n_tasks) if model.target_scale is None else model.target_scale,
        "absent_": stats.absent,
        "fill_": stats.center,
        "tasks_": tasks,
        "n_labels_": stats.count,
    }


def learned_squared(
    stats: Statistics, relation: Relation, model: Model, names: NDArray | None, end: End | None
) -> dict[str, Any]:
    """What is learned under squared loss and a relation whose strengths are numbers; `_end` is where it ended."""
    fitted = fit_statistics(stats, relation, model, names, end)
    solution = fitted.solution
    return {
        "_end": fitted.end,
        "coef_": fitted.coef,
        "intercept_": fitted.intercept,
        "fill_": fitted.fill,
        "objective_": solution.objective,
        "residual_": solution.residual,
        "n_iter_": solution.n_iter,
        "relation_": fitted.relation,
        "components_": fitted.components,
        "strengths_": {k: float(v) for k, v in strengths(relation).items()},
        "path_": None,
    }


def learned_under_prior(
    settings: dict[str, Any], stats: Statistics, relation: HierarchicalPrior, model: Model
) -> dict[str, Any]:
    """What is learned under a prior; `settings` are the regressor's own attributes.

    Raises
    ------
    InputError
        For settings that mean nothing to a prior.
    """
    check_settings(settings, stats)
    road = {name: settings[name] for name in ("intercept", "standardize", "tol", "max_iter")}
    return learned_prior(stats, relation, model.target_scale, **road)
