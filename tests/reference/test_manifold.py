"""Unlabelled rows: the penalty pair by pair, the fit against least squares, LapRLS and cvxpy, and its laws."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, sparse
from tests.effort import examples

from linear_oracle import INTERCEPTS, WEIGHTINGS, Case, System, case, center_and_scale, precision, system
from relatask.cli.build import check_relation_options
from relatask.cli.catalogue import methods
from relatask.cli.config import RelationConfig
from relatask.linear import MultiTaskClassifier, MultiTaskRegressor
from relatask.linear.sums import passes
from relatask.notices import InputError, RelataskWarning
from relatask.relations import (
    Chain,
    FeatureQuadratic,
    HierarchicalPrior,
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

SEEDS = st.integers(0, 2**32 - 1)


def rows(n: int = 14, d: int = 4, seed: int = 0) -> np.ndarray:
    """Rows in groups, of columns with their own scales and means."""
    rng = np.random.default_rng([seed, n, d])
    groups = 3 * rng.normal(size=(3, d))
    return (groups[rng.integers(3, size=n)] + rng.normal(size=(n, d))) * np.exp(rng.normal(size=d)) + rng.normal(size=d)


def near(X: np.ndarray, k: int, scale: np.ndarray) -> list[tuple[int, int]]:
    """Pairs i < j of which one is among the other's k nearest, by comparing all distances."""
    found = set()
    for i in range(len(X)):
        far = sorted((float(np.sum(((X[i] - X[j]) / scale) ** 2)), j) for j in range(len(X)) if j != i)
        found |= {(min(i, j), max(i, j)) for _, j in far[:k]}
    return sorted(found)


def by_hand(X: np.ndarray, W: np.ndarray, k: int, strength: float, *, normalized: bool = False) -> float:
    """R(W) as a sum over tasks and pairs of neighbours."""
    pairs = near(X, k, X.std(0))
    degree = np.zeros(len(X))
    for i, j in pairs:
        degree[i] += 1
        degree[j] += 1
    total = 0.0
    for w in W:
        f = X @ w
        if not normalized:
            total += strength / 2 * float(np.mean([(f[i] - f[j]) ** 2 for i, j in pairs]))
            continue

        def cost(level: float, f: np.ndarray = f) -> float:
            g = (f + level) / np.sqrt(degree)
            return sum(float(g[i] - g[j]) ** 2 for i, j in pairs)

        total += strength / 2 * 2 / len(X) * float(optimize.minimize_scalar(cost).fun)
    return total


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("d", [3, 14])  # by a tree, by products
def test_the_value_is_the_mean_over_pairs_of_neighbours(d: int, normalized: bool) -> None:
    X, W = rows(20, d), np.random.default_rng(1).normal(size=(3, d))
    relation = Manifold(X, 0.7, n_neighbors=3, normalized=normalized)
    expected = by_hand(X, W, 3, 0.7, normalized=normalized)
    assert relation(W) == pytest.approx(expected, rel=1e-7)
    thin = Manifold(sparse.csr_array(X), 0.7, n_neighbors=3, normalized=normalized)
    assert thin(W) == pytest.approx(expected, rel=1e-7)


def test_landmarks_tie_rows_through_the_anchors_nearest_to_them() -> None:
    X, W = rows(30, 3, seed=4), np.random.default_rng(1).normal(size=(2, 3))
    relation = Manifold(X, 0.7, n_neighbors=2, landmarks=6, seed=3)
    own = X[np.lexsort(X.T[::-1])]  # sorted by the first column, then the second, ...
    anchors = own[np.sort(np.random.default_rng(3).choice(30, size=6, replace=False))]
    far = np.array([[np.linalg.norm((x - a) / X.std(0)) for a in anchors] for x in own])
    kept = far <= np.sort(far, axis=1)[:, [1]]
    width = np.sort(far, axis=1)[:, 1].mean()
    Z = kept * np.exp(-((far / width) ** 2) / 2)
    Z /= Z.sum(1, keepdims=True)
    A = Z @ np.diag(1 / Z.sum(0)) @ Z.T
    np.testing.assert_allclose(A.sum(1), 1)
    F = own @ W.T
    expected = 0.7 / 2 * sum(A[i, j] / 30 * float(np.sum((F[i] - F[j]) ** 2)) for i in range(30) for j in range(30))
    assert relation(W) == pytest.approx(expected, rel=1e-9)
    thin = Manifold(sparse.csr_array(X), 0.7, n_neighbors=2, landmarks=6, seed=3)
    assert np.isfinite(thin(W))
    assert relation(W) != Manifold(X, 0.7, n_neighbors=2, landmarks=6, seed=4)(W)


def test_distances_are_never_all_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    X, W = rows(40, 12), np.ones((1, 12))
    whole = Manifold(X, 1.0, n_neighbors=3)(W)
    held = []
    real = np.argpartition
    monkeypatch.setattr(neighbours, "BLOCK", 100)
    monkeypatch.setattr(np, "argpartition", lambda a, *args, **kw: (held.append(a.size), real(a, *args, **kw))[1])
    assert Manifold(X, 1.0, n_neighbors=3)(W) == pytest.approx(whole, rel=1e-12)
    assert len(held) == 20
    assert max(held) <= 100


