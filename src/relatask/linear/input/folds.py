"""Folds within tasks that depend on the rows' numbers only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.linear.input.design import Design
from relatask.linear.sums.sparse_rows import sparse_fingerprints


def within_task_folds(design: Design, folds: int, seed: int) -> list[NDArray[np.bool_]]:
    """(n,) masks of held-out rows: each task's rows are dealt out in turn; columns share their rows' folds.

    A row's place depends on its numbers only: neither the order of the rows nor repeating one (instead of giving it
    more weight) changes a fold, and equal rows are never on both sides.
    """
    place = _fingerprints(design, seed)
    codes = np.zeros(len(place), dtype=np.intp) if design.codes is None else design.codes
    order = np.lexsort((place, codes))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(place[order]) != 0) | (np.diff(codes[order]) != 0)
    rank = np.cumsum(first) - 1
    start = np.zeros(design.n_tasks, dtype=np.intp)
    start[codes[order][::-1]] = rank[::-1]
    fold = np.empty(len(order), dtype=np.intp)
    # Tasks begin at different folds, so that small ones do not all leave the last folds empty.
    fold[order] = (rank - start[codes[order]] + codes[order]) % folds
    return [fold == k for k in range(folds)]


def _fingerprints(design: Design, seed: int) -> NDArray[np.uint64]:
    """(n,) pseudo-random numbers, equal for equal rows of X and y."""
    rng = np.random.default_rng(seed)
    out = np.zeros(len(design.y), dtype=np.uint64)
    if sparse.issparse(design.X):
        out = sparse_fingerprints(design.X, rng)
    for values in (design.y,) if sparse.issparse(design.X) else (design.X, design.y):
        for column in values.reshape(len(out), -1).T:
            # -0.0 becomes 0.0, and every NaN the same one.
            plain = np.where(np.isnan(column), np.nan, column + 0.0).astype(np.float64)
            out += plain.view(np.uint64) * (rng.integers(2**64, dtype=np.uint64) | np.uint64(1))
            out ^= out >> np.uint64(29)
    return out * np.uint64(0x9E3779B97F4A7C15)
