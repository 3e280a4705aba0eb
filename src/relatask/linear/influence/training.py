"""The rows that a model was fitted on, given once more: checked, and seen in the tasks' own coordinates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.influence.building import check_size
from relatask.linear.influence.removal import TaskRows
from relatask.linear.influence.setting import Setting
from relatask.linear.input import reading
from relatask.linear.input.design import Design
from relatask.linear.losses.model import label_counts
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError

SAME = 1e-6
"""Means that differ by less than this share of their size (or of a standard deviation) are those of the same rows."""


def training_design(model: Any, X: Any, y: Any, tasks: Any, sample_weight: Any) -> Design:
    """The training rows as fit saw them.

    Raises
    ------
    InputError
        For input that fit would not take, or that is not what the model was fitted on.
    """
    X, tasks = reading.split_task_column(X, tasks, model.task_column)
    X = reading.features(model, X, reset=False, missing=model._takes_blocks, sparse_too=model._takes_sparse)
    layout, design = reading.design(X, y, tasks, sample_weight, getattr(model, "feature_names_in_", None))
    if layout != model._fit_layout or design.tasks.tolist() != model.tasks_.tolist():
        raise InputError(
            f"the rows have {design.n_tasks} tasks ({layout}), the model was fitted on {len(model.tasks_)} "
            f"({model._fit_layout}); leave_task_out takes the X, y and tasks of fit."
        )
    return design


def check_same(design: Design, stats: Statistics) -> None:
    """Raise InputError where the rows' moments are not those of fit."""
    given = design.statistics()
    near = np.sqrt(np.maximum(stats.yy, 0.0) / np.maximum(stats.weight, 1e-300)) + np.abs(stats.mean_y)
    same = (given.count == stats.count) & np.isclose(given.weight, stats.weight, rtol=SAME)
    same &= np.abs(given.mean_y - stats.mean_y) <= SAME * near
    same &= (np.abs(given.mean_x - stats.mean_x) <= SAME * (stats.spread + np.abs(stats.mean_x))).all(1)
    if not same.all():
        wrong = design.tasks.tolist()[int(np.flatnonzero(~same)[0])]
        raise InputError(
            f"task {wrong!r} has other rows than in fit ({int((~same).sum())} such tasks): leave_task_out takes the "
            "X, y, tasks and sample_weight of fit, in any order of rows."
        )


def check_counts(design: Design, counts: NDArray[np.intp]) -> None:
    """The same where fit kept no moments: numbers of labels only."""
    wrong = np.flatnonzero(label_counts(design) != counts)
    if len(wrong):
        k = int(wrong[0])
        raise InputError(
            f"task {design.tasks.tolist()[k]!r} has {label_counts(design)[k]} labels here, and had {counts[k]} in fit: "
            "leave_task_out takes the X, y, tasks and sample_weight of fit."
        )


def by_task(design: Design) -> Iterator[tuple[NDArray[np.intp], Array, Array]]:
    """Of every task the positions of its rows, their labels and their weights."""
    weights = np.ones(len(design.y)) if design.weights is None else design.weights
    if design.codes is not None:
        order = np.argsort(design.codes, kind="stable")
        for rows in np.split(order, np.cumsum(np.bincount(design.codes, minlength=design.n_tasks))[:-1]):
            yield rows, design.y[rows], weights[rows]
        return
    for k in range(design.n_tasks):
        own = weights if weights.ndim == 1 else weights[:, k]
        rows = np.flatnonzero(~np.isnan(design.y[:, k]) & (own > 0))
        yield rows, design.y[rows, k], own[rows]


def squared_rows(setting: Setting, design: Design) -> tuple[list[TaskRows], Callable[[Array], Array]]:
    """Rows under squared loss, and their errors in squared units of the labels."""
    check_size(float(design.y.size) * setting.forms.shape[1])
    w = setting.solution()
    found: list[TaskRows] = []
    labels, units = [], []
    last: tuple[NDArray[np.intp], Array, Array] | None = None
    for k, (rows, y, s) in enumerate(by_task(design)):
        if (
            last is not None
            and setting.absent is None
            and np.array_equal(rows, last[0])
            and (setting.origin[k] == last[1]).all()
        ):
            z = last[2]
        else:
            z = setting.coordinates(design.X[rows], k)
        last = rows, setting.origin[k], z
        label = (y - setting.offset[k]) / setting.unit[k]
        eta, pull = z @ w[k], setting.c[k] * s
        found.append(TaskRows(z, pull * (eta - label), pull, eta, s))
        labels.append(label)
        units.append(np.full(len(label), setting.unit[k]))
    label, unit = np.concatenate(labels), np.concatenate(units)
    return found, lambda eta: np.square(unit * (label - eta))
