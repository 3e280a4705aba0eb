"""Who taught whom under other losses and norms, against small changes of labels and fits without a task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special

from influence_oracle import RELATIONS, Written, quiet, shares
from linear_oracle import INTERCEPTS, LAYOUTS, case
from relatask import InputError, MultiTaskClassifier, MultiTaskRegressor
from relatask.linear.input.design import Design
from relatask.linear.input.folds import within_task_folds
from relatask.relations import (
    Clustered,
    HierarchicalPrior,
    Pairwise,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    TraceNorm,
)


@pytest.mark.parametrize("loss", ["huber", "poisson", "logistic"])
@pytest.mark.parametrize("intercept", ["free", "tied", "common", "none"])
def test_other_losses_teach_as_small_changes_of_labels_do(loss: str, intercept: str) -> None:
    rng = np.random.default_rng(1)
    t, n = 3, 16
    X, task = rng.normal(size=(t * n, 2)), np.repeat(np.arange(t), n)
    eta = X @ [0.6, -0.4] + 0.3 * task
    # Two classes as pairs of rows whose weights are chances: their labels can be moved a little.
    y = {
        "huber": eta + rng.standard_t(2, t * n),
        "poisson": rng.poisson(np.exp(eta)) + 0.5,
        "logistic": rng.random(t * n),
    }[loss]
    relation = Pairwise(0.05)

    def fit(y: np.ndarray) -> Any:
        if loss == "logistic":
            model = MultiTaskClassifier(relation, intercept=intercept, tol=1e-12, standardize=False, weighting="sum")
            double = {"X": np.vstack([X, X]), "tasks": np.tile(task, 2)}
            given = double | {"y": np.repeat([1, 0], len(y)), "sample_weight": np.concatenate([y, 1 - y])}
        else:
            model = MultiTaskRegressor(
                relation, loss=loss, intercept=intercept, tol=1e-12, standardize=False, weighting="sum"
            )
            given = {"X": X, "y": y, "tasks": task}
        return quiet(lambda: model.fit(**given)), given

    model, given = fit(y.astype(float))
    model.leave_task_out(**given)
    assert model.leave_task_out_method_ == "one Newton step"
    at = np.einsum("nd,nd->n", X, model.coef_[task]) + model.intercept_[task]
    curvature = {
        "huber": (np.abs(at - y) < 1.35).astype(float),
        "poisson": np.exp(at),
        "logistic": special.expit(at) * special.expit(-at),
    }[loss]
    step = 1e-5
    D = np.zeros((t * n, t * n))
    for b in range(t * n):
        moved = [fit(y + sign * step * np.eye(t * n)[b])[0] for sign in (1, -1)]
        plus, minus = (np.einsum("nd,nd->n", X, m.coef_[task]) + m.intercept_[task] for m in moved)
        D[:, b] = (plus - minus) / (2 * step)
    # A label moves its row's slope by 1 (under Huber where it is not beyond delta); whitened by the curvature.
    D = D * curvature[:, None] * curvature if loss == "huber" else np.sqrt(curvature)[:, None] * D * np.sqrt(curvature)
    np.testing.assert_allclose(model.transfer_, shares(D, task, np.ones(t * n)), atol=2e-6)


@pytest.mark.parametrize("intercept", ["free", "tied", "common"])
@pytest.mark.parametrize(
    "relation",
    [
        SharedSparsity(1.0),
        Sparse(1.5) + Pairwise(0.05),
        SharedSparsity(1.0) + Ridge(0.2),
        TraceNorm(2.0),
        TraceNorm(1.5) + Pairwise(0.02),
    ],
)
def test_norms_teach_as_small_changes_of_labels_do(relation: Relation, intercept: str) -> None:
    data = case("groups", n=15, d=5)

    def fit(y: np.ndarray) -> Any:
        model = MultiTaskRegressor(relation, intercept=intercept, tol=1e-13, max_iter=100_000)
        return quiet(lambda: model.fit(data.X, y, data.tasks))

    model = fit(data.y)
    with pytest.raises(InputError, match="transfer_ is defined where predictions are linear"):
        _ = model.transfer_
    model.leave_task_out(data.X, data.y, data.tasks)
    assert model.leave_task_out_method_ == "one Newton step"
    gone = (np.abs(model.coef_) < 1e-9).any() or np.linalg.matrix_rank(model.coef_, tol=1e-6) < 3
    if intercept == "free":
        assert gone, "the norm does nothing here"
    # Smaller steps lose digits: a gap of 1e-14 leaves W as far as 1e-7.
    step, n = 1e-2, len(data.y)
    H = np.empty((n, n))
    for b in range(n):
        plus, minus = (fit(data.y + sign * step * np.eye(n)[b]).predict(data.X, data.tasks) for sign in (1, -1))
        H[:, b] = (plus - minus) / (2 * step)
    np.testing.assert_allclose(model.transfer_, shares(H, data.tasks, np.ones(n)), atol=1e-5)


def test_removal_under_other_losses_is_near_fits_without_the_task() -> None:
    """Poisson: leave-one-out deviances by fits without each row, with and without a task that misleads."""
    rng = np.random.default_rng(2)
    t, n = 3, 20
    X, task = rng.normal(size=(t * n, 2)), np.repeat(np.arange(t), n)
    slope = np.array([[0.6, -0.3], [0.6, -0.3], [-0.6, 0.3]])
    y = rng.poisson(np.exp(np.einsum("nd,nd->n", X, slope[task]) + 0.5)).astype(float)
    settings = {"loss": "poisson", "weighting": "sum", "standardize": False}
    model = MultiTaskRegressor(Pairwise(2.0), **settings).fit(X, y, task)
    found = model.leave_task_out(X, y, task)

    def error(keep: np.ndarray, task_weight: list[float], i: int) -> float:
        total = 0.0
        for a in np.flatnonzero(task == i):
            some = keep & (np.arange(len(y)) != a)
            # A task that weighs nothing has no say, and t stays 3.
            again = MultiTaskRegressor(Pairwise(2.0), task_weight=task_weight, **settings).fit(
                X[some], y[some], task[some]
            )
            rate = again.predict(X[[a]], task[[a]])[0]
            total += rate - y[a] * np.log(rate) + special.xlogy(y[a], y[a]) - y[a]
        return total / n

    every = np.ones(len(y), dtype=bool)
    for i, j in ((0, 1), (0, 2)):
        weight = [1.0, 1.0, 1.0]
        before = error(every, weight, i)
        weight[j] = 1e-9
        expected = quiet(lambda weight=weight, i=i: error(every, weight, i)) - before
        assert np.sign(found[i, j]) == np.sign(expected)
        np.testing.assert_allclose(found[i, j], expected, rtol=0.35)
        np.testing.assert_allclose(model.leave_one_out_[i], before, rtol=0.02)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_refits_are_fits_of_the_folds_without_the_task(layout: str, intercept: str) -> None:
    data = case(layout, n=15)
    model = MultiTaskRegressor(RELATIONS["chain"], intercept=intercept).fit(**data.arguments)
    found = model.leave_task_out(**data.arguments, method="refit")
    assert model.leave_task_out_method_ == "refit"
    plain = Written(data, RELATIONS["chain"].bind(range(data.t)), intercept, "sample")
    codes = None if data.tasks is None else data.tasks
    folds = within_task_folds(Design(data.X, data.y, codes, np.arange(data.t), None), 5, 0)
    row = np.array([int(np.flatnonzero((x == data.X).all(1))[0]) for _, x, _, _ in plain.labels])
    errors = np.zeros((data.t, data.t + 1))
    for held in (fold[row] for fold in folds):
        for j in range(data.t + 1):
            missed = plain.y - plain.hat(~held & (plain.task != j)) @ plain.y
            errors[:, j] += np.bincount(plain.task[held], np.square(missed[held]), data.t)
    errors /= np.bincount(plain.task)[:, None]
    off = ~np.eye(data.t, dtype=bool)
    np.testing.assert_allclose(found[off], (errors[:, : data.t] - errors[:, data.t :])[off], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(model.leave_one_out_, errors[:, data.t], rtol=1e-7)


@pytest.mark.parametrize("intercept", ["free", "none"])
def test_refits_know_which_features_a_task_lacks(intercept: str) -> None:
    data = case("groups", n=15)
    X, y, tasks = data.X + 4.0, data.y, data.tasks
    X[tasks == 0, 1] = np.nan
    model = MultiTaskRegressor(
        RELATIONS["chain"], weighting="sum", intercept=intercept, standardize=False, missing_features="block"
    ).fit(X, y, tasks)
    model.leave_task_out(X, y, tasks, method="refit")
    found = model.leave_one_out_
    squares = np.empty(len(y))
    for held in within_task_folds(Design(np.nan_to_num(X), y, tasks, np.arange(data.t), None), 5, 0):
        squares[held] = np.square(y[held] - model.fit(X[~held], y[~held], tasks[~held]).predict(X[held], tasks[held]))
    expected = np.bincount(tasks, squares) / np.bincount(tasks)
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_relations_without_a_closed_form_go_by_refits() -> None:
    data = case("groups", n=12)
    model = MultiTaskRegressor(Clustered(2, 0.1, 0.1)).fit(**data.arguments)
    with pytest.raises(InputError, match="not under Clustered; give method='refit'"):
        model.leave_task_out(**data.arguments)
    found = model.leave_task_out(**data.arguments, method="refit")
    assert np.isfinite(found[~np.eye(data.t, dtype=bool)]).all()
    prior = quiet(lambda: MultiTaskRegressor(HierarchicalPrior()).fit(**data.arguments))
    with pytest.raises(InputError, match="leave method='auto'"):
        prior.leave_task_out(**data.arguments, method="refit")
