"""Rows made ready once: scaled, centred, sorted by task, padded to blocks; the loss weights c_k; and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.linear.losses import ByTask, Huber, Loss
from relatask.linear.losses.squared import Intercept, Weighting
from relatask.linear.newton.local import Intercepts
from relatask.linear.newton.products import X as RowsOfTasks
from relatask.linear.newton.products import some
from relatask.linear.newton.rows import Block, RowTerm
from relatask.linear.newton.sparse_prepare import FLAT, placed, stacked
from relatask.linear.sums.forms import Array
from relatask.linear.sums.moments import column_moments
from relatask.linear.sums.sparse_rows import SparseRows
from relatask.linear.sums.sparse_statistics import sparse_column_moments
from relatask.notices import InputError

GROWTH = 1.3
"""Tasks of one block have at most this many times as many rows as its smallest."""
WIDE, NARROWER = 10.0, 8.0
"""A Huber loss this much narrower than the labels' spread is approached by steps of the second."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Tasks of about one length: x (k or 1, m, p), labels (k, m) and weights (k, m), 0 where there is no label."""

    tasks: NDArray[np.intp]
    x: RowsOfTasks
    y: Array
    s: Array

    def some(self, keep: NDArray[np.bool_]) -> Rows:
        """The rows of some of the tasks."""
        return Rows(self.tasks[keep], some(self.x, keep), self.y[keep], self.s[keep])


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything but the loss.

    Attributes
    ----------
    rows : in blocks; x is scaled, measured from `origin`, with a column of ones where intercepts are tied.
    weight : (t,) n_k.
    c : (t,) loss weights.
    intercept : mode.
    scale : (d,) of the columns.
    origin : (t, d) what was taken off the scaled columns.
    """

    rows: tuple[Rows, ...]
    weight: Array
    c: Array
    intercept: Intercept
    scale: Array
    origin: Array

    @property
    def shape(self) -> tuple[int, int]:
        """(t, p)."""
        return len(self.weight), self.rows[0].x.shape[2] if self.rows else 0

    @property
    def mode(self) -> str:
        """How intercepts enter that are no features."""
        return "none" if self.intercept == "tied" else self.intercept

    def original(self, W: Array, b: Array) -> tuple[Array, Array]:
        """Coefficients (..., t, d) and intercepts (..., t) for features as they came."""
        d = len(self.scale)
        own = W[..., :d]
        offset = W[..., d] if self.intercept == "tied" else np.zeros(own.shape[:-1]) if self.intercept == "none" else b
        return own / self.scale, offset - np.einsum("...td,td->...t", own, self.origin)


def prepared(
    X: Any,
    y: Array,
    codes: NDArray[np.integer] | None,
    n_tasks: int,
    weights: Array | None,
    weighting: Weighting,
    intercept: Intercept,
    standardize: bool,
) -> Prepared:
    """Scale, centre and sort the rows once."""
    y = np.asarray(y, dtype=np.float64)
    thin = sparse.issparse(X)
    X = sparse.csr_array(X) if thin else np.asarray(X, np.float64)
    if codes is None:
        s = np.where(np.isnan(y), 0.0, 1.0 if weights is None else weights if weights.ndim == 2 else weights[:, None])
        known = np.where(np.isnan(y), 0.0, y)
        x = stacked(X, [np.arange(len(y))], len(y)) if thin else X[None]
        rows, row_weight = [Rows(np.arange(n_tasks), x, known.T, s.T)], s.max(1)
    else:
        row_weight = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
        rows = _sorted(X, y, codes, n_tasks, row_weight)
    center, spread = (sparse_column_moments if thin else column_moments)(X, row_weight)
    spread = np.where(spread > FLAT * np.abs(center), spread, 0.0)
    scale = np.where(spread > 0, spread, 1.0) if standardize else np.ones(len(spread))
    weight = np.zeros(n_tasks)
    for block in rows:
        weight[block.tasks] = block.s.sum(1)
    if weighting == "sum":
        c = np.ones(n_tasks)
    elif weighting == "task":
        c = np.divide(1.0, weight, out=np.zeros(n_tasks), where=weight > 0)
    else:
        c = np.full(n_tasks, n_tasks / weight.sum())
    origin = np.zeros((n_tasks, len(scale)))
    if intercept == "free" or (standardize and intercept != "none"):
        origin[:] = center / scale
    own = intercept == "free" and codes is not None
    done = tuple(_placed(block, scale, origin, own, intercept == "tied") for block in rows)
    return Prepared(done, weight, c, intercept, scale, origin)


def row_term(shape: Prepared, loss: Loss | ByTask) -> RowTerm:
    """The data term of elementwise losses."""
    t = shape.shape[0]
    losses = loss.losses if isinstance(loss, ByTask) else (loss,) * t
    if len(losses) != t:
        raise InputError(f"ByTask: {len(losses)} kinds for {t} tasks; give one per task, in the tasks' order.")
    edge, null = np.full(t, np.nan), np.full(t, np.nan)
    blocks = []
    for kind in dict.fromkeys(losses):
        mine = np.array([own == kind for own in losses])
        for rows in shape.rows:
            if not (keep := mine[rows.tasks]).any():
                continue
            part = rows if keep.all() else rows.some(keep)
            seen = part.s > 0
            kind.check(part.y if seen.all() else part.y[seen])
            total = part.s.sum(1)
            mean = np.divide((part.s * part.y).sum(1), total, out=np.full(len(total), np.nan), where=total > 0)
            edge[part.tasks] = kind.edge(mean)
            with np.errstate(divide="ignore"):
                null[part.tasks] = kind.null(mean)
            blocks.append(Block(part.tasks, part.x, part.y, part.s * shape.c[part.tasks][:, None], kind))
    mode = shape.mode
    known = ~np.isnan(edge)
    if mode == "common":
        known[:] = known.all() and (edge == edge[0]).all()
    if mode == "none":
        known[:] = False
    start = np.where(known, edge, null if mode == "free" else 0.0)
    return RowTerm(tuple(blocks), shape.shape, Intercepts(mode, known), start)


def widened(loss: Loss | ByTask, shape: Prepared) -> list[ByTask]:
    """Huber losses of larger delta, from the labels' own size down, where delta is far below it: a way for Newton.

    A loss that is linear nearly everywhere has no curvature to go by.
    """
    losses = loss.losses if isinstance(loss, ByTask) else (loss,) * len(shape.c)
    ratio = 0.0
    for rows in shape.rows:
        for k, y, s in zip(rows.tasks, rows.y, rows.s, strict=True):
            own = losses[k]
            if isinstance(own, Huber) and (s > 0).any():
                ratio = max(ratio, float(np.median(np.abs(y[s > 0] - np.median(y[s > 0])))) / own.delta)
    found = []
    while ratio > WIDE:
        kinds = tuple(Huber(own.delta * ratio) if isinstance(own, Huber) else own for own in losses)
        found.append(ByTask(kinds))
        ratio /= NARROWER
    return found


def _sorted(X: Any, y: Array, codes: NDArray[np.integer], n_tasks: int, s: Array) -> list[Rows]:
    """Rows in the order of their tasks, tasks of about one length side by side."""
    order = np.argsort(codes.astype(np.min_scalar_type(max(n_tasks - 1, 0))), kind="stable")
    count = np.bincount(codes, minlength=n_tasks)
    first = np.cumsum(count) - count
    rank = np.arange(len(order)) - np.repeat(first, count)
    # Tasks without rows are padded like the shortest.
    level = np.zeros(n_tasks, dtype=np.intp)
    level[count > 0] = np.floor(np.log(count[count > 0] / count[count > 0].min()) / np.log(GROWTH) + 1e-9)
    sorted_codes = np.repeat(np.arange(n_tasks), count)
    found = []
    for one in np.unique(level):
        tasks = np.flatnonzero(level == one)
        m = int(count[tasks].max())
        slot = np.zeros(n_tasks, dtype=np.intp)
        slot[tasks] = np.arange(len(tasks))
        mine = level[sorted_codes] == one
        place = slot[sorted_codes[mine]] * m + rank[mine]
        source = order[mine]
        labels, weight = np.zeros(len(tasks) * m), np.zeros(len(tasks) * m)
        labels[place], weight[place] = y.take(source), s.take(source)
        x: RowsOfTasks
        if sparse.issparse(X):
            x = stacked(X, [order[first[k] : first[k] + count[k]] for k in tasks.tolist()], m)
        else:
            written = np.zeros((len(tasks) * m, X.shape[1]))
            written[place] = X.take(source, 0)
            x = written.reshape(-1, m, X.shape[1])
        found.append(Rows(tasks, x, labels.reshape(-1, m), weight.reshape(-1, m)))
    return found


def _placed(block: Rows, scale: Array, origin: Array, own: bool, tied: bool) -> Rows:
    """A block's rows scaled and measured from the origin: each task's own mean (written into `origin`) if `own`."""
    if isinstance(block.x, SparseRows):
        here = origin[block.tasks]
        thin = placed(block.x, block.s, scale, here, own, tied)
        origin[block.tasks] = here
        return Rows(block.tasks, thin, block.y, block.s)
    x = block.x / scale
    if own:
        total = block.s.sum(1)
        mean = (block.s[:, None, :] @ x)[:, 0, :] / np.where(total > 0, total, 1.0)[:, None]
        # What varies by rounding only does not vary.
        origin[block.tasks] = mean
        x -= mean[:, None, :]
        flat = (block.s[:, None, :] @ np.square(x))[:, 0, :] <= total[:, None] * np.square(FLAT * mean)
        if flat.any():
            x *= ~flat[:, None, :]
    elif len(block.x) == 1:
        x -= origin[0]
    else:
        x -= origin[block.tasks][:, None, :]
    seen = block.s > 0
    x[~seen.any(axis=0, keepdims=True) if len(x) == 1 else ~seen] = 0.0
    if tied:
        x = np.concatenate([x, np.ones((*x.shape[:2], 1))], axis=2)
    return Rows(block.tasks, x, block.y, block.s)
