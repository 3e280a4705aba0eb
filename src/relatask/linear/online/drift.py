"""Whether tasks leave their own past: errors of new rows under the model before them, and what was to be expected."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats as distributions

from relatask.linear.input.labels import listed
from relatask.linear.sums.forms import Array, Bucket
from relatask.linear.sums.sparse_bucket import SparseBucket
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError

SHOWN = 8
"""Tasks that `repr` writes out, those of the smallest p-values."""

NO_NOISE = 1e-14
"""Errors below this share of the labels' squares are rounding."""


@dataclass(frozen=True)
class TaskDrift:
    """One task's new rows under the model before them.

    Attributes
    ----------
    n_labels : how many labels came.
    error, expected : their mean squared error, and what was to be expected of it.
    statistic : F, the errors' sum of squares in units of what was to be expected, what they have in common (because
        the coefficients were not known exactly) taken out.
    p_value, adjusted : of F, and corrected over the tasks (Benjamini and Hochberg); NaN where the task's past is too
        short to say.
    """

    n_labels: int
    error: float
    expected: float
    statistic: float
    p_value: float
    adjusted: float


@dataclass(frozen=True, eq=False)
class Drift:
    """Whether tasks left their own past, by label: ``drift["a"].adjusted``; arrays (m,) for the m tasks that had one.

    Attributes
    ----------
    tasks : labels of the tasks that had rows before and got new ones.
    n_labels, error, expected, statistic, p_value, adjusted : as in `TaskDrift`.

    Examples
    --------
    >>> two = Drift(np.array(["a", "b"]), *(np.array([1.0, 2.0]) for _ in range(4)), *(np.array([0.001, 0.5]),) * 2)
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
        numbers = (self.error, self.expected, self.statistic, self.p_value, self.adjusted)
        return TaskDrift(int(self.n_labels[k]), *(float(values[k]) for values in numbers))

    def __repr__(self) -> str:
        order = np.argsort(np.nan_to_num(self.p_value, nan=2.0), kind="stable")
        lines = [f"Drift of {len(self)} tasks, {len(self.drifted())} below 0.05 after correction"]
        if len(self):
            lines.append(f"{'task':>16} {'labels':>7} {'error':>10} {'expected':>10} {'F':>8} {'p':>9} {'adjusted':>9}")
        for k in order[:SHOWN].tolist():
            lines.append(
                f"{str(self.tasks.tolist()[k])[:16]:>16} {self.n_labels[k]:>7.0f} {self.error[k]:>10.4g} "
                f"{self.expected[k]:>10.4g} {self.statistic[k]:>8.3g} {self.p_value[k]:>9.2g} {self.adjusted[k]:>9.2g}"
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
    noise : mean square of the past errors over `freedom`.
    freedom : labels less what the fit used of them.
    """

    coef: Array
    intercept: float
    scale: Array
    origin: Array
    absent: NDArray[np.bool_]
    covariance: Array
    noise: float
    freedom: float


def drift_of(pasts: dict[int, Past], new: Statistics, tasks: NDArray) -> Drift:
    """Compare the new rows' errors with the tasks' past: by an F statistic that needs no rows.

    With e the new rows' errors, Z their coordinates and A the covariance of the coefficients' errors, e has the
    covariance noise (I + Z A Z') where nothing changed, and ``F = e' (I + Z A Z')^-1 e / (n noise)`` has n and
    `freedom` degrees of freedom: the predictive test of Chow, where a task is fitted alone without a relation.

    Parameters
    ----------
    pasts : dict of position to Past
        Of the tasks that have one.
    new : Statistics
        Of the new rows, for all tasks.
    tasks : (t,)
        Labels.

    References
    ----------
    Chow: Tests of equality between sets of coefficients in two linear regressions, 1960, Econometrica 28.
    """
    found = [_compared(past, new, k) for k, past in sorted(pasts.items())]
    columns = np.array(found, dtype=np.float64).reshape(-1, 5)
    p = columns[:, 4]
    adjusted = np.full(len(p), np.nan)
    known = np.isfinite(p)
    if known.any():
        adjusted[known] = distributions.false_discovery_control(p[known])
    return Drift(tasks[np.array(sorted(pasts), dtype=np.intp)], *columns.T, adjusted)


def _compared(past: Past, new: Statistics, k: int) -> tuple[float, float, float, float, float]:
    """n, mean squared error, what was expected, F and p of one task."""
    n, weight = int(new.count[k]), float(new.weight[k])
    square, moment, form = errors(past, new, k)
    values, vectors = np.linalg.eigh(past.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    common = root.T @ form @ root
    own = np.linalg.solve(np.eye(len(common)) + common, root.T @ moment)
    left = max(square - float(moment @ root @ own), 0.0)
    error = square / weight
    if past.freedom < 0.5 or not np.isfinite(past.noise):
        return n, error, float("nan"), float("nan"), float("nan")
    expected = past.noise * (n + float(np.trace(common))) / weight
    tiny = NO_NOISE * (float(new.yy[k]) + weight * float(new.mean_y[k]) ** 2) / n
    if past.noise <= tiny:
        statistic = 0.0 if left / n <= tiny else float("inf")
        return n, error, expected, statistic, 1.0 if statistic == 0 else 0.0
    statistic = left / n / past.noise
    return n, error, expected, statistic, float(distributions.f.sf(statistic, n, past.freedom))


def errors(past: Past, stats: Statistics, k: int) -> tuple[float, Array, Array]:
    """e'e, Z'e (d + 1,) and Z'Z of a task's rows under a model, all weighted."""
    own = task_form(stats, k)
    w, n = past.coef, float(stats.weight[k])
    mean_x = np.where(past.absent, past.origin * past.scale, stats.mean_x[k])
    level = float(stats.mean_y[k] - mean_x @ w - past.intercept)
    square = float(stats.yy[k] - 2 * stats.cross[k] @ w + w @ own @ w) + n * level**2
    z = np.append(mean_x / past.scale - past.origin, 1.0)
    moment = np.append((stats.cross[k] - own @ w) / past.scale, 0.0) + n * level * z
    form = np.pad(own / np.multiply.outer(past.scale, past.scale), [(0, 1), (0, 1)]) + n * np.multiply.outer(z, z)
    return max(square, 0.0), moment, form


def task_form(stats: Statistics, k: int) -> Array:
    """(d, d) Gram of one task."""
    for bucket in stats.forms.buckets:
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
