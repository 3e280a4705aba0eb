"""Tasks that leave their own past are told, and those that do not are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.notices import InputError
from relatask.relations import HierarchicalPrior, Pairwise, Relation, Ridge, TraceNorm


def squares(X: np.ndarray, y: np.ndarray) -> tuple[float, int]:
    """What a line leaves of y, and how many coefficients it has."""
    Z = np.column_stack([X, np.ones(len(X))])
    w, _, rank, _ = np.linalg.lstsq(Z, y, rcond=None)
    return float(np.sum((y - Z @ w) ** 2)), int(rank)


@pytest.mark.parametrize("n", [2, 30])
def test_without_a_relation_these_are_the_tests_of_chow(n: int) -> None:
    rng = np.random.default_rng(0)
    X, y, tasks = rng.normal(size=(80, 3)) + 2.0, rng.normal(size=80), np.repeat(["a", "b"], 40)
    new, labels = rng.normal(size=(n, 3)), rng.normal(size=n) + 1.0
    model = MultiTaskRegressor(Ridge(0.0)).fit(X, y, tasks)
    expected_error = float(np.mean((labels - model.predict(new, ["a"] * n)) ** 2))
    model.partial_fit(new, labels, ["a"] * n)
    assert model.drift_.tasks.tolist() == ["a"]
    found = model.drift_["a"]
    (before, k), (both, _) = (
        squares(X[:40], y[:40]),
        squares(np.vstack([X[:40], new]), np.append(y[:40], labels)),
    )
    predictive = (both - before) / n / (before / (40 - k))
    np.testing.assert_allclose(found.statistic, predictive, rtol=1e-8)
    np.testing.assert_allclose(found.error, expected_error)
    p = stats.f.sf(predictive, n, 40 - k)
    if n > 4:
        after, _ = squares(new, labels)
        change = (both - before - after) / k / ((before + after) / (40 + n - 2 * k))
        np.testing.assert_allclose(found.change, change, rtol=1e-8)
        p = min(1.0, 2 * min(p, stats.f.sf(change, k, 40 + n - 2 * k)))
    else:
        assert np.isnan(found.change)
    np.testing.assert_allclose([found.p_value, found.adjusted], p, rtol=1e-6)
    Z, z = (np.column_stack([rows, np.ones(len(rows))]) for rows in (X[:40], new))
    leverage = np.einsum("ij,jk,ik->i", z, np.linalg.inv(Z.T @ Z), z)
    np.testing.assert_allclose(found.expected, before / (40 - k) * (1 + leverage.mean()), rtol=1e-8)


def batches(model: Any, seed: int, sims: int, shift: float = 0.0, slope: float = 0.0, n: int = 20) -> list[Any]:
    """Drift of the second of two batches of 6 tasks with noise of their own; task 0 changes."""
    rng = np.random.default_rng(seed)
    found = []
    codes = [np.repeat(np.arange(6), 25), np.repeat(np.arange(6), n)]
    for _ in range(sims):
        W, b, noise = 1.0 + 0.4 * rng.normal(size=(6, 4)), rng.normal(size=6), np.exp(0.5 * rng.normal(size=6))
        rows = [rng.normal(size=(len(c), 4)) for c in codes]
        labels = [
            np.einsum("nd,nd->n", X, W[c]) + b[c] + noise[c] * rng.normal(size=len(c))
            for X, c in zip(rows, codes, strict=True)
        ]
        own = codes[1] == 0
        labels[1][own] += noise[0] * (shift + slope * rows[1][own, 0])
        model.fit(rows[0], labels[0], codes[0]).partial_fit(rows[1], labels[1], codes[1])
        found.append(model.drift_)
    return found


MODELS: list[Any] = [
    MultiTaskRegressor(Ridge(1e-6)),
    MultiTaskRegressor(Pairwise(0.01)),
    MultiTaskRegressor(Pairwise(10.0), intercept="tied"),
    MultiTaskRegressor(HierarchicalPrior("isotropic"), tol=1e-4),
    MultiTaskRegressor(TraceNorm(0.3), intercept="none", tol=1e-4),
    PooledRegressor(0.01),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(getattr(m, "relation", m)).__name__)
def test_false_alarms_come_as_often_as_they_may(model: Any) -> None:
    p = np.array([drift.p_value for drift in batches(model, 0, 60)])
    # 360 draws: levels are met within four standard errors.
    assert (p < 0.05).mean() < 0.05 + 4 * np.sqrt(0.05 * 0.95 / p.size)
    assert (p < 0.05).mean() > 0.01
    assert (p < 0.01).mean() < 0.01 + 4 * np.sqrt(0.01 * 0.99 / p.size)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(getattr(m, "relation", m)).__name__)
@pytest.mark.parametrize("change", [{"shift": 2.0}, {"slope": 2.0}], ids=str)
def test_a_task_that_changes_is_found(model: Any, change: dict[str, float]) -> None:
    drifts = batches(model, 1, 10, **change)
    assert np.mean([0 in drift.drifted() for drift in drifts]) >= 0.7
    others = [task for drift in drifts for task in drift.drifted() if task != 0]
    assert len(others) <= 5  # of 50


def test_one_row_is_enough_where_it_is_far_off() -> None:
    for drift in batches(MultiTaskRegressor(Pairwise(0.01)), 2, 5, shift=15.0, n=1):
        assert 0 in drift.drifted()
        assert len(drift.drifted()) <= 2


def test_a_past_that_is_too_short_says_nothing() -> None:
    rng = np.random.default_rng(0)
    X, y, tasks = rng.normal(size=(33, 3)), rng.normal(size=33), ["a"] * 30 + ["b"] * 3
    model = MultiTaskRegressor(Ridge(0.0)).fit(X, y, tasks)
    model.partial_fit(X, y, tasks)
    assert np.isnan(model.drift_["b"].p_value)
    assert np.isfinite(model.drift_["a"].adjusted)
    with pytest.raises(InputError, match="task 'c' had no rows before, or got none; drift is of 'a', 'b'"):
        model.drift_["c"]
    assert repr(model.drift_).splitlines()[0] == "Drift of 2 tasks, 0 below 0.05 after correction"
    assert repr(model.drift_).splitlines()[2].split()[:2] == ["a", "30"]
    # New tasks have no past.
    model.partial_fit(X[:3], y[:3], ["c"] * 3)
    assert len(model.drift_) == 0


def test_a_past_without_errors() -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    model = MultiTaskRegressor(Ridge(1e-12)).fit(X, X[:, 0], ["a"] * 20)
    model.partial_fit(X + 1.0, X[:, 0] + 1.0, ["a"] * 20)
    assert model.drift_.drifted() == []
    assert model.partial_fit(X, X[:, 1], ["a"] * 20).drift_.drifted() == ["a"]


def test_many_tasks_are_corrected_for() -> None:
    drift = batches(MultiTaskRegressor(Pairwise(0.01)), 4, 1, shift=2.0)[0]
    np.testing.assert_allclose(drift.adjusted, stats.false_discovery_control(drift.p_value))


def test_columns_and_weights() -> None:
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(80, 3)), rng.normal(size=(80, 3))
    Y[40:, 1] += 3.0
    Y[40:, 2] = np.nan
    model = MultiTaskRegressor(Pairwise(0.1)).fit(X[:40], Y[:40])
    # Weights are precisions: of half the weight and twice the noise.
    model.partial_fit(X[40:], Y[40:], sample_weight=np.full(40, 1.0))
    assert model.drift_.drifted() == [1]
    assert model.drift_.tasks.tolist() == [0, 1]


@pytest.mark.parametrize("intercept", ["free", "tied", "common", "none"])
@pytest.mark.parametrize("relation", [Pairwise(0.0005), HierarchicalPrior("diagonal")])
def test_very_many_tasks_know_their_mean(relation: Relation, intercept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(60), 12)
    X, W = rng.normal(size=(720, 3)), 0.5 * rng.normal(size=(60, 3))
    y = np.einsum("nd,nd->n", X, W[codes]) + rng.normal(size=720)
    found = []
    for numbers in (1e9, 0.0):
        monkeypatch.setattr("relatask.linear.online.pasts.WHOLE", numbers)
        model = MultiTaskRegressor(relation, intercept=intercept).fit(X[::2], y[::2], codes[::2])
        found.append(model.partial_fit(X[1::2], y[1::2], codes[1::2]).drift_)
    np.testing.assert_allclose(found[0].statistic, found[1].statistic, rtol=0.05)
    np.testing.assert_allclose(found[0].expected, found[1].expected, rtol=0.05)
    assert (found[0].statistic != found[1].statistic).all()


def test_more_features_than_rows() -> None:
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(60, 150)), np.repeat([0, 1, 2], 20)
    y = X[:, :3].sum(1) + rng.normal(size=60)
    new, labels = rng.normal(size=(10, 150)), rng.normal(size=10)
    for intercept in ("free", "tied", "common", "none"):
        model = MultiTaskRegressor(Ridge(100.0), intercept=intercept, standardize=False, weighting="sum")
        drift = model.fit(X, y, codes).partial_fit(new, labels + new[:, :3].sum(1), np.zeros(10, int)).drift_
        assert np.isfinite(drift.p_value).all()
        if intercept != "none":
            continue
        # By rows: errors and what a ridge lets expect of them.
        own = X[:20]
        A = np.linalg.inv(own.T @ own + 100.0 * np.eye(150))
        w = A @ own.T @ y[:20]
        e = labels + new[:, :3].sum(1) - new @ w
        noise = np.sum((y[:20] - own @ w) ** 2) / (20 - np.trace(A @ own.T @ own))
        expected = e @ np.linalg.solve(np.eye(10) + new @ A @ new.T, e) / 10 / noise
        np.testing.assert_allclose(drift.statistic[0], expected, rtol=1e-6)
