"""The linear models among scikit-learn's tools: its estimator checks, pipelines, searches, routing, frames."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from relatask.linear import (
    MultiTaskClassifier,
    MultiTaskClassifierCV,
    MultiTaskRegressor,
    MultiTaskRegressorCV,
    PooledRegressor,
)
from relatask.relations import Chain, Pairwise, Ridge, SharedSparsity, Sparse, TraceNorm

MODELS = [
    MultiTaskRegressor(),
    MultiTaskRegressor(TraceNorm(0.1)),
    MultiTaskRegressor(SharedSparsity(0.1) + Pairwise(0.1), weighting="task"),
    MultiTaskRegressor(Sparse(0.1), solver="fista", tol=1e-8),
    MultiTaskRegressor(Ridge(0.1), intercept="tied"),
    MultiTaskRegressor(Chain(0.1) + Ridge(0.1), intercept="common", weighting="sum"),
    MultiTaskRegressor(Ridge(0.1), intercept="none", weighting="task"),
    MultiTaskRegressor(Ridge(0.1), standardize=False, warm_start=True),
    MultiTaskRegressor(Ridge("auto")),
    MultiTaskRegressor(TraceNorm("auto"), intercept="tied"),
    PooledRegressor(),
    PooledRegressor("auto", intercept="free"),
    PooledRegressor(0.5, intercept="none", standardize=False),
    MultiTaskClassifier(Ridge(0.1), tol=1e-8),
    MultiTaskClassifier(TraceNorm(0.05), tol=1e-11),
    MultiTaskClassifier(Pairwise(0.1) + Ridge(0.1), tol=1e-8),
    MultiTaskRegressorCV(),
    MultiTaskRegressorCV(TraceNorm(), strengths=[0.01, 0.1, 1.0], cv=3, rule="one_se"),
    MultiTaskClassifierCV(Ridge(), strengths=[0.1, 1.0], cv=3, tol=1e-8),
]


# With few rows, or columns that do not vary, relatask says so; these checks ask for other things.
@pytest.mark.filterwarnings("ignore:RT005", "ignore:RT017")
@pytest.mark.filterwarnings("ignore:Can't check dok sparse matrix for nan values:UserWarning")
@parametrize_with_checks(MODELS)
def test_scikit_learns_own_checks(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def rows(n: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    tasks = np.array(["north", "south", "west"])[np.arange(n) % 3]
    X = rng.normal(size=(n, 4)) * [1.0, 10.0, 0.1, 1.0]
    y = X @ [1.0, 0.1, 10.0, 0.0] + 5.0 * (tasks == "west") + rng.normal(size=n)
    return X, y, tasks


def test_cross_validation_with_routed_tasks(routing: None) -> None:
    X, y, tasks = rows()
    model = MultiTaskRegressor(Pairwise(0.1))
    scores = cross_val_score(model, X, y, params={"tasks": tasks}, cv=KFold(4))
    by_hand = []
    for train, test in KFold(4).split(X):
        own = clone(model).fit(X[train], y[train], tasks[train])
        by_hand.append(own.score(X[test], y[test], tasks[test]))
    np.testing.assert_allclose(scores, by_hand)


def test_pipelines_pass_tasks_on(routing: None) -> None:
    X, y, tasks = rows()
    for model in (MultiTaskRegressor(Pairwise(0.1)), PooledRegressor(0.1, intercept="free")):
        pipeline = make_pipeline(StandardScaler(), model).fit(X, y, tasks=tasks)
        alone = clone(model).fit(X, y, tasks)
        np.testing.assert_allclose(pipeline.predict(X, tasks=tasks), alone.predict(X, tasks))
        assert pipeline.score(X, y, tasks=tasks) == pytest.approx(alone.score(X, y, tasks))


def test_grid_search_reaches_into_the_relation(routing: None) -> None:
    X, y, tasks = rows()
    grid = {"relation__strength": [1e-3, 0.1, 10.0]}
    search = GridSearchCV(MultiTaskRegressor(Pairwise(1.0)), grid, cv=3).fit(X, y, tasks=tasks)
    assert search.best_estimator_.strengths_ == {"strength": search.best_params_["relation__strength"]}
    assert len(set(search.cv_results_["mean_test_score"])) == 3
    base = MultiTaskRegressor(Ridge(0.1) + Pairwise(1.0))
    grid = {
        "relation__Pairwise__strength": [1e-3, 10.0],
        "relation__Ridge__strength": [0.0, 1.0],
        "intercept": ["tied"],
    }
    search = GridSearchCV(base, grid, cv=3).fit(X, y, tasks=tasks)
    assert search.best_estimator_.strengths_.keys() == {"Ridge__strength", "Pairwise__strength"}
    assert base.get_params()["relation__Pairwise__strength"] == 1.0
    pipeline = make_pipeline(StandardScaler(), base)
    nested = {"multitaskregressor__relation__Pairwise__strength": [1e-3, 10.0]}
    search = GridSearchCV(pipeline, nested, cv=3, n_jobs=2).fit(X, y, tasks=tasks)
    # A search routes nothing to predict; the model that it found takes tasks.
    assert search.best_estimator_.predict(X, tasks=tasks).shape == y.shape


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_task_column_needs_no_routing(library: str) -> None:
    frames = pytest.importorskip(library)
    X, y, tasks = rows()
    plain = frames.DataFrame({name: X[:, j] for j, name in enumerate("abcd")})
    columns = {**{name: X[:, j] for j, name in enumerate("ab")}, "region": tasks, "c": X[:, 2], "d": X[:, 3]}
    frame = frames.DataFrame(columns)
    model = MultiTaskRegressor(Pairwise(0.1), task_column="region").fit(frame, y)
    reference = MultiTaskRegressor(Pairwise(0.1)).fit(plain, y, tasks)
    assert list(model.feature_names_in_) == ["a", "b", "c", "d"]
    assert model.n_features_in_ == 4
    assert model.tasks_.tolist() == ["north", "south", "west"]
    np.testing.assert_array_equal(model.coef_, reference.coef_)
    np.testing.assert_array_equal(model.predict(frame), reference.predict(plain, tasks))
    assert model.score(frame, y) == reference.score(plain, y, tasks)
    assert len(cross_val_score(model, frame, y, cv=3)) == 3
    assert cross_val_predict(model, frame, y, cv=3).shape == y.shape
    label = frames.Series(y) if library == "pandas" else frames.Series("y", y)
    np.testing.assert_array_equal(model.fit(frame, label).coef_, reference.coef_)
    group = frames.Series(tasks) if library == "pandas" else frames.Series("g", tasks)
    np.testing.assert_array_equal(reference.fit(plain, label, group).coef_, model.coef_)
    search = GridSearchCV(model, {"relation__strength": [0.01, 1.0]}, cv=3).fit(frame, y)
    assert search.predict(frame).shape == y.shape


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tasks_are_the_columns_of_a_frame_of_labels(library: str) -> None:
    frames = pytest.importorskip(library)
    X, y, _ = rows()
    Y = frames.DataFrame({"weight": y, "height": -y, "age": 2 * y})
    model = MultiTaskRegressor(Pairwise(0.1)).fit(X, Y)
    assert model.tasks_.tolist() == ["weight", "height", "age"]
    assert model.predict(X).shape == (len(X), 3)
    # Each row for a task of its own: by name.
    np.testing.assert_allclose(
        model.predict(X[:2], ["age", "weight"]), [model.predict(X)[0, 2], model.predict(X)[1, 0]]
    )
    assert model.score(X, Y) == pytest.approx(model.score(X, Y[["age", "weight", "height"]]))
    one = MultiTaskRegressor(Pairwise(0.1)).fit(X, Y[["age"]])
    assert one.tasks_.tolist() == ["age"]
    assert one.predict(X).shape == (len(X), 1)


def test_missing_labels_in_frames() -> None:
    pandas = pytest.importorskip("pandas")
    X, y, tasks = rows()
    y[5] = np.nan
    nullable = pandas.Series(y).round().astype("Int64")
    model = MultiTaskRegressor(Pairwise(0.1)).fit(X, nullable, pandas.Series(tasks, dtype="category"))
    assert model.n_labels_.tolist() == [40, 40, 39]
    reference = MultiTaskRegressor(Pairwise(0.1)).fit(X, np.round(y), tasks)
    np.testing.assert_array_equal(model.coef_, reference.coef_)


def test_shapes_of_one_task_and_of_columns() -> None:
    X, y, _ = rows()
    model = MultiTaskRegressor(Ridge(0.1)).fit(X, y)
    assert model.coef_.shape == (1, 4)
    assert model.intercept_.shape == (1,)
    assert model.predict(X).shape == (len(X),)
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed when a 1d array was expected"):
        assert model.fit(X, y[:, None]).predict(X).shape == (len(X),)
    assert model.fit(X, np.column_stack([y, y])).predict(X).shape == (len(X), 2)


@pytest.mark.parametrize(
    "labels", [["a", "b", "c"], [7, 5, 6], [1, "1", 2.5], [0.5, -1.0, 2.0], [("a", 1), ("a", 2), ("b",)]]
)
def test_labels_of_any_type(labels: list[Any]) -> None:
    X, y, tasks = rows()
    codes = np.unique(tasks, return_inverse=True)[1]
    given = [labels[k] for k in codes]
    model = MultiTaskRegressor(Pairwise(0.1)).fit(X, y, given)
    assert sorted(map(repr, model.tasks_.tolist())) == sorted(map(repr, labels))
    for k, label in enumerate(labels):
        expected = MultiTaskRegressor(Pairwise(0.1)).fit(X, y, codes).coef_[k]
        np.testing.assert_allclose(model.coef_[model.tasks_.tolist().index(label)], expected)
        assert model.predict(X[:1], [label]).shape == (1,)


def test_numbers_as_objects_integers_and_float32() -> None:
    X, y, tasks = rows()
    expected = MultiTaskRegressor(Pairwise(0.1)).fit(X, y, tasks).coef_
    as_objects = MultiTaskRegressor(Pairwise(0.1)).fit(X.astype(object), y.astype(object), tasks.astype(object))
    np.testing.assert_array_equal(as_objects.coef_, expected)
    as_lists = MultiTaskRegressor(Pairwise(0.1)).fit(X.tolist(), y.tolist(), tasks.tolist())
    np.testing.assert_array_equal(as_lists.coef_, expected)
    holes = y.astype(object)
    holes[3] = None
    assert MultiTaskRegressor(Pairwise(0.1)).fit(X, holes, tasks).n_labels_.sum() == len(y) - 1
    narrow = MultiTaskRegressor(Pairwise(0.1)).fit(X.astype(np.float32), y.astype(np.float32), tasks)
    np.testing.assert_allclose(narrow.coef_, expected, rtol=1e-3, atol=1e-3)
    whole = np.round(10 * X).astype(np.int32)
    np.testing.assert_array_equal(
        MultiTaskRegressor().fit(whole, y, tasks).coef_, MultiTaskRegressor().fit(whole.astype(float), y, tasks).coef_
    )


def test_output_containers_make_no_difference() -> None:
    pandas = pytest.importorskip("pandas")
    X, y, tasks = rows()
    frame = pandas.DataFrame(X, columns=list("abcd"))
    with sklearn.config_context(transform_output="pandas", enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), MultiTaskRegressor(Pairwise(0.1))).fit(frame, y, tasks=tasks)
        assert isinstance(pipeline.predict(frame, tasks=tasks), np.ndarray)
        assert list(pipeline[-1].feature_names_in_) == list("abcd")


def test_names_of_an_earlier_fit_are_forgotten() -> None:
    pandas = pytest.importorskip("pandas")
    X, y, tasks = rows()
    model = MultiTaskRegressor(Pairwise(0.1)).fit(pandas.DataFrame(X, columns=list("abcd")), y, tasks)
    model.fit(X, y, tasks)
    assert not hasattr(model, "feature_names_in_")
    model.predict(X, tasks)  # no warning that X has no names


def test_score_is_explained_variance_within_tasks() -> None:
    X, y, tasks = rows()
    weights = np.random.default_rng(1).integers(1, 4, len(y)).astype(float)
    model = MultiTaskRegressor(Pairwise(0.1)).fit(X, y, tasks)
    predicted = model.predict(X, tasks)
    error = spread = 0.0
    for label in ("north", "south", "west"):
        own = tasks == label
        mean = np.average(y[own], weights=weights[own])
        error += float(weights[own] @ (y[own] - predicted[own]) ** 2)
        spread += float(weights[own] @ (y[own] - mean) ** 2)
    assert model.score(X, y, tasks, sample_weight=weights) == pytest.approx(1 - error / spread)
    holes = y.copy()
    holes[:60] = np.nan
    assert model.score(X, holes, tasks) == pytest.approx(model.score(X[60:], y[60:], tasks[60:]))
    Y = np.column_stack([y, 2 * y, np.where(np.arange(len(y)) % 2, np.nan, y)])
    columns = MultiTaskRegressor(Pairwise(0.1)).fit(X, Y)
    difference = Y - columns.predict(X)
    expected = 1 - np.nansum(difference**2) / np.nansum((Y - np.nanmean(Y, 0)) ** 2)
    assert columns.score(X, Y) == pytest.approx(expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(model.score(X[:1], y[:1], tasks[:1]))  # one label has no spread
