"""Losses beyond the squared one against other people's solvers."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from tests.linear_oracle import Case
from tests.loss_oracle import labelled, optimum

from relatask.linear.losses import ByTask, Huber, Logistic, Multinomial, Poisson, RootSquared, SquaredError
from relatask.linear.newton import solve_loss
from relatask.relations import Chain, Pairwise, Ridge, SharedSparsity, Sparse, TraceNorm

LOSSES = {
    "squared": SquaredError(),
    "logistic": Logistic(),
    "poisson": Poisson(),
    "huber": Huber(0.7),
    "root": RootSquared(),
    "classes": Multinomial(3),
    "mixed": ByTask(("regression", "binary", "count")),
}
RELATIONS = {
    "pairwise": Ridge(0.02) + Pairwise(0.02),
    "chain": Ridge(0.05) + Chain(0.2),
    "trace": TraceNorm(0.1),
    "shared": SharedSparsity(0.1),
    "sparse": Sparse(0.05),
    "sum": Pairwise(0.02) + Sparse(0.03) + TraceNorm(0.03),
}
CLOSE = 1e-6


def solved(data: Case, loss, relation, tol=1e-7, **settings):
    return solve_loss(
        data.X, data.y, data.tasks, loss, relation, n_tasks=data.t, weights=data.weights, tol=tol, **settings
    )


def compared(data: Case, loss, relation, weighting="sample", intercept="free", standardize=True) -> None:
    found = solved(data, loss, relation, weighting=weighting, intercept=intercept, standardize=standardize)
    assert found.solution.residual <= 1e-7
    least = optimum(data, loss, relation, weighting=weighting, intercepts=intercept, standardize=standardize)
    assert found.solution.objective == pytest.approx(least, rel=CLOSE)


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_with_every_relation(loss: str, relation: str) -> None:
    compared(labelled(LOSSES[loss], "groups", n=14), LOSSES[loss], RELATIONS[relation])


@pytest.mark.parametrize("intercept", ["tied", "common", "none"])
@pytest.mark.parametrize("relation", ["pairwise", "sum"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_intercept_mode(loss: str, relation: str, intercept: str) -> None:
    data = labelled(LOSSES[loss], "groups", seed=1, n=12)
    compared(data, LOSSES[loss], RELATIONS[relation], intercept=intercept)


@pytest.mark.parametrize("weighting", ["sum", "task", "sample"])
@pytest.mark.parametrize("layout", ["groups", "columns", "holes"])
@pytest.mark.parametrize("loss", LOSSES)
def test_weights_missing_labels_and_weightings(loss: str, layout: str, weighting: str) -> None:
    data = labelled(LOSSES[loss], layout, seed=2, n=16, weighted=True)
    relation = RELATIONS["chain" if weighting == "sum" else "shared"]
    compared(data, LOSSES[loss], relation, weighting=weighting, standardize=weighting != "task")


def test_ridge_logistic_against_scikit_learn() -> None:
    data = labelled(Logistic(), "groups", seed=3, n=40)
    found = solved(data, Logistic(), Ridge(0.5), tol=1e-10, weighting="sum", standardize=False)
    for k in range(data.t):
        own = data.tasks == k
        peer = LogisticRegression(C=2.0, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
        peer.fit(data.X[own], data.y[own])
        np.testing.assert_allclose(found.coef[k], peer.coef_[0], rtol=1e-6, atol=1e-8)
        assert found.intercept[k] == pytest.approx(peer.intercept_[0], rel=1e-6)


def test_ridge_poisson_against_scikit_learn() -> None:
    data = labelled(Poisson(), "groups", seed=4, n=40)
    found = solved(data, Poisson(), Ridge(0.3), tol=1e-10, weighting="task", standardize=False)
    for k in range(data.t):
        own = data.tasks == k
        peer = PoissonRegressor(alpha=0.3, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
        peer.fit(data.X[own], data.y[own])
        np.testing.assert_allclose(found.coef[k], peer.coef_, rtol=1e-6, atol=1e-8)


def test_ridge_classes_against_scikit_learn() -> None:
    data = labelled(Multinomial(3), "groups", seed=5, n=60)
    found = solved(data, Multinomial(3), Ridge(0.5), tol=1e-10, weighting="sum", standardize=False)
    for k in range(data.t):
        own = data.tasks == k
        peer = LogisticRegression(C=2.0, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
        peer.fit(data.X[own], data.y[own])
        np.testing.assert_allclose(found.coef[:, k], peer.coef_, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("loss", ["logistic", "poisson", "huber", "root", "classes"])
def test_few_rows_of_many_columns(loss: str) -> None:
    # More columns than THIN and fewer rows than half of them: tasks are kept as rows.
    data = labelled(LOSSES[loss], "groups", seed=6, n=12, d=70)
    compared(data, LOSSES[loss], Ridge(2.0) + Pairwise(0.1))
    compared(data, LOSSES[loss], SharedSparsity(0.25))
    compared(data, LOSSES[loss], Ridge(0.5), intercept="common")


def test_two_classes_are_logistic() -> None:
    # With W_1 = -W_0 the two classes' ridge is twice that of their difference's half: strength s / 2 on the difference.
    data = labelled(Logistic(), "groups", seed=8, n=20)
    two = solved(data, Multinomial(2), Ridge(0.4), tol=1e-10)
    one = solved(data, Logistic(), Ridge(0.2), tol=1e-10)
    np.testing.assert_allclose(two.coef[1] - two.coef[0], one.coef, rtol=1e-7, atol=1e-9)
    assert two.solution.objective == pytest.approx(one.solution.objective, rel=1e-9)


def test_classes_with_common_intercepts_without_a_ridge() -> None:
    data = labelled(Multinomial(3), "groups", seed=9, n=60, noise=3.0)
    compared(data, Multinomial(3), Pairwise(0.05), intercept="common")
