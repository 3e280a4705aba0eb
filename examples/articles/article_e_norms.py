"""Three tasks tied by a matrix K, as an article on norms for multi-task learning has it, made right.

The article minimises   sum_i alpha_i ||X_i w_i - y_i||^2 + 1/2 sum_ij K_ij <w_i, w_j>   by gradient descent. Its
program has w of 6 entries against 2 columns, a gradient without y, and K = .1 everywhere. Here W is (3 tasks, 2
features), the gradient is that of the objective, and K does what it is meant to do: pull similar tasks together.
"""

from __future__ import annotations

import numpy as np

from relatask import InputError
from relatask.linear import MultiTaskRegressor
from relatask.relations import Relation, Ridge, TaskKernel, TaskPrecision

X1 = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
y1 = np.array([1.0, 2.0, 3.0])
X = [X1, X1 + 1, X1 + 2]
y = [y1, y1 + 1, y1 + 2]
rows, labels, tasks = np.vstack(X), np.concatenate(y), np.repeat(["task 1", "task 2", "task 3"], 3)


def fit(relation: Relation, alpha: tuple[float, ...] = (1.0, 1.0, 1.0)) -> MultiTaskRegressor:
    """Minimise the article's objective: its squares have no 1/2, so all of ours is half of it."""
    model = MultiTaskRegressor(relation, weighting="sum", intercept="none", standardize=False)
    return model.fit(rows, labels, tasks, sample_weight=np.repeat(alpha, 3))


def spread(W: np.ndarray) -> float:
    """How far the tasks are from their mean."""
    return float(np.linalg.norm(W - W.mean(axis=0)))


def descend(K: np.ndarray, alpha: tuple[float, ...]) -> np.ndarray:
    """Gradient descent on the article's objective, with its gradient: y is in it, and K acts on the tasks."""
    W = np.zeros((3, 2))
    curvature = max(2 * a * np.linalg.norm(Xi, 2) ** 2 for a, Xi in zip(alpha, X, strict=True)) + np.linalg.norm(K, 2)
    for _ in range(30_000):
        errors = [2 * a * Xi.T @ (Xi @ w - yi) for a, Xi, yi, w in zip(alpha, X, y, W, strict=True)]
        W = W - (np.array(errors) + K @ W) / curvature
    return W


def main() -> None:
    # 1. The gradient, made right, reaches the optimum that the library solves for in one step.
    alpha = (1.0, 2.0, 0.5)
    K = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, 0.5], [0.2, 0.5, 1.0]])
    solved, descended = fit(TaskPrecision(K, strength=0.5), alpha).coef_, descend(K, alpha)
    print("the article's objective, solved:    ", solved.round(4).tolist())
    print("the same after 30,000 descent steps:", descended.round(4).tolist())
    assert np.allclose(solved, descended, atol=1e-6)

    # 2. K = .1 everywhere has rank one: it sees nothing but the sum of the tasks' coefficients ...
    flat = np.full((3, 3), 0.1)
    away = np.array([[5.0, 0.0], [-5.0, 7.0], [0.0, -7.0]])
    assert np.isclose(TaskPrecision(flat)(solved), TaskPrecision(flat)(solved + away))
    print("K = .1 everywhere: moving two tasks apart by any amount costs nothing")
    # ... and has no inverse, so that as a table of similarities it says too much: all tasks are one.
    try:
        TaskKernel(flat)
    except InputError as error:
        print("as a kernel:", error)
    else:
        raise AssertionError("a singular kernel must be refused")
    nearly_one = fit(TaskKernel(flat, strength=0.5, jitter=1e-6)).coef_
    assert spread(nearly_one) < 1e-3

    # 3. Similarity belongs into the kernel. Used as the precision, as the article does, it drives tasks apart.
    similar = np.full((3, 3), 0.9) + 0.1 * np.eye(3)
    spreads = {
        "no tie, ridge": spread(fit(Ridge(0.5)).coef_),
        "similarities as precision": spread(fit(TaskPrecision(similar, 0.5)).coef_),
        "similarities as kernel": spread(fit(TaskKernel(similar, 0.5)).coef_),
    }
    for name, value in spreads.items():
        print(f"distance of the tasks from their mean, {name}: {value:.3f}")
    assert spreads["similarities as kernel"] < spreads["no tie, ridge"] < spreads["similarities as precision"]


if __name__ == "__main__":
    main()
