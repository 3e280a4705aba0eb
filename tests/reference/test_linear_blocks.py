"""Features that whole tasks lack: the model against an objective that sums over observed features only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from relatask import InputError
from relatask.linear import MultiTaskRegressor
from relatask.relations import Pairwise, Relation, Ridge, SharedSparsity

T, D, N = 3, 5, 14
HAS = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 1, 1], [1, 1, 1, 1, 0]], dtype=bool)
"""Which source has which feature."""


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    tasks = np.repeat(np.arange(T), N)
    X = rng.normal(size=(T * N, D)) * [1, 3, 0.5, 2, 1] + [0, 5, 1, -2, 3]
    y = np.einsum("nd,nd->n", np.where(HAS[tasks], X, 0), rng.normal(size=(T, D))[tasks]) + tasks
    return np.where(HAS[tasks], X, np.nan), y + rng.normal(size=len(y)), tasks


def optimum(
    relation: Relation, X: np.ndarray, y: np.ndarray, tasks: np.ndarray, intercept: str, standardize: bool
) -> float:
    """The least objective, every sum over the features that the row's task has."""
    mean, spread = (np.nanmean(X, 0), np.nanstd(X, 0)) if standardize else (np.zeros(D), np.ones(D))
    mean = mean if intercept != "none" else np.zeros(D)
    W, b, a = cp.Variable((T, D)), cp.Variable(T), cp.Variable()
    loss = 0
    for i in range(len(y)):
        k = int(tasks[i])
        at = {"free": b[k], "tied": b[k], "common": a, "none": 0}[intercept]
        own = sum(W[k, j] * ((X[i, j] - mean[j]) / spread[j]) for j in range(D) if HAS[k, j])
        loss += 0.5 * cp.square(own + at - y[i])
    A = cp.hstack([W, cp.reshape(b, (T, 1), order="C")]) if intercept == "tied" else W
    s: float = relation.strength  # type: ignore[attr-defined]
    if isinstance(relation, Ridge):
        penalty = 0.5 * s * cp.sum_squares(A)
    elif isinstance(relation, SharedSparsity):
        penalty = s * sum(cp.norm2(A[:, j]) for j in range(A.shape[1]))
    else:
        penalty = s * sum(cp.sum_squares(A[i] - A[j]) for i in range(T) for j in range(T))
    problem = cp.Problem(cp.Minimize(loss * (T / len(y)) + penalty))
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return float(problem.value)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("intercept", ["free", "tied", "common", "none"])
@pytest.mark.parametrize("relation", [Pairwise(0.2), Ridge(0.5), SharedSparsity(0.3)], ids=["pairwise", "ridge", "l21"])
def test_the_data_say_nothing_of_features_that_a_task_lacks(
    relation: Relation, intercept: str, standardize: bool
) -> None:
    X, y, tasks = data()
    model = MultiTaskRegressor(
        relation, intercept=intercept, standardize=standardize, missing_features="block", tol=1e-9, max_iter=100_000
    ).fit(X, y, tasks)
    assert np.isclose(model.objective_, optimum(relation, X, y, tasks, intercept, standardize), rtol=1e-7)
    assert (model.absent_ == ~HAS).all()
    if isinstance(relation, Pairwise):
        # Nobody but the others knows: the mean of those that have it.
        others = [model.coef_[HAS[:, j], j].mean() for j in range(D)]
        assert np.allclose(model.coef_[~HAS], np.broadcast_to(others, (T, D))[~HAS])
    else:
        assert np.abs(model.coef_[~HAS]).max() <= 1e-12


