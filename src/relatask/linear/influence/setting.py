"""A fitted model as a linear map of labels: each task's form, its cross products, and the blocks that join tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.features import priced
from relatask.linear.influence.building import inverse_blocks, prior_blocks
from relatask.linear.influence.inverses import Inverse
from relatask.linear.influence.wide import outside, row_space, within
from relatask.linear.losses.squared import Squared
from relatask.linear.path import Model
from relatask.linear.problem import Problem
from relatask.linear.solvers.family import family
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.relations import HierarchicalPrior, Relation


@dataclass(frozen=True, eq=False)
class Setting:
    """Tasks in coordinates of their own: features z = x / scale - origin_k, then what tied and common intercepts add.

    In these, task i's coefficients are sum_j M_ij b_j with b_j = c_j Z_j' S_j (y_j - offset_j) / unit_j, so that its
    fitted values move by Z_i M_ij c_j Z_j' S_j with task j's labels; a free intercept adds s' / n_k within the task.

    Attributes
    ----------
    inverse : the blocks M_ij, (q, q).
    forms : (t, q, q) G_k = c_k Z_k' S_k Z_k.
    cross : (t, q) b_k.
    spread : (t,) c_k sum_i s_i (y_i - offset_k)^2 / unit_k^2.
    c : (t,) loss weights; under a prior 1 / noise_k.
    weight, count : (t,) sums of the rows' weights, numbers of labels.
    free : whether each task has an intercept of its own, unpenalised and eliminated.
    extra : how many coordinates follow the features: 1 with tied and common intercepts.
    tied : whether it is a tied one, which is seen as a feature.
    scale, origin : (d,), (t, d).
    offset, unit : (t,) of the labels.
    absent : (t, d) features that a task lacks, or None.
    basis : (p, q) of what the rows span, where they are fewer than the features; else None.
    outside : (t,) variances that the relation alone leaves where no row looks, beside a basis.
    """

    inverse: Inverse
    forms: Array
    cross: Array
    spread: Array
    c: Array
    weight: Array
    count: NDArray[np.intp]
    free: bool
    extra: int
    tied: bool
    scale: Array
    origin: Array
    offset: Array
    unit: Array
    absent: NDArray[np.bool_] | None
    basis: Array | None = None
    outside: Array | None = None

    @property
    def n_tasks(self) -> int:
        """t."""
        return len(self.c)

    @property
    def level(self) -> Array:
        """(t,) 1 / (c_k n_k), what a free intercept adds to z' M_kk z; 0 where there is none."""
        total = self.c * self.weight
        return np.divide(1.0, total, out=np.zeros(self.n_tasks), where=(total > 0) & self.free)

    @cached_property
    def inverse_diagonal(self) -> Array:
        """(t, q, q) blocks M_kk."""
        return self.inverse.diagonal()

    def solution(self) -> Array:
        """(t, q) coefficients."""
        return self.inverse.apply(self.cross)

    def coordinates(self, X: Any, task: int) -> Array:
        """(n, q) coordinates of rows in one task."""
        return self._within(self._plain(X, task))

    def spread_at(self, X: Any, task: int) -> Array:
        """(n,) z' M_kk z, and what a free intercept adds: the variance of the line there, by c_k and noise."""
        plain = self._plain(X, task)
        z = self._within(plain)
        out = np.einsum("na,na->n", z @ self.inverse_diagonal[task], z)
        if self.basis is not None and self.outside is not None:
            seen = plain @ self.basis
            unseen = np.einsum("na,na->n", plain, plain) - np.einsum("na,na->n", seen, seen)
            out += self.outside[task] * np.maximum(unseen, 0.0)
        return np.maximum(out, 0.0) + self.level[task]

    def variances(self, blocks: Array) -> Array:
        """(t, d) of the scaled coefficients, from covariances (t, q, q) of the coordinates."""
        d = len(self.scale)
        if self.basis is None:
            return np.einsum("tqq->tq", blocks)[:, :d]
        r = self.basis.shape[1]
        return np.einsum("da,tab,db->td", self.basis[:d], blocks[:, :r, :r], self.basis[:d], optimize=True)

    def _plain(self, X: Any, task: int) -> Array:
        """(n, p) scaled features, measured from the task's origin, and with tied intercepts a 1."""
        dense = X.toarray() if hasattr(X, "toarray") else np.asarray(X, dtype=np.float64)
        z = dense / self.scale - self.origin[task]
        if self.absent is not None:
            z = np.where(self.absent[task], 0.0, z)
        return np.hstack([z, np.ones((len(z), int(self.tied)))])

    def _within(self, plain: Array) -> Array:
        z = plain if self.basis is None else plain @ self.basis
        return np.hstack([z, np.ones((len(z), self.extra - int(self.tied)))])