@examples(15, 100)
@given(SEEDS, st.booleans(), st.booleans())
def test_order_repetition_and_origin_of_the_rows_do_not_matter(seed: int, normalized: bool, landmarks: bool) -> None:
    rng = np.random.default_rng(seed)
    X, W = rows(15, 3, seed), rng.normal(size=(2, 3))
    settings: Any = {"n_neighbors": 3, "normalized": normalized, "landmarks": 7 if landmarks else None}
    value = Manifold(X, 1.3, **settings)(W)
    assert value > 0
    again = X[np.concatenate([rng.permutation(15), rng.integers(15, size=6)])]
    assert Manifold(again, 1.3, **settings)(W) == pytest.approx(value, rel=1e-9)
    assert Manifold(X + 10 * rng.normal(size=3), 1.3, **settings)(W) == pytest.approx(value, rel=1e-7)
    units = np.exp(rng.normal(size=3))
    assert Manifold(X * units, 1.3, **settings)(W / units) == pytest.approx(value, rel=1e-7)
    Q = Manifold(X, 1.3, **settings).form()
    assert np.linalg.eigvalsh(Q)[0] >= -1e-12 * np.abs(Q).max()


def test_the_number_of_rows_is_no_strength() -> None:
    few, many = rows(400, 3, seed=1), np.vstack([rows(400, 3, seed=1), rows(400, 3, seed=1) + 1e-3])
    W = np.eye(3)
    # Twice as many rows, at the same places: neighbours are nearer, but no sum of them grows.
    assert Manifold(many, 1.0)(W) < 1.05 * Manifold(few, 1.0)(W)


# --- fits ---


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


# --- input ---


def test_rows_that_cannot_be_used_are_refused() -> None:
    X = rows(12, 3)
    bad = X.copy()
    bad[2, 1] = np.nan
    with pytest.raises(InputError, match=r"contains NaN or infinity \(row 2, column 1\); leave these rows out"):
        Manifold(bad)
    with pytest.raises(InputError, match="contains NaN or infinity; leave"):
        Manifold(sparse.csr_array(bad))
    with pytest.raises(InputError, match=r"has shape \(12,\); expected rows of features"):
        Manifold(X[:, 0])
    with pytest.raises(InputError, match="could not be read as rows of numbers"):
        Manifold([["a", "b"]])
    with pytest.raises(InputError, match="n_neighbors=12, but X_unlabelled has 12 rows; expected fewer"):
        Manifold(X, n_neighbors=12)
    with pytest.raises(InputError, match="n_neighbors=10, but X_unlabelled has 6 distinct rows"):
        Manifold(np.repeat(X[:6], 3, axis=0))(np.ones((1, 3)))
    with pytest.raises(InputError, match="landmarks=20, but X_unlabelled has 12 rows; give fewer"):
        Manifold(X, landmarks=20, n_neighbors=2)
    with pytest.raises(InputError, match="n_neighbors=3, but landmarks=3"):
        Manifold(X, landmarks=3, n_neighbors=3)
    with pytest.raises(InputError, match=r"has 10001 features.*TruncatedSVD"):
        Manifold(sparse.csr_array((12, 10001)))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"strength": -1.0}, "strength=-1.0 is not usable; expected a finite number >= 0"),
        ({"strength": np.nan}, "strength=nan is not usable"),
        ({"n_neighbors": 0}, "n_neighbors=0 is not usable; expected a whole number >= 1"),
        ({"n_neighbors": 2.0}, "n_neighbors=2.0 is not usable"),
        ({"normalized": "yes"}, "normalized='yes' is not usable; expected True or False"),
        ({"landmarks": 1}, "landmarks=1 is not usable; expected a whole number >= 2"),
        ({"seed": -1}, "seed=-1 is not usable"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Manifold(rows(12, 3), **settings)


def test_a_configuration_that_names_it_is_told_to_use_python(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"Manifold is not for configurations.*Use it from Python"):
        check_relation_options(RelationConfig(name="Manifold"), "model.relation")
    assert methods("Manifold", as_json=False) == 0
    told = capsys.readouterr().out
    assert "direct, exact" in told
    assert "Not for configurations" in told


def test_other_features_than_those_of_x_are_refused() -> None:
    data = case("groups", 4)
    told = "Manifold was given rows of 3 features, but X has 4; give it rows with the columns of X, in the same order"
    for loss in ("squared", "huber"):
        with pytest.raises(InputError, match=told):
            MultiTaskRegressor(Pairwise(0.1) + Manifold(rows(15, 3)), loss=loss).fit(**data.arguments)
    with pytest.raises(InputError, match="W has 4 columns, but the relation was made for 3 features"):
        Manifold(rows(15, 3))(np.ones((2, 4)))
    with pytest.raises(InputError, match="HierarchicalPrior is a whole model and cannot be combined"):
        HierarchicalPrior() + Manifold(rows(15, 3))
