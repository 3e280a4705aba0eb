"""The sparse problems of the benchmarks, drawn from a seed; only numpy, because peers' interpreters run it too."""

from __future__ import annotations

import numpy as np


def gaussian(seed: int = 0, n: int = 1_000, d: int = 5_000, t: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Independent standard normal entries of X (n, d); labels as `_labels` has them."""
    rng = np.random.default_rng(seed)
    return _labels(rng, rng.standard_normal((n, d)), t)


def autoregressive(
    seed: int = 0, n: int = 1_000, d: int = 5_000, t: int = 20, rho: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Columns correlate by rho^|i - j|: x_1 = e_1, x_j = rho x_{j-1} + sqrt(1 - rho^2) e_j with normal e."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    for j in range(1, d):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    return _labels(rng, X, t)


def leadfield(seed: int = 0, n: int = 306, d: int = 6_000, t: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """MEG-like: potentials at n sensors on a sphere of d dipoles inside, q . (s - p) / |s - p|^3, columns of norm 1.

    Sensors lie uniformly on radius 1.1, dipoles on radius 0.8 with directions drawn uniformly. Ten of them are
    active, with sine waves of 1 to 4 periods and amplitudes from 1 to 3; the noise's deviation is a third of the
    signal's.
    """
    rng = np.random.default_rng(seed)
    sensors, places, directions = 1.1 * _sphere(rng, n), 0.8 * _sphere(rng, d), _sphere(rng, d)
    away = sensors[:, None] - places[None]
    X = np.einsum("ijk,jk->ij", away, directions) / np.linalg.norm(away, axis=2) ** 3
    X /= np.linalg.norm(X, axis=0)
    active, time = rng.choice(d, 10, replace=False), np.linspace(0, 1, t)
    waves = np.sin(2 * np.pi * (rng.uniform(1, 4, (10, 1)) * time + rng.uniform(size=(10, 1))))
    signal = X[:, active] @ (waves * rng.uniform(1, 3, (10, 1)))
    return X, signal + rng.standard_normal(signal.shape) * signal.std() / 3


def own(seed: int, t: int, n: int, d: int, support: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """X (t, n, d) of independent standard normal entries and y (t, n): 20 features matter, noise as in `_labels`."""
    rng = np.random.default_rng(seed)
    X, W = rng.standard_normal((t, n, d)), np.zeros((d, t))
    W[rng.choice(d, support, replace=False)] = rng.standard_normal((support, t))
    signal = np.einsum("tnd,dt->tn", X, W)
    return X, signal + rng.standard_normal(signal.shape) * signal.std() / 3


def _labels(rng: np.random.Generator, X: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray]:
    """X and Y (n, t): fifty features with standard normal coefficients, noise a third of the signal's deviation."""
    W = np.zeros((X.shape[1], t))
    W[rng.choice(len(W), 50, replace=False)] = rng.standard_normal((50, t))
    signal = X @ W
    return X, signal + rng.standard_normal(signal.shape) * signal.std() / 3


def _sphere(rng: np.random.Generator, n: int) -> np.ndarray:
    points = rng.standard_normal((n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


SHARED = {
    "gaussian 1000 x 5000, t=20": (gaussian, (10, 50)),
    "AR(.95) 1000 x 5000, t=20": (autoregressive, (10, 50)),
    "MEG-like 306 x 6000, t=50": (leadfield, (2, 10, 20)),
}
"""Name: generator, and what the null strength is divided by."""

OWN = {
    "t=10 n=200 d=1000": ((10, 200, 1_000), (5, 20)),
    "t=20 n=100 d=5000": ((20, 100, 5_000), (5, 20)),
}


def null_strength(X: np.ndarray, Y: np.ndarray) -> float:
    """max_j ||(x_jk' y_k)_k||, from which on every coefficient is 0."""
    cross = Y.T @ X if X.ndim == 2 else np.einsum("tnd,tn->td", X, Y)
    return float(np.sqrt(np.square(cross).sum(0)).max())


def relative_gap(X: np.ndarray, Y: np.ndarray, W: np.ndarray, strength: float) -> float:
    """Relative duality gap of W (t, d) for 1/2 sum of squares + strength * sum_j ||W[:, j]||, by residuals rescaled."""
    residual = Y - X @ W.T if X.ndim == 2 else Y - np.einsum("tnd,td->tn", X, W)
    correlation = residual.T @ X if X.ndim == 2 else np.einsum("tnd,tn->td", X, residual)
    largest = float(np.sqrt(np.square(correlation).sum(0)).max())
    primal = 0.5 * np.square(residual).sum() + strength * np.sqrt(np.square(W).sum(0)).sum()
    shrink = min(1.0, strength / largest)
    factor = np.clip(np.vdot(Y, residual) / np.square(residual).sum(), -shrink, shrink)
    bound = factor * np.vdot(Y, residual) - 0.5 * factor**2 * np.square(residual).sum()
    return float((primal - bound) / max(abs(primal), abs(bound)))
