"""Rows that arrive at a fitted model, read as fit reads them, and put among the tasks that it knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from relatask.linear.input import reading
from relatask.linear.input.design import Design, as_float, as_weights
from relatask.linear.input.labels import encode_tasks, known_codes, listed
from relatask.linear.losses.named import chosen_loss
from relatask.linear.online.tracking import Labels, Seen, labels_of
from relatask.linear.sums.merging import among, merge
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows.

    Attributes
    ----------
    stats : of these rows, for all `tasks`.
    tasks : (t,) labels that the model knows and those that are new, in their order.
    known : places among these of the tasks that the model knows.
    labels : what tracks them, or None.
    rows : (n,) position of each row that counts among those given.
    """

    stats: Statistics
    tasks: NDArray
    known: NDArray[np.intp]
    labels: Labels | None
    rows: NDArray[np.intp]

    @property
    def touched(self) -> NDArray[np.intp]:
        """Places of the tasks that have labels here."""
        return np.flatnonzero(self.stats.count)

    def beside(self, stats: Statistics) -> Statistics:
        """Statistics of the known tasks, for all."""
        return stats if len(self.known) == len(self.tasks) else among(stats, self.known, len(self.tasks))

    def added_to(self, stats: Statistics) -> Statistics:
        """Those of all rows.

        Raises
        ------
        InputError
            For a task that has a feature here and lacks it there, or the other way round; for sums that overflow.
        """
        before = self.beside(stats)
        _check_features(before, self.stats, self.tasks)
        with np.errstate(over="ignore", invalid="ignore"):
            total = merge(before, self.stats)
        reading.check_sums(total)
        return total

    def seen_with(self, seen: Seen | None) -> Seen | None:
        """What tracks all rows."""
        if seen is None or self.labels is None:
            return None
        return seen.among(self.known, len(self.tasks)).plus(self.labels.seen())


def check_goes_on(model: Any) -> None:
    """Raise InputError for a model that cannot go on from what it keeps, NotFittedError for one without a fit."""
    check_is_fitted(model)
    loss = getattr(model, "loss", "squared")
    if chosen_loss(loss) is not None:
        raise InputError(
            f"loss={loss!r} has no sums that stand for the rows, so that going on needs rows: fit again on all of "
            f"them, or use loss='squared'."
        )
    if getattr(model, "_statistics", None) is None:
        raise InputError(
            "the model keeps no statistics of its rows (fitted under another loss, or saved by an older relatask): fit "
            "again on all rows."
        )
    if getattr(model, "track_rows", False) and model._seen is None:
        raise InputError(
            "track_rows=True, but the rows that the model was fitted on were not tracked: fit again on all rows, or "
            "set track_rows=False."
        )


def read(model: Any, X: Any, y: Any, tasks: Any, sample_weight: Any, *, known_only: bool = False) -> Batch:
    """Rows as a fitted regressor's fit would read them.

    Parameters
    ----------
    model : fitted regressor
        What it takes, its tasks.
    X, y, tasks, sample_weight
        As in fit; for tasks as columns a column may be without labels here.
    known_only : bool
        Whether new tasks are refused.

    Raises
    ------
    InputError
        For rows that fit would not take; other features; another layout of labels; a new task where it may not be.
    """
    X, tasks = reading.split_task_column(X, tasks, model.task_column)
    X = reading.features(model, X, reset=False, missing=model._takes_blocks, sparse_too=True)
    names = getattr(model, "feature_names_in_", None)
    if model._fit_layout == "columns":
        y = reading.in_order(y, model.tasks_)
    layout, design = reading.design(X, y, tasks, sample_weight, names, some=True)
    if np.isnan(design.y).all():
        raise InputError("y has no label: every value is NaN or has weight 0; expected at least one number.")
    _check_layout(model, layout, design)
    if layout == "groups":
        design, known = _among_known(model, design, known_only)
    else:
        design, known = replace(design, tasks=model.tasks_), np.arange(len(model.tasks_))
    with np.errstate(over="ignore", invalid="ignore"):
        stats = design.statistics()
    reading.check_sums(stats)
    tracked = labels_of(design) if getattr(model, "track_rows", False) else None
    return Batch(stats, design.tasks, known, tracked, _counted(y, sample_weight, layout, design))


