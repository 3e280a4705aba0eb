"""Kernel models: two eigendecompositions, and preconditioned conjugate gradients, beside a dense Cholesky factor."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import linalg
from sklearn.metrics.pairwise import rbf_kernel

from relatask.data import load
from relatask.linear import MultiTaskKernelRidge

SHARED = (2_000, 100, 20)
"""(rows, tasks, features) of tasks on the same rows."""
OWN = 9_407
"""Rows of School, each of its own task."""
STRENGTHS = (1.0, 10.0)
"""Noise variances as multiples of the kernel's diagonal, 1."""


def shared() -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels (n, t) of smooth functions of five directions."""
    n, t, d = SHARED
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    W = rng.standard_normal((d, 5)) @ rng.standard_normal((5, t))
    return X, np.sin(X @ W / 5) + 0.5 * rng.standard_normal((n, t))


def task_kernel(t: int) -> np.ndarray:
    """Of rank five plus a diagonal."""
    factor = np.random.default_rng(1).standard_normal((t, 5))
    return factor @ factor.T / 5 + 0.3 * np.eye(t)


def school() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As many of School's rows, standardised, in the order of their tasks."""
    data = load("school")
    kept = np.random.default_rng(0).permutation(len(data.X))[:OWN]
    X, tasks = data.X[kept], np.unique(data.tasks[kept], return_inverse=True)[1]
    order = np.argsort(tasks, kind="stable")
    spread = X.std(0)
    X = ((X - X.mean(0)) / np.where(spread > 0, spread, 1.0))[order]
    return X, data.y[kept][order], tasks[order]


def seconds(work: Callable[[], Any], rounds: int = 2) -> float:
    """The least processor time of some rounds, after one that warms up."""
    best = float("inf")
    for round_ in range(rounds + 1):
        start = time.process_time()
        work()
        if round_:
            best = min(best, time.process_time() - start)
    return best


def report() -> Iterator[str]:
    """Processor seconds, and ratios to Cholesky factors taken in the same process."""
    warnings.simplefilter("ignore")
    yield from _shared()
    yield ""
    yield from _own()


def _shared() -> Iterator[str]:
    n, t, _ = SHARED
    X, Y = shared()
    size = 4_000
    matrix = rbf_kernel(np.random.default_rng(2).standard_normal((size, 5))) + np.eye(size)
    cholesky = seconds(lambda: linalg.cho_factor(matrix, check_finite=False), rounds=1)
    whole = cholesky * (n * t / size) ** 3
    yield f"## Tasks on the same rows: n={n} t={t}, N={n * t:,} labels"
    yield ""
    yield f"A dense Cholesky factor of {size:,} labels: {cholesky:.2f} s; of all, by the cube: {whole / 3600:.0f} h."
    yield ""
    yield "| fit | seconds | strengths tried | residual |"
    yield "|---|---|---|---|"
    T = task_kernel(t)
    for name, model in {
        "one strength": MultiTaskKernelRidge(T, strength=1e-3),
        "the path, generalised cross-validation": MultiTaskKernelRidge(T, criterion="gcv"),
        "the path, likelihood": MultiTaskKernelRidge(T, criterion="likelihood"),
        "the path, leave-one-out": MultiTaskKernelRidge(T),
        "the path, leave-one-out, one correlation": MultiTaskKernelRidge(0.5),
    }.items():
        taken = seconds(lambda m=model: m.fit(X, Y))
        tried = 1 if model.path_ is None else len(model.path_.strengths)
        yield f"| {name} | {taken:.2f} | {tried} | {model.residual_:.1e} |"


def _own() -> Iterator[str]:
    X, y, tasks = school()
    T = 0.5 * np.eye(tasks.max() + 1) + 0.5
    yield f"## Rows of their own: School, N={len(y):,}"
    yield ""
    yield "Cholesky: the kernel, its factor and one solve, without intercepts; ours: a whole fit, kernel included."
    yield ""
    yield "| noise / kernel | Cholesky s | ours s | Cholesky / ours | products | residual | off by |"
    yield "|---|---|---|---|---|---|---|"
    for strength in STRENGTHS:
        held: dict[str, np.ndarray] = {}

        def dense(own: float = strength, held: dict[str, np.ndarray] = held) -> None:
            matrix = rbf_kernel(X)
            matrix *= T[tasks][:, tasks]
            matrix[np.diag_indices_from(matrix)] += own
            factor = linalg.cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
            held["dual"] = linalg.cho_solve(factor, y, check_finite=False)

        model = MultiTaskKernelRidge(
            T, strength=strength, weighting="sum", intercept="none", standardize=False, solver="cg"
        )
        ours = seconds(lambda m=model: m.fit(X, y, tasks))
        theirs = seconds(dense, rounds=1)
        off = np.abs(model.dual_coef_ - held["dual"]).max() / np.abs(held["dual"]).max()
        yield (
            f"| {strength:g} | {theirs:.2f} | {ours:.2f} | {theirs / ours:.1f} | {model.n_iter_} "
            f"| {model.residual_:.1e} | {off:.1e} |"
        )
    for strength, name in ((None, "chosen on a path"), (10.0, "10")):
        free = MultiTaskKernelRidge(
            T, strength="auto" if strength is None else strength, weighting="sum", standardize=False
        )
        taken = seconds(lambda m=free: m.fit(X, y, tasks))
        yield f"| free intercepts, {name} | | {taken:.2f} | | {free.n_iter_} | {free.residual_:.1e} | |"
