"""The hierarchical prior of very many tasks: searched on some of them, finished on all, their forms some at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from relatask.linear.losses.squared import Intercept
from relatask.linear.many_tasks import blocks, in_blocks, part, without_forms
from relatask.linear.prior.reml import Optimum
from relatask.linear.prior.search import searched
from relatask.linear.prior.setting import Moments, Prepared, coordinates, prepared, varying
from relatask.linear.prior.sums import Sums, TooStrongError
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.relations.hierarchical_prior import HierarchicalPrior


def fitted_in_blocks(
    stats: Statistics, relation: HierarchicalPrior, intercept: Intercept, standardize: bool, tol: float, max_iter: int
) -> tuple[Optimum, Array, Array, HierarchicalPrior, Statistics, Array, Array, Moments] | None:
    """The optimum of very many tasks, its coordinates, the relation, scaled statistics, center, scale, what was fitted.

    None where tasks are few or wide, where each has its own noise, or where effects drown the noise.
    """
    if not in_blocks(stats) or relation.noise != "common":
        return None
    own = prepared(stats, intercept, standardize)
    scaled, center, scale, _ = own.model.prepare(without_forms(own.stats))
    total = np.zeros((own.width, own.width))
    for _, _, problem in blocks(own.stats, own.model):
        total += problem.forms.combined(np.ones(problem.shape[0]))
    columns = varying(np.diagonal(total))
    total = total[np.ix_(columns, columns)]
    count = float(own.count.sum())
    kinds = ("isotropic", "diagonal", "full") if relation.covariance == "auto" else (relation.covariance,)
    found = [coordinates(total, count, kind, stats.n_tasks, intercept) for kind in kinds]
    fixed = found[0][1]

    def sums(of: Prepared) -> Sums:
        t, q = of.stats.n_tasks, len(columns)
        return Sums(
            partial(_source, of, columns),
            t,
            float(of.count.sum()),
            float(of.yy.sum()),
            fixed,
            found[0][2],
            relation.method == "reml",
            fixed.shape[1] * float(np.log(count)),
            np.empty((t, q * (q + 1) // 2)),
            np.empty((t, q)),
        )

    every = sums(own)

    def sample(n: int) -> Sums:
        if 2 * n >= stats.n_tasks:
            return every
        chosen = np.sort(np.random.default_rng(0).choice(stats.n_tasks, n, replace=False))
        return sums(replace(own, stats=part(own.stats, chosen), yy=own.yy[chosen], count=own.count[chosen]))

    try:
        best = searched(sample, every, [f[0] for f in found], [f[2] for f in found], tol, max_iter)
    except TooStrongError:
        return None
    random = best.marginal.random  # type: ignore[attr-defined]
    facts = Moments((), total, columns, own.width, own.last, own.offset, own.unit)
    return best, fixed, random, relation, scaled, center, scale, facts


def _source(of: Prepared, columns: NDArray[np.intp]) -> Iterator[tuple[slice, Array, Array]]:
    """Grams and cross products of the columns that vary, some tasks at a time."""
    for some, _, problem in blocks(of.stats, of.model):
        problem = problem if len(columns) == problem.shape[1] else problem.restricted(columns)
        bucket = problem.forms.buckets[0]
        assert bucket.gram is not None
        gram = bucket.gram if (bucket.scale == 1).all() else bucket.gram * bucket.scale[:, None, None]
        yield some, gram, problem.cross if of.unit else 0 * problem.cross
