"""Every metric by name: which way it points, which kinds of labels it is for, what it is in words."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from relatask.notices import InputError
from relatask.tasks import Metric

REGRESSION, BINARY, COUNT, MULTICLASS = "regression", "binary", "count", "multiclass"
KINDS = (REGRESSION, BINARY, COUNT, MULTICLASS)
"""Kinds of labels that have metrics, and what is predicted of them.

Numbers; classes 0 and 1 (the chance of 1); counts (their means); classes 0, 1, ... (the chance of each).
"""

_ALL = frozenset(KINDS)
_NUMBERS = frozenset({REGRESSION})
_QUANTITIES = frozenset({REGRESSION, COUNT})
_TWO = frozenset({BINARY})
_CLASSES = frozenset({BINARY, MULTICLASS})
_COUNTS = frozenset({COUNT})

# name: direction, error, share, kinds, words
_TABLE: dict[str, tuple[Metric, frozenset[str], str]] = {
    name: (Metric(name, better="higher" if "+" in facts else "lower", error="e" in facts, share="%" in facts), kinds, w)
    for name, facts, kinds, w in (
        ("rmse", "e", _QUANTITIES, "root mean squared error"),
        ("mae", "e", _QUANTITIES, "mean absolute error"),
        ("r2", "+%", _NUMBERS, "r2 (about the task's own test mean)"),
        ("explained_variance_within", "+%", _NUMBERS, "explained variance within tasks"),
        ("explained_variance_global", "+%", _NUMBERS, "explained variance about the mean of all rows"),
        ("rmse_mean_of_tasks", "e", _QUANTITIES, "root mean squared error, mean of the tasks"),
        ("mae_mean_of_tasks", "e", _QUANTITIES, "mean absolute error, mean of the tasks"),
        ("r2_mean_of_tasks", "+%", _NUMBERS, "r2, mean of the tasks"),
        ("log_loss", "e", _CLASSES, "log loss"),
        ("error_rate", "e%", _CLASSES, "share of labels predicted wrong"),
        ("brier", "e", _CLASSES, "Brier score"),
        ("auc", "+", _TWO, "area under the ROC curve"),
        ("auc_within", "+", _TWO, "area under the ROC curve, pairs within tasks"),
        ("log_loss_mean_of_tasks", "e", _CLASSES, "log loss, mean of the tasks"),
        ("error_rate_mean_of_tasks", "e%", _CLASSES, "share of labels predicted wrong, mean of the tasks"),
        ("brier_mean_of_tasks", "e", _CLASSES, "Brier score, mean of the tasks"),
        ("auc_mean_of_tasks", "+", _TWO, "area under the ROC curve, mean of the tasks"),
        ("poisson_deviance", "e", _COUNTS, "mean Poisson deviance"),
        ("poisson_deviance_mean_of_tasks", "e", _COUNTS, "mean Poisson deviance, mean of the tasks"),
        ("d2", "+%", _ALL, "explained deviance"),
        ("d2_within", "+%", _ALL, "explained deviance within tasks"),
        ("d2_mean_of_tasks", "+%", _ALL, "explained deviance, mean of the tasks"),
        ("deviance", "e", _ALL, "mean deviance"),
    )
}

METRICS: dict[str, Metric] = {name: metric for name, (metric, _, _) in _TABLE.items()}
"""Every metric by name, with its direction."""

FURTHER_WORDS: dict[str, str] = {
    "accuracy": "share of labels predicted right",
    "balanced_accuracy": "mean over the classes of the share predicted right",
    "macro_f1": "mean F1 of the classes",
    "ece": "expected calibration error",
    "average_precision": "average precision",
    "macro_average_precision": "average precision, mean of the classes",
    "macro_auc": "area under the ROC curve, mean of the classes",
    "micro_f1": "F1 of all entries together",
    "quadratic_kappa": "Cohen's kappa with squared distances",
    "entity_f1": "F1 of the entities",
    "map": "COCO average precision, overlaps of .5 to .95",
    "map50": "COCO average precision at an overlap of .5",
    "miou": "intersection by union of pixels, mean of the classes",
    "spearman": "Spearman's rank correlation",
    "pearson": "Pearson's correlation",
}
"""Metrics that only single tasks of some kind have, in words; `relatask.measure.structured` computes them."""

FURTHER: dict[str, Metric] = {
    name: Metric(name, better="lower", error=True) if name == "ece" else Metric(name, better="higher")
    for name in FURTHER_WORDS
}
"""The same with their directions."""

WORDS: dict[str, str] = {name: words for name, (_, _, words) in _TABLE.items()} | FURTHER_WORDS
"""Every metric in words, for pages and sentences."""

KINDS_OF: dict[str, frozenset[str]] = {name: kinds for name, (_, kinds, _) in _TABLE.items()}
"""The kinds of labels that a metric is for."""

RANKED = frozenset({"auc", "auc_within", "auc_mean_of_tasks"})
"""Metrics that compare pairs of labels."""

_SPARE = frozenset({"deviance"})
_SAME_AS_R2 = frozenset({"d2", "d2_within", "d2_mean_of_tasks"})
_PAIRS = {
    "r2": "explained_variance_within",
    "auc": "auc_within",
    "d2": "d2_within",
    "deviance": "d2_within",
}
_JUDGED = {REGRESSION: "rmse", BINARY: "log_loss", COUNT: "poisson_deviance", MULTICLASS: "log_loss"}


def metrics_of(kinds: Collection[str]) -> list[str]:
    """Name the metrics that are computed for tasks of these kinds where none are asked for.

    Tasks of several kinds have those of each, and over all tasks the mean explained deviance alone: squared errors, log
    losses and deviances of counts have no common unit.

    Examples
    --------
    >>> metrics_of(["count"])[:3]
    ['rmse', 'mae', 'rmse_mean_of_tasks']
    """
    there = set(kinds)
    if len(there) > 1:
        each = [name for name in METRICS if KINDS_OF[name] & there and not is_overall_only(name)]
        return [*each, "d2_mean_of_tasks"]
    left_out = _SPARE | _SAME_AS_R2 if there == {REGRESSION} else _SPARE
    return [name for name in METRICS if KINDS_OF[name] >= there and name not in left_out]


def judged_by(kinds: Collection[str], grouped: bool, n_tasks: int) -> tuple[str, str]:
    """Name the metric of a task, and the one over all tasks, that a verdict is about where nothing else is asked.

    Numbers: root mean squared error, and explained variance (within tasks for groups; the mean r2 of columns, whose
    units may differ). Classes: log loss, and the explained deviance, which is the log loss as a share. Log loss is a
    proper score, least for the true chances, defined where a task's test labels are of one class, and finer than a
    count of errors; the area under the curve sees only the order, and is shown beside it. Counts: likewise with the
    Poisson deviance. Several kinds: explained deviance, and its mean over the tasks.
    """
    there = set(kinds)
    if len(there) > 1:
        return "d2", "d2_mean_of_tasks"
    (kind,) = there
    metric = _JUDGED[kind]
    if n_tasks == 1:  # one question, so one metric: two could give two answers
        return metric, overall_metric(metric)
    if kind == REGRESSION:
        return metric, "explained_variance_within" if grouped else "r2_mean_of_tasks"
    return metric, "d2_within"


def error_of(kinds: Collection[str]) -> str:
    """Name the error of a task that delta-m takes: of several kinds the mean deviance, which each of them has."""
    there = set(kinds)
    return "deviance" if len(there) > 1 else _JUDGED[next(iter(there))]


def is_overall_only(name: str) -> bool:
    """Whether a metric is over all tasks only."""
    return name.endswith(("_mean_of_tasks", "_within", "_global"))


def overall_metric(metric: str) -> str:
    """Name of the number over all tasks that stands beside a metric of one task: r2's is taken within tasks."""
    return _PAIRS.get(known_metric(metric), metric)


