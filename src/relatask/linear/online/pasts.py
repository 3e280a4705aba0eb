"""What a fitted regressor knows of the tasks that new rows come to: to tell whether these are like the past."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.features import prices_features
from relatask.linear.influence.setting import setting_of
from relatask.linear.online.drift import Past, task_form
from relatask.linear.path import Model
from relatask.linear.solvers.structured import complete_graph
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError
from relatask.relations import HierarchicalPrior, Relation, is_quadratic, split

WHOLE = 3e7
"""Numbers in all tasks' forms up to which what the tasks say of each other is taken whole."""


def pasts_of(
    coef: Array,
    intercept: Array,
    stats: Statistics,
    relation: Relation,
    noise: Array | None,
    solver: Model,
    places: NDArray[np.intp],
) -> dict[int, Past]:
    """The past of some of the tasks, by their position.

    The coefficients' errors have the covariance noise_k c_k M_kk, M the inverse of the loss's and the relation's
    curvature: exact where nothing ties the tasks and under a prior, what the relation takes for granted else. Under
    relations that are not quadratic that of the task alone is taken, which finds drift later, not oftener.

    Parameters
    ----------
    coef, intercept : (t, d), (t,)
        In original units.
    stats : Statistics
        Of the rows they were fitted on, every task with some.
    relation : Relation
        They were fitted under, for these tasks.
    noise : (t,) or None
        Of a prior.
    solver : Model
        The rest.
    places : (m,)
        Positions of tasks.
    """
    found: dict[int, Past] = {}
    settled = _settled(stats, relation, noise, solver)
    for k in places.tolist():
        scale, origin, covariance, used = _alone(stats, k) if settled is None else settled(k)
        absent = np.zeros(stats.n_features, dtype=bool) if stats.absent is None else stats.absent[k]
        found[k] = Past(coef[k], float(intercept[k]), scale, origin, absent, covariance, used)
    return found


def _settled(stats: Statistics, relation: Relation, noise: Array | None, solver: Model) -> Any:
    """The function from a task to scale, origin, covariance and degrees of freedom used; None where there is none."""
    if solver.pooled:
        return _pooled(stats, relation, solver)
    prior = isinstance(relation, HierarchicalPrior)
    if stats.n_tasks * stats.n_features**2 > WHOLE:
        return _given_others(stats, relation, noise, solver)
    if not prior and (prices_features(relation) or not is_quadratic(relation)):
        return None
    try:
        setting = setting_of(stats, relation, solver, noise)
    except InputError:  # blocks beyond memory
        return None
    d, tied = stats.n_features, setting.tied
    basis = np.eye(d + tied) if setting.basis is None else setting.basis
    # From (z, 1) to the setting's coordinates.
    inside = np.zeros((d + 1, basis.shape[1] + setting.extra - tied))
    inside[: d + tied, : basis.shape[1]] = basis
    if setting.extra and not tied:
        inside[d, -1] = 1.0

    def of(k: int) -> tuple[Array, Array, Array, float]:
        block = setting.inverse_diagonal[k]
        covariance = inside @ block @ inside.T
        if setting.basis is not None and setting.outside is not None:
            beyond = setting.outside[k] * (np.eye(d + tied) - basis @ basis.T)
            covariance[: d + tied, : d + tied] += beyond
        covariance *= setting.c[k]
        used = float(np.vdot(block, setting.forms[k])) + setting.free
        if setting.free:
            covariance[d, d] = 1.0 / stats.weight[k]
        return setting.scale, setting.origin[k], covariance, used

    return of


def _given_others(stats: Statistics, relation: Relation, noise: Array | None, solver: Model) -> Any:
    """Very many tasks that are tied to their mean: what they say of it together is as good as known."""
    scale = np.where(stats.spread > 0, stats.spread, 1.0) if solver.standardize else np.ones(stats.n_features)
    kind, d = solver.datafit.intercept, stats.n_features
    center = stats.center if solver.standardize and kind in ("tied", "common") else np.zeros(d)
    last = kind == "tied"
    if isinstance(relation, HierarchicalPrior):
        assert noise is not None
        values, vectors = np.linalg.eigh(np.asarray(relation.S))
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        own = 1.0 / np.where(noise > 0, noise, 1.0)
    else:
        precision = (
            None if prices_features(relation) or not is_quadratic(relation) else split(relation, stats.n_tasks)[0]
        )
        graph = None if precision is None else complete_graph(precision)
        if graph is None or sum(graph) <= 0:
            return None
        root = np.eye(d + last) / np.sqrt(sum(graph))
        own = solver.datafit.loss_weights(stats)

    def of(k: int) -> tuple[Array, Array, Array, float]:
        origin = (stats.mean_x[k] if kind == "free" else center) / scale
        form = task_form(stats, k) / np.multiply.outer(scale, scale)
        if kind != "free":
            z = np.append(stats.mean_x[k] / scale - origin, np.ones(int(last)))
            form = np.pad(form, [(0, int(last))] * 2) + stats.weight[k] * np.multiply.outer(z, z)
        inner = root.T @ form @ root * own[k]
        block = root @ np.linalg.solve(np.eye(len(inner)) + inner, root.T) * own[k]
        covariance = np.pad(block, [(0, d + 1 - len(block))] * 2)
        used = float(np.vdot(block, form)) + (kind == "free")
        if kind == "free":
            covariance[d, d] = 1.0 / stats.weight[k]
        return scale, origin, covariance, used

    return of


def _pooled(stats: Statistics, relation: Relation, solver: Model) -> Any:
    """One coefficient vector: its own curvature."""
    scaled, center, scale, problem = solver.prepare(stats)
    form = problem.forms.dense()[0]
    strength = float(relation.strength)  # type: ignore[attr-defined]
    inverse = np.linalg.pinv(form + strength * np.eye(len(form)), hermitian=True)
    c = solver.datafit.loss_weights(scaled)
    free, common = solver.datafit.intercept == "free", solver.datafit.intercept == "common"

    def of(k: int) -> tuple[Array, Array, Array, float]:
        d = stats.n_features
        origin = scaled.mean_x[k] if free else center
        own = task_form(scaled, k)
        if not free:
            own = own + scaled.weight[k] * np.multiply.outer(scaled.mean_x[k] - center, scaled.mean_x[k] - center)
        covariance = np.pad(c[k] * inverse, [(0, 1), (0, 1)])
        used = c[k] * float(np.vdot(inverse, own))
        if free:
            covariance[d, d], used = 1.0 / stats.weight[k], used + 1.0
        if common:
            covariance[d, d] = c[k] / float(c @ stats.weight)
            used += float(covariance[d, d] * stats.weight[k])
        return scale, origin, covariance, used

    return of


def _alone(stats: Statistics, k: int) -> tuple[Array, Array, Array, float]:
    """A task by itself, by least squares."""
    scale = np.where(stats.spread > 0, stats.spread, 1.0)
    form = task_form(stats, k) / np.multiply.outer(scale, scale)
    rank = int(np.linalg.matrix_rank(form, hermitian=True))
    covariance = np.pad(np.linalg.pinv(form, rcond=1e-12, hermitian=True), [(0, 1), (0, 1)])
    covariance[-1, -1] = 1.0 / stats.weight[k]
    return scale, stats.mean_x[k] / scale, covariance, rank + 1.0
