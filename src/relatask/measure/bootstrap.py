"""Intervals from one split: its test rows are drawn again, with replacement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from relatask.measure.catalogue import METRICS, RANKED, check_metrics, known_metric, overall_metric, task_metric
from relatask.measure.differences import BOOTSTRAP, Differences, judged
from relatask.measure.formulas import OVERALL, PER_TASK, of_tasks, over_all
from relatask.measure.intervals import t_interval, without_rounding
from relatask.measure.metrics import evaluate, flatten, has_several
from relatask.measure.moments import (
    Kinds,
    Moments,
    Ranks,
    check_labels,
    label_terms,
    moments,
    task_kinds,
    with_terms,
)
from relatask.measure.scores import ALL
from relatask.measure.several import plain

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_BLOCK = 4_000_000  # numbers drawn at a time: 32 MB
_RANKED = 500_000  # where they are summed in order, which is faster near the processor


def bootstrap_differences(
    y: npt.ArrayLike,
    prediction: npt.ArrayLike,
    baseline_prediction: npt.ArrayLike,
    codes: npt.ArrayLike | None = None,
    tasks: Sequence[object] | None = None,
    metric: str = "rmse",
    *,
    kinds: str | Sequence[str] | None = None,
    rows: npt.ArrayLike | None = None,
    method: str = "method",
    baseline: str = "baseline",
    overall: str | None = None,
    level: float = 0.05,
    repeats: int = 1000,
    seed: int = 0,
) -> Differences:
    """Compare two methods on the same test rows of one split, by a paired bootstrap.

    Rows are drawn with replacement within each task, the same for both methods; where one row has labels of several
    tasks, whole rows are drawn, once for all tasks, because the errors of one row go together. The standard deviation
    over `repeats` draws, times ``sqrt(n / (n - 1))``, is the standard error, and Student's t with n - 1 degrees of
    freedom gives interval and p, n being the number of distinct rows (percentiles of few rows would be too narrow, and
    of 1000 draws too coarse to correct for many tasks). It holds the two fitted models fixed: what another training
    set would have given is not in the interval.

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
    kinds : str or sequence of t str, optional
        As in `evaluate`.
    rows : (n,) int array, optional
        With `codes`: which row of the data each label belongs to; None means that each is a row of its own.
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
        For an unknown metric or one that the kinds do not have, shapes that differ, or labels and predictions that
        cannot be.

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
    several = has_several(kinds)
    truth, ours, code, row = flatten(y, prediction, codes, rows, chances=several)
    _, theirs, _, _ = flatten(y, baseline_prediction, codes, rows, chances=several)
    names = _names(tasks, code)
    of = task_kinds(kinds, len(names))
    check_metrics([of_task, of_all], ["regression"] if of is None else of)
    for guess in (ours, theirs):
        check_labels(truth, guess, code, of)
    ranked = not RANKED.isdisjoint((of_task, of_all))
    exact = [moments(truth, guess, code, len(names), of, ranked=ranked) for guess in (ours, theirs)]
    sides = [_both(m, of_task, of_all)[0] for m in exact]
    sign = np.append(np.full(len(names), METRICS[of_task].sign), METRICS[of_all].sign)
    d = without_rounding(sign * (sides[0] - sides[1]), *sides)
    drawn = [
        sign * (_both(a, of_task, of_all) - _both(b, of_task, of_all))
        for a, b in _resampled(truth, [ours, theirs], code, row, len(names), repeats, seed, of, ranked)
    ]
    error = _deviation(np.concatenate(drawn))
    n = np.bincount(code, minlength=len(names))
    found: list[dict[str, Any]] = []
    for k, (name, units) in enumerate(zip([*names, ALL], [*n, len(np.unique(row))], strict=True)):
        low, high, p = _t(float(d[k]), float(error[k]), int(units), level)
        found.append(
            {"task": name, "metric": of_all if name == ALL else of_task, "difference": float(d[k])}
            | {"n": int(n.sum() if name == ALL else units), "low": low, "high": high, "p": p}
            | {"value": float(sides[0][k]), "baseline_value": float(sides[1][k])}
        )
    return judged(method, baseline, of_task, level, BOOTSTRAP, found)


