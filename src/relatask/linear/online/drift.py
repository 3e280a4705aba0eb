"""Whether tasks leave their own past: errors of new rows under the model before them, and what was to be expected."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from relatask.linear.input.labels import listed
from relatask.linear.sums.forms import Array, Bucket
from relatask.linear.sums.sparse_bucket import SparseBucket
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError

SHOWN = 8
"""Tasks that `repr` writes out, those of the smallest p-values."""

SEEN = 1e-12
"""Directions in which new rows have less than this share of their largest sum of squares are not seen."""

NO_NOISE = 1e-14
"""Errors below this share of the labels' squares are rounding."""


@dataclass(frozen=True)
class TaskDrift:
    """One task's new rows under the model before them.

    Attributes
    ----------
    n_labels : how many labels came.
    error, expected : their mean squared error, and what was to be expected of it.
    statistic : F of all errors, their sum of squares in units of what was to be expected: a change of any kind.
    change : F of the change between the task's own lines, by least squares on its rows before and on the new ones, in
        units of what either leaves: a change of level or of coefficients; NaN where either has too few rows.
    p_value : of the two, twice the smaller one; NaN where the task's past is too short to say.
    adjusted : corrected over the tasks (Benjamini and Hochberg).
    """

    n_labels: int
    error: float
    expected: float
    statistic: float
    change: float
    p_value: float
    adjusted: float


@dataclass(frozen=True, eq=False)
class Drift:
    """Whether tasks left their own past, by label: ``drift["a"].adjusted``; arrays (m,) for the m tasks that had one.

    Attributes
    ----------
    tasks : labels of the tasks that had rows before and got new ones.
    n_labels, error, expected, statistic, change, p_value, adjusted : as in `TaskDrift`.

    Examples
    --------
    >>> two = Drift(np.array(["a", "b"]), *(np.array([1.0, 2.0]) for _ in range(5)), *(np.array([0.001, 0.5]),) * 2)
    >>> two.drifted()
    ['a']
    >>> two["b"].error
    2.0
    """

    tasks: NDArray
    n_labels: NDArray
    error: Array
    expected: Array
    statistic: Array
    change: Array
    p_value: Array
    adjusted: Array

    def drifted(self, level: float = 0.05) -> list[Hashable]:
        """Labels of the tasks whose corrected p-value is below `level`: of these a share `level` is false, at most."""
        return [task for task, p in zip(self.tasks.tolist(), self.adjusted, strict=True) if p < level]

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, task: Hashable) -> TaskDrift:
        labels = self.tasks.tolist()
        if task not in labels:
            raise InputError(f"task {task!r} had no rows before, or got none; drift is of {listed(labels)}.")
        k = labels.index(task)
        numbers = (self.error, self.expected, self.statistic, self.change, self.p_value, self.adjusted)
        return TaskDrift(int(self.n_labels[k]), *(float(values[k]) for values in numbers))

    def __repr__(self) -> str:
        order = np.argsort(np.nan_to_num(self.p_value, nan=2.0), kind="stable")
        lines = [f"Drift of {len(self)} tasks, {len(self.drifted())} below 0.05 after correction"]
        if len(self):
            head = f"{'task':>16} {'labels':>7} {'error':>10} {'expected':>10} {'F':>8} {'change':>8}"
            lines.append(f"{head} {'p':>9} {'adjusted':>9}")
        for k in order[:SHOWN].tolist():
            lines.append(
                f"{str(self.tasks.tolist()[k])[:16]:>16} {self.n_labels[k]:>7.0f} {self.error[k]:>10.4g} "
                f"{self.expected[k]:>10.4g} {self.statistic[k]:>8.3g} {self.change[k]:>8.3g} "
                f"{self.p_value[k]:>9.2g} {self.adjusted[k]:>9.2g}"
            )
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Past:
    """What a model knows of one task: in coordinates z = x / scale - origin, then 1.

    Attributes
    ----------
    coef, intercept : (d,), float, in original units.
    scale, origin : (d,).
    absent : (d,) features that the task lacks.
    covariance : (d + 1, d + 1) of the coefficients' errors, in units of the noise of a label of weight 1.
    used : degrees of freedom that the fit used of its labels.
    """

    coef: Array
    intercept: float
    scale: Array
    origin: Array
    absent: NDArray[np.bool_]
    covariance: Array
    used: float


@dataclass(frozen=True, eq=False)
class Errors:
    """Sums of a task's errors e under a model: their number, e'e, Z'e (d + 1,) and Z'Z, all weighted."""

    count: int
    square: float
    moment: Array
    form: Array

    def plus(self, other: Errors) -> Errors:
        """Those of more rows."""
        return Errors(
            self.count + other.count, self.square + other.square, self.moment + other.moment, self.form + other.form
        )

    def unexplained(self) -> tuple[float, int]:
        """What their own least squares leave of e'e, and its degrees of freedom."""
        unit = np.sqrt(np.maximum(np.diagonal(self.form), np.finfo(np.float64).tiny))
        values, vectors = np.linalg.eigh(self.form / np.multiply.outer(unit, unit))
        seen = values > SEEN * values[-1]
        along = (self.moment / unit) @ vectors[:, seen]
        return max(self.square - float(np.square(along) @ (1.0 / values[seen])), 0.0), self.count - int(seen.sum())


