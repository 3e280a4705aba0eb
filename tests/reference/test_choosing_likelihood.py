"""Strengths by restricted likelihood: against dense normal densities, differences, and searches without gradients."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from choosing_cases import INTERCEPTS, STRUCTURES, rows_of, setting
from linear_oracle import Case, case
from relatask.linear import MultiTaskRegressorCV
from relatask.linear.choosing.pairs import Weighed
from relatask.linear.choosing.reml import evidence
from relatask.relations import Chain, Graph, Pairwise, Relation, Ridge, parts, strengths, with_parameters


def restricted(data: Case, relation: Relation, intercept: str, weighting: str) -> float:
    """Minus two log densities of contrasts of the labels that no flat direction moves, the noise at its best."""
    A, y, weight, _, _ = rows_of(data, intercept, weighting)
    width = data.X.shape[1] + (intercept == "tied")
    size = data.t * width
    P = sum(part.precision(data.t).dense() for part in parts(relation))
    values, basis = np.linalg.eigh(P)
    held = values > 1e-9 * values[-1]
    flat = np.hstack([A[:, size:], A[:, :size] @ np.kron(basis[:, ~held], np.eye(width))])
    covariance = A[:, :size] @ np.kron((basis[:, held] / values[held]) @ basis[:, held].T, np.eye(width))
    covariance = covariance @ A[:, :size].T + np.diag(1 / weight)
    if flat.shape[1]:
        left, singular, _ = np.linalg.svd(flat)
        contrasts = left[:, int((singular > 1e-9 * singular[0]).sum()) :].T
    else:
        contrasts = np.eye(len(y))
    V, z = contrasts @ covariance @ contrasts.T, contrasts @ y
    noise = z @ np.linalg.solve(V, z) / len(z)
    return float(-2 * multivariate_normal(np.zeros(len(z)), noise * V).logpdf(z))


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("layout", ["groups", "columns", "holes"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_likelihood_and_slope_by_dense_normal_densities(structure: str, layout: str, intercept: str) -> None:
    relation = STRUCTURES[structure]
    data = case(layout, 4, t=4, d=2, n=9)
    _, stats, model = setting(data, intercept)
    names = tuple(strengths(relation))
    given = evidence(stats, with_parameters(relation, **dict.fromkeys(names, 1.0)), model)
    rng, offsets = np.random.default_rng(0), []
    for _ in range(3):
        theta = np.exp(rng.normal(size=len(names)))
        point = given.at(theta)
        here = with_parameters(relation, **dict(zip(names, theta.tolist(), strict=True)))
        offsets.append(point.value - restricted(data, here, intercept, "task"))
        for u in range(len(theta)):
            step = 1e-5 * theta[u] * (np.arange(len(theta)) == u)
            slope = (given.at(theta + step).value - given.at(theta - step).value) / (2e-5 * theta[u])
            assert point.slope[u] == pytest.approx(slope, rel=1e-5, abs=1e-5)
    np.testing.assert_allclose(offsets, offsets[0], rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize("relation", [Pairwise(), Pairwise() + Ridge(), Chain() + Ridge()], ids=["one", "two", "chain"])
def test_the_likeliest_strengths_by_a_search_without_gradients(relation: Relation) -> None:
    rng = np.random.default_rng(1)
    t, n, d = 4, 15, 3
    tasks = np.repeat(np.arange(t), n)
    W = rng.normal(size=d) + 0.5 * rng.normal(size=(t, d))
    X = rng.normal(size=(t * n, d))
    y = np.einsum("nd,nd->n", X, W[tasks]) + rng.normal(size=t * n)
    data = Case(X, y, tasks, None, t)
    model = MultiTaskRegressorCV(relation, cv="reml").fit(X, y, tasks)
    names = tuple(strengths(relation))

    def dense(x: np.ndarray) -> float:
        given = dict(zip(names, np.exp(x).tolist(), strict=True))
        return restricted(data, with_parameters(relation, **given), "free", "sample")

    found = np.log([model.strengths_[name] for name in names])
    options = {"xatol": 1e-6, "fatol": 1e-9}
    best = minimize(dense, found + 0.7, method="Nelder-Mead", options=options)
    assert dense(found) <= best.fun + 1e-6
    np.testing.assert_allclose(found, best.x, atol=2e-3)
    assert model.cv_errors_[model.path_.best] == model.cv_errors_.min()
    assert model.path_.criterion == "reml"


def groups_of_tasks(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Eight tasks in two groups that share nothing, rows, labels; and the true coefficients."""
    rng = np.random.default_rng(seed)
    t, d, n = 8, 20, 25
    W = rng.normal(size=(2, d))[np.arange(t) // 4] + 0.15 * rng.normal(size=(t, d))
    X, tasks = rng.normal(size=(t * n, d)), np.repeat(np.arange(t), n)
    return X, np.einsum("nd,nd->n", X, W[tasks]) + 2 * rng.normal(size=t * n), tasks, W


def test_weights_of_edges_tell_who_belongs_together() -> None:
    X, y, tasks, W = groups_of_tasks()
    everybody = Graph(np.ones((8, 8)) - np.eye(8))
    own = MultiTaskRegressorCV(everybody + Ridge(), pairs=True).fit(X, y, tasks)
    weights = own.relation_.parts[0].A.toarray()
    same = np.arange(8)[:, None] // 4 == np.arange(8) // 4
    # Every task is tied to its own group, and to none of the other: a path of strong edges is enough.
    assert weights[~same].max() < 0.05
    assert weights[same].reshape(8, 4).max(1).min() > 1.0
    common = MultiTaskRegressorCV(everybody + Ridge(), cv="reml").fit(X, y, tasks)
    assert np.square(own.coef_ - W).sum() < 0.6 * np.square(common.coef_ - W).sum()


@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_slopes_in_the_weights_of_edges(intercept: str) -> None:
    data = case("groups", 6, t=4, d=2, n=9)
    _, stats, model = setting(data, intercept)
    i, j = np.array([0, 0, 1, 2]), np.array([1, 2, 2, 3])
    weighed = Weighed(evidence(stats, Ridge(1.0), model), i, j)
    at = np.array([0.3, 2.0, 0.1, 1.0, 0.4])
    point = weighed.at(at[:4], at[4:])
    for u in range(5):
        up, down = (at * np.where(np.arange(5) == u, f, 1.0) for f in (1 + 1e-5, 1 - 1e-5))
        slope = (weighed.at(up[:4], up[4:]).value - weighed.at(down[:4], down[4:]).value) / (2e-5 * at[u])
        assert point.slope[u] == pytest.approx(slope, rel=1e-5, abs=1e-5)
    A = np.zeros((4, 4))
    A[i, j] = A[j, i] = at[:4] / 4
    whole = restricted(data, Graph(A, 1.0) + Ridge(0.4), intercept, "task")
    half = restricted(data, Graph(A / 2, 1.0) + Ridge(0.4), intercept, "task")
    assert point.value - weighed.at(at[:4] / 2, at[4:]).value == pytest.approx(whole - half, rel=1e-6)
