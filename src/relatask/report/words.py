"""How the report says things: numbers, metrics and verdicts in words."""

from __future__ import annotations

import math
from collections.abc import Iterable

from relatask.measure import METRICS as MEASURES

ABSENT = "–"
MINUS = "−"

# name: (title, definition)
METRICS: dict[str, tuple[str, str]] = {
    "explained_variance_within": (
        "Explained variance within tasks",
        "1 − Σₖ SSEₖ / Σₖ SSTₖ, where SSTₖ is about task k's own mean over its test labels: "
        "what the inputs explain beyond knowing which task a row belongs to.",
    ),
    "explained_variance_global": (
        "Explained variance, global",
        "1 − SSE / SST over all test labels, SST about the one mean of all of them: "
        "differences between tasks' averages count as explained.",
    ),
    "r2": ("R²", "1 − SSE / SST of a task about its own mean over its test labels."),
    "r2_mean_of_tasks": ("R², mean of tasks", "The mean of the tasks' R²: every task counts the same."),
    "rmse": ("RMSE", "Root of the mean squared error on test labels, in the target's unit; lower is better."),
    "mae": ("MAE", "Mean absolute error on test labels, in the target's unit; lower is better."),
    "rmse_mean_of_tasks": ("RMSE, mean of tasks", "The mean of the tasks' RMSE: every task counts the same."),
    "mae_mean_of_tasks": ("MAE, mean of tasks", "The mean of the tasks' MAE: every task counts the same."),
    "d2_within": (
        "Explained deviance within tasks",
        "1 − Σₖ Dₖ / Σₖ D₀ₖ, with Dₖ the deviance of task k's test labels (of classes: twice the log loss, summed) and "
        "D₀ₖ what it is when the task's own mean is predicted: R² for labels that are not plain numbers.",
    ),
    "d2": (
        "Explained deviance",
        "1 − D / D₀ of a task, D₀ the deviance when the mean of its own test labels is predicted; of numbers it is R².",
    ),
    "d2_mean_of_tasks": (
        "Explained deviance, mean of tasks",
        "The mean of the tasks' explained deviance: it is defined for numbers, classes and counts alike.",
    ),
    "log_loss": (
        "Log loss",
        "The mean of −log of the chance that was given to the class that came; lower is better. A half for either "
        "class costs 0.693.",
    ),
    "log_loss_mean_of_tasks": ("Log loss, mean of tasks", "The mean of the tasks' log loss."),
    "auc": (
        "Area under the ROC curve",
        "Of all pairs of a label 1 and a label 0 of a task, the share in which the 1 has the higher chance; 0.5 is "
        "guessing. It sees the order of the chances only.",
    ),
    "auc_within": ("AUC, pairs within tasks", "The same over the pairs of all tasks, both labels of one task."),
    "auc_mean_of_tasks": (
        "AUC, mean of tasks",
        "The mean of the areas of the tasks that have both classes.",
    ),
    "error_rate": (
        "Wrong classes",
        "The share of test labels whose likelier class was wrong; lower is better.",
    ),
    "error_rate_mean_of_tasks": ("Wrong classes, mean of tasks", "The mean of the tasks' shares of wrong classes."),
    "brier": ("Brier score", "The mean squared distance of the chance to the label 0 or 1; lower is better."),
    "brier_mean_of_tasks": ("Brier score, mean of tasks", "The mean of the tasks' Brier scores."),
    "poisson_deviance": (
        "Poisson deviance",
        "The mean of 2 (y log(y / m) − y + m) over test labels, m the predicted mean count; lower is better.",
    ),
    "poisson_deviance_mean_of_tasks": ("Poisson deviance, mean of tasks", "The mean of the tasks' mean deviances."),
    "deviance": ("Mean deviance", "Squared error, twice the log loss, or Poisson deviance, by the kind of the task."),
}
UNITS = ("rmse", "mae")
"""Metrics whose names begin so are in the target's unit."""

