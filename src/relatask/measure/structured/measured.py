"""`Measured`: a metric of one kind of labels, computed on any choice of rows from what is prepared once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.notices import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MISSING = -100
LEAST = float(np.finfo(np.float64).eps)
"""Chances are kept this far from 0 and 1."""


class Measured(ABC):
    """A metric: `prepare` once, `value` for any rows, which may repeat (a bootstrap's)."""

    @abstractmethod
    def prepare(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Any:
        """Give what is needed of each row, n of them; rows without a label have nothing."""

    @abstractmethod
    def value(self, prepared: Any, rows: Ints) -> float:
        """Give the metric on these rows; NaN where it is not defined."""


class OfSums(Measured):
    """A metric that follows from sums over rows: `terms` (n, k) of each row, `of` their sums (k,)."""

    @abstractmethod
    def terms(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Floats:
        """(n, k): what each row adds."""

    @abstractmethod
    def of(self, sums: Floats) -> float:
        """The metric."""

    def prepare(self, y: Any, answers: Any, names: tuple[str, ...] | None) -> Any:
        """The terms of all rows."""
        return self.terms(y, answers, names)

    def value(self, prepared: Any, rows: Ints) -> float:
        """Sum them over the rows."""
        return self.of(np.bincount(rows, minlength=len(prepared)) @ prepared)


def numbers(values: Any) -> Floats:
    """Give labels or answers (a list, an array or a tensor on the CPU) as floats; -100 among integers is NaN."""
    found = np.asarray(values)
    if found.dtype.kind in "iu":
        return np.where(found == MISSING, np.nan, found.astype(float))
    return found.astype(float)


def both(y: Any, answers: Any) -> tuple[Floats, Floats]:
    """Give labels and answers of one shape, or the first and one more axis of classes."""
    truth, guess = numbers(y), np.asarray(answers, dtype=float)
    if guess.shape[: truth.ndim] != truth.shape or guess.ndim > truth.ndim + 1:
        raise InputError(f"labels have shape {truth.shape} and answers {guess.shape}; expected the same rows.")
    return truth, guess


def ranks(values: Floats) -> Floats:
    """Ranks from 1 on, equal values having their mean.

    Examples
    --------
    >>> ranks(np.array([5.0, 2.0, 5.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, times = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(times) - (times - 1) / 2)[place], dtype=float)


def ratio(above: float, below: float) -> float:
    """Quotient; NaN where the denominator is 0."""
    return float(above / below) if below else float("nan")
