"""Unlabelled rows to test with, their neighbours by comparing all distances, and the penalty pair by pair."""

from __future__ import annotations

import numpy as np
from scipy import optimize


def rows(n: int = 14, d: int = 4, seed: int = 0) -> np.ndarray:
    """Rows in groups, of columns with their own scales and means."""
    rng = np.random.default_rng([seed, n, d])
    groups = 3 * rng.normal(size=(3, d))
    return (groups[rng.integers(3, size=n)] + rng.normal(size=(n, d))) * np.exp(rng.normal(size=d)) + rng.normal(size=d)


def near(X: np.ndarray, k: int, scale: np.ndarray) -> list[tuple[int, int]]:
    """Pairs i < j of which one is among the other's k nearest, by comparing all distances."""
    found = set()
    for i in range(len(X)):
        far = sorted((float(np.sum(((X[i] - X[j]) / scale) ** 2)), j) for j in range(len(X)) if j != i)
        found |= {(min(i, j), max(i, j)) for _, j in far[:k]}
    return sorted(found)


def by_hand(X: np.ndarray, W: np.ndarray, k: int, strength: float, *, normalized: bool = False) -> float:
    """R(W) as a sum over tasks and pairs of neighbours."""
    pairs = near(X, k, X.std(0))
    degree = np.zeros(len(X))
    for i, j in pairs:
        degree[i] += 1
        degree[j] += 1
    total = 0.0
    for w in W:
        f = X @ w
        if not normalized:
            total += strength / 2 * float(np.mean([(f[i] - f[j]) ** 2 for i, j in pairs]))
            continue

        def cost(level: float, f: np.ndarray = f) -> float:
            g = (f + level) / np.sqrt(degree)
            return sum(float(g[i] - g[j]) ** 2 for i, j in pairs)

        total += strength / 2 * 2 / len(X) * float(optimize.minimize_scalar(cost).fun)
    return total
