"""One model for all tasks, of classes and of counts, against scikit-learn with a column for each task's level."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression, PoissonRegressor

from relatask.linear.losses.labels import Logistic, Poisson
from relatask.linear.pooled_linear import PooledLinear
from relatask.notices import InputError

PLAIN = {"weighting": "sum", "standardize": False, "tol": 1e-9}


def rows(kind, seed=0, n=240, t=3):
    rng = np.random.default_rng(seed)
    X, tasks = rng.normal(size=(n, 3)), np.arange(n) % t
    eta = 0.5 * X @ [1.0, -1.0, 0.5] + 0.6 * tasks
    return X, (eta + rng.logistic(size=n) > 0.5) * 1.0 if kind == "binary" else rng.poisson(np.exp(eta)) * 1.0, tasks


def test_a_common_intercept_is_one_model_of_all_rows():
    X, y, tasks = rows("binary")
    own = LogisticRegression(C=1 / 0.7, tol=1e-12, max_iter=10_000).fit(X, y)
    model = PooledLinear("binary", 0.7, **PLAIN).fit(X, y, tasks)
    np.testing.assert_allclose(model.coef_, np.tile(own.coef_, (3, 1)), rtol=1e-5)
    np.testing.assert_allclose(model.predict_mean(X, tasks), own.predict_proba(X)[:, 1], atol=1e-7)
    np.testing.assert_array_equal(model.predict(X), own.predict(X))  # tasks make no difference
    X, y, tasks = rows("count")
    peer = PoissonRegressor(alpha=0.7 / len(X), tol=1e-10, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(
        PooledLinear("count", 0.7, **PLAIN).fit(X, y, tasks).predict(X), peer.predict(X), rtol=1e-4
    )


@pytest.mark.parametrize(("kind", "loss"), [("binary", Logistic()), ("count", Poisson())])
@pytest.mark.parametrize("weighting", ["sum", "task", "sample"])
def test_own_intercepts_and_common_slopes_are_scipys_minimum(kind, loss, weighting):
    X, y, tasks = rows(kind, n=130)
    keep = (tasks != 2) | (np.arange(len(y)) < 60)  # tasks of different sizes
    X, y, tasks = X[keep], y[keep], tasks[keep]
    n = np.bincount(tasks)
    share = {"sum": np.ones(3), "task": 1 / n, "sample": np.full(3, 3 / n.sum())}[weighting]
    strength = 0.5 if weighting == "sum" else 0.05

    def value(theta):
        eta = X @ theta[:3] + theta[3:][tasks]
        slope = share[tasks] * loss.slope(eta, y)
        gradient = np.append(X.T @ slope + strength * theta[:3], np.bincount(tasks, slope))
        return share[tasks] @ loss.value(eta, y) + strength / 2 * theta[:3] @ theta[:3], gradient

    best = minimize(value, np.zeros(6), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    model = PooledLinear(kind, strength, intercept="free", **(PLAIN | {"weighting": weighting, "tol": 1e-6})).fit(
        X, y, tasks
    )
    np.testing.assert_allclose(model.coef_, np.tile(best[:3], (3, 1)), rtol=2e-5)
    np.testing.assert_allclose(model.intercept_, best[3:], rtol=2e-5, atol=2e-6)


def test_columns_are_stacked_and_missing_labels_left_out():
    X, y, tasks = rows("binary")
    Y = np.where(np.arange(3) == tasks[:, None], y[:, None], np.nan)
    for intercept in ("common", "free"):
        wide, long = (PooledLinear("binary", 0.7, intercept=intercept, **(PLAIN | {"tol": 1e-6})) for _ in range(2))
        np.testing.assert_allclose(wide.fit(X, Y).coef_, long.fit(X, y, tasks).coef_, rtol=1e-9)
        picked = wide.predict_mean(X)[np.arange(len(X)), tasks]
        np.testing.assert_allclose(picked, long.predict_mean(X, tasks), rtol=1e-9)


def test_a_strength_is_chosen_and_told_in_its_own_units():
    X, y, tasks = rows("binary", n=90)
    for intercept in ("common", "free"):
        model = PooledLinear(intercept=intercept).fit(X, y, tasks)
        again = PooledLinear(strength=model.strengths_["strength"], intercept=intercept).fit(X, y, tasks)
        np.testing.assert_allclose(again.coef_, model.coef_, rtol=1e-4, atol=1e-6)
        assert model.path_.errors.shape == (25,)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"kind": "regression"}, "expected 'binary' or 'count'"),
        ({"intercept": "tied"}, "expected 'common' or 'free'"),
        ({"weighting": "none"}, "expected 'sum', 'task' or 'sample'"),
    ],
)
def test_bad_parameters(change, match):
    X, y, tasks = rows("binary")
    with pytest.raises(InputError, match=match):
        PooledLinear(**change).fit(X, y, tasks)


def test_bad_labels_and_rows():
    X, y, tasks = rows("binary")
    with pytest.raises(InputError, match="expected labels 0 and 1"):
        PooledLinear(intercept="free").fit(X, y + 1, tasks)
    with pytest.raises(InputError, match="no label"):
        PooledLinear().fit(X, np.full(len(y), np.nan), tasks)
    with pytest.raises(InputError, match="predict needs tasks"):
        PooledLinear(strength=1.0, intercept="free").fit(X, y, tasks).predict(X)