SYMBOLS = {"helped": "▲", "no difference shown": "○", "hurt": "▼"}
TONES = {"helped": "helped", "hurt": "hurt", "no difference shown": "same"}


def metric_title(name: str, *, unit: str = "") -> str:
    """A metric's name for people, with its unit in parentheses where it has one.

    Examples
    --------
    >>> metric_title("r2")
    'R² (%)'
    >>> metric_title("rmse", unit="points")
    'RMSE (points)'
    """
    title, _ = METRICS.get(name, (name.replace("_", " "), ""))
    unit = "%" if _share(name) else unit if name.startswith(UNITS) else ""
    return f"{title} ({unit})" if unit else title


def metric_scale(name: str) -> float:
    """What a metric's values are multiplied with before they are shown (100 for shares)."""
    return 100.0 if _share(name) else 1.0


def _share(name: str) -> bool:
    return name in MEASURES and MEASURES[name].share


def present(values: Iterable[float | None]) -> list[float]:
    """The values that are there: neither None nor NaN."""
    return [value for value in values if value is not None and math.isfinite(value)]


def places(values: Iterable[float | None]) -> int:
    """Decimals that give a column of numbers about three significant digits.

    Examples
    --------
    >>> places([12.34, 9.871]), places([0.0312, 0.0274]), places([1234.0])
    (1, 4, 0)
    """
    sizes = sorted(abs(value) for value in present(values) if value)
    if not sizes:
        return 0
    return min(8, max(0, 2 - math.floor(math.log10(sizes[3 * len(sizes) // 4]))))


def number(value: float | None, decimals: int | None = None, *, sign: bool = False) -> str:
    """A number for people: three significant digits unless `decimals` says otherwise, a true minus, a dash if absent.

    Examples
    --------
    >>> number(1234567), number(-0.01234), number(None), number(0.5, 2, sign=True)
    ('1,234,567', '−0.0123', '–', '+0.50')
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    decimals = places([value]) if decimals is None else decimals
    text = f"{abs(value):,.{decimals}f}"
    if not text.strip("0.,"):
        return text
    return f"{MINUS if value < 0 else '+' if sign else ''}{text}"


def spread(value: float | None, sd: float | None, decimals: int) -> str:
    """``value ± sd`` with equal decimals; the sd is left out where there is none."""
    shown = number(value, decimals)
    return shown if sd is None or shown == ABSENT else f"{shown} ± {number(sd, decimals)}"


def interval(low: float | None, high: float | None, decimals: int) -> str:
    """An interval in words that survive a minus sign: ``−0.12 to +0.30``.

    Examples
    --------
    >>> interval(-0.123, 0.3, 2)
    '−0.12 to +0.30'
    """
    if len(present((low, high))) < 2:
        return ABSENT
    return f"{number(low, decimals, sign=True)} to {number(high, decimals, sign=True)}"


def probability(value: float | None) -> str:
    """A p or q value: two decimals, three below 0.1, ``< 0.001`` at the end of the scale."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def seconds(value: float | None) -> str:
    """A duration that a person reads: ms below a second, s below two minutes, then min.

    Examples
    --------
    >>> seconds(0.0123), seconds(3.21), seconds(600)
    ('12.3 ms', '3.21 s', '10.0 min')
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    if value < 1:
        return f"{number(1000 * value)} ms"
    return f"{number(value)} s" if value < 120 else f"{number(value / 60)} min"


def count(n: int, one: str, many: str = "") -> str:
    """``1 task``, ``2 tasks``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def short(name: str, length: int = 28) -> str:
    """A name cut in the middle to `length` characters, on one line, without control characters.

    Examples
    --------
    >>> short("a very long name of a task", 12)
    'a very…task'
    """
    name = "".join(c if c.isprintable() else " " for c in name)
    name = " ".join(name.split()) or "(blank)"
    if len(name) <= length:
        return name
    tail = (length - 1) // 2
    return f"{name[: length - 1 - tail].rstrip()}…{name[-tail:].lstrip()}"
