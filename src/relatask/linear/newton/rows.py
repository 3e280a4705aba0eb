"""Rows sorted by task once, in blocks of tasks of about one length, and elementwise losses on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.losses import Loss
from relatask.linear.newton.local import Intercepts, Local, Point, Slopes, eliminated
from relatask.linear.newton.products import X, grams
from relatask.linear.sums.forms import ROUNDING, Array, Bucket, Forms
from relatask.linear.sums.passes import THIN
from relatask.linear.sums.sparse_bucket import SparseBucket
from relatask.linear.sums.sparse_rows import SparseRows

BALANCE = 60
"""Steps of a one-dimensional search at most."""
BALANCED = 1e-14
"""Slopes of a task that sum to this share of their absolute sum, or less, sum to zero."""


@dataclass(frozen=True, eq=False)
class Block:
    """Tasks of one loss, their rows padded to one length.

    Attributes
    ----------
    tasks : (k,) positions.
    x : (k, m, d), or (1, m, d) where the tasks share their rows; dense, or SparseRows.
    y : (k, m), any label where there is none.
    s : (k, m) weights times c_k, 0 where there is no label.
    loss : Loss.
    """

    tasks: NDArray[np.intp]
    x: X
    y: Array
    s: Array
    loss: Loss

    @property
    def shared(self) -> bool:
        """Whether the tasks share their rows."""
        return self.x.shape[0] == 1

    def predict(self, W: Array) -> Array:
        """(k, m) x_i w_k for W (t, d)."""
        own = W[self.tasks]
        if isinstance(self.x, SparseRows):
            return self.x.times(own[:, None, :])[:, 0]
        return own @ self.x[0].T if self.shared else (self.x @ own[:, :, None])[:, :, 0]

    def sums(self, v: Array) -> Array:
        """(k, d) sum_i v_i x_i for v (k, m)."""
        if isinstance(self.x, SparseRows):
            return self.x.back(v[:, None, :])[:, 0]
        return v @ self.x[0] if self.shared else (v[:, None, :] @ self.x)[:, 0, :]


@dataclass(frozen=True, eq=False)
class RowTerm:
    """sum_k c_k sum_i s_i loss(x_i w_k + b_k, y_i)."""

    blocks: tuple[Block, ...]
    shape: tuple[int, int]
    intercepts: Intercepts
    start: Array
    """(t,) intercepts for W = 0; NaN where they have to be searched for."""

    @property
    def endless(self) -> bool:
        """Whether a loss may fall for ever."""
        return any(block.loss.endless for block in self.blocks)

    def zero(self) -> Point:
        """W = 0, intercepts at their best."""
        return self.balanced(self.at(np.zeros(self.shape), np.nan_to_num(self.start)[:, None]))

    def at(self, W: Array, b: Array) -> Point:
        """Some other point."""
        return self._point(W, b, [block.predict(W) + b[block.tasks] for block in self.blocks])

    def slopes(self, point: Point) -> Slopes:
        """The gradient; of the rows, each block's slopes."""
        g, slope, rows = np.zeros(self.shape), np.zeros((self.shape[0], 1)), []
        for block, eta in zip(self.blocks, point.state, strict=True):
            u = block.loss.slope(eta, block.y)
            v = block.s * u
            g[block.tasks] = block.sums(v)
            slope[block.tasks, 0] = v.sum(1)
            rows.append(u)
        return Slopes(g, slope, rows)

    def open_slopes(self, slopes: Slopes) -> Array:
        """The slopes of the intercepts that can move."""
        return self.intercepts.moving(slopes.b)

    def local(self, point: Point, slopes: Slopes, damp: float) -> Local:
        """The quadratic model: working weights s times the curvature, between the loss's own and its majorant's."""
        t, d = self.shape
        mixed, w, weights = np.zeros((t, d)), np.zeros(t), []
        least = point.value
        for block, eta, u in zip(self.blocks, point.state, slopes.rows, strict=True):
            h = block.loss.curvature(eta, block.y) if damp < 1 else 0.0
            if damp > 0:
                h = (1 - damp) * h + damp * block.loss.majorant(eta, block.y)
            a = block.s * h
            pull = np.where(block.s > 0, np.square(u), 0.0)
            with np.errstate(divide="ignore", over="ignore"):
                least -= 0.5 * float(np.sum(block.s * np.divide(pull, h, out=np.zeros_like(pull), where=pull > 0)))
            mixed[block.tasks] = block.sums(a)
            w[block.tasks] = a.sum(1)
            weights.append(a)
        inverse = self.intercepts.inverse(w)
        buckets = [
            _bucket(block, a, mixed[block.tasks], inverse[block.tasks])
            for block, a in zip(self.blocks, weights, strict=True)
        ]
        found = eliminated(self.intercepts, Forms(merged(buckets), t, d), slopes.W, slopes.b[:, 0], mixed, w)
        return replace(found, least=least)

    def ray(self, point: Point, D: Array, e: Array) -> Callable[[float], Point]:
        """Points along a direction."""
        steps = [block.predict(D) + e[block.tasks] for block in self.blocks]

        def at(alpha: float) -> Point:
            state = [eta + alpha * step for eta, step in zip(point.state, steps, strict=True)]
            return self._point(point.W + alpha * D, point.b + alpha * e, state)

        return at

    def balanced(self, point: Point) -> Point:
        """The point with the intercepts at their best: safeguarded Newton steps, all tasks at once."""
        if self.intercepts.mode == "none" or self.intercepts.fixed.all():
            return point
        t = self.shape[0]
        group = np.zeros(t, dtype=np.intp) if self.intercepts.mode == "common" else np.arange(t)
        moved = np.zeros(t)
        low, high = np.full(t, -np.inf), np.full(t, np.inf)
        for _ in range(BALANCE):
            slope, size = (np.bincount(group, v, minlength=t) for v in self._pulls(point, moved[group]))
            off = np.abs(slope) > BALANCED * size
            if self.intercepts.mode == "free":
                off &= ~self.intercepts.fixed
            if not off.any():
                break
            low = np.where(off & (slope < 0), np.maximum(low, moved), low)
            high = np.where(off & (slope > 0), np.minimum(high, moved), high)
            own, above = (np.bincount(group, v, minlength=t) for v in self._bends(point, moved[group]))
            weight = np.where(own < 0.01 * above, above, own)
            trial = moved - np.divide(slope, weight, out=np.zeros(t), where=off & (weight > 0))
            outside = off & ((trial <= low) | (trial >= high)) & np.isfinite(low) & np.isfinite(high)
            trial = np.where(outside, 0.5 * (np.where(outside, low, 0.0) + np.where(outside, high, 0.0)), trial)
            if (trial == moved).all():
                break
            moved = trial
        if not moved.any():
            return point
        e = moved[group][:, None]
        return self._point(
            point.W, point.b + e, [eta + e[b.tasks] for b, eta in zip(self.blocks, point.state, strict=True)]
        )

    def extrapolated(self, point: Point, slopes: Slopes, D: Array, e: Array) -> Slopes:
        """The slopes that the quadratic model has after a step."""
        g, slope, rows = np.zeros(self.shape), np.zeros((self.shape[0], 1)), []
        for block, eta, u in zip(self.blocks, point.state, slopes.rows, strict=True):
            after = u + block.loss.curvature(eta, block.y) * (block.predict(D) + e[block.tasks])
            v = block.s * after
            g[block.tasks], slope[block.tasks, 0] = block.sums(v), v.sum(1)
            rows.append(after)
        return Slopes(g, slope, rows)

    def allowed(self, slopes: Slopes) -> float:
        """The largest factor <= 1 at which the slopes are in the conjugate's domain, where a factor can help."""
        return min(b.loss.allowed(np.where(b.s > 0, u, 0.0)) for b, u in zip(self.blocks, slopes.rows, strict=True))

    def dual(self, point: Point, slopes: Slopes, factor: float) -> float:
        """Minus the conjugate at `factor` times the slopes."""
        total = 0.0
        for block, u in zip(self.blocks, slopes.rows, strict=True):
            conjugate = block.loss.conjugate(factor * u, block.y)
            total -= float(np.vdot(block.s, np.where(block.s > 0, conjugate, 0.0)))
        held = self.intercepts.fixed & (self.intercepts.mode != "none")
        return total + factor * float(np.vdot(slopes.b[held], point.b[held]))

    def _pulls(self, point: Point, moved: Array) -> tuple[Array, Array]:
        """Slopes of every task's intercept, and their absolute sums."""
        slope, size = np.zeros(len(moved)), np.zeros(len(moved))
        for block, eta in zip(self.blocks, point.state, strict=True):
            here = eta + moved[block.tasks][:, None]
            v = block.s * block.loss.slope(here, block.y)
            slope[block.tasks], size[block.tasks] = v.sum(1), np.abs(v).sum(1)
        return slope, size

    def _bends(self, point: Point, moved: Array) -> tuple[Array, Array]:
        """Curvatures and majorants of every task's intercept."""
        own, above = np.zeros(len(moved)), np.zeros(len(moved))
        for block, eta in zip(self.blocks, point.state, strict=True):
            here = eta + moved[block.tasks][:, None]
            own[block.tasks] = np.einsum("km,km->k", block.s, block.loss.curvature(here, block.y))
            above[block.tasks] = np.einsum("km,km->k", block.s, block.loss.majorant(here, block.y))
        return own, above

    def _point(self, W: Array, b: Array, state: list[Array]) -> Point:
        losses = np.zeros(self.shape[0])
        for block, eta in zip(self.blocks, state, strict=True):
            losses[block.tasks] = np.einsum("km,km->k", block.s, block.loss.value(eta, block.y))
        return Point(W, b, state, losses)


