"""A study from data to verdict: its baselines, its files, its processes, and what it says when something is wrong."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from relatask.linear import MultiTaskRegressor
from relatask.measure import ALL, Scores
from relatask.notices import InputError, RelataskWarning
from relatask.relations import Pairwise, TaskPrecision
from relatask.study import CellError, compare, splits


def grouped(n=40, t=4, d=3, seed=0):
    rng = np.random.default_rng(seed)
    tasks = np.repeat([f"school {k}" for k in range(t)], n)
    X = rng.normal(size=(n * t, d))
    slopes = np.ones(d) + 0.2 * rng.normal(size=(t, d))
    y = (X * np.repeat(slopes, n, 0)).sum(1) + np.repeat(rng.normal(size=t), n) * 3 + rng.normal(size=n * t)
    return X, y, tasks


RIDGES = {"weak": Ridge(alpha=0.1), "strong": Ridge(alpha=500.0)}
BESIDE = {"single_ols": LinearRegression()}


def test_the_default_study_of_grouped_tasks():
    X, y, tasks = grouped(n=12)
    study = compare({"pairwise": MultiTaskRegressor(Pairwise("auto"))}, X, y, tasks, splits=4)
    assert study.methods == ("pairwise", "single", "single_raw", "pooled", "pooled_slopes")
    assert study.tasks == tuple(sorted(set(tasks)))
    within = {row["method"]: row["explained_variance_within"]["mean"] for row in study.summary()}
    assert within["pooled"] < min(within["pooled_slopes"], within["pairwise"])  # levels differ: pooling hurts
    assert study.differences("pairwise").metric == "rmse"
    assert study.differences("pairwise").overall.metric == "explained_variance_within"
    assert "explained variance within tasks" in study.verdict()
    assert study.delta_m("pairwise").n == 4
    assert not study.notes
    assert all(cost.residual is not None and cost.residual < 1e-6 for cost in study.costs)
    assert all(cost.strengths for cost in study.costs)
    table = study.predictions("pooled")
    assert table.column_names == ["split", "seed", "row", "task", "y", "prediction"]
    assert table.num_rows == sum(len(cell.y) for cell in study.cells if cell.method == "pooled")
    np.testing.assert_array_equal(table["y"].to_numpy(), y[table["row"].to_numpy()])


def test_the_default_study_of_column_tasks_with_holes():
    X = grouped(n=30)[0]
    rng = np.random.default_rng(1)
    Y = np.column_stack([X @ rng.normal(size=3) + rng.normal(size=len(X)) for _ in range(3)]) * [1, 100, 1]
    Y[rng.random(Y.shape) < 0.2] = np.nan
    study = compare(
        {"pairwise": MultiTaskRegressor(Pairwise("auto"))}, X, pd.DataFrame(Y, columns=["a", "b", "c"]), splits=2
    )
    assert study.methods == ("pairwise", "single", "single_raw", "pooled")
    assert study.tasks == ("a", "b", "c")
    assert study.overall == "r2_mean_of_tasks"  # the columns' units differ
    assert study.scores.where(task="b", metric="rmse", method="single").value.min() > 20
    for cell in study.cells:
        np.testing.assert_array_equal(cell.y, Y[cell.row, cell.code])
        assert not np.isnan(cell.y).any()


def test_single_is_each_task_alone():
    """The baseline `single` with columns is scikit-learn's ridge of each column, on the columns as they are."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    Y = X @ rng.normal(size=(4, 2)) + rng.normal(size=(60, 2))
    study = compare({"any": MultiTaskRegressor(standardize=False)}, X, Y, splits=1)
    cell = next(cell for cell in study.cells if cell.method == "single")
    strength = next(iter(cell.cost.strengths.values()))
    train = np.setdiff1d(np.arange(60), cell.row)
    for k in range(2):
        peer = Ridge(alpha=strength * len(train)).fit(X[train], Y[train, k])
        np.testing.assert_allclose(cell.prediction[cell.code == k], peer.predict(X[cell.row[cell.code == k]]))


