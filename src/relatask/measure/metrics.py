"""Metrics of regression, per task and over all tasks, from a few sums per task; a missing label never enters one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.measure.scores import ALL
from relatask.notices import InputError
from relatask.tasks import Metric

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Moments:
    """The sums per task from which every metric here follows; arrays (..., t), leading axes are bootstrap replicates.

    Parameters
    ----------
    n : (..., t) array
        Observed labels.
    sse, sae : (..., t) arrays
        Sums of squared and of absolute errors.
    sst : (..., t) array
        Sum of squared distances of the labels to their task's own mean; exactly 0 for a constant target.
    mean : (..., t) array
        Mean label; 0 where a task has none.
    """

    n: npt.NDArray[Any]
    sse: Floats
    sae: Floats
    sst: Floats
    mean: Floats


def moments(y: Floats, prediction: Floats, codes: Ints, n_tasks: int) -> Moments:
    """Sums per task of flat, observed labels: y (m,), prediction (m,), codes (m,) in 0..n_tasks - 1."""
    n = np.bincount(codes, minlength=n_tasks)
    mean = _sums(codes, y, n_tasks) / np.maximum(n, 1)
    error, centred = prediction - y, y - mean[codes]
    # The mean of equal numbers can be off by rounding: a constant target is recognised by its range, not by its sum.
    low, high = np.full(n_tasks, np.inf), np.full(n_tasks, -np.inf)
    np.minimum.at(low, codes, y)
    np.maximum.at(high, codes, y)
    return Moments(
        n=n,
        sse=_sums(codes, error**2, n_tasks),
        sae=_sums(codes, np.abs(error), n_tasks),
        sst=np.where(high > low, _sums(codes, centred**2, n_tasks), 0.0),
        mean=mean,
    )


def _sums(codes: Ints, values: Floats, n_tasks: int) -> Floats:
    return np.bincount(codes, weights=values, minlength=n_tasks).astype(np.float64, copy=False)


def _ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> Floats:
    """Quotient, NaN where the denominator is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, dtype=float), np.asarray(below, dtype=float))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)


def _mean(values: Floats) -> Floats:
    """Mean over tasks of the defined values, NaN where there is none."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(-1), defined.sum(-1))


def _rmse(m: Moments) -> Floats:
    return np.sqrt(_ratio(m.sse, m.n))


def _mae(m: Moments) -> Floats:
    return _ratio(m.sae, m.n)


def _r2(m: Moments) -> Floats:
    return 1 - _ratio(m.sse, m.sst)


def _within(m: Moments) -> Floats:
    return 1 - _ratio(m.sse.sum(-1), m.sst.sum(-1))


def _global(m: Moments) -> Floats:
    grand = _ratio((m.n * m.mean).sum(-1), m.n.sum(-1))
    return 1 - _ratio(m.sse.sum(-1), (m.sst + m.n * (m.mean - grand[..., None]) ** 2).sum(-1))


PER_TASK: dict[str, Callable[[Moments], Floats]] = {"rmse": _rmse, "mae": _mae, "r2": _r2}
"""Metrics that each task has: Moments (..., t) -> (..., t)."""

OVERALL: dict[str, Callable[[Moments], Floats]] = {
    "rmse": lambda m: np.sqrt(_ratio(m.sse.sum(-1), m.n.sum(-1))),
    "mae": lambda m: _ratio(m.sae.sum(-1), m.n.sum(-1)),
    "explained_variance_within": _within,
    "explained_variance_global": _global,
    "rmse_mean_of_tasks": lambda m: _mean(_rmse(m)),
    "mae_mean_of_tasks": lambda m: _mean(_mae(m)),
    "r2_mean_of_tasks": lambda m: _mean(_r2(m)),
}
"""Metrics over all tasks: Moments (..., t) -> (...,); plain `rmse` and `mae` pool the rows of all tasks."""

METRICS: dict[str, Metric] = {
    "rmse": Metric("rmse", better="lower", error=True),
    "mae": Metric("mae", better="lower", error=True),
    "r2": Metric("r2", better="higher", share=True),
    "explained_variance_within": Metric("explained_variance_within", better="higher", share=True),
    "explained_variance_global": Metric("explained_variance_global", better="higher", share=True),
    "rmse_mean_of_tasks": Metric("rmse_mean_of_tasks", better="lower", error=True),
    "mae_mean_of_tasks": Metric("mae_mean_of_tasks", better="lower", error=True),
    "r2_mean_of_tasks": Metric("r2_mean_of_tasks", better="higher", share=True),
}
"""Every metric by name, with its direction."""

WORDS: dict[str, str] = {
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "r2": "r2 (about the task's own test mean)",
    "explained_variance_within": "explained variance within tasks",
    "explained_variance_global": "explained variance about the mean of all rows",
    "rmse_mean_of_tasks": "root mean squared error, mean of the tasks",
    "mae_mean_of_tasks": "mean absolute error, mean of the tasks",
    "r2_mean_of_tasks": "r2, mean of the tasks",
}
"""Every metric in words, for pages and sentences."""

_PAIRS = {"r2": "explained_variance_within"}


def overall_metric(metric: str) -> str:
    """Name of the number over all tasks that stands beside a metric of one task: r2's is taken within tasks."""
    return _PAIRS.get(known_metric(metric), metric)


def task_metric(metric: str) -> str:
    """Name of the number per task that stands beside a metric over all tasks."""
    if known_metric(metric) in PER_TASK:
        return metric
    return metric.split("_mean_of_tasks")[0] if metric.endswith("_mean_of_tasks") else "r2"


