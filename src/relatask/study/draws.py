"""How splits are drawn: within each task, whole groups at a time, forward in time, or as given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.notices import InputError

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Training and test rows, as positions in the data; `name` is unique in a study.

    Parameters
    ----------
    name : str
        For example ``"random-0"``.
    train, test : int arrays
        Disjoint row positions, ascending.
    """

    name: str
    train: Ints
    test: Ints


class Splits(ABC):
    """A way to draw splits: `random`, `kfold`, `group`, `time`, or `given`."""

    @abstractmethod
    def draw(self, rows: Ints, codes: Ints, n_rows: int) -> list[Split]:
        """Draw the splits.

        Parameters
        ----------
        rows : (m,) int array
            Positions of the rows that have a label; no other row is in any split.
        codes : (m,) int array
            Their tasks (all 0 where the columns of y are the tasks).
        n_rows : int
            Rows of the data, with or without a label.
        """

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """Say what was asked for, in plain values for the settings of a study."""


@dataclass(frozen=True)
class Random(Splits):
    """Random splits within each task; see `splits.random`."""

    test: float
    repeats: int
    seed: int

    def __post_init__(self) -> None:
        if not isinstance(self.test, Real) or not 0 < self.test < 1:
            raise InputError(f"random splits: test={self.test!r} must lie between 0 and 1, a share of the rows.")
        _at_least("random splits: repeats", self.repeats, 1)

    def draw(self, rows: Ints, codes: Ints, n_rows: int) -> list[Split]:
        """Draw `repeats` splits, each from its own generator."""
        by_task = np.argsort(codes, kind="stable")
        members = np.split(by_task, np.cumsum(np.bincount(codes))[:-1])
        largest = max((len(mine) for mine in members), default=0)
        if largest and round((1 - self.test) * largest) >= largest:
            raise InputError(
                f"random splits: test={self.test!r} is too small a share: of the largest task's {largest} rows it "
                f"leaves none to test on; give at least {1 / largest:.2g}."
                if largest > 1
                else "random splits: every task has one row only, which trains; none is left to test on."
            )
        found = []
        for repeat in range(self.repeats):
            # One permutation a task, tasks in order: the draw behind the recorded figures on public data.
            rng = np.random.default_rng(self.seed + repeat)
            tested = np.ones(len(rows), dtype=bool)
            for mine in members:
                tested[rng.permutation(mine)[: max(round((1 - self.test) * len(mine)), 1)]] = False
            found.append(_cut(f"random-{repeat}", rows, tested))
        return found

    def describe(self) -> dict[str, object]:
        """Give kind and parameters."""
        return {"kind": "random", "test": self.test, "repeats": self.repeats, "seed": self.seed}


@dataclass(frozen=True)
class KFold(Splits):
    """Folds within each task; see `splits.kfold`."""

    k: int
    repeats: int
    seed: int

    def __post_init__(self) -> None:
        _at_least("kfold: k", self.k, 2)
        _at_least("kfold: repeats", self.repeats, 1)

    def draw(self, rows: Ints, codes: Ints, n_rows: int) -> list[Split]:
        """Draw k folds, `repeats` times."""
        alone = (np.bincount(codes) < 2)[codes]
        found = []
        for repeat in range(self.repeats):
            rng = np.random.default_rng(self.seed + repeat)
            rank = rank_within(rng.random(len(rows)), codes)
            # A random first fold for each task, or else the tasks' remainders would all fall into the first folds.
            first = np.zeros(int(codes.max(initial=0)) + 1, dtype=np.int64)
            lead = rank == 0
            first[codes[lead]] = (rng.random(len(rows))[lead] * self.k).astype(np.int64)
            fold = np.where(alone, -1, (rank + first[codes]) % self.k)
            found += [_cut(f"fold-{repeat}-{i}", rows, fold == i) for i in range(self.k)]
        return found

    def describe(self) -> dict[str, object]:
        """Give kind and parameters."""
        return {"kind": "kfold", "k": self.k, "repeats": self.repeats, "seed": self.seed}


