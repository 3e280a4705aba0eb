"""Metrics of every kind of task, on whatever rows: classes, subsets, tags, boxes, pixels, pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from relatask.measure.catalogue import metric_named
from relatask.measure.paired import Paired, paired_bootstrap_seeds
from relatask.measure.structured import parts
from relatask.measure.structured.measured import Ints, Measured, numbers
from relatask.measure.structured.table import METRICS_OF
from relatask.notices import InputError
from relatask.tasks import KINDS

__all__ = ["METRICS_OF", "compare_task", "evaluate_task", "score_of"]


def evaluate_task(
    kind: str,
    y_true: Any,
    answers: Any,
    metrics: Sequence[str] | None = None,
    *,
    class_names: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Score the answers of one task; a label that is missing enters nothing.

    Parameters
    ----------
    kind : str
        One of `relatask.tasks.KINDS`.
    y_true : array, tensor or list of n
        Labels: (n,) of numbers or classes, (n, C) of 0 and 1, (n, T) or lists of tags, ``{"boxes", "labels"}`` of each
        picture, (n, H, W) or a list of maps of classes. Missing: NaN (floats), -100 (integers), None (lists).
    answers : as the kind gives them
        Numbers, chances, lists of tags, boxes with scores, maps of classes (`relatask.kinds`).
    metrics : sequence of str, optional
        Names in ``METRICS_OF[kind]``; all by default.
    class_names : sequence of str, optional
        Names of tags, where they are numbers; without them there is no `entity_f1` by default.

    Returns
    -------
    list of dict
        Rows {metric, value, better, n}, n the labels (rows, tokens, entries, pixels, pictures): with method, task and
        split they are ready for `Scores.of`. A value that is not defined is NaN.

    Raises
    ------
    InputError
        For an unknown kind or metric, and for labels and answers that do not match.

    Examples
    --------
    >>> rows = evaluate_task("multiclass", [0, 1, -100], [[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]], ["accuracy"])
    >>> rows
    [{'metric': 'accuracy', 'value': 0.5, 'better': 'higher', 'n': 2}]
    """
    names = _names_of(kind, metrics, y_true, class_names)
    _check(kind, y_true, answers)
    everything, labels = np.arange(len(y_true)), int(_labels(kind, y_true).sum())
    rows = []
    for name in names:
        measured = METRICS_OF[kind][name]
        prepared = measured.prepare(y_true, answers, _tuple(class_names))
        rows.append(
            {
                "metric": name,
                "value": measured.value(prepared, everything),
                "better": metric_named(name).better,
                "n": labels,
            }
        )
    return rows


def score_of(kind: str, metric: str, y_true: Any, *, class_names: Sequence[str] | None = None) -> Score:
    """Give a metric for `paired_bootstrap`: ``score(rows, score.prepare(answers))``.

    Examples
    --------
    >>> score = score_of("regression", "mae", [1.0, 2.0, 3.0])
    >>> score(np.array([0, 0, 2]), score.prepare([1.0, 2.0, 6.0]))
    1.0
    """
    _known(kind, metric)
    return Score(kind, METRICS_OF[kind][metric], y_true, _tuple(class_names))


class Score:
    """A metric of a test set; see `score_of`."""

    def __init__(self, kind: str, measured: Measured, y_true: Any, names: tuple[str, ...] | None) -> None:
        self.kind, self.measured, self.y_true, self.names = kind, measured, y_true, names

    def prepare(self, answers: Any) -> Any:
        """Compute once what any choice of rows needs."""
        _check(self.kind, self.y_true, answers)
        return self.measured.prepare(self.y_true, answers, self.names)

    def __call__(self, rows: Ints, prepared: Any) -> float:
        """The metric on some rows, which may repeat."""
        return self.measured.value(prepared, rows)


