"""Data at the edge: constant columns, few rows, one task, one column, columns twice, columns of any size."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from linear_oracle import (
    INTERCEPTS,
    WEIGHTINGS,
    WRITTEN_OUT,
    Case,
    case,
    center_and_scale,
    convex_optimum,
    objective,
    quadratic_optimum,
)
from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.linear.sums import passes
from relatask.notices import RelataskWarning
from relatask.relations import (
    Chain,
    FeatureQuadratic,
    Graph,
    HierarchicalClusters,
    Pairwise,
    Proximal,
    Quadratic,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    Split,
    TaskPrecision,
    TraceNorm,
    parts,
    registry,
)

CONVEX = (Quadratic, Proximal, Split)
# Whole models (a prior, a network) are asked elsewhere, and what knows its columns (unlabelled rows).
ALL = [kind.example(4) for kind in registry().values() if not (kind.alone or issubclass(kind, FeatureQuadratic))] + [
    Ridge(0.1) + Pairwise(0.2),
    Sparse(0.2) + Chain(0.3),
]
OPEN = [Pairwise(0.3), Chain(0.3), Graph([(0, 1), (2, 3)], 0.3), Ridge(0.0), TaskPrecision(np.ones((4, 4)), 0.2)]


def name(value: object) -> str:
    return "+".join(type(p).__name__ for p in parts(value)) if isinstance(value, Relation) else str(value)


def check_optimal(data: Case, relation: Relation, **settings: object) -> MultiTaskRegressor:
    """Fit, and compare with the true optimum."""
    road = {"weighting": "sample", "intercepts": "free", "standardize": True, **settings}
    model = MultiTaskRegressor(
        relation, weighting=road["weighting"], intercept=road["intercepts"], standardize=road["standardize"]
    ).fit(**data.arguments)
    reached = objective(data, model.relation_, model.coef_, model.intercept_, **road)
    terms = [term for part in parts(relation) for term in part.terms()]
    if all(isinstance(part, (*WRITTEN_OUT, Quadratic)) for part in parts(relation)):
        norm = any(isinstance(term, Proximal) for term in terms)
        optimum = (convex_optimum if norm else quadratic_optimum)(data, relation, **road)
        assert reached == pytest.approx(optimum, rel=2e-6, abs=1e-9)
        assert model.objective_ == pytest.approx(reached, rel=1e-6, abs=1e-9)
    else:  # compared with cvxpy elsewhere: here no point nearby is better
        assert model.residual_ <= model.tol
        rng = np.random.default_rng(0)
        for size in (1e-4, 1e-2, 1.0):
            moved = model.coef_ + size * rng.normal(size=model.coef_.shape) * np.abs(model.coef_).max(initial=1e-3)
            level = model.intercept_
            if road["intercepts"] == "common":  # one level where the features are at their means
                level = level + (model.coef_ - moved) @ center_and_scale(data, road["standardize"])[0]
            near = objective(data, model.relation_, moved, level, **road)
            slack = 2e-6 if all(isinstance(term, CONVEX) for term in terms) else 1e-4
            assert near >= reached - slack * abs(reached) - 1e-9
    assert np.isfinite(model.coef_).all()
    return model


@pytest.mark.parametrize("relation", ALL, ids=name)
def test_tasks_with_fewer_rows_than_half_the_columns_keep_their_rows(
    relation: Relation, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = case("groups", 1, t=4, d=70, n=12)
    thin = MultiTaskRegressor(relation, tol=1e-8).fit(**data.arguments)
    monkeypatch.setattr(passes, "THIN", 1_000)
    full = MultiTaskRegressor(relation, tol=1e-8).fit(**data.arguments)
    assert thin.objective_ == pytest.approx(full.objective_, rel=1e-6)
    if all(isinstance(part, Quadratic) for part in parts(relation)):
        np.testing.assert_allclose(thin.coef_, full.coef_, atol=1e-6)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("relation", [*OPEN[:3], Ridge(0.4), TraceNorm(0.3), Sparse(0.1) + Pairwise(0.2)], ids=name)
@pytest.mark.parametrize("layout", ["groups", "columns", "holes"])
def test_thin_tasks_reach_the_optimum(
    layout: str, relation: Relation, intercept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "THIN", 4)
    data = case(layout, 2, t=4, d=11, n=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelataskWarning)
        for weighting in WEIGHTINGS:
            check_optimal(data, relation, intercepts=intercept, weighting=weighting)


@pytest.mark.parametrize("relation", OPEN, ids=name)
def test_columns_constant_within_every_task_are_named_once_and_get_small_coefficients(
    relation: Relation,
) -> None:
    data = case("groups", 3, t=4, d=3, n=8)
    X = np.column_stack([data.X, np.array([0.1, 0.7, -3.3, 5.9])[data.tasks], np.full(len(data.X), 1 / 3)])
    data = replace(data, X=X)
    with pytest.warns(RelataskWarning, match="RT017: columns 3, 4 are constant within every task") as caught:
        model = check_optimal(data, relation)
    assert sum("RT017" in str(w.message) for w in caught) == 1  # check_optimal fits once
    assert len(str(caught[0].message)) < 250
    np.testing.assert_allclose(model.coef_[:, 3:], 0, atol=1e-9)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "school", "one"])
    with pytest.warns(RelataskWarning, match="RT017: columns 'school', 'one' are constant"):
        model.fit(frame, data.y, data.tasks)


@pytest.mark.parametrize(
    "relation", [Ridge(0.1), TaskPrecision(np.eye(4)), TraceNorm(0.1), Sparse(0.1) + Pairwise(1.0)], ids=name
)
def test_where_the_relation_pins_constant_columns_nothing_is_said(relation: Relation) -> None:
    data = case("groups", 3, t=4, d=3, n=8)
    data = replace(data, X=np.column_stack([data.X, np.arange(4.0)[data.tasks], np.full(len(data.X), 1 / 3)]))
    model = check_optimal(data, relation)
    np.testing.assert_allclose(model.coef_[:, 3:], 0, atol=1e-6)


@pytest.mark.parametrize("intercept", ["tied", "common", "none"])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("relation", [Pairwise(0.3), Chain(0.3), Ridge(0.2), TraceNorm(0.2)], ids=name)
def test_constant_columns_under_other_intercepts(relation: Relation, intercept: str, standardize: bool) -> None:
    data = case("groups", 3, t=4, d=3, n=8)
    between = replace(data, X=np.column_stack([data.X, np.array([0.1, 0.7, -3.3, 5.9])[data.tasks]]))
    settings = {"intercepts": intercept, "standardize": standardize}
    # A column that differs between tasks is seen wherever tasks' intercepts are not free.
    check_optimal(between, relation, **settings)
    everywhere = replace(data, X=np.column_stack([data.X, np.full(len(data.X), 0.3)]))
    if intercept != "none" and isinstance(relation, Pairwise | Chain):
        with pytest.warns(RelataskWarning, match="RT017: column 3 is constant within every task"):
            check_optimal(everywhere, relation, **settings)
    else:
        check_optimal(everywhere, relation, **settings)
    with pytest.warns(RelataskWarning, match="RT017: column 3 is"):
        PooledRegressor(0.0).fit(**everywhere.arguments)


@pytest.mark.parametrize("relation", ALL, ids=name)
@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_one_row_per_task(relation: Relation, intercept: str) -> None:
    data = case("groups", 4, t=4, d=2, n=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_optimal(data, relation, intercepts=intercept)
    told = {str(w.message) for w in caught}
    assert "RT005: tasks with one label only: 0, 1, 2, 3." in told
    # With an intercept each, one row a task says nothing of the slopes.
    unsaid = intercept == "free" and isinstance(relation, Pairwise | Chain | Graph | HierarchicalClusters)
    assert any("RT017" in message for message in told) == unsaid


@pytest.mark.parametrize("relation", ALL, ids=name)
def test_a_task_with_a_constant_target_warns_and_fits(relation: Relation) -> None:
    data = case("groups", 5, t=4, d=3, n=8)
    data = replace(data, y=np.where(data.tasks == 2, 0.1, data.y))
    with pytest.warns(RelataskWarning, match="RT005: tasks with a constant target: 2"):
        check_optimal(data, relation)


def test_one_row_in_all_and_one_column() -> None:
    for relation in (Ridge(1.0), Pairwise(1.0), TraceNorm(0.1), SharedSparsity(0.1), Sparse(0.1)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RelataskWarning)  # one row says nothing about a column
            model = MultiTaskRegressor(relation).fit([[2.0]], [3.0])
        assert model.coef_.tolist() == [[0.0]]
        assert model.intercept_.tolist() == [3.0]
        assert model.predict([[7.0]]).tolist() == [3.0]
        assert model.residual_ == 0


SINGLE = [Ridge(0.3), Pairwise(0.3), Chain(0.3), Graph(np.ones((1, 1))), TraceNorm(0.2), Sparse(0.2)]


@pytest.mark.parametrize("relation", SINGLE, ids=name)
@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_one_task_and_one_column(relation: Relation, intercept: str) -> None:
    check_optimal(case("groups", 6, t=1, d=1, n=9), relation, intercepts=intercept)
    check_optimal(case("groups", 6, t=1, d=3, n=9), relation, intercepts=intercept)
    if not isinstance(relation, Graph):
        check_optimal(case("columns", 6, t=3, d=1, n=9), relation, intercepts=intercept)


@pytest.mark.parametrize("relation", ALL, ids=name)
def test_a_column_given_twice(relation: Relation) -> None:
    data = case("groups", 7, t=4, d=3, n=9)
    twice = replace(data, X=data.X[:, [0, 1, 2, 2]])
    model = check_optimal(twice, relation)
    if all(isinstance(part, Quadratic) for part in parts(relation)):
        np.testing.assert_allclose(model.coef_[:, 2], model.coef_[:, 3], atol=1e-8)  # the minimum-norm solution


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("relation", [Ridge(0.3), Pairwise(0.3), Chain(0.3), TraceNorm(0.3), Sparse(0.1)], ids=name)
def test_columns_of_any_size(relation: Relation, standardize: bool, intercept: str) -> None:
    data = case("groups", 8, t=4, d=4, n=9)
    if standardize:
        data = replace(data, X=data.X * np.array([1e-8, 1e8, 1.0, 1e-3]))
    else:
        data = replace(data, X=data.X * np.array([1e-3, 1e3, 1.0, 0.1]))
    check_optimal(data, relation, intercepts=intercept, standardize=standardize)


def test_labels_that_are_all_zero_give_zero() -> None:
    for relation in ALL:
        if not all(isinstance(term, CONVEX) for part in parts(relation) for term in part.terms()):
            continue  # a Gram target, say, is not met by zeros
        data = case("groups", 9, t=4, d=3, n=5)
        with pytest.warns(RelataskWarning, match="RT005"):
            model = MultiTaskRegressor(relation).fit(data.X, 0 * data.y, data.tasks)
        assert not model.coef_.any()
        assert not model.intercept_.any()
        assert model.objective_ == model.residual_ == 0


def test_tasks_of_very_different_sizes() -> None:
    rng = np.random.default_rng(10)
    sizes = [1, 2, 3, 500]
    tasks = np.repeat(np.arange(4), sizes)
    X = rng.normal(size=(len(tasks), 5)) + tasks[:, None]
    data = Case(X, X.sum(1) + tasks + rng.normal(size=len(tasks)), tasks, None, 4)
    for weighting in WEIGHTINGS:
        for relation in ALL:
            with pytest.warns(RelataskWarning, match="RT005"):
                check_optimal(data, relation, weighting=weighting)
