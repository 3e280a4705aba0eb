"""Delta-m: one number for a method, the mean over tasks of how much of the baseline's error it removes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from relatask.measure.catalogue import METRICS, known_metric
from relatask.measure.checks import Support
from relatask.measure.differences import scores_grid, scores_of, split_ratio
from relatask.measure.formulas import PER_TASK
from relatask.measure.intervals import ROUNDING, corrected_interval
from relatask.measure.scores import Scores
from relatask.notices import InputError


@dataclass(frozen=True)
class DeltaM:
    """Mean over tasks of the relative error reduction: positive = the method is better (.05 = 5% less error).

    Parameters
    ----------
    method, baseline, metric : str
        What is compared, by which error.
    value, low, high, p : float
        Mean over the splits, its interval and p value; with one split the last three are NaN.
    per_split : dict
        The value of each split.
    n : int
        Splits.
    left_out : int
        Pairs of task and split where it is not defined: the baseline makes no error beyond rounding, the target is
        constant, or a score is absent.
    tasks_left_out : tuple of str
        Tasks that are left out in every split.
    """

    method: str
    baseline: str
    metric: str
    value: float
    low: float
    high: float
    p: float
    per_split: dict[str, float]
    n: int
    left_out: int
    tasks_left_out: tuple[str, ...] = ()


def delta_m(
    scores: Scores,
    method: str,
    baseline: str,
    metric: str = "rmse",
    *,
    level: float = 0.05,
    ratio: float | None = None,
    support: Iterable[Support] = (),
) -> DeltaM:
    """Average over tasks, in each split, ``(e_baseline - e_method) / e_baseline`` of an error metric.

    Only metrics that are errors (0 at best, never negative) are taken: a relative change of a score that crosses 0,
    like r2, means nothing. Positive is better, as in the sources' multi-task performance.

    Parameters
    ----------
    scores : Scores
        With both methods on the same splits.
    method, baseline : str
        Names in `scores.method`.
    metric : str
        An error metric of one task: ``"rmse"`` or ``"mae"``.
    level : float
        One minus the coverage of the interval.
    ratio : float, optional
        n_test / n_train; None takes it from the table.
    support : iterable of Support, optional
        What the tasks' labels are like: constant targets are left out, and errors of the baseline that are rounding
        beside the labels. Without it only errors of exactly 0 are.

    Raises
    ------
    InputError
        For a metric that is not an error per task, or an unknown method.

    References
    ----------
    Maninis, Radosavovic and Kokkinos (2019), Attentive single-tasking of multiple tasks, CVPR;
    Vandenhende et al. (2021), Multi-task learning for dense prediction tasks: a survey, IEEE TPAMI.
    The interval: Nadeau and Bengio (2003).

    Examples
    --------
    >>> rows = [{"method": m, "task": task, "metric": "rmse", "split": "0", "value": v, "better": "lower"}
    ...         for m, task, v in [("own", "a", 2.0), ("own", "b", 4.0), ("joint", "a", 1.0), ("joint", "b", 4.0)]]
    >>> delta_m(Scores.of(rows), "joint", "own").value
    0.25
    """
    if known_metric(metric) not in PER_TASK or not METRICS[metric].error:
        errors = [name for name in PER_TASK if METRICS[name].error]
        raise InputError(f"delta_m: {metric!r} is not an error of one task; expected one of {', '.join(errors)}.")
    ours, theirs = (scores_of(scores, name).where(metric=metric) for name in (method, baseline))
    either = set(ours.tasks) | set(theirs.tasks)
    tasks = [name for name in scores.tasks if name in either]
    splits = list(dict.fromkeys([*ours.splits, *theirs.splits]))
    ours_grid, theirs_grid = (scores_grid(side, tasks, splits, side.value) for side in (ours, theirs))
    least = {task.task: np.inf if task.constant else ROUNDING * task.size for task in support}
    floor = np.array([least.get(name, 0.0) for name in tasks])[:, None]
    usable = ~np.isnan(ours_grid) & (theirs_grid > floor)
    relative = np.divide(theirs_grid - ours_grid, theirs_grid, out=np.zeros(usable.shape), where=usable)
    count = usable.sum(0)
    some = count > 0
    values = relative.sum(0)[some] / count[some]
    overlap = ratio if ratio is not None else split_ratio(scores, method, splits)
    value, low, high, p = corrected_interval(values, overlap, level)
    named = {name: float(v) for name, v in zip(np.array(splits, dtype=object)[some], values, strict=True)}
    without = tuple(name for name, used in zip(tasks, np.asarray(usable.any(1)), strict=True) if not used)
    return DeltaM(method, baseline, metric, value, low, high, p, named, len(values), int((~usable).sum()), without)
