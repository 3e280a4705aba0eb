"""The search for the covariance of a hierarchical prior: its free numbers, and their best values by L-BFGS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from relatask.linear.prior.marginal import Marginal, Point
from relatask.linear.sums.forms import Array

NOISE_ROWS = 2.0
"""What the prior that holds the tasks' own noise variances together is worth, in rows a task."""

MEMORY = 20
"""Pairs of steps and gradients that the quasi-Newton method keeps."""

FAR = 30.0
"""Logarithms of noise ratios stay within this of the start's."""


SADDLE = 0.01
"""Where S is 0 in a direction, the likelihood may rise by this much a task (and start's variance) untried."""

TRIES = 4
"""Searches at most, each from where the last one ended and a little to the side."""


@dataclass(frozen=True, eq=False)
class Shape:
    """How free numbers make a root of the prior's covariance: a whole matrix, or a diagonal of few values.

    Attributes
    ----------
    kind : "full", "diagonal" or "isotropic".
    scale : (r,) or (groups,) standard deviations to start from: effects that explain about as much as the noise.
    groups : (r,) which scale each diagonal entry has; None for a whole matrix. A matrix is its own free numbers, a
        diagonal has its entries, over half the scale, so that a first step of length 1 ends at no saddle.
    """

    kind: str
    scale: Array
    groups: NDArray[np.intp] | None

    @property
    def size(self) -> int:
        """r."""
        return len(self.scale if self.groups is None else self.groups)

    @property
    def n_variances(self) -> int:
        """How many variances and covariances are free."""
        return self.size * (self.size + 1) // 2 if self.groups is None else len(self.scale)

    @property
    def start(self) -> Array:
        """The free numbers at the start."""
        return np.diag(self.scale).ravel() if self.groups is None else np.full(len(self.scale), 2.0)

    def root(self, free: Array) -> Array:
        """T (r, r), S = T T'."""
        if self.groups is None:
            return free.reshape(self.size, self.size)
        return np.diag((free * self.scale / 2)[self.groups])

    def free(self, root: Array) -> Array:
        """The free numbers of a root, as `root` has them."""
        if self.groups is None:
            return root.ravel()
        first = np.unique(self.groups, return_index=True)[1]
        return np.asarray(2 * np.diagonal(root)[first] / self.scale)

    def gradient(self, root: Array, gradient: Array) -> Array:
        """From the gradient in S to that in the free numbers."""
        whole = 2 * gradient @ root
        return whole.ravel() if self.groups is None else self._grouped(np.diagonal(whole)) * self.scale / 2

    def change(self, root: Array, gradient: Array, n_tasks: int) -> float:
        """How much one step of EM would change S, relative to S."""
        step = 2 * root.T @ gradient @ root / n_tasks
        if self.groups is not None:
            step = self._grouped(np.diagonal(step)) / np.bincount(self.groups, minlength=len(self.scale))
        return float(np.linalg.norm(step))

    def rising(self, free: Array, gradient: Array, n_tasks: int) -> Array | None:
        """Free numbers a little to the side, where the likelihood rises in a direction in which S is 0."""
        if self.groups is None:
            values, vectors = np.linalg.eigh(2 * gradient * np.multiply.outer(self.scale, self.scale) / n_tasks)
            if values[-1] <= SADDLE:
                return None
            side = 0.1 * self.scale * vectors[:, -1]
            return free + np.multiply.outer(side, vectors[:, -1]).ravel()
        slope = 2 * self._grouped(np.diagonal(gradient)) * self.scale**2 / n_tasks
        at_zero = (slope > SADDLE) & (np.abs(free) < 0.1)
        return np.where(at_zero, 0.1, free) if at_zero.any() else None

    def _grouped(self, values: Array) -> Array:
        return np.bincount(self.groups, values, minlength=len(self.scale)).astype(np.float64)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where a search for the best covariance ended; `history` is what was maximised, `residual` as in `PriorFit`."""

    shape: Shape
    marginal: Marginal
    root: Array
    ratio: Array | None
    point: Point
    history: Array
    residual: float


@dataclass(frozen=True, eq=False)
class Trial:
    """The objective at some free numbers x: its value, its gradient, and what a step of EM would change."""

    x: Array
    root: Array
    ratio: Array | None
    point: Point
    value: float
    slope: Array
    change: float


def maximise(marginal: Marginal, shape: Shape, *, own_noise: bool, tol: float, max_iter: int) -> Optimum:
    """Maximise the likelihood (and the prior of the noise ratios) over the free numbers, by L-BFGS.

    Parameters
    ----------
    marginal : Marginal
        The likelihood.
    shape : Shape
        Of the covariance.
    own_noise : bool
        Whether each task has its own noise ratio; its logarithm is a free number then.
    tol : float
        For `Optimum.residual`.
    max_iter : int
        At most so many iterations.
    """
    n_free = len(shape.start)
    last = trial = _tried(marginal, shape, np.concatenate([shape.start, np.zeros(marginal.n_tasks * own_noise)]))
    history = [last.value]

    def at(x: Array) -> Trial:
        nonlocal last
        if not np.array_equal(x, last.x):
            last = _tried(marginal, shape, x.copy())
        return last

    def objective(x: Array) -> tuple[float, Array]:
        here = at(x)
        return -here.value / marginal.n_tasks, -here.slope / marginal.n_tasks

    def watch(intermediate_result: OptimizeResult) -> None:
        history.append(at(intermediate_result.x).value)
        if last.change <= tol:
            raise StopIteration

    bounds = np.full((len(trial.x), 2), [-FAR, FAR])
    bounds[:n_free] = [-np.inf, np.inf]
    for _ in range(TRIES):
        if trial.change > tol and len(history) <= max_iter:
            options = {"maxcor": MEMORY, "maxiter": max_iter + 1 - len(history), "ftol": 0.0, "gtol": 0.0}
            options["maxfun"] = 20 * max_iter
            end = minimize(  # type: ignore[call-overload]
                objective, trial.x, jac=True, method="L-BFGS-B", bounds=bounds, callback=watch, options=options
            )
            trial = at(end.x)
        aside = shape.rising(trial.x[:n_free], trial.point.gradient, marginal.n_tasks) if n_free else None
        if aside is None:
            break
        moved = at(np.concatenate([aside, trial.x[n_free:]]))
        if moved.value <= trial.value:
            break
        trial = moved
        history.append(trial.value)
    return Optimum(shape, marginal, trial.root, trial.ratio, trial.point, np.array(history), trial.change)


def _tried(marginal: Marginal, shape: Shape, x: Array) -> Trial:
    n_free = len(shape.start)
    root, ratio = shape.root(x[:n_free]), np.exp(x[n_free:]) if len(x) > n_free else None
    point = marginal.at(root, ratio)
    change = shape.change(root, point.gradient, marginal.n_tasks)
    slope = shape.gradient(root, point.gradient)
    if ratio is None:
        return Trial(x, root, ratio, point, point.value, slope, change)
    held, pull = _held(ratio)
    noise = point.noise_gradient + pull
    count = np.zeros(len(ratio))
    for r in marginal.rows:
        count[r.tasks] = r.count
    change = float(np.hypot(change, np.sqrt(np.mean(np.square(2 * noise / (count + NOISE_ROWS))))))
    return Trial(x, root, ratio, point, point.value + held, np.concatenate([slope, noise]), change)


def _held(ratio: Array) -> tuple[float, Array]:
    """Log density that holds noise ratios together, about their harmonic mean, and its gradient in their logarithms."""
    precision = 1 / ratio
    total = precision.sum()
    value = 0.5 * NOISE_ROWS * float(len(ratio) * np.log(len(ratio) / total) - np.log(ratio).sum())
    return value, 0.5 * NOISE_ROWS * (len(ratio) * precision / total - 1)


def criterion(found: Optimum) -> float:
    """Bayesian information criterion; tasks are what variances are learned from (Delattre, Lavielle, Poursat 2014)."""
    return -2 * found.point.value + found.shape.n_variances * float(np.log(found.marginal.n_tasks))