def known_metric(name: str) -> str:
    """Give the name back if it is a metric's.

    Raises
    ------
    InputError
        For an unknown name, with the known ones.
    """
    if name not in METRICS:
        raise InputError(f"unknown metric {name!r}; expected one of {', '.join(METRICS)}.")
    return name


def flatten(
    y: npt.ArrayLike,
    prediction: npt.ArrayLike,
    codes: npt.ArrayLike | None = None,
    rows: npt.ArrayLike | None = None,
) -> tuple[Floats, Floats, Ints, Ints]:
    """Bring both kinds of targets to one flat form of the observed labels.

    Parameters
    ----------
    y, prediction : (n,) or (n, t) arrays
        Labels, NaN where missing, and predictions in the same shape and units.
    codes : (n,) int array, optional
        The task of each row; None means that the columns of y are the tasks.
    rows : (n,) int array, optional
        The row of the data that each entry of y belongs to; positions if None.

    Returns
    -------
    y, prediction, codes, rows : (m,) arrays
        The m observed labels, their predictions, tasks and rows.

    Raises
    ------
    InputError
        Where shapes differ, or a prediction of an observed label is NaN or infinite.
    """
    truth, guess = np.asarray(y, dtype=float), np.asarray(prediction, dtype=float)
    if truth.shape != guess.shape:
        raise InputError(f"labels have shape {truth.shape} and predictions {guess.shape}; expected the same.")
    if codes is None:
        columns = truth.reshape(len(truth), -1)
        code = np.broadcast_to(np.arange(columns.shape[1]), columns.shape).ravel()
        row = np.repeat(np.arange(len(columns)), columns.shape[1])
    else:
        code, row = np.asarray(codes), np.arange(len(truth))
        if truth.ndim != 1 or code.shape != truth.shape:
            raise InputError(f"labels {truth.shape} with task codes {code.shape}: expected two arrays (n,).")
    if rows is not None:
        given = np.asarray(rows)
        if given.shape != truth.shape[:1]:
            raise InputError(f"rows has shape {given.shape}; expected ({len(truth)},), one for each entry of y.")
        row = given[row]
    truth, guess = truth.ravel(), guess.ravel()
    seen = ~np.isnan(truth)
    wrong = int((~np.isfinite(guess[seen])).sum())
    if wrong:
        raise InputError(f"{wrong} of {int(seen.sum())} predictions are NaN or infinite; expected finite numbers.")
    return truth[seen], guess[seen], code[seen].astype(np.int64), row[seen].astype(np.int64)


def evaluate(
    y: npt.ArrayLike,
    prediction: npt.ArrayLike,
    codes: npt.ArrayLike | None = None,
    tasks: Sequence[object] | None = None,
    metrics: Sequence[str] | None = None,
    n_train: npt.ArrayLike | None = None,
) -> list[dict[str, Any]]:
    """Compute the metrics of one set of predictions, per task and over all tasks.

    Within tasks, explained variance is ``1 - sum_k SSE_k / sum_k SST_k`` with SST_k about task k's own mean in these
    rows; globally it is ``1 - SSE / SST`` about the mean of all rows. Where a target is constant (or has one row) r2 is
    NaN, and enters no mean over tasks. A label that is NaN enters nothing.

    Parameters
    ----------
    y, prediction : (n,) with `codes`, or (n, t) arrays
        Labels, NaN where missing, and predictions.
    codes : (n,) int array, optional
        Each row's task as a position in `tasks`.
    tasks : sequence of t labels, optional
        Names of the tasks; positions if None.
    metrics : sequence of str, optional
        Names in `METRICS`; all if None.
    n_train : (t,) int array, optional
        Labels that each task had in training, kept beside the scores (`Scores.n_train`).

    Returns
    -------
    list of dict
        Rows with task, metric, value, better, n, n_train: ready for `Scores.of`. A task without labels has none.

    Raises
    ------
    InputError
        For an unknown metric, shapes that differ, or predictions that are not finite.

    Examples
    --------
    >>> rows = evaluate([1.0, 3.0, 5.0, 5.0], [1.0, 2.0, 5.0, 5.0], [0, 0, 1, 1], ["a", "b"], ["rmse"])
    >>> [(row["task"], round(row["value"], 3), row["n"]) for row in rows]
    [('a', 0.707, 2), ('b', 0.0, 2), ('(all tasks)', 0.5, 4)]
    """
    names = [known_metric(name) for name in (metrics if metrics is not None else METRICS)]
    flat_y, flat_prediction, flat_codes, _ = flatten(y, prediction, codes)
    n_tasks = len(tasks) if tasks is not None else int(flat_codes.max(initial=-1)) + 1
    if flat_codes.size and (flat_codes.min() < 0 or flat_codes.max() >= n_tasks):
        raise InputError(f"task codes run from {flat_codes.min()} to {flat_codes.max()}; expected 0 to {n_tasks - 1}.")
    labels = [str(label) for label in (tasks if tasks is not None else range(n_tasks))]
    train = np.zeros(n_tasks, dtype=np.int64) if n_train is None else np.asarray(n_train, dtype=np.int64)
    m = moments(flat_y, flat_prediction, flat_codes, n_tasks)
    present = np.flatnonzero(m.n)
    rows: list[dict[str, Any]] = []
    for name in names:
        better = METRICS[name].better
        if name in PER_TASK:
            values = PER_TASK[name](m)
            rows += [
                {"task": labels[k], "metric": name, "value": float(values[k]), "better": better}
                | {"n": int(m.n[k]), "n_train": int(train[k])}
                for k in present
            ]
        if name in OVERALL and len(present):
            rows.append(
                {"task": ALL, "metric": name, "value": float(OVERALL[name](m)), "better": better}
                | {"n": int(m.n.sum()), "n_train": int(train.sum())}
            )
    return rows
