"""What samplers are made of: the base class, shares of a whole number, rows in rounds."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relatask.notices import InputError

Draw = tuple[tuple[int, np.ndarray], ...]
"""A batch before it is read: (source, rows) pairs."""


@dataclass(frozen=True)
class Sampler(ABC):
    """From the sizes of the sources to the draws of an epoch."""

    @abstractmethod
    def draws(self, sizes: Sequence[int], batch_size: int, rng: np.random.Generator) -> Iterator[Draw]:
        """Give the batches of one epoch."""

    def bind(self, names: Sequence[tuple[Hashable, ...]]) -> Sampler:
        """Give the sampler for sources with these tasks (each a tuple of names)."""
        return self


def apportioned(total: int, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Share out a whole number by weights: each share is its quota rounded down or up, largest remainders first.

    Examples
    --------
    >>> apportioned(10, np.array([1.0, 1.0, 1.0])).tolist()
    [4, 3, 3]
    """
    quota = total * (weights / weights.sum())
    shares = np.floor(quota).astype(np.intp)
    left = total - int(shares.sum())
    shares[np.argsort(shares - quota, kind="stable")[:left]] += 1
    return shares


def steps_of(sizes: Sequence[int], batch_size: int) -> int:
    """Give how many batches of one source each it takes to read all once."""
    return sum(math.ceil(size / batch_size) for size in sizes)


def in_turn(
    order: npt.NDArray[np.intp], sizes: Sequence[int], batch_size: int, rng: np.random.Generator
) -> Iterator[Draw]:
    """Give whole batches of the sources in this order; a source's own rows follow one another."""
    times = np.bincount(order, minlength=len(sizes)).tolist()
    width = [min(batch_size, size) for size in sizes]
    rows = [rounds(size, n * w, rng) for size, n, w in zip(sizes, times, width, strict=True)]
    at = [0] * len(sizes)
    for source in order.tolist():
        start, at[source] = at[source], at[source] + width[source]
        yield ((source, rows[source][start : at[source]]),)


def rounds(size: int, n: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Give n rows: all of them in random order, then all again in another."""
    return np.concatenate([rng.permutation(size) for _ in range(math.ceil(n / size))] or [np.zeros(0, np.intp)])[:n]


def tempered(sizes: Sequence[int], T: float, cap: int | None) -> npt.NDArray[np.float64]:
    """Give ``min(n_k, cap)^(1 / T)``."""
    found = np.array(sizes, dtype=np.float64)
    return (found if cap is None else np.minimum(found, cap)) ** (1 / T)


def check_temperature(T: float, cap: int | None) -> None:
    """Refuse T below 1 and a cap below 1."""
    if not T >= 1:
        raise InputError(f"sampler: temperature T={T!r}; expected a number >= 1 (1 by size, infinity all alike).")
    if cap is not None and not cap >= 1:
        raise InputError(f"sampler: cap={cap!r}; expected a number of rows >= 1, or None.")