def setting_of(stats: Statistics, relation: Relation, model: Model, noise: Array | None = None) -> Setting:
    """The map that a model under a quadratic relation, or under a prior with (t,) `noise`, has learned.

    Parameters
    ----------
    stats : Statistics
        Of the training rows.
    relation : Relation
        Bound, with numbers; of a prior with its m and S.
    model : Model
        Datafit and preparation.
    noise : (t,), optional
        Of a prior, in units of the labels.

    Raises
    ------
    InputError
        Where the blocks would be more than memory holds.
    """
    unit = np.ones(stats.n_tasks) if model.target_scale is None else model.target_scale
    if isinstance(relation, HierarchicalPrior):
        assert noise is not None
        return _under_prior(stats, relation, model, noise / np.square(unit), unit)
    scaled, center, scale, problem = model.prepare(stats)
    datafit = model.datafit
    c, n = datafit.loss_weights(scaled), scaled.weight
    # What prices features is seen as data by the inverse, but it is none.
    priced_problem, rest = priced(problem, relation)
    members = family([rest], stats.n_tasks)
    basis = row_space(problem.forms) if priced_problem is problem else None
    if basis is not None:
        priced_problem = problem = within(problem, basis)
    last = 1.0 / float(np.sqrt(c @ n)) if datafit.intercept == "common" else None
    inverse = inverse_blocks(priced_problem, members, last)
    found = _setting(scaled, center, scale, problem, inverse, c, datafit.intercept, unit)
    if basis is not None:
        found = replace(found, basis=basis, outside=outside(members.member(0)))
    return found if last is None else _with_common(found, scaled, problem, last)


def _setting(
    stats: Statistics,
    center: Array,
    scale: Array,
    problem: Problem,
    inverse: Inverse,
    c: Array,
    intercept: str,
    unit: Array,
) -> Setting:
    """`stats` are scaled, of divided targets."""
    t, d = stats.n_tasks, stats.n_features
    free = intercept == "free"
    spread = stats.yy if free else stats.yy + stats.weight * np.square(stats.mean_y)
    return Setting(
        inverse=inverse,
        forms=problem.forms.dense(),
        cross=problem.cross,
        spread=c * spread,
        c=c,
        weight=stats.weight,
        count=stats.count,
        free=free,
        extra=int(intercept in ("tied", "common")),
        tied=intercept == "tied",
        scale=scale,
        origin=stats.mean_x if free else np.broadcast_to(center, (t, d)),
        offset=stats.mean_y * unit if free else np.zeros(t),
        unit=unit,
        absent=stats.absent,
    )


def _with_common(setting: Setting, stats: Statistics, problem: Problem, last: float) -> Setting:
    """Each task sees the common intercept as its last coordinate; labels are measured from their mean."""
    assert problem.coupling is not None
    total = setting.c * stats.weight
    whole = float(total @ stats.mean_y / total.sum())
    forms = np.pad(setting.forms, [(0, 0), (0, 1), (0, 1)])
    forms[:, :-1, -1] = forms[:, -1, :-1] = problem.coupling / last
    forms[:, -1, -1] = total
    own = stats.mean_y - whole
    return replace(
        setting,
        forms=forms,
        cross=np.column_stack([setting.cross, total * own]),
        spread=setting.c * (stats.yy + stats.weight * np.square(own)),
        offset=whole * setting.unit,
    )


def _under_prior(stats: Statistics, relation: HierarchicalPrior, model: Model, noise: Array, unit: Array) -> Setting:
    """Rows weighed by their noise; a common intercept is a column without variance."""
    intercept = model.datafit.intercept
    datafit = Squared("sum", "tied" if intercept == "common" else intercept)
    scaled, center, scale, problem = replace(model, datafit=datafit).prepare(stats)
    c = np.divide(1.0, noise, out=np.zeros_like(noise), where=noise > 0)
    problem = Problem(problem.forms.scaled(c), problem.cross * c[:, None], problem.constant)
    S = np.zeros((problem.shape[1],) * 2)
    given = np.asarray(relation.S)
    S[: len(given), : len(given)] = given
    inverse = prior_blocks(problem.forms.dense(), S)
    return _setting(scaled, center, scale, problem, inverse, c, datafit.intercept, unit)
