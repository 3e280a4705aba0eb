"""What networks of several tasks cannot use is told, and leaves them as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from relatask import RelataskWarning
from relatask.notices import InputError
from relatask.train.estimators import DeepMultiTask, DeepMultiTaskClassifier, DeepMultiTaskRegressor

QUICK: dict[str, Any] = {"hidden": (4,), "epochs": 1}


def rows(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 3)), rng.normal(size=n), np.array(["north", "south", "west"])[np.arange(n) % 3]


def columns(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 3)), rng.normal(size=(n, 3))


X, Y = columns()
YES = X[:, 0] > 0


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"sharing": "none"}, "sharing='none' is unknown; expected 'single', 'pooled', 'hard'"),
        ({"sharing": 3}, "sharing=3 is neither a name nor a function"),
        ({"sharing": lambda plan: 3}, "sharing gives 3; a relatask.nets.Model is needed"),
        ({"encoder": "cnn"}, "encoder='cnn' is unknown; expected one of 'auto'"),
        ({"encoder": "text"}, "encoder='text' needs a column that is read as text"),
        ({"encoder": lambda inputs: __import__("torch").nn.Identity()}, "encoder gives Identity, which does not say"),
        ({"balance": "fair"}, "balance='fair' is unknown; expected a relatask.balance.Balancer"),
        ({"balance": "static"}, "Static needs weights"),
        ({"relation": "graph"}, "relation='graph' is not a relation"),
        ({"hidden": 0}, "hidden=0 is not usable; expected widths of layers"),
        ({"hidden": (), "sharing": "mmoe"}, r"hidden=\(\) has none; give at least one"),
        ({"lr": 0}, "lr=0 is not usable; expected a number > 0"),
        ({"dropout": 1.0}, r"dropout=1.0 is not usable; expected a share in \[0, 1\)"),
        ({"batch_size": "all"}, "batch_size='all' is not usable"),
        ({"features": 3}, "features=3; expected a TableFeatures"),
        ({"normalization": "unit"}, "normalization='unit' is unknown"),
        ({"text": "letters"}, "text='letters' is unknown"),
        ({"task_column": "t"}, "task_column='t' needs a pandas or polars frame"),
    ],
)
def test_parameters_are_checked_before_anything_is_trained(parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        DeepMultiTaskRegressor(**{**QUICK, **parameters}).fit(X, Y)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((X, Y, np.zeros(40)), "tasks are given too"),
        ((X, np.full(40, np.nan)), "y has no label"),
        ((X, Y * [1, np.nan, 1]), "task 1 without labels"),
        ((X, Y[:9]), "X has 40 rows, but y has 9"),
        ((X, Y[:, 0], ["a"] * 9), r"tasks has shape \(9,\), but X has 40 rows"),
        ((X, Y[:, 0], None, -np.ones(40)), "sample_weight holds NaN or a negative number"),
        ((X, Y, None, np.ones((40, 3))), r"sample_weight has shape \(40, 3\)"),
        ((X * np.inf, Y), "infinity"),
        ((np.array([["a"]] * 40), Y), "Give text and categories as the columns of a frame"),
        ((X, {"a": [1.0], "b": [1.0, 2.0]}), "y has columns of lengths"),
    ],
)
def test_rows_and_labels_are_checked(given: tuple[Any, ...], told: str) -> None:
    with np.errstate(invalid="ignore"), pytest.raises(InputError, match=told):
        DeepMultiTaskRegressor(**QUICK).fit(*given)


@pytest.mark.parametrize(
    ("parameters", "y", "told"),
    [
        ({"threshold": "best"}, YES, "threshold='best' is unknown"),
        ({}, Y[:, 0], "Unknown label type: continuous"),
        ({"class_weight": {"x": 2}}, YES, "class_weight names 'x'"),
        ({"class_weight": "even"}, YES, "class_weight='even' is unknown"),
        ({}, np.ones(40), "y holds the one class 1.0"),
    ],
)
def test_classes_are_checked(parameters: dict[str, Any], y: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        DeepMultiTaskClassifier(**QUICK, **parameters).fit(X, y)


TWO = np.stack([X[:, 0], YES], axis=1)


@pytest.mark.parametrize(
    ("kinds", "y", "told"),
    [
        (["regression"], Y, "kinds has 1 entries for 3 tasks"),
        ({0: "regression"}, Y, "kinds names no kind for 1, 2"),
        ("regression", Y, "kinds='regression'; expected 'auto'"),
        (["regression", "tagging", "count"], Y, "'tagging' of task 1 is unknown"),
        (["regression", "regression", "count"], Y, r"task 2 \(kind 'count'\): labels must be whole"),
        (["binary"] * 3, np.arange(120).reshape(40, 3), "has 40 classes"),
        (["binary", "regression"], TWO, r"task 0 \(kind 'binary'\): Unknown label type: continuous"),
    ],
)
def test_kinds_are_checked(kinds: Any, y: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        DeepMultiTask(kinds, **QUICK).fit(X, y)


def test_several_kinds_have_no_pooled_net() -> None:
    with pytest.raises(InputError, match="of kinds 'binary', 'regression'; leave the pooled net out"):
        DeepMultiTask("auto", sharing="pooled", **QUICK).fit(X, TWO)
    model = DeepMultiTask("auto", **QUICK).fit(X, TWO)
    with pytest.raises(InputError, match=r"task 1: y holds 2\.0, which fit did not see; it saw 0\.0, 1\.0"):
        model.score(X, TWO + np.array([0, 1]))
    with pytest.raises(InputError, match=r"y has shape \(40, 1\); expected a column for each of 2 tasks"):
        model.score(X, TWO[:, :1])


def test_a_tables_task_column_must_be_there() -> None:
    with pytest.raises(InputError, match="task_column='t' is not among the columns 'a'"):
        DeepMultiTaskRegressor(**QUICK, task_column="t").fit({"a": X[:, 0]}, Y)


def test_a_failed_fit_leaves_the_model_as_it_was() -> None:
    X, y = columns()
    model = DeepMultiTaskRegressor(**QUICK).fit(X, y)
    before = model.predict(X)
    with pytest.raises(InputError):
        model.fit(X, y[:-1])
    np.testing.assert_array_equal(model.predict(X), before)


def test_predict_asks_for_tasks_and_knows_them() -> None:
    X, y, tasks = rows(60)
    model = DeepMultiTaskRegressor(**QUICK).fit(X, y, tasks)
    with pytest.raises(InputError, match=r"predict needs tasks: the model was fitted on 3 tasks \('north'"):
        model.predict(X)
    with pytest.raises(InputError, match="unknown task 'east': fit saw 'north'"):
        model.predict(X[:1], ["east"])
    with pytest.raises(InputError, match="tasks are given, but the model was fitted without"):
        clone(model).fit(X, y).predict(X, tasks)


def test_damaged_files_are_told(tmp_path: Path) -> None:
    X, y = columns(40)
    model = DeepMultiTaskRegressor(**QUICK).fit(X, y)
    model.save(tmp_path / "m")
    told, tensors = tmp_path / "m.json", tmp_path / "m.safetensors"
    with pytest.raises(InputError, match=r"holds a DeepMultiTaskRegressor; load it with DeepMultiTaskRegressor\.load"):
        DeepMultiTask.load(tmp_path / "m")
    whole = tensors.read_bytes()
    tensors.write_bytes(whole[:-3])
    with pytest.raises(InputError, match=r"m\.safetensors is damaged, cut short or of another save"):
        DeepMultiTaskRegressor.load(tmp_path / "m")
    tensors.write_bytes(whole)
    body = json.loads(told.read_text())
    told.write_text(json.dumps({**body, "version": 9}))
    with pytest.raises(InputError, match="version 9, this relatask reads version 1"):
        DeepMultiTaskRegressor.load(tmp_path / "m")
    told.write_text(json.dumps({**body, "class": "DeepMultiTask"}))
    with pytest.raises(InputError, match="was changed after it was written"):
        DeepMultiTaskRegressor.load(tmp_path / "m")
    told.write_text("{")
    with pytest.raises(InputError, match=r"m\.json is damaged or cut short"):
        DeepMultiTaskRegressor.load(tmp_path / "m")
    tensors.unlink()
    with pytest.raises(InputError, match=r"m\.safetensors is not there; a saved model is m\.json and m\.safetensors"):
        DeepMultiTaskRegressor.load(tmp_path / "m")


def test_a_label_only_one_row_has_is_told() -> None:
    X, y, tasks = rows(30)
    tasks = tasks.astype(object)
    tasks[0] = "lonely"
    with pytest.warns(RelataskWarning, match="RT005: tasks with one label only: 'lonely'"):
        DeepMultiTaskRegressor(**QUICK).fit(X, y, tasks)
