"""What removing a task's labels does, under any relation and loss: by fitting again, in folds within tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.input.design import Design
from relatask.linear.input.folds import within_task_folds
from relatask.linear.losses.model import LossModel, linear_predictor, tasks_first
from relatask.linear.path import Model
from relatask.linear.solvers import solve
from relatask.linear.sums.forms import Array
from relatask.relations import Relation

FOLDS = 5

Predict = Callable[[Design], tuple[Array, Array]]
"""Training rows -> coefficients and intercepts in original units, (t, d), (t,)."""
Error = Callable[[Array, Array, NDArray[np.intp]], Array]
"""Linear predictors, labels and their tasks -> errors."""


def by_refits(design: Design, fit: Predict, error: Error) -> tuple[Array, Array]:
    """Errors on held-out rows with and without each other task's labels, from (t + 1) fits in each of 5 folds.

    Parameters
    ----------
    design : Design
        All rows.
    fit : Predict
        Fits some of them; tasks without rows keep their place.
    error : Error
        What is summed.

    Returns
    -------
    effect : (t, t) by how much task i's error (row) rises without task j (column); NaN on the diagonal
    error : (t,) with all labels
    """
    t = design.n_tasks
    sums, weight = np.zeros((t, t + 1)), np.zeros(t)
    for held_out in within_task_folds(design, FOLDS, 0):
        train, test = design.rows(np.flatnonzero(~held_out)), design.rows(np.flatnonzero(held_out))
        if not test.X.shape[0]:
            continue
        for j in range(t + 1):
            own = train if j == t else without_task(train, j)
            coef, intercept = fit(own)
            found, size = _sums(test, error, coef, intercept)
            sums[:, j] += found
        weight += size
    mean = np.divide(sums, weight[:, None], out=np.full_like(sums, np.nan), where=weight[:, None] > 0)
    effect = mean[:, :t] - mean[:, t:]
    effect[np.diag_indices(t)] = np.nan
    return effect, mean[:, t]


def squared_fit(model: Model, relation: Relation, whole: Design) -> Predict:
    """Fits under squared loss, with the loss weights and the standardisation of all rows."""
    every = whole.statistics()
    c = model.datafit.loss_weights(model.prepare(every)[0])
    settled = replace(model, datafit=replace(model.datafit, weighting="sum", task_weight=tuple(c.tolist())))

    def fit(design: Design) -> tuple[Array, Array]:
        own = replace(design.statistics(), center=every.center, spread=every.spread)
        stats, center, scale, problem = settled.prepare(own)
        found, _ = solve(problem, relation, solver=model.solver, tol=model.tol, max_iter=model.max_iter)
        coef, intercept = settled.coefficients(stats, center, scale, found.W)
        if whole.absent is None:
            return coef, intercept
        # A feature that a task lacks stands at its fill in all of the task's rows.
        lacking = np.where(whole.absent, coef, 0.0)
        return coef - lacking, intercept + lacking @ settled.fill(stats, center, scale)

    return fit


def loss_fit(model: LossModel, relation: Relation, whole: Design) -> Predict:
    """The same under other losses."""
    shape = model.prepare(whole)
    center = np.zeros(len(shape.scale))
    if model.standardize and model.intercept != "none":
        center = shape.scale * shape.origin[0] if model.intercept != "free" else center
    plain = replace(model, standardize=False, weighting="sum", task_weight=shape.c)

    def fit(design: Design) -> tuple[Array, Array]:
        dense = design.X.toarray() if hasattr(design.X, "toarray") else design.X
        moved = replace(design, X=(dense - center) / shape.scale)
        coef, intercept = tasks_first(plain.solve(moved, relation))
        coef = coef / shape.scale
        return coef, intercept - coef @ center

    return fit


def without_task(design: Design, task: int) -> Design:
    """The rows without one task's labels; the task keeps its place."""
    if design.codes is not None:
        return design.rows(np.flatnonzero(design.codes != task))
    y = design.y.copy()
    y[:, task] = np.nan
    seen = ~np.isnan(y).all(1)
    found = replace(design, y=y)
    return found if seen.all() else found.rows(np.flatnonzero(seen))


def _sums(test: Design, error: Error, coef: Array, intercept: Array) -> tuple[Array, Array]:
    """(t,) weighted sums of errors and of weights."""
    t = test.n_tasks
    eta = linear_predictor(test.X, test.codes, coef, intercept)
    weights = np.ones(len(test.y)) if test.weights is None else test.weights
    weights = np.broadcast_to(weights[:, None] if weights.ndim < test.y.ndim else weights, test.y.shape)
    task = np.broadcast_to(np.arange(t), test.y.shape) if test.codes is None else test.codes
    seen = ~np.isnan(test.y) & (weights > 0)
    found = weights[seen] * error(eta[seen], test.y[seen], task[seen])
    sums, size = (np.bincount(task[seen], own, t).astype(np.float64) for own in (found, weights[seen]))
    return sums, size
