"""Several classes: a task's coefficients of all classes side by side, W (t, C p), and the relation on each class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax, xlogy

from relatask.linear.losses import Multinomial
from relatask.linear.losses.labels import EDGE
from relatask.linear.newton.class_forms import class_bucket
from relatask.linear.newton.local import Local, Point, Slopes
from relatask.linear.newton.prepare import Prepared, Rows
from relatask.linear.newton.products import back, forward
from relatask.linear.newton.rows import merged
from relatask.linear.sums.forms import Array, Forms

BALANCE = 60
BALANCED = 1e-14
RANK = 1e-10
"""Eigenvalues of a task's (C, C) curvature in the intercepts below this share of the largest are none."""


@dataclass(frozen=True, eq=False)
class ClassTerm:
    """sum_k c_k sum_i s_i (log sum_c exp(eta_ic) - eta_iy), eta_ic = x_i w_kc + b_kc.

    Attributes
    ----------
    rows : blocks, the weights times c_k.
    hot : for every block (k, m, C), 1 at the label's class.
    start : (t, C) intercepts at W = 0.
    held : (t, C) intercepts that stay where they are.
    """

    rows: tuple[Rows, ...]
    hot: tuple[Array, ...]
    mode: str
    start: Array
    held: NDArray[np.bool_]
    features: int
    endless: bool = True

    @property
    def shape(self) -> tuple[int, int]:
        """(t, C p)."""
        return len(self.start), self.start.shape[1] * self.features

    def zero(self) -> Point:
        """W = 0, intercepts at their best."""
        return self.at(np.zeros(self.shape), self.start)

    def at(self, W: Array, b: Array) -> Point:
        """Some other point."""
        return self._point(W, b, [eta + b[rows.tasks][:, None, :] for rows, eta in self._predicted(W)])

    def slopes(self, point: Point) -> Slopes:
        """The gradient; of the rows, the probabilities."""
        t, n_classes = self.start.shape
        g, slope, kept = np.zeros((t, n_classes, self.features)), np.zeros((t, n_classes)), []
        for rows, hot, eta in zip(self.rows, self.hot, point.state, strict=True):
            p = softmax(eta, axis=2)
            v = rows.s[:, :, None] * (p - hot)
            g[rows.tasks] = back(rows.x, v.swapaxes(1, 2))
            slope[rows.tasks] = v.sum(1)
            kept.append(p)
        return Slopes(g.reshape(self.shape), slope, kept)

    def open_slopes(self, slopes: Slopes) -> Array:
        """The slopes of the intercepts that can move."""
        if self.mode == "none":
            return np.zeros_like(slopes.b)
        moving = np.where(self.held, 0.0, slopes.b)
        return moving.sum(0, keepdims=True) if self.mode == "common" else moving

    def local(self, point: Point, slopes: Slopes, damp: float) -> Local:
        """The quadratic model, all classes together, between diag(p) - p p' and 1/2 (I - 1 1' / C) (Boehning 1992).

        Common intercepts are not eliminated: they follow the step.
        """
        (t, n_classes), q = self.start.shape, self.features
        mixed, w = np.zeros((t, n_classes, q, n_classes)), np.zeros((t, n_classes, n_classes))
        curvatures = []
        for rows, p in zip(self.rows, slopes.rows, strict=True):
            h = _curvature(p, damp) * rows.s[:, :, None, None]
            curvatures.append(h)
            for a in range(n_classes):
                mixed[rows.tasks, a] = back(rows.x, h[:, :, a].swapaxes(1, 2)).swapaxes(1, 2)
            w[rows.tasks] = h.sum(1)
        M: Array = mixed.reshape(t, n_classes * q, n_classes)
        if self.mode == "none":
            return Local(self._forms(curvatures, None, None), None, slopes.W, lambda D: np.zeros((t, n_classes)))
        loose = np.where(self.held, 0.0, 1.0)
        M, slope = M * loose[:, None, :], slopes.b * loose
        w = w * loose[:, :, None] * loose[:, None, :]
        if self.mode == "common":
            every_w, pull = w.sum(0), slope.sum(0)
            inverse = np.linalg.pinv(every_w, rcond=RANK, hermitian=True)

            def together(D: Array) -> Array:
                step = -inverse @ (pull + np.einsum("td,tdc->c", D, M))
                return np.repeat(step[None], t, axis=0)

            return Local(self._forms(curvatures, None, None), None, slopes.W, together, (M, every_w, pull))
        inverses = np.linalg.pinv(w, rcond=RANK, hermitian=True)
        followed = M @ inverses

        def own(D: Array) -> Array:
            return -np.einsum("tab,tb->ta", inverses, slope) - np.einsum("td,tdc->tc", D, followed)

        forms = self._forms(curvatures, M, followed)
        return Local(forms, None, slopes.W - np.einsum("tdc,tc->td", followed, slope), own)

    def ray(self, point: Point, D: Array, e: Array) -> Callable[[float], Point]:
        """Points along a direction."""
        steps = [step + e[rows.tasks][:, None, :] for rows, step in self._predicted(D)]

        def at(alpha: float) -> Point:
            state = [eta + alpha * step for eta, step in zip(point.state, steps, strict=True)]
            return self._point(point.W + alpha * D, point.b + alpha * e, state)

        return at

    def balanced(self, point: Point) -> Point:
        """The point with the intercepts at their best: Newton steps, halved for tasks whose loss would rise."""
        if self.mode == "none" or self.held.all():
            return point
        t, n_classes = self.start.shape
        group = np.zeros(t, dtype=np.intp) if self.mode == "common" else np.arange(t)
        for _ in range(BALANCE):
            w, slope, size = np.zeros((t, n_classes, n_classes)), np.zeros((t, n_classes)), np.zeros(t)
            for rows, hot, eta in zip(self.rows, self.hot, point.state, strict=True):
                p = softmax(eta, axis=2)
                v = rows.s[:, :, None] * (p - hot)
                np.add.at(slope, group[rows.tasks], v.sum(1))
                np.add.at(size, group[rows.tasks], np.abs(v).sum((1, 2)))
                own = -(p * rows.s[:, :, None]).swapaxes(1, 2) @ p
                own[:, np.arange(n_classes), np.arange(n_classes)] += (rows.s[:, :, None] * p).sum(1)
                np.add.at(w, group[rows.tasks], own)
            loose = np.where(self.held, 0.0, 1.0)
            slope = slope * loose
            off = np.abs(slope).max(1) > BALANCED * size
            if not off.any():
                break
            w = w * loose[:, :, None] * loose[:, None, :]
            inverses = np.linalg.pinv(w, rcond=RANK, hermitian=True)
            step = -np.einsum("tab,tb->ta", inverses, slope) * off[:, None]
            nearer = self._shorter(point, step, group)
            if nearer is None:
                break
            point = nearer
        return point

    def extrapolated(self, point: Point, slopes: Slopes, D: Array, e: Array) -> Slopes:
        """The slopes that the quadratic model has after a step."""
        t, n_classes = self.start.shape
        g, slope, kept = np.zeros((t, n_classes, self.features)), np.zeros((t, n_classes)), []
        for (rows, step), hot, p in zip(self._predicted(D), self.hot, slopes.rows, strict=True):
            step = step + e[rows.tasks][:, None, :]
            after = p + p * (step - (p * step).sum(2, keepdims=True))
            v = rows.s[:, :, None] * (after - hot)
            g[rows.tasks], slope[rows.tasks] = back(rows.x, v.swapaxes(1, 2)), v.sum(1)
            kept.append(after)
        return Slopes(g.reshape(self.shape), slope, kept)

    def allowed(self, slopes: Slopes) -> float:
        """1: no factor helps a negative probability."""
        return 1.0

    def dual(self, point: Point, slopes: Slopes, factor: float) -> float:
        """Minus the conjugate: the entropy of the probabilities, moved towards the labels."""
        total = 0.0
        for rows, hot, p in zip(self.rows, self.hot, slopes.rows, strict=True):
            v = factor * p + (1 - factor) * hot
            if (v[rows.s > 0] < 0).any():
                return -np.inf
            v = np.maximum(v, 0.0)
            total -= float(np.vdot(rows.s, xlogy(v, v).sum(2)))
        held = self.held & (self.mode != "none")
        return total + factor * float(np.vdot(slopes.b[held], point.b[held]))

    def _shorter(self, point: Point, step: Array, group: NDArray[np.intp]) -> Point | None:
        """The point after a step of the intercepts, halved where the loss would rise; None where none helps."""
        t = len(group)
        before = np.bincount(group, point.losses, minlength=t)
        for _ in range(30):
            e = step[group]
            state = [eta + e[rows.tasks][:, None, :] for rows, eta in zip(self.rows, point.state, strict=True)]
            after = self._point(point.W, point.b + e, state)
            rises = np.bincount(group, after.losses, minlength=t) > before * (1 + 1e-15)
            if not rises.any():
                return after
            step = np.where(rises[:, None], 0.5 * step, step)
        return None

    def _forms(self, curvatures: Sequence[Array], mixed: Array | None, followed: Array | None) -> Forms:
        """Forms under (k, m, C, C) curvatures of the rows, less followed mixed' of eliminated intercepts."""
        buckets = [
            class_bucket(
                rows.tasks,
                rows.x,
                h,
                None if mixed is None else mixed[rows.tasks],
                None if followed is None else followed[rows.tasks],
            )
            for rows, h in zip(self.rows, curvatures, strict=True)
        ]
        return Forms(merged(buckets), *self.shape)

    def _predicted(self, W: Array) -> list[tuple[Rows, Array]]:
        own = W.reshape(len(W), -1, self.features)
        return [(rows, forward(rows.x, own[rows.tasks])) for rows in self.rows]

    def _point(self, W: Array, b: Array, state: list[Array]) -> Point:
        losses = np.zeros(len(W))
        for rows, hot, eta in zip(self.rows, self.hot, state, strict=True):
            top = eta.max(2)
            value = top + np.log(np.exp(eta - top[:, :, None]).sum(2)) - (eta * hot).sum(2)
            losses[rows.tasks] = np.einsum("km,km->k", rows.s, value)
        return Point(W, b, state, losses)


