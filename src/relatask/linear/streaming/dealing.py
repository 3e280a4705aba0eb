"""Rows dealt out to folds as they come, whatever the batches: by their number within their task, and a hash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Dealer:
    """Deals rows out in turn by their number within their task.

    Every k rows in a row of a task fall in the k folds, turned by a hash of their number, and of where their task
    began: the same rows in the same order get the same folds, however they are cut into batches.

    Parameters
    ----------
    folds : int
        k.
    start : int
        Number of the first row of all; other ones give other folds.
    seed : int
        Of the hash.
    """

    def __init__(self, folds: int, start: int = 0, seed: int = 0) -> None:
        self.folds, self.seed = folds, seed
        self._rows = start
        self._dealt: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._first: NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def folds_of(self, n: int, tasks: NDArray[np.intp] | None = None) -> NDArray[np.intp]:
        """(n,) folds of the next n rows; `tasks` (n,) are places that tasks keep, None for rows of all tasks."""
        if tasks is None:
            number, began = self._rows + np.arange(n), np.zeros(n, dtype=np.intp)
        else:
            number, began = self._within(n, tasks)
        self._rows += n
        turn = hashed((number // self.folds).astype(np.uint64) + hashed(began.astype(np.uint64)), self.seed)
        return np.asarray((number + (turn % np.uint64(self.folds)).astype(np.intp)) % self.folds)

    def _within(self, n: int, tasks: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Number of each row within its task, and number of its task's first row."""
        most = max(int(tasks.max(initial=-1)) + 1, len(self._dealt))
        grown = most - len(self._dealt)
        self._dealt = np.concatenate([self._dealt, np.zeros(grown, dtype=np.intp)])
        self._first = np.concatenate([self._first, np.full(grown, -1)])
        order = np.argsort(tasks, kind="stable")
        count = np.bincount(tasks, minlength=most)
        within = np.empty(n, dtype=np.intp)
        within[order] = np.arange(n) - np.repeat(np.cumsum(count) - count, count)
        number = self._dealt[tasks] + within
        new = number == 0
        self._first[tasks[new]] = self._rows + np.flatnonzero(new)
        self._dealt += count
        return number, self._first[tasks]


def hashed(values: NDArray[np.uint64], seed: int = 0) -> NDArray[np.uint64]:
    """Pseudo-random numbers of counters (SplitMix64: Steele, Lea, Flood 2014, OOPSLA, figure 17)."""
    golden = 0x9E3779B97F4A7C15
    z = values * np.uint64(golden) + np.uint64((seed * 0xD1B54A32D192ED03 + golden) % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
