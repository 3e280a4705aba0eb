"""Laws of sparse features: the same model as from dense ones, whatever is stored, and never a dense copy."""

from __future__ import annotations

import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from relatask import InputError
from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.linear.input.folds import within_task_folds
from relatask.linear.input.reading import design
from relatask.linear.sums import passes
from relatask.linear.sums.sparse_bucket import SparseBucket
from relatask.relations import (
    Chain,
    Graph,
    Pairwise,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    TaskKernel,
    TraceNorm,
)

T = 3
RELATIONS: list[Relation] = [
    Ridge(0.3),
    Pairwise(0.1),
    Ridge(0.1) + Pairwise(0.1),
    Chain(0.1) + Ridge(0.1),
    Graph(np.array([[0, 1, 2.0], [1, 0, 0], [2, 0, 0]]), 0.1) + Ridge(0.01),
    TaskKernel(np.eye(T) + 0.5, 0.1),
    TraceNorm(0.2),
    SharedSparsity(0.2),
    Sparse(0.2) + Pairwise(0.1),
]
LAYOUTS = ("groups", "columns", "holes")
SIZES = {"full": (60, 8), "thin": (45, 100), "few": (24, 150)}
"""Rows and columns: Grams, kept rows, and kept rows fewer in all than half of the columns."""


def rows(size: str, layout: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    """Sparse columns beside a full one of large offset, one that is mostly stored, one that is empty."""
    n, d = SIZES[size]
    rng = np.random.default_rng([seed, n, LAYOUTS.index(layout)])
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.15)
    X[:, 0] = 1000 + rng.normal(size=n)
    X[:, 1] = (rng.random(n) < 0.8) * (5 + 0.1 * rng.normal(size=n))
    X[:, 2] = 0
    tasks = np.concatenate([np.arange(T).repeat(2), rng.integers(0, T, size=n - 2 * T)])
    weights = rng.integers(1, 4, size=n).astype(float)
    W = rng.normal(size=(T, d)) * (np.arange(d) > 2)
    if layout == "groups":
        return X, np.einsum("nd,nd->n", X, W[tasks]) + tasks + rng.normal(size=n), tasks, weights
    Y = X @ W.T + rng.normal(size=(n, T))
    if layout == "holes":
        Y[rng.random(Y.shape) < 0.3] = np.nan
        Y[:2] = rng.normal(size=(2, T))
    return X, Y, None, weights


def both(model: Any, X: np.ndarray, y: np.ndarray, tasks: Any, weights: Any = None) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few labels, columns that do not vary
        dense = model.fit(X, y, tasks, weights)
        told = dense.predict(X, tasks), dense.objective_, dense.score(X, y, tasks)
        thin = model.fit(sparse.csr_array(X), y, tasks, weights)
    S = sparse.csc_matrix(X)
    return told, (thin.predict(S, tasks), thin.objective_, thin.score(S, y, tasks))


@settings(max_examples=25, deadline=None)
@given(
    relation=st.sampled_from(RELATIONS),
    size=st.sampled_from(sorted(SIZES)),
    layout=st.sampled_from(LAYOUTS),
    intercept=st.sampled_from(["free", "tied", "common", "none"]),
    standardize=st.booleans(),
    weighted=st.booleans(),
    seed=st.integers(0, 3),
)
def test_sparse_features_give_the_model_of_dense_ones(
    relation: Relation, size: str, layout: str, intercept: str, standardize: bool, weighted: bool, seed: int
) -> None:
    X, y, tasks, weights = rows(size, layout, seed)
    if not standardize:
        X[:, 0] -= 1000  # columns of one size: a norm of another is slow to certify, and is no law of sparse rows
        X[:, 1] /= 5
    model = MultiTaskRegressor(relation, intercept=intercept, standardize=standardize, tol=1e-8, max_iter=20_000)
    dense, thin = both(model, X, y, tasks, weights if weighted else None)
    scale = max(1.0, np.nanmax(np.abs(y)))
    if relation.__class__.__name__ in ("TraceNorm", "SharedSparsity") or "Sparse" in repr(relation):
        # Both objectives are within the certified gap of one optimum.
        assert abs(dense[1] - thin[1]) <= 2e-8 * abs(dense[1])
    else:
        assert np.abs(dense[0] - thin[0]).max() <= 1e-8 * scale
        assert abs(dense[1] - thin[1]) <= 1e-10 * abs(dense[1]) + 1e-14 * scale**2


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", sorted(SIZES))
def test_the_statistics_are_those_of_dense_rows(size: str, layout: str) -> None:
    X, y, tasks, weights = rows(size, layout, 0)
    dense, thin = (design(Z, y, tasks, weights)[1].statistics() for Z in (X, sparse.csr_array(X)))
    for name in ("count", "weight", "mean_x", "mean_y", "cross", "yy", "center", "spread"):
        a, b = getattr(dense, name), getattr(thin, name)
        assert np.abs(a - b).max() <= 1e-12 * np.abs(a).max(), name
    A, B = dense.forms.dense(), thin.forms.dense()
    root = np.sqrt(np.einsum("tdd->td", A))
    assert (np.abs(A - B) <= 1e-10 * root[:, :, None] * root[:, None, :] + 1e-18).all()
    assert np.allclose(dense.forms.diagonal(), thin.forms.diagonal(), rtol=1e-10, atol=1e-12)
    W = np.random.default_rng(1).normal(size=(T, 2, X.shape[1]))
    assert np.allclose(dense.forms.apply(W), thin.forms.apply(W), rtol=1e-9, atol=1e-9)
    assert np.allclose(dense.forms.combined(np.arange(1.0, 4)), thin.forms.combined(np.arange(1.0, 4)), rtol=1e-9)
    kept = any(isinstance(bucket, SparseBucket) for bucket in thin.forms.buckets)
    assert kept == (size != "full")


