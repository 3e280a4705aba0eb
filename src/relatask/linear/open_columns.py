"""Columns whose coefficients neither the data nor the relation determines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relatask.linear.losses.squared import Squared
from relatask.linear.problem import Problem
from relatask.linear.solvers import objective
from relatask.linear.sums.statistics import Statistics
from relatask.relations import Alternating, Diagonal, Edges, Precision, Relation, Smooth, parts

FLAT = 1e-12
"""A standard deviation within a task below this share of the column's mean is rounding."""


def open_columns(stats: Statistics, problem: Problem, relation: Relation, fit: Squared) -> NDArray[np.intp]:
    """Positions of columns that can be given other coefficients at no cost, with intercepts following.

    With free intercepts these are the columns that are constant within every task, with other intercepts those that
    are the same in every row; and only if the relation leaves some common direction of the tasks without a price (no
    norm, a singular precision). Combinations of columns are not looked for.
    """
    within = np.zeros(stats.n_features)
    for bucket in stats.forms.buckets:
        within = np.maximum(
            within, (bucket.diagonal() / np.maximum(stats.weight[bucket.tasks], 1e-300)[:, None]).max(0)
        )
    size = np.abs(stats.mean_x).max(0)
    flat = within <= np.square(FLAT * size)
    if fit.intercept == "none":
        flat &= size == 0
    elif fit.intercept != "free":
        flat &= np.ptp(stats.mean_x, axis=0) <= FLAT * size
    if not flat.any():
        return np.flatnonzero(flat)
    if any(isinstance(part, Alternating | Smooth) for part in parts(relation)):
        return np.zeros(0, dtype=np.intp)  # all of these price, or forbid, what no datum sees
    target = objective(problem, relation)
    if target.terms or (target.precision is not None and not _singular(target.precision)):
        return np.zeros(0, dtype=np.intp)
    return np.flatnonzero(flat)


def _singular(precision: Precision) -> bool:
    """Whether P has a null space, without writing it down where it may be large."""
    if isinstance(precision, Diagonal):
        return bool(precision.values.min() <= 0)
    if isinstance(precision, Edges):
        count, label = precision.components
        return bool((np.bincount(label, precision.extra > 0, minlength=count) == 0).any())
    return precision.null_space().shape[1] > 0