def test_adding_a_method_changes_no_other_method_s_scores():
    X, y, tasks = grouped()
    alone = compare({"weak": RIDGES["weak"]}, X, y, tasks, splits=3, baselines=())
    both = compare(RIDGES, X, y, tasks, splits=3, baselines=BESIDE)
    assert both.scores.where(method="weak").equals(alone.scores)


def test_permuting_rows_of_the_data_changes_no_score():
    X, y, tasks = grouped()
    order = np.random.default_rng(0).permutation(len(y))
    place = np.argsort(order)
    pairs = [
        (split.train, split.test) for split in splits.random(repeats=2).draw(np.arange(160), np.zeros(160, int), 160)
    ]
    moved = [(place[train], place[test]) for train, test in pairs]
    ours = compare(RIDGES, X, y, tasks, splits=pairs, baselines=()).scores
    theirs = compare(RIDGES, X[order], y[order], tasks[order], splits=moved, baselines=()).scores
    np.testing.assert_allclose(ours.value, theirs.value)


def test_rows_without_labels_have_no_effect():
    X, y, tasks = grouped()
    more = np.insert(X, 5, 1e9, axis=0), np.insert(y, 5, np.nan), np.insert(tasks, 5, tasks[5])
    ours = compare(RIDGES, X, y, tasks, splits=2, baselines=()).scores
    assert compare(RIDGES, *more, splits=2, baselines=()).scores.equals(ours)


class Killed(Exception):
    pass


def test_a_killed_study_goes_on_and_ends_with_the_same_result(tmp_path):
    X, y, tasks = grouped()
    whole = compare(RIDGES, X, y, tasks, splits=3, baselines=BESIDE)

    def kill(done, total, cell):
        assert total == 9
        if done == 4:
            raise Killed

    with pytest.raises(Killed):
        compare(RIDGES, X, y, tasks, splits=3, baselines=BESIDE, folder=tmp_path, progress=kill)
    assert len(list((tmp_path / "cells").iterdir())) == 4
    seen = []
    again = compare(
        RIDGES, X, y, tasks, splits=3, baselines=BESIDE, folder=tmp_path, progress=lambda *_: seen.append(_)
    )
    assert again.scores.equals(whole.scores)
    assert [done for done, _, _ in seen] == list(range(1, 10))
    assert sum(cell.reused for _, _, cell in seen) == 4
    assert Scores.concat([cell.scores for _, _, cell in seen if cell.method == "weak"]).equals(
        whole.scores.where(method="weak")
    )
    third = compare(RIDGES, X, y, tasks, splits=3, baselines=BESIDE, folder=tmp_path)
    assert third.costs == again.costs  # nothing was fitted again