def test_an_offset_costs_no_digits() -> None:
    rng = np.random.default_rng(0)
    X = np.zeros((400, 3))
    X[:, 0] = 1e6 + rng.normal(size=400)  # stored in every row
    X[:, 1] = np.where(rng.random(400) < 0.6, 1e6, 0.0)  # in most
    X[:, 2] = np.where(rng.random(400) < 0.1, 1e6, 0.0)  # in few
    y, codes = rng.normal(size=400), np.zeros(400, dtype=np.intp)
    found = passes.grouped(sparse.csr_array(X), y, codes, 1)
    exact = X.astype(np.longdouble)
    exact = exact - exact.mean(0)
    assert np.allclose(found.forms.dense()[0], (exact.T @ exact).astype(float), rtol=1e-10)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_folds_are_those_of_dense_rows(layout: str) -> None:
    X, y, tasks, _ = rows("thin", layout, 0)
    X[3] = X[4] = 0
    S = sparse.csr_array(X)
    S.data[:2] = 0  # zeros may be stored
    X[0, S.indices[:2]] = 0
    masks = [within_task_folds(design(Z, y, tasks, None)[1], 5, 0) for Z in (X, S)]
    assert (np.array(masks[0]) == np.array(masks[1])).all()


@pytest.mark.filterwarnings("ignore:RT005", "ignore:RT017")
@pytest.mark.parametrize("size", sorted(SIZES))
@pytest.mark.parametrize(
    "model",
    [MultiTaskRegressor(Ridge(0.1) + Pairwise("auto")), PooledRegressor(), PooledRegressor("auto", intercept="free")],
    ids=["pairwise", "pooled", "slopes"],
)
def test_the_same_strength_is_chosen(model: Any, size: str) -> None:
    X, y, tasks, _ = rows(size, "groups", 1)
    dense = model.fit(X, y, tasks)
    path, coef = dense.path_, dense.coef_
    thin = model.fit(sparse.csr_array(X), y, tasks)
    assert np.allclose(path.strengths, thin.path_.strengths, rtol=1e-8)
    assert np.allclose(path.errors, thin.path_.errors, rtol=1e-5)
    assert path.best == thin.path_.best
    assert np.abs(coef - thin.coef_).max() <= 1e-7 * np.abs(coef).max()


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_matrix, sparse.csc_array, sparse.coo_array])
def test_any_format_goes_and_is_left_as_it_was(kind: Any) -> None:
    X, y, tasks, _ = rows("thin", "groups", 0)
    S = kind(X)
    before = S.copy()
    model = MultiTaskRegressor(Ridge(0.1)).fit(S, y, tasks)
    assert abs(S - before).sum() == 0
    assert S.format == before.format
    assert np.allclose(model.predict(S, tasks), MultiTaskRegressor(Ridge(0.1)).fit(X, y, tasks).predict(X, tasks))


def test_places_stored_twice_are_added_up_and_left_as_they_were() -> None:
    S = sparse.csr_array((np.array([1.0, 2.0, 3.0, 1.0]), np.array([1, 1, 0, 1]), np.array([0, 2, 3, 4])), shape=(3, 2))
    model = MultiTaskRegressor(Ridge(0.1)).fit(S, [1.0, 2.0, 4.0])
    assert np.allclose(model.coef_, MultiTaskRegressor(Ridge(0.1)).fit(S.toarray(), [1.0, 2.0, 4.0]).coef_)
    assert S.nnz == 4


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_stored_must_be_finite(bad: float) -> None:
    S = sparse.csr_array(np.diag([1.0, 2.0, bad]))
    with pytest.raises(InputError, match="1 stored value"):
        MultiTaskRegressor().fit(S, [1.0, 2.0, 3.0])
    model = MultiTaskRegressor().fit(np.eye(3), [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match=r"contains (NaN|infinity)"):
        model.predict(S)


@pytest.mark.parametrize(
    "model",
    [
        MultiTaskRegressor(Pairwise(0.1)),
        MultiTaskRegressor(Ridge(0.1) + Pairwise(0.1), intercept="tied"),
        MultiTaskRegressor(Chain(0.1) + Ridge(0.1)),
        MultiTaskRegressor(SharedSparsity(0.1), solver="admm", max_iter=10),
        MultiTaskRegressor(SharedSparsity(0.1)),
        MultiTaskRegressor(Sparse(0.03)),
        PooledRegressor(0.1),
        PooledRegressor("auto"),
    ],
    ids=["pairwise", "tied", "chain", "norm", "rows", "entries", "pooled", "auto"],
)
def test_nothing_is_made_dense(model: Any) -> None:
    t, n, d = 2, 120, 16_000
    rng = np.random.default_rng(0)
    S = sparse.random_array((t * n, d), density=1e-2, format="csr", rng=rng)
    tasks = np.repeat(np.arange(t), n)
    y = np.asarray(S[:, :100].sum(axis=1)).ravel() + 0.1 * rng.normal(size=t * n)
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


def test_a_model_says_that_it_takes_sparse_rows() -> None:
    assert MultiTaskRegressor().__sklearn_tags__().input_tags.sparse
