"""Sparse problems in every layout that a solver meets, with the rows that an oracle needs."""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy as cp
import numpy as np

from relatask.linear.problem import Problem
from relatask.linear.solvers.working_sets import SparsePenalty
from relatask.linear.sums.forms import Bucket, Forms

LAYOUTS = ("shared", "holes", "own", "gram", "shared gram", "mixed")


@dataclass(frozen=True, eq=False)
class Rows:
    """X_k, y_k and loss weights c_k of every task; `common` where one intercept is fitted for all."""

    X: list[np.ndarray]
    y: list[np.ndarray]
    c: np.ndarray
    problem: Problem
    common: bool


def rows(layout: str, seed: int, t: int, d: int, n: int, *, common: bool = False, noise: float = 0.5) -> Rows:
    """Tasks with weights of their own, on rows shared, shared with missing labels, own of two lengths, or Grams."""
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(d) < 0.3, rng.standard_normal((t, d)), 0.0)
    scale = rng.uniform(0.5, 2.0, t)
    everyone = rng.standard_normal((n, d)) * rng.uniform(0.5, 2.0, d)
    lengths = n + (np.arange(t) % 2) * 2
    if layout in ("shared", "shared gram"):
        X = [everyone] * t
    elif layout == "holes":
        X = [everyone[: n - k % 2] for k in range(t)]
    else:
        X = [rng.standard_normal((lengths[k], d)) for k in range(t)]
    y = [x @ w + noise * rng.standard_normal(len(x)) for x, w in zip(X, truth, strict=True)]
    buckets = []
    for kind in (0, 1):
        tasks = np.arange(t)[np.arange(t) % 2 == kind]
        if layout in ("shared", "shared gram"):
            tasks = np.arange(t if kind == 0 else 0)
        if not len(tasks):
            continue
        base = np.array([X[tasks[0]]] if layout in ("shared", "shared gram", "holes") else [X[k] for k in tasks])
        if layout in ("gram", "shared gram") or (layout == "mixed" and kind):
            buckets.append(Bucket(tasks, scale[tasks], gram=base.swapaxes(1, 2) @ base))
        else:
            buckets.append(Bucket(tasks, scale[tasks], rows=base))
    forms = Forms(tuple(buckets), t, d)
    cross = np.array([c * x.T @ v for c, x, v in zip(scale, X, y, strict=True)])
    constant = 0.5 * sum(c * v @ v for c, v in zip(scale, y, strict=True))
    coupling = None
    if common:
        weight = sum(c * len(v) for c, v in zip(scale, y, strict=True))
        means = np.array([c * x.sum(0) for c, x in zip(scale, X, strict=True)]) / np.sqrt(weight)
        total = sum(c * v.sum() for c, v in zip(scale, y, strict=True)) / np.sqrt(weight)
        coupling, cross, constant = means, cross - total * means, constant - 0.5 * total**2
    return Rows(X, y, scale, Problem(forms, cross, constant, coupling), common)


def optimum(data: Rows, penalty: SparsePenalty, tol: float = 1e-8) -> tuple[float, np.ndarray]:
    """The least objective, by an interior-point solver on the rows."""
    t, d = data.problem.shape
    W, b = cp.Variable((t, d)), cp.Variable()
    loss = sum(
        0.5 * c * cp.sum_squares(x @ W[k] + (b if data.common else 0) - v)
        for k, (x, v, c) in enumerate(zip(data.X, data.y, data.c, strict=True))
    )
    strength = penalty.strengths((t, d))
    if penalty.kind == "rows":
        norm = cp.sum(cp.multiply(strength[0], cp.norm(W, 2, axis=0)))
    else:
        norm = cp.sum(cp.multiply(strength, cp.abs(W)))
    size = data.problem.constant
    problem = cp.Problem(cp.Minimize((loss + norm + penalty.ridge / 2 * cp.sum_squares(W)) / size))
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=tol, tol_gap_rel=tol, tol_feas=tol)
    return float(problem.value) * size, W.value


def null_strength(problem: Problem, kind: str) -> float:
    """The least strength at which W = 0."""
    size = np.abs(problem.cross) if kind == "entries" else np.sqrt(np.square(problem.cross).sum(0))
    return float(size.max())


def value(data: Rows, penalty: SparsePenalty, W: np.ndarray) -> float:
    """The objective, from the rows."""
    residuals = [v - x @ w for x, v, w in zip(data.X, data.y, W, strict=True)]
    if data.common:
        weight = sum(c * len(r) for c, r in zip(data.c, residuals, strict=True))
        mean = sum(c * r.sum() for c, r in zip(data.c, residuals, strict=True)) / weight
        residuals = [r - mean for r in residuals]
    strength = penalty.strengths(W.shape)
    size = np.sqrt(np.square(W).sum(0)) if penalty.kind == "rows" else np.abs(W)
    loss = sum(0.5 * c * r @ r for c, r in zip(data.c, residuals, strict=True))
    return float(loss + np.sum(strength * size) + penalty.ridge / 2 * np.square(W).sum())
