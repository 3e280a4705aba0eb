"""Where another library, or a closed form of the literature, has the same model: the same coefficients."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import linear_model as peers

from linear_oracle import Case, case, center_and_scale, loss_weights
from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.relations import (
    Chain,
    Graph,
    Pairwise,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    TraceNorm,
)

SUM = {"weighting": "sum", "standardize": False}
SAMPLE = {"weighting": "sample", "standardize": False}


def xy(seed: int = 0, n: int = 30, d: int = 5, t: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + 2
    shape = (d,) if t is None else (d, t)
    y = X @ rng.normal(size=shape) + rng.normal(size=(n,) if t is None else (n, t)) + 5
    return X, y


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("t", [None, 3])
def test_ridge_is_scikit_learns_ridge_with_alpha_for_strength(t: int | None, intercept: bool) -> None:
    X, y = xy(t=t)
    weights = np.random.default_rng(1).integers(0, 3, len(X)).astype(float)
    ours = MultiTaskRegressor(Ridge(2.5), intercept="free" if intercept else "none", **SUM)
    theirs = peers.Ridge(2.5, fit_intercept=intercept)
    for given in (None, weights):
        ours.fit(X, y, sample_weight=given)
        theirs.fit(X, y, sample_weight=given)
        np.testing.assert_allclose(ours.coef_.reshape(theirs.coef_.shape), theirs.coef_, rtol=1e-9)
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
        assert ours.score(X, y) == pytest.approx(ours_score(theirs, X, y), rel=1e-9)


def ours_score(model: peers.Ridge, X: np.ndarray, y: np.ndarray) -> float:
    return 1 - float(np.sum((y - model.predict(X)) ** 2) / np.sum((y - y.mean(0)) ** 2))


def test_sparse_is_the_lasso() -> None:
    X, y = xy()
    ours = MultiTaskRegressor(Sparse(0.3), tol=1e-10, **SAMPLE).fit(X, y)
    theirs = peers.Lasso(0.3, tol=1e-12, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(ours.coef_[0], theirs.coef_, atol=1e-5)
    assert ours.intercept_[0] == pytest.approx(theirs.intercept_, abs=1e-5)
    assert (ours.coef_[0] == 0).tolist() == (theirs.coef_ == 0).tolist()


def test_sparse_and_ridge_is_the_elastic_net() -> None:
    X, y = xy(2)
    ours = MultiTaskRegressor(Sparse(0.5 * 0.7) + Ridge(0.5 * 0.3), tol=1e-10, **SAMPLE).fit(X, y)
    theirs = peers.ElasticNet(0.5, l1_ratio=0.7, tol=1e-12, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(ours.coef_[0], theirs.coef_, atol=1e-5)


def test_shared_sparsity_is_the_multi_task_lasso() -> None:
    X, Y = xy(3, t=4)
    ours = MultiTaskRegressor(SharedSparsity(0.8), tol=1e-12, **SAMPLE).fit(X, Y)
    theirs = peers.MultiTaskLasso(0.8, tol=1e-12, max_iter=100_000).fit(X, Y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-5)


@pytest.mark.parametrize(("n", "d"), [(12, 5), (6, 12), (20, 90)])
@pytest.mark.parametrize("relation", [Ridge(0.0), Pairwise(0.0), Sparse(0.0), Graph(np.ones((3, 3)), 0.0)])
def test_without_strength_least_squares_of_minimum_norm(n: int, d: int, relation: Relation) -> None:
    X, Y = xy(4, n, d, 3)
    ours = MultiTaskRegressor(relation, **SUM).fit(X, Y)
    theirs = peers.LinearRegression().fit(X, Y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-8)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-8)


@pytest.mark.parametrize("relation", [Pairwise(1e-11), Chain(1e-11), TraceNorm(1e-9), SharedSparsity(1e-9)])
def test_a_weak_relation_leaves_each_task_to_itself(relation: Relation) -> None:
    data = case("groups", 5, t=3, d=4, n=12)
    model = MultiTaskRegressor(relation, tol=1e-9).fit(**data.arguments)
    for k in range(3):
        own = data.tasks == k
        alone = peers.LinearRegression().fit(data.X[own], data.y[own])
        np.testing.assert_allclose(model.coef_[k], alone.coef_, rtol=1e-4, atol=1e-5)
        assert model.intercept_[k] == pytest.approx(alone.intercept_, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("weighting", ["sum", "task", "sample"])
@pytest.mark.parametrize("relation", [Pairwise(1e8), Chain(1e9), Graph([(0, 1), (1, 2), (0, 2)], 1e9)])
@pytest.mark.parametrize("standardize", [True, False])
def test_a_strong_relation_gives_common_slopes_weighted_as_the_loss(
    relation: Relation, weighting: str, standardize: bool
) -> None:
    data = case("groups", 6, t=3, d=4, n=12)
    own = np.eye(3)[data.tasks]
    weights = loss_weights(data, weighting)[data.tasks]
    free = peers.LinearRegression(fit_intercept=False).fit(np.hstack([data.X, own]), data.y, weights)
    settings = {"weighting": weighting, "standardize": standardize}
    model = MultiTaskRegressor(relation, **settings).fit(**data.arguments)
    np.testing.assert_allclose(model.coef_, np.tile(free.coef_[:4], (3, 1)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, free.coef_[4:], rtol=1e-5, atol=1e-5)
    baseline = PooledRegressor(0.0, intercept="free", **settings).fit(**data.arguments)
    np.testing.assert_allclose(baseline.coef_, np.tile(free.coef_[:4], (3, 1)), rtol=1e-8)
    np.testing.assert_allclose(baseline.intercept_, free.coef_[4:], rtol=1e-8)
    # Tied intercepts are tied too: the pooled model.
    pooled = peers.LinearRegression().fit(data.X, data.y, weights)
    tied = MultiTaskRegressor(relation, intercept="tied", **settings).fit(**data.arguments)
    np.testing.assert_allclose(tied.predict(data.X, data.tasks), pooled.predict(data.X), rtol=1e-4, atol=1e-4)
    common = PooledRegressor(0.0, **settings).fit(**data.arguments)
    np.testing.assert_allclose(common.predict(data.X, data.tasks), pooled.predict(data.X), rtol=1e-8)


def test_pooled_with_a_strength_is_ridge_on_all_rows() -> None:
    data = case("groups", 7, t=4, d=3, n=6)
    ours = PooledRegressor(1.7, **SUM).fit(**data.arguments)
    theirs = peers.Ridge(1.7).fit(data.X, data.y)
    np.testing.assert_allclose(ours.coef_, np.tile(theirs.coef_, (4, 1)), rtol=1e-9)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-9)


def correlations(data: Case, model: MultiTaskRegressor) -> np.ndarray:
    """(t, d) loss-weighted correlations of standardised, within-task centred features with the residuals."""
    center, scale = center_and_scale(data, True)
    c = loss_weights(data, model.weighting)
    out = np.zeros_like(model.coef_)
    for k in range(data.t):
        rows = data.tasks == k
        x = (data.X[rows] - center) / scale
        residual = data.y[rows] - (data.X[rows] @ model.coef_[k] + model.intercept_[k])
        out[k] = c[k] * (x - x.mean(0)).T @ residual
    return out


NULL = {
    "TraceNorm": (TraceNorm, lambda Z: np.linalg.norm(Z, 2)),
    "SharedSparsity": (SharedSparsity, lambda Z: np.linalg.norm(Z, axis=0).max()),
    "Sparse": (Sparse, lambda Z: np.abs(Z).max()),
}


@pytest.mark.parametrize("weighting", ["sum", "task", "sample"])
@pytest.mark.parametrize("name", NULL)
def test_norms_at_and_above_the_null_strength_and_their_optimality_below(name: str, weighting: str) -> None:
    kind, dual = NULL[name]
    data = case("groups", 8, t=4, d=5, n=9)
    zero = MultiTaskRegressor(kind(1e9), weighting=weighting).fit(**data.arguments)
    assert not zero.coef_.any()
    null = dual(correlations(data, zero))
    assert not MultiTaskRegressor(kind(null * (1 + 1e-9)), weighting=weighting).fit(**data.arguments).coef_.any()
    for share in (0.99, 0.5, 0.1):
        model = MultiTaskRegressor(kind(share * null), weighting=weighting, tol=1e-11, max_iter=100_000)
        model.fit(**data.arguments)
        assert model.coef_.any()
        # At W != 0 the dual norm of the residuals' correlations is the strength.
        assert dual(correlations(data, model)) == pytest.approx(share * null, rel=1e-4)


@pytest.mark.parametrize("relation", [TraceNorm(0.4), SharedSparsity(0.4), Sparse(0.2), Sparse(0.2) + Ridge(0.1)])
@pytest.mark.parametrize("intercept", ["free", "tied", "common", "none"])
def test_splitting_and_accelerated_gradients_agree(relation: Relation, intercept: str) -> None:
    data = case("groups", 9, t=4, d=4, n=9)
    admm, fista = (
        MultiTaskRegressor(relation, solver=name, intercept=intercept, tol=1e-9, max_iter=100_000).fit(**data.arguments)
        for name in ("admm", "fista")
    )
    assert admm.objective_ == pytest.approx(fista.objective_, rel=3e-9)
    np.testing.assert_allclose(admm.coef_, fista.coef_, atol=1e-3)
