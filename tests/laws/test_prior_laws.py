"""Laws of the hierarchical prior: what must not matter, what it equals, and what is left where little is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.linear_oracle import Case
from tests.linear_oracle import case as draw

from relatask.linear import MultiTaskRegressor
from relatask.linear.prior.fit import PriorFit, fit_prior
from relatask.linear.prior.posterior import NEW
from relatask.linear.sums import passes
from relatask.notices import InputError
from relatask.relations import Pairwise
from relatask.relations.hierarchical_prior import HierarchicalPrior

KINDS = ("full", "diagonal", "isotropic")
INTERCEPTS = ("free", "tied", "common", "none")


def fitted(data: Case, kind="full", intercept="tied", **options) -> PriorFit:
    stats = passes.grouped(data.X, data.y, data.tasks, data.t, data.weights)
    return fit_prior(stats, HierarchicalPrior(kind, **options), intercept=intercept, tol=1e-7)


def same(a: PriorFit, b: PriorFit, tasks=slice(None), columns=slice(None), unit: float = 1.0) -> None:
    scale = np.abs(b.coef).max()
    np.testing.assert_allclose(a.coef, unit * b.coef[tasks][:, columns], rtol=0, atol=1e-4 * unit * scale)
    np.testing.assert_allclose(a.noise, unit**2 * b.noise[tasks], rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("intercept", INTERCEPTS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_and_units_do_not_matter(kind, intercept, seed):
    data = draw(seed=seed, t=7, d=3, n=12)
    rng = np.random.default_rng(seed)
    fit = fitted(data, kind, intercept)
    tasks, columns = rng.permutation(7), rng.permutation(3)
    same(fitted(replace(data, tasks=np.argsort(tasks)[data.tasks]), kind, intercept), fit, tasks=tasks)
    same(fitted(replace(data, X=data.X[:, columns]), kind, intercept), fit, columns=columns)
    scaled = fitted(replace(data, y=1e3 * data.y), kind, intercept)
    same(scaled, fit, unit=1e3)
    freedom = scaled.log_likelihood - fit.log_likelihood
    used = data.t * (intercept == "free") + 3 + (intercept in ("tied", "common"))
    assert freedom == pytest.approx(-(len(data.y) - used) * np.log(1e3), abs=1e-4)


@pytest.mark.parametrize("intercept", ["free", "tied", "none"])
def test_a_full_covariance_does_not_see_how_columns_are_mixed(intercept):
    data = draw(seed=1, t=8, d=3, n=15)
    A = np.array([[1.0, 0.5, 0.0], [0.0, 2.0, 0.3], [0.2, 0.0, 1.0]])
    fit, mixed = fitted(data, intercept=intercept), fitted(replace(data, X=data.X @ A), intercept=intercept)
    assert mixed.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-6)
    np.testing.assert_allclose(mixed.coef @ A.T, fit.coef, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("intercept", ["free", "common", "none"])
def test_one_variance_is_pairwise_at_the_strength_that_it_learned(intercept):
    """With S = v I and m free, tasks are Pairwise's: noise / (2 v) sum_k ||w_k - mean||^2 = 2 s t times the same."""
    data = draw(seed=2, t=6, d=3, n=12)
    fit = fitted(data, "isotropic", intercept)
    strength = fit.noise[0] / (4 * data.t * fit.relation.S[0, 0])
    model = MultiTaskRegressor(Pairwise(strength), weighting="sum", intercept=intercept, tol=1e-10)
    model.fit(data.X, data.y, data.tasks)
    np.testing.assert_allclose(fit.coef, model.coef_, rtol=1e-7)
    np.testing.assert_allclose(fit.intercept, model.intercept_, rtol=1e-7, atol=1e-9)


