"""Metrics per task and over all tasks, from a few sums per task; a missing label never enters one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.measure.catalogue import (
    KINDS_OF,
    METRICS,
    MULTICLASS,
    RANKED,
    REGRESSION,
    WORDS,
    check_metrics,
    known_metric,
    metrics_of,
    overall_metric,
    task_metric,
)
from relatask.measure.formulas import OVERALL, PER_TASK, of_tasks, over_all, suits_all
from relatask.measure.moments import Floats, Ints, Moments, check_labels, moments, task_kinds
from relatask.measure.scores import ALL
from relatask.notices import InputError


def flatten(
    y: npt.ArrayLike,
    prediction: npt.ArrayLike,
    codes: npt.ArrayLike | None = None,
    rows: npt.ArrayLike | None = None,
    *,
    chances: bool = False,
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
    chances : bool
        Whether a task has several classes: predictions then have one more axis; see `relatask.measure.several.plain`.

    Returns
    -------
    y, prediction, codes, rows : (m,) arrays
        The m observed labels, their predictions (with `chances` (m, C)), tasks and rows.

    Raises
    ------
    InputError
        Where shapes differ, or a prediction of an observed label is NaN or infinite.
    """
    truth, guess = np.asarray(y, dtype=float), np.asarray(prediction, dtype=float)
    if guess.shape[: truth.ndim] != truth.shape or guess.ndim != truth.ndim + chances:
        more = ", and one more axis: the chance of each class" if chances else ""
        raise InputError(f"labels have shape {truth.shape} and predictions {guess.shape}; expected the same{more}.")
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
    truth, guess = truth.ravel(), guess.reshape(truth.size, -1) if chances else guess.ravel()
    seen = ~np.isnan(truth)
    wrong = int((~np.isfinite(guess[seen, 0] if chances else guess[seen])).sum())
    if wrong:
        raise InputError(f"{wrong} of {int(seen.sum())} predictions are NaN or infinite; expected finite numbers.")
    return truth[seen], guess[seen], code[seen].astype(np.int64), row[seen].astype(np.int64)


def has_several(kinds: str | Sequence[str] | None) -> bool:
    """Whether a task has several classes."""
    return kinds is not None and MULTICLASS in ((kinds,) if isinstance(kinds, str) else kinds)


