"""Laws at the edges: solutions that are not unique, strengths and offsets far from the data's scale, tiny columns."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from linear_oracle import INTERCEPTS, Case, case, precision, quadratic_optimum, system
from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.linear.sums import passes
from relatask.notices import InputError, RelataskWarning
from relatask.relations import (
    Chain,
    Graph,
    Pairwise,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    TaskPrecision,
    TraceNorm,
    parts,
)

RING = Graph(np.roll(np.eye(4), 1, 0) + np.roll(np.eye(4), -1, 0), 0.3)


def smallest(data: Case, relation: Relation, **settings: object) -> np.ndarray:
    """W (t, d) of minimum norm among the minimisers: intercepts projected out, then a pseudo-inverse."""
    S = system(data, **settings)
    size = S.t * S.penalised
    W, b, A = S.A[:, :size], S.b, S.A[:, size:]
    if A.shape[1]:
        Q = np.linalg.qr(A)[0]
        W, b = W - Q @ (Q.T @ W), b - Q @ (Q.T @ b)
    P = np.sum([precision(part, S.t) for part in parts(relation)], axis=0)
    H = W.T @ W + np.kron(P, np.eye(S.penalised))
    return (np.linalg.pinv(H, rcond=1e-12, hermitian=True) @ (W.T @ b)).reshape(S.t, S.penalised)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize(
    "relation",
    [Ridge(0.0), Pairwise(0.0), Chain(0.0), Pairwise(0.3), Chain(0.3), RING, TaskPrecision(np.ones((4, 4)), 0.5)],
    ids=lambda r: f"{type(r).__name__}({r.strength})",
)
@pytest.mark.parametrize("layout", ["groups", "columns"])
def test_of_all_minimisers_the_smallest(layout: str, relation: Relation, intercept: str) -> None:
    data = case(layout, 5, t=4, d=6, n=5)
    data.X[:, 4] = data.X[:, 0] + data.X[:, 1]  # a combination of columns
    data.X[:, 5] = 2.0  # a constant
    settings = {"weighting": "task", "intercepts": intercept, "standardize": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelataskWarning)
        model = MultiTaskRegressor(relation, weighting="task", intercept=intercept, standardize=False)
        model.fit(**data.arguments)
    expected = smallest(data, relation, **settings)
    np.testing.assert_allclose(model.coef_, expected[:, :6], atol=2e-6 * max(1.0, np.abs(expected).max()))


def test_a_large_null_space_that_is_not_searched_is_said() -> None:
    data = case("groups", 6, t=80, d=28, n=3)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        MultiTaskRegressor(TaskPrecision(np.ones((80, 80)), 1.0)).fit(**data.arguments)
    assert any("RT017: the relation leaves 79 directions" in str(warning.message) for warning in said)


@pytest.mark.parametrize(
    "relation", [Ridge(0.3), Pairwise(0.3), Chain(0.3) + Ridge(0.1)], ids=["Ridge", "Pairwise", "sum"]
)
@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_thin_columns_whose_holes_are_sorted_otherwise_than_the_tasks(
    relation: Relation, intercept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "THIN", 4)
    data = case("columns", 7, t=5, d=20, n=9)
    # All tasks have 8 labels, so they share a bucket, and the patterns sort in reverse.
    data.y[np.arange(5), np.arange(5)] = np.nan
    model = MultiTaskRegressor(relation, intercept=intercept).fit(**data.arguments)
    best = quadratic_optimum(data, relation, weighting="sample", intercepts=intercept, standardize=True)
    assert model.objective_ == pytest.approx(best, rel=1e-8)


@pytest.mark.parametrize("relation", [Ridge(1.0), TraceNorm(0.3)], ids=["Ridge", "TraceNorm"])
@pytest.mark.parametrize("intercept", ["free", "common"])
def test_an_offset_of_the_labels_is_the_intercepts_alone(relation: Relation, intercept: str) -> None:
    data = case("groups", 8)
    near = MultiTaskRegressor(relation, intercept=intercept).fit(data.X, data.y, data.tasks)
    far = MultiTaskRegressor(relation, intercept=intercept).fit(data.X, data.y + 1e8, data.tasks)
    assert far.objective_ == pytest.approx(near.objective_, rel=1e-5)
    np.testing.assert_allclose(far.coef_, near.coef_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layout", ["groups", "columns"])
@pytest.mark.parametrize("strength", [1e6, 1e9, 1e12])
@pytest.mark.parametrize("kind", [Pairwise, Chain])
def test_a_relation_far_stronger_than_the_data_gives_the_common_slopes(
    kind: type[Relation], strength: float, layout: str
) -> None:
    data = case(layout, 9, t=4, d=5, n=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelataskWarning)  # RT015: rounding
        model = MultiTaskRegressor(kind(strength)).fit(**data.arguments)
    common = PooledRegressor(0.0, intercept="free").fit(**data.arguments)
    np.testing.assert_allclose(model.coef_, common.coef_, rtol=0, atol=1e-4 * np.abs(common.coef_).max())


def test_a_weak_ridge_beside_a_strong_pull_still_counts() -> None:
    data = case("groups", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelataskWarning)
        model = MultiTaskRegressor(Ridge(5.0) + Pairwise(1e11)).fit(data.X, data.y, data.tasks)
    # With all w_k equal, t ridges of strength s are one of t s on the common vector.
    common = PooledRegressor(3 * 5.0, intercept="free").fit(data.X, data.y, data.tasks)
    np.testing.assert_allclose(model.coef_, common.coef_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "relation", [SharedSparsity(1e-12), TraceNorm(1e-12), Sparse(1e-12)], ids=lambda r: type(r).__name__
)
def test_columns_too_small_to_be_fitted_are_said_and_never_certified(relation: Relation) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2)) * [1.0, 1e-9]
    y = X @ [0.0, 1e9] + 0.1 * rng.normal(size=60)
    model = MultiTaskRegressor(relation, standardize=False, max_iter=200)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.fit(X, y, np.repeat([0, 1], 30))
    assert any("too far apart" in str(warning.message) for warning in said)
    assert model.residual_ > 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = MultiTaskRegressor(relation).fit(X, y, np.repeat([0, 1], 30))
    assert scaled.score(X, y, np.repeat([0, 1], 30)) > 0.98


@pytest.mark.parametrize("value", [0.1, 0.3, 1e8 + 0.1])
def test_constant_labels_have_no_score(value: float) -> None:
    X, y = np.arange(6.0)[:, None], np.full(6, value)
    with pytest.warns(RelataskWarning, match="RT005"):
        model = MultiTaskRegressor().fit(X, y)
    assert np.isnan(model.score(X, y))


def test_tasks_for_a_model_that_was_fitted_without() -> None:
    model = MultiTaskRegressor().fit(np.arange(6.0)[:, None], np.arange(6.0))
    with pytest.raises(InputError, match="fitted without"):
        model.predict([[1.0]], tasks=["a"])
