"""Shared parameters and parameters passed from task to task, as an article on optimisation has them, made right.

Its first two models:  sum_t L_t(theta), one theta for all tasks;  and
sum_t L_t(theta_t) + lambda sum_t ||theta_t - theta_{t+1}||^2, where each task hands its parameters on to the next. The
article's gradients have wrong shapes and signs; here they are checked against the objective, and against the library.
"""

from __future__ import annotations

import numpy as np

from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.relations import Chain, Ridge

T, N, D = 8, 12, 6  # tasks, training rows of each, features


def make_tasks(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (T, n, D) and labels (T, n) of tasks whose parameters drift from each to the next."""
    drift = np.random.default_rng(0).normal(size=(T, D)) * 0.4
    truth = np.cumsum(drift, axis=0) + 1.0
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(T, n, D))
    return X, np.einsum("tnd,td->tn", X, truth) + rng.normal(size=(T, n))


def objective(theta: np.ndarray, X: np.ndarray, y: np.ndarray, lam: float) -> float:
    """The article's second model: half squared errors, and what lies between neighbours."""
    residual = np.einsum("tnd,td->tn", X, theta) - y
    return 0.5 * float(np.sum(residual**2)) + lam * float(np.sum((theta[1:] - theta[:-1]) ** 2))


def gradient(theta: np.ndarray, X: np.ndarray, y: np.ndarray, lam: float) -> np.ndarray:
    """Its gradient (T, D): a task is drawn to the one before and to the one after, the ends to one neighbour."""
    residual = np.einsum("tnd,td->tn", X, theta) - y
    slope = np.einsum("tnd,tn->td", X, residual)
    step = 2 * lam * (theta[1:] - theta[:-1])
    slope[1:] += step
    slope[:-1] -= step
    return slope


def flat(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of all tasks under each other, with the task of each."""
    return X.reshape(-1, D), y.ravel(), np.repeat(np.arange(T), y.shape[1])


def main() -> None:
    X, y = make_tasks(1, N)
    X_new, y_new = make_tasks(2, 500)
    lam = 2.0
    options = {"weighting": "sum", "intercept": "none", "standardize": False}

    # 1. The gradient is the objective's: central differences agree, entry by entry.
    theta, h = np.random.default_rng(3).normal(size=(T, D)), 1e-5
    for k in np.ndindex(T, D):
        e = np.zeros((T, D))
        e[k] = h
        slope = (objective(theta + e, X, y, lam) - objective(theta - e, X, y, lam)) / (2 * h)
        assert np.isclose(slope, gradient(theta, X, y, lam)[k], rtol=1e-5, atol=1e-5)

    # 2. Descent along it ends where block elimination along the chain arrives at once.
    chain = MultiTaskRegressor(Chain(lam), **options).fit(*flat(X, y))
    curvature = max(np.linalg.norm(Xt, 2) ** 2 for Xt in X) + 8 * lam
    for _ in range(3_000):
        theta = theta - gradient(theta, X, y, lam) / curvature
    assert np.allclose(theta, chain.coef_, atol=1e-6)
    assert np.isclose(objective(chain.coef_, X, y, lam), chain.objective_)
    print(f"gradient descent and the direct solve agree to {np.abs(theta - chain.coef_).max():.0e}")

    # 3. The shared-parameter model is the chain at infinite strength, separate tasks are the chain at zero.
    shared = PooledRegressor(0.0, **options).fit(*flat(X, y))
    stiff = MultiTaskRegressor(Chain(1e7), **options).fit(*flat(X, y))
    separate = MultiTaskRegressor(Ridge(0.0), **options).fit(*flat(X, y))
    loose = MultiTaskRegressor(Chain(1e-7), **options).fit(*flat(X, y))
    assert np.allclose(stiff.coef_, shared.coef_, atol=1e-4)
    assert np.allclose(loose.coef_, separate.coef_, atol=1e-4)

    # 4. Where tasks drift, passing parameters on beats both: the strength is chosen on the training rows.
    chosen = MultiTaskRegressor(Chain("auto"), **options).fit(*flat(X, y))
    rows, labels, tasks = flat(X_new, y_new)
    errors = {}
    for name, model in {"each task alone": separate, "shared parameters": shared, "passed along": chosen}.items():
        errors[name] = float(np.sqrt(np.mean((model.predict(rows, tasks) - labels) ** 2)))
        print(f"error on new rows, {name}: {errors[name]:.3f} (noise 1.0)")
    print(f"strength chosen for the chain: {chosen.strengths_}")
    assert errors["passed along"] < min(errors["each task alone"], errors["shared parameters"])


if __name__ == "__main__":
    main()
