"""The four cost functions of an article on task relations, as linear models, and its alternating optimisation.

min sum_k L_k + lambda L_rel with L_rel one of (1) sum_{i != j} ||w_i - w_j||^2, (2) ||W W' - Omega||_F^2 for a given
Omega (tasks are rows here), (3) sum_ij A_ij ||w_i - w_j||^2, (4) ||W||_*. Two things are made right. The pairwise sum
has t (t - 1) terms, so that one lambda means another pull for every number of tasks: strengths are stated per pair.
And the article's program visits the tasks in turn, each step with the whole penalty: one round then holds it t times.
"""

from __future__ import annotations

import numpy as np

from relatask.linear import MultiTaskRegressor
from relatask.relations import (
    GramTarget,
    Graph,
    LearnedCovariance,
    LearnedGraph,
    Pairwise,
    Relation,
    Ridge,
    TaskPrecision,
    TraceNorm,
)

T, N, D = 6, 12, 8  # tasks, training rows of each, features
OPTIONS = {"weighting": "sum", "intercept": "none", "standardize": False}


def make_tasks(seed: int, n: int, t: int = T) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, labels and tasks; two families of tasks, alike within a family, and the truth in W (t, D)."""
    truth = coefficients(t)
    rng = np.random.default_rng(seed)
    X, tasks = rng.normal(size=(t * n, D)), np.repeat(np.arange(t), n)
    return X, np.einsum("nd,nd->n", X, truth[tasks]) + rng.normal(size=t * n), tasks


def coefficients(t: int = T) -> np.ndarray:
    rng = np.random.default_rng(0)
    families = rng.normal(size=(2, D))
    return families[np.arange(t) * 2 // t] + 0.2 * rng.normal(size=(t, D))


def fit(relation: Relation, data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> MultiTaskRegressor:
    return MultiTaskRegressor(relation, **OPTIONS).fit(*data)


def loss(W: np.ndarray, data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
    X, y, tasks = data
    return 0.5 * float(np.sum((np.einsum("nd,nd->n", X, W[tasks]) - y) ** 2))


def main() -> None:
    train, new = make_tasks(1, N), make_tasks(2, 400)
    truth = coefficients()
    family = np.arange(T) * 2 // T
    A = (family[:, None] == family[None, :]).astype(float) - np.eye(T)
    Omega = truth @ truth.T  # what a person who knew the tasks' lengths and angles would give

    # 1. All four forms, each with the article's value written out beside the library's.
    lam = 0.5
    by_hand = {
        "pairwise": lambda W: lam * sum(np.sum((W[i] - W[j]) ** 2) for i in range(T) for j in range(T) if i != j),
        "Gram target": lambda W: lam * np.linalg.norm(W @ W.T - Omega) ** 2,
        "graph": lambda W: lam * sum(A[i, j] * np.sum((W[i] - W[j]) ** 2) for i in range(T) for j in range(T)),
        "trace norm": lambda W: lam * np.linalg.svd(W, compute_uv=False).sum(),
    }
    forms = {
        "pairwise": Pairwise(lam),
        "Gram target": GramTarget(Omega, lam),
        "graph": Graph(A, lam),
        "trace norm": TraceNorm(lam),
    }
    errors = {"each task alone": error(fit(Ridge(0.0), train), new)}
    for name, relation in forms.items():
        model = fit(relation, train)
        assert np.isclose(float(relation(model.coef_)), float(by_hand[name](model.coef_)))
        assert np.isclose(model.objective_, loss(model.coef_, train) + float(by_hand[name](model.coef_)))
        errors[name] = error(model, new)
    for name, value in errors.items():
        print(f"error on new rows, {name} at lambda {lam}: {value:.3f} (noise 1.0)")
    assert errors["graph"] < errors["each task alone"]
    assert errors["Gram target"] < errors["each task alone"]

    # 2. Strength per pair and per task. lambda sum_{i != j} ||w_i - w_j||^2 = 2 lambda t sum_k ||w_k - mean||^2: with
    #    twice the tasks each is pulled twice as hard. Fixed is the pull on a task, 2 lambda t, not lambda.
    W = np.random.default_rng(4).normal(size=(T, D))
    assert np.isclose(float(Pairwise(lam)(W)), 2 * lam * T * np.sum((W - W.mean(0)) ** 2))
    for t in (T, 4 * T):
        alike = make_tasks(5, N, t)
        same_lambda, same_pull = (fit(Pairwise(s), alike).coef_ for s in (lam, lam * T / t))
        spreads = [float(np.std(W - W.mean(0))) for W in (same_lambda, same_pull)]
        print(
            f"{t} tasks: spread at lambda {lam} {spreads[0]:.3f}, at a pull of {2 * lam * T} per task {spreads[1]:.3f}"
        )
        if t == T:
            first = spreads
    assert spreads[0] < 0.5 * first[0]
    assert spreads[1] > 0.8 * first[1]

    # 3. Stepping tasks in turn, each step along its own loss and the whole penalty, as the article's program does: a
    #    round moves against sum_k L_k + t L_rel. It ends where lambda is t times as strong.
    X, y, tasks = train
    W, step = np.zeros((T, D)), 2e-4
    for _ in range(20_000):
        for k in range(T):
            own = tasks == k
            slope = Pairwise(lam).precision(T).apply(W)
            slope[k] += X[own].T @ (X[own] @ W[k] - y[own])
            W = W - step * slope
    once, multiplied = fit(Pairwise(lam), train).coef_, fit(Pairwise(T * lam), train).coef_
    print(
        f"tasks in turn: {np.abs(W - multiplied).max():.4f} from {T} lambda, {np.abs(W - once).max():.4f} from lambda"
    )
    assert np.abs(W - multiplied).max() < 0.2 * np.abs(W - once).max()

    # 4. The relation learned with the tasks. The published alternation for a covariance, W given Omega and Omega given
    #    W, and the convex problem that it is: solved at once, and no higher.
    relation = LearnedCovariance(6.0, ridge=0.1)
    solved = fit(relation, train)
    W = fit(Ridge(1.0), train).coef_
    for _ in range(100):
        values, basis = np.linalg.eigh(W @ W.T)
        root = np.sqrt(np.maximum(values, 1e-10))
        inverse = (basis / root) @ basis.T * root.sum()  # of Omega = (W W')^(1/2) / trace
        W = fit(TaskPrecision(6.0 * (inverse + inverse.T) / 2) + Ridge(0.1), train).coef_
    alternated = loss(W, train) + float(relation(W))
    print(f"covariance: {solved.objective_:.6f} solved, {alternated:.6f} by 100 rounds of alternation")
    assert solved.objective_ <= alternated * (1 + 1e-6)
    assert np.isclose(alternated, solved.objective_, rtol=1e-2)

    # 5. Or as a sparse graph: Gaussian tasks, a graphical lasso in turn with the tasks. It finds the two families.
    graph = fit(LearnedGraph(1.0, 0.1, jitter=0.2), train)
    print("partial correlations of the tasks:")
    print(graph.relation_.graph.round(2))
    within, between = graph.relation_.graph[A > 0], graph.relation_.graph[family[:, None] != family[None, :]]
    assert within.min() > np.abs(between).max()
    print(f"error on new rows: covariance {error(solved, new):.3f}, graph {error(graph, new):.3f}")
    assert max(error(solved, new), error(graph, new)) < errors["each task alone"]


def error(model: MultiTaskRegressor, data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
    X, y, tasks = data
    return float(np.sqrt(np.mean((model.predict(X, tasks) - y) ** 2)))


if __name__ == "__main__":
    main()
