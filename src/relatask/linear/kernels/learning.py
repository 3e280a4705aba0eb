"""Task covariance, noise and kernel parameters that maximise the marginal likelihood: L-BFGS from several starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.base import clone

from relatask.linear.kernels.evidence import Evidence, Slopes
from relatask.linear.kernels.features import FeatureKernel
from relatask.linear.sums.forms import Array
from relatask.notices import InputError

LEAST, MOST = np.log(1e-8), np.log(1e4)
"""Bounds of logarithms of variances, for labels of variance 1."""
MANY, MEMORY = 100, 30
"""Beyond so many unknowns L-BFGS remembers more steps: 458 evaluations instead of 586 for the schools' covariance."""


@dataclass(frozen=True, eq=False)
class Form:
    """What is learned, and how it lies in a vector.

    Attributes
    ----------
    given : (t, t) a task kernel known up to its size, or None for B B' + diag(kappa).
    rank : columns of B.
    relative : (t,) noise variances known up to their size, or None for one a task.
    n_tasks : t.
    n_kernel : parameters of the kernel of rows.
    """

    given: Array | None
    rank: int
    relative: Array | None
    n_tasks: int
    n_kernel: int

    def unpacked(self, point: Array) -> tuple[Array, Array, Array]:
        """T (t, t), noise (t,), and the kernel's parameters."""
        t, r = self.n_tasks, self.rank
        if self.given is not None:
            between, rest = np.exp(point[0]) * self.given, point[1:]
        else:
            B, kappa, rest = point[: t * r].reshape(t, r), np.exp(point[t * r : t * (r + 1)]), point[t * (r + 1) :]
            between = B @ B.T + np.diag(kappa)
        if self.relative is not None:
            return between, np.exp(rest[0]) * self.relative, rest[1:]
        return between, np.exp(rest[:t]), rest[t:]

    def gradient(self, point: Array, slopes: Slopes) -> Array:
        """By the vector's entries."""
        t, r = self.n_tasks, self.rank
        between, noise, _ = self.unpacked(point)
        if self.given is not None:
            tasks = np.array([np.vdot(slopes.between, between)])
        else:
            B, kappa = point[: t * r].reshape(t, r), np.exp(point[t * r : t * (r + 1)])
            tasks = np.concatenate([2 * (slopes.between @ B).ravel(), np.diagonal(slopes.between) * kappa])
        own = slopes.noise * noise
        return np.concatenate([tasks, own if self.relative is None else own.sum(keepdims=True), slopes.kernel])

    def start(self, similarity: Array, size: float, theta: Array, attempt: int, seed: int) -> Array:
        """A point to begin at, for labels of variance 1 and a kernel of this mean diagonal.

        The first takes half of each variance for noise and the leading directions of the labels' similarity; the next
        are random; every third begins with tasks apart.
        """
        t, r = self.n_tasks, self.rank
        rng = np.random.default_rng((seed, attempt))
        if self.given is not None:
            mean = max(float(np.diagonal(self.given).mean()), 1e-300)
            share = (0.5, 0.9, 0.1)[attempt % 3]
            tasks = np.array([np.log(share / (size * mean))])
        else:
            share = 0.5
            values, basis = np.linalg.eigh(similarity)
            B = basis[:, ::-1][:, :r] * np.sqrt(np.maximum(values[::-1][:r], 0.0) + 0.01)
            B *= np.where(B.sum(0) < 0, -1.0, 1.0)
            if attempt % 3:
                B = rng.standard_normal((t, r)) * (0.5 if attempt % 3 == 1 else 0.05)
            kappa = np.full(t, np.log(0.25 / size))
            tasks = np.concatenate([(B * np.sqrt(0.5 / size)).ravel(), kappa])
        noise = np.full(t if self.relative is None else 1, np.log(1 - share))
        if self.relative is not None:
            noise -= np.log(self.relative.mean())
        return np.concatenate([tasks, noise, theta])

    def bounds(self, size: float, theta: Array) -> list[tuple[float, float]]:
        """Of each entry."""
        t, r = self.n_tasks, self.rank
        shift = -np.log(size)
        loads = float(np.exp((MOST + shift) / 2))
        scales = (LEAST + shift, MOST + shift)
        if self.given is not None:
            mean = np.log(max(float(np.diagonal(self.given).mean()), 1e-300))
            tasks = [(scales[0] - mean, scales[1] - mean)]
        else:
            tasks = [(-loads, loads)] * (t * r) + [scales] * t
        if self.relative is None:
            return [*tasks, *[(LEAST, MOST)] * t, *map(tuple, theta)]
        middle = float(np.log(self.relative.mean()))
        return [*tasks, (LEAST - middle, MOST - middle), *map(tuple, theta)]


@dataclass(frozen=True, eq=False)
class Learned:
    """What maximises the marginal likelihood: T, noise variances (t,), the kernel, and the value of every start."""

    between: Array
    noise: Array
    kernel: FeatureKernel
    values: Array
    n_iter: int
    converged: bool


def learn(
    evidence: Evidence,
    form: Form,
    kernel: FeatureKernel,
    X: Array,
    similarity: Array,
    *,
    n_starts: int,
    seed: int,
    max_iter: int,
    fixed: Array | None = None,
) -> Learned:
    """Maximise the evidence of labels of variance near 1.

    Parameters
    ----------
    evidence, form, kernel
        The likelihood, what of it is learned, and the kernel between rows.
    X : (n, d)
        The rows.
    similarity : (t, t)
        Correlations of the tasks' labels, as far as they are known.
    n_starts, seed, max_iter
        Of L-BFGS.
    fixed : (n, n), optional
        The kernel's matrix, where it has nothing to learn.
    """
    object_ = clone(kernel.kind) if form.n_kernel else None
    matrix = fixed if fixed is not None else object_(X)  # type: ignore[misc]
    size = float(np.diagonal(matrix).mean()) or 1.0

    def negative(point: Array) -> tuple[float, Array]:
        between, noise, theta = form.unpacked(point)
        at: tuple[Any, Any] = (matrix, None)
        if object_ is not None:
            at = object_.clone_with_theta(theta)(X, eval_gradient=True)
        try:
            slopes = evidence(between, noise, *at)
        except (np.linalg.LinAlgError, InputError):  # noise of 1e-8 beside a kernel near singular, or indefinite
            return 1e25, np.zeros_like(point)
        return -slopes.value, -form.gradient(point, slopes)

    theta = np.zeros(0) if object_ is None else object_.theta
    limits = np.zeros((0, 2)) if object_ is None else object_.bounds
    ends = []
    for attempt in range(n_starts):
        start = form.start(similarity, size, theta, attempt, seed)
        bounds = form.bounds(size, limits)
        start = np.clip(start, [b[0] for b in bounds], [b[1] for b in bounds])
        memory = MEMORY if len(start) > MANY else 10
        options: Any = {"maxiter": max_iter, "maxfun": 2 * max_iter, "ftol": 1e-8, "gtol": 1e-5, "maxcor": memory}
        ends.append(minimize(negative, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options))
    values = np.array([-end.fun for end in ends])
    best = ends[int(values.argmax())]
    between, noise, theta = form.unpacked(best.x)
    found = kernel if object_ is None else replace(kernel, kind=object_.clone_with_theta(theta))
    return Learned(between, noise, found, values, int(sum(end.nit for end in ends)), best.status != 1)
