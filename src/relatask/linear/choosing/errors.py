"""Errors on labels that were left out, their standard errors, and the strength they speak for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.forms import Array

EQUAL = 1e-12
"""Errors that differ by less, relatively, are equal."""


class Errors(Protocol):
    """What was found for m strengths and t tasks."""

    def overall(self) -> tuple[Array, Array]:
        """(m,) mean errors over all labels, and their standard errors."""

    def by_task(self) -> Array:
        """(m, t) mean errors of each task; NaN where no label of it was left out."""

    def mean_of_tasks(self, unit: Array) -> tuple[Array, Array]:
        """(m,) means over tasks of the tasks' errors in (t,) units, and their standard errors."""


@dataclass(frozen=True, eq=False)
class OneByOne:
    """Sums over labels that were left out one by one, e their squared errors and s their weights.

    Attributes
    ----------
    first, second, mixed : (m, t) sums of s e, s^2 e^2, s^2 e.
    weight, square : (t,) sums of s, s^2.
    left_out : how many labels could not be judged: their fit is their own label, whatever it is.
    """

    first: Array
    second: Array
    mixed: Array
    weight: Array
    square: Array
    left_out: int

    def overall(self) -> tuple[Array, Array]:
        """As `Errors`; labels count as independent."""
        total = self.weight.sum()
        mean = self.first.sum(1) / total
        variance = self.second.sum(1) - 2 * mean * self.mixed.sum(1) + np.square(mean) * self.square.sum()
        return mean, np.sqrt(np.maximum(variance, 0.0)) / total

    def by_task(self) -> Array:
        """As `Errors`."""
        return _ratio(self.first, self.weight)

    def mean_of_tasks(self, unit: Array) -> tuple[Array, Array]:
        """As `Errors`."""
        mean = self.by_task()
        variance = self.second - 2 * mean * self.mixed + np.square(mean) * self.square
        variance = np.maximum(_ratio(variance, np.square(self.weight)), 0.0) / np.square(unit)
        judged = np.isfinite(mean[0]) & np.isfinite(unit)
        return (mean / unit)[:, judged].mean(1), np.sqrt(variance[:, judged].sum(1)) / max(1, judged.sum())


def joined(first: OneByOne, second: OneByOne) -> OneByOne:
    """More candidates, the first of `second` left out: it was there to judge the same labels."""
    sums = [np.concatenate([getattr(first, name), getattr(second, name)[1:]]) for name in ("first", "second", "mixed")]
    return OneByOne(sums[0], sums[1], sums[2], first.weight, first.square, first.left_out)


@dataclass(frozen=True, eq=False)
class Folded:
    """Sums of f folds: `sums` (f, m, t) of weighted errors, `weights` (f, t) of the labels."""

    sums: Array
    weights: Array

    def overall(self) -> tuple[Array, Array]:
        """As `Errors`; standard errors are of the folds' means."""
        mean = self.sums.sum((0, 2)) / self.weights.sum()
        return mean, _between(_ratio(self.sums.sum(2), self.weights.sum(1)[:, None]))

    def by_task(self) -> Array:
        """As `Errors`."""
        return _ratio(self.sums.sum(0), self.weights.sum(0))

    def mean_of_tasks(self, unit: Array) -> tuple[Array, Array]:
        """As `Errors`."""
        mean = self.by_task() / unit
        each = _ratio(self.sums, self.weights[:, None, :]) / unit
        judged = np.isfinite(mean[0])
        folds = np.stack([one[:, np.isfinite(one[0])].mean(1) for one in each if np.isfinite(one[0]).any()])
        return mean[:, judged].mean(1), _between(folds)


def chosen_place(errors: Array, spread: Array | None, strengths: Array) -> int:
    """The place of the least error; with `spread` that of the strongest within one standard error of it.

    Parameters
    ----------
    errors : (m,) array
        Means.
    spread : (m,) array or None
        Standard errors.
    strengths : (m, q) array
        Ascending grids; of several strengths that is strongest whose ranks have the largest sum.
    """
    ranks = sum((np.unique(column, return_inverse=True)[1] for column in strengths.T), np.zeros(len(errors)))

    def strongest(near: NDArray[np.bool_]) -> int:
        return int(max(np.flatnonzero(near), key=lambda m: (ranks[m], m)))

    # Among equal errors the strongest.
    best = strongest(errors <= np.nanmin(errors) * (1 + EQUAL))
    return best if spread is None else strongest(errors <= errors[best] + spread[best])


def stacked(folds: Sequence[tuple[Array, Array]]) -> Folded:
    """Folds as they come, (m, t) sums and (t,) weights each."""
    return Folded(np.stack([sums for sums, _ in folds]), np.stack([weights for _, weights in folds]))


def _ratio(sums: Array, weights: Array) -> Array:
    return np.divide(sums, weights, out=np.full(sums.shape, np.nan), where=np.broadcast_to(weights > 0, sums.shape))


def _between(folds: Array) -> Array:
    """Standard errors of the mean of (f, m) folds; 0 of a single one."""
    folds = folds[np.isfinite(folds[:, 0])]
    return folds.std(0, ddof=1) / np.sqrt(len(folds)) if len(folds) > 1 else np.zeros(folds.shape[1])
