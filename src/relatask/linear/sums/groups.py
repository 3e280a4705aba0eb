"""Which rows the tasks have, and which tasks have the same: patterns of missing labels and of weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.forms import Array

Group = tuple[NDArray[np.intp], NDArray[np.intp], Array, Array]
"""Tasks (k,), their rows (m,), weights (m,) and labels (m, k)."""


def label_patterns(Y: Array, weights: Array | None) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Which labels of Y (n, t) count, (n, t), and the pattern of each task, (t,), numbered as they first come."""
    observed = ~np.isnan(Y)
    place: dict[bytes, int] = {}
    if weights is None or weights.ndim == 1:
        # Patterns by their bits; numpy's unique would make a type of n fields of them.
        bits = np.packbits(observed.T, axis=1)
        return observed, np.array([place.setdefault(row.tobytes(), len(place)) for row in bits])
    observed &= weights > 0
    columns = (np.where(o, w, 0.0).tobytes() for o, w in zip(observed.T, weights.T, strict=True))
    return observed, np.array([place.setdefault(column, len(place)) for column in columns])


def row_weights(observed: NDArray[np.bool_], weights: Array | None) -> Array:
    """(n,) weights of the rows: those of their heaviest label."""
    if weights is None or weights.ndim == 1:
        used = observed.any(1)
        return used.astype(float) if weights is None else np.where(used, weights, 0.0)
    return np.asarray(np.where(observed, weights, 0.0).max(1))


def by_task(y: Array, codes: NDArray[np.integer], n_tasks: int, weights: Array | None) -> list[Group]:
    """Rows that each belong to one task, a group a task that has any."""
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=n_tasks))
    found: list[Group] = []
    for k, end in enumerate(ends.tolist()):
        rows = order[ends[k - 1] if k else 0 : end]
        if len(rows):
            s = np.ones(len(rows)) if weights is None else weights[rows]
            found.append((np.array([k]), rows, s, y[rows, None]))
    return found


def by_pattern(
    Y: Array, observed: NDArray[np.bool_], member: NDArray[np.integer], weights: Array | None
) -> list[Group]:
    """Rows of columns of Y (n, t), a group a pattern that has any."""
    found: list[Group] = []
    for p in range(int(member.max()) + 1):
        tasks = np.flatnonzero(member == p)
        rows = np.flatnonzero(observed[:, tasks[0]])
        if len(rows):
            own = weights if weights is None or weights.ndim == 1 else weights[:, tasks[0]]
            found.append((tasks, rows, np.ones(len(rows)) if own is None else own[rows], Y[np.ix_(rows, tasks)]))
    return found