def compare_task(
    kind: str,
    y_true: Any,
    answers: Sequence[Any],
    baseline: Sequence[Any],
    metric: str | None = None,
    *,
    class_names: Sequence[str] | None = None,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.05,
) -> Paired:
    """Say whether a model does better than its baseline on one test set: `paired_bootstrap_seeds` by a kind's metric.

    What is drawn are the rows (sentences, pictures) that have a label.

    Parameters
    ----------
    kind, y_true, class_names :
        As in `evaluate_task`.
    answers, baseline : sequence of answers
        One for each seed: ``[answers]`` of a single one.
    metric : str, optional
        The kind's first by default.
    draws, seed, level :
        As in `paired_bootstrap`.

    Raises
    ------
    InputError
        As `evaluate_task` and `paired_bootstrap_seeds`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=200)
    >>> joint, single = ([y + size * rng.normal(size=200) for _ in range(3)] for size in (0.5, 1.0))
    >>> compare_task("regression", y, joint, single, "rmse").verdict
    'helped'
    """
    name = next(iter(METRICS_OF[_kind(kind)])) if metric is None else metric
    score = score_of(kind, name, y_true, class_names=class_names)
    prepared = [[score.prepare(one) for one in side] for side in (answers, baseline)]
    rows = np.flatnonzero(_labels(kind, y_true))
    return paired_bootstrap_seeds(
        lambda drawn, one: score(rows[drawn], one),
        len(rows),
        *prepared,
        draws=draws,
        seed=seed,
        name=name,
        better=metric_named(name).better,
        level=level,
    )


def _kind(kind: str) -> str:
    if kind not in METRICS_OF:
        raise InputError(f"kind {kind!r} is unknown; expected one of {', '.join(KINDS)}.")
    return kind


def _known(kind: str, metric: str) -> None:
    if metric not in METRICS_OF[_kind(kind)]:
        raise InputError(
            f"the metric {metric!r} is not one of kind {kind}; expected some of {', '.join(METRICS_OF[kind])}."
        )


def _names_of(kind: str, metrics: Sequence[str] | None, y: Any, class_names: Sequence[str] | None) -> list[str]:
    if metrics is not None:
        for name in metrics:
            _known(kind, name)
        return list(metrics)
    named = kind == "tagging" and (class_names is not None or _named(y))
    return [name for name in METRICS_OF[_kind(kind)] if name != "entity_f1" or named]


def _named(y: Any) -> bool:
    return any(isinstance(tag, str) for row in y if row is not None for tag in row)


def _tuple(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _check(kind: str, y: Any, answers: Any) -> None:
    """Refuse answers of another shape than the kind gives."""
    if len(y) != len(answers):
        raise InputError(f"there are {len(y)} labels and {len(answers)} answers; give as many.")
    if kind in ("tagging", "detection", "segmentation"):
        return
    shape, expected = np.shape(answers), 2 if kind in ("multiclass", "ordinal", "multilabel") else 1
    if len(shape) != expected:
        told = "(n,)" if expected == 1 else "(n, classes): the chances of each"
        raise InputError(f"answers of kind {kind} have shape {shape}; expected {told}.")
    truth = numbers(y)
    if kind in ("multiclass", "ordinal") and truth.size and np.nanmax(truth, initial=0) >= shape[1]:
        raise InputError(
            f"a label is {np.nanmax(truth):g}, and answers are of {shape[1]} classes; expected 0 to {shape[1] - 1}."
        )
    if kind == "multilabel" and truth.shape != shape:
        raise InputError(f"labels have shape {truth.shape} and answers {shape}; expected the same.")


def _labels(kind: str, y: Any) -> Ints:
    """How many labels each row has."""
    if kind == "detection":
        return np.array([picture is not None for picture in y], dtype=np.int64)
    if kind == "tagging":
        return np.array([len(truth) for truth, _ in parts.sentences(y, y)], dtype=np.int64)
    if kind == "segmentation":
        return np.array([len(truth) for truth, _ in parts.pixels(y, y)], dtype=np.int64)
    return (~np.isnan(numbers(y))).reshape(len(y), -1).sum(1)
