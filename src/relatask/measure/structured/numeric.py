"""Metrics of numbers, counts and similarities: errors, shares of variance and deviance, correlations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import xlogy

from relatask.measure.structured.measured import LEAST, Floats, Ints, Measured, OfSums, both, ranks, ratio


@dataclass(frozen=True)
class Mean(OfSums):
    """A mean over rows of ``of_row(y, answer)``, then `last` of it."""

    of_row: Callable[[Floats, Floats], Floats]
    last: Callable[[float], float] = float

    def terms(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Floats:
        """Each row's number, and whether it has a label."""
        truth, guess = both(y, answers)
        seen = ~np.isnan(truth)
        value = np.zeros(len(truth))
        value[seen] = self.of_row(truth[seen], guess[seen])
        return np.column_stack([value, seen])

    def of(self, sums: Floats) -> float:
        """The mean."""
        return float(self.last(ratio(sums[0], sums[1])))


@dataclass(frozen=True)
class Explained(OfSums):
    """``1 - D / D_0``, D_0 that of the rows' own mean: of squares or of Poisson deviances."""

    poisson: bool = False

    def terms(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Floats:
        """Deviance, y, what follows of y for the null deviance, and whether there is a label."""
        truth, guess = both(y, answers)
        seen = ~np.isnan(truth)
        found = np.zeros((len(truth), 4))
        t, g = truth[seen], guess[seen]
        centre = 0.0 if self.poisson or not len(t) else t.mean()  # squares about it keep their digits
        found[seen, 0] = poisson_deviances(t, g) if self.poisson else (t - g) ** 2
        found[seen, 1] = t - centre
        found[seen, 2] = 2 * xlogy(t, t) if self.poisson else (t - centre) ** 2
        found[seen, 3] = 1
        return found

    def of(self, sums: Floats) -> float:
        """One minus the ratio."""
        deviance, total, inner, n = sums
        if not n:
            return float("nan")
        null = inner - (2 * xlogy(total, total / n) if self.poisson else total**2 / n)
        return 1 - ratio(deviance, null if null > 1e-12 * inner else 0.0)


@dataclass(frozen=True)
class Correlation(Measured):
    """Pearson's, of the numbers or (Spearman's) of their ranks."""

    by_rank: bool = False

    def prepare(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Any:
        """Both, side by side."""
        return np.column_stack(both(y, answers))

    def value(self, prepared: Any, rows: Ints) -> float:
        """Of the rows with a label; NaN where either does not vary."""
        chosen = prepared[rows]
        chosen = chosen[~np.isnan(chosen[:, 0])]
        if self.by_rank:
            chosen = np.column_stack([ranks(column) for column in chosen.T])
        centred = chosen - chosen.mean(0) if len(chosen) else chosen
        length = np.sqrt((centred**2).sum(0))
        return ratio(float(np.prod(centred, axis=1).sum()), float(length.prod()))


def squares(y: Floats, guess: Floats) -> Floats:
    """Squared errors."""
    return (y - guess) ** 2


def absolutes(y: Floats, guess: Floats) -> Floats:
    """Absolute errors."""
    return np.abs(y - guess)


def poisson_deviances(y: Floats, mean: Floats) -> Floats:
    """``2 (y log(y / m) - y + m)``."""
    mean = np.maximum(mean, LEAST)
    return 2 * (xlogy(y, y / mean) - y + mean)
