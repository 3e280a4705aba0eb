"""Statistics of dense rows that grow in place: a row changes its own task's sums and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.compiled import compiled
from relatask.linear.sums.forms import Array, Bucket, Forms
from relatask.linear.sums.merging import of_labels
from relatask.linear.sums.passes import grouped
from relatask.linear.sums.statistics import Statistics

CROWDED = 32
"""From this many rows a task on, a batch is summed up by matrix products before it is added."""


class Growing:
    """Counts, means and centred second moments of tasks that appear one after another, (t, d, d) at most."""

    def __init__(self, d: int) -> None:
        self.d, self.n_tasks = d, 0
        self.count: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self.weight, self.mean_y, self.yy = np.zeros(0), np.zeros(0), np.zeros(0)
        self.mean_x, self.cross, self.grams = np.zeros((0, d)), np.zeros((0, d)), np.zeros((0, d, d))

    def add(self, X: Any, y: Array, codes: NDArray[np.intp], places: NDArray[np.intp], weights: Array | None) -> None:
        """Add rows, dense or sparse; `places` (k,) are those of the tasks that `codes` (n,) number."""
        if not len(y):
            return
        self._hold(int(places.max()) + 1)
        if sparse.issparse(X) or len(y) >= CROWDED * len(places):
            self.merge(grouped(X, y, codes, len(places), weights), places)
            return
        of_rows = places[codes]
        s = np.ones(0) if weights is None else weights
        held = self.weight, self.mean_x, self.mean_y, self.grams, self.cross, self.yy
        _add_rows(X, y, of_rows, s, *held)
        self.count += np.bincount(of_rows, minlength=len(self.count))

    def merge(self, stats: Statistics, places: NDArray[np.intp]) -> None:
        """Add statistics whose tasks have these places, each once (Chan, Golub, LeVeque 1983, equation 1.5)."""
        self._hold(int(places.max(initial=-1)) + 1)
        before, new = self.weight[places], stats.weight
        total = before + new
        part = np.divide(new, total, out=np.zeros_like(total), where=total > 0)
        share = before * part
        step_x, step_y = stats.mean_x - self.mean_x[places], stats.mean_y - self.mean_y[places]
        outer = step_x[:, :, None] * (share[:, None] * step_x)[:, None, :]
        self.grams[places] += outer + stats.forms.dense()
        self.cross[places] += stats.cross + (share * step_y)[:, None] * step_x
        self.yy[places] += stats.yy + share * np.square(step_y)
        self.mean_x[places] += part[:, None] * step_x
        self.mean_y[places] += part * step_y
        self.weight[places] = total
        self.count[places] += stats.count

    def statistics(self, places: NDArray[np.intp]) -> Statistics:
        """What was added, its tasks in the order of `places` (t,); nothing can be added afterwards."""
        t = len(places)
        self._hold(t)
        ordered = bool((places == np.arange(t)).all())
        if not ordered:
            _permute(self.grams, places.copy())
        _mirror(self.grams[:t])
        count = self.count[:t] if ordered else self.count[places]
        rest = self.weight, self.mean_x, self.mean_y, self.cross, self.yy
        weight, mean_x, mean_y, cross, yy = (a[:t] if ordered else a[places] for a in rest)
        grams = self.grams[:t]
        forms = Forms((Bucket(np.arange(t), np.ones(t), gram=grams),), t, self.d)
        of_columns = np.zeros(self.d), np.zeros(self.d), 0.0
        return of_labels(Statistics(count, weight, mean_x, mean_y, forms, cross, yy, *of_columns))

    def _hold(self, n: int) -> None:
        """Make room for n tasks, a quarter more than before: large arrays grow in place, without being copied."""
        self.n_tasks = max(self.n_tasks, n)
        if n <= len(self.count):
            return
        size = max(n, len(self.count) + len(self.count) // 4, 64)
        for held in (self.count, self.weight, self.mean_y, self.yy, self.mean_x, self.cross, self.grams):
            # What is added is zero. Nothing else refers to these arrays before `statistics` does.
            held.resize((size, *held.shape[1:]), refcheck=False)


@compiled
def _add_rows(X, y, codes, s, weight, mean_x, mean_y, grams, cross, yy):  # type: ignore[no-untyped-def]
    """Row by row (Welford 1962); of the Grams the lower triangles."""
    d = X.shape[1]
    step = np.empty(d)
    for i in range(len(y)):
        k = codes[i]
        w = s[i] if len(s) else 1.0
        before = weight[k]
        weight[k] = before + w
        part = w / (before + w)
        share = before * part
        mean, own, row_of_cross = mean_x[k], grams[k], cross[k]
        step_y = y[i] - mean_y[k]
        mean_y[k] += part * step_y
        yy[k] += share * step_y * step_y
        for j in range(d):
            step[j] = X[i, j] - mean[j]
            mean[j] += part * step[j]
            row_of_cross[j] += share * step_y * step[j]
        if before > 0.0:
            for a in range(d):
                row, one = own[a], share * step[a]
                for b in range(a + 1):
                    row[b] += one * step[b]


@compiled
def _mirror(grams):  # type: ignore[no-untyped-def]
    for k in range(len(grams)):
        for a in range(grams.shape[1]):
            for b in range(a):
                grams[k, b, a] = grams[k, a, b]


@compiled
def _permute(grams, places):  # type: ignore[no-untyped-def]
    """Bring block `places[k]` to place k, for all k, in place: cycle by cycle; `places` is used up."""
    held = np.empty(grams.shape[1:])
    for first in range(len(places)):
        if places[first] < 0 or places[first] == first:
            continue
        held[:] = grams[first]
        k = first
        while places[k] != first:
            source = places[k]
            grams[k] = grams[source]
            places[k] = -1
            k = source
        grams[k] = held
        places[k] = -1
