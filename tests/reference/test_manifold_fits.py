"""Fits with unlabelled rows, against least squares, LapRLS by its formula, cvxpy, and beside every relation."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from linear_oracle import INTERCEPTS, WEIGHTINGS, Case, System, case, center_and_scale, precision, system
from manifold_cases import by_hand, near, rows
from relatask.linear import MultiTaskClassifier, MultiTaskRegressor
from relatask.linear.sums import passes
from relatask.notices import RelataskWarning
from relatask.relations import (
    Chain,
    FeatureQuadratic,
    LearnedCovariance,
    Manifold,
    Pairwise,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    TraceNorm,
    neighbours,
    parts,
    registry,
)


def with_pairs(data: Case, S: System, relation: Relation, standardize: bool, k: int) -> System:
    """The system with a row for every task and pair of neighbours, at the label 0."""
    _, scale = center_and_scale(data, standardize)
    more = []
    for part in parts(relation):
        if not isinstance(part, Manifold):
            continue
        X = np.asarray(part.X_unlabelled)
        pairs = near(X, k, X.std(0))
        for task, (i, j) in itertools.product(range(S.t), pairs):
            row = np.zeros(S.A.shape[1])
            row[task * S.penalised : task * S.penalised + S.d] = (X[i] - X[j]) / scale
            more.append(row * np.sqrt(part.strength / len(pairs)))
    return replace(S, A=np.vstack([S.A, more]), b=np.concatenate([S.b, np.zeros(len(more))]))


def optimum(data: Case, relation: Relation, k: int, **road: Any) -> float:
    """The least objective: least squares of all rows and pairs at once; with a norm by cvxpy."""
    S = with_pairs(data, system(data, **road), relation, road["standardize"], k)
    rest = [part for part in parts(relation) if not isinstance(part, Manifold)]
    size = S.t * S.penalised
    if all(isinstance(part, Ridge | Pairwise | Chain) for part in rest):
        P = sum((precision(part, S.t) for part in rest), start=np.zeros((S.t, S.t)))
        values, vectors = np.linalg.eigh(P)
        root = (vectors * np.sqrt(np.where(values > 1e-13 * values[-1], values, 0))).T
        below = np.hstack([np.kron(root, np.eye(S.penalised)), np.zeros((size, S.A.shape[1] - size))])
        A, b = np.vstack([S.A, below]), np.concatenate([S.b, np.zeros(size)])
        return 0.5 * float(np.sum((A @ np.linalg.lstsq(A, b, rcond=1e-13)[0] - b) ** 2))
    cp = pytest.importorskip("cvxpy")
    theta = cp.Variable(S.A.shape[1])
    W = cp.reshape(theta[:size], (S.t, S.penalised), order="C")
    total = 0.5 * cp.sum_squares(S.A @ theta - S.b)
    for part in rest:
        total += (
            part.strength
            * {
                TraceNorm: lambda: cp.normNuc(W),
                Sparse: lambda: cp.norm1(W),
                SharedSparsity: lambda: sum(cp.norm2(W[:, j]) for j in range(S.penalised)),
            }[type(part)]()
        )
    problem = cp.Problem(cp.Minimize(total))
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return float(problem.value)


def check(data: Case, relation: Relation, k: int, *, intercepts: str = "free", **road: Any) -> MultiTaskRegressor:
    """Fit, and compare with the optimum."""
    settings = {"weighting": "sample", "standardize": True, **road}
    model = MultiTaskRegressor(relation, intercept=intercepts, tol=1e-7, **settings).fit(**data.arguments)
    assert 0 <= model.residual_ <= 1e-7
    best = optimum(data, relation, k, intercepts=intercepts, **settings)
    assert model.objective_ == pytest.approx(best, rel=2e-6, abs=1e-9)
    assert [type(part) for part in parts(model.relation_)] == [type(part) for part in parts(relation)]
    return model


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("layout", ["groups", "columns", "holes"])
def test_fits_are_least_squares_with_pairs_as_rows(layout: str, intercept: str) -> None:
    data = case(layout, 1, weighted=True)
    U = rows(12, 4, seed=2)
    for weighting, standardize in zip(WEIGHTINGS, (True, False, True), strict=True):
        for relation in (Pairwise(0.2), Ridge(0.1) + Chain(0.3)):
            both = relation + Manifold(U, 0.6, n_neighbors=3)
            check(data, both, 3, intercepts=intercept, weighting=weighting, standardize=standardize)
    check(data, Manifold(U, 0.6, n_neighbors=3), 3, intercepts=intercept)


@pytest.mark.parametrize("norm", [TraceNorm(0.3), SharedSparsity(0.2), Sparse(0.1)], ids=lambda r: type(r).__name__)
@pytest.mark.parametrize("intercept", ["free", "tied"])
def test_beside_norms_the_optimum_is_certified(norm: Relation, intercept: str) -> None:
    relation = Manifold(rows(12, 4, seed=2), 0.6, n_neighbors=3) + norm
    model = check(case("groups", 5), relation, 3, intercepts=intercept)
    assert model.residual_ <= 1e-7


@pytest.mark.parametrize("many", [False, True])
def test_tasks_of_few_rows(many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tasks are held as rows they stay so beside few unlabelled rows, and become forms beside many."""
    monkeypatch.setattr(passes, "THIN", 4)
    U = rows(40 if many else 4, 21, seed=3)
    data = case("groups", 2, t=4, d=21, n=5)
    for relation in (Ridge(0.1) + Pairwise(0.3), TraceNorm(0.3)):
        check(data, relation + Manifold(U, 0.5, n_neighbors=2), 2)


