"""New tasks beside fitted ones: their coefficients given everything else, by closed forms and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import linalg

from online_cases import check_equal, rows
from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.linear.prior.posterior import Uncertainty
from relatask.notices import InputError
from relatask.relations import (
    Chain,
    Graph,
    HierarchicalPrior,
    LearnedCovariance,
    LearnedGraph,
    Pairwise,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    TaskDescriptors,
    TaskKernel,
    TraceNorm,
)

KERNEL = np.array([[1.0, 0.5, 0.2, 0.6], [0.5, 1.0, 0.3, 0.1], [0.2, 0.3, 1.0, 0.4], [0.6, 0.1, 0.4, 1.0]])
DESCRIBED = TaskDescriptors({"a": [1.0], "b": [2.0], "c": [0.5], "d": [1.5]}, 0.5)
# Of three tasks, and of four; the fourth one, "b", comes later and stands between the others.
QUADRATIC: list[tuple[Relation, Relation]] = [
    (Pairwise(0.1), Pairwise(0.1)),
    (Ridge(0.3), Ridge(0.3)),
    (Ridge(0.1) + Chain(0.2, order=("c", "a", "d")), Ridge(0.1) + Chain(0.2, order=("c", "b", "a", "d"))),
    (Graph([("a", "c"), ("c", "d")], 0.3), Graph([("a", "c"), ("c", "d"), ("b", "d", 2.0)], 0.3)),
    (TaskKernel(KERNEL[[0, 2, 3]][:, [0, 2, 3]], 0.2), TaskKernel(KERNEL, 0.2)),
    (DESCRIBED, DESCRIBED),
]


def fitted(relation: Relation, **settings: Any) -> tuple[MultiTaskRegressor, np.ndarray, np.ndarray]:
    """A model of tasks a, c, d, and rows of b."""
    X, y, tasks = rows()
    old = tasks != "b"
    model = MultiTaskRegressor(relation, **settings).fit(X[old], y[old], tasks[old])
    return model, X[~old][:6], y[~old][:6]


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("weighting", ["sample", "task", "sum"])
@pytest.mark.parametrize("intercept", ["free", "tied", "common", "none"])
@pytest.mark.parametrize("pair", QUADRATIC, ids=lambda p: type(getattr(p[0], "parts", (p[0],))[-1]).__name__)
def test_the_new_row_alone_minimises_the_objective_of_all(
    pair: tuple[Relation, Relation], intercept: str, weighting: str, standardize: bool
) -> None:
    model, X, y = fitted(pair[0], intercept=intercept, weighting=weighting, standardize=standardize)
    before, levels, total = model.coef_.copy(), model.intercept_.copy(), int(model.n_labels_.sum())
    scale = model.scale_ if standardize else np.ones(3)
    center = model._statistics.center if standardize and intercept in ("tied", "common") else np.zeros(3)
    model.set_params(relation=pair[1]).add_task("b", X, y, refit=False)
    assert model.tasks_.tolist() == ["a", "b", "c", "d"]
    assert (np.delete(model.coef_, 1, axis=0) == before).all()
    assert (np.delete(model.intercept_, 1) == levels).all()
    assert model.n_labels_[1] == 6
    c = {"sum": 1.0, "task": 1 / 6, "sample": 4 / (total + 6)}[weighting]
    relation = pair[1].bind(["a", "b", "c", "d"])

    def objective(coef: np.ndarray, b: float) -> float:
        W = np.insert(before, 1, coef, axis=0) * scale
        if intercept == "tied":
            W = np.column_stack([W, np.insert(levels, 1, b) + W / scale @ center])
        return 0.5 * c * float(np.sum((X @ coef + b - y) ** 2)) + float(relation(W))

    free = intercept in ("free", "tied")
    point = np.append(model.coef_[1], model.intercept_[1])
    if intercept == "common":
        np.testing.assert_allclose(point[3] + point[:3] @ center, levels[0] + before[0] @ center)
    elif intercept == "none":
        assert point[3] == 0
    size = objective(np.zeros(3), 0.0)
    for step in np.vstack([np.diag(1 / scale), np.zeros((1, 3))]):
        # A common intercept is that at the center: where coefficients move, its value at 0 does, too.
        level = 1.0 if not step.any() else (-float(step @ center) if intercept == "common" else 0.0)
        if not step.any() and not free:
            continue
        around = [objective(point[:3] + h * step, point[3] + h * level) for h in (-1.0, 0.0, 1.0)]
        assert abs(around[2] - around[0]) < 1e-8 * size
        assert around[2] + around[0] > 2 * around[1]


@pytest.mark.parametrize("intercept", ["free", "tied", "common", "none"])
@pytest.mark.parametrize("n", [1, 2, 6])
def test_under_a_prior_it_is_the_expectation_given_the_labels(intercept: str, n: int) -> None:
    model, X, y = fitted(HierarchicalPrior("diagonal", noise="task"), intercept=intercept)
    X, y = X[:n], y[:n]
    noise = float(model.noise_.mean())
    m, S = np.append(model.prior_mean_, model.prior_intercept_), model.prior_covariance_
    Z = np.column_stack([X, np.ones(n)])
    if intercept in ("free", "none"):
        S = np.pad(S, [(0, 1), (0, 1)])
    m = np.append(m[:3], 0.0) if intercept == "free" else m
    # Own intercepts are free: what is orthogonal to a constant says all there is of slopes.
    contrasts = linalg.null_space(np.ones((1, n))).T if intercept == "free" else np.eye(n)
    R = contrasts @ Z
    gain = S @ R.T @ np.linalg.inv(R @ S @ R.T + noise * np.eye(len(R)))
    expected = m + gain @ (contrasts @ y - R @ m)
    others = model.coef_.copy()
    new = MultiTaskRegressor(HierarchicalPrior("diagonal", noise="task"), intercept=intercept)
    new.__dict__ = vars(model) | {}
    new.add_task("b", X, y, refit=False) if n > 1 else _quiet(new, X, y)
    assert (np.delete(new.coef_, 1, axis=0) == others).all()
    np.testing.assert_allclose(new.coef_[1], expected[:3], rtol=1e-8)
    level = y.mean() - X.mean(0) @ expected[:3] if intercept == "free" else expected[3]
    np.testing.assert_allclose(new.intercept_[1], level, rtol=1e-8, atol=1e-10)
    # The spread of predictions: of what the labels leave of S, of the mean, and of the noise.
    fields = dict(model.uncertainty_)
    fields.pop("units")
    of_mean = Uncertainty(**fields).covariance(-1) - model.prior_covariance_
    of_mean = np.pad(of_mean, [(0, 4 - len(of_mean))] * 2)
    x = np.append(X[0] + 0.3, 1.0)
    if intercept == "free":
        x = np.append(x[:3] - X.mean(0), 0.0)
    left = x - R.T @ gain.T @ x
    variance = x @ (S - gain @ R @ S) @ x + left @ of_mean @ left + noise * (1 + (intercept == "free") / n)
    _, std = new.predict(X[:1] + 0.3, ["b"], return_std=True)
    np.testing.assert_allclose(std**2, variance, rtol=1e-6)
    # The others' stay as they were.
    for task in ("a", "c", "d"):
        assert new.predict(X, [task] * n, return_std=True)[1].tolist() == (
            model.predict(X, [task] * n, return_std=True)[1].tolist()
        )


def _quiet(model: Any, X: np.ndarray, y: np.ndarray) -> None:
    with pytest.warns(UserWarning, match="RT005: tasks with one label only: 'b'"):
        model.add_task("b", X, y, refit=False)


def test_under_a_learned_covariance_it_borrows_the_directions() -> None:
    model, X, y = fitted(LearnedCovariance(0.01, 0.1), tol=1e-12)
    W = model.coef_ * model.scale_
    D = np.real(linalg.sqrtm(W.T @ W))
    D /= np.trace(D)
    c = 4 / (int(model.n_labels_.sum()) + 6)
    Z = (X - X.mean(0)) / model.scale_
    w = np.linalg.solve(c * Z.T @ Z + 0.01 * np.linalg.inv(D) + 0.1 * np.eye(3), c * Z.T @ (y - y.mean()))
    model.add_task("b", X, y, refit=False)
    np.testing.assert_allclose(model.coef_[1] * model.scale_, w, rtol=1e-6)
    assert model.relation_.covariance.shape == (4, 4)


def test_without_rows_a_task_has_what_the_relation_says() -> None:
    for relation, answer in (
        (Pairwise(0.1), lambda W: W.mean(0)),
        (Ridge(0.1), lambda W: 0 * W[0]),
        (TraceNorm(0.5), lambda W: 0 * W[0]),
        (SharedSparsity(0.5) + Ridge(0.1), lambda W: 0 * W[0]),
        (LearnedCovariance(0.5), lambda W: 0 * W[0]),
    ):
        model = fitted(relation)[0]
        expected, objective = answer(model.coef_), model.objective_
        others = model.coef_
        model.add_task("b")
        np.testing.assert_allclose(model.coef_[1], expected, atol=1e-12)
        assert (np.delete(model.coef_, 1, axis=0) == others).all()
        assert (model.objective_, model.n_labels_[1]) == (objective, 0)
        at = model.intercept_ + model.coef_ @ model.fill_
        np.testing.assert_allclose(at[1], np.average(np.delete(at, 1), weights=np.delete(model.n_labels_, 1)))
    for before, after in QUADRATIC[2:]:
        model = fitted(before, intercept="tied")[0]
        W = model.coef_.copy()
        K = after.bind("abcd")
        model.set_params(relation=after).add_task("b")
        P = sum(part.precision(4).dense() for part in getattr(K, "parts", (K,)))  # type: ignore[attr-defined]
        np.testing.assert_allclose(model.coef_[1], -P[1, [0, 2, 3]] @ W / P[1, 1], atol=1e-10)
    prior = fitted(HierarchicalPrior())[0]
    mean, level = prior.prior_mean_, prior.prior_intercept_
    unseen = prior.predict(np.ones((1, 3)), ["b"], return_std=True)
    prior.add_task("b")
    assert (prior.coef_[1] == mean).all()
    assert prior.intercept_[1] == level
    np.testing.assert_allclose(prior.predict(np.ones((1, 3)), ["b"], return_std=True), unseen)
    described = fitted(DESCRIBED)[0]
    unseen = described.predict(np.ones((1, 3)), ["b"])
    np.testing.assert_allclose(described.add_task("b").predict(np.ones((1, 3)), ["b"]), unseen)
    pooled = PooledRegressor(0.1, intercept="free").fit(*rows()).add_task("e")
    assert (pooled.coef_[4] == pooled.coef_[0]).all()


@pytest.mark.parametrize("relation", [Pairwise(0.1), TraceNorm(0.5), HierarchicalPrior(), DESCRIBED, QUADRATIC[4][1]])
@pytest.mark.parametrize("intercept", ["free", "tied", "common"])
def test_a_task_without_rows_takes_no_part(relation: Relation, intercept: str) -> None:
    X, y, tasks = rows()
    own = tasks == "b"
    alone = relation.bind(["a", "b", "c", "d"]).among([0, 2, 3]) if isinstance(relation, TaskKernel) else relation
    rest = MultiTaskRegressor(alone, intercept=intercept).fit(X[~own], y[~own], tasks[~own])
    model = MultiTaskRegressor(relation, intercept=intercept).fit(X, y, tasks).forget(X[own], y[own], tasks[own])
    assert model.tasks_.tolist() == ["a", "b", "c", "d"]
    assert model.n_labels_[1] == 0
    np.testing.assert_allclose(np.delete(model.coef_, 1, axis=0), rest.coef_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(np.delete(model.intercept_, 1), rest.intercept_, rtol=1e-7)
    rest.set_params(relation=relation).add_task("b")
    np.testing.assert_allclose(model.coef_[1], rest.coef_[1], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(model.intercept_[1], rest.intercept_[1], rtol=1e-7)
    # Rows of another task, then rows of its own: all of them again.
    more = np.flatnonzero(tasks == "a")[:4]
    model.forget(X[more], y[more], tasks[more]).partial_fit(X[more], y[more], tasks[more])
    model.partial_fit(X[own], y[own], tasks[own])
    check_equal(model, MultiTaskRegressor(relation, intercept=intercept).fit(X, y, tasks), rtol=1e-6)
    assert "b" not in model.drift_.tasks


def test_columns_take_a_new_one_and_lose_one() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    model = MultiTaskRegressor(Pairwise(0.1)).fit(X[:20], Y[:20, :2]).add_task(2)
    assert model.predict(X).shape == (40, 3)
    with pytest.raises(InputError, match=r"use add_task\(3\), then partial_fit new rows with y \(n, 4\)"):
        model.add_task(3, X, Y[:, 0])
    model.partial_fit(X[20:], Y[20:])
    holes = Y.copy()
    holes[:20, 2] = np.nan
    check_equal(model, MultiTaskRegressor(Pairwise(0.1)).fit(X, holes))
    with pytest.warns(UserWarning, match="RT019: tasks are columns with holes"):
        model.remove_task(2)
    check_equal(model, MultiTaskRegressor(Pairwise(0.1)).fit(X, Y[:, :2]))  # every row has another label here
    whole = MultiTaskRegressor(Pairwise(0.1)).fit(X, Y).remove_task(1)
    assert whole.tasks_.tolist() == [0, 2]
    np.testing.assert_allclose(whole.coef_, MultiTaskRegressor(Pairwise(0.1)).fit(X, Y[:, [0, 2]]).coef_, rtol=1e-9)


@pytest.mark.parametrize("relation", [Pairwise(0.1), TraceNorm(0.5), HierarchicalPrior(), DESCRIBED])
def test_a_task_with_rows_comes_and_goes(relation: Relation) -> None:
    X, y, tasks = rows()
    own = tasks == "b"
    model = MultiTaskRegressor(relation).fit(X[~own], y[~own], tasks[~own]).add_task("b", X[own], y[own])
    check_equal(model, MultiTaskRegressor(relation).fit(X, y, tasks), rtol=1e-7)
    model.remove_task("b")
    check_equal(model, MultiTaskRegressor(relation).fit(X[~own], y[~own], tasks[~own]), rtol=1e-7)
    model.add_task("b", X[own], y[own], refit=isinstance(relation, TraceNorm))
    model.partial_fit(X[:1], y[:1], tasks[:1]).forget(X[:1], y[:1], tasks[:1])
    check_equal(model, MultiTaskRegressor(relation).fit(X, y, tasks), rtol=1e-7)


def test_what_cannot_be_added_or_removed_is_refused() -> None:
    model, X, y = fitted(Pairwise(0.1))
    with pytest.raises(InputError, match="task 'a' is known already"):
        model.add_task("a", X, y)
    with pytest.raises(InputError, match="only one of X and y"):
        model.add_task("b", X)
    with pytest.raises(InputError, match="name=None is not usable"):
        model.add_task(None, X, y)
    with pytest.raises(InputError, match="unknown task 'b'"):
        model.remove_task("b")
    with pytest.raises(InputError, match="is the only one"):
        MultiTaskRegressor().fit(X, y, ["a"] * 6).remove_task("a")
    with pytest.raises(InputError, match=r"closed form, which TraceNorm does not have; use refit=True"):
        fitted(TraceNorm(0.5))[0].add_task("b", X, y, refit=False)
    with pytest.raises(InputError, match=r"'b' has no rows, and Pairwise \+ Sparse does not say"):
        fitted(Pairwise(0.1) + Sparse(0.1))[0].add_task("b")
    with pytest.raises(InputError, match="does not say"):
        fitted(LearnedGraph(0.5, 0.1))[0].add_task("b")
    with pytest.raises(InputError, match="scale_targets=True gives every task its own unit"):
        fitted(Pairwise(0.1), scale_targets=True)[0].add_task("b")
    with pytest.raises(InputError, match="no description of 'e'"):
        fitted(DESCRIBED)[0].add_task("e")
    with pytest.raises(InputError, match="3"):
        fitted(QUADRATIC[4][0])[0].add_task("b")
    assert model.tasks_.tolist() == ["a", "c", "d"]