def evaluate(
    y: npt.ArrayLike,
    prediction: npt.ArrayLike,
    codes: npt.ArrayLike | None = None,
    tasks: Sequence[object] | None = None,
    metrics: Sequence[str] | None = None,
    n_train: npt.ArrayLike | None = None,
    *,
    kinds: str | Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Compute the metrics of one set of predictions, per task and over all tasks.

    Within tasks, explained variance is ``1 - sum_k SSE_k / sum_k SST_k`` with SST_k about task k's own mean in these
    rows; globally it is ``1 - SSE / SST`` about the mean of all rows. Where a target is constant (or has one row) r2 is
    NaN, and enters no mean over tasks. A label that is NaN enters nothing.

    Explained deviance d2 is ``1 - D / D_0`` with D the deviance and D_0 that of predicting the task's own mean in these
    rows: r2 for numbers, for classes ``D = -2 sum_i log(chance of label i)``, for counts ``D = 2 sum_i (y_i log(y_i /
    m_i) - y_i + m_i)``; of several classes D_0 is that of their shares. The area under the curve is the share of pairs,
    a label 1 and a label 0, in which the 1 has the higher chance (equal chances count half); `auc_within` takes the
    pairs of all tasks, both labels of one task. Where a task has labels of one class, both are NaN, and enter no mean
    over tasks. Chances closer to 0 or 1 than 2.2e-16, and mean counts below it, are taken to be there.

    Parameters
    ----------
    y, prediction : (n,) with `codes`, or (n, t) arrays
        Labels, NaN where missing, and predictions: of classes (0 and 1) the chance of 1, of counts their mean. Where a
        task has several classes, the prediction has one more axis: of such a task the chance of each, NaN behind its
        last; of others the prediction in the first place.
    codes : (n,) int array, optional
        Each row's task as a position in `tasks`.
    tasks : sequence of t labels, optional
        Names of the tasks; positions if None.
    metrics : sequence of str, optional
        Names in `METRICS`; if None, those of the kinds (`relatask.measure.catalogue.metrics_of`).
    n_train : (t,) int array, optional
        Labels that each task had in training, kept beside the scores (`Scores.n_train`).
    kinds : str or sequence of t str, optional
        ``"regression"``, ``"binary"``, ``"count"`` or ``"multiclass"``, for all tasks or for each; None means numbers.
        Over tasks of several kinds there is one number, `d2_mean_of_tasks`.

    Returns
    -------
    list of dict
        Rows with task, metric, value, better, n, n_train: ready for `Scores.of`. A task without labels has none.

    Raises
    ------
    InputError
        For an unknown metric or one that the kinds do not have, shapes that differ, labels or predictions that a kind
        cannot have, or predictions that are not finite.

    References
    ----------
    Cameron and Windmeijer (1997), An R-squared measure of goodness of fit for some common nonlinear regression models,
    Journal of Econometrics 77: explained deviance. Hanley and McNeil (1982), The meaning and use of the area under a
    ROC curve, Radiology 143.

    Examples
    --------
    >>> rows = evaluate([1.0, 3.0, 5.0, 5.0], [1.0, 2.0, 5.0, 5.0], [0, 0, 1, 1], ["a", "b"], ["rmse"])
    >>> [(row["task"], round(row["value"], 3), row["n"]) for row in rows]
    [('a', 0.707, 2), ('b', 0.0, 2), ('(all tasks)', 0.5, 4)]
    """
    flat_y, flat_prediction, flat_codes, _ = flatten(y, prediction, codes, chances=has_several(kinds))
    n_tasks = len(tasks) if tasks is not None else int(flat_codes.max(initial=-1)) + 1
    if flat_codes.size and (flat_codes.min() < 0 or flat_codes.max() >= n_tasks):
        raise InputError(f"task codes run from {flat_codes.min()} to {flat_codes.max()}; expected 0 to {n_tasks - 1}.")
    labels = [str(label) for label in (tasks if tasks is not None else range(n_tasks))]
    of = task_kinds(kinds, n_tasks)
    there = {REGRESSION} if of is None else set(of)
    names = [known_metric(name) for name in (metrics if metrics is not None else metrics_of(there))]
    check_metrics(names, there)
    check_labels(flat_y, flat_prediction, flat_codes, of)
    train = np.zeros(n_tasks, dtype=np.int64) if n_train is None else np.asarray(n_train, dtype=np.int64)
    m = moments(flat_y, flat_prediction, flat_codes, n_tasks, of, ranked=not RANKED.isdisjoint(names))
    return rows_of(m, labels, names, train)


def rows_of(
    m: Moments, labels: Sequence[str], metrics: Sequence[str], n_train: npt.NDArray[Any]
) -> list[dict[str, Any]]:
    """Metrics as `evaluate` gives them, from sums per task; `n_train` (t,) are labels in training."""
    present = np.flatnonzero(m.n).tolist()
    rows: list[dict[str, Any]] = []
    for name in metrics:
        better = METRICS[name].better
        if name in PER_TASK:
            values = of_tasks(name, m)
            rows += [
                {"task": labels[k], "metric": name, "value": float(values[k]), "better": better}
                | {"n": int(m.n[k]), "n_train": int(n_train[k])}
                for k in present
                if m.kinds is None or m.kinds[k] in KINDS_OF[name]
            ]
        if name in OVERALL and len(present) and suits_all(name, m.kinds):
            rows.append(
                {"task": ALL, "metric": name, "value": float(over_all(name, m)), "better": better}
                | {"n": int(m.n.sum()), "n_train": int(n_train.sum())}
            )
    return rows


__all__ = [
    "METRICS",
    "OVERALL",
    "PER_TASK",
    "WORDS",
    "Moments",
    "evaluate",
    "flatten",
    "has_several",
    "known_metric",
    "moments",
    "overall_metric",
    "rows_of",
    "task_metric",
]
