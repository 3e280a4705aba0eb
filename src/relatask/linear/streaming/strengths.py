"""Strengths chosen by folds of which only sums are left: what a model errs on labels follows from their statistics."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from relatask.linear.choosing.errors import chosen_place, stacked
from relatask.linear.choosing.folds import reach_under
from relatask.linear.choosing.grid import grid
from relatask.linear.path import Model, Path, open_strengths, solve_path
from relatask.linear.sums.forms import Array
from relatask.linear.sums.merging import merge
from relatask.linear.sums.statistics import Statistics
from relatask.relations import Relation, with_parameters


def choose_by_sums(
    folds: Sequence[Statistics], whole: Statistics, relation: Relation, model: Model
) -> tuple[Relation, Path]:
    """Fill the relation's open strengths by cross-validation over folds that were summed up.

    Parameters
    ----------
    folds : sequence of Statistics
        Each row in one of them, for all tasks.
    whole : Statistics
        Of all rows.
    relation : Relation
        Bound to the tasks, with strengths "auto".
    model : Model
        The rest.
    """
    tried = grid(relation, open_strengths(relation), reach_under(model, whole))
    found = []
    for f, held_out in enumerate(folds):
        train = reduce(merge, [part for g, part in enumerate(folds) if g != f])
        judged = (train.count > 0) & (held_out.count > 0)
        if not judged.any():
            continue
        stats, center, scale, problem = model.prepare(train)
        fill = model.fill(stats, center, scale)
        unit = np.ones(whole.n_tasks) if model.target_scale is None else model.target_scale
        errors = np.zeros((len(tried.candidates), whole.n_tasks))
        for m, W in enumerate(solve_path(problem, relation, tried.names, tried.candidates, model)):
            coef, intercept = model.coefficients(stats, center, scale, W)
            errors[m, judged] = (squared_errors(held_out, coef, intercept, fill) / np.square(unit))[judged]
        found.append((errors, np.where(judged, held_out.weight, 0.0)))
    if not found:
        # One row a task: nothing can be held out, and the strongest relation is the safe choice.
        best, mean, spread, each = len(tried.candidates) - 1, np.full(len(tried.candidates), np.nan), None, None
    else:
        sums = stacked(found)
        mean, spread = sums.overall()
        each, best = sums.by_task(), chosen_place(mean, None, tried.array)
    chosen = dict(zip(tried.names, tried.candidates[best], strict=True))
    return with_parameters(relation, **chosen), Path(tried.names, tried.array, mean, best, spread, each)


def squared_errors(stats: Statistics, coef: Array, intercept: Array, fill: Array | None = None) -> Array:
    """(t,) weighted sums of squared errors of models (t, d), (t,) on the rows of statistics.

    ``sum_i s_i (y_i - x_i w - b)^2 = y'y - 2 w'c + w'G w + n (mean_y - mean_x w - b)^2``, second moments centred.
    """
    mean = stats.mean_x if stats.absent is None or fill is None else np.where(stats.absent, fill, stats.mean_x)
    inside = np.einsum("td,td->t", coef, stats.forms.apply(coef[:, None, :])[:, 0])
    spread = stats.yy - 2 * np.einsum("td,td->t", coef, stats.cross) + inside
    level = stats.mean_y - np.einsum("td,td->t", mean, coef) - intercept
    # A difference of squares: what rounding leaves below 0 is 0.
    return np.asarray(np.maximum(spread, 0.0) + stats.weight * np.square(level))