def test_auto_takes_few_variances_until_tasks_speak_for_more():
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(200), 8)
    X = rng.normal(size=(len(tasks), 2))
    L = np.array([[1.0, 0.0], [0.95, 0.1]])
    chosen = []
    for root in (0.5 * np.eye(2), L):
        W = rng.normal(size=(200, 2)) @ root.T
        y = np.einsum("nd,nd->n", X, W[tasks]) + 0.1 * rng.normal(size=len(tasks))
        chosen.append(fitted(Case(X, y, tasks, None, 200), "auto", "none").relation.covariance)
    assert chosen == ["isotropic", "full"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("noise", ["common", "task"])
def test_where_little_is_known_all_is_finite(kind, intercept, noise):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(24, 3))
    X[:, 1] = np.repeat(rng.normal(size=8), 3)  # constant within tasks of three
    y = X @ [1.0, 0.5, -1.0] + 0.1 * rng.normal(size=24)
    thirds, halves = np.repeat(np.arange(8), 3), np.repeat(np.arange(2), 12)
    lone = np.concatenate([np.zeros(18, dtype=int), np.arange(1, 7)])
    cases = {
        "a column constant within tasks": (X, y, thirds),
        "a constant column": (np.hstack([X, np.ones((24, 1))]), y, halves),
        "one task": (X, y, np.zeros(24, dtype=int)),
        "two tasks": (X, y, halves),
        "tasks of one row": (X, y, lone),
        "no noise": (X, X @ [1.0, 0.5, -1.0], halves),
        "a constant target": (X, np.full(24, 5.0), halves),
        "no column varies": (np.ones((24, 2)), y, halves),
        "the same column twice": (X[:, [0, 0, 2]], y, halves),
    }
    for name, (rows, labels, tasks) in cases.items():
        t = int(tasks.max()) + 1
        fit = fitted(Case(rows, labels, tasks, None, t), kind, intercept, noise=noise)
        variance = fit.uncertainty.variance(rows, tasks)
        new = fit.uncertainty.variance(rows, np.full(24, NEW))
        for value in (fit.coef, fit.intercept, fit.covariance, fit.noise, fit.log_likelihood, variance, new):
            assert np.isfinite(value).all(), name
        assert (variance >= 0).all(), name
        assert (new >= 0).all(), name
        assert np.linalg.eigvalsh(fit.covariance)[0] >= -1e-9 * max(np.trace(fit.covariance), 1e-300), name
        if name == "one task":
            assert not fit.covariance.any()
        if name == "no noise":
            predicted = np.einsum("nd,nd->n", rows, fit.coef[tasks]) + fit.intercept[tasks]
            np.testing.assert_allclose(predicted, labels, atol=1e-3)
        if name == "a constant target" and intercept != "none":
            np.testing.assert_allclose(fit.coef, 0, atol=1e-9)
            np.testing.assert_allclose(fit.intercept, 5.0)
        if name == "the same column twice":
            np.testing.assert_allclose(fit.mean_coef[0], fit.mean_coef[1], rtol=1e-5)  # the smallest


def test_as_a_value_it_learns_from_task_parameters():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(40, 3)) @ np.diag([1.0, 2.0, 3.0]) + 1.0
    for kind in ("auto", *KINDS):
        prior = HierarchicalPrior(kind)
        assert float(prior(W)) == pytest.approx(0.5 * np.square(W - W.mean(0)).sum())
        known = prior.given(W)
        step = W - known.m
        assert float(known(W)) == pytest.approx(0.5 * np.einsum("kd,de,ke->", step, np.linalg.inv(known.S), step))
        tensor = torch.tensor(W, requires_grad=True)
        loss = prior.given(tensor)(tensor)
        loss.backward()
        np.testing.assert_allclose(tensor.grad.numpy(), step @ np.linalg.inv(known.S), rtol=1e-10)
    few = HierarchicalPrior().given(W[:2])
    assert np.linalg.eigvalsh(few.S)[0] > 0
    alike = HierarchicalPrior().given(np.ones((3, 2)))
    assert np.isfinite(float(alike(np.ones((3, 2)))))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"covariance": "banded"}, "covariance='banded' is unknown; expected one of 'auto', 'full'"),
        ({"noise": "row"}, "noise='row' is unknown"),
        ({"method": "mcmc"}, "method='mcmc' is unknown"),
        ({"m": [0.0]}, "only one of m and S is given"),
        ({"m": [0.0], "S": [[1.0, 0.0], [0.0, 1.0]]}, "S is 2 x 2, but m has 1 entries"),
        ({"m": ["a"], "S": [[1.0]]}, "m could not be read as numbers"),
        ({"m": [0.0], "S": [[-1.0]]}, "S is not positive semidefinite"),
    ],
)
def test_bad_input_is_told(options, told):
    with pytest.raises(InputError, match=told):
        HierarchicalPrior(**options)
    with pytest.raises(InputError, match="W has 2 columns, but m and S were learned for 1"):
        HierarchicalPrior(m=[0.0], S=[[1.0]])(np.zeros((3, 2)))
