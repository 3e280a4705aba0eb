"""How sure a fitted model is of each task, for the report, and what of that a split's test rows bear out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from relatask.cli.build import build_model, build_splits, make_encoder
from relatask.cli.loading import Loaded
from relatask.cli.problem import Columns, Problem, labelled
from relatask.cli.record import LARGEST_MATRIX
from relatask.notices import InputError
from relatask.report import TaskCertainty

LEVEL = 0.9
"""Of the labels, that intervals are to hold."""


def certainty(model: Any, loaded: Loaded, problem: Problem, X: Any) -> tuple[TaskCertainty, ...]:
    """Degrees of freedom, noise and intervals of each task; empty where the model does not say them.

    Parameters
    ----------
    model : estimator
        The main method fitted on all rows.
    loaded, problem
        The configuration and the rows; test rows are those of the first split, for which a copy of the model is fitted
        on its training rows.
    X : (n, d) array
        The rows' inputs as the model saw them.
    """
    t = len(problem.names)
    if t > LARGEST_MATRIX or not hasattr(model, "predict_interval"):
        return ()
    try:
        freedom, noise = model.degrees_of_freedom_, np.sqrt(model.noise_)
        low, high = model.predict_interval(X, problem.tasks, level=LEVEL)
    except (InputError, AttributeError):
        return ()  # no closed form, or nothing is left to tell the noise by: the page says so
    half = _by_task((high - low) / 2, problem, np.arange(problem.rows))
    seen = _by_task(problem.y, problem, np.arange(problem.rows))
    held = _held(loaded, problem)
    found = []
    for k, name in enumerate(problem.names):
        own = seen[k][~np.isnan(seen[k])]
        narrow, middle, wide = np.quantile(half[k], [0.05, 0.5, 0.95])
        found.append(
            TaskCertainty(
                task=str(name),
                labels=len(own),
                freedom=float(freedom[k]),
                noise=float(noise[k]),
                half=float(middle),
                narrow=float(narrow),
                wide=float(wide),
                sd=float(own.std(ddof=1)) if len(own) > 1 else None,
                held=None if held is None else held[0][k],
                tested=None if held is None else held[1][k],
            )
        )
    return tuple(found)


def _held(loaded: Loaded, problem: Problem) -> tuple[list[int], list[int]] | None:
    """Of each task's test labels in the first split: how many the intervals hold, and how many there are."""
    split = build_splits(loaded.config, problem).draw(*labelled(problem))[0]
    fresh = build_model(loaded.config, loaded.file.parent, problem.names)
    encoder = make_encoder(loaded.config)
    train, test = np.asarray(split.train), np.asarray(split.test)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the study said them of this split
            X = encoder.fit_transform(problem.inputs.take(train))
            Z = encoder.transform(problem.inputs.take(test))
            y = problem.y[train]
            labels = y if problem.tasks is not None else Columns(y, problem.names)
            fitted = fresh.fit(X, labels, tasks=None if problem.tasks is None else problem.tasks[train])
            low, high = fitted.predict_interval(Z, None if problem.tasks is None else problem.tasks[test], level=LEVEL)
    except (InputError, AttributeError):
        return None  # a task without training rows, for example
    if problem.tasks is None and low.ndim > 1 and low.shape[1] != len(problem.names):
        return None
    y = problem.y[test].reshape(np.shape(low))
    inside = np.where(np.isnan(y), np.nan, (low <= y) & (y <= high))
    tasks = _by_task(inside, problem, test)
    return [int(np.nansum(of)) for of in tasks], [int(np.isfinite(of).sum()) for of in tasks]


def _by_task(values: Any, problem: Problem, rows: Any) -> list[Any]:
    """Each task's entries of (m,) or (m, t) values at these rows."""
    if problem.tasks is None:
        return list(np.asarray(values).reshape(len(rows), -1).T)
    codes = np.unique(problem.tasks, return_inverse=True)[1][rows]
    flat = np.asarray(values).reshape(-1)
    return [flat[codes == k] for k in range(len(problem.names))]
