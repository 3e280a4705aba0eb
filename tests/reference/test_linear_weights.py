"""Weights per label and per task, and targets of several units, against objectives written out and other solvers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from relatask import InputError
from relatask.linear import MultiTaskRegressor
from relatask.relations import Chain, Pairwise, Relation, Ridge, SharedSparsity, TraceNorm

N, D, T = 40, 5, 3


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)) + rng.normal(size=D)
    Y = X @ rng.normal(size=(D, T)) + rng.normal(size=T) + rng.normal(size=(N, T))
    S = rng.integers(0, 4, size=(N, T)).astype(float)
    S[:2] = 1.0
    return X, Y, S


def long(X: np.ndarray, Y: np.ndarray, S: np.ndarray) -> dict[str, Any]:
    """One row a label: the same problem as groups."""
    return {
        "X": np.tile(X, (Y.shape[1], 1)),
        "y": Y.T.ravel(),
        "tasks": np.repeat(np.arange(Y.shape[1]), len(X)),
        "sample_weight": S.T.ravel(),
    }


@pytest.mark.parametrize("intercept", ["free", "tied", "common", "none"])
@pytest.mark.parametrize("weighting", ["sum", "task", "sample"])
@pytest.mark.parametrize("relation", [Pairwise(0.2), Chain(0.1) + Ridge(0.1)], ids=["pairwise", "chain"])
def test_weights_per_label_are_rows_of_their_own(relation: Relation, weighting: str, intercept: str) -> None:
    X, Y, S = data()
    model = MultiTaskRegressor(relation, weighting=weighting, intercept=intercept, standardize=False)
    by_label = model.fit(X, Y, sample_weight=S).coef_
    value, score = model.objective_, model.score(X, Y, sample_weight=S)
    given = long(X, Y, S)
    assert np.allclose(by_label, model.fit(**given).coef_, atol=1e-9)
    assert np.isclose(value, model.objective_, rtol=1e-10)
    assert np.isclose(score, model.score(**given), rtol=1e-8)


def test_each_task_alone_is_a_weighted_ridge() -> None:
    X, Y, S = data(1)
    model = MultiTaskRegressor(Ridge(2.0), weighting="sum", standardize=False).fit(X, Y, sample_weight=S)
    for k in range(T):
        alone = SklearnRidge(alpha=2.0).fit(X, Y[:, k], sample_weight=S[:, k])
        assert np.allclose(model.coef_[k], alone.coef_)
        assert np.isclose(model.intercept_[k], alone.intercept_)


def test_a_label_of_weight_0_is_not_seen() -> None:
    X, Y, _ = data(2)
    S = np.ones((N, T))
    S[5:20, 1] = 0
    holes = np.where(S > 0, Y, np.nan)
    wild = np.where(S > 0, Y, 1e6)
    model = MultiTaskRegressor(Pairwise("auto"))
    expected = model.fit(X, holes).coef_
    path = model.path_
    found = model.fit(X, wild, sample_weight=S)
    assert np.allclose(found.coef_, expected)
    assert np.allclose(found.path_.errors, path.errors)
    assert model.n_labels_.tolist() == [N, N - 15, N]


def test_equal_weights_of_a_row_are_the_row_s() -> None:
    X, Y, S = data(3)
    row = S.max(1)
    model = MultiTaskRegressor(Pairwise(0.1))
    expected = model.fit(X, Y, sample_weight=row).coef_
    found = model.fit(X, Y, sample_weight=np.repeat(row[:, None], T, axis=1))
    assert (found.coef_ == expected).all()


@pytest.mark.parametrize(("weighting", "c"), [("sum", 1.0), ("task", 1 / N), ("sample", 1 / N)])
def test_task_weights_multiply_the_loss_last(weighting: str, c: float) -> None:
    X, Y, _ = data(4)
    own = np.array([1.0, 5.0, 0.25])
    model = MultiTaskRegressor(Ridge(0.3), weighting=weighting, standardize=False, task_weight=own).fit(X, Y)
    for k in range(T):
        alone = SklearnRidge(alpha=0.3 / (own[k] * c)).fit(X, Y[:, k])
        assert np.allclose(model.coef_[k], alone.coef_)
    residual = Y - model.predict(X)
    value = 0.5 * c * own @ np.square(residual).sum(0) + 0.15 * np.square(model.coef_).sum()
    assert np.isclose(model.objective_, value)


def test_task_weights_by_label() -> None:
    X, Y, S = data(5)
    given = long(X, Y, np.ones_like(S))
    given["tasks"] = np.array(["a", "b", "c"])[given["tasks"]]
    by_place = MultiTaskRegressor(Pairwise(0.1), task_weight=[1.0, 3.0, 1.0]).fit(**given).coef_
    assert (MultiTaskRegressor(Pairwise(0.1), task_weight={"b": 3.0}).fit(**given).coef_ == by_place).all()
    heavy = dict(given, sample_weight=np.where(given["tasks"] == "b", 3.0, 1.0))
    weighted = MultiTaskRegressor(Pairwise(0.1), weighting="sum", standardize=False).fit(**heavy).coef_
    summed = MultiTaskRegressor(Pairwise(0.1), weighting="sum", standardize=False, task_weight={"b": 3.0})
    assert np.allclose(summed.fit(**given).coef_, weighted)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ({"x": 2.0}, r"task_weight names 'x'; expected labels among 0, 1, 2"),
        ([1.0, 2.0], r"task_weight has shape \(2,\), but there are 3 tasks"),
        ([1.0, 0.0, 1.0], r"task_weight is 0 for task 1; expected finite weights > 0"),
        (["a", "b", "c"], r"does not convert to numbers"),
    ],
)
def test_task_weights_that_cannot_be_used_are_named(weight: Any, message: str) -> None:
    X, Y, _ = data()
    with pytest.raises(InputError, match=message):
        MultiTaskRegressor(task_weight=weight).fit(X, Y)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones((N, 2)), r"sample_weight has shape \(40, 2\); expected \(n,\) or \(40, 3\)"),
        (-np.ones((N, T)), r"sample_weight holds NaN or a negative number"),
        (np.zeros((N, T)), r"sample_weight is zero everywhere"),
        (np.ones((N, T)) * [1, 0, 1], r"task 1 without labels"),
    ],
)
def test_weights_that_cannot_be_used_are_named(weight: np.ndarray, message: str) -> None:
    X, Y, _ = data()
    with pytest.raises(InputError, match=message):
        MultiTaskRegressor().fit(X, Y, sample_weight=weight)


@pytest.mark.parametrize("intercept", ["free", "tied", "common", "none"])
@pytest.mark.parametrize("relation", [Pairwise(0.2), TraceNorm(0.1), SharedSparsity(0.1)], ids=["pair", "trace", "l21"])
def test_scaled_targets_are_targets_divided_beforehand(relation: Relation, intercept: str) -> None:
    X, Y, S = data(6)
    Y = Y * [1.0, 1000.0, 0.01]
    mean = (S * Y).sum(0) / S.sum(0)
    spread = np.sqrt((S * np.square(Y - mean)).sum(0) / S.sum(0))
    plain = MultiTaskRegressor(relation, intercept=intercept, tol=1e-9).fit(X, Y / spread, sample_weight=S)
    model = MultiTaskRegressor(relation, intercept=intercept, tol=1e-9, scale_targets=True).fit(X, Y, sample_weight=S)
    assert np.allclose(model.target_scale_, spread)
    assert np.allclose(model.coef_, plain.coef_ * spread[:, None], rtol=1e-5, atol=1e-6 * spread[:, None])
    assert np.allclose(model.predict(X), plain.predict(X) * spread, rtol=1e-5, atol=1e-5 * spread)
    assert np.isclose(model.objective_, plain.objective_, rtol=1e-8)


def test_scaled_targets_make_units_not_matter() -> None:
    X, Y, _ = data(7)
    units = np.array([1.0, 1e4, 1e-3])
    model = MultiTaskRegressor(Pairwise(0.1), scale_targets=True)
    coef, value = model.fit(X, Y).coef_, model.objective_
    assert np.allclose(model.fit(X, Y * units).coef_, coef * units[:, None])
    assert np.isclose(model.objective_, value)
    # Errors that choose a strength are in units of the tasks' spreads: near 1 where nothing is explained.
    path = MultiTaskRegressor(SharedSparsity("auto"), scale_targets=True).fit(X, Y * units).path_
    assert 0.9 < path.errors[-1] < 1.3


def test_a_constant_target_has_scale_1() -> None:
    X, Y, _ = data(8)
    Y[:, 1] = 0.1
    with pytest.warns(match="constant target"):
        model = MultiTaskRegressor(Pairwise(0.1), scale_targets=True).fit(X, Y)
    assert model.target_scale_[1] == 1.0
    with pytest.raises(InputError, match="scale_targets='yes' is not usable"):
        MultiTaskRegressor(scale_targets="yes").fit(X, Y)  # type: ignore[arg-type]
