"""Many tasks at once, in compiled loops and some at a time, against the ordinary roads for few."""

import warnings

import numpy as np
import pytest
from tests.streamed import same, small

from relatask.linear import MultiTaskRegressor, many_tasks
from relatask.linear.prior import search, sums
from relatask.linear.sums import batched
from relatask.linear.sums.passes import grouped
from relatask.relations import Chain, HierarchicalPrior, Manifold, Pairwise, Ridge

# Many small tasks.


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_compiled_moments_are_those_of_the_loop(order, kind, weighted, monkeypatch):
    X, y, codes = small()
    X = np.asarray(X, dtype=kind, order=order)
    weights = np.random.default_rng(0).random(len(y)) + 0.1 if weighted else None
    codes[codes == 77] = 78  # a task without rows keeps its place
    found = grouped(X, y, codes, 2_000, weights)
    monkeypatch.setattr(batched, "MANY", 10**9)
    expected = grouped(X, y, codes, 2_000, weights)
    for name in ("count", "weight", "mean_x", "mean_y", "cross", "yy", "center", "spread"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())
    np.testing.assert_allclose(found.forms.dense(), expected.forms.dense(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("d", [1, 2, 7, 20])
def test_compiled_inverses_and_roots(d):
    rng = np.random.default_rng(d)
    half = rng.standard_normal((50, d + 3, d))
    gram, scale, shift = half.swapaxes(1, 2) @ half, rng.random(50) + 0.5, rng.random(50) + 0.1
    whole = gram * scale[:, None, None] + shift[:, None, None] * np.eye(d)
    inverse = np.linalg.inv(whole)
    np.testing.assert_allclose(batched.inverses(gram, scale, shift), inverse, atol=1e-10 * np.abs(inverse).max())
    right = rng.standard_normal((50, d))
    found = batched.solved(gram, scale, shift, right)
    np.testing.assert_allclose(found, np.linalg.solve(whole, right[:, :, None])[:, :, 0], atol=1e-9)
    roots, logs = batched.inverse_roots(whole)
    np.testing.assert_allclose(roots @ whole @ roots.swapaxes(1, 2), np.broadcast_to(np.eye(d), whole.shape), atol=1e-9)
    assert logs == pytest.approx(np.linalg.slogdet(whole)[1].sum())
    assert batched.inverses(-gram, scale, 0 * shift) is None
    assert batched.solved(-gram, scale, 0 * shift, right) is None
    assert batched.inverse_roots(-gram) is None


def as_many(monkeypatch):
    monkeypatch.setattr(many_tasks, "TASKS", 1)
    monkeypatch.setattr(many_tasks, "BLOCK", 64)
    monkeypatch.setattr(sums, "BLOCK", 64)
    monkeypatch.setattr(search, "FEW", 60)
    monkeypatch.setattr(search, "SOME", 120)


@pytest.mark.parametrize("relation", [Pairwise(1e-4), Pairwise(10.0), Ridge(0.3), Ridge(0.2) + Pairwise(1e-3)])
@pytest.mark.parametrize("intercept", ["free", "tied", "none"])
@pytest.mark.parametrize("weighting", ["sample", "task"])
def test_blocks_of_tasks_solve_the_same_problem(relation, intercept, weighting, monkeypatch):
    X, y, codes = small(300, 5, 3_000)
    X[:, 4] = 7.0
    options = {"intercept": intercept, "weighting": weighting, "scale_targets": True}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        whole = MultiTaskRegressor(relation, **options).fit(X, y, codes)
    as_many(monkeypatch)
    asked = []
    monkeypatch.setattr(
        many_tasks._Pulled, "gain", lambda self, plain=many_tasks._Pulled.gain: asked.append(1) or plain(self)
    )
    with warnings.catch_warnings(record=True) as told_too:
        warnings.simplefilter("always")
        model = MultiTaskRegressor(relation, **options).fit(X, y, codes)
    assert asked
    same(model, whole)
    assert model.objective_ == pytest.approx(whole.objective_, rel=1e-8)
    assert model.residual_ <= 1e-9
    assert sorted(str(w.message) for w in told) == sorted(str(w.message) for w in told_too)


def test_what_is_not_for_blocks_goes_the_other_road(monkeypatch):
    X, y, codes = small(300, 5, 3_000)
    as_many(monkeypatch)
    monkeypatch.setattr(many_tasks._Pulled, "solve", lambda *_: pytest.fail("solved in blocks"))
    near = Manifold(X[:50], 0.1)
    for relation in (Chain(1.0), Pairwise(1e-14), near + Ridge(1.0)):
        MultiTaskRegressor(relation).fit(X, y, codes)
    MultiTaskRegressor(Pairwise(1.0), intercept="common").fit(X, y, codes)


def drawn(t, n, d=3, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, t, n)
    codes[:t] = np.arange(t)
    X = rng.standard_normal((n, d)) * [1, 2, 0.1] + [0, 3, 0]
    W = rng.standard_normal(d) + rng.standard_normal((t, d)) * [1, 0.5, 3]
    return X, np.einsum("nd,nd->n", X, W[codes]) + rng.standard_normal(n) + rng.standard_normal(t)[codes], codes


@pytest.mark.parametrize("covariance", ["full", "diagonal", "isotropic", "auto"])
@pytest.mark.parametrize("intercept", ["free", "tied", "none", "common"])
@pytest.mark.parametrize("method", ["reml", "ml"])
def test_the_prior_of_many_tasks_is_that_of_the_ordinary_search(covariance, intercept, method, monkeypatch):
    X, y, codes = drawn(400, 6_000)
    weight = np.random.default_rng(5).random(6_000) + 0.2
    relation = HierarchicalPrior(covariance, method=method)
    whole = MultiTaskRegressor(relation, intercept=intercept, tol=1e-7).fit(X, y, codes, weight)
    as_many(monkeypatch)
    model = MultiTaskRegressor(relation, intercept=intercept, tol=1e-7).fit(X, y, codes, weight)
    assert model.residual_ <= 1e-7
    assert model.relation_.covariance == whole.relation_.covariance
    assert model.log_likelihood_ == pytest.approx(whole.log_likelihood_, rel=1e-12)
    same(model, whole, 1e-5)
    np.testing.assert_allclose(
        model.prior_covariance_, whole.prior_covariance_, atol=2e-6 * whole.prior_covariance_.max()
    )
    new = ["new"] * 5
    tasks = np.concatenate([codes[:500].astype(object), new])
    X = np.concatenate([X[:500], X[:5]])
    expected = whole.predict(X, tasks, return_std=True)
    for ours, theirs in zip(model.predict(X, tasks, return_std=True), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_the_prior_of_many_tasks_is_saved(monkeypatch, tmp_path):
    X, y, codes = drawn(300, 3_000)
    as_many(monkeypatch)
    model = MultiTaskRegressor(HierarchicalPrior("diagonal")).fit(X, y, codes)
    model.save(tmp_path / "many")
    again = MultiTaskRegressor.load(tmp_path / "many")
    expected = model.predict(X, codes, return_std=True)
    for ours, theirs in zip(again.predict(X, codes, return_std=True), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.filterwarnings("ignore:RT015")
def test_effects_without_noise_go_the_other_road(monkeypatch):
    X, _, codes = drawn(200, 2_000)
    y = np.einsum("nd,nd->n", X, np.random.default_rng(0).standard_normal((200, 3))[codes])
    whole = MultiTaskRegressor(HierarchicalPrior("full"), intercept="none").fit(X, y, codes)
    as_many(monkeypatch)
    model = MultiTaskRegressor(HierarchicalPrior("full"), intercept="none").fit(X, y, codes)
    np.testing.assert_array_equal(model.coef_, whole.coef_)


def test_a_column_that_is_constant_up_to_rounding_stays_out_of_the_prior():
    X, y, codes = drawn(100, 1_500)
    X = np.column_stack([X, np.full(1_500, 7.0)])
    weight = np.random.default_rng(0).random(1_500)
    model = MultiTaskRegressor(HierarchicalPrior("full")).fit(X, y, codes, weight)
    assert (model.coef_[:, 3] == 0).all()
    plain = MultiTaskRegressor(HierarchicalPrior("full")).fit(X[:, :3], y, codes, weight)
    np.testing.assert_allclose(model.coef_[:, :3], plain.coef_, atol=1e-5)
