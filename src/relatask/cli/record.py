"""From a study to the record that the report shows."""

from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np

import relatask
from relatask.cli.build import describe_splits
from relatask.cli.classes import pair_in_words
from relatask.cli.loading import Loaded
from relatask.cli.problem import Problem
from relatask.report import (
    Coefficients,
    Cost,
    DataFacts,
    Method,
    RunRecord,
    Strength,
    TaskCertainty,
    TaskRelation,
    TaskSupport,
    Teaching,
    Training,
    overall_rows,
)
from relatask.report.parts import grid

NEARLY_PARALLEL = 0.9
FEWEST_DEVIATIONS = 8
LARGEST_MATRIX = 400


def make_record(
    loaded: Loaded,
    problem: Problem,
    study: Any,
    main: str,
    *,
    words: dict[str, str],
    features: tuple[str, ...],
    digest: str,
    environment: dict[str, str],
    checks: tuple[Any, ...],
    model: Any = None,
    scale: Any = None,
    taught: tuple[Teaching | None, Teaching | None] = (None, None),
    certainty: tuple[TaskCertainty, ...] = (),
    support: tuple[TaskSupport, ...] | None = None,
    splits: str | None = None,
    relation: TaskRelation | None = None,
    training: Training | None = None,
) -> RunRecord:
    """Return the record of a run.

    Parameters
    ----------
    loaded, problem, study
        The configuration, the data, what `relatask.study.compare` gave.
    main : str
        The method that the report is about.
    words : dict of str to str
        A line on each method.
    features : tuple of str
        The inputs after encoding.
    digest : str
        SHA-256 of the table's file.
    environment : dict of str to str
        Versions and machine.
    checks : tuple of Check
        What a person should know.
    model : MultiTaskRegressor, optional
        The main method fitted on all rows, on encoded inputs.
    scale : (d,) array, optional
        Of these inputs.
    taught : pair of Teaching or None
        Who taught whom: shares of fitted values, and what removing a task does.
    certainty : tuple of TaskCertainty
        How sure the main method is of each task.
    support : tuple of TaskSupport, optional
        Labels per task, where the problem holds none.
    splits : str, optional
        How rows are divided, where that is not as the configuration says.
    relation : TaskRelation, optional
        What ties the tasks, where no linear model says it.
    training : Training, optional
        How the training of a network went.
    """
    config = loaded.config
    others = [name for name in study.methods if name != main]
    return RunRecord(
        title=f"{loaded.file.stem}: {main}",
        made=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        version=relatask.__version__,
        data=DataFacts(
            name=loaded.data.name,
            rows=problem.rows,
            features=len(features),
            target=", ".join(config.targets[:6]) + (", ..." if len(config.targets) > 6 else ""),
            tasks_are=f"values of the column {config.data.by!r}" if config.data.by else "columns",
            path=config.data.path,
            sha256=digest,
            labels=labels_in_words(problem),
        ),
        kind=config.kinds[0] if len(config.kinds) == 1 else "mixed",
        methods=tuple(
            Method(name, words.get(name, ""), "main" if name == main else _role(name, study))
            for name in [main, *others]
        ),
        support=_support(problem, study, main) if support is None else support,
        differences=tuple(study.differences(main, name) for name in others),
        overall=overall_rows(study.scores, [main, *others]),
        verdict=tuple(study.verdict(main).split("\n\n")),
        baseline=study.single,
        coefficients=None if model is None else _coefficients(main, problem, features, model, scale),
        relation=relation if model is None else _relation(problem, model, scale),
        strengths=tuple(
            Strength(cost.method, cost.split, part, _finite(value))
            for cost in study.costs
            for part, value in cost.strengths.items()
        ),
        costs=tuple(_cost(name, study) for name in [main, *others]),
        checks=checks,
        splits=describe_splits(config, problem) if splits is None else splits,
        configuration=loaded.text(),
        environment=environment,
        transfer=taught[0],
        removal=taught[1],
        certainty=certainty,
        training=training,
    )


def labels_in_words(problem: Problem) -> str:
    """Say what labels are that are no plain numbers; empty where all are."""
    said = {"count": "counts", "regression": "numbers"}
    of = {name: pair_in_words(pair) for name, pair in problem.classes.items()}
    if set(problem.kinds) == {"regression"}:
        return ""
    if problem.tasks is not None or len(set(map(str, problem.classes.values()))) == 1 == len(set(problem.kinds)):
        size = len(next(iter(problem.classes.values()), ()))
        return f"{'two' if size == 2 else size} classes, {next(iter(of.values()))}" if of else "counts"
    told = []
    for name, target, kind in zip(problem.names, problem.targets, problem.kinds, strict=True):
        told.append(f"{name}: {of.get(target) or said[kind]}")
    return "; ".join(told[:12]) + ("; ..." if len(told) > 12 else "")