def bootstrap_scores(
    y: npt.ArrayLike,
    prediction: npt.ArrayLike,
    codes: npt.ArrayLike | None = None,
    tasks: Sequence[object] | None = None,
    metrics: Sequence[str] | None = None,
    *,
    kinds: str | Sequence[str] | None = None,
    rows: npt.ArrayLike | None = None,
    level: float = 0.05,
    repeats: int = 1000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Score one set of predictions, as `evaluate` does, with the intervals of `bootstrap_differences`.

    Parameters
    ----------
    y, prediction, codes, tasks, metrics, kinds :
        As in `evaluate`.
    rows, level, repeats, seed :
        As in `bootstrap_differences`.

    Returns
    -------
    list of dict
        The rows of `evaluate` with ``low`` and ``high``: NaN where there are fewer than two rows, or no spread.

    Examples
    --------
    >>> y = np.arange(40.0)
    >>> row = bootstrap_scores(y, y + np.random.default_rng(0).normal(size=40), np.zeros(40, int), metrics=["rmse"])[0]
    >>> row["low"] < row["value"] < row["high"]
    True
    """
    found = evaluate(y, prediction, codes, tasks, metrics, kinds=kinds)
    truth, guess, code, row = flatten(y, prediction, codes, rows, chances=has_several(kinds))
    names = _names(tasks, code)
    wanted = list(dict.fromkeys(score["metric"] for score in found))
    drawn: dict[str, list[Floats]] = {name: [] for name in wanted}
    of, ranked = task_kinds(kinds, len(names)), not RANKED.isdisjoint(wanted)
    for (m,) in _resampled(truth, [guess], code, row, len(names), repeats, seed, of, ranked):
        for name in wanted:
            drawn[name].append(_both(m, name if name in PER_TASK else None, name if name in OVERALL else None))
    error = {name: _deviation(np.concatenate(parts)) for name, parts in drawn.items()}
    place = {name: k for k, name in enumerate([*names, ALL])}
    units = np.append(np.bincount(code, minlength=len(names)), len(np.unique(row)))
    for score in found:
        k = place[score["task"]]
        low, high, _ = _t(score["value"], float(error[score["metric"]][k]), int(units[k]), level)
        score.update(low=low, high=high)
    return found


def _names(tasks: Sequence[object] | None, code: Ints) -> list[str]:
    return [str(label) for label in (tasks if tasks is not None else range(int(code.max(initial=-1)) + 1))]


def _both(m: Moments, of_task: str | None, of_all: str | None) -> Floats:
    """(draws, t + 1): the metric of each task and the one over all tasks, NaN for one that is not asked for."""
    n = np.atleast_2d(m.n)
    each = of_tasks(of_task, m) if of_task is not None else np.full(n.shape, np.nan)
    whole = over_all(of_all, m) if of_all is not None else np.full(len(n), np.nan)
    return np.column_stack([np.reshape(each, n.shape), np.reshape(whole, len(n))])


def _t(mean: float, error: float, units: int, level: float) -> tuple[float, float, float]:
    """Interval and p of a number from the deviation over draws of this many rows."""
    if units < 2 or not np.isfinite(mean) or not np.isfinite(error):
        return np.nan, np.nan, np.nan
    return t_interval(mean, 0.0 if mean == 0 else error * np.sqrt(units / (units - 1)), units - 1, level)


def _deviation(values: Floats) -> Floats:
    """Standard deviation down the columns of the defined values; NaN with fewer than two of them."""
    defined = ~np.isnan(values)
    count = defined.sum(0)
    filled = np.where(defined, values, 0.0)
    mean = filled.sum(0) / np.maximum(count, 1)
    square = (np.where(defined, values - mean, 0.0) ** 2).sum(0)
    return np.where(count > 1, np.sqrt(square / np.maximum(count - 1, 1)), np.nan)


class _Units(NamedTuple):
    """What is drawn: `of` (m,) is each label's unit; units of one stratum lie together, `start` and `size` (u,) its."""

    of: Ints
    start: Ints
    size: Ints


def _units(code: Ints, row: Ints) -> _Units:
    """The labels, within their tasks; or whole rows, where one has labels of several tasks."""
    _, of = np.unique(row, return_inverse=True)
    count = int(of.max(initial=-1)) + 1
    if count < len(row):
        return _Units(of, np.zeros(count, dtype=np.int64), np.full(count, count))
    of = np.empty(len(code), dtype=np.int64)
    of[np.argsort(code, kind="stable")] = np.arange(len(code))
    n = np.bincount(code)
    stratum = np.sort(code)
    return _Units(of, (np.cumsum(n) - n)[stratum], n[stratum])


def _resampled(
    truth: Floats,
    guesses: Sequence[Floats],
    code: Ints,
    row: Ints,
    n_tasks: int,
    repeats: int,
    seed: int,
    kinds: Kinds | None,
    ranked: bool,
) -> Iterator[list[Moments]]:
    """Moments (draws, t) for each of several predictions (m,) on the same draws, block by block."""
    rng = np.random.default_rng(seed)
    units = _units(code, row)
    n_units = len(units.size)
    n = np.bincount(code, minlength=n_tasks)
    # Centred labels: sums of squares of resampled rows then keep their digits.
    centre = np.bincount(code, weights=truth, minlength=n_tasks) / np.maximum(n, 1)
    if kinds is not None:  # classes and counts have theirs as they are
        centre = np.where(np.array(kinds) == "regression", centre, 0.0)
    y = truth - centre[code]
    told = [plain(truth, guess, code, kinds) for guess in guesses]
    errors = [guess - truth for guess in told]
    terms = [label_terms(truth, guess, code, kinds) if kinds is not None else {} for guess in guesses]
    ranks = [Ranks.of(truth, guess, code, kinds) if ranked and kinds is not None else None for guess in told]
    draws_at_once = max(1, _RANKED // len(y) if ranked and len(y) else _BLOCK // max(n_units, 1))
    for first in range(0, repeats, draws_at_once):
        draws = min(draws_at_once, repeats - first)
        picked = units.start + (rng.random((draws, n_units)) * units.size).astype(np.int64)
        cell = picked * draws + np.arange(draws)[:, None]
        times = np.bincount(cell.ravel(), minlength=n_units * draws).reshape(n_units, draws).astype(np.float64)

        def sums(values: Floats, times: Floats = times) -> Floats:
            by_unit = sparse.csr_array(sparse.coo_array((values, (code, units.of)), shape=(n_tasks, n_units)))
            return np.asarray(by_unit @ times).T

        drawn = sums(np.ones(len(y)))
        total, square = sums(y), sums(y**2)
        shift = total / np.maximum(drawn, 1)
        sst = square - drawn * shift**2
        sst[sst <= 1e-12 * square] = 0.0  # one row drawn every time: a constant target, up to rounding
        block = [Moments(drawn, sums(e**2), sums(np.abs(e)), sst, centre + shift) for e in errors]
        if kinds is not None:
            block = [
                with_terms(
                    m,
                    kinds,
                    {name: sums(values) for name, values in more.items()},
                    rank.pairs(times[units.of]) if rank is not None else (None, None),
                )
                for m, more, rank in zip(block, terms, ranks, strict=True)
            ]
        yield block
