"""Who taught whom, against fits of unit labels, normal equations written out, and fits without a task or a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from influence_oracle import RELATIONS, Written, quiet, shares
from linear_oracle import INTERCEPTS, LAYOUTS, Case, case
from relatask import MultiTaskRegressor
from relatask.relations import (
    Chain,
    HierarchicalPrior,
    Manifold,
    Pairwise,
    Relation,
    Ridge,
)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("name", RELATIONS)
def test_shares_are_those_of_fits_to_unit_labels(name: str, intercept: str, layout: str) -> None:
    weighted = intercept in ("free", "common")
    data = case(layout, weighted=weighted)
    settings = {"intercept": intercept, "weighting": "task" if weighted else "sample", "tol": 1e-9}
    model = quiet(lambda: MultiTaskRegressor(RELATIONS[name], **settings).fit(**data.arguments))
    rows = [(i, k) for i in range(len(data.X)) for k in _tasks_of(data, i)]
    X, task = np.array([data.X[i] for i, _ in rows]), np.array([k for _, k in rows])
    s = np.array([1.0 if data.weights is None else data.weights[i] for i, _ in rows])
    H = np.empty((len(rows), len(rows)))
    for b, (i, k) in enumerate(rows):
        unit = np.where(np.isnan(data.y), np.nan, 0.0)
        unit[(i, k) if unit.ndim == 2 else i] = 1.0
        again = quiet(
            lambda unit=unit: MultiTaskRegressor(RELATIONS[name], **settings).fit(**data.arguments | {"y": unit})
        )
        H[:, b] = np.einsum("nd,nd->n", X, again.coef_[task]) + again.intercept_[task]
    np.testing.assert_allclose(model.transfer_, shares(H, task, s), atol=1e-8)
    trace = np.bincount(task, np.diagonal(H))
    np.testing.assert_allclose(model.degrees_of_freedom_, trace, atol=1e-8)


def _tasks_of(data: Case, i: int) -> list[int]:
    if data.weights is not None and data.weights[i] == 0:
        return []
    if data.tasks is not None:
        return [int(data.tasks[i])]
    return np.flatnonzero(~np.isnan(data.y[i])).tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("name", ["pairwise", "pairwise + ridge", "chain", "precision"])
def test_leaving_tasks_out_is_fits_without_them(name: str, intercept: str, layout: str) -> None:
    weighted = intercept in ("free", "tied")
    weighting = "task" if weighted else "sample"
    data = case(layout, weighted=weighted, n=8)
    model = MultiTaskRegressor(RELATIONS[name], intercept=intercept, weighting=weighting)
    quiet(lambda: model.fit(**data.arguments))
    found = model.leave_task_out(**data.arguments)
    plain = Written(data, RELATIONS[name].bind(range(data.t)), intercept, weighting)
    every = np.ones(len(plain.y), dtype=bool)
    before = plain.left_out(every)
    assert found is model.leave_task_out_
    assert model.leave_task_out_method_ == "exact"
    for j in range(data.t):
        after = plain.left_out(plain.task != j)
        both = np.isfinite(after) & np.isfinite(before)
        for i in range(data.t):
            mine = both & (plain.task == i)
            if i == j or not mine.any():
                assert np.isnan(found[i, j])
                continue
            expected = np.average(after[mine] - before[mine], weights=plain.s[mine])
            np.testing.assert_allclose(found[i, j], expected, rtol=1e-7, atol=1e-8 * (1 + np.nanmax(before)))
    for i in range(data.t):
        mine = np.isfinite(before) & (plain.task == i)
        np.testing.assert_allclose(model.leave_one_out_[i], np.average(before[mine], weights=plain.s[mine]), rtol=1e-8)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("noise", ["common", "task"])
def test_a_prior_teaches_as_its_mixed_model_does(noise: Any, intercept: str) -> None:
    data = case("groups", t=6, d=2, n=9, weighted=True)
    prior = HierarchicalPrior(covariance="full", noise=noise)
    model = quiet(lambda: MultiTaskRegressor(prior, intercept=intercept, scale_targets=True).fit(**data.arguments))
    plain = Written(data, Ridge(0.0), intercept, "sum")
    # Effects of all tasks with covariance S, their mean (and free intercepts) as fixed effects: Henderson's equations.
    t, S = data.t, model.relation_.S
    unit = model.target_scale_[plain.task]
    effects = plain.rows[:, : t * plain.q]
    mean = effects.reshape(-1, t, plain.q).sum(1)
    fixed = np.hstack([mean, plain.rows[:, t * plain.q :]])
    around = np.diag((model.noise_[plain.task] / plain.s) / unit**2)
    within = effects @ np.kron(np.eye(t), S) @ effects.T

    def hat(kept: np.ndarray) -> np.ndarray:
        at = np.flatnonzero(kept)
        V = np.linalg.inv((within + around)[np.ix_(at, at)])
        F = fixed[at]
        gls = np.linalg.lstsq(F.T @ V @ F, F.T @ V, rcond=1e-12)[0]
        out = np.zeros((len(kept), len(kept)))
        out[:, at] = fixed @ gls + within[:, at] @ V @ (np.eye(len(at)) - F @ gls)
        return out

    every = np.ones(len(plain.y), dtype=bool)
    H = hat(every)
    np.testing.assert_allclose(model.transfer_, shares(H, plain.task, plain.s), atol=1e-8)
    np.testing.assert_allclose(model.degrees_of_freedom_, np.bincount(plain.task, np.diagonal(H)), atol=1e-7)
    found = model.leave_task_out(**data.arguments)
    y = plain.y / unit

    def errors(kept: np.ndarray) -> np.ndarray:
        at = np.flatnonzero(kept)
        out = np.full(len(y), np.nan)
        for a in at:
            out[a] = ((y[a] - hat(kept & (np.arange(len(y)) != a))[a] @ y) * unit[a]) ** 2
        return out

    before, after = errors(every), errors(plain.task != 2)
    mine = plain.task == 0
    np.testing.assert_allclose(found[0, 2], np.average((after - before)[mine], weights=plain.s[mine]), rtol=1e-6)


def test_other_shapes_of_data_teach_alike() -> None:
    """Sparse X, targets of different units, weights of tasks and features that a task lacks."""
    data = case("groups", n=12)
    shared = MultiTaskRegressor(Pairwise(0.05)).fit(**data.arguments)
    effect = shared.leave_task_out(**data.arguments)
    thin = MultiTaskRegressor(Pairwise(0.05)).fit(**data.arguments | {"X": sparse.csr_array(data.X)})
    np.testing.assert_allclose(thin.transfer_, shared.transfer_, atol=1e-10)
    given = data.arguments | {"X": sparse.csr_array(data.X)}
    np.testing.assert_allclose(thin.leave_task_out(**given), effect, atol=1e-8)
    scaled = MultiTaskRegressor(Pairwise(0.05), scale_targets=True).fit(**data.arguments)
    unit = scaled.target_scale_
    plain = data.arguments | {"y": data.y / unit[data.tasks]}
    divided = MultiTaskRegressor(Pairwise(0.05)).fit(**plain)
    np.testing.assert_allclose(scaled.transfer_, divided.transfer_, atol=1e-10)
    np.testing.assert_allclose(
        scaled.leave_task_out(**data.arguments), divided.leave_task_out(**plain) * unit[:, None] ** 2, rtol=1e-8
    )
    np.testing.assert_allclose(scaled.standard_errors_, divided.standard_errors_ * unit[:, None], rtol=1e-8)
    np.testing.assert_allclose(scaled.noise_, divided.noise_ * unit**2, rtol=1e-8)
    weighed = MultiTaskRegressor(Pairwise(0.05), weighting="sum", task_weight=[1.0, 2.0, 3.0]).fit(**data.arguments)
    rows = data.arguments | {"sample_weight": np.array([1.0, 2.0, 3.0])[data.tasks]}
    by_rows = MultiTaskRegressor(Pairwise(0.05), weighting="sum", standardize=False).fit(**rows)
    raw = MultiTaskRegressor(Pairwise(0.05), weighting="sum", standardize=False, task_weight=[1.0, 2.0, 3.0])
    np.testing.assert_allclose(raw.fit(**data.arguments).degrees_of_freedom_, by_rows.degrees_of_freedom_, rtol=1e-9)
    assert not np.allclose(weighed.transfer_, shared.transfer_)


@pytest.mark.parametrize("intercept", ["free", "tied", "common"])
def test_features_that_a_task_lacks_and_prices_of_features(intercept: str) -> None:
    data = case("groups", n=12)
    X = data.X.copy()
    X[data.tasks == 1, 2] = np.nan
    relations = {"blocks": Pairwise(0.05), "unlabelled": Pairwise(0.05) + Manifold(data.X[::2], 0.1, n_neighbors=3)}
    for kind, relation in relations.items():
        given = {"X": X if kind == "blocks" else data.X, "tasks": data.tasks}
        settings = {"intercept": intercept, "missing_features": "block" if kind == "blocks" else "error"}

        def fit(y: np.ndarray, relation: Relation = relation, settings: Any = settings, given: Any = given) -> Any:
            return quiet(lambda: MultiTaskRegressor(relation, **settings).fit(y=y, **given))

        H = np.stack([fit(unit).predict(**given) for unit in np.eye(len(X))], axis=1)
        model = fit(data.y)
        np.testing.assert_allclose(model.transfer_, shares(H, data.tasks, np.ones(len(X))), atol=1e-8)
        model.leave_task_out(y=data.y, **given)
        left = (data.y - H @ data.y) / (1 - np.diagonal(H))
        np.testing.assert_allclose(model.leave_one_out_, np.bincount(data.tasks, left**2) / np.bincount(data.tasks))


@pytest.mark.parametrize("intercept", ["free", "tied", "common"])
@pytest.mark.parametrize("relation", [Pairwise(0.1) + Ridge(0.2), Ridge(0.5), Chain(strength=0.2) + Ridge(0.3)])
def test_few_rows_of_many_features_are_seen_in_the_space_of_the_rows(
    relation: Relation, intercept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as with every feature written out, sparse or not: blocks of at most 24 instead of 70."""
    rng = np.random.default_rng(0)
    X, task = rng.normal(size=(24, 70)), np.repeat(np.arange(3), 8)
    y, new = X[:, :3].sum(1) + rng.normal(size=24), rng.normal(size=(3, 70))

    def said(X: Any, new: Any) -> tuple[Any, ...]:
        model = MultiTaskRegressor(relation, intercept=intercept, weighting="sum").fit(X, y, task)
        errors = model.standard_errors_, model.standard_errors("sandwich")
        effect, ends = model.leave_task_out(X, y, task), model.predict_interval(new, [0, 1, 2])
        return (model.transfer_, effect, *errors, *ends), model._influence["setting"].basis is not None

    wide, reduced = said(X, new)
    thin, reduced_too = said(sparse.csr_array(X), sparse.csr_array(new))
    assert reduced
    assert reduced_too
    monkeypatch.setattr("relatask.linear.influence.setting.row_space", lambda forms: None)
    whole, reduced = said(X, new)
    assert not reduced
    for a, b, c in zip(wide, thin, whole, strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(b, c, rtol=1e-7, atol=1e-9)