def drift_of(pasts: dict[int, Past], before: Statistics, new: Statistics, tasks: NDArray) -> Drift:
    """Compare the new rows' errors with the tasks' past, by F statistics that need no rows.

    With e the new rows' errors, Z their coordinates and A the covariance of the coefficients' errors, e has the
    covariance noise (I + Z A Z') where nothing changed. ``F = Q / (n noise), Q = e' (I + Z A Z')^-1 e`` has n and
    the past's degrees of freedom: the predictive test of Chow, for a task fitted alone. `TaskDrift.change` is his other
    test, whether one line does as well as two, which knows nothing of the relation.

    Parameters
    ----------
    pasts : dict of position to Past
        Of the tasks that have one.
    before, new : Statistics
        Of the rows before and of the new ones, for all tasks.
    tasks : (t,)
        Labels.

    References
    ----------
    Chow: Tests of equality between sets of coefficients in two linear regressions, 1960, Econometrica 28.
    """
    found = [(k, _compared(past, errors(past, before, k), new, k)) for k, past in sorted(pasts.items())]
    columns = np.array([numbers for _, numbers in found], dtype=np.float64).reshape(-1, 6)
    p = columns[:, 5]
    adjusted = np.full(len(p), np.nan)
    known = np.isfinite(p)
    adjusted[known] = _corrected(p[known])
    n, error, expected, statistic, change, p = columns.T
    places = np.array([k for k, _ in found], dtype=np.intp)
    return Drift(tasks[places], n, error, expected, statistic, change, p, adjusted)


def _corrected(p: Array) -> Array:
    """p-values after Benjamini and Hochberg: the least of p_(j) m / j over those that are no smaller."""
    order = np.argsort(p)[::-1]
    found = np.empty(len(p))
    found[order] = np.minimum(np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1)), 1.0)
    return found


def _compared(past: Past, old: Errors, stats: Statistics, k: int) -> tuple[float, ...]:
    """n, mean squared error, what was expected, F of all errors and of the line, p of one task."""
    new, weight, nothing = errors(past, stats, k), float(stats.weight[k]), float("nan")
    n, error, freedom = new.count, new.square / weight, old.count - past.used
    if freedom < 0.5:
        return n, error, nothing, nothing, nothing, nothing
    noise = old.square / freedom
    values, vectors = np.linalg.eigh(past.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    common = root.T @ new.form @ root
    along = root.T @ new.moment
    left = max(new.square - float(along @ np.linalg.solve(np.eye(len(common)) + common, along)), 0.0)
    expected = noise * (n + float(np.trace(common))) / weight
    tiny = NO_NOISE * (float(stats.yy[k]) + weight * float(stats.mean_y[k]) ** 2) / n
    if noise <= tiny:  # a past without errors
        changed = left / n > tiny
        statistic = float("inf") if changed else 0.0
        return n, error, expected, statistic, statistic, 0.0 if changed else 1.0
    statistic = left / n / noise
    p = float(special.fdtrc(n, freedom, statistic))
    (two, free), (also, more), (one, whole) = (part.unexplained() for part in (old, new, old.plus(new)))
    rank, own = whole - free - more, free + more
    if free <= 0 or more <= 0 or rank <= 0 or two + also <= tiny * n:
        return n, error, expected, statistic, nothing, p
    change = max(one - two - also, 0.0) / rank / ((two + also) / own)
    return n, error, expected, statistic, change, min(1.0, 2 * min(p, float(special.fdtrc(rank, own, change))))


def errors(past: Past, stats: Statistics, k: int) -> Errors:
    """Sums of the errors of a task's rows under what a model knew."""
    own = task_form(stats, k)
    w, n = past.coef, float(stats.weight[k])
    mean_x = np.where(past.absent, past.origin * past.scale, stats.mean_x[k])
    level = float(stats.mean_y[k] - mean_x @ w - past.intercept)
    square = float(stats.yy[k] - 2 * stats.cross[k] @ w + w @ own @ w) + n * level**2
    z = np.append(mean_x / past.scale - past.origin, 1.0)
    moment = np.append((stats.cross[k] - own @ w) / past.scale, 0.0) + n * level * z
    form = np.pad(own / np.multiply.outer(past.scale, past.scale), [(0, 1), (0, 1)]) + n * np.multiply.outer(z, z)
    return Errors(int(stats.count[k]), max(square, 0.0), moment, form)


def task_form(stats: Statistics, k: int) -> Array:
    """(d, d) Gram of one task."""
    for bucket in stats.forms.buckets:
        if k < len(bucket.tasks) and bucket.tasks[k] == k:  # no search where tasks stand in their order
            return _form(bucket, k)
        slot = np.flatnonzero(bucket.tasks == k)
        if len(slot):
            return _form(bucket, int(slot[0]))
    return np.zeros((stats.n_features, stats.n_features))


def _form(bucket: Bucket, slot: int) -> Array:
    if isinstance(bucket, SparseBucket):
        chosen = np.zeros(len(bucket.tasks), dtype=bool)
        chosen[slot] = True
        return np.asarray(bucket.some(chosen).dense()[0])
    base = bucket.base[0 if bucket.shared else slot]
    return np.asarray((base if bucket.gram is not None else base.T @ base) * bucket.scale[slot])
