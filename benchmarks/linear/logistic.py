"""Logistic loss under relations: milliseconds and steps, and times scikit-learn's logistic regression per task."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.linear.timing import best_seconds
from relatask.linear.losses import Logistic
from relatask.linear.newton import solve_loss
from relatask.relations import Chain, Pairwise, Relation, Ridge, SharedSparsity, Sparse, TraceNorm

SMOOTH, NORM = 1e-10, 1e-6
RELATIONS: dict[str, tuple[Relation, float]] = {
    "Pairwise": (Pairwise(1e-3), SMOOTH),
    "Ridge + Chain": (Ridge(1e-2) + Chain(1e-2), SMOOTH),
    "TraceNorm": (TraceNorm(0.05), NORM),
    "SharedSparsity": (SharedSparsity(0.05), NORM),
    "Sparse + TraceNorm": (Sparse(0.02) + TraceNorm(0.02), NORM),
}


def rows(sizes: np.ndarray, d: int = 9, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shuffled rows of related tasks with few positive labels, as in the Landmine data."""
    rng = np.random.default_rng(seed)
    t, n = len(sizes), int(sizes.sum())
    codes = rng.permutation(np.repeat(np.arange(t), sizes))
    X = rng.normal(size=(n, d))
    W = rng.normal(size=d) + 0.3 * rng.normal(size=(t, d))
    eta = np.einsum("nd,nd->n", X, W[codes]) - 3
    return X, (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float), codes


def report() -> Iterator[str]:
    """Landmine-sized data, and 29 tasks of 500 rows."""
    sizes = np.full(29, 511)
    sizes[:] += np.round(np.linspace(-66, 66, 29)).astype(int)
    sizes[0] += 14_820 - sizes.sum()
    yield "## Logistic loss, 9 columns, from shuffled rows; quadratics to gradient 1e-10, norms to gap 1e-6"
    yield ""
    yield "| data | relation | ms | steps | residual | scikit-learn per task / ours |"
    yield "|---|---|---|---|---|---|"
    for name, data in {"14,820 rows": rows(sizes), "29 x 500": rows(np.full(29, 500))}.items():
        for relation in RELATIONS:
            yield _row(name, relation, *data)


def _row(data: str, name: str, X: np.ndarray, y: np.ndarray, codes: np.ndarray) -> str:
    relation, tol = RELATIONS[name]

    def ours():
        return solve_loss(X, y, codes, Logistic(), relation, n_tasks=29, tol=tol)

    def each() -> None:
        for k in range(29):
            own = codes == k
            LogisticRegression(C=1.0, tol=1e-6, max_iter=1_000).fit(X[own], y[own])

    seconds = best_seconds({"ours": ours, "each": each}, rounds=5)
    found = ours().solution
    ratio = seconds["each"] / seconds["ours"]
    return f"| {data} | {name} | {1e3 * seconds['ours']:.1f} | {found.n_iter} | {found.residual:.0e} | {ratio:.1f} |"
