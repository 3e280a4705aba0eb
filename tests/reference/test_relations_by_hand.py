"""Relations against sums written out by hand, and proximal operators against cvxpy."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

from relatask.relations import (
    Chain,
    Graph,
    Pairwise,
    Ridge,
    SharedSparsity,
    Sparse,
    TaskKernel,
    TaskPrecision,
    TraceForm,
    TraceNorm,
)

T, D = 5, 4
RNG = np.random.default_rng(20240)
W = RNG.normal(size=(T, D))
ROOT = RNG.normal(size=(T, T))
K = ROOT @ ROOT.T + 0.1 * np.eye(T)
A = np.abs(ROOT + ROOT.T) * (1 - np.eye(T))
PAIRS = [(i, j) for i in range(T) for j in range(T)]


def squared(i: int, j: int) -> float:
    return sum((W[i, f] - W[j, f]) ** 2 for f in range(D))


BY_HAND = {
    "Ridge": (Ridge(0.3), 0.15 * sum(W[k, f] ** 2 for k in range(T) for f in range(D))),
    "Pairwise": (Pairwise(0.3), 0.3 * sum(squared(i, j) for i, j in PAIRS if i != j)),
    "Graph": (Graph(A, 0.3), 0.3 * sum(A[i, j] * squared(i, j) for i, j in PAIRS)),
    "Chain": (Chain(0.3), 0.3 * sum(squared(k, k + 1) for k in range(T - 1))),
    "Chain in order": (
        Chain(0.3, order=[2, 0, 1, 4, 3]),
        0.3 * (squared(2, 0) + squared(0, 1) + squared(1, 4) + squared(4, 3)),
    ),
    "TaskPrecision": (TaskPrecision(K, 0.3), 0.15 * sum(K[i, j] * (W[i] @ W[j]) for i, j in PAIRS)),
    "TaskKernel": (TaskKernel(K, 0.3), 0.15 * sum(np.linalg.inv(K)[i, j] * (W[i] @ W[j]) for i, j in PAIRS)),
    "TaskKernel with jitter": (
        TaskKernel(K, 0.3, jitter=0.5),
        0.15 * sum(np.linalg.inv(K + 0.5 * np.eye(T))[i, j] * (W[i] @ W[j]) for i, j in PAIRS),
    ),
    "TraceForm": (TraceForm(K, 0.3), 0.3 * np.trace(W.T @ K @ W)),
    "TraceNorm": (TraceNorm(0.3), 0.3 * np.sqrt(np.linalg.eigvalsh(W.T @ W)).sum()),
    "SharedSparsity": (SharedSparsity(0.3), 0.3 * sum(np.sqrt(sum(W[k, f] ** 2 for k in range(T))) for f in range(D))),
    "Sparse": (Sparse(0.3), 0.3 * sum(abs(W[k, f]) for k in range(T) for f in range(D))),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_value_is_the_sum_written_out(name: str) -> None:
    relation, expected = BY_HAND[name]
    assert relation(W) == pytest.approx(expected, rel=1e-12)


def test_precisions_are_the_matrices_of_the_formulas() -> None:
    ones = np.ones((T, T))
    np.testing.assert_allclose(Pairwise(0.3).precision(T).dense(), 4 * 0.3 * (T * np.eye(T) - ones), atol=1e-12)
    np.testing.assert_allclose(Graph(A, 0.3).precision(T).dense(), 4 * 0.3 * (np.diag(A.sum(0)) - A), atol=1e-12)
    np.testing.assert_allclose(Graph(ones, 0.3).precision(T).dense(), Pairwise(0.3).precision(T).dense(), atol=1e-12)
    path = np.eye(T, k=1) + np.eye(T, k=-1)
    np.testing.assert_allclose(Chain(0.3).precision(T).dense(), Graph(path, 0.15).precision(T).dense(), atol=1e-12)
    np.testing.assert_allclose(TaskKernel(K, 0.3).precision(T).dense(), 0.3 * np.linalg.inv(K), rtol=1e-9)
    np.testing.assert_allclose(TraceForm(K, 0.3).precision(T).dense(), 0.6 * K)
    assert Pairwise(0.3)(W) == pytest.approx(2 * 0.3 * T * np.sum((W - W.mean(0)) ** 2))


PROBLEMS = {
    "TraceNorm": lambda V: cp.normNuc(V),
    "SharedSparsity": lambda V: cp.sum(cp.norm(V, 2, axis=0)),
    "Sparse": lambda V: cp.sum(cp.abs(V)),
    "Ridge": lambda V: cp.sum_squares(V) / 2,
    "Pairwise": lambda V: sum(cp.sum_squares(V[i] - V[j]) for i, j in PAIRS),
    "Graph": lambda V: sum(A[i, j] * cp.sum_squares(V[i] - V[j]) for i, j in PAIRS),
    "Chain": lambda V: sum(cp.sum_squares(V[k] - V[k + 1]) for k in range(T - 1)),
    "TaskKernel": lambda V: cp.sum_squares(np.linalg.inv(np.linalg.cholesky(K)) @ V) / 2,
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_prox_is_the_minimiser_that_cvxpy_finds(name: str) -> None:
    relation, step = BY_HAND[name][0], 1.7
    V = cp.Variable((T, D))
    problem = cp.Problem(cp.Minimize(step * 0.3 * PROBLEMS[name](V) + cp.sum_squares(V - W) / 2))
    problem.solve(solver=cp.CLARABEL)
    np.testing.assert_allclose(relation.prox(W, step), V.value, atol=2e-5)
    ours = relation.prox(W, step)
    assert step * relation(ours) + np.sum((ours - W) ** 2) / 2 <= problem.value + 1e-9