def test_sparse_rows_are_fitted_like_dense_ones() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 60)) * (rng.random((40, 60)) < 0.2)
    U = rng.normal(size=(50, 60)) * (rng.random((50, 60)) < 0.2)
    y, tasks = X[:, 0] + rng.normal(size=40), np.arange(40) % 4
    dense = MultiTaskRegressor(Pairwise(0.1) + Manifold(U, 0.5), tol=1e-9).fit(X, y, tasks)
    thin = MultiTaskRegressor(Pairwise(0.1) + Manifold(sparse.csr_array(U), 0.5), tol=1e-9)
    thin.fit(sparse.csr_array(X), y, tasks)
    np.testing.assert_allclose(thin.coef_, dense.coef_, atol=1e-7)


@pytest.mark.parametrize("loss", ["squared", "huber"])
@pytest.mark.parametrize("kind", [k for k in registry().values() if not k.alone], ids=lambda kind: kind.__name__)
def test_it_goes_with_every_relation(kind: type[Relation], loss: str) -> None:
    data, U = case("groups", 6, t=4, n=12), rows(14, 4, seed=2)
    relation = (kind.example(4, 4) if issubclass(kind, FeatureQuadratic) else kind.example(4)) + Manifold(U, 0.4)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="RT018", category=RelataskWarning)  # a part that vanishes
        model = MultiTaskRegressor(relation, loss=loss, standardize=False, weighting="sum").fit(**data.arguments)
    assert 0 <= model.residual_ <= model.tol
    assert len(parts(model.relation_)) == 2
    r = np.einsum("nd,nd->n", data.X, model.coef_[data.tasks]) + model.intercept_[data.tasks] - data.y
    linear = np.abs(r) > 1.35 if loss == "huber" else np.zeros(len(r), dtype=bool)
    own = float(np.where(linear, 1.35 * (np.abs(r) - 0.675), 0.5 * r**2).sum())
    assert model.objective_ == pytest.approx(own + float(model.relation_(model.coef_)), rel=1e-6)
    assert parts(model.relation_)[1](model.coef_) == pytest.approx(by_hand(U, model.coef_, 10, 0.4), rel=1e-8)


def test_one_task_is_laprls() -> None:
    """Belkin, Niyogi, Sindhwani 2006, section 4.2: alpha = (J K + a l I + c l / (u + l)^2 L K)^-1 Y, K linear."""
    X, y = rows(6, 3, seed=7), np.random.default_rng(0).normal(size=6)
    every = np.vstack([X, rows(9, 3, seed=8)])
    n, labelled, a, c = 15, 6, 0.3, 20.0
    A = np.zeros((n, n))
    for i, j in near(every, 4, np.ones(3)):
        A[i, j] = A[j, i] = 1
    L, K = np.diag(A.sum(1)) - A, every @ every.T
    J, Y = np.diag((np.arange(n) < labelled) * 1.0), np.concatenate([y, np.zeros(n - labelled)])
    alpha = np.linalg.solve(J @ K + a * labelled * np.eye(n) + c * labelled / n**2 * L @ K, Y)
    relation = Ridge(a) + Manifold(every, c * A.sum() / (2 * n**2), n_neighbors=4, standardize=False)
    model = MultiTaskRegressor(relation, intercept="none", standardize=False).fit(X, y)
    np.testing.assert_allclose(model.coef_[0], alpha @ every, rtol=1e-8)


