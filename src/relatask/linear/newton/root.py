"""Root mean squared error a task, from sufficient statistics only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from relatask.linear.newton.local import Intercepts, Local, Point, Slopes, eliminated
from relatask.linear.newton.prepare import Prepared, Rows
from relatask.linear.newton.products import grams
from relatask.linear.sums.forms import Array, Bucket, Forms
from relatask.linear.sums.passes import THIN
from relatask.linear.sums.sparse_bucket import SparseBucket
from relatask.linear.sums.sparse_rows import SparseRows

FLOOR = 1e-3
"""Below this share of the labels' norm a residual norm is smoothed: at 0 it has a kink."""


class State(NamedTuple):
    """Half the gradient of the squared residuals in W (t, p), the mean residuals (t,), and the residual norms (t,)."""

    pull: Array
    mean: Array
    norm: Array


@dataclass(frozen=True, eq=False)
class RootTerm:
    """sum_k a_k sqrt(q_k), q_k = sum_i s_i (x_i w_k + b_k - y_i)^2, a_k = c_k sqrt(n_k).

    Attributes
    ----------
    forms : centred sum_i s_i (x_i - mean)(x_i - mean)'.
    labels : for tasks kept as rows, sqrt(s_i) (y_i - mean) beside the bucket of their rows; None beside a Gram.
    cross, yy : (t, p), (t,) centred.
    mean_x, mean_y : (t, p), (t,).
    weight, factor : (t,) n_k and a_k.
    floor : (t,) least residual norms.
    """

    forms: Forms
    labels: tuple[Array | None, ...]
    cross: Array
    yy: Array
    mean_x: Array
    mean_y: Array
    weight: Array
    factor: Array
    floor: Array
    intercepts: Intercepts
    endless: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(t, p)."""
        return self.forms.n_tasks, self.forms.n_features

    def zero(self) -> Point:
        """W = 0, intercepts at their best."""
        return self.balanced(self.at(np.zeros(self.shape), np.zeros((self.shape[0], 1))))

    def at(self, W: Array, b: Array) -> Point:
        """Some other point."""
        product = self.forms.apply(W[:, None, :])[:, 0]
        mean = b[:, 0] - self.mean_y + np.einsum("td,td->t", self.mean_x, W)
        square = self.yy + np.einsum("td,td->t", W, product - 2 * self.cross) + self.weight * np.square(mean)
        norm = np.sqrt(np.maximum(square, 0.0))
        pull = product - self.cross + (self.weight * mean)[:, None] * self.mean_x
        smooth = np.where(norm >= self.floor, norm, 0.5 * (np.square(norm) / self.floor + self.floor))
        return Point(W, b, State(pull, mean, norm), self.factor * np.where(self.weight > 0, smooth, 0.0))

    def slopes(self, point: Point) -> Slopes:
        """The gradient; of the rows, the slopes' products with the labels and their norms over a_k."""
        state: State = point.state
        share = self.factor / np.maximum(state.norm, self.floor)
        along = np.einsum("td,td->t", self.cross, point.W) - self.yy + self.weight * state.mean * self.mean_y
        size = state.norm / np.maximum(state.norm, self.floor)
        return Slopes(share[:, None] * state.pull, (share * self.weight * state.mean)[:, None], (share * along, size))

    def open_slopes(self, slopes: Slopes) -> Array:
        """The slopes of the intercepts that can move."""
        return self.intercepts.moving(slopes.b)

    def local(self, point: Point, slopes: Slopes, damp: float) -> Local:
        """(G - (1 - damp) h h' / rho^2) a / rho, h half the gradient of rho^2: at damp 1 it lies above the loss."""
        state: State = point.state
        rho = np.maximum(state.norm, self.floor)
        share, cut = self.factor / rho, np.where(state.norm > self.floor, (1 - damp) / np.square(rho), 0.0)
        free = self.intercepts.mode == "free"
        own = self.weight * state.mean
        buckets = []
        for bucket, labels in zip(self.forms.buckets, self.labels, strict=True):
            k = bucket.tasks
            lift = np.zeros((len(k), self.shape[1])) if free else np.sqrt(self.weight[k])[:, None] * self.mean_x[k]
            if bucket.gram is not None:
                gram = bucket.gram + lift[:, :, None] * lift[:, None, :]
                gram -= cut[k][:, None, None] * (state.pull[k][:, :, None] * state.pull[k][:, None, :])
                buckets.append(Bucket(k, share[k], gram=gram))
                continue
            assert labels is not None
            if isinstance(bucket, SparseBucket):
                buckets.append(self._sparse_bucket(bucket, labels, lift, point, rho, cut))
                continue
            rows = np.concatenate([bucket.base, lift[:, None, :]], axis=1)
            residual = (bucket.base @ point.W[k][:, :, None])[:, :, 0] - labels
            residual = np.append(residual, (np.sqrt(self.weight) * state.mean)[k][:, None], axis=1)
            along = _beta(cut[k], state.norm[k], rho[k])[:, None] * (residual[:, None, :] @ rows)[:, 0]
            buckets.append(Bucket(k, share[k], rows=rows - residual[:, :, None] * along[:, None, :]))
        mixed = share[:, None] * (self.weight[:, None] * self.mean_x - (cut * own)[:, None] * state.pull)
        w = share * np.maximum(self.weight - cut * np.square(own), 0.0)
        forms = Forms(tuple(buckets), *self.shape)
        return eliminated(self.intercepts, forms, slopes.W, slopes.b[:, 0], mixed, w)

    def _sparse_bucket(
        self, bucket: SparseBucket, labels: Array, lift: Array, point: Point, rho: Array, cut: Array
    ) -> SparseBucket:
        """The same with sparse rows, what is taken off along the residuals a part of rank one."""
        state, k = point.state, bucket.tasks
        residual = bucket.sparse_rows.times(point.W[k][:, None, :])[:, 0] - labels
        residual = np.append(residual, (np.sqrt(self.weight) * state.mean)[k][:, None], axis=1)
        rows = bucket.sparse_rows.with_row(lift, 0)
        along = _beta(cut[k], state.norm[k], rho[k])[:, None] * rows.back(residual[:, None, :])[:, 0]
        left = np.concatenate([rows.left, -residual[:, :, None]], axis=2)
        right = np.concatenate([rows.right, along[:, None, :]], axis=1)
        return SparseBucket(k, self.factor[k] / rho[k], held=replace(rows, left=left, right=right))

    def extrapolated(self, point: Point, slopes: Slopes, D: Array, e: Array) -> Slopes:
        """The slopes that the quadratic model has after a step."""
        state: State = point.state
        rho = np.maximum(state.norm, self.floor)
        share, n = self.factor / rho, self.weight
        step = e[:, 0] + np.einsum("td,td->t", self.mean_x, D)
        product = self.forms.apply(D[:, None, :])[:, 0]
        inner = np.einsum("td,td->t", state.pull, D) + n * state.mean * e[:, 0]
        square = np.einsum("td,td->t", D, product) + n * np.square(step)
        kept = 1.0 - np.where(state.norm > self.floor, inner / np.square(rho), 0.0)
        pull = kept[:, None] * state.pull + product + (n * step)[:, None] * self.mean_x
        along = np.einsum("td,td->t", self.cross, D) + n * step * self.mean_y
        size = np.sqrt(np.maximum(np.square(kept * state.norm) + 2 * kept * inner + square, 0.0)) / rho
        labels = kept * slopes.rows[0] + share * along
        return Slopes(share[:, None] * pull, (share * n * (kept * state.mean + step))[:, None], (labels, size))

    def allowed(self, slopes: Slopes) -> float:
        """What brings the largest slopes back into their ball."""
        return 1 / max(1.0, float(slopes.rows[1].max(initial=0.0)))

    def ray(self, point: Point, D: Array, e: Array) -> Callable[[float], Point]:
        """Points along a direction."""
        return lambda alpha: self.at(point.W + alpha * D, point.b + alpha * e)

    def balanced(self, point: Point) -> Point:
        """The point with the intercepts at their best."""
        best = self.mean_y - np.einsum("td,td->t", self.mean_x, point.W)
        if self.intercepts.mode == "free":
            return self.at(point.W, best[:, None])
        seen = self.weight > 0
        if self.intercepts.mode == "none" or not seen.any():
            return point
        own = np.square(point.state.norm) - self.weight * np.square(point.state.mean)

        def slope(b: float) -> float:
            rho = np.sqrt(np.maximum(own, 0.0) + self.weight * np.square(b - best))
            return float((self.factor * self.weight * (b - best) / np.maximum(rho, self.floor))[seen].sum())

        low, high = float(best[seen].min()), float(best[seen].max())
        at_ends = slope(low) >= 0 or slope(high) <= 0
        b = low if at_ends else float(brentq(slope, low, high, xtol=1e-300, rtol=1e-15))
        return self.at(point.W, np.full((self.shape[0], 1), b))

    def dual(self, point: Point, slopes: Slopes, factor: float) -> float:
        """Minus the conjugate: <slopes, y> - a f (1 - |slopes|^2 / a^2) / 2 for slopes in a ball of radius a_k."""
        along, size = slopes.rows
        smooth = 0.5 * self.factor * self.floor * (1 - np.square(factor * size))
        return float(np.where(self.weight > 0, smooth - factor * along, 0.0).sum())


