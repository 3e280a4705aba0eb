"""The search for the covariance of a hierarchical prior: its free numbers, and their best values by L-BFGS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from relatask.linear.forms import Array
from relatask.linear.marginal import Marginal, Point

NOISE_ROWS = 2.0
"""What the prior that holds the tasks' own noise variances together is worth, in rows a task."""

MEMORY = 20
"""Pairs of steps and gradients that the quasi-Newton method keeps."""


@dataclass(frozen=True, eq=False)
class Shape:
    """How free numbers make a root of the prior's covariance: a whole matrix, or a diagonal of few values.

    Attributes
    ----------
    kind : "full", "diagonal" or "isotropic".
    size : r.
    groups : (r,) which free number each diagonal entry is; None for a whole matrix.
    start : the free numbers at the start, whose effects explain about as much as the noise.
    """

    kind: str
    size: int
    groups: NDArray[np.intp] | None
    start: Array

    @property
    def n_variances(self) -> int:
        """How many variances and covariances are free."""
        return self.size * (self.size + 1) // 2 if self.groups is None else len(self.start)

    def root(self, free: Array) -> Array:
        """T (r, r), S = T T'."""
        return free.reshape(self.size, self.size) if self.groups is None else np.diag(free[self.groups])

    def gradient(self, root: Array, gradient: Array) -> Array:
        """From the gradient in S to that in the free numbers."""
        whole = 2 * gradient @ root
        if self.groups is None:
            return whole.ravel()
        return np.bincount(self.groups, np.diagonal(whole), minlength=len(self.start)).astype(np.float64)

    def change(self, root: Array, gradient: Array, n_tasks: int) -> float:
        """How much one step of EM would change S, relative to S."""
        step = 2 * root.T @ gradient @ root / n_tasks
        if self.groups is None:
            return float(np.linalg.norm(step))
        mean = np.bincount(self.groups, np.diagonal(step)) / np.maximum(np.bincount(self.groups), 1)
        return float(np.linalg.norm(mean))


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where a search for the best covariance ended."""

    shape: Shape
    marginal: Marginal
    root: Array
    ratio: Array | None
    point: Point
    history: Array
    residual: float


def maximise(marginal: Marginal, shape: Shape, *, own_noise: bool, tol: float, max_iter: int) -> Optimum:
    """Maximise the likelihood (and the prior of the noise ratios) over the free numbers, by L-BFGS.

    Parameters
    ----------
    marginal : Marginal
        The likelihood.
    shape : Shape
        Of the covariance.
    own_noise : bool
        Whether each task has its own noise ratio.
    tol : float
        For `Optimum.residual`.
    max_iter : int
        At most so many iterations.
    """
    t, own = marginal.n_tasks, own_noise and marginal.n_tasks > 1
    n_free = len(shape.start)
    count = np.zeros(t)
    for r in marginal.rows:
        count[r.tasks] = r.count

    def at(x: Array) -> tuple[float, Array, float, Point]:
        root = shape.root(x[:n_free] * shape.start if shape.groups is not None else x[:n_free])
        ratio = np.exp(x[n_free:]) if own else None
        point = marginal.at(root, ratio)
        value, slope = point.value, shape.gradient(root, point.gradient)
        if shape.groups is not None:
            slope = slope * shape.start
        change = shape.change(root, point.gradient, t)
        if ratio is not None:
            held, pull = _held(ratio)
            value += held
            noise = point.noise_gradient + pull
            slope = np.concatenate([slope, noise])
            change = float(np.hypot(change, np.linalg.norm(2 * noise / (count + NOISE_ROWS)) / np.sqrt(t)))
        return value, slope, change, point

    x = np.concatenate([shape.start if shape.groups is None else np.ones(n_free), np.zeros(t if own else 0)])
    last = (x, at(x))
    history = [last[1][0]]

    def objective(x: Array) -> tuple[float, Array]:
        nonlocal last
        last = (x.copy(), at(x))
        return -last[1][0] / t, -last[1][1] / t

    def watch(intermediate_result: OptimizeResult) -> None:
        nonlocal last
        if not np.array_equal(intermediate_result.x, last[0]):
            last = (intermediate_result.x.copy(), at(intermediate_result.x))
        history.append(last[1][0])
        if last[1][2] <= tol:
            raise StopIteration

    if len(x) and last[1][2] > tol:
        options = {"maxcor": MEMORY, "maxiter": max_iter, "maxfun": 20 * max_iter, "ftol": 0.0, "gtol": 0.0}
        end = minimize(objective, x, jac=True, method="L-BFGS-B", callback=watch, options=options)
        if not np.array_equal(end.x, last[0]):
            last = (end.x, at(end.x))
    x, (_, _, change, point) = last
    root = shape.root(x[:n_free] * shape.start if shape.groups is not None else x[:n_free])
    ratio = np.exp(x[n_free:]) if own else None
    return Optimum(shape, marginal, root, ratio, point, np.array(history), change)


def _held(ratio: Array) -> tuple[float, Array]:
    """Log density that holds noise ratios together, about their harmonic mean, and its gradient in their logarithms."""
    precision = 1 / ratio
    total = precision.sum()
    value = 0.5 * NOISE_ROWS * float(len(ratio) * np.log(len(ratio) / total) - np.log(ratio).sum())
    return value, 0.5 * NOISE_ROWS * (len(ratio) * precision / total - 1)


def criterion(found: Optimum) -> float:
    """Bayesian information criterion; tasks are what variances are learned from (Delattre, Lavielle, Poursat 2014)."""
    return -2 * found.point.value + found.shape.n_variances * float(np.log(found.marginal.n_tasks))