def _bucket(block: Block, a: Array, mixed: Array, inverse: Array) -> Bucket:
    """Forms sum_i a_i (x_i - mean)(x_i - mean)', the mean 0 where `inverse` is; few rows are kept as rows."""
    _, m, d = block.x.shape
    one = np.ones(len(a))
    thin = d > THIN and m < d / 2
    if thin and isinstance(block.x, SparseRows):
        # Each row has its 1 in `left`: the mean goes to the right of it.
        held = block.x.weighted(np.sqrt(a))
        held = replace(held, right=held.right - (mixed * inverse[:, None])[:, None, :])
        return SparseBucket(block.tasks, one, held=held)
    if thin and not isinstance(block.x, SparseRows):
        return Bucket(
            block.tasks, one, rows=(block.x - (mixed * inverse[:, None])[:, None, :]) * np.sqrt(a)[:, :, None]
        )
    gram = grams(block.x, a)
    whole = np.einsum("kdd->kd", gram).copy()
    gram -= mixed[:, :, None] * (mixed * inverse[:, None])[:, None, :]
    varies = np.einsum("kdd->kd", gram) > ROUNDING * whole
    if not varies.all():
        gram *= varies[:, :, None] & varies[:, None, :]
    return Bucket(block.tasks, one, gram=gram)


def merged(buckets: list[Bucket]) -> tuple[Bucket, ...]:
    """One bucket of all Grams, in the order of tasks, and the buckets of rows."""
    grams = [bucket for bucket in buckets if bucket.gram is not None]
    thin = [bucket for bucket in buckets if bucket.gram is None]
    if len(grams) > 1:
        tasks = np.concatenate([bucket.tasks for bucket in grams])
        order = np.argsort(tasks)
        grams = [Bucket(tasks[order], np.ones(len(tasks)), gram=np.concatenate([g.base for g in grams])[order])]
    return (*grams, *thin)