def root_term(shape: Prepared) -> RootTerm:
    """The data term of `RootSquared`."""
    t, p = shape.shape
    mean_x, mean_y, cross, yy = np.zeros((t, p)), np.zeros(t), np.zeros((t, p)), np.zeros(t)
    buckets, labels = [], []
    for rows in shape.rows:
        bucket, own = _centred(rows, mean_x, mean_y, cross, yy)
        buckets.append(bucket)
        labels.append(own)
    size = np.sqrt(yy)
    floor = FLOOR * np.maximum(size, 1e-3 * size.max(initial=0.0))
    floor = np.where(floor > 0, floor, 1.0)
    factor = shape.c * np.sqrt(shape.weight)
    fixed: NDArray[np.bool_] = np.zeros(t, dtype=bool)
    forms = Forms(tuple(buckets), t, p)
    return RootTerm(
        forms, tuple(labels), cross, yy, mean_x, mean_y, shape.weight, factor, floor, Intercepts(shape.mode, fixed)
    )


def _centred(rows: Rows, mean_x: Array, mean_y: Array, cross: Array, yy: Array) -> tuple[Bucket, Array | None]:
    """A block's centred forms; its means and products are written into the arrays of all tasks."""
    k, (_, m, p) = rows.tasks, rows.x.shape
    total = rows.s.sum(1)
    share = rows.s / np.where(total > 0, total, 1.0)[:, None]
    mean_y[k] = np.einsum("km,km->k", share, rows.y)
    if isinstance(rows.x, SparseRows):
        return _sparse_centred(rows, rows.x, share, mean_x, mean_y, cross, yy)
    shared = len(rows.x) == 1
    mean_x[k] = share @ rows.x[0] if shared else (share[:, None, :] @ rows.x)[:, 0, :]
    root = np.sqrt(rows.s)
    y = root * (rows.y - mean_y[k][:, None])
    yy[k] = np.einsum("km,km->k", y, y)
    thin = p > THIN and m < p / 2
    held = np.empty((len(k), m, p) if thin else (len(k), p, p))
    for i in range(len(k)):
        x = (rows.x[0 if shared else i] - mean_x[k[i]]) * root[i][:, None]
        cross[k[i]] = y[i] @ x
        held[i] = x if thin else x.T @ x
    one = np.ones(len(k))
    return (Bucket(k, one, rows=held), y) if thin else (Bucket(k, one, gram=held), None)


def _sparse_centred(
    rows: Rows, x: SparseRows, share: Array, mean_x: Array, mean_y: Array, cross: Array, yy: Array
) -> tuple[Bucket, Array | None]:
    """The same of sparse rows."""
    k, (_, m, p) = rows.tasks, x.shape
    mean_x[k] = x.back(share[:, None, :])[:, 0]
    # Each row has its 1 in `left`: the mean goes to the right of it.
    held = x.weighted(np.sqrt(rows.s))
    held = replace(held, right=held.right - mean_x[k][:, None, :])
    y = np.sqrt(rows.s) * (rows.y - mean_y[k][:, None])
    yy[k] = np.einsum("km,km->k", y, y)
    cross[k] = held.back(y[:, None, :])[:, 0]
    one = np.ones(len(k))
    if p > THIN and m < p / 2:
        return SparseBucket(k, one, held=held), y
    return Bucket(k, one, gram=grams(held, np.ones(y.shape))), None


def _beta(cut: Array, norm: Array, rho: Array) -> Array:
    """The beta at which (I - beta r r')^2 = I - cut r r'."""
    return np.asarray((1 - np.sqrt(np.maximum(1 - cut * np.square(norm), 0.0))) / np.square(rho))
