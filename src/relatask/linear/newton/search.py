"""A point on Newton's way, and the line search to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from relatask.linear.newton.local import DataTerm, Point, Slopes
from relatask.linear.newton.penalty import Penalty, Pieces
from relatask.linear.solvers.auto import Start
from relatask.linear.sums.forms import Array

ARMIJO = 1e-4
HALVINGS = 40
SLACK = 1e-14
"""A rise of the objective by this share of it is rounding."""
LOOSE, TIGHT = 1e-3, 1e-11
"""Relative gaps to which inner problems are solved, at most and at least."""


@dataclass(frozen=True, eq=False)
class Progress:
    """A point, its objective, the relation's components there, and how far the inner solver has to go."""

    point: Point
    pieces: Pieces
    value: float
    inner: Start | None = None
    inner_tol: float = LOOSE
    damp: float = 0.0


def search(
    data: DataTerm,
    part: Penalty,
    now: Progress,
    slopes: Slopes,
    D: Array,
    e: Array,
    pieces: Callable[[float], Pieces],
) -> tuple[Progress, float] | None:
    """The first of 1, 1/2, 1/4, ... at which the objective falls as it should (Tseng and Yun 2009), or None."""
    if not (np.isfinite(D).all() and np.isfinite(e).all()):
        return None
    W = now.point.W
    before = part.value(W, now.pieces)
    promise = float(np.vdot(slopes.W, D)) + float(np.vdot(slopes.b, e)) + part.value(W + D, pieces(1.0)) - before
    slack = SLACK * (abs(now.value) + abs(before))
    if promise > slack:
        return None
    ray = data.ray(now.point, D, e)
    alpha = 1.0
    for _ in range(HALVINGS):
        point = ray(alpha)
        ends = pieces(alpha)
        value = point.value + part.value(point.W, ends)
        if value <= now.value + ARMIJO * alpha * promise + slack:
            return Progress(point, ends, value, now.inner, now.inner_tol), alpha
        alpha *= 0.5
    return None


def between(start: Pieces, end: Pieces) -> Callable[[float], Pieces]:
    """Components along the way from one point to another."""

    def at(alpha: float) -> Pieces:
        if alpha == 1.0:
            return end
        return tuple(
            tuple(a + alpha * (b - a) for a, b in zip(first, last, strict=True))
            for first, last in zip(start, end, strict=True)
        )

    return at


def damped(after: Progress, alpha: float, damp: float) -> Progress:
    """Towards the loss's majorant where the full step went too far, back to its own curvature where it did not."""
    if alpha < 0.5:
        damp = min(1.0, max(10 * damp, 0.01))
    elif alpha == 1.0:
        damp = 0.1 * damp if damp > 1e-3 else 0.0
    return replace(after, damp=damp)


def promised(point: Point, slopes: Slopes, D: Array, e: Array) -> float:
    """The largest share of its loss that the quadratic model promises a task."""
    promise = -0.5 * (np.einsum("td,td->t", slopes.W, D) + np.einsum("tq,tq->t", slopes.b, e))
    return float(np.divide(promise, point.losses, out=np.zeros(len(promise)), where=point.losses > 0).max(initial=0.0))