def test_logistic_beside_a_norm_is_certified() -> None:
    cp = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(0)
    X, U, tasks = rng.normal(size=(60, 3)), rows(12, 3), np.repeat(np.arange(3), 20)
    y = X[:, 0] + 0.5 * rng.normal(size=60) > 0
    relation = TraceNorm(2.0) + Manifold(U, 1.5, n_neighbors=3)
    model = MultiTaskClassifier(relation, weighting="sum", standardize=False, tol=1e-8).fit(X, y, tasks)
    assert model.residual_ <= 1e-8
    W, b = cp.Variable((3, 3)), cp.Variable(3)
    pairs = near(U, 3, U.std(0))
    total = 2.0 * cp.normNuc(W)
    for k in range(3):
        eta = X[tasks == k] @ W[k] + b[k]
        total += cp.sum(cp.logistic(eta) - cp.multiply(y[tasks == k], eta))
        total += 1.5 / 2 / len(pairs) * sum(cp.square((U[i] - U[j]) @ W[k]) for i, j in pairs)
    problem = cp.Problem(cp.Minimize(total))
    problem.solve(solver=cp.CLARABEL)
    assert model.objective_ == pytest.approx(problem.value, rel=1e-6)
    np.testing.assert_allclose(model.coef_, W.value, atol=1e-3)


@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_several_classes_each_pay(intercept: str) -> None:
    rng = np.random.default_rng(0)
    X, U, tasks = rng.normal(size=(60, 3)) * [1, 2, 3], rows(12, 3), np.repeat(np.arange(3), 20)
    y = np.digitize(X[:, 0] + rng.normal(size=60), [-0.5, 0.5])
    relation = Manifold(U, 1.5, n_neighbors=3) + Ridge(0.1)
    model = MultiTaskClassifier(relation, weighting="sum", intercept=intercept, standardize=False, tol=1e-9)
    model.fit(X, y, tasks)

    def objective(coef: np.ndarray, level: np.ndarray) -> float:
        eta = np.einsum("nd,ncd->nc", X, coef[tasks]) + level[tasks]
        loss = float(np.sum(np.logaddexp.reduce(eta, axis=1) - eta[np.arange(60), y]))
        ridge = 0.1 / 2 * float(np.sum(coef**2) + (np.sum(level**2) if intercept == "tied" else 0))
        return loss + ridge + sum(by_hand(U, coef[:, c], 3, 1.5) for c in range(3))

    reached = objective(model.coef_, model.intercept_)
    assert model.objective_ == pytest.approx(reached, rel=1e-8)
    for size in (1e-3, 0.1):
        step = size * rng.normal(size=model.coef_.shape)
        assert objective(model.coef_ + step, model.intercept_) > reached


def test_strength_zero_is_none_and_a_great_one_leaves_what_neighbours_share() -> None:
    data = case("groups", 3, n=12)
    U = rows(12, 4, seed=2)
    for relation in (Pairwise(0.2), TraceNorm(0.2)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RelataskWarning)
            plain, none, little = (
                MultiTaskRegressor(r, tol=1e-9).fit(**data.arguments).coef_
                for r in (relation, relation + Manifold(U, 0.0), relation + Manifold(U, 1e-9))
            )
        np.testing.assert_array_equal(none, plain)
        np.testing.assert_allclose(little, plain, atol=1e-5 * np.abs(plain).max())
    # Rows on a line: what changes along it is priced away, the rest is as it was with that direction gone.
    line = np.outer(np.arange(12.0), [1.0, -2.0, 0.0, 0.0])
    model = MultiTaskRegressor(Pairwise(0.2) + Manifold(line, 1e8, n_neighbors=2), standardize=False)
    model.fit(**data.arguments)
    np.testing.assert_allclose(model.coef_ @ [1.0, -2.0, 0.0, 0.0], 0, atol=1e-6)
    assert np.abs(model.coef_).max() > 0.1


