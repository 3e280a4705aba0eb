"""Differences from one split: the test rows are drawn again, with replacement, within each task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.measure.differences import BOOTSTRAP, Differences, judged
from relatask.measure.intervals import t_interval, without_rounding
from relatask.measure.metrics import (
    METRICS,
    OVERALL,
    PER_TASK,
    Moments,
    flatten,
    known_metric,
    moments,
    overall_metric,
    task_metric,
)
from relatask.measure.scores import ALL

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_BLOCK = 4_000_000  # numbers drawn at a time: 32 MB


def bootstrap_differences(
    y: npt.ArrayLike,
    prediction: npt.ArrayLike,
    baseline_prediction: npt.ArrayLike,
    codes: npt.ArrayLike | None = None,
    tasks: Sequence[object] | None = None,
    metric: str = "rmse",
    *,
    method: str = "method",
    baseline: str = "baseline",
    overall: str | None = None,
    level: float = 0.05,
    repeats: int = 1000,
    seed: int = 0,
) -> Differences:
    """Compare two methods on the same test rows of one split, by a paired bootstrap.

    Rows are drawn with replacement within each task, the same for both methods. The standard deviation over `repeats`
    draws, times ``sqrt(n / (n - 1))``, is the standard error, and Student's t with n - 1 degrees of freedom gives
    interval and p (percentiles of few rows would be too narrow, and of 1000 draws too coarse to correct for many
    tasks). It holds the two fitted models fixed: what another training set would have given is not in the interval.

    Parameters
    ----------
    y, prediction, baseline_prediction : (n,) with `codes`, or (n, t) arrays
        Labels, NaN where missing, and both predictions of them.
    codes : (n,) int array, optional
        Each row's task as a position in `tasks`.
    tasks : sequence of t labels, optional
        Names; positions if None.
    metric, overall, level :
        As in `differences`.
    method, baseline : str
        Names for the result.
    repeats : int
        Draws.
    seed : int
        Seed of `numpy.random.default_rng`.

    Returns
    -------
    Differences
        `n` is the number of test labels; tasks with fewer than two have NaN for interval, p and q.

    Raises
    ------
    InputError
        For an unknown metric, shapes that differ, or predictions that are not finite.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap.

    Examples
    --------
    >>> y = np.arange(40.0)
    >>> noise = np.random.default_rng(0).normal(size=40)
    >>> found = bootstrap_differences(y, y + noise, y + 3 * noise, np.zeros(40, int), ["a"])
    >>> found.tasks[0].verdict, found.tasks[0].n
    ('helped', 40)
    """
    of_task = task_metric(metric)
    of_all = known_metric(overall) if overall is not None else overall_metric(metric)
    truth, ours, code, _ = flatten(y, prediction, codes)
    _, theirs, _, _ = flatten(y, baseline_prediction, codes)
    names = [str(label) for label in (tasks if tasks is not None else range(int(code.max(initial=-1)) + 1))]
    # Centred labels: sums of squares of resampled rows then keep their digits.
    n = np.bincount(code, minlength=len(names))
    centre = np.bincount(code, weights=truth, minlength=len(names)) / np.maximum(n, 1)
    order = np.argsort(code, kind="stable")
    columns = [column[order] for column in (truth - centre[code], ours - truth, theirs - truth)]

    exact = [moments(truth, guess, code, len(names)) for guess in (ours, theirs)]
    sides = [np.append(PER_TASK[of_task](m), OVERALL[of_all](m)) for m in exact]
    sign = np.append(np.full(len(names), METRICS[of_task].sign), METRICS[of_all].sign)
    d = without_rounding(sign * (sides[0] - sides[1]), *sides)
    drawn = [
        sign * (np.column_stack([PER_TASK[of_task](a), OVERALL[of_all](a)]) - _both(b, of_task, of_all))
        for a, b in _resampled(columns, code[order], n, centre, repeats, np.random.default_rng(seed))
    ]
    error = _deviation(np.concatenate(drawn))
    total = np.append(n, n.sum())
    found: list[dict[str, Any]] = []
    for k, name in enumerate([*names, ALL]):
        low, high, p = np.nan, np.nan, np.nan
        if total[k] > 1 and np.isfinite(d[k]) and np.isfinite(error[k]):
            free = total[k] - 1
            spread = 0.0 if d[k] == 0 else float(error[k] * np.sqrt(total[k] / free))
            low, high, p = t_interval(float(d[k]), spread, float(free), level)
        found.append(
            {"task": name, "metric": of_all if name == ALL else of_task, "difference": float(d[k]), "n": int(total[k])}
            | {"value": float(sides[0][k]), "baseline_value": float(sides[1][k]), "low": low, "high": high, "p": p}
        )
    return judged(method, baseline, of_task, level, BOOTSTRAP, found)


def _both(m: Moments, of_task: str, of_all: str) -> Floats:
    return np.column_stack([PER_TASK[of_task](m), OVERALL[of_all](m)])


def _deviation(values: Floats) -> Floats:
    """Standard deviation down the columns of the defined values; NaN with fewer than two of them."""
    defined = ~np.isnan(values)
    count = defined.sum(0)
    filled = np.where(defined, values, 0.0)
    mean = filled.sum(0) / np.maximum(count, 1)
    square = (np.where(defined, values - mean, 0.0) ** 2).sum(0)
    return np.where(count > 1, np.sqrt(square / np.maximum(count - 1, 1)), np.nan)


def _resampled(
    columns: list[Floats], code: Ints, n: Ints, centre: Floats, repeats: int, rng: np.random.Generator
) -> Iterator[tuple[Moments, Moments]]:
    """Moments (draws, t) of both methods, block by block; rows come sorted by task."""
    start = np.concatenate([[0], np.cumsum(n)[:-1]])
    block = max(1, _BLOCK // max(len(code), 1))
    for first in range(0, repeats, block):
        draws = min(block, repeats - first)
        row = (start[code] + rng.random((draws, len(code))) * n[code]).astype(np.int64)
        cell = (np.arange(draws)[:, None] * len(n) + code).ravel()
        y, ours, theirs = (column[row].ravel() for column in columns)

        def sums(values: Floats, cell: Ints = cell, draws: int = draws) -> Floats:
            flat = np.bincount(cell, weights=values, minlength=draws * len(n))
            return flat.reshape(draws, len(n)).astype(np.float64, copy=False)

        shift, square = sums(y) / np.maximum(n, 1), sums(y**2)
        sst = square - n * shift**2
        sst[sst <= 1e-12 * square] = 0.0  # one row drawn every time: a constant target, up to rounding
        drawn, mean = np.broadcast_to(n, (draws, len(n))), centre + shift
        yield (
            Moments(drawn, sums(ours**2), sums(np.abs(ours)), sst, mean),
            Moments(drawn, sums(theirs**2), sums(np.abs(theirs)), sst, mean),
        )