def class_term(shape: Prepared, loss: Multinomial) -> ClassTerm:
    """The data term of `Multinomial`."""
    t, p = shape.shape
    counts = np.zeros((t, loss.n_classes))
    blocks, hots = [], []
    for rows in shape.rows:
        loss.check(rows.y[rows.s > 0])
        s = rows.s * shape.c[rows.tasks][:, None]
        hot = (rows.y[:, :, None] == np.arange(loss.n_classes)).astype(np.float64)
        counts[rows.tasks] = (s[:, :, None] * hot).sum(1)
        blocks.append(Rows(rows.tasks, rows.x, rows.y, s))
        hots.append(hot)
    mode = shape.mode
    if mode == "common":
        counts = np.repeat(counts.sum(0, keepdims=True), t, axis=0)
    if mode == "none":
        return ClassTerm(tuple(blocks), tuple(hots), mode, np.zeros_like(counts), np.zeros(counts.shape, bool), p)
    held = counts == 0
    # A task of one class has nothing to choose.
    held[(~held).sum(1) <= 1] = True
    total = counts.sum(1, keepdims=True)
    share = counts / np.where(total > 0, total, 1.0)
    start = np.where(share > 0, np.log(np.where(share > 0, share, 1.0)), np.where(total > 0, -EDGE, 0.0))
    return ClassTerm(tuple(blocks), tuple(hots), mode, start, held, p)


def _curvature(p: Array, damp: float) -> Array:
    """(k, m, C, C) between diag(p) - p p' and 1/2 (I - 1 1' / C), for p (k, m, C)."""
    n_classes = p.shape[2]
    # Not p - p p: of a chance near 1 that leaves rounding only.
    own = p[:, :, :, None] * (np.eye(n_classes) - p[:, :, None, :])
    return np.asarray((1 - damp) * own + damp * 0.5 * (np.eye(n_classes) - 1 / n_classes))
