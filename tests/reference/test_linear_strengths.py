"""Strengths chosen by folds: the errors on the path are those of plain cross-validation with the model itself."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from linear_oracle import LAYOUTS, Case, case
from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.linear.input import reading
from relatask.linear.input.folds import within_task_folds
from relatask.notices import RelataskWarning
from relatask.relations import (
    Chain,
    Pairwise,
    Relation,
    Ridge,
    SharedSparsity,
    TraceNorm,
    parameters,
    with_parameters,
)

RELATIONS = [Pairwise("auto"), Ridge(0.1) + Chain("auto"), TraceNorm("auto"), SharedSparsity("auto")]


def folds(data: Case) -> list[np.ndarray]:
    design = reading.design(data.X, data.y, data.tasks, data.weights)[1]
    return within_task_folds(design, 5, seed=0)


@pytest.mark.filterwarnings("ignore:RT005")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("intercept", ["free", "tied", "common"])
@pytest.mark.parametrize(
    "relation", [Pairwise("auto"), Ridge(0.1) + Chain("auto"), TraceNorm("auto"), SharedSparsity("auto")]
)
def test_errors_of_the_path_by_hand(relation: Relation, intercept: str, layout: str) -> None:
    data = case(layout, 3, t=3, d=3, n=15)
    model = MultiTaskRegressor(relation, intercept=intercept, tol=1e-8).fit(**data.arguments)
    (name,) = model.path_.names
    assert len(model.path_.strengths) == 25
    assert (np.diff(model.path_.strengths[:, 0]) > 0).all()
    for m in (0, 7, 12, 18, 24):
        given = with_parameters(relation, **{name: float(model.path_.strengths[m, 0])})
        total, count = 0.0, 0
        for held in folds(data):
            train, test = ~held, held
            tasks = None if data.tasks is None else data.tasks[train]
            own = MultiTaskRegressor(given, intercept=intercept, tol=1e-8).fit(data.X[train], data.y[train], tasks)
            predicted = own.predict(data.X[test], None if data.tasks is None else data.tasks[test])
            difference = (data.y[test] - predicted).ravel()
            total += float(np.nansum(difference**2))
            count += int((~np.isnan(difference)).sum())
        # Norms are solved less tightly along a path.
        rough = isinstance(relation, TraceNorm | SharedSparsity)
        assert model.path_.errors[m] == pytest.approx(total / count, rel=1e-2 if rough else 1e-6)
    assert model.path_.errors[model.path_.best] == model.path_.errors.min()
    assert model.strengths_[name] == model.path_.strengths[model.path_.best, 0]
    assert parameters(model.relation_)[name] == model.strengths_[name]
    # The fit itself is that of the chosen strength.
    again = MultiTaskRegressor(model.relation_, intercept=intercept, tol=1e-8).fit(**data.arguments)
    np.testing.assert_array_equal(again.coef_, model.coef_)


def test_norms_are_tried_from_their_null_strength_down() -> None:
    data = case("groups", 4, t=4, d=5, n=20)
    model = MultiTaskRegressor(TraceNorm("auto")).fit(**data.arguments)
    null = model.path_.strengths[-1, 0]
    assert not MultiTaskRegressor(TraceNorm(null * 1.0001)).fit(**data.arguments).coef_.any()
    assert MultiTaskRegressor(TraceNorm(null * 0.99)).fit(**data.arguments).coef_.any()


def test_two_strengths_are_chosen_together() -> None:
    data = case("groups", 5, t=4, d=3, n=20)
    model = MultiTaskRegressor(Ridge("auto") + Pairwise("auto")).fit(**data.arguments)
    assert model.path_.names == ("Ridge__strength", "Pairwise__strength")
    assert model.path_.strengths.shape == (81, 2)
    assert model.strengths_ == dict(zip(model.path_.names, model.path_.strengths[model.path_.best], strict=True))


def test_related_tasks_are_pulled_together_and_unrelated_ones_let_go() -> None:
    rng = np.random.default_rng(6)
    tasks = np.repeat(np.arange(12), 12)
    X = rng.normal(size=(len(tasks), 6))
    noise = rng.normal(size=len(tasks))
    alike = X @ np.ones(6) + 2 * noise
    apart = np.einsum("nd,nd->n", X, (5 * rng.normal(size=(12, 6)))[tasks]) + 0.1 * noise
    together = MultiTaskRegressor(Pairwise("auto")).fit(X, alike, tasks)
    alone = MultiTaskRegressor(Pairwise("auto")).fit(X, apart, tasks)
    assert together.strengths_["strength"] > 100 * alone.strengths_["strength"]
    assert np.ptp(together.coef_, axis=0).max() < 0.5


@pytest.mark.parametrize("model", [MultiTaskRegressor(Pairwise("auto")), PooledRegressor()])
def test_one_row_a_task_leaves_nothing_to_hold_out(model: MultiTaskRegressor) -> None:
    data = case("groups", 7, t=6, d=2, n=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelataskWarning)
        model.fit(**data.arguments)
    assert np.isnan(model.path_.errors).all()
    assert model.path_.best == len(model.path_.errors) - 1
    assert np.isfinite(model.coef_).all()


@pytest.mark.filterwarnings("ignore:RT005. tasks with a constant target")
def test_a_task_whose_labels_fall_into_one_fold_is_left_out_and_named() -> None:
    rng = np.random.default_rng(8)
    X, y, tasks = rng.normal(size=(30, 2)), rng.normal(size=30), np.repeat(["a", "b"], 15)
    # Equal rows share a fold.
    X, y, tasks = np.vstack([X, X[:1], X[:1]]), np.append(y, [1.0, 1.0]), np.append(tasks, ["c", "c"])
    with pytest.warns(RelataskWarning, match="RT005: tasks 'c' have all their labels in one fold, and were left out"):
        model = MultiTaskRegressor(Pairwise("auto")).fit(X, y, tasks)
    assert np.isfinite(model.path_.errors).all()
    # Columns share the folds of their rows.
    Y = rng.normal(size=(30, 3))
    first = within_task_folds(reading.design(X[:30], Y, None, None)[1], 5, seed=0)[0]
    assert 5 <= first.sum() <= 7