def standardised(model: Any, scale: Any) -> np.ndarray:
    """Return the coefficients (t, d) per standard deviation of each input."""
    return np.asarray(model.coef_ * scale, dtype=float)


def _role(name: str, study: Any) -> Any:
    return "baseline" if name in study.baselines else "candidate"


def _support(problem: Problem, study: Any, main: str) -> tuple[TaskSupport, ...]:
    """Labels per task; in training and test the mean over splits."""
    rows = study.scores.where(method=main, metric=study.metric, seed=0)
    rows_of: dict[str, list[int]] = {}
    for position, task in enumerate(rows.task):
        rows_of.setdefault(task, []).append(position)
    codes = None if problem.tasks is None else np.unique(problem.tasks, return_inverse=True)[1]
    support = []
    for k, name in enumerate(problem.names):
        y = problem.y[:, k] if codes is None else problem.y[codes == k]
        seen = y[~np.isnan(y)]
        at = rows_of.get(str(name), [])
        support.append(
            TaskSupport(
                task=str(name),
                train=float(rows.n_train[at].mean()) if at else 0.0,
                test=float(rows.n[at].mean()) if at else 0.0,
                missing=float(1 - len(seen) / len(y)),
                mean=None if problem.kinds[k] == "multiclass" else float(seen.mean()),
                sd=float(seen.std(ddof=1)) if len(seen) > 1 and problem.kinds[k] != "multiclass" else None,
            )
        )
    return tuple(support)


def _coefficients(main: str, problem: Problem, features: tuple[str, ...], model: Any, scale: Any) -> Coefficients:
    return Coefficients(main, problem.names, features, grid(standardised(model, scale)))


def _relation(problem: Problem, model: Any, scale: Any) -> TaskRelation | None:
    """Return how alike the tasks' coefficients are: the cosine between rows, per standard deviation of each input.

    Where all rows point nearly the same way that would be one flat square, and the map shows instead how alike the
    tasks differ from their mean. (Of t rows less their mean the cosines are -1/(t-1) on average: it takes a few.)
    """
    t = len(problem.names)
    if not 1 < t <= LARGEST_MATRIX:
        return None
    rows = standardised(model, scale) / getattr(model, "target_scale_", np.ones(t))[:, None]
    cosine = _cosine(rows)
    between = cosine[np.triu_indices(t, 1)]
    if t < FEWEST_DEVIATIONS or not np.nanmin(between, initial=1.0) > NEARLY_PARALLEL:
        return TaskRelation(
            problem.names,
            grid(cosine),
            title="Cosine between the tasks' coefficients",
            meaning="1: the two tasks use the inputs in the same proportions. 0: they have nothing in common. "
            "-1: they use them in opposite ways. From the model fitted on all rows, inputs in standard deviations.",
        )
    return TaskRelation(
        problem.names,
        grid(_cosine(rows - rows.mean(0))),
        title="Cosine between what each task adds to the tasks' mean",
        meaning="All tasks use the inputs in nearly the same proportions: the cosine of any two tasks' coefficients is "
        f"at least {np.nanmin(between):.2f}. So the map shows what is left when the tasks' mean is taken out. 1: the "
        "two tasks differ from the mean in the same way. -1: in opposite ways. From the model fitted on all rows, "
        "inputs in standard deviations.",
    )


def _cosine(rows: np.ndarray) -> np.ndarray:
    """(t, t) cosines between rows; NaN for rows that are zero."""
    size = np.linalg.norm(rows, axis=1)
    size = np.where(size > 1e-9 * size.max(initial=0.0), size, np.nan)
    return np.clip((rows @ rows.T) / np.outer(size, size), -1, 1)


def _cost(name: str, study: Any) -> Cost:
    costs = [cost for cost in study.costs if cost.method == name]
    steps = [cost.n_iter for cost in costs if cost.n_iter is not None]
    residuals = [cost.residual for cost in costs if cost.residual is not None]
    memory = [cost.memory_mb for cost in costs if cost.memory_mb is not None]
    return Cost(
        name,
        seconds=float(np.mean([cost.fit_seconds for cost in costs])),
        fits=len(costs),
        iterations=float(np.mean(steps)) if steps else None,
        residual=float(max(residuals)) if residuals else None,
        memory_mb=float(max(memory)) if memory else None,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
