"""What a person passes to compare: labels and tasks of every kind, task columns, and misuse that is told."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from relatask.linear import MultiTaskRegressor
from relatask.notices import InputError
from relatask.relations import Pairwise
from relatask.study import compare, splits

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


def test_dates_are_task_labels_by_their_text():
    X, y, _ = grouped()
    days = np.repeat(np.array(["2024-01-01", "2024-01-02", "2024-01-03"], dtype="datetime64[ns]"), 20)
    study = compare({"pairwise": MultiTaskRegressor(Pairwise(0.1))}, X, y, pd.Series(days), splits=1, baselines=())
    assert study.scores.tasks[0].startswith("2024-01-01")


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


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"models": [Ridge()]}, r'models is a list; give a name to each model: compare\({"mine": model}'),
        ({"models": Ridge()}, "models is Ridge; give a name"),
        ({"models": {"mine": Ridge}}, r"'mine' is the class Ridge; give an instance of it: Ridge\(\)"),
        ({"models": {"mine": 3}}, r"'mine' \(int\) has no fit and no predict"),
        ({"models": {1: Ridge(), "1": Ridge()}}, "not all different as text"),
        ({"baselines": {"single_mine": Ridge}}, "'single_mine' is the class Ridge"),
        ({"baselines": None}, "baselines=None is not usable"),
        ({"baselines": Ridge()}, "is not usable; expected names among single"),
        ({"metrics": "rmse"}, "metrics='rmse' must be a list"),
        ({"splits": ShuffleSplit(3)}, r"splitter of scikit-learn.*splits.kfold\(5\)"),
        ({"n_jobs": 0}, "n_jobs=0 must be a number of processes >= 1, or -1"),
        ({"n_jobs": 1.5}, "n_jobs=1.5"),
        ({"seeds": True}, "seeds=True"),
        ({"splits": splits.random(test=0.01)}, "test=0.01 is too small a share: of the largest task's 20 rows"),
        ({"splits": [([0, 1], [])]}, "split given-0: there are no rows with a label to test on"),
        ({"X": 5}, "X is int; expected an array"),
        ({"encode": StandardScaler}, "must be an object with fit and transform"),
        ({"splits": splits.kfold(100)}, "no rows with a label to test on.*a smaller k"),
    ],
)
def test_misuse_is_told(change, match):
    X, y, tasks = grouped()
    with pytest.raises(InputError, match=match):
        compare(**({"models": RIDGES, "X": X, "y": y, "tasks": tasks, "splits": 1, "baselines": ()} | change))


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_tasks_are_taken_from_the_column_that_models_name(kind):
    X, y, tasks = grouped()
    frame = kind({"a": X[:, 0], "school": tasks, "b": X[:, 1], "c": X[:, 2]})
    model = MultiTaskRegressor(Pairwise("auto"), task_column="school")
    models = {"pairwise": model, "ridge": Ridge(), "pipeline": make_pipeline(StandardScaler(), model)}
    study = compare(models, frame, y, splits=2)
    peer = {name: clone(member) for name, member in models.items()}
    peer["pairwise"].set_params(task_column=None)
    peer["pipeline"].set_params(multitaskregressor__task_column=None)
    expected = compare(peer, frame[["a", "b", "c"]], y, tasks, splits=2)
    assert study.methods == expected.methods
    assert study.scores.equals(expected.scores)
    given = compare(models, frame, y, [f"{task}!" for task in tasks], splits=1)  # what is given stands above the column
    assert given.tasks == ("a!", "b!", "c!")


def test_a_table_with_a_task_column_is_encoded_without_it():
    class Encoder:
        def fit(self, table):
            assert table.column_names == ["a", "b"]

        def transform(self, table):
            return np.column_stack([table["a"], table["b"]])

    X, y, tasks = grouped(d=2)
    table = pa.table({"a": X[:, 0], "b": X[:, 1], "school": tasks})
    model = MultiTaskRegressor(Pairwise(0.1), task_column="school")
    assert compare({"pairwise": model}, table, y, splits=1, encode=Encoder()).tasks == ("a", "b", "c")


def test_a_task_column_that_is_not_there_is_told():
    X, y, tasks = grouped()
    models = {"one": MultiTaskRegressor(task_column="school"), "ridge": Ridge()}
    with pytest.raises(
        InputError, match=r"task_column='school' needs a .* frame.*Give a frame with that column, or tasks="
    ):
        compare(models, X, y)
    with pytest.raises(InputError, match=r"'school' is not among the columns.*\(model 'one'\)"):
        compare(models, pd.DataFrame(X, columns=list("abc")), y)
    with pytest.raises(InputError, match=r"several columns, 'school' .one. and 'class' .two."):
        compare(models | {"two": MultiTaskRegressor(task_column="class")}, X, y)
    assert compare(models, X, y, tasks, splits=1, baselines=()).tasks == ("a", "b", "c")


def test_a_study_is_told_shortly():
    X, y, tasks = grouped()
    study = compare(RIDGES, X, y, tasks, splits=3, baselines={"single_ols": LinearRegression()})
    assert str(study).startswith(
        "Study(weak, strong; beside: single_ols; tasks: 3, splits: 3; best explained_variance_within"
    )
    assert len(repr(study)) < 200
    assert len(repr(study.cells[0])) < 100
