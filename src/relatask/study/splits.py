"""Splits: which rows train and which test, drawn within each task, whole groups at a time, or forward in time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from relatask.study.draws import Given, Group, KFold, Random, Split, Splits, Time

__all__ = ["Split", "Splits", "as_splits", "given", "group", "kfold", "random", "time"]


def random(test: float = 0.25, repeats: int = 10, seed: int = 0) -> Random:
    """Random splits, drawn within each task by ``numpy.random.default_rng(seed + repeat)``.

    In each task, in sorted order, the first ``round((1 - test) * n_k)`` rows of a permutation train, at least one; the
    others test.

    Parameters
    ----------
    test : float
        Share of each task's rows to test on.
    repeats : int
        How many splits.
    seed : int
        Of the first split.

    Raises
    ------
    InputError
        For a share outside (0, 1) or fewer than one repeat.

    Examples
    --------
    >>> split = random(test=.5, repeats=1).draw(np.arange(6), np.array([0, 0, 0, 0, 1, 1]), 6)[0]
    >>> len(split.train), len(split.test)
    (3, 3)
    """
    return Random(test, repeats, seed)


def kfold(k: int = 5, repeats: int = 1, seed: int = 0) -> KFold:
    """K folds within each task, `repeats` times; a task of one row is always in training.

    Examples
    --------
    >>> [len(split.test) for split in kfold(3).draw(np.arange(6), np.array([0, 0, 0, 1, 1, 1]), 6)]
    [2, 2, 2]
    """
    return KFold(k, repeats, seed)


def group(values: npt.ArrayLike, k: int = 5) -> Group:
    """K folds of whole groups (patients, sites): rows of one group are never on both sides.

    Parameters
    ----------
    values : (n,) array
        The group of each row.
    k : int
        Folds.

    Examples
    --------
    >>> [split.test.tolist() for split in group(["x", "x", "y", "z"], 2).draw(np.arange(4), np.zeros(4, int), 4)]
    [[0, 1], [2, 3]]
    """
    return Group(np.asarray(values), k)


def time(values: npt.ArrayLike, k: int = 5) -> Time:
    """K splits forward in time: the rows in order are cut into k + 1 blocks, each tested by all that lies before it.

    Parameters
    ----------
    values : (n,) array
        The time of each row, or anything that sorts; rows of one time are never parted.
    k : int
        Splits.

    Examples
    --------
    >>> [split.test.tolist() for split in time([1, 2, 3, 4], 3).draw(np.arange(4), np.zeros(4, int), 4)]
    [[1], [2], [3]]
    """
    return Time(np.asarray(values), k)


def given(pairs: Iterable[tuple[npt.ArrayLike, npt.ArrayLike]]) -> Given:
    """Splits made elsewhere: (training rows, test rows) pairs of positions.

    Examples
    --------
    >>> given([([0, 1], [2])]).draw(np.arange(3), np.zeros(3, int), 3)[0].name
    'given-0'
    """
    return Given(tuple((np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)) for a, b in pairs))


def as_splits(splits: int | Splits | Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]) -> Splits:
    """An int means that many random 75/25 splits; a list of pairs, `given`."""
    if isinstance(splits, Splits):
        return splits
    if isinstance(splits, int):
        return random(repeats=splits)
    return given(splits)
