"""Samplers: which source each batch comes from. A plan is a pure function of (seed, epoch), so a run can resume."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Draw = tuple[tuple[int, np.ndarray], ...]
"""A batch before it is read: (source, rows) pairs."""


@dataclass(frozen=True)
class Sampler(ABC):
    """From the sizes of the sources to the draws of an epoch."""

    @abstractmethod
    def draws(self, sizes: Sequence[int], batch_size: int, rng: np.random.Generator) -> Iterator[Draw]:
        """Give the batches of one epoch."""


@dataclass(frozen=True)
class Proportional(Sampler):
    """Every row of every source once an epoch; each batch is of one source, batches in random order."""

    def draws(self, sizes: Sequence[int], batch_size: int, rng: np.random.Generator) -> Iterator[Draw]:
        """Give the batches of one epoch."""
        found: list[Draw] = []
        for source, size in enumerate(sizes):
            order = rng.permutation(size)
            found += [((source, order[i : i + batch_size]),) for i in range(0, size, batch_size)]
        for i in rng.permutation(len(found)).tolist():
            yield found[i]
