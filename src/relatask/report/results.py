"""The measured parts of a run's record, task by task; rows that JSON can hold, taken from `relatask.measure`."""

from __future__ import annotations

from dataclasses import dataclass

ALL = "(all tasks)"
VERDICTS = ("helped", "no difference shown", "hurt")


@dataclass(frozen=True)
class TaskScore:
    """A method's score on one task (or `ALL`): the mean over splits and seeds, and the standard deviation over them."""

    method: str
    task: str
    metric: str
    value: float | None
    sd: float | None = None
    splits: int | None = None


@dataclass(frozen=True)
class TaskDifference:
    """What one method gained over another on one task (or `ALL`).

    Parameters
    ----------
    method, baseline, metric, task : str
    difference, low, high : float or None
        In the metric's unit, positive where `method` is better, with a 95% interval.
    p, q : float or None
        Two-sided p value, and the same after Benjamini and Hochberg's correction over the tasks.
    verdict : str
        One of `VERDICTS`, after the correction.
    n : int or None
        Test labels behind the number.
    """

    method: str
    baseline: str
    metric: str
    task: str
    difference: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    q: float | None = None
    verdict: str = "no difference shown"
    n: float | None = None


@dataclass(frozen=True)
class Check:
    """A coded finding, the task it concerns (None: the whole run), and what to do about it."""

    code: str
    message: str
    remedy: str = ""
    task: str | None = None
