"""From a checked design to what kernels work on: rows that count, labels in the order of their tasks, units."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.input.design import Design, warn_about_labels
from relatask.linear.input.reading import TINY
from relatask.linear.kernels.products import Entries
from relatask.linear.sums.forms import Array
from relatask.notices import InputError


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows with labels.

    Attributes
    ----------
    place : (n,) which of the rows that were given.
    row, task : (N,) of each label, tasks ascending.
    y, weight : (N,).
    tasks : (t,) labels of the tasks.
    table : whether every row has a label of every task, and one weight for all of them.
    """

    place: NDArray[np.intp]
    row: NDArray[np.intp]
    task: NDArray[np.intp]
    y: Array
    weight: Array
    tasks: NDArray
    table: bool

    @property
    def one_each(self) -> bool:
        """Whether labels are rows, one each in the same order."""
        return np.array_equal(self.row, np.arange(len(self.place)))

    @property
    def count(self) -> NDArray:
        """(t,) labels."""
        return np.bincount(self.task, minlength=len(self.tasks))

    def entries(self, loss_weight: Array, free: bool) -> Entries:
        """The labels, scaled."""
        return Entries(self.row, self.task, self.y, self.weight, loss_weight, free)

    def loss_weight(self, weighting: str) -> Array:
        """(t,) c_k."""
        total = np.bincount(self.task, self.weight, minlength=len(self.tasks))
        if weighting == "sum":
            return np.ones(len(total))
        return 1 / total if weighting == "task" else np.full(len(total), len(total) / total.sum())

    def spread_out(self, values: Array) -> Array:
        """(n, t) of values of the labels (N,), 0 where there is none."""
        out = np.zeros((len(self.place), len(self.tasks)))
        out[self.row, self.task] = values
        return out

    def some(self, kept: NDArray[np.intp]) -> Rows:
        """Some of the rows, ascending."""
        among = np.full(len(self.place), -1, dtype=np.intp)
        among[kept] = np.arange(len(kept))
        seen = among[self.row] >= 0
        return replace(
            self,
            place=self.place[kept],
            row=among[self.row][seen],
            task=self.task[seen],
            y=self.y[seen],
            weight=self.weight[seen],
        )


def rows_of(design: Design) -> Rows:
    """Rows of a design whose X is the (n, 1) place of each row."""
    place = design.X[:, 0].astype(np.intp)
    if design.codes is not None and design.n_tasks > 1:
        order = np.argsort(design.codes, kind="stable")
        weight = np.ones(len(place)) if design.weights is None else design.weights[order]
        at = np.arange(len(place))
        found = Rows(place[order], at, design.codes[order], design.y[order], weight, design.tasks, False)
    else:
        Y = design.y.reshape(len(place), -1)
        weights = np.ones(1) if design.weights is None else design.weights
        weights = np.broadcast_to(weights[:, None] if weights.ndim == 1 else weights, Y.shape)
        seen = ~np.isnan(Y) & (weights > 0)
        some = seen.any(1)
        place, Y, weights, seen = place[some], Y[some], weights[some], seen[some]
        task, row = np.nonzero(seen.T)
        even = design.weights is None or design.weights.ndim == 1
        found = Rows(place, row, task, Y[row, task], weights[row, task], design.tasks, bool(seen.all()) and even)
    _warn(found)
    return found


def merged(rows: Rows, X: Array) -> tuple[Rows, NDArray[np.intp]]:
    """Rows that are equal in X and in all their labels become one, their weights added: the objective is the same.

    The second value is which rows stay.
    """
    if rows.one_each:
        key, weight = np.column_stack([X, rows.task, rows.y]), rows.weight[:, None]
    else:
        weight = rows.spread_out(rows.weight)
        key = np.column_stack([X, weight > 0, rows.spread_out(rows.y)])
    _, first, which = np.unique(key + 0.0, axis=0, return_index=True, return_inverse=True)
    if len(first) == len(key):
        return rows, np.arange(len(key))
    # Representatives stay in the order that they came in.
    order = np.argsort(first)
    rank = np.empty(len(first), dtype=np.intp)
    rank[order] = np.arange(len(first))
    kept, which = first[order], rank[which.ravel()]
    total = np.zeros((len(kept), weight.shape[1]))
    np.add.at(total, which, weight)
    found = rows.some(kept)
    return replace(found, weight=total[found.row, 0 if rows.one_each else found.task]), kept


def units(X: Array, rows: Rows, free: bool) -> tuple[Array, Array]:
    """Weighted means (0 without intercepts) and standard deviations (d,) of the columns over rows that have labels.

    A row has the weight of its heaviest label.

    Raises
    ------
    InputError
        For numbers whose squares overflow.
    """
    weight = np.zeros(len(rows.place))
    np.maximum.at(weight, rows.row, rows.weight)
    weight = weight / weight.sum()
    with np.errstate(over="ignore", invalid="ignore"):
        center = weight @ X
        scale = np.sqrt(weight @ np.square(X - center))
    if not np.isfinite(scale).all():
        raise InputError("X holds numbers whose squares overflow (beyond about 1e150); give it other units.")
    if not scale.any() and 0 < np.abs(center).max(initial=0.0) < TINY:
        raise InputError("X holds numbers whose squares vanish (below about 1e-150); give it other units.")
    # A constant column's spread is the rounding of its mean.
    scale = np.where(scale > 1e-13 * np.abs(center), scale, 1.0)
    return (center if free else np.zeros(len(center))), scale


def _warn(rows: Rows) -> None:
    """RT005, and labels whose squares overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        weight = rows.weight / rows.weight.mean()
        total = np.bincount(rows.task, weight)
        mean = np.bincount(rows.task, weight * rows.y) / total
        squares = np.bincount(rows.task, weight * np.square(rows.y - mean[rows.task]))
    if not np.isfinite(squares).all():
        raise InputError("y holds numbers whose squares overflow (beyond about 1e150); give it other units.")
    warn_about_labels(rows.tasks, rows.count, np.asarray(squares), np.asarray(mean))
