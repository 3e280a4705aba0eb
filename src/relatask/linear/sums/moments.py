"""Moments of rows that several tasks share, some rows at a time: the data are never copied whole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.forms import Array

CHUNK = 65_536
"""Rows that are copied at a time."""


class Shared(NamedTuple):
    """Moments of tasks whose labels are observed on the same rows; `base` is their Gram, or the rows if `thin`."""

    weight: float
    mean_x: Array
    mean_y: Array
    base: Array
    thin: bool
    cross: Array
    yy: Array


def shared_rows(
    X: NDArray, Y: Array, weights: Array | None, rows: NDArray[np.intp], tasks: NDArray[np.intp], thin: bool
) -> Shared:
    """Centred moments of some rows of X (n, d) and Y (n, t), for some columns of Y."""
    d = X.shape[1]
    whole = len(rows) == len(X)
    parts = [slice(a, a + CHUNK) if whole else rows[a : a + CHUNK] for a in range(0, len(rows), CHUNK)]
    s = [np.ones(len(X[part])) if weights is None else weights[part] for part in parts]
    labels = [Y[part][:, tasks] for part in parts]
    total = float(sum(w.sum() for w in s))
    mean_x = np.sum([w @ X[part] for w, part in zip(s, parts, strict=True)], axis=0) / total
    mean_y = np.sum([w @ y for w, y in zip(s, labels, strict=True)], axis=0) / total
    gram, kept = np.zeros((0, d) if thin else (d, d)), []
    cross, yy = np.zeros((len(tasks), d)), np.zeros(len(tasks))
    for part, w, y in zip(parts, s, labels, strict=True):
        root = np.sqrt(w)[:, None]
        xc, yc = (X[part] - mean_x) * root, (y - mean_y) * root
        cross += yc.T @ xc
        yy += np.einsum("nt,nt->t", yc, yc)
        if thin:
            kept.append(xc)
        else:
            gram += xc.T @ xc
    return Shared(total, mean_x, mean_y, np.concatenate(kept) if thin else gram, thin, cross, yy)


def column_moments(X: NDArray, weights: Array) -> tuple[Array, Array]:
    """Weighted mean and standard deviation (d,) of each column of X (n, d)."""
    total = weights.sum()
    center = weights @ X / total
    square = np.zeros(X.shape[1])
    for a in range(0, len(X), CHUNK):
        square += weights[a : a + CHUNK] @ np.square(X[a : a + CHUNK] - center)
    return center, np.sqrt(square / total)