def with_label(known: NDArray, new: NDArray) -> tuple[NDArray, NDArray[np.intp]]:
    """Known labels and new ones in their order, as fit would have them, and the places of the known ones."""
    if known.dtype.kind != "O" and new.dtype.kind != "O" and (known.dtype.kind in "US") == (new.dtype.kind in "US"):
        every: Any = np.concatenate([known, new])
    else:
        every = np.empty(len(known) + len(new), dtype=object)
        every[:] = [*known.tolist(), *new.tolist()]
    tasks, codes = encode_tasks(every, len(every))
    return tasks, codes[: len(known)]


def _among_known(model: Any, design: Design, known_only: bool) -> tuple[Design, NDArray[np.intp]]:
    """The design over all tasks, and the places of the known ones."""
    place = set(model.tasks_.tolist())
    assert design.codes is not None
    count = np.bincount(design.codes, minlength=design.n_tasks)
    labels = design.tasks.tolist()
    new = [k for k, label in enumerate(labels) if label not in place]
    if new and known_only:
        known_codes([labels[k] for k in new], len(new), model.tasks_)
    empty = [labels[k] for k in new if count[k] == 0]
    if empty:
        raise InputError(
            f"new task{'s' if len(empty) > 1 else ''} {listed(empty)} without labels: every y is NaN (or has weight "
            f"0); give labels, or use add_task(name)."
        )
    tasks, known = with_label(model.tasks_, design.tasks[new]) if new else (model.tasks_, np.arange(len(model.tasks_)))
    where = {label: k for k, label in enumerate(tasks.tolist())}
    own = np.array([where[label] for label in labels], dtype=np.intp)
    absent = None
    if design.absent is not None:
        absent = np.zeros((len(tasks), design.X.shape[1]), dtype=bool)
        absent[own] = design.absent
    return replace(design, codes=own[design.codes], tasks=tasks, absent=absent), known


def _check_layout(model: Any, layout: str, design: Design) -> None:
    told = {
        "one": "y (n,) without tasks",
        "groups": "y (n,) with tasks, one label per row",
        "columns": f"y (n, {len(model.tasks_)}), a task a column",
    }
    if layout != model._fit_layout:
        raise InputError(f"the model was fitted on {told[model._fit_layout]}, these rows come as {told[layout]}.")
    if layout == "columns" and design.n_tasks != len(model.tasks_):
        raise InputError(
            f"y has {design.n_tasks} columns, but the model has the {len(model.tasks_)} tasks "
            f"{listed(model.tasks_.tolist())}; give the same columns, NaN where a label is missing."
        )


def _check_features(before: Statistics, new: Statistics, tasks: NDArray) -> None:
    """Raise InputError for a task that has a feature in some rows and lacks it in others."""
    if before.absent is None and new.absent is None:
        return
    shape = (len(tasks), before.n_features)
    there, here = (np.zeros(shape, dtype=bool) if s.absent is None else s.absent for s in (before, new))
    differ = (there != here) & (before.count > 0)[:, None] & (new.count > 0)[:, None]
    if differ.any():
        k, j = np.argwhere(differ)[0].tolist()
        lacks, has = ("before", "now") if there[k, j] else ("now", "before")
        raise InputError(
            f"task {tasks.tolist()[k]!r} lacked column {j} {lacks} and has it {has}; a task has a feature in all of "
            f"its rows or in none: fit again."
        )


def _counted(y: Any, sample_weight: Any, layout: str, design: Design) -> NDArray[np.intp]:
    """Positions of the rows that a design kept."""
    labels = as_float(y, "y")
    labels = labels if layout == "columns" else labels.reshape(-1)
    weights = as_weights(sample_weight, len(labels), design.tasks if layout == "columns" else None)
    if layout != "columns":
        return np.flatnonzero(~np.isnan(labels) & (True if weights is None else weights > 0))
    if weights is None:
        return np.arange(len(labels))
    return np.flatnonzero(weights > 0 if weights.ndim == 1 else (weights > 0).any(1))