@dataclass(frozen=True, eq=False)
class Group(Splits):
    """Whole groups held out; see `splits.group`."""

    values: Ints
    k: int

    def draw(self, rows: Ints, codes: Ints, n_rows: int) -> list[Split]:
        """Deal the groups into k folds, the largest first, each to the smallest fold."""
        _one_a_row("group splits", self.values, n_rows)
        names, member = np.unique(self.values[rows], return_inverse=True)
        _at_least("group splits: k", self.k, 2)
        if len(names) < self.k:
            raise InputError(f"group splits: k={self.k} folds of {len(names)} groups; give k <= {len(names)}.")
        size, load = np.bincount(member), np.zeros(self.k, dtype=np.int64)
        fold = np.empty(len(names), dtype=np.int64)
        for i in np.argsort(-size, kind="stable"):
            fold[i] = np.argmin(load)
            load[fold[i]] += size[i]
        return [_cut(f"group-{i}", rows, fold[member] == i) for i in range(self.k)]

    def describe(self) -> dict[str, object]:
        """Give kind and parameters."""
        return {"kind": "group", "k": self.k, "groups": len(np.unique(self.values))}


@dataclass(frozen=True, eq=False)
class Time(Splits):
    """Train on the past, test on what follows; see `splits.time`."""

    values: Ints
    k: int

    def draw(self, rows: Ints, codes: Ints, n_rows: int) -> list[Split]:
        """Cut the order into k + 1 blocks; block i is tested by what lies before it."""
        _one_a_row("time splits", self.values, n_rows)
        _at_least("time splits: k", self.k, 1)
        moments = np.sort(self.values[rows])
        # Equal times are never parted: a block begins at the first row of its time.
        starts = np.unique(
            np.searchsorted(moments, moments[[len(moments) * i // (self.k + 1) for i in range(self.k + 1)]])
        )
        if len(starts) < self.k + 1:
            raise InputError(f"time splits: k={self.k} needs {self.k + 1} blocks of distinct times; give a smaller k.")
        rank = np.searchsorted(moments, self.values[rows])
        block = np.searchsorted(starts, rank, side="right") - 1
        return [
            Split(f"time-{i}", rows[block <= i], rows[block == i + 1])  # training window grows
            for i in range(self.k)
        ]

    def describe(self) -> dict[str, object]:
        """Give kind and parameters."""
        return {"kind": "time", "k": self.k}


@dataclass(frozen=True, eq=False)
class Given(Splits):
    """Splits made elsewhere; see `splits.given`."""

    pairs: tuple[tuple[npt.NDArray[Any], npt.NDArray[Any]], ...]

    def draw(self, rows: Ints, codes: Ints, n_rows: int) -> list[Split]:
        """Check the pairs, and leave out rows without a label."""
        found = []
        for i, pair in enumerate(self.pairs):
            train, test = (_positions(i, side, n_rows) for side in pair)
            both = np.concatenate([train, test])
            if both.size and (both.min() < 0 or both.max() >= n_rows):
                raise InputError(
                    f"given split {i}: rows run from {both.min()} to {both.max()}; the data have {n_rows}."
                )
            if np.intersect1d(train, test).size:
                raise InputError(
                    f"given split {i}: {np.intersect1d(train, test).size} rows are in training and in test."
                )
            found.append(Split(f"given-{i}", np.intersect1d(rows, train), np.intersect1d(rows, test)))
        return found

    def describe(self) -> dict[str, object]:
        """Give kind and sizes."""
        return {"kind": "given", "sizes": [[_size(side) for side in pair] for pair in self.pairs]}


def rank_within(key: npt.NDArray[np.float64], codes: Ints) -> Ints:
    """Rank of each row's key among the rows of its task."""
    order = np.lexsort((key, codes))
    start = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    rank = np.empty(len(codes), dtype=np.int64)
    rank[order] = np.arange(len(codes)) - start[codes[order]]
    return rank


def _cut(name: str, rows: Ints, tested: npt.NDArray[np.bool_]) -> Split:
    return Split(name, rows[~tested], rows[tested])


def _positions(i: int, side: npt.NDArray[Any], n_rows: int) -> Ints:
    """Rows by position, from positions or from a mask."""
    if side.dtype != bool:
        return side
    if len(side) != n_rows:
        raise InputError(f"given split {i}: a mask of {len(side)} rows; the data have {n_rows}.")
    return np.flatnonzero(side)


def _size(side: npt.NDArray[Any]) -> int:
    return int(side.sum()) if side.dtype == bool else len(side)


def _one_a_row(what: str, values: Ints, n_rows: int) -> None:
    if values.shape != (n_rows,):
        raise InputError(f"{what}: {values.shape} values for {n_rows} rows; give one for each row.")


def _at_least(what: str, value: int, least: int) -> None:
    if not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{what}={value!r} must be a whole number >= {least}.")
