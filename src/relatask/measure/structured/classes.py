"""Metrics of classes: right and wrong ones, chances, their order, and whether they can be believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from relatask.measure.structured.measured import LEAST, Floats, Ints, Measured, OfSums, both, numbers, ranks, ratio

_BINS = 15


def likeliest(answers: Floats) -> Ints:
    """The class with the highest chance; of chances of 1, whether it is more than one half."""
    return answers.argmax(-1) if answers.ndim == 2 else (answers > 0.5).astype(np.int64)


def median(answers: Floats) -> Ints:
    """The class in whose chance one half of the whole lies: of classes in order the least absolute error."""
    return (answers.cumsum(-1)[..., :-1] < 0.5).sum(-1)


def right(y: Floats, answers: Floats) -> Floats:
    """Whether the likeliest class is the label's."""
    return (likeliest(answers) == y).astype(float)


def wrong(y: Floats, answers: Floats) -> Floats:
    """Whether it is not."""
    return 1 - right(y, answers)


def off(y: Floats, answers: Floats) -> Floats:
    """How many classes the median one is off."""
    return np.abs(median(answers) - y)


def log_losses(y: Floats, answers: Floats) -> Floats:
    """Minus the logarithm of the label's chance."""
    if answers.ndim == 1:
        chance = np.where(y == 1, answers, 1 - answers)
    else:
        chance = answers[np.arange(len(y)), y.astype(np.int64)]
    return -np.log(np.clip(chance, LEAST, 1 - LEAST))


@dataclass(frozen=True)
class OfConfusion(Measured):
    """A metric that follows from how often each class was told for each, (C, C): rows are the labels'."""

    of: Callable[[Floats], float]
    told: Callable[[Floats], Ints] = likeliest

    def prepare(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Any:
        """Each row's cell, the last one for rows without a label; and C."""
        truth, guess = both(y, answers)
        seen = ~np.isnan(truth)
        classes = guess.shape[1] if guess.ndim == 2 else 2
        cell = np.full(len(truth), classes**2)
        cell[seen] = truth[seen].astype(np.int64) * classes + self.told(guess[seen])
        return _Cells(cell, classes)

    def value(self, prepared: Any, rows: Ints) -> float:
        """Of the table."""
        k = prepared.classes
        table = np.bincount(prepared.cell[rows], minlength=k * k + 1)[:-1].reshape(k, k).astype(float)
        return self.of(table) if table.any() else float("nan")


@dataclass(frozen=True, eq=False)
class _Cells:
    cell: Ints
    classes: int

    def __len__(self) -> int:
        return len(self.cell)


def balanced_accuracy(table: Floats) -> float:
    """Mean over the classes there are of the share told right."""
    there = table.sum(1)
    return float((np.diag(table)[there > 0] / there[there > 0]).mean())


def macro_f1(table: Floats) -> float:
    """Mean over the classes there are or that are told of their F1."""
    both_ = table.sum(0) + table.sum(1)
    return float((2 * np.diag(table)[both_ > 0] / both_[both_ > 0]).mean())


def quadratic_kappa(table: Floats) -> float:
    """Cohen's kappa with squared distances: one minus the disagreement, by that of independent ones."""
    place = np.arange(len(table))
    far = (place[:, None] - place[None]) ** 2
    chance = np.outer(table.sum(1), table.sum(0)) / table.sum()
    return 1 - ratio(float((far * table).sum()), float((far * chance).sum()))


@dataclass(frozen=True)
class CalibrationError(OfSums):
    """Expected calibration error in 15 bins: of the chance of 1, or of the likeliest class's chance of being right.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger 2017, On calibration of modern neural networks, ICML.
    """

    def terms(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Floats:
        """In its bin: a row, its chance, and whether it came so."""
        truth, guess = both(y, answers)
        seen = ~np.isnan(truth)
        chance = guess if guess.ndim == 1 else guess.max(1)
        came = truth == 1 if guess.ndim == 1 else likeliest(guess) == truth
        place = np.clip(np.ceil(chance * _BINS).astype(np.int64) - 1, 0, _BINS - 1)
        found = np.zeros((len(truth), 3, _BINS))
        rows = np.flatnonzero(seen)
        for k, value in enumerate((np.ones(len(truth)), chance, came)):
            found[rows, k, place[seen]] = value[seen]
        return found.reshape(len(truth), -1)

    def of(self, sums: Floats) -> float:
        """Distances of the bins' means, weighted by their rows."""
        n, chance, came = sums.reshape(3, _BINS)
        return ratio(float(np.abs(chance - came).sum()), float(n.sum()))


def area(y: Floats, score: Floats) -> float:
    """The share of pairs, a label 1 and a label 0, in which the 1 has the higher score, half of equal ones counted."""
    ones = y == 1
    n, m = int(ones.sum()), int((~ones).sum())
    if not n or not m:
        return float("nan")
    return float((ranks(score)[ones].sum() - n * (n + 1) / 2) / (n * m))


def average_precision(y: Floats, score: Floats) -> float:
    """``sum_k (recall_k - recall_k-1) precision_k`` over the distinct scores, highest first; NaN without a 1."""
    if not (y == 1).any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    hit = np.cumsum(y[order] == 1)
    last = np.append(np.flatnonzero(np.diff(score[order])), len(y) - 1)  # of equal scores
    precision, recall = hit[last] / (last + 1), hit[last] / hit[-1]
    return float((np.diff(recall, prepend=0) * precision).sum())


@dataclass(frozen=True)
class Ranked(Measured):
    """A metric of the order of chances; of several columns the mean over those where it is defined."""

    of: Callable[[Floats, Floats], float]

    def prepare(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Any:
        """Labels and chances side by side (n, 2, C)."""
        truth, guess = both(y, answers)
        return np.stack([truth.reshape(len(truth), -1), guess.reshape(len(truth), -1)], 1)

    def value(self, prepared: Any, rows: Ints) -> float:
        """Column by column."""
        found = []
        for truth, guess in np.moveaxis(prepared[rows], (1, 2), (1, 0)):
            seen = ~np.isnan(truth)
            found.append(self.of(truth[seen], guess[seen]))
        defined = [value for value in found if not np.isnan(value)]
        return float(np.mean(defined)) if defined else float("nan")


@dataclass(frozen=True)
class Entries(OfSums):
    """Metrics of subsets, all entries that are there together: micro F1, or the mean log loss."""

    f1: bool = True

    def terms(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Floats:
        """Right ones, ones and ones told; or log losses and entries."""
        truth, guess = numbers(y), np.asarray(answers, dtype=float)
        seen = ~np.isnan(truth)
        one, told = seen & (truth == 1), seen & (guess > 0.5)
        if self.f1:
            return np.column_stack([(one & told).sum(1), one.sum(1), told.sum(1)]).astype(float)
        loss = -np.log(np.clip(np.where(truth == 1, guess, 1 - guess), LEAST, 1 - LEAST))
        return np.column_stack([np.where(seen, loss, 0.0).sum(1), seen.sum(1)])

    def of(self, sums: Floats) -> float:
        """F1 or mean."""
        return ratio(2 * sums[0], sums[1] + sums[2]) if self.f1 else ratio(sums[0], sums[1])
