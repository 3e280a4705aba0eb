"""Laws of sparse features under other losses: the model of dense ones, and never a dense copy."""

from __future__ import annotations

import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from relatask.linear import MultiTaskClassifier, MultiTaskLinear, MultiTaskRegressor
from relatask.linear.losses import ByTask, Huber, Logistic, Multinomial, Poisson, RootSquared
from relatask.linear.newton import solve_loss
from relatask.linear.newton.prepare import prepared
from relatask.linear.newton.products import back, forward, grams
from relatask.linear.newton.solving import data_term
from relatask.linear.sums.sparse_bucket import SparseBucket
from relatask.relations import Pairwise, Relation, Ridge, SharedSparsity, Sparse, TraceNorm, strengths, with_parameters

T = 3
LOSSES = [
    Logistic(), Poisson(), Huber(0.5), Multinomial(3), RootSquared(), ByTask(("regression", "binary", "count")),
]  # fmt: skip
RELATIONS: list[Relation] = [Pairwise(0.1) + Ridge(0.05), Ridge(0.2), TraceNorm(0.05), SharedSparsity(0.05)]
SIZES = {"full": (75, 6), "thin": (66, 150)}
"""Rows and columns: Grams, and kept rows."""
LAYOUTS = ("groups", "columns", "holes")
MODES = ("free", "tied", "common", "none")


def rows(loss: Any, size: str, layout: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, Any]:
    """Sparse columns beside a full one of large offset, one that is mostly stored, one that is empty."""
    n, d = SIZES[size]
    rng = np.random.default_rng([seed, n, LAYOUTS.index(layout)])
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.15)
    X[:, 0] = 1000 + rng.normal(size=n)
    X[:, 1] = (rng.random(n) < 0.8) * (5 + 0.1 * rng.normal(size=n))
    X[:, 2] = 0
    tasks = np.concatenate([np.arange(T).repeat(3), rng.integers(0, T, size=n - 3 * T)])
    z = X[:, 3:6].sum(1)[:, None] + rng.normal(size=(n, T))
    losses = loss.losses if isinstance(loss, ByTask) else (loss,) * T
    Y = np.stack([labels(own, v) for own, v in zip(losses, z.T, strict=True)], axis=1)
    Y[:3] = Y[3:6] = np.arange(3)[:, None] % (2 if isinstance(loss, Logistic | ByTask) else 3)
    if layout == "groups":
        tasks[:9] = np.arange(T).repeat(3)
        y = Y[np.arange(n), tasks]
        y[:9] = np.tile([0, 1, 2 if isinstance(loss, Multinomial) else 0], 3)
        return X, y, tasks, rng.integers(1, 4, size=n).astype(float)
    if layout == "holes":
        Y[6:][rng.random(Y[6:].shape) < 0.3] = np.nan
        return X, Y, None, rng.integers(1, 4, size=Y.shape).astype(float)
    return X, Y, None, rng.integers(1, 4, size=n).astype(float)


def labels(loss: Any, z: np.ndarray) -> np.ndarray:
    if isinstance(loss, Logistic):
        return (z > 0).astype(float)
    if isinstance(loss, Poisson):
        return np.floor(np.exp(np.minimum(0.5 * z, 3)))
    return np.searchsorted([-0.5, 0.5], z).astype(float) if isinstance(loss, Multinomial) else z


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("relation", RELATIONS, ids=lambda r: type(r).__name__)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_sparse_features_give_the_model_of_dense_ones(loss: Any, relation: Relation, mode: Any) -> None:
    given = relation
    for size, layout in (("full", "groups"), ("thin", "groups"), ("thin", "holes")):
        X, y, tasks, weights = rows(loss, size, layout)
        if isinstance(loss, RootSquared):  # below, every label is met exactly: no gap is certified at a kink
            factor = 15 if isinstance(given, SharedSparsity) else 40
            relation = with_parameters(given, **{name: factor * v for name, v in strengths(given).items()})
        settings: Any = {"n_tasks": T, "weights": weights, "intercept": mode, "tol": 1e-7}
        dense, thin = (solve_loss(Z, y, tasks, loss, relation, **settings) for Z in (X, sparse.csr_array(X)))
        size_of = max(abs(dense.solution.objective), 1e-3)
        slack = dense.solution.residual + thin.solution.residual if dense.solution.certified else 1e-9
        assert thin.solution.residual <= max(1e-6, 2 * dense.solution.residual)
        assert abs(dense.solution.objective - thin.solution.objective) <= (slack + 1e-9) * size_of
        if not dense.solution.certified:
            own, other = (Z.coef @ X.T + Z.intercept[..., None] for Z in (dense, thin))
            assert np.abs(own - other).max() <= 1e-4 * max(1.0, np.abs(own).max())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", sorted(SIZES))
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_the_quadratic_model_is_that_of_dense_rows(loss: Any, size: str, layout: str, mode: Any) -> None:
    X, y, tasks, weights = rows(loss, size, layout)
    found = []
    for Z in (X, sparse.csr_array(X)):
        data = data_term(prepared(Z, y, tasks, T, weights, "task", mode, True), loss)
        rng = np.random.default_rng(1)
        point = data.at(0.1 * rng.normal(size=data.shape), data.zero().b)
        slopes = data.slopes(point)
        models = [data.local(point, slopes, damp) for damp in (0.0, 0.3, 1.0)]
        D = rng.normal(size=data.shape)
        parts = [v for m in models for v in (m.forms.dense(), m.gradient, m.follow(D))]
        after = data.extrapolated(point, slopes, D, models[0].follow(D))
        found.append([point.losses, slopes.W, slopes.b, after.W, after.b, *parts])
        if sparse.issparse(Z):
            kept = [isinstance(bucket, SparseBucket) for m in models for bucket in m.forms.buckets]
            assert all(kept) if size == "thin" else not any(kept)
    for dense, thin in zip(*found, strict=True):
        assert np.abs(dense - thin).max() <= 1e-9 * max(np.abs(dense).max(), 1e-3)


