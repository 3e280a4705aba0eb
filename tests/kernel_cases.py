"""Tables that the tests of kernel models share."""

from __future__ import annotations

import numpy as np

T = np.array([[1.0, 0.6, -0.2], [0.6, 1.5, 0.3], [-0.2, 0.3, 0.8]])
NAMES = ["north", "south", "west"]


def rows(n: int = 45, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(n) % 3)
    X = rng.normal(size=(n, 2))
    return X, np.sin(X[:, 0] + codes) + codes + 0.2 * rng.normal(size=n), np.array(NAMES)[codes]


def table(n: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 2))
    return X, np.sin(X[:, :1] + np.arange(3)) + 0.2 * rng.normal(size=(n, 3))