@pytest.mark.parametrize("intercept", ["free", "tied", "common", "none"])
def test_predictions_are_the_fits_of_the_objective(intercept: str) -> None:
    X, y, tasks = data(1)
    model = MultiTaskRegressor(Pairwise(0.2), weighting="sum", intercept=intercept, missing_features="block")
    model.fit(X, y, tasks)
    mean, spread = np.nanmean(X, 0), np.nanstd(X, 0)
    origin = np.zeros(D) if intercept == "none" else mean
    W, W0 = model.coef_ * spread, model.intercept_ + model.coef_ @ origin
    own = np.nansum(W[tasks] * (X - origin) / spread, axis=1)
    if intercept != "free":  # free intercepts are beside task means, whatever an absent feature is taken to be
        assert np.allclose(model.predict(X, tasks), own + W0[tasks])
    borrowed = Pairwise(0.2)
    tied = np.hstack([W, W0[:, None]]) if intercept == "tied" else W
    value = 0.5 * np.square(model.predict(X, tasks) - y).sum() + float(borrowed.value(tied))
    assert np.isclose(model.objective_, value)


def test_folds_and_few_rows_go_too() -> None:
    X, y, tasks = data(2)
    chosen = MultiTaskRegressor(Pairwise("auto"), missing_features="block").fit(X, y, tasks)
    assert np.isfinite(chosen.path_.errors).all()
    fixed = MultiTaskRegressor(Pairwise(chosen.strengths_["strength"]), missing_features="block").fit(X, y, tasks)
    assert np.allclose(fixed.coef_, chosen.coef_)
    wide = np.hstack([X] * 20)
    thin = MultiTaskRegressor(Ridge(0.5), missing_features="block").fit(wide, y, tasks)
    assert (thin.coef_[np.tile(~HAS, 20)] == 0).all()


def test_what_may_be_missing_at_predict() -> None:
    X, y, tasks = data(3)
    model = MultiTaskRegressor(Pairwise(0.1), missing_features="block").fit(X, y, tasks)
    row = np.where(np.isnan(X[:1]), model.fill_, X[:1])
    assert np.allclose(model.predict(X[:1], tasks[:1]), model.predict(row, tasks[:1]))
    told = r"NaN in row 0, column 0 of task 0, which has this feature \(1 such values\)"
    with pytest.raises(InputError, match=told):
        model.predict(np.where(np.arange(D) == 0, np.nan, X[:1]), tasks[:1])


def test_a_saved_model_knows_its_blocks_and_weights(tmp_path: Path) -> None:
    X, y, tasks = data(4)
    model = MultiTaskRegressor(Pairwise(0.1), missing_features="block", task_weight={1: 2.0}, scale_targets=True).fit(
        X, y, tasks
    )
    model.save(tmp_path / "model")
    again = MultiTaskRegressor.load(tmp_path / "model")
    assert again.get_params()["task_weight"] == {1: 2.0}
    assert (again.predict(X, tasks) == model.predict(X, tasks)).all()


def holed(row: int, column: int) -> np.ndarray:
    X = data()[0]
    X[row, column] = np.nan
    return X


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X": holed(3, 1)}, r"task 0 has NaN in 1 of its 14 rows in column 1; a task has a feature in all"),
        ({"X": np.where(np.arange(D) == 2, np.nan, data()[0])}, r"NaN only in column 2: no task has it"),
        ({"tasks": None}, r"missing_features='block' is for rows that are grouped by task"),
        ({"y": np.zeros((T * N, 2)), "tasks": None}, r"missing_features='block' is for rows that are grouped"),
        ({"X": np.where(np.isnan(data()[0]), np.inf, data()[0])}, r"contains infinity"),
    ],
    ids=["partial", "nowhere", "one task", "columns", "infinity"],
)
def test_other_holes_are_named(given: dict[str, Any], message: str) -> None:
    X, y, tasks = data()
    with pytest.raises(InputError, match=message):
        MultiTaskRegressor(missing_features="block").fit(**{"X": X, "y": y, "tasks": tasks, **given})


def test_without_the_option_every_hole_is_an_error() -> None:
    X, y, tasks = data()
    with pytest.raises(InputError, match=r"contains NaN.*missing_features='block'"):
        MultiTaskRegressor().fit(X, y, tasks)
    with pytest.raises(InputError, match="missing_features='mean' is unknown"):
        MultiTaskRegressor(missing_features="mean").fit(X, y, tasks)
