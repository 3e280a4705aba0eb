"""What a person passes to compare: labels and tasks of every kind, task columns, and misuse that is told."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression, Ridge

from relatask.linear import MultiTaskRegressor
from relatask.notices import InputError
from relatask.relations import Pairwise
from relatask.study import compare

RIDGES = {"weak": Ridge(alpha=0.1), "strong": Ridge(alpha=500.0)}


def grouped(n=20, labels=("a", "b", "c"), d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n * len(labels), d))
    y = X.sum(1) + rng.normal(size=len(X))
    return X, y, [label for label in labels for _ in range(n)]


def test_tasks_that_the_estimator_keeps_apart_are_kept_apart():
    X, y, tasks = grouped(labels=[1, "1", 2.5])
    study = compare({"pairwise": MultiTaskRegressor(Pairwise(0.1))}, X, y, tasks, splits=1)
    assert study.tasks == (1, 2.5, "1")
    assert study.names == ("1", "2.5", "'1'")
    assert set(study.scores.tasks) == set(study.names)
    assert {row.task for row in study.differences("pairwise").tasks} == set(study.names)
    assert set(study.predictions("pairwise")["task"].to_pylist()) == set(study.names)
    direct = MultiTaskRegressor(Pairwise(0.1)).fit(X, y, tasks)
    assert direct.tasks_.tolist() == list(study.tasks)


def test_tuples_are_task_labels():
    X, y, tasks = grouped(labels=[("a", 1), ("a", 2), ("b", 1)])
    study = compare({"pairwise": MultiTaskRegressor(Pairwise(0.1))}, X, y, tasks, splits=2)
    assert study.tasks == (("a", 1), ("a", 2), ("b", 1))
    assert study.scores.tasks == ["('a', 1)", "('a', 2)", "('b', 1)"]


def test_nullable_and_polars_frames_of_labels():
    X, y, _ = grouped()
    Y = np.column_stack([y, y**2])
    Y[3, 1] = np.nan
    plain = compare(RIDGES_BY_HOLE, X, pd.DataFrame(Y, columns=["a", "b"]), splits=2, baselines=())
    nullable = pd.DataFrame({"a": pd.array(Y[:, 0], "Float64"), "b": pd.array(Y[:, 1], "Float64")})
    nullable.loc[3, "b"] = pd.NA
    for frame in (nullable, pl.DataFrame({"a": Y[:, 0], "b": [None if v != v else v for v in Y[:, 1].tolist()]})):
        found = compare(RIDGES_BY_HOLE, X, frame, splits=2, baselines=())
        assert found.tasks == ("a", "b")
        assert found.scores.equals(plain.scores)
    series = pd.Series(pd.array(y, "Float64"))
    assert compare(RIDGES, X, series, splits=1, baselines=()).scores.equals(
        compare(RIDGES, X, y, splits=1, baselines=()).scores
    )


RIDGES_BY_HOLE = {"pairwise": MultiTaskRegressor(Pairwise(0.1))}


def test_labels_that_do_not_vary_are_told_before_any_fit():
    class Never(LinearRegression):
        def fit(self, X, y):
            raise AssertionError

    X, _, tasks = grouped()
    levels = np.repeat([1.0, 2.0, 3.0], 20)
    for y in (np.ones(60), levels):
        with pytest.raises(InputError, match="y does not vary: in each task all labels are equal"):
            compare({"never": Never()}, X, y, tasks, baselines=())
    with pytest.raises(InputError, match="y does not vary: all labels are equal"):
        compare({"never": Never()}, X, np.ones(60), baselines=())
    with pytest.raises(InputError, match="y does not vary: in each task"):
        compare({"never": Never()}, X, np.ones((60, 2)), baselines=())
