"""Exact leave-one-out of quadratic relations under squared loss, and generalised cross-validation: no refits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.choosing.errors import OneByOne
from relatask.linear.choosing.rows import Rows
from relatask.linear.features import alike, priced
from relatask.linear.input.design import Design
from relatask.linear.path import CHUNK, Model
from relatask.linear.problem import Problem
from relatask.linear.solvers.direct import direct
from relatask.linear.solvers.family import Family, family
from relatask.linear.solvers.selected import Block, Selected, selected, writes_blocks
from relatask.linear.solvers.structured import factorise
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.relations import Relation, with_parameters

SOLE = 1e-10
"""A label with a leverage this near 1 fits itself."""


@dataclass(frozen=True, eq=False)
class Along:
    """Candidates that differ in the strengths of their precisions only: their places, data and family."""

    places: NDArray[np.intp]
    problem: Problem
    family: Family

    def some(self, index: slice) -> Along:
        """Some of the candidates."""
        return Along(self.places[index], self.problem, self.family.some(index))


@dataclass(frozen=True, eq=False)
class Prepared:
    """One model for m candidate strengths: what statistics say, on the columns that data see.

    `groups` is one, unless relations on features are among the candidates: these are data of their own.
    """

    stats: Statistics
    center: Array
    scale: Array
    columns: NDArray[np.intp]
    groups: tuple[Along, ...]
    model: Model

    def parts(self) -> Iterator[tuple[Along, Array, Selected]]:
        """Some candidates at a time, W (t, s, d), and the blocks of their inverses; the weakest comes first."""
        for group in self.groups:
            t, d = group.problem.shape
            size = max(1, int(CHUNK // (t * d * (d if writes_blocks(group.problem.forms, group.family) else 1))))
            for first in range(0, len(group.places), size):
                some = group.some(slice(first, first + size))
                steps, factor = self.model.max_iter, factorise(some.problem.forms, some.family)
                W, _, _ = direct(some.problem, some.family, tol=self.model.tol, max_iter=steps, factor=factor)
                yield some, W, selected(some.problem, some.family, steps, factor)

    @property
    def m(self) -> int:
        """How many candidates there are."""
        return sum(len(group.places) for group in self.groups)

    def original(self, W: Array) -> tuple[Array, Array]:
        """Coefficients (t, s, d) and intercepts (t, s) in units of the targets as they are fitted."""
        tied = self.model.datafit.intercept == "tied"
        whole = np.zeros((W.shape[0], self.stats.n_features + tied))
        scaled = replace(self.model, target_scale=None)
        found = []
        for s in range(W.shape[1]):
            whole[:, self.columns] = W[:, s]
            found.append(scaled.coefficients(self.stats, self.center, self.scale, whole.copy()))
        return np.stack([coef for coef, _ in found], axis=1), np.stack([own for _, own in found], axis=1)

    def seen(self, X: Array, k: int) -> Array:
        """Rows of task k as its form has them: scaled, measured from where they are measured from."""
        kind = self.model.datafit.intercept
        Z = X / self.scale - (self.stats.mean_x[k] if kind == "free" else self.center)
        Z = np.column_stack([Z, np.ones(len(Z))]) if kind == "tied" else Z
        return Z if len(self.columns) == Z.shape[1] else Z[:, self.columns]


def prepared(
    stats: Statistics, relation: Relation, names: Sequence[str], candidates: Sequence[tuple[float, ...]], model: Model
) -> Prepared:
    """The problem, restricted to the columns that data see, and the family of precisions."""
    scaled, center, scale, bare = model.prepare(stats)
    relations = [with_parameters(relation, **dict(zip(names, c, strict=True))) for c in candidates]
    found = []
    for places in alike(relations):
        problem = priced(bare, relations[places[0]])[0]
        found.append((places, problem, [priced(bare, relations[place])[1] for place in places]))
    columns = np.flatnonzero(sum(problem.forms.diagonal().any(0) for _, problem, _ in found))
    columns = columns if len(columns) else np.zeros(1, dtype=np.intp)
    groups = []
    for places, problem, rest in found:
        reduced = problem if len(columns) == problem.shape[1] else problem.restricted(columns)
        groups.append(Along(np.array(places), reduced, family(rest, stats.n_tasks)))
    return Prepared(scaled, center, scale, columns, tuple(groups), model)


def leave_one_out(design: Design, here: Prepared) -> OneByOne:
    """Errors of every label predicted without it, for every strength.

    ``y_i - yhat_i^(-i) = (y_i - yhat_i) / (1 - h_i)``, with the leverage ``h_i = d yhat_i / d y_i``: with own
    intercepts ``c_k s_i (1 / (c_k n_k) + z' M_kk z)``, z the row about its task's mean and M = (H + P)^-1. Exact for
    the loss weights c_k, the standardisation and the relation as they were learned on all rows.

    Parameters
    ----------
    design : Design
        The rows that the statistics were made of.
    here : Prepared
        With candidates in ascending order: the first is the weakest.
    """
    model, t, m = here.model, design.n_tasks, here.m
    c, n = model.datafit.loss_weights(here.stats), here.stats.weight
    unit = np.ones(t) if model.target_scale is None else model.target_scale
    rows = Rows(design, model.fill(here.stats, here.center, here.scale))
    sums = np.zeros((3, m, t))
    weight, square = np.zeros(t), np.zeros(t)
    judged: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for along, W, inverse in here.parts():
        part = along.places
        coef, intercept = here.original(W)
        leverage = _leverage(here, inverse, c, n)
        for k in range(t):
            block = inverse.block(k)
            for piece, X, y, s in rows.of(k):
                h = leverage(k, block, X, s)
                residual = y[:, None] / unit[k] - X @ coef[k].T - intercept[k]
                if (k, piece) not in judged:
                    # Leverages fall as strengths rise: whoever fits itself does so at the weakest.
                    kept = h.max(1) < 1 - SOLE
                    judged[k, piece] = kept
                    weight[k] += s[kept].sum()
                    square[k] += np.square(s[kept]).sum()
                kept = judged[k, piece]
                if not kept.all():
                    residual, h, s = residual[kept], h[kept], s[kept]
                error = np.square(residual / (1.0 - h))
                sums[0, part, k] += s @ error
                sums[1, part, k] += np.square(s) @ np.square(error)
                sums[2, part, k] += np.square(s) @ error
    left_out = sum(int((~kept).sum()) for kept in judged.values())
    return OneByOne(sums[0], sums[1], sums[2], weight, square, left_out)


def generalised(here: Prepared) -> tuple[Array, Array]:
    """Generalised cross-validation from statistics alone: (m,) criteria and degrees of freedom.

    ``sum_i o_i (y_i - yhat_i)^2 / sum_i o_i / (1 - df / N)^2`` with the weights o_i = c_k s_i of the loss, N labels
    and df the trace of the hat matrix, intercepts included; infinite where df >= N.
    """
    fit, t = here.model.datafit, here.stats.n_tasks
    total = float(fit.loss_weights(here.stats) @ here.stats.weight)
    count = int(here.stats.count.sum())
    loss, freedom = np.empty(here.m), np.empty(here.m)
    for some, W, inverse in here.parts():
        loss[some.places] = [2 * some.problem.value(W[:, s]) for s in range(W.shape[1])]
        df = sum((inverse.block(k).freedom() for k in range(t)), np.zeros(1))
        if fit.intercept == "free":
            df = df + float((here.stats.weight > 0).sum())
        if inverse.along is not None and inverse.slack is not None:
            priced = np.einsum("tsd,tsd->s", inverse.along, some.family.apply(inverse.along))
            own = inverse.slack > 0
            df = df + np.where(own, 1.0 - priced / np.where(own, inverse.slack, 1.0), 0.0)
        freedom[some.places] = df
    room = 1.0 - freedom / count
    criterion = np.divide(
        np.maximum(loss, 0.0) / total, np.square(room), out=np.full(len(room), np.inf), where=room > 0
    )
    return criterion, freedom


def _leverage(here: Prepared, inverse: Selected, c: Array, n: Array) -> Callable[[int, Block, Array, Array], Array]:
    """Give the function that has the leverages (n, s) of some rows of a task."""
    kind = here.model.datafit.intercept
    level = np.sqrt(c @ n)

    def leverage(k: int, block: Block, X: Array, s: Array) -> Array:
        Z = here.seen(X, k)
        forms = block.forms(block.coordinates(Z))
        if kind == "free":
            forms += 1.0 / (c[k] * n[k])
        if inverse.along is not None and inverse.slack is not None:
            own = inverse.slack > 0
            offset = np.square(Z @ inverse.along[k].T - 1.0 / level)
            forms += np.where(own, offset / np.where(own, inverse.slack, 1.0), 0.0)
        return forms * (c[k] * s)[:, None]

    return leverage
