"""Batches of rows, read as fit reads them and forgotten: what stays are the sums of every task, and of every fold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.linear.input import reading
from relatask.linear.input.design import Design, check_names
from relatask.linear.input.labels import listed
from relatask.linear.streaming import arrow
from relatask.linear.streaming.dealing import Dealer
from relatask.linear.streaming.growing import Growing
from relatask.linear.streaming.naming import Names
from relatask.linear.sums.merging import among, merge, of_labels, only
from relatask.linear.sums.passes import THIN
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError

FOLDS = 5
"""Parts that rows are dealt out to, where a strength is chosen."""

LAYOUTS = {
    "one": "y (n,) without tasks",
    "groups": "y (n,) with tasks",
    "columns": "y (n, t), a task a column",
}


class Collector:
    """Sums of batches.

    Parameters
    ----------
    model : LinearMultiTask
        Not fitted; how it reads X.
    folds : int
        Parts that rows are dealt out to, each with sums of its own: 1, or `FOLDS`.
    partition : int, optional
        Where these are the rows of one partition among others: its number, for messages and for the folds.
    seed : int
        Of the folds.
    """

    def __init__(self, model: Any, folds: int = 1, partition: int | None = None, seed: int = 0) -> None:
        self.model, self.folds, self.partition = model, folds, partition
        self.probe = reading.Probe()
        self.names: list[str] | None = None
        self.layout = ""
        self.tasks, self.known = np.zeros(0), Names()
        self.rows = self.batches = 0
        self._growing: list[Growing] = []
        self._merged: list[tuple[Statistics, NDArray[np.intp]] | None] = [None] * folds
        self._dealer = Dealer(folds, 0 if partition is None else partition << 40, seed)

    def add(self, X: Any, y: Any, tasks: Any = None, sample_weight: Any = None) -> None:
        """Take in a batch.

        Raises
        ------
        InputError
            For rows that fit would not take, or that do not go with the batches before; the message says which batch.
        """
        self.batches += 1
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                self._add(X, y, tasks, sample_weight)
        except InputError as error:
            here = f"batch {self.batches}" if self.partition is None else f"partition {self.partition}"
            raise InputError(f"{here}: {error}") from error

    def finished(self, *, some: bool = False) -> tuple[NDArray, list[Statistics]]:
        """Labels in their order, and the statistics of each fold, for all tasks.

        Where these are but `some` of the rows, a task may be without labels.

        Raises
        ------
        InputError
            If there were no rows, or no labels; for a task without labels; where squares overflow.
        """
        if not self.layout:
            raise InputError("there are no batches with rows; expected at least one (X, y), (X, y, tasks) or more.")
        names, places = (self.tasks, np.arange(len(self.tasks))) if self.layout != "groups" else self.known.in_order()
        if self._growing:
            found = [part.statistics(places) for part in self._growing]
        else:
            rank = np.empty(len(places), dtype=np.intp)
            rank[places] = np.arange(len(places))
            found = [among(stats, rank[own], len(places)) for stats, own in self._held()]
        if not some:
            tell_empty(names, np.sum([part.count for part in found], axis=0))
        for part in found:
            reading.check_sums(part)
        return names, found

    @property
    def has_sums(self) -> bool:
        """Whether there are sums: rows that grow in place, or a label."""
        return bool(self._growing) or any(held is not None for held in self._merged)

    def learned_names(self) -> dict[str, Any]:
        """What fit learns of X's columns, by attribute name."""
        named = {} if self.names is None else {"feature_names_in_": np.array(self.names, dtype=object)}
        return vars(self.probe) | named

    def _add(self, X: Any, y: Any, tasks: Any, sample_weight: Any) -> None:
        if not hasattr(X, "shape") and not hasattr(X, "__len__"):
            raise InputError(f"X={X!r:.60} is not usable; expected rows, (n, d).")
        if not (X.shape[0] if hasattr(X, "shape") else len(X)):
            return
        first = not self.layout
        X, tasks = self._features(X, tasks, first)
        if self.layout == "columns" and hasattr(y, "columns"):
            y = reading.in_order(y, self.tasks)
        names: Any = getattr(self.probe, "feature_names_in_", self.names)
        weights = arrow.array(sample_weight)
        layout, design = reading.design(X, arrow.array(y), arrow.array(tasks), weights, names, some=True)
        if first:
            self.layout, self.tasks = layout, design.tasks
            plain = layout != "columns" and not sparse.issparse(X) and not self.model._takes_blocks
            self._growing = [Growing(X.shape[1]) for _ in range(self.folds)] if plain and X.shape[1] <= THIN else []
        if layout != self.layout:
            raise InputError(f"rows come as {LAYOUTS[layout]}, those before came as {LAYOUTS[self.layout]}.")
        if layout == "columns" and len(design.tasks) != len(self.tasks):
            raise InputError(f"y has {len(design.tasks)} columns, before it had {len(self.tasks)}.")
        places = self.known.places(design.tasks) if layout == "groups" else np.arange(len(design.tasks))
        self.rows += X.shape[0]
        if not design.X.shape[0]:
            return
        if self.folds == 1:
            self._sum(0, design, places)
            return
        of_rows = None if design.codes is None else places[design.codes]
        fold = self._dealer.folds_of(len(design.y), of_rows)
        for f in range(self.folds):
            self._sum(f, design.rows(np.flatnonzero(fold == f)), places)

    def _features(self, X: Any, tasks: Any, first: bool) -> tuple[Any, Any]:
        """Features as fit reads them, and the tasks, which may be one of the columns."""
        task_column = self.model.task_column
        if arrow.is_arrow(X):
            check_names(X.schema.names, "X")
            if task_column is not None and tasks is None:
                if task_column not in X.schema.names:
                    raise InputError(f"task_column={task_column!r} is not among the columns {listed(X.schema.names)}.")
                tasks = X.column(X.schema.names.index(task_column))
            X, names = arrow.matrix(X.select([n for n in X.schema.names if n != task_column]))
            if not first and names != self.names:
                raise InputError(f"X has the columns {listed(names)}, those before had {listed(self.names or [])}.")
            self.names = names
        elif self.names is not None:
            raise InputError("X is no Arrow table, those before were; give batches of one kind.")
        else:
            X, tasks = reading.split_task_column(X, tasks, task_column)
        options = {"missing": self.model._takes_blocks, "sparse_too": True}
        try:
            return reading.features(self.probe, X, reset=first, **options), tasks
        except InputError as error:
            bad = [] if self.names is None else np.flatnonzero(~np.isfinite(X).all(0)).tolist()
            if not bad:
                raise
            told = f"{error} The columns are {listed([(self.names or [])[j] for j in bad])}."
            raise InputError(told) from error

    def _sum(self, fold: int, design: Design, places: NDArray[np.intp]) -> None:
        if self._growing:
            assert design.codes is not None
            self._growing[fold].add(design.X, design.y, design.codes, places, design.weights)
            return
        if np.isnan(design.y).all():
            return
        stats, before = design.statistics(), self._merged[fold]
        if before is None:
            self._merged[fold] = stats, places
            return
        total, own = before
        every = np.union1d(own, places)
        if len(every) > len(own):
            total = among(total, np.searchsorted(every, own), len(every))
        if len(every) > len(places) or (every != places).any():
            stats = among(stats, np.searchsorted(every, places), len(every))
        self._merged[fold] = merge(total, stats), every

    def _held(self) -> list[tuple[Statistics, NDArray[np.intp]]]:
        """What was merged, a fold without rows being nothing beside the others."""
        some = next((m for m in self._merged if m is not None), None)
        if some is None:
            raise InputError("y has no label in any batch: every value is NaN or has weight 0; give at least one.")
        nothing = of_labels(only(some[0], some[1][:0])), some[1][:0]
        return [nothing if m is None else m for m in self._merged]


def tell_empty(tasks: NDArray, count: NDArray[np.intp]) -> None:
    """Raise InputError naming tasks without any label."""
    if not count.any():
        raise InputError("y has no label in any batch: every value is NaN or has weight 0; give at least one.")
    if not count.all():
        empty = tasks[count == 0].tolist()
        raise InputError(
            f"task{'s' if len(empty) > 1 else ''} {listed(empty)} without labels in any batch: leave the task out or "
            f"give it labels."
        )