def test_stale_and_damaged_cells_are_computed_again(tmp_path):
    X, y, tasks = grouped()

    def reused(**change):
        seen = []
        asked = {"models": {"ridge": Ridge(alpha=1.0)}, "X": X, "y": y, "tasks": tasks, "splits": 2} | change
        study = compare(**asked, baselines=(), folder=tmp_path, progress=lambda *_: seen.append(_[2].reused))
        fresh = compare(**asked, baselines=())
        assert study.scores.equals(fresh.scores)
        return seen

    assert reused() == [False, False]
    assert reused() == [True, True]
    assert reused(metrics=["mae"]) == [True, True]  # metrics come from the predictions
    assert reused(splits=1) == [True]
    assert reused(models={"ridge": Ridge(alpha=2.0)}) == [False, False]
    assert reused(y=y + 1) == [False, False]
    assert reused(X=2 * X) == [False, False]
    assert reused(sample_weight=np.ones(len(y))) == [False, False]
    assert reused(splits=splits.random(repeats=2, seed=7)) == [False, False]
    cut, empty = sorted((tmp_path / "cells").iterdir())
    cut.write_bytes(cut.read_bytes()[:-40])
    empty.write_bytes(b"")
    assert reused(splits=splits.random(repeats=2, seed=7)) == [False, False]
    data = bytearray(cut.read_bytes())
    data[len(data) // 2] ^= 0xFF
    cut.write_bytes(bytes(data))
    assert sorted(reused(splits=splits.random(repeats=2, seed=7))) == [False, True]


def test_relations_with_matrices_are_told_apart_in_files(tmp_path):
    X, y, tasks = grouped()
    K = 1e-3 * (4 * np.eye(4) - 1)
    seen = []
    for entry in (1.0, 1.0, 1.0 + 1e-9):
        compare(
            {"model": MultiTaskRegressor(TaskPrecision(K * entry))},
            *(X, y, tasks),
            splits=1,
            baselines=(),
            folder=tmp_path,
            progress=lambda *_: seen.append(_[2].reused),
        )
    assert seen == [False, True, False]


def test_processes_give_the_same_scores(tmp_path):
    X, y, tasks = grouped()
    models = RIDGES | {"pairwise": MultiTaskRegressor(Pairwise("auto"))}
    here = compare(models, X, y, tasks, splits=2)
    there = compare(models, X, y, tasks, splits=2, n_jobs=2, folder=tmp_path)
    assert there.scores.equals(here.scores)
    assert compare(models, X, y, tasks, splits=2, folder=tmp_path).costs == there.costs


def test_random_methods_run_once_a_seed_and_the_others_once():
    X, y, tasks = grouped()
    forest = RandomForestRegressor(3, random_state=None)
    study = compare({"forest": forest, "ols": LinearRegression()}, X, y, tasks, splits=2, seeds=2, baselines=())
    assert forest.random_state is None
    assert [len(set(study.scores.where(method=m).seed.tolist())) for m in ("forest", "ols")] == [2, 1]
    first, second = (study.scores.where(method="forest", seed=seed).value for seed in (0, 1))
    assert not np.array_equal(first, second)
    once = compare({"forest": forest}, X, y, tasks, splits=2, baselines=())
    assert once.scores.equals(study.scores.where(method="forest", seed=0))


def test_tasks_reach_models_inside_pipelines_and_searches():
    X, y, tasks = grouped()
    direct = MultiTaskRegressor(Pairwise(0.01))
    models = {
        "direct": direct,
        "pipeline": make_pipeline(StandardScaler(), direct),
        "search": GridSearchCV(direct, {"relation__strength": [0.01]}, cv=KFold(2, shuffle=True, random_state=0)),
    }
    study = compare(models, X, y, tasks, splits=1, baselines=())
    values = [study.scores.where(method=name, metric="rmse", task=ALL).value[0] for name in models]
    assert values == pytest.approx([values[0]] * 3)
    named = pd.DataFrame(X).assign(school=tasks).rename(columns=str)
    column = compare({"direct": replace_column(direct)}, named, y, tasks, splits=1, baselines=())
    np.testing.assert_allclose(column.scores.value, study.scores.where(method="direct").value)


def replace_column(model):
    return MultiTaskRegressor(model.relation, task_column="school")


class Encoder:
    """Names columns and centres them; counts how often it was fitted."""

    fits = 0

    def fit(self, table):
        Encoder.fits += 1
        self.mean = np.column_stack([table["a"], table["b"]]).mean(0)

    def transform(self, table):
        return np.column_stack([table["a"], table["b"]]) - self.mean


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
def test_one_encoding_a_split_for_all_methods(kind):
    X, y, tasks = grouped(d=2)
    Encoder.fits = 0
    encoder = Encoder()
    study = compare(RIDGES, kind({"a": X[:, 0], "b": X[:, 1]}), y, tasks, splits=2, baselines=BESIDE, encode=encoder)
    assert Encoder.fits == 2
    assert not hasattr(encoder, "mean")
    np.testing.assert_allclose(
        study.scores.where(method="single_ols").value,
        compare(BESIDE, X, y, tasks, splits=2, baselines=()).scores.value,
    )


def test_one_split_is_compared_by_the_bootstrap():
    X, y, tasks = grouped()
    study = compare(RIDGES, X, y, tasks, splits=1, baselines=BESIDE)
    found = study.differences("strong")
    assert found.how == "bootstrap over test rows"
    assert found.overall.difference == pytest.approx(
        study.scores.where(method="strong", metric="explained_variance_within").value[0]
        - study.scores.where(method="single_ols", metric="explained_variance_within").value[0]
    )
    assert "One split only" in study.verdict("strong")
    assert "RT014" in {check.code for check in study.checks()}
    assert study.delta_m("strong").n == 1


def test_a_task_absent_from_training_is_left_out_and_counted():
    X, y, tasks = grouped()
    last = np.flatnonzero(tasks == "school 3")
    pairs = [(np.setdiff1d(np.arange(0, 160, 2), last), np.arange(1, 160, 2)), (np.arange(0, 160, 2), [1, 41, 159])]
    with pytest.warns(RelataskWarning, match="RT005: 1 tasks have no training label in some split.*school 3 \\(1\\)"):
        study = compare(RIDGES, X, y, tasks, splits=pairs, baselines=())
    assert "school 3" not in study.scores.where(split="given-0").tasks
    assert "school 3" in study.scores.where(split="given-1").tasks
    assert [task.absent for task in study.support] == [0, 0, 0, 1]
    assert [task.untested for task in study.support] == [0, 0, 1, 0]
    assert any(check.task == "school 3" and "absent" in check.message for check in study.checks())
    with pytest.raises(InputError, match=r"split group-0: .* Were whole tasks held out"):
        compare(RIDGES, X, y, tasks, splits=splits.group(tasks, 2), baselines=())


def test_a_column_absent_from_training_is_left_out_of_the_fit():
    X, y, _ = grouped()
    Y = np.column_stack([y, y**2])
    Y[:100, 1] = np.nan
    pairs = [(np.arange(100), np.arange(100, 160))]
    with pytest.warns(RelataskWarning, match="RT005"):
        study = compare({"joint": MultiTaskRegressor(Pairwise(0.1))}, X, Y, splits=pairs)
    assert study.scores.tasks == ["0"]


class Noisy(Ridge):
    """Warns in every fit."""

    def fit(self, X, y):
        warnings.warn(RelataskWarning("stopped at 1e-3", code="RT015"), stacklevel=2)
        warnings.warn("something else", UserWarning, stacklevel=2)
        return super().fit(X, y)


def test_warnings_of_cells_are_kept_and_said_once(tmp_path):
    X, y, tasks = grouped()
    for _ in range(2):  # computed, then read from files
        with pytest.warns(UserWarning, match=".") as caught:
            study = compare({"noisy": Noisy(), "ridge": Ridge()}, X, y, tasks, splits=3, baselines=(), folder=tmp_path)
        said = [str(warning.message) for warning in caught]
        assert said == [
            "RT015: in 3 of 6 cells, first in noisy on random-0: stopped at 1e-3",
            "in 3 of 6 cells, first in noisy on random-0: something else",
        ]
        assert len(study.notes) == 6
        assert [check.code for check in study.checks()] == ["RT015"]


class Broken(Ridge):
    def fit(self, X, y):
        raise FloatingPointError("boom")


class Blind(Ridge):
    def predict(self, X):
        return np.full(len(X), np.nan)


def test_a_failure_names_its_cell():
    X, y, tasks = grouped()
    with pytest.raises(CellError, match="method 'bad', split 'random-0', seed 0: FloatingPointError: boom"):
        compare({"bad": Broken()}, X, y, tasks, splits=1, baselines=())
    with pytest.raises(InputError, match="method 'bad', split 'random-0', seed 0: 40 of 40 predictions are NaN"):
        compare({"bad": Blind()}, X, y, tasks, splits=1, baselines=())
    with pytest.raises(InputError, match="K is 3 x 3, but there are 4 tasks"):
        compare({"bad": MultiTaskRegressor(TaskPrecision(np.eye(3)))}, X, y, tasks, splits=1, baselines=())


def test_a_matrix_with_the_wrong_sign_is_reported():
    X, y, tasks = grouped()
    K = 0.5 * np.eye(4) + 0.5
    study = compare({"precision": MultiTaskRegressor(TaskPrecision(K))}, X, y, tasks, splits=2, baselines=())
    assert [check.code for check in study.checks()] == ["RT016"]


def test_bad_input():
    X, y, tasks = grouped(n=5)
    cases = [
        ({"X": X[:3]}, "X has 3 rows and y has 20"),
        ({"y": np.full(20, np.nan)}, "y holds no label"),
        ({"y": np.full(20, np.inf)}, "y contains infinity at row 0"),
        ({"y": ["a"] * 20}, "does not convert to float"),
        ({"y": np.ones((20, 2))}, "with tasks y is"),
        ({"y": np.ones((20, 2, 2)), "tasks": None}, r"expected \(n,\) or \(n, t\)"),
        ({"tasks": tasks[:3]}, r"tasks has shape \(3,\)"),
        ({"tasks": np.array([None, *tasks[1:]], dtype=object)}, r"no label in row 0 \(1 such rows\)"),
        ({"tasks": np.array([ALL, *tasks[1:]])}, r"'\(all tasks\)': that name is reserved"),
        ({"tasks": [1, "1", "'1'", *tasks[3:]]}, "several tasks are called"),
        ({"y": np.where(tasks == "school 1", np.nan, y)}, "tasks without any label: school 1"),
        ({"y": pd.DataFrame(np.ones((20, 2)), columns=["a", "a"]), "tasks": None}, "several tasks are called"),
        ({"sample_weight": -np.ones(20)}, "finite numbers >= 0"),
        ({"metrics": ["auv"]}, "unknown metric 'auv'"),
        ({"metrics": ["auc"]}, "the metric 'auc' is not one of tasks of kind regression"),
        ({"metrics": []}, "0 metrics"),
        ({"models": {}}, "0 models"),
        ({"seeds": 0}, "seeds=0"),
        ({"splits": 0}, "repeats=0"),
        ({"baselines": ("singel",)}, "unknown baselines \\['singel'\\]; expected a sequence of single"),
        ({"baselines": "single"}, "expected a sequence"),
    ]
    for change, match in cases:
        with pytest.raises(InputError, match=match):
            compare(**({"models": RIDGES, "X": X, "y": y, "tasks": tasks, "splits": 1} | change))
    study = compare(RIDGES, X, y, tasks, splits=2, baselines=())
    with pytest.raises(InputError, match="no single-task baseline ran"):
        study.differences("weak")
    with pytest.raises(InputError, match="no scores of the method 'wek'"):
        study.predictions("wek")


def test_one_task_alone_is_a_study_too():
    X, y, _ = grouped()
    study = compare(RIDGES, X, y, splits=2)
    assert study.tasks == ("y",)
    assert study.singles == ("single", "single_raw")
    assert "1 task" in study.verdict("weak")
    for repeats in (1, 2):
        study = compare(RIDGES, X, y, splits=repeats)
        for method in study.methods:  # one question: the task's answer is the one over all tasks
            found = study.differences(method)
            assert found.tasks[0].metric == found.overall.metric == "rmse"
            assert found.tasks[0].verdict == found.overall.verdict
            assert found.tasks[0].p == pytest.approx(found.overall.p, nan_ok=True)


def test_the_better_single_baseline_is_used():
    X, y, tasks = grouped()
    beside = {"single_lazy": Ridge(alpha=1e4), "single_ols": LinearRegression()}
    study = compare(RIDGES, X, y, tasks, splits=3, baselines=beside)
    assert study.single == "single_ols"
    assert "2 single-task baselines ran" in study.verdict()
    assert replace(study, baselines=("single_lazy",)).single == "single_lazy"
