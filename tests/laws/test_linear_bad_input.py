"""Bad input gets a clear error and changes nothing."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.notices import InputError, RelataskWarning
from relatask.relations import Chain, Graph, Pairwise, Ridge, TaskKernel, TaskPrecision, TraceForm, TraceNorm

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
Y = RNG.normal(size=30)
TASKS = np.array(["a", "b", "c"])[np.arange(30) % 3]
YS = RNG.normal(size=(30, 3))


def put(values: np.ndarray, where: Any, what: float) -> np.ndarray:
    out = values.copy()
    out[where] = what
    return out


BAD: dict[str, tuple[tuple[Any, ...], str]] = {
    "NaN in X": (
        (put(X, (4, 1), np.nan), Y, TASKS),
        r"contains NaN \(first in row 4, column 1; 1 in all\)\. Impute",
    ),
    "infinity in X": ((put(X, (4, 1), np.inf), Y, TASKS), r"contains infinity.*\(first in row 4, column 1; 1 in all\)"),
    "text in X": (([["a", "b"]] * 30, Y, TASKS), "X does not convert to float: could not convert string to float: 'a'"),
    "text in y": ((X, ["low"] * 30, TASKS), "y has dtype .* and does not convert to float: .*'low'"),
    "complex X": ((X + 1j, Y, TASKS), "Complex data not supported"),
    "complex y": ((X, Y + 1j, TASKS), "Complex data not supported: y has dtype complex128; give real numbers"),
    "infinity in y": ((X, put(Y, 7, -np.inf), TASKS), "y contains infinity at row 7; expected numbers, or NaN"),
    "no labels": ((X, np.full(30, np.nan), TASKS), "y has no label: every value is NaN or has weight 0"),
    "no labels in columns": ((X, np.full((30, 2), np.nan)), "y has no label: every value is NaN"),
    "a task without labels": (
        (X, np.where(TASKS == "b", np.nan, Y), TASKS),
        "task 'b' without labels: every y is NaN .*; leave the task out or give it labels",
    ),
    "a column without labels": ((X, put(YS, (slice(None), 1), np.nan)), "task 1 without labels"),
    "fewer labels": ((X, Y[:-1], TASKS), "X has 30 rows, but y has 29; give one label, or one row of labels, per row"),
    "fewer rows of labels": ((X, YS[:-2]), "X has 30 rows, but y has 28"),
    "fewer tasks": ((X, Y, TASKS[:-1]), r"tasks has shape \(29,\), but X has 30 rows; give one task label per row"),
    "one name for all": ((X, Y, "a"), "tasks='a' is not usable; give one task label per row"),
    "a task that is missing": (
        (X, Y, [None, *TASKS[1:]]),
        r"tasks has no label in row 0 \(1 such rows\); every row must belong to a task",
    ),
    "a task that is NaN": ((X, Y, put(np.arange(30.0), 3, np.nan)), "tasks has no label in row 3"),
    "fewer weights": ((X, Y, TASKS, np.ones(4)), r"sample_weight has shape \(4,\), but X has 30 rows"),
    "negative weights": ((X, Y, TASKS, -np.ones(30)), "sample_weight holds NaN or a negative number; expected finite"),
    "no weight": ((X, Y, TASKS, np.zeros(30)), "sample_weight is zero everywhere; at least one row must count"),
    "a task without weight": ((X, Y, TASKS, (TASKS != "c") * 1.0), "task 'c' without labels: .*or has weight 0"),
    "columns and tasks": ((X, YS, TASKS), r"y has shape \(30, 3\) and tasks are given too; pass y \(n,\) with tasks"),
    "no y": ((X, None, TASKS), "requires y to be passed, but the target y is None"),
    "y of three axes": ((X, YS[:, :, None], None), r"y has shape \(30, 3, 1\); expected \(n,\), or \(n, t\)"),
    "y without columns": ((X, YS[:, :0], None), r"y has shape \(30, 0\); expected"),
    "X of one axis": ((X[:, 0], Y, TASKS), "Expected 2D array, got 1D array instead"),
    "huge y": ((X, Y * 1e200, TASKS), "y holds numbers whose squares overflow .*; give it other units"),
    "huge X": ((X * 1e160, Y, TASKS), "X holds numbers whose squares overflow"),
    "NaN in sparse X": ((sparse.csr_array(np.where(X > 1, np.nan, X)), Y, TASKS), "contains NaN.*stored value"),
    "no rows": ((X[:0], Y[:0], TASKS[:0]), "Found array with 0 sample"),
    "no columns": ((X[:, :0], Y, TASKS), r"0 feature\(s\)"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("model", [MultiTaskRegressor(Pairwise(0.1)), PooledRegressor(0.1)], ids=["relation", "pooled"])
def test_bad_input_is_named_and_changes_nothing(model: Any, name: str) -> None:
    given, message = BAD[name]
    model.fit(X, Y, TASKS)
    before, learned = model.predict(X, TASKS), dict(vars(model))
    with pytest.raises(InputError, match=message):
        model.fit(*given)
    assert vars(model).keys() == learned.keys()
    assert all(vars(model)[key] is value for key, value in learned.items())
    assert (model.predict(X, TASKS) == before).all()
    fresh = type(model)()
    with pytest.raises(InputError, match=message):
        fresh.fit(*given)
    assert vars(fresh) == vars(type(model)())


def test_unknown_tasks_at_predict() -> None:
    model = MultiTaskRegressor().fit(X, Y, TASKS)
    with pytest.raises(InputError, match=r"unknown tasks 'd', 'z': fit saw 'a', 'b', 'c'\. Predict for tasks that"):
        model.predict(X[:3], ["z", "a", "d"])
    with pytest.raises(InputError, match=r"unknown task 'z': fit saw"):
        model.score(X[:2], Y[:2], ["z", "a"])
    with pytest.raises(InputError, match=r"predict needs tasks: .* 3 tasks \('a', 'b', 'c'\); pass predict\(X, tasks="):
        model.predict(X)
    with pytest.raises(InputError, match=r"tasks has shape \(2,\), but X has 3 rows"):
        model.predict(X[:3], ["a", "b"])
    many = MultiTaskRegressor().fit(X, Y, np.arange(30) // 2)
    with pytest.raises(InputError, match=r"unknown task 99: fit saw 0, 1, 2, 3, 4, 5, \.\.\. \(15 in all\)"):
        many.predict(X[:1], [99])
    columns = MultiTaskRegressor().fit(X, YS)
    with pytest.raises(InputError, match="unknown task 3: fit saw 0, 1, 2"):
        columns.predict(X[:1], [3])


def test_other_columns_at_predict() -> None:
    model = MultiTaskRegressor().fit(X, Y, TASKS)
    with pytest.raises(InputError, match="X has 2 features, but MultiTaskRegressor is expecting 3 features as input"):
        model.predict(X[:, :2], TASKS)
    with pytest.raises(InputError, match=r"contains NaN \(first in row 0, column 0; 3 in all\)"):
        model.predict(np.full((1, 3), np.nan), ["a"])
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["u", "v", "w"])
    model.fit(frame, Y, TASKS)
    with pytest.raises(InputError, match="The feature names should match those that were passed during fit"):
        model.predict(frame.rename(columns={"u": "x"}), TASKS)


def test_labels_of_another_shape_at_score() -> None:
    model = MultiTaskRegressor().fit(X, YS)
    with pytest.raises(InputError, match=r"y has shape \(30, 2\), but predictions have \(30, 3\)"):
        model.score(X, YS[:, :2])
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(YS, columns=["p", "q", "r"])
    model.fit(X, frame)
    with pytest.raises(InputError, match="y has the columns 'p', 'q', 'x'; expected the tasks 'p', 'q', 'r'"):
        model.score(X, frame.rename(columns={"r": "x"}))


def test_columns_of_one_name() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["u", "v", "u"])
    model = MultiTaskRegressor()
    with pytest.raises(InputError, match="X has several columns named 'u'; rename them so that names are unique"):
        model.fit(frame, Y, TASKS)
    with pytest.raises(InputError, match="X has several columns named 'u'"):
        MultiTaskRegressor(task_column="u").fit(frame, Y)
    with pytest.raises(InputError, match="y has several columns named 'q'; rename"):
        model.fit(X, pandas.DataFrame(YS, columns=["q", "p", "q"]))


def test_frames_name_their_columns() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"age": X[:, 0], "sex": ["f", "m"] * 15, "size": X[:, 2]})
    with pytest.raises(InputError, match=r"could not convert string.*\(columns 'sex'\)\. Encode such columns first"):
        MultiTaskRegressor().fit(frame, Y, TASKS)
    frame["sex"] = np.where(np.arange(30) == 9, np.nan, 1.0)
    with pytest.raises(InputError, match=r"contains NaN \(first in row 9, column 'sex'; 1 in all\)"):
        MultiTaskRegressor().fit(frame, Y, TASKS)


def test_task_columns_that_are_not_there() -> None:
    pandas = pytest.importorskip("pandas")
    model = MultiTaskRegressor(task_column="region")
    with pytest.raises(InputError, match="task_column='region' needs a pandas or polars frame, given ndarray"):
        model.fit(X, Y)
    with pytest.raises(InputError, match="task_column='region' is not among the columns 'u', 'v', 'w'"):
        model.fit(pandas.DataFrame(X, columns=["u", "v", "w"]), Y)
    holes = pandas.DataFrame(X, columns=["u", "v", "w"]).assign(region=[None, *TASKS[1:]])
    with pytest.raises(InputError, match="tasks has no label in row 0"):
        model.fit(holes, Y)
    missing = pandas.DataFrame(X, columns=["u", "v", "w"]).assign(region=pandas.array([pandas.NA, *TASKS[1:]]))
    with pytest.raises(InputError, match="tasks has no label in row 0"):
        model.fit(missing, Y)
    # Tasks that are passed need no column.
    assert model.fit(X, Y, TASKS).tasks_.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pairwise(-1.0), r"Pairwise: strength=-1\.0 is not usable; expected a finite number >= 0, or 'auto'"),
        (lambda: TaskPrecision([[1.0, 0.5], [0.4, 1.0]]), r"TaskPrecision: K is not symmetric: K\[0, 1\] = 0\.5 but K"),
        (lambda: TaskPrecision([[1.0, 2.0], [2.0, 1.0]]), r"not positive semidefinite: its smallest eigenvalue is -1"),
        (
            lambda: TraceForm([[0.0, 1.0], [1.0, 0.0]]),
            r"A is not positive semidefinite: its smallest eigenvalue is -1",
        ),
        (lambda: TaskKernel(np.ones((3, 3))), r"K is singular: its smallest eigenvalue is .* add .*jitter="),
        (
            lambda: Graph([[0.0, -1.0], [-1.0, 0.0]]),
            "is negative. A graph's weights pull tasks together and must be",
        ),
    ],
)
def test_relations_that_cannot_be(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("relation", "message"),
    [
        (TaskPrecision(np.eye(4)), "TaskPrecision: K is 4 x 4, but there are 3 tasks; expected one row and one column"),
        (TaskKernel(np.eye(2)), "TaskKernel: K is 2 x 2, but there are 3 tasks"),
        (Ridge(1.0) + Graph(np.ones((5, 5))), "Graph: A is 5 x 5, but there are 3 tasks"),
        (Graph([("a", "q")]), "Graph: the edges name 'q', which no task is called; the tasks are 'a', 'b', 'c'"),
        (Chain(order=("a", "b")), "Chain: the order leaves out 'c'; name every task once, or give order=None"),
    ],
)
def test_relations_of_other_tasks_change_nothing(relation: Any, message: str) -> None:
    model = MultiTaskRegressor(Pairwise(0.1)).fit(X, Y, TASKS)
    before = model.predict(X, TASKS)
    model.relation = relation
    with pytest.raises(InputError, match=message):
        model.fit(X, Y, TASKS)
    assert (model.predict(X, TASKS) == before).all()


def test_few_labels_warn_with_their_tasks_and_fit() -> None:
    tasks = np.where(np.arange(30) == 0, "only", TASKS)
    y = np.where(TASKS == "c", 4.0, Y)
    with pytest.warns(
        RelataskWarning, match="RT005: tasks with one label only: 'only'; a constant target: 'c'"
    ) as seen:
        model = MultiTaskRegressor(Pairwise(0.1)).fit(X, y, tasks)
    assert [w.message.code for w in seen] == ["RT005"]
    assert seen[0].filename == __file__  # it points at the caller
    assert np.isfinite(model.predict(X, tasks)).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MultiTaskRegressor(Pairwise(0.1)).fit(X, Y, TASKS)


def test_warnings_point_at_the_caller() -> None:
    constant = np.column_stack([X, np.ones(30)])
    with pytest.warns(RelataskWarning, match="RT017") as seen:
        MultiTaskRegressor(Pairwise(0.1)).fit(constant, Y, TASKS)
    assert seen[0].filename == __file__
    with pytest.warns(RelataskWarning, match="RT015") as seen:
        MultiTaskRegressor(TraceNorm(0.1), max_iter=1, tol=1e-12).fit(X, Y, TASKS)
    assert seen[0].filename == __file__


def test_frames_with_missing_values_of_pandas_own() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(12, 2)), columns=["p", "q"])
    y, tasks = rng.normal(size=12), ["a", "b"] * 6
    hole = X.astype("Float64")
    hole.iloc[3, 1] = pd.NA
    with pytest.raises(InputError, match="first in row 3, column 'q'; 1 in all"):
        MultiTaskRegressor().fit(hole, y, tasks)
    Y = pd.DataFrame({"u": y, "v": -y}).astype("Float64")
    Y.iloc[2, 1] = pd.NA
    model = MultiTaskRegressor().fit(X, Y)
    assert model.n_labels_.tolist() == [12, 11]
    plain = MultiTaskRegressor().fit(X, Y.astype(float))
    np.testing.assert_array_equal(model.coef_, plain.coef_)


def test_dates_are_no_numbers() -> None:
    X = pd.DataFrame({"p": np.arange(6.0), "when": pd.date_range("2020-01-01", periods=6)})
    with pytest.raises(InputError, match=r"does not convert to float .columns 'when'."):
        MultiTaskRegressor().fit(X, np.arange(6.0))
    with pytest.raises(InputError, match="days since a date"):
        MultiTaskRegressor().fit(X[["p"]], X["when"])


def test_labels_whose_squares_vanish() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="y holds numbers whose squares vanish"):
        MultiTaskRegressor().fit(rng.normal(size=(9, 2)), 1e-165 * rng.normal(size=9))


@pytest.mark.parametrize("name", ["weighting", "intercept", "solver"])
def test_none_is_no_choice(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}=None is unknown"):
        MultiTaskRegressor(**{name: None}).fit(np.arange(6.0)[:, None], np.arange(6.0))
