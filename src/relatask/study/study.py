"""Study: what a comparison found, with the questions a person asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relatask.measure import (
    ALL,
    Check,
    DeltaM,
    Differences,
    Note,
    Scores,
    Support,
    best_single,
    bootstrap_differences,
    check_convergence,
    check_negative_transfer,
    check_repeats,
    check_support,
    check_task_matrix,
    delta_m,
    differences,
    verdict_words,
)
from relatask.measure.catalogue import METRICS, error_of
from relatask.measure.differences import scores_of
from relatask.notices import InputError
from relatask.study.baselines import BASELINES, is_single
from relatask.study.cells import Cell, Cost
from relatask.study.given import Kind
from relatask.study.predictions import predictions_of
from relatask.study.problem import task_names


@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """The result of `compare`.

    Parameters
    ----------
    scores : Scores
        Every metric of every method, split and seed, per task and over all tasks.
    cells : tuple of Cell
        One for each (split, method, seed): predictions, cost, notes.
    support : tuple of Support
        Labels of each task, and what the splits left of them.
    tasks : tuple of t labels
        Sorted labels of groups, or the columns in order; `Scores.task` holds them as text, see `names`.
    models, baselines : tuple of str
        The methods compared, and those that ran beside them.
    matrices : tuple of (method, kind, matrix)
        Task matrices that the models were given.
    settings : dict
        What was asked for, in plain values.
    """

    scores: Scores
    cells: tuple[Cell, ...]
    support: tuple[Support, ...]
    tasks: tuple[Any, ...]
    models: tuple[str, ...]
    baselines: tuple[str, ...]
    matrices: tuple[tuple[str, Kind, Any], ...]
    settings: dict[str, Any]

    def __repr__(self) -> str:
        told = f"Study({_few(self.models)}; beside: {_few(self.baselines)}; tasks: {len(self.tasks)}"
        told += f", splits: {len(self.scores.splits)}"
        sign = METRICS[self.overall].sign
        means = {row["method"]: row[self.overall]["mean"] for row in self.summary([self.overall])}
        defined = {name: value for name, value in means.items() if value == value}
        if defined:
            best = max(defined, key=lambda name: sign * defined[name])
            told += f"; best {self.overall}: {best} {defined[best]:.4g}"
        return f"{told})"

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods: models, then baselines."""
        return self.models + self.baselines

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks as text, as in `Scores.task`; labels of the same text, like 1 and "1", are told apart by `repr`."""
        return task_names(self.tasks)

    @property
    def costs(self) -> tuple[Cost, ...]:
        """What each cell cost."""
        return tuple(cell.cost for cell in self.cells)

    @property
    def notes(self) -> tuple[Note, ...]:
        """Every warning raised inside a cell."""
        return tuple(note for cell in self.cells for note in cell.notes)

    @property
    def singles(self) -> tuple[str, ...]:
        """What fits each task alone: baselines, and a model of the user's that took such a baseline's name."""
        ours = [name for name in self.models if name in BASELINES and is_single(name)]
        return (*ours, *(name for name in self.baselines if is_single(name)))

    @property
    def single(self) -> str:
        """The better one of `singles` overall.

        Raises
        ------
        InputError
            Where none ran.
        """
        if not self.singles:
            raise InputError(
                "no single-task baseline ran; leave `baselines` as it is, or name the baseline to compare."
            )
        return best_single(self.scores, self.singles, self.overall)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each task: ``"regression"``, ``"binary"``, ``"count"`` or ``"multiclass"``."""
        return tuple(self.settings["kinds"])

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """What the labels 0, 1, ... were, in a study with ``kind="binary"`` (predictions: chances of the second).

        Or with ``kind="multiclass"``, where predictions are chances of all of them.
        """
        return None if self.settings["classes"] is None else tuple(self.settings["classes"])

    @property
    def metric(self) -> str:
        """The metric of a task that differences and verdicts use, or the first one asked for.

        Root mean squared error of numbers, log loss of classes, Poisson deviance of counts; explained deviance where
        the tasks are of several kinds.
        """
        return str(self.settings["metric"])

    @property
    def overall(self) -> str:
        """The metric over all tasks that the verdict tells; see `relatask.measure.catalogue.judged_by`.

        Of numbers explained variance within tasks for groups; the mean r2 of the tasks for columns, whose units may
        differ; for one task, `metric`. Of classes and counts explained deviance within tasks; of several kinds its mean
        over the tasks.
        """
        return str(self.settings["overall"])

    def differences(
        self,
        method: str,
        baseline: str | None = None,
        metric: str | None = None,
        *,
        overall: str | None = None,
        level: float = 0.05,
    ) -> Differences:
        """Compare a method with a baseline: over the splits, or with one split by the bootstrap of its test rows.

        Parameters
        ----------
        method : str
            One of `methods`.
        baseline : str, optional
            Another; None takes `single`.
        metric, overall : str, optional
            Of a task, and over all tasks; None takes `metric` and `overall` of the study.
        level : float
            One minus the coverage; the largest q of a verdict.
        """
        baseline = baseline if baseline is not None else self.single
        metric = metric if metric is not None else self.metric
        overall = overall if overall is not None else self.overall
        if len(self.scores.splits) > 1:
            return differences(self.scores, method, baseline, metric, overall=overall, level=level)
        ours, theirs = self._first_cell(method), self._first_cell(baseline)
        return bootstrap_differences(
            ours.y,
            ours.prediction,
            theirs.prediction,
            ours.code,
            self.names,
            metric,
            kinds=self.kinds,
            rows=ours.row,
            method=method,
            baseline=baseline,
            overall=overall,
            level=level,
        )

    def _first_cell(self, method: str) -> Cell:
        """The cell of a method with its first seed, in a study of one split."""
        scores_of(self.scores, method)
        return next(cell for cell in self.cells if cell.method == method)

    def delta_m(self, method: str, baseline: str | None = None, metric: str | None = None) -> DeltaM:
        """Mean over tasks of the relative reduction of the error; positive is better; constant targets left out.

        The error is by default that of the kind: rmse, log loss, Poisson deviance; of several kinds the mean deviance.
        """
        baseline = baseline if baseline is not None else self.single
        metric = metric if metric is not None else error_of(self.kinds)
        return delta_m(self.scores, method, baseline, metric, support=self.support)

    def verdict(self, method: str | None = None) -> str:
        """Say in words what a method (the first model if None) gained, and what a simpler one gains already."""
        method = method if method is not None else self.models[0]
        others = {"slopes": "pooled_slopes", "pooled": "pooled"}
        ran = {part: name for part, name in others.items() if name in self.methods and name != method}
        found: dict[str, Differences] = {}
        if "slopes" in ran:
            found["slopes"] = self.differences(ran["slopes"])
            found["beyond"] = self.differences(method, ran["slopes"])
        if "pooled" in ran:
            found["pooled"] = self.differences(method, ran["pooled"])
        if "linear" in self.baselines:
            found["linear"] = self.differences(method, "linear")
        return verdict_words(self.differences(method), singles=self.singles, **found)

    def checks(self) -> list[Check]:
        """Every coded check: RT001 of each model, RT005, RT014, RT015, RT016."""
        found: list[Check] = []
        if self.singles:
            for method in self.models:
                found += check_negative_transfer(self.differences(method))
        found += check_support(self.support)
        found += check_repeats(self.scores)
        found += check_convergence(self.notes)
        for method, kind, matrix in self.matrices:
            found += check_task_matrix(matrix, kind, method=method)
        return found

    def summary(self, metrics: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Give each method's scores over all tasks: mean and standard deviation over the splits, and seconds of a fit.

        Parameters
        ----------
        metrics : sequence of str, optional
            Which; None takes all there are over all tasks.

        Returns
        -------
        list of dict
            With method, fit_seconds, and for each metric ``{"mean": ..., "sd": ...}`` (seeds averaged first).
        """
        whole = self.scores.where(task=ALL)
        rows = []
        for method in self.methods:
            row: dict[str, Any] = {"method": method}
            ours = whole.where(method=method)
            for metric in metrics if metrics is not None else whole.metrics:
                table = ours.where(metric=metric)
                split_means = np.array([table.where(split=split).value.mean() for split in table.splits])
                sd = float(split_means.std(ddof=1)) if len(split_means) > 1 else float("nan")
                row[metric] = {"mean": float(split_means.mean()) if len(split_means) else float("nan"), "sd": sd}
            row["fit_seconds"] = float(np.mean([cost.fit_seconds for cost in self.costs if cost.method == method]))
            rows.append(row)
        return rows

    def predictions(self, method: str) -> Any:
        """Give a method's predictions as a pyarrow.Table: split, seed, row, task, y, prediction.

        Where a task has several classes, `prediction` is the position of the likeliest, and columns "chance 0",
        "chance 1", ... hold the chance of each (null for other tasks).
        """
        scores_of(self.scores, method)
        return predictions_of([cell for cell in self.cells if cell.method == method], self.names, self.kinds)


def _few(names: Sequence[str], most: int = 4) -> str:
    """The first names, and how many there are."""
    if not names:
        return "none"
    return ", ".join(names[:most]) + (f", ... ({len(names)})" if len(names) > most else "")
