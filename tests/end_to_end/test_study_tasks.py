"""Studies of tasks that are absent, constant or columns, of models whose code changed, with baselines replaced."""

import importlib
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.linear_model import Ridge as SkRidge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from relatask.linear import MultiTaskRegressor
from relatask.notices import RelataskWarning
from relatask.relations import Chain, Graph, Pairwise, Ridge, TaskKernel, TaskPrecision, TraceForm
from relatask.study import compare, splits
from relatask.study.cells import code_of, package_code

RIDGES = {"weak": SkRidge(alpha=0.1), "strong": SkRidge(alpha=500.0)}


def grouped(n=40, t=4, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n * t, d))
    y = X.sum(1) + np.repeat(rng.normal(size=t), n) * 3 + rng.normal(size=n * t)
    return X, y, np.repeat([f"school {k}" for k in range(t)], n)


def test_cells_of_changed_code_are_computed_again(tmp_path, monkeypatch):
    file = tmp_path / "written_here.py"
    code = """
from sklearn.base import BaseEstimator, RegressorMixin
class Constant(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.fitted_ = True
        return self
    def predict(self, X):
        return 0 * X[:, 0] + {}
"""
    monkeypatch.syspath_prepend(tmp_path)
    X, y, tasks = grouped()
    seen, values = [], []
    for value in (1.0, 1.0, 2.5):
        file.write_text(code.format(value))
        importlib.invalidate_caches()
        sys.modules.pop("written_here", None)
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        model = make_pipeline(StandardScaler(), importlib.import_module("written_here").Constant())
        sys.dont_write_bytecode = before
        asked = {"splits": 1, "baselines": (), "folder": tmp_path, "progress": lambda *_: seen.append(_[2].reused)}
        study = compare({"constant": model}, X, y, tasks, **asked)
        values.append(study.cells[0].prediction[0])
    assert (seen, values) == ([False, True, False], [1.0, 1.0, 2.5])
    monkeypatch.setattr("relatask.study.jobs.package_code", lambda: "the package changed")
    compare({"constant": model}, X, y, tasks, **asked)
    assert seen[-1] is False
    sys.modules.pop("written_here")


def test_classes_without_a_file_are_never_taken_for_unchanged():
    typed = type("Typed", (), {"__module__": "__main__"})
    main = ModuleType("__main__")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "__main__", main)
        assert code_of(typed()) != code_of(typed())
    assert code_of(SkRidge()) == code_of(SkRidge(alpha=2.0)) != code_of(LinearRegression())
    assert package_code() == package_code()


RELATIONS = {
    "chain": Chain("auto", order=["a", "b", "c", "d"]),
    "edges": Graph([("a", "b"), ("c", "d")], 0.1),
    "matrix": Graph(np.ones((4, 4)), 0.1) + Ridge(0.1),
    "kernel": TaskKernel(np.eye(4) + 0.5),
    "precision": TaskPrecision(4 * np.eye(4) - 1, 0.01),
    "form": TraceForm(4 * np.eye(4) - 1, "auto"),
}


def test_tasks_absent_from_training_rows_are_left_out_of_relations_that_name_them():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    tasks = np.array(["a", "b", "c"])[np.arange(120) % 3]
    tasks[-12:] = "d"
    site = np.repeat(np.arange(10), 12)
    y = X.sum(1) + rng.normal(size=120)
    models = {name: MultiTaskRegressor(relation) for name, relation in RELATIONS.items()}
    models["pipeline"] = make_pipeline(StandardScaler(), models["kernel"])
    with pytest.warns(RelataskWarning, match="RT005: 1 tasks have no training label"):
        study = compare(models, X, y, tasks, splits=splits.group(site, 5), baselines=())
    assert [task.absent for task in study.support] == [0, 0, 0, 1]
    # Where d is absent the kernel is the one of the others.
    held = next(split for split in splits.group(site, 5).draw(np.arange(120), 0 * site, 120) if 119 in split.test)
    cell = next(cell for cell in study.cells if (cell.method, cell.split) == ("kernel", held.name))
    alone = MultiTaskRegressor(TaskKernel(np.eye(3) + 0.5)).fit(X[held.train], y[held.train], tasks[held.train])
    np.testing.assert_allclose(cell.prediction, alone.predict(X[cell.row], tasks[cell.row]))


def test_relations_over_columns_know_their_names_and_do_without_an_absent_one():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    Y = pd.DataFrame(X.sum(1)[:, None] + rng.normal(size=(60, 4)), columns=list("abcd"))
    Y.loc[30:, "c"] = np.nan
    pairs = [(np.arange(60)[30:], np.arange(30)), (np.arange(0, 60, 2), np.arange(1, 60, 2))]
    models = {name: MultiTaskRegressor(relation) for name, relation in RELATIONS.items()}
    with pytest.warns(RelataskWarning, match="RT005"):
        study = compare(models, X, Y, splits=pairs, baselines=())
    assert [task.absent for task in study.support] == [0, 0, 1, 0]
    whole = next(cell for cell in study.cells if (cell.method, cell.split) == ("edges", "given-1"))
    peer = MultiTaskRegressor(RELATIONS["edges"]).fit(X[::2], Y[::2])
    np.testing.assert_allclose(whole.prediction, peer.predict(X)[whole.row, whole.code])


def test_delta_m_does_without_a_constant_task():
    X, y, tasks = grouped()
    y[tasks == "school 2"] = 0.1
    with pytest.warns(RelataskWarning, match="constant target"):
        study = compare({"pairwise": MultiTaskRegressor(Pairwise("auto"))}, X, y, tasks, splits=3)
    found = study.delta_m("pairwise")
    assert found.tasks_left_out == ("school 2",)
    assert found.left_out == 3
    assert abs(found.value) < 1


def test_a_model_that_takes_a_baseline_s_place_counts_as_it():
    X, y, tasks = grouped()
    study = compare({"mine": RIDGES["weak"], "single": LinearRegression()}, X, y, tasks, splits=2)
    assert study.models == ("mine", "single")
    assert study.baselines == ("single_raw", "pooled", "pooled_slopes")
    assert study.singles == ("single", "single_raw")
    named = compare({"single_forest": RIDGES["weak"]}, X, y, tasks, splits=2, baselines=())
    assert named.singles == ()  # a model is a model, whatever its name begins with
    models = {"mine": RIDGES["strong"], "pooled": LinearRegression()}
    assert "One pooled model (pooled, " in compare(models, X, X.sum(1), tasks, splits=5).verdict("mine")


def test_one_split_of_columns_draws_whole_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    Y = X.sum(1)[:, None] + rng.normal(size=(80, 1)) + 0.1 * rng.normal(size=(80, 6))
    study = compare(RIDGES, X, Y, splits=1, baselines=())
    found = study.differences("strong", "weak", overall="rmse")
    each = [row.high - row.low for row in found.tasks]
    # The columns say nearly the same: six of them are no more evidence than one.
    assert found.overall.high - found.overall.low > 0.8 * np.mean(each)
