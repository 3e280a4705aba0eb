"""Standard errors, noise and intervals, against the textbook, written equations and simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, special, stats

from influence_oracle import RELATIONS, Written, quiet
from linear_oracle import INTERCEPTS, LAYOUTS, case
from relatask import MultiTaskRegressor
from relatask.linear.influence.measures import moderated
from relatask.relations import (
    HierarchicalPrior,
    Pairwise,
    Ridge,
)


def test_one_task_without_penalty_is_the_textbook() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)
    y = 1 + 2 * x + rng.normal(size=20)
    model = MultiTaskRegressor(Ridge(0.0)).fit(x[:, None], y)
    line = stats.linregress(x, y)
    residual = y - line.intercept - line.slope * x
    noise = residual @ residual / 18
    np.testing.assert_allclose(model.noise_, noise, rtol=1e-10)
    np.testing.assert_allclose(model.standard_errors_, line.stderr, rtol=1e-10)
    np.testing.assert_allclose(model.standard_errors("sandwich"), line.stderr, rtol=1e-10)
    new = np.array([0.3, 2.0])
    spread = np.sqrt(noise * (1 + 1 / 20 + (new - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()))
    lower, upper = model.predict_interval(new[:, None], level=0.9)
    np.testing.assert_allclose(upper - lower, 2 * stats.t.ppf(0.95, 18) * spread, rtol=1e-10)
    np.testing.assert_allclose(model.predict(new[:, None], return_std=True)[1], spread, rtol=1e-10)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["pairwise", "precision"])
@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_standard_errors_are_of_the_written_equations(name: str, intercept: str, layout: str) -> None:
    data = case(layout, n=15, weighted=True)
    relation = RELATIONS[name]
    model = quiet(lambda: MultiTaskRegressor(relation, intercept=intercept, weighting="sum").fit(**data.arguments))
    plain = Written(data, relation, intercept, "sum")
    cov = np.linalg.pinv(plain.rows.T @ (plain.pull[:, None] * plain.rows) + plain.penalty, rcond=1e-12)
    H = plain.hat(np.ones(len(plain.y), dtype=bool))
    sse = np.bincount(plain.task, plain.s * np.square(plain.y - H @ plain.y))
    freedom = np.bincount(plain.task, 1 - np.diagonal(H))
    np.testing.assert_allclose(model.noise_, sse / freedom, rtol=1e-8)
    held = moderated(sse / freedom, freedom)
    own = np.diagonal(cov)[: data.t * plain.q].reshape(data.t, plain.q)[:, : plain.d]
    np.testing.assert_allclose(model.standard_errors_, np.sqrt(own * held.values[:, None]) / plain.scale, rtol=1e-6)
    middle = plain.rows.T @ ((plain.pull * held.values[plain.task])[:, None] * plain.rows)
    own = np.diagonal(cov @ middle @ cov)[: data.t * plain.q].reshape(data.t, plain.q)[:, : plain.d]
    np.testing.assert_allclose(model.standard_errors("sandwich"), np.sqrt(own) / plain.scale, rtol=1e-6)


def test_noise_is_held_together_by_as_much_as_tasks_differ() -> None:
    rng = np.random.default_rng(0)
    freedom = np.full(20_000, 6.0)
    true = 3.0 * 10 / rng.chisquare(10, size=20_000)
    values = true * rng.chisquare(6, size=20_000) / 6
    found = moderated(values, freedom)
    # d0 = 10, s0^2 = 3: Smyth 2004, equations of section 6.2.
    assert abs(found.freedom[0] - 16) < 1
    np.testing.assert_allclose(found.values, (10 * 3.0 + 6 * values) / 16, rtol=0.05)
    alike = moderated(2.0 * rng.chisquare(6, size=50) / 6, freedom[:50])
    assert np.ptp(alike.values) < 0.2 * alike.values.mean()
    x = special.polygamma(1, 3.7)
    solved = optimize.brentq(lambda v: special.polygamma(1, v) - x, 0.1, 100)
    np.testing.assert_allclose(solved, 3.7)
    none = moderated(np.array([np.nan, 1.0, 3.0]), np.array([0.0, 4.0, 4.0]))
    assert np.isfinite(none.values).all()


@pytest.mark.parametrize("kind", ["pairwise", "prior"])
@pytest.mark.parametrize("few", [False, True])
def test_intervals_hold_their_share_on_average_over_tasks(kind: str, few: bool) -> None:
    """Coverage of 90% intervals over 40 draws of 30 tasks whose noises differ: within 4 binomial standard errors."""
    rng = np.random.default_rng(3)
    t, d, held, count = 30, 3, 0, 0
    by_draw = []
    for _ in range(40):
        n = rng.integers(4, 9, size=t) if few else rng.integers(10, 30, size=t)
        noise, tau = np.exp(0.3 * rng.normal(size=t)), 0.5
        W = rng.normal(size=d) + tau * rng.normal(size=(t, d))
        level = rng.normal(size=t)
        task, new = np.repeat(np.arange(t), n), np.repeat(np.arange(t), 20)
        X, Z = rng.normal(size=(len(task), d)), rng.normal(size=(len(new), d))
        y, z = (
            np.einsum("nd,nd->n", x, W[k]) + level[k] + noise[k] * rng.normal(size=len(k))
            for x, k in ((X, task), (Z, new))
        )
        if kind == "pairwise":
            matched = Pairwise(np.mean(noise**2) / (4 * t * tau**2))
            model = MultiTaskRegressor(matched, weighting="sum", standardize=False)
        else:
            model = MultiTaskRegressor(HierarchicalPrior("isotropic"), standardize=False)
        quiet(lambda model=model, X=X, y=y, task=task: model.fit(X, y, task))
        lower, upper = model.predict_interval(Z, new, 0.9)
        inside = (lower <= z) & (z <= upper)
        held, count = held + inside.sum(), count + len(z)
        by_draw.append(inside.mean())
    # Labels of one draw share its fit: the band is that of draws' means.
    band = 4 * np.std(by_draw, ddof=1) / np.sqrt(len(by_draw))
    assert abs(held / count - 0.9) < max(band, 4 * np.sqrt(0.09 / count))