def task_metric(metric: str) -> str:
    """Name of the number per task that stands beside a metric over all tasks."""
    if not is_overall_only(known_metric(metric)):
        return metric
    if metric.endswith("_mean_of_tasks"):
        return metric.removesuffix("_mean_of_tasks")
    return {"auc_within": "auc", "d2_within": "d2"}.get(metric, "r2")


def known_metric(name: str) -> str:
    """Give the name back if it is a metric's.

    Raises
    ------
    InputError
        For an unknown name, with the known ones.
    """
    if name not in METRICS and name not in FURTHER:
        raise InputError(f"unknown metric {name!r}; expected one of {', '.join((*METRICS, *FURTHER))}.")
    return name


def metric_named(name: str) -> Metric:
    """Give a metric by its name, with its direction; `known_metric` refuses others."""
    return FURTHER[known_metric(name)] if name in FURTHER else METRICS[known_metric(name)]


def suits(name: str, kinds: Collection[str]) -> bool:
    """Whether a metric means something for tasks of these kinds: for one of them, or over all tasks for all."""
    there = set(kinds)
    if len(there) > 1 and is_overall_only(name):
        return name == "d2_mean_of_tasks"
    return bool(KINDS_OF.get(name, frozenset()) & there)


def check_metrics(names: Sequence[str], kinds: Collection[str]) -> None:
    """Raise InputError for a metric that no task of these kinds has."""
    for name in names:
        if not suits(known_metric(name), kinds):
            said = " and ".join(kind for kind in KINDS if kind in kinds)
            raise InputError(
                f"the metric {name!r} is not one of tasks of kind {said}; expected some of "
                f"{', '.join(metrics_of(kinds))}."
            )