@pytest.mark.parametrize("density", [0.05, 0.5])
def test_products_of_rows_are_those_written_out(density: float) -> None:
    rng = np.random.default_rng(0)
    S = sparse.random_array((60, 7), density=density, format="csr", rng=rng)
    shape = prepared(S, rng.normal(size=60), np.arange(60) % T, T, None, "sum", "free", True)
    plain = prepared(S.toarray(), rng.normal(size=60), np.arange(60) % T, T, None, "sum", "free", True)
    for thin, dense in zip(shape.rows, plain.rows, strict=True):
        k, m, d = thin.x.shape
        W, V, a = rng.normal(size=(k, 2, d)), rng.normal(size=(k, 2, m)), rng.normal(size=(k, m))
        np.testing.assert_allclose(forward(thin.x, W), forward(dense.x, W), atol=1e-12)
        np.testing.assert_allclose(back(thin.x, V), back(dense.x, V), atol=1e-12)
        np.testing.assert_allclose(grams(thin.x, a), grams(dense.x, a), atol=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        MultiTaskClassifier(Pairwise(0.1)),
        MultiTaskClassifier(SharedSparsity(0.02), tol=1e-4),
        MultiTaskClassifier(Sparse(0.02) + Ridge(0.1), intercept="common", tol=1e-4),
        MultiTaskRegressor(Ridge(0.1), loss="huber"),
        MultiTaskRegressor(Ridge(0.1), loss="root_squared", intercept="tied"),
        MultiTaskLinear({0: "binary", 1: "regression"}, Pairwise(0.1)),
    ],
    ids=["pairwise", "rows", "entries", "huber", "root", "kinds"],
)
def test_nothing_is_made_dense(model: Any) -> None:
    t, n, d = 2, 90, 16_000
    rng = np.random.default_rng(0)
    S = sparse.random_array((t * n, d), density=1e-2, format="csr", rng=rng)
    tasks = np.repeat(np.arange(t), n)
    y = (np.asarray(S[:, :800].sum(axis=1)).ravel() > 4).astype(float)
    dense, held = S.shape[0] * d * 8, S.data.nbytes + S.indices.nbytes + S.indptr.nbytes
    assert dense > 50 * held
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(S, y, tasks)  # imports, caches and what is compiled
        tracemalloc.start()
        model.fit(S, y, tasks).predict(S, tasks)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < dense / 2


@pytest.mark.filterwarnings("ignore:RT005")
def test_three_classes_and_a_chosen_strength() -> None:
    X, y, tasks, weights = rows(Multinomial(3), "thin", "groups")
    names = np.array(["a", "b", "c"])[y.astype(int)]
    model = MultiTaskClassifier(Pairwise("auto") + Ridge(0.05), tol=1e-8)
    found = []
    for Z in (X, sparse.csc_matrix(X)):
        model.fit(Z, names, tasks, weights)
        found.append((model.strengths_, model.predict_proba(Z, tasks), model.score(Z, names, tasks)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-5)
    assert found[0][2] == found[1][2]
    assert model.__sklearn_tags__().input_tags.sparse
