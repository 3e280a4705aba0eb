"""Laws of who taught whom: shares, removals, degrees of freedom and intervals under changes that say what they do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relatask import MultiTaskRegressor
from relatask.relations import Chain, Pairwise, Relation, Ridge, TaskPrecision

INTERCEPTS = st.sampled_from(["free", "tied", "common", "none"])
SEEDS = st.integers(0, 10_000)


def relations(t: int) -> st.SearchStrategy[Relation]:
    strength = st.floats(1e-3, 10.0)
    K = np.eye(t) + 0.3
    return st.one_of(
        strength.map(Pairwise),
        strength.map(Ridge),
        strength.map(lambda s: Chain(strength=s)),
        strength.map(lambda s: Pairwise(s) + Ridge(s / 3)),
        strength.map(lambda s: TaskPrecision(K, s)),
    )


def draw(seed: int, t: int = 4, d: int = 2, n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    tasks = np.concatenate([np.repeat(np.arange(t), 4), rng.integers(0, t, size=n - 4 * t)])
    X = rng.normal(size=(n, d)) + 0.3 * tasks[:, None]
    W = rng.normal(size=d) + 0.5 * rng.normal(size=(t, d))
    return X, np.einsum("nd,nd->n", X, W[tasks]) + rng.normal(size=t)[tasks] + rng.normal(size=n), tasks


def fitted(X: np.ndarray, y: np.ndarray, tasks: np.ndarray, weights: Any = None, **parameters: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MultiTaskRegressor(**parameters).fit(X, y, tasks, weights)


@given(relations(4), INTERCEPTS, SEEDS)
@settings(max_examples=25)
def test_shares_are_shares_and_know_nothing_of_labels(relation: Relation, intercept: str, seed: int) -> None:
    X, y, tasks = draw(seed)
    model = fitted(X, y, tasks, relation=relation, intercept=intercept)
    T = model.transfer_
    assert (T >= 0).all()
    np.testing.assert_allclose(T.sum(1), 1.0, rtol=1e-12)
    other = fitted(
        X, np.random.default_rng(seed + 1).normal(size=len(y)), tasks, relation=relation, intercept=intercept
    )
    np.testing.assert_allclose(other.transfer_, T, atol=1e-12)
    np.testing.assert_array_less(model.degrees_of_freedom_, np.bincount(tasks) + 1e-9)
    assert (model.degrees_of_freedom_ > 0).all()


@given(relations(4), INTERCEPTS, SEEDS)
@settings(max_examples=25)
def test_a_row_of_weight_two_is_two_rows(relation: Relation, intercept: str, seed: int) -> None:
    X, y, tasks = draw(seed)
    weights = np.random.default_rng(seed).integers(1, 4, size=len(y))
    parameters = {"relation": relation, "intercept": intercept, "weighting": "task"}
    one = fitted(X, y, tasks, weights.astype(float), **parameters)
    many = fitted(*(np.repeat(v, weights, axis=0) for v in (X, y, tasks)), **parameters)
    np.testing.assert_allclose(one.transfer_, many.transfer_, atol=1e-9)
    np.testing.assert_allclose(one.degrees_of_freedom_, many.degrees_of_freedom_, rtol=1e-9)


@given(INTERCEPTS, SEEDS, st.permutations(range(4)))
@settings(max_examples=20)
def test_names_of_tasks_do_not_matter(intercept: str, seed: int, order: list[int]) -> None:
    X, y, tasks = draw(seed)
    new = np.array(order)
    model = fitted(X, y, tasks, relation=Pairwise(0.1), intercept=intercept)
    moved = fitted(X, y, new[tasks], relation=Pairwise(0.1), intercept=intercept)
    np.testing.assert_allclose(moved.transfer_[np.ix_(new, new)], model.transfer_, atol=1e-10)
    effect, again = model.leave_task_out(X, y, tasks), moved.leave_task_out(X, y, new[tasks])
    np.testing.assert_allclose(again[np.ix_(new, new)], effect, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(moved.standard_errors_[new], model.standard_errors_, rtol=1e-8)


@given(st.floats(1e-3, 10.0), st.sampled_from(["free", "tied", "none"]), SEEDS)
@settings(max_examples=20)
def test_tasks_alone_teach_nobody(strength: float, intercept: str, seed: int) -> None:
    X, y, tasks = draw(seed)
    model = fitted(X, y, tasks, relation=Ridge(strength), intercept=intercept)
    np.testing.assert_allclose(model.transfer_, np.eye(4), atol=1e-12)
    effect = model.leave_task_out(X, y, tasks)
    assert np.isnan(np.diagonal(effect)).all()
    np.testing.assert_allclose(effect[~np.eye(4, dtype=bool)], 0.0, atol=1e-10)


@given(relations(4), INTERCEPTS, SEEDS, st.floats(0.01, 100.0))
@settings(max_examples=20)
def test_units_of_labels(relation: Relation, intercept: str, seed: int, unit: float) -> None:
    X, y, tasks = draw(seed)
    model = fitted(X, y, tasks, relation=relation, intercept=intercept)
    other = fitted(X, unit * y, tasks, relation=relation, intercept=intercept)
    effect = model.leave_task_out(X, y, tasks)
    scale = np.nanmax(np.abs(effect), initial=1e-6)
    np.testing.assert_allclose(other.leave_task_out(X, unit * y, tasks) / unit**2, effect, rtol=1e-6, atol=1e-8 * scale)
    np.testing.assert_allclose(other.noise_, unit**2 * model.noise_, rtol=1e-6)
    np.testing.assert_allclose(other.standard_errors_, unit * model.standard_errors_, rtol=1e-6)


@given(SEEDS)
@settings(max_examples=10)
def test_the_stronger_the_pull_the_more_is_learned_from_others(seed: int) -> None:
    X, y, tasks = draw(seed)
    models = [fitted(X, y, tasks, relation=Pairwise(s)) for s in (1e-6, 1e-2, 1.0, 1e6)]
    own = np.array([np.diagonal(m.transfer_) for m in models])
    assert (np.diff(own, axis=0) <= 1e-9).all()
    np.testing.assert_allclose(own[0], 1.0, atol=1e-4)
    # One slope for all, an intercept a task: 2 + 4 degrees of freedom.
    assert abs(models[-1].degrees_of_freedom_.sum() - 6) < 1e-3
    assert abs(models[0].degrees_of_freedom_.sum() - 12) < 1e-2


@given(relations(4), INTERCEPTS, SEEDS)
@settings(max_examples=15)
def test_intervals_grow_with_their_level_around_the_prediction(relation: Relation, intercept: str, seed: int) -> None:
    X, y, tasks = draw(seed)
    model = fitted(X, y, tasks, relation=relation, intercept=intercept)
    mean, deviation = model.predict(X, tasks, return_std=True)
    inner, outer = (model.predict_interval(X, tasks, level) for level in (0.5, 0.95))
    np.testing.assert_allclose((outer[0] + outer[1]) / 2, mean, rtol=1e-8, atol=1e-10)
    assert (outer[1] - outer[0] > inner[1] - inner[0]).all()
    assert (deviation > 0).all()


def test_columns_give_an_interval_a_task() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    Y = X @ rng.normal(size=(2, 3)) + rng.normal(size=(30, 3))
    Y[rng.random(Y.shape) < 0.2] = np.nan
    lower, upper = MultiTaskRegressor(Pairwise(0.1)).fit(X, Y).predict_interval(X)
    assert lower.shape == upper.shape == (30, 3)
    inside = (lower <= Y) & (upper >= Y)
    assert inside[~np.isnan(Y)].mean() > 0.85


@pytest.mark.parametrize("t", [1_000, 4_000])
def test_many_tasks_by_products_of_small_arrays(t: int) -> None:
    """The complete graph: (t, t) shares of t tasks without a block each."""
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(t), 3)
    X = rng.normal(size=(len(tasks), 2))
    y = X.sum(1) + rng.normal(size=len(tasks))
    model = MultiTaskRegressor(Pairwise(0.1 / t)).fit(X, y, tasks)
    T = model.transfer_
    assert T.shape == (t, t)
    np.testing.assert_allclose(T.sum(1), 1.0, rtol=1e-10)
    assert type(model._influence["setting"].inverse).__name__ == "Ranked"