def test_what_no_label_tells_unlabelled_rows_may() -> None:
    data = case("groups", 3, t=3, d=2, n=8)
    X = np.column_stack([data.X, data.tasks])  # constant within every task
    with pytest.warns(RelataskWarning, match="RT017: column 2 is constant within every task"):
        MultiTaskRegressor(Pairwise(0.1)).fit(X, data.y, data.tasks)
    U = rows(20, 3)
    U[:, 2] = U[:, 0] + 0.1 * U[:, 1]
    model = MultiTaskRegressor(Pairwise(0.1) + Manifold(U, 1.0, n_neighbors=3)).fit(X, data.y, data.tasks)
    assert np.abs(model.coef_[:, 2]).max() > 1e-3


@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_strengths_are_chosen(intercept: str) -> None:
    """The errors of a path are those of fits on the folds' rows; the least is taken."""
    data, U = case("groups", 4, n=20), rows(15, 4)
    single = MultiTaskRegressor(Pairwise(0.1) + Manifold(U, "auto"), intercept=intercept).fit(**data.arguments)
    assert len(single.path_.strengths) == 25
    assert single.strengths_["Manifold__strength"] == single.path_.strengths[single.path_.best, 0]
    fixed = MultiTaskRegressor(
        Pairwise(0.1) + Manifold(U, single.strengths_["Manifold__strength"]), intercept=intercept
    )
    np.testing.assert_allclose(single.coef_, fixed.fit(**data.arguments).coef_, rtol=1e-10)
    both = MultiTaskRegressor(Pairwise("auto") + Manifold(U, "auto"), intercept=intercept).fit(**data.arguments)
    assert len(both.path_.strengths) == 81
    assert np.ptp(both.path_.errors) > 0
    norm = MultiTaskRegressor(TraceNorm(0.1) + Manifold(U, "auto"), intercept=intercept).fit(**data.arguments)
    assert norm.strengths_["Manifold__strength"] > 0
    huber = MultiTaskRegressor(Ridge(0.1) + Manifold(U, "auto"), intercept=intercept, loss="huber")
    assert huber.fit(**data.arguments).strengths_["Manifold__strength"] > 0


def test_the_reach_of_a_strength_knows_the_columns_units() -> None:
    data, U = case("groups", 4, n=20), rows(15, 4)
    units = np.array([1e3, 1.0, 1e-3, 10.0])
    model, other = (
        MultiTaskRegressor(Pairwise(0.1) + Manifold(U * u, "auto")).fit(data.X * u, data.y, data.tasks)
        for u in (np.ones(4), units)
    )
    np.testing.assert_allclose(other.path_.strengths, model.path_.strengths, rtol=1e-6)
    for one, u in ((model, np.ones(4)), (other, units)):  # folds depend on the rows, so that another may be chosen
        one.set_params(relation__Manifold__strength=0.1).fit(data.X * u, data.y, data.tasks)
    np.testing.assert_allclose(other.coef_ * units, model.coef_, rtol=1e-6)


def test_the_graph_is_made_once_for_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = neighbours.nearest
    monkeypatch.setattr(neighbours, "nearest", lambda *args, **kw: (made.append(1), real(*args, **kw))[1])
    data = case("groups", 4)
    model = MultiTaskRegressor(Pairwise("auto") + Manifold(rows(15, 4, seed=9), "auto")).fit(**data.arguments)
    model.set_params(relation__Manifold__strength=0.3, relation__Pairwise__strength=0.1).fit(**data.arguments)
    assert len(made) == 1
    model.set_params(relation__Manifold__n_neighbors=4).fit(**data.arguments)
    assert len(made) == 2


def test_with_what_is_learned_the_whole_relation_is_given_back() -> None:
    data = case("groups", 4)
    for loss in ("squared", "huber"):
        model = MultiTaskRegressor(LearnedCovariance(0.1, 0.1) + Manifold(rows(15, 4), 0.4), loss=loss)
        model.fit(**data.arguments)
        assert [type(part) for part in parts(model.relation_)] == [LearnedCovariance, Manifold]
        assert model.relation_.parts[0].covariance.shape == (3, 3)
