"""compare: methods x splits x seeds, each beside its baselines, to one table of scores."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import relatask
from relatask.measure import Note, Scores, evaluate
from relatask.measure.catalogue import judged_by, overall_metric, task_metric
from relatask.measure.formulas import OVERALL
from relatask.study.answers import check_answers
from relatask.study.asked import check_counts, check_encoder, named_models, wanted_metrics, without_task_column
from relatask.study.baselines import DEFAULT, build_baselines
from relatask.study.cells import Cell, Cost, cell_path, load_cell, save_cell
from relatask.study.fitting import random_states
from relatask.study.given import given_matrices
from relatask.study.jobs import CellName, cell_keys, computed
from relatask.study.problem import Problem, problem
from relatask.study.splits import Splits, as_splits
from relatask.study.study import Study
from relatask.study.support import say_once, support_of, usable


@dataclass(frozen=True)
class Finished:
    """A cell that is done, as `progress` gets it.

    Parameters
    ----------
    method, split : str
        The cell.
    seed : int
        The cell.
    scores : Scores
        Its rows.
    cost : Cost
        Seconds, iterations, residual.
    notes : tuple of Note
        Warnings raised inside.
    reused : bool
        Whether it was read from a file of an earlier run.
    """

    method: str
    split: str
    seed: int
    scores: Scores
    cost: Cost
    notes: tuple[Note, ...]
    reused: bool


Progress = Callable[[int, int, Finished], None]


def compare(
    models: Mapping[str, Any],
    X: Any,
    y: Any,
    tasks: Any = None,
    *,
    splits: int | Splits | Sequence[tuple[npt.ArrayLike, npt.ArrayLike]] = 5,
    seeds: int = 1,
    metrics: Sequence[str] | None = None,
    baselines: Sequence[str] | Mapping[str, Any] = DEFAULT,
    folder: str | os.PathLike[str] | None = None,
    n_jobs: int = 1,
    progress: Progress | None = None,
    sample_weight: Any = None,
    encode: Any = None,
    run: str = "",
    kind: str | Mapping[Hashable, str] = "regression",
) -> Study:
    """Compare models on the same splits with each other and with the baselines.

    Parameters
    ----------
    models : {name: model}
        Unfitted models with fit and predict, copied for every cell. Where `tasks` is given it is passed to models whose
        fit and predict take it (also through a Pipeline or GridSearchCV); a plain scikit-learn regressor is fitted on
        all rows as they are, without knowing the tasks. With column tasks a model gets y (n, t), NaN where a label
        is missing.
    X : (n, d) array, frame or table
        Inputs.
    y : (n,) with `tasks`, or (n, t)
        Labels, NaN where missing. Rows without any label are neither trained nor tested on. With ``kind="binary"``
        two classes of any type, the same in all tasks; None and NaN are missing. With ``kind="multiclass"`` likewise
        several.
    tasks : (n,) labels, optional
        The task of each row; None means that the columns of y are the tasks, or that the models take them from the
        column of X that their `task_column` names. That column is taken off X for all methods.
    splits : int, Splits, or list of (training rows, test rows)
        An int means that many random 75/25 splits, drawn within each task.
    seeds : int
        Seeds 0, 1, ... for models that have a `random_state`; all others run once.
    metrics : sequence of str, optional
        Names in `relatask.measure.METRICS`; None computes all that the kind has.
    baselines : sequence of str, or {name: model}
        Names in `relatask.study.BASELINES`; ``()`` switches them off. They use the same splits, encoding, weighting
        and scaling as the first multi-task model, and choose their strengths on training rows as it does.
    folder : path, optional
        Where finished cells are kept, under ``cells/``: the same call goes on where it stopped. A cell is computed
        again when data, model, encoder, split, version or code changed, or its file is damaged. The code is that of the
        files that define the classes of the model, of the encoder and of their parameters, and of this package's
        relations, linear models and study; not of what else those files import.
    n_jobs : int
        Processes (-1: one a core); the threads inside each are then limited to one.
    progress : callable, optional
        ``progress(done, total, finished)``, called in this process as each cell finishes.
    sample_weight : (n,) array, optional
        Weights for the fits; metrics are not weighted.
    encode : object with fit and transform, optional
        Turns rows of X into numbers; a copy is fitted on each split's training rows, once for all methods.
    run : str
        A name for the column `run` of the scores.
    kind : str, or {task: kind}
        ``"regression"``, ``"binary"``, ``"count"`` or ``"multiclass"``, for all tasks or for each. Models of two
        classes are scored by the chances that they give of class 1, the second of the two in order (`predict_mean` or
        `predict_proba`), models of counts by their means (`predict_mean` or `predict`), and get labels 0 and 1, or
        counts. Tasks of several kinds are compared by the deviance explained, and need models with `predict_mean`, such
        as `MultiTaskLinear`; their two classes are given as 0 and 1, several as 0, 1, ... or text. Models of several
        classes are scored by the chances that they give of all of them (`predict_proba`; of several kinds
        `predict_mean`, for each task its own array). Baselines are of the same kind; pooled ones exist where all tasks
        are of one, but not of several classes.

    Returns
    -------
    Study
        Scores, costs, predictions, notes; `Study.verdict()` says what they mean.

    Raises
    ------
    InputError
        For data, splits, metrics or baselines that cannot be used (see `relatask.study.problem`), or raised by a model.
    CellError
        Where a model fails otherwise; the message names method, split and seed.

    Warns
    -----
    RelataskWarning
        Once for each code that was raised inside the cells, with how often; `Study.notes` has them all.

    Notes
    -----
    A task without a label in the training rows of a split is left out of that split, in all methods, and counted
    (RT005). Relations among a model's parameters are bound to all tasks first, and then restricted to those that are
    there (`Relation.among`): what they say of the others stays as it was.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> rng = np.random.default_rng(1)
    >>> X, tasks = rng.normal(size=(80, 3)), np.repeat(["a", "b"], 40)
    >>> y = X @ [1.0, 2.0, 3.0] + rng.normal(size=80)
    >>> study = compare({"ridge": Ridge()}, X, y, tasks, splits=5, baselines={"single_lazy": Ridge(alpha=999.0)})
    >>> study.differences("ridge").overall.verdict
    'helped'
    """
    models, way = named_models(models), as_splits(splits)
    check_counts(seeds, n_jobs)
    check_encoder(encode)
    own = named_models(baselines) if isinstance(baselines, Mapping) and baselines else {}
    X, tasks = without_task_column(own | models, X, tasks)
    data = problem(X, y, tasks, sample_weight, kind)
    names = wanted_metrics(metrics, data.kinds)
    kinds = dict(zip(data.labels, data.kinds, strict=True))
    beside = build_baselines(baselines, models, data.codes is not None, kinds)
    methods = models | beside
    check_answers(methods, data.kinds)
    metric, overall = _judged(names, data)
    names += [overall] if overall not in names else []  # of r2 or auc alone: the verdict needs a number over all tasks
    drawn = usable(way.draw(data.labelled, data.split_codes(data.labelled), data.n_rows), data)
    random = {name for name, model in methods.items() if random_states(model)}
    wanted = [
        (split.name, name, seed)
        for split in drawn
        for name in methods
        for seed in range(seeds if name in random else 1)
    ]
    keys = cell_keys(data, encode, methods, drawn, wanted)

    cells: dict[CellName, Cell] = {}
    tables: dict[CellName, Scores] = {}
    train_counts = {split.name: data.counts(split.train) for split in drawn}

    def finish(cell: Cell, reused: bool) -> None:
        name = (cell.split, cell.method, cell.seed)
        cells[name], tables[name] = cell, _score(cell, data, names, train_counts[cell.split], run)
        if progress is not None:
            progress(len(cells), len(wanted), Finished(*_named(cell), tables[name], cell.cost, cell.notes, reused))

    store = _open(folder)
    if store is not None:
        for split_name, method, seed in wanted:
            path = cell_path(store, method, split_name, seed)
            known = load_cell(path, method, split_name, seed, keys[split_name, method, seed])
            if known is not None:
                finish(known, True)
    missing = [name for name in wanted if name not in cells]
    for cell in computed(data, encode, methods, drawn, missing, n_jobs):
        if store is not None:
            save_cell(cell_path(store, *_named(cell)), cell, keys[cell.split, cell.method, cell.seed])
        finish(cell, False)

    ordered = tuple(cells[name] for name in wanted)
    support = support_of(data, drawn, train_counts)
    say_once(ordered, support)
    return Study(
        scores=Scores.concat([tables[name] for name in wanted]),
        cells=ordered,
        support=support,
        tasks=data.labels,
        models=tuple(models),
        baselines=tuple(beside),
        matrices=given_matrices(models),
        settings={
            "run": run,
            "models": {name: repr(model) for name, model in methods.items()},
            "splits": way.describe(),
            "seeds": seeds,
            "metrics": names,
            "metric": metric,
            "overall": overall,
            "kinds": list(data.kinds),
            "classes": None if data.classes is None else list(data.classes),
            "grouped": data.codes is not None,
            "rows": data.n_rows,
            "tasks": data.n_tasks,
            "version": relatask.__version__,
        },
    )


def _judged(names: list[str], data: Problem) -> tuple[str, str]:
    """The metrics of a task, and over all tasks, that a verdict is about, among those that are computed."""
    metric, best = judged_by(data.kinds, data.codes is not None, data.n_tasks)
    if metric not in names:
        metric = task_metric(names[0])
        best = overall_metric(metric) if data.n_tasks == 1 else best
    return metric, best if best in names else next((name for name in names if name in OVERALL), overall_metric(metric))


def _named(cell: Cell) -> tuple[str, str, int]:
    return cell.method, cell.split, cell.seed


def _open(folder: str | os.PathLike[str] | None) -> Path | None:
    if folder is None:
        return None
    store = Path(folder) / "cells"
    store.mkdir(parents=True, exist_ok=True)
    return store


def _score(cell: Cell, data: Problem, metrics: list[str], n_train: npt.NDArray[np.int64], run: str) -> Scores:
    rows = evaluate(cell.y, cell.prediction, cell.code, data.names, metrics, n_train, kinds=data.kinds)
    facts = {"run": run, "method": cell.method, "seed": cell.seed, "split": cell.split}
    return Scores.of(facts | row for row in rows)
