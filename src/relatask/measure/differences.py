"""Differences between two methods, per task and over all tasks, with intervals that know the splits overlap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from relatask.measure.catalogue import known_metric, metric_named, overall_metric, task_metric
from relatask.measure.intervals import benjamini_hochberg, corrected_interval, without_rounding
from relatask.measure.scores import ALL, Scores
from relatask.notices import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Verdict = Literal["helped", "no difference shown", "hurt"]

HELPED, NEUTRAL, HURT = "helped", "no difference shown", "hurt"
RESAMPLED = "corrected resampled t over splits"
BOOTSTRAP = "bootstrap over test rows"


@dataclass(frozen=True)
class Difference:
    """The difference of one task, or of `ALL`: the scores of both methods, interval, p, q and the verdict.

    Parameters
    ----------
    task : str
        The task's name, or `ALL`.
    metric : str
        The metric of `value` and `baseline_value`; for `ALL` it may be another than for the tasks (r2's is
        explained variance within tasks).
    value, baseline_value : float
        Mean score of the method and of the baseline over the splits that both have.
    difference, low, high : float
        Positive = the method is better, whichever way the metric points; the ends of the interval, NaN with one split.
    p, q : float
        Two-sided p value; Benjamini and Hochberg's over the tasks (for `ALL`, which is one question, q = p).
    verdict : {"helped", "no difference shown", "hurt"}
        By q and the sign.
    n : int
        Splits paired (or, for a bootstrap, test labels).
    """

    task: str
    metric: str
    value: float
    baseline_value: float
    difference: float
    low: float
    high: float
    p: float
    q: float
    verdict: Verdict
    n: int


@dataclass(frozen=True, repr=False)
class Differences:
    """What `method` gains over `baseline`, task by task and over all tasks.

    Parameters
    ----------
    method, baseline, metric : str
        What is compared, and by which metric of one task.
    level : float
        Intervals cover 1 - level; a verdict needs q <= level.
    how : str
        `RESAMPLED` or `BOOTSTRAP`.
    tasks : tuple of Difference
        One for each task.
    overall : Difference
        The one over all tasks.
    """

    method: str
    baseline: str
    metric: str
    level: float
    how: str
    tasks: tuple[Difference, ...]
    overall: Difference

    def __iter__(self) -> Iterator[Difference]:
        yield from self.tasks
        yield self.overall

    def __len__(self) -> int:
        return len(self.tasks) + 1

    def __getitem__(self, key: int | str) -> Difference:
        """The row at a position (`ALL` last), or of a task by its name.

        Raises
        ------
        InputError
            For a name that no task has.
        IndexError
            For a position that is not there.
        """
        if not isinstance(key, str):
            return (*self.tasks, self.overall)[key]
        found = next((row for row in self if row.task == key), None)
        if found is None:
            names = ", ".join(repr(row.task) for row in self.tasks[:6])
            more = f", ... ({len(self.tasks)} tasks)" if len(self.tasks) > 6 else ""
            raise InputError(f"there is no task {key!r}; expected one of {names}{more}, or {ALL!r}.")
        return found

    def __repr__(self) -> str:
        told = ", ".join(f"{self.count(verdict)} {verdict}" for verdict in get_args(Verdict))
        row = self.overall
        whole = f"{row.verdict}, {row.difference:+.3g} ({row.low:.3g} to {row.high:.3g}) in {row.metric}"
        return (
            f"Differences({self.method!r} against {self.baseline!r}, {len(self.tasks)} tasks by {self.metric}: {told}; "
            f"over all tasks: {whole})"
        )

    def count(self, verdict: Verdict) -> int:
        """Count the tasks with this verdict."""
        return sum(row.verdict == verdict for row in self.tasks)

    def rows(self) -> list[dict[str, Any]]:
        """Give the rows, `ALL` last, as dictionaries of plain values."""
        names = [field.name for field in fields(Difference)]
        return [{name: getattr(row, name) for name in names} for row in self]


def differences(
    scores: Scores,
    method: str,
    baseline: str,
    metric: str = "rmse",
    *,
    overall: str | None = None,
    level: float = 0.05,
    ratio: float | Mapping[str, float] | None = None,
) -> Differences:
    """Compare two methods over repeated splits by the corrected resampled t test.

    With differences d_1 .. d_J over the J splits (seeds averaged within a split first, because they share its rows)
    the interval is ``mean(d) +- t_{J-1} sqrt((1/J + n_test/n_train) var(d))``: the training sets overlap, so that the
    plain ``1/J`` would be far too sure of itself. Over the tasks the expected share of false verdicts stays at `level`.

    Parameters
    ----------
    scores : Scores
        With both methods on the same splits. Splits where either score is absent or NaN are left out of that task.
    method, baseline : str
        Names in `scores.method`.
    metric : str
        A metric of one task (``"rmse"``), or one over all tasks, whose counterpart per task is then used.
    overall : str, optional
        The metric of the row over all tasks; None takes the one that belongs to `metric`.
    level : float
        One minus the coverage of intervals, and the largest q at which a verdict is given.
    ratio : float or {task: float}, optional
        n_test / n_train; None takes it from the columns `n` and `n_train`.

    Returns
    -------
    Differences
        With one split intervals, p and q are NaN and every verdict is "no difference shown":
        `bootstrap_differences` answers then. So it is where all differences are equal, and not 0.

    Raises
    ------
    InputError
        For an unknown method or metric, or where `n_train` is not known and `ratio` is not given.

    References
    ----------
    Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52, 239-281.
    Benjamini and Hochberg (1995), Controlling the false discovery rate, JRSS B 57, 289-300.

    Examples
    --------
    >>> rows = [{"method": m, "task": task, "metric": "rmse", "split": str(s), "value": v + step * s, "better": "lower",
    ...          "n": 10, "n_train": 30} for m, v, step in [("own", 3.0, 0.1), ("joint", 2.0, 0.12)]
    ...         for task in ("a", "(all tasks)") for s in range(3)]
    >>> found = differences(Scores.of(rows), "joint", "own")
    >>> round(found.overall.difference, 3), found.tasks[0].verdict
    (0.98, 'helped')
    """
    of_task = task_metric(metric)
    of_all = known_metric(overall) if overall is not None else overall_metric(metric)
    ours, theirs = (scores_of(scores, name) for name in (method, baseline))
    either = set(ours.tasks) | set(theirs.tasks)
    tasks = [name for name in scores.tasks if name in either]
    found = [
        *_paired(ours, theirs, tasks, of_task, level, ratio),
        *_paired(ours, theirs, [ALL], of_all, level, ratio),
    ]
    return judged(method, baseline, of_task, level, RESAMPLED, found)


def judged(method: str, baseline: str, metric: str, level: float, how: str, found: list[dict[str, Any]]) -> Differences:
    """Correct the p values over the tasks, and turn q and sign into verdicts; the last row is the one of `ALL`."""
    q = np.append(benjamini_hochberg(np.array([row["p"] for row in found[:-1]])), found[-1]["p"])
    rows = [
        Difference(**row, q=float(q_k), verdict=_verdict(row["difference"], float(q_k), level))
        for row, q_k in zip(found, q, strict=True)
    ]
    return Differences(method, baseline, metric, level, how, tuple(rows[:-1]), rows[-1])


def scores_of(scores: Scores, name: str) -> Scores:
    """Give the rows of one method, or say which methods there are."""
    found = scores.where(method=name)
    if not len(found):
        raise InputError(f"there are no scores of the method {name!r}; the table has {', '.join(scores.methods)}.")
    return found


def _verdict(difference: float, q: float, level: float) -> Verdict:
    if not q <= level or difference == 0:
        return "no difference shown"
    return "helped" if difference > 0 else "hurt"


def _paired(
    ours: Scores,
    theirs: Scores,
    tasks: list[str],
    metric: str,
    level: float,
    ratio: float | Mapping[str, float] | None,
) -> list[dict[str, Any]]:
    splits = list(dict.fromkeys([*ours.splits, *theirs.splits]))
    ours, theirs = ours.where(metric=metric), theirs.where(metric=metric)
    a, b = scores_grid(ours, tasks, splits, ours.value), scores_grid(theirs, tasks, splits, theirs.value)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = scores_grid(ours, tasks, splits, ours.n / np.where(ours.n_train > 0, ours.n_train, np.nan))
    d = without_rounding(metric_named(metric).sign * (a - b), a, b)
    rows = []
    for k, task in enumerate(tasks):
        both = ~np.isnan(d[k])
        overlap = _overlap(ratio, task, ratios[k, both])
        mean, low, high, p = corrected_interval(d[k, both], overlap, level)
        value, baseline_value = (float(side[k, both].mean()) if both.any() else np.nan for side in (a, b))
        rows.append(
            {"task": task, "metric": metric, "value": value, "baseline_value": baseline_value, "difference": mean}
            | {"low": low, "high": high, "p": p, "n": int(both.sum())}
        )
    return rows


def _overlap(ratio: float | Mapping[str, float] | None, task: str, seen: Floats) -> float:
    if ratio is not None:
        return float(ratio[task] if isinstance(ratio, Mapping) else ratio)
    if seen.size > 1 and np.isnan(seen).any():
        raise InputError(
            f"task {task!r}: the scores do not say how many training labels there were (n_train is 0), and intervals "
            "over repeated splits need n_test / n_train; give ratio=."
        )
    return float(seen.mean()) if seen.size else np.nan


def scores_grid(scores: Scores, tasks: list[str], splits: list[str], values: Floats) -> Floats:
    """(tasks, splits) means over the seeds; NaN where there is no defined value."""
    task_at, split_at = ({name: i for i, name in enumerate(names)} for names in (tasks, splits))
    kept = np.array([name in task_at for name in scores.task], dtype=bool) & ~np.isnan(values)
    shape = (len(tasks), len(splits))
    cell = np.array(
        [task_at[t] * len(splits) + split_at[s] for t, s in zip(scores.task[kept], scores.split[kept], strict=True)],
        dtype=np.int64,
    )
    count = np.bincount(cell, minlength=shape[0] * shape[1])
    total = np.bincount(cell, weights=values[kept], minlength=shape[0] * shape[1])
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, total / count, np.nan).reshape(shape)


def split_ratio(scores: Scores, method: str, splits: list[str]) -> float:
    """Mean n_test / n_train over the splits, all tasks together; NaN for one split, where nobody needs it."""
    if len(splits) < 2:
        return np.nan
    whole = scores.where(method=method, task=ALL)
    if not len(whole) or not (whole.n_train > 0).all():
        raise InputError(
            "the scores do not say how many training labels there were (n_train of the rows over all tasks), "
            "and intervals over repeated splits need n_test / n_train; give ratio=."
        )
    return float((whole.n / whole.n_train).mean())
