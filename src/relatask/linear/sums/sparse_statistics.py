"""Statistics of sparse rows, by products of what is stored; a column is centred by what is known of its zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.linear.sums.forms import Array, Bucket, Forms
from relatask.linear.sums.groups import Group
from relatask.linear.sums.sparse_bucket import SparseBucket
from relatask.linear.sums.sparse_rows import SparseRows

CROWDED = 0.1
"""Rows with a larger share of stored numbers are multiplied as dense ones, a few at a time."""
SLICE = 1 << 20
"""Numbers of such rows at a time."""


class Centred(NamedTuple):
    """Weighted rows root (x - mean) = Z - root low': Z sparse, low (d,) zero where Z is centred itself."""

    weight: float
    mean: Array
    Z: Any
    root: Array
    low: Array

    def rows(self) -> tuple[Any, Array, Array]:
        """Z, L and R of `SparseRows`."""
        return self.Z, -self.root[:, None], self.low[None]

    def gram(self) -> Array:
        """(d, d)."""
        m, d = self.Z.shape
        if self.Z.nnz <= CROWDED * m * d:
            own = np.asarray((self.Z.T @ self.Z).toarray(), np.float64)
            own -= self.weight * np.multiply.outer(self.low, self.low)
            return 0.5 * (own + own.T)
        gram, step = np.zeros((d, d)), max(1, SLICE // d)
        for a in range(0, m, step):
            part = self.Z[a : a + step].toarray() - self.root[a : a + step, None] * self.low
            gram += part.T @ part
        return gram

    def cross(self, labels: Array) -> Array:
        """(t, d) products with weighted centred labels (m, t)."""
        return np.asarray((self.Z.T @ labels).T - np.multiply.outer(self.root @ labels, self.low))


def centred(X: Any, s: Array) -> Centred:
    """Centre CSR rows (m, d) by their weighted means.

    A column that is stored in at most half of the rows (by weight) keeps its zeros: taking n mean^2 from its square
    costs no more than a bit. Of the others every row is stored, at most twice as many as before, and the mean is
    taken from each: a column of large offset loses no digits.
    """
    m, d = X.shape
    row = np.repeat(np.arange(m), np.diff(X.indptr))
    total, root = float(s.sum()), np.sqrt(s)
    mean = np.bincount(X.indices, s[row] * X.data, minlength=d) / total
    full = np.bincount(X.indices, s[row], minlength=d) > 0.5 * total
    data = X.data.astype(np.float64)
    if full.any():
        places = np.flatnonzero(full)
        block = X[:, places].toarray().astype(np.float64) - mean[places]
        again = s @ block / total
        mean[places] += again
        block -= again
        rest = ~full[X.indices]
        row = np.concatenate([row[rest], np.repeat(np.arange(m), len(places))])
        data = np.concatenate([data[rest], block.ravel()])
        Z = sparse.csr_array((data * root[row], (row, np.concatenate([X.indices[rest], np.tile(places, m)]))), (m, d))
    else:
        Z = sparse.csr_array((data * root[row], X.indices, X.indptr), (m, d))
    return Centred(total, mean, Z, root, np.where(full, 0.0, mean))


class Moments(NamedTuple):
    """What every task's rows say; `forms` holds the rest."""

    weight: Array
    mean_x: Array
    mean_y: Array
    forms: Forms
    cross: Array
    yy: Array


def moments(X: Any, groups: Sequence[Group], n_tasks: int, thin: int) -> Moments:
    """Sum up CSR rows (n, d); tasks of fewer than d/2 rows keep them where d is above `thin`."""
    d = X.shape[1]
    weight, mean_y, yy = np.zeros(n_tasks), np.zeros(n_tasks), np.zeros(n_tasks)
    mean_x, cross = np.zeros((n_tasks, d)), np.zeros((n_tasks, d))
    grams: dict[int, Array] = {}
    few: dict[int, Centred] = {}
    for tasks, rows, s, labels in groups:
        part = centred(X if len(rows) == X.shape[0] else X[rows], s)
        weight[tasks], mean_x[tasks] = part.weight, part.mean
        mean_y[tasks] = s @ labels / part.weight
        labels = (labels - mean_y[tasks]) * part.root[:, None]
        cross[tasks], yy[tasks] = part.cross(labels), np.einsum("mt,mt->t", labels, labels)
        if d > thin and len(rows) < d / 2:
            few.update(dict.fromkeys(tasks.tolist(), part))
        else:
            grams.update(dict.fromkeys(tasks.tolist(), part.gram()))
    empty = np.setdiff1d(np.arange(n_tasks), [*few, *grams])
    one = len(groups) == 1 and not len(empty)
    return Moments(weight, mean_x, mean_y, Forms(_buckets(grams, few, empty, d, one), n_tasks, d), cross, yy)


def _buckets(
    grams: dict[int, Array], few: dict[int, Centred], empty: NDArray[np.intp], d: int, one: bool
) -> tuple[Bucket, ...]:
    """A bucket of Grams, and buckets of tasks with about as many rows; `one` where all tasks share theirs."""
    # A task without rows keeps its place, with zero moments.
    if few:
        nothing = Centred(0.0, np.zeros(d), sparse.csr_array((1, d)), np.zeros(1), np.zeros(d))
        few = {**few, **dict.fromkeys(empty.tolist(), nothing)}
    else:
        grams = {**grams, **dict.fromkeys(empty.tolist(), np.zeros((d, d)))}
    tasks = np.array(sorted(grams), dtype=np.intp)
    buckets = []
    if len(tasks):
        base = np.stack([grams[k] for k in tasks.tolist()[: 1 if one else None]])
        buckets.append(Bucket(tasks, np.ones(len(tasks)), gram=base))
    sizes: dict[int, list[int]] = {}
    for k, part in sorted(few.items()):
        sizes.setdefault(1 << (part.Z.shape[0] - 1).bit_length(), []).append(k)
    for _, members in sorted(sizes.items()):
        blocks = [few[k].rows() for k in (members[:1] if one else members)]
        held = SparseRows.stacked([b[0] for b in blocks], [b[1] for b in blocks], [b[2] for b in blocks])
        buckets.append(SparseBucket(np.asarray(members), np.ones(len(members)), held=held))
    return tuple(buckets)


def sparse_column_moments(X: Any, weights: Array) -> tuple[Array, Array]:
    """Weighted mean and standard deviation (d,) of each column of CSR X (n, d)."""
    part = centred(X, weights)
    square = np.asarray(part.Z.multiply(part.Z).sum(axis=0)).ravel() - part.weight * np.square(part.low)
    return part.mean, np.sqrt(np.maximum(square, 0.0) / part.weight)
