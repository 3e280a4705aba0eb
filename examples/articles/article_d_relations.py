"""Tasks that learn how they are related, as an article on optimisation has it, made right.

Its third model adds to the passing of parameters a set of relationship matrices,
sum_t L_t + lambda sum_t ||theta_t - theta_{t+1}||^2 + beta sum_s ||R_s||^2, and updates each R_s by the gradient of its
own norm: R shrinks to zero whatever the data are, because no R_s occurs in a loss. Here they act on predictions,
X_t ((I + sum_s R_s) W)_t, and are learned from the data.
"""

from __future__ import annotations

import numpy as np

from relatask.linear import MultiTaskRegressor
from relatask.relations import Chain, Ridge, TaskRelationNetwork

T, N, D, S = 6, 12, 10, 3  # tasks, training rows of each, features, relationship matrices
CHAIN, BETA, RIDGE = 0.1, 3.0, 8.0


def make_tasks(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (T, n, D) and labels (T, n); tasks 3, 4, 5 are 0, 1, 2 with the sign turned: far apart along a chain."""
    base = np.random.default_rng(0).normal(size=(T // 2, D))
    truth = np.vstack([base, -base])
    X = np.random.default_rng(seed).normal(size=(T, n, D))
    noise = np.random.default_rng(seed + 100).normal(size=(T, n))
    return X, np.einsum("tnd,td->tn", X, truth) + noise


def objective(W: np.ndarray, Rs: np.ndarray, X: np.ndarray, y: np.ndarray) -> float:
    """The article's third model, its R_s (S, T, T) in the loss; and a ridge: else W could grow as R vanishes."""
    residual = np.einsum("tnd,td->tn", X, W + Rs.sum(0) @ W) - y
    chain = float(np.sum((W[1:] - W[:-1]) ** 2))
    return (
        0.5 * float(np.sum(residual**2)) + CHAIN * chain + BETA * float(np.sum(Rs**2)) + RIDGE / 2 * float(np.sum(W**2))
    )


def gradients(W: np.ndarray, Rs: np.ndarray, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In W and in every R_s: through the loss, all R_s get the same share of what the data say."""
    R = Rs.sum(0)
    slope = np.einsum("tnd,tn->td", X, np.einsum("tnd,td->tn", X, W + R @ W) - y)
    of_w = slope + R.T @ slope + RIDGE * W
    step = 2 * CHAIN * (W[1:] - W[:-1])
    of_w[1:] += step
    of_w[:-1] -= step
    return of_w, slope @ W.T + 2 * BETA * Rs


def flat(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of all tasks under each other, with the task of each."""
    return X.reshape(-1, D), y.ravel(), np.repeat(np.arange(T), y.shape[1])


def main() -> None:
    X, y = make_tasks(1, N)
    X_new, y_new = make_tasks(2, 500)
    options = {"weighting": "sum", "intercept": "none", "standardize": False}
    rng = np.random.default_rng(3)

    # 1. The gradients are the objective's: a difference along random directions agrees.
    W, Rs, h = rng.normal(size=(T, D)), 0.1 * rng.normal(size=(S, T, T)), 1e-6
    of_w, of_r = gradients(W, Rs, X, y)
    for _ in range(20):
        dW, dR = rng.normal(size=W.shape), rng.normal(size=Rs.shape)
        ahead, behind = objective(W + h * dW, Rs + h * dR, X, y), objective(W - h * dW, Rs - h * dR, X, y)
        assert np.isclose((ahead - behind) / (2 * h), np.vdot(of_w, dW) + np.vdot(of_r, dR), rtol=1e-6)

    # 2. The article's update of R_s, the gradient of its own norm alone, ends at nothing whatever the data.
    forgotten = Rs.copy()
    for _ in range(200):
        forgotten -= 0.05 * 2 * BETA * forgotten
    assert np.abs(forgotten).max() < 1e-12

    # 3. The library eliminates R exactly at every W; descent along the right gradients ends no lower.
    model = MultiTaskRegressor(TaskRelationNetwork(S, CHAIN, BETA, RIDGE), **options).fit(*flat(X, y))
    learned = model.relation_
    shares = np.repeat(learned.R[None] / S, S, axis=0)  # all R_s are alike at the best
    assert np.isclose(objective(learned.W, shares, X, y), model.objective_)
    of_w, of_r = gradients(learned.W, shares, X, y)
    assert np.linalg.norm(of_w) < 1e-3
    assert np.linalg.norm(of_r) < 1e-3
    W, Rs = np.linalg.solve(np.eye(D) * RIDGE + X[0].T @ X[0], X[0].T @ y[0]) + 0.1 * rng.normal(size=(T, D)), 0 * Rs
    for _ in range(20_000):
        of_w, of_r = gradients(W, Rs, X, y)
        W, Rs = W - 0.004 * of_w, Rs - 0.004 * of_r
    print(f"objective solved {model.objective_:.4f}, by 20,000 steps of gradient descent {objective(W, Rs, X, y):.4f}")
    assert model.objective_ <= objective(W, Rs, X, y) + 1e-6

    # 4. What was learned: each task takes of the one that it is the opposite of, with a minus.
    print("R learned (row k: what task k takes of the others):")
    print(learned.R.round(2))
    partner = [learned.R[k, (k + T // 2) % T] for k in range(T)]
    assert max(partner) < -0.2
    # The chain of the second model knows nothing of it, even at the strengths that suit it best on the training rows.
    chain = MultiTaskRegressor(Chain("auto") + Ridge("auto"), **options).fit(*flat(X, y))
    rows, labels, tasks = flat(X_new, y_new)
    errors = {}
    for name, fitted in {"passed along a chain": chain, "relationships learned": model}.items():
        errors[name] = float(np.sqrt(np.mean((fitted.predict(rows, tasks) - labels) ** 2)))
        print(f"error on new rows, {name}: {errors[name]:.3f} (noise 1.0)")
    assert errors["relationships learned"] < errors["passed along a chain"]


if __name__ == "__main__":
    main()
