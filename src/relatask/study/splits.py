"""Splits: which rows train and which test, drawn within each task, whole groups at a time, or forward in time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.notices import InputError
from relatask.study.draws import Given, Group, KFold, Random, Split, Splits, Time
from relatask.study.values import group_codes, time_codes

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


def group(values: Any, k: int = 5) -> Group:
    """K folds of whole groups (patients, sites): rows of one group are never on both sides.

    Parameters
    ----------
    values : (n,) array, series or list
        The group of each row: labels of any type.
    k : int
        Folds.

    Raises
    ------
    InputError
        If a row has no group (NaN, None).

    Examples
    --------
    >>> [split.test.tolist() for split in group(["x", "x", "y", "z"], 2).draw(np.arange(4), np.zeros(4, int), 4)]
    [[0, 1], [2, 3]]
    """
    return Group(group_codes(values), k)


def time(values: Any, k: int = 5) -> Time:
    """K splits forward in time: the rows in order are cut into k + 1 blocks, each tested by all that lies before it.

    Parameters
    ----------
    values : (n,) array, series or list
        The time of each row: numbers, or datetimes of numpy, Python, pandas or polars; rows of one time are never
        parted.
    k : int
        Splits.

    Raises
    ------
    InputError
        For text, which sorts as text ("10" before "9"), and if a row has no time (NaN, None, NaT).

    Examples
    --------
    >>> [split.test.tolist() for split in time([1, 2, 3, 4], 3).draw(np.arange(4), np.zeros(4, int), 4)]
    [[1], [2], [3]]
    """
    return Time(time_codes(values), k)


def given(pairs: Iterable[tuple[npt.ArrayLike, npt.ArrayLike]]) -> Given:
    """Splits made elsewhere: (training rows, test rows) pairs of positions, or of boolean masks over all rows.

    Raises
    ------
    InputError
        For anything but pairs of whole numbers or masks.

    Examples
    --------
    >>> given([([0, 1], [2])]).draw(np.arange(3), np.zeros(3, int), 3)[0].name
    'given-0'
    """
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        raise InputError(f"splits={pairs!r:.60} is not usable; {_USABLE}.")
    found = []
    for i, pair in enumerate(pairs):
        if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise InputError(f"given split {i}: expected a pair (training rows, test rows), got {pair!r:.60}.")
        train, test = (_rows(i, side) for side in pair)
        found.append((train, test))
    if not found:
        raise InputError(f"splits has no pair of training and test rows; {_USABLE}.")
    return Given(tuple(found))


def _rows(i: int, side: npt.ArrayLike) -> npt.NDArray[Any]:
    """Positions, or a mask."""
    try:
        rows = np.asarray(side)
    except ValueError:  # ragged
        rows = np.zeros((0, 0))
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iub"):
        raise InputError(
            f"given split {i}: rows of type {rows.dtype} and shape {rows.shape}; expected positions of rows (whole "
            "numbers) or a mask (True and False, one for each row)."
        )
    return rows if rows.dtype.kind == "b" else rows.astype(np.int64)


_USABLE = "give a number of random splits, one of relatask.study.splits (kfold, group, time, ...), or a list of pairs"


def as_splits(splits: int | Splits | Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]) -> Splits:
    """An int means that many random 75/25 splits; a list of pairs, `given`.

    Raises
    ------
    InputError
        For anything else, such as a splitter of scikit-learn.
    """
    if isinstance(splits, Splits):
        return splits
    if isinstance(splits, bool):
        raise InputError(f"splits={splits!r} is not usable; {_USABLE}.")
    if isinstance(splits, int | np.integer):
        return random(repeats=int(splits))
    if hasattr(splits, "get_n_splits"):
        name = type(splits).__name__
        raise InputError(
            f"splits={name}(...) is a splitter of scikit-learn, which does not know the tasks; give splits.kfold(5) of "
            f"relatask.study, which folds within each task, or the pairs themselves: list({name}(...).split(X))."
        )
    return given(splits)
