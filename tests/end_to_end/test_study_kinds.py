"""Studies of two classes, of counts and of several kinds: what models are asked, baselines, verdicts, bad input."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from relatask import load
from relatask.linear import MultiTaskClassifier, MultiTaskLinear, MultiTaskRegressor
from relatask.linear.pooled_linear import PooledLinear
from relatask.measure import ALL, METRICS
from relatask.notices import InputError
from relatask.relations import Pairwise, Ridge
from relatask.study import CellError, compare, splits

needs_data = pytest.mark.skipif("RELATASK_DATA" not in os.environ, reason="RELATASK_DATA names no folder of data sets")


def rows(n=240, t=4, d=3, seed=0):
    """X, linear predictors and tasks of alike slopes and unlike levels."""
    rng = np.random.default_rng(seed)
    X, tasks = rng.normal(size=(n, d)), np.array([f"site {k}" for k in range(t)])[np.arange(n) % t]
    slopes = np.ones(d) + 0.3 * rng.normal(size=(t, d))
    return X, (X * slopes[np.arange(n) % t]).sum(1) + rng.normal(size=t)[np.arange(n) % t], tasks


def classes(**given):
    X, eta, tasks = rows(**given)
    return X, np.where(eta + np.random.default_rng(9).logistic(size=len(eta)) > 0, "yes", "no"), tasks


def test_the_default_study_of_two_classes():
    X, y, tasks = classes()
    study = compare({"pairwise": MultiTaskClassifier(Pairwise("auto"))}, X, y, tasks, kind="binary", splits=3)
    assert study.methods == ("pairwise", "single", "single_raw", "pooled", "pooled_slopes")
    assert (study.classes, set(study.kinds)) == (("no", "yes"), {"binary"})
    assert (study.metric, study.overall) == ("log_loss", "d2_within")
    assert {"auc", "auc_within", "auc_mean_of_tasks", "brier", "error_rate"} < set(study.scores.metrics)
    assert not {"rmse", "r2"} & set(study.scores.metrics)
    share = {row["method"]: row["d2_within"]["mean"] for row in study.summary()}
    assert share["pooled"] < share["pooled_slopes"]  # levels differ
    assert "log loss" in study.verdict()
    assert "explained deviance within tasks" in study.verdict()
    assert study.delta_m("pairwise").metric == "log_loss"
    for cell in study.cells:
        assert set(np.unique(cell.y)) == {0.0, 1.0}
        assert ((cell.prediction > 0) & (cell.prediction < 1)).all()


@pytest.mark.parametrize(("metric", "whole"), [("auc", "auc_within"), ("d2", "d2_within"), ("brier", "brier")])
def test_one_metric_alone_has_a_verdict(metric, whole):
    X, y, tasks = classes(n=120)
    model, single = MultiTaskClassifier(Pairwise(0.1)), MultiTaskClassifier(Ridge(0.1))
    study = compare({"mine": model}, X, y, tasks, kind="binary", metrics=[metric], baselines={"single": single})
    assert (study.metric, study.overall) == (metric, whole)
    assert study.differences("mine").overall.metric == whole
    assert METRICS[whole].name in study.scores.where(task=ALL).metrics
    assert study.verdict()


def test_cells_hold_the_chances_of_the_second_class():
    X, y, tasks = classes(n=120)
    model = MultiTaskClassifier(Ridge(1.0))
    (split,) = splits.random(repeats=1).draw(np.arange(120), np.unique(tasks, return_inverse=True)[1], 120)
    study = compare({"mine": model}, X, y, tasks, kind="binary", splits=1, baselines=())
    own = MultiTaskClassifier(Ridge(1.0)).fit(X[split.train], y[split.train], tasks[split.train])
    chance = own.predict_proba(X[split.test], tasks[split.test])[:, 1]
    np.testing.assert_allclose(study.cells[0].prediction, chance, rtol=1e-9)
    truth = y[split.test] == "yes"
    for metric, peer in (("log_loss", log_loss), ("brier", lambda y, p: np.mean((p - y) ** 2))):
        assert study.scores.where(task=ALL, metric=metric).value[0] == pytest.approx(peer(truth, chance))
    one = tasks[split.test] == "site 1"
    found = study.scores.where(task="site 1", metric="auc").value[0]
    assert found == pytest.approx(roc_auc_score(truth[one], chance[one]))


@pytest.mark.parametrize("labels", [(False, True), (0, 1), (1.0, 2.0), ("a", "b"), (pd.Timestamp(0), pd.Timestamp(1))])
def test_two_classes_may_be_anything(labels):
    X, y, tasks = classes(n=80)
    given = np.array([labels[int(one == "yes")] for one in y], dtype=object)
    settings = {"kind": "binary", "splits": 1, "baselines": ()}
    model = {"mine": MultiTaskClassifier(Ridge(1.0))}
    found, known = compare(model, X, given, tasks, **settings), compare(model, X, y == "yes", tasks, **settings)
    assert found.classes == labels
    np.testing.assert_array_equal(found.cells[0].prediction, known.cells[0].prediction)


def test_missing_labels_of_columns_in_any_container():
    X, y, _ = classes(n=90)
    frame = pd.DataFrame({"clicked": y, "bought": np.where(X[:, 0] + np.arange(90) % 3 > 1, "yes", "no")}).astype(
        object
    )
    frame.iloc[::5, 1] = None
    model = {"mine": MultiTaskClassifier(Ridge(1.0))}
    settings = {"kind": "binary", "splits": 2, "baselines": ("single", "pooled")}
    study = compare(model, X, frame, **settings)
    assert study.names == ("clicked", "bought")
    assert [task.n for task in study.support] == [90, 72]
    table = compare(model, X, pa.Table.from_pandas(frame), **settings)
    assert table.scores.equals(study.scores)


def test_any_classifier_is_asked_for_its_chances():
    X, y, tasks = classes(n=100)
    grid = {"relation__strength": [0.1, 10.0]}
    models = {
        "plain": LogisticRegression(),
        "piped": make_pipeline(StandardScaler(), MultiTaskClassifier(Ridge(1.0))),
        "searched": GridSearchCV(MultiTaskClassifier(Ridge(1.0)), grid, cv=KFold(2)),
        "mixed model": MultiTaskLinear(dict.fromkeys(set(tasks), "binary"), Ridge(1.0), weighting="sample"),
        "itself": MultiTaskClassifier(Ridge(1.0)),
    }
    study = compare(models, X, y, tasks, kind="binary", splits=1, baselines=())
    cells = {cell.method: cell for cell in study.cells}
    (split,) = splits.random(repeats=1).draw(np.arange(100), np.unique(tasks, return_inverse=True)[1], 100)
    plain = LogisticRegression().fit(X[split.train], y[split.train])
    np.testing.assert_allclose(cells["plain"].prediction, plain.predict_proba(X[split.test])[:, 1], rtol=1e-6)
    for name in ("piped", "mixed model"):  # scaling changes nothing where the model scales
        np.testing.assert_allclose(cells[name].prediction, cells["itself"].prediction, rtol=1e-4)
    assert cells["searched"].prediction.shape == cells["itself"].prediction.shape


def test_a_forest_answers_for_several_columns_and_for_a_class_it_never_saw():
    X, y, _ = classes(n=60)
    Y = np.column_stack([y == "yes", np.arange(60) >= 40]).astype(float)
    study = compare(
        {"forest": RandomForestClassifier(5)},
        X,
        Y,
        kind="binary",
        splits=[(np.arange(30), np.arange(30, 60))],
        baselines=(),
    )
    (cell,) = study.cells
    assert (cell.prediction[cell.code == 1] == 0).all()
    assert cell.prediction[cell.code == 0].max() > 0


def test_the_study_of_counts():
    X, eta, tasks = rows()
    y = np.random.default_rng(1).poisson(np.exp(0.4 * eta))
    models = {
        "pairwise": MultiTaskLinear(dict.fromkeys(set(tasks), "count"), Pairwise("auto")),
        "plain": PoissonRegressor(),
    }
    study = compare(models, X, y, tasks, kind="count", splits=2)
    assert study.methods == ("pairwise", "plain", "single", "single_raw", "pooled", "pooled_slopes")
    assert (study.metric, study.overall) == ("poisson_deviance", "d2_within")
    share = {row["method"]: row["d2_within"]["mean"] for row in study.summary()}
    assert share["pooled_slopes"] > share["pooled"]
    assert "Poisson deviance" in study.verdict()


def test_a_task_that_a_split_lacks_takes_its_kind_along():
    X, eta, _ = rows(n=120)
    rng = np.random.default_rng(2)
    Y = np.column_stack([eta + rng.normal(size=120), eta > 0, rng.poisson(np.exp(0.4 * eta))])
    Y[:80, 1] = np.nan
    kinds = {"price": "regression", "sold": "binary", "visits": "count"}
    frame = pd.DataFrame(Y, columns=list(kinds))
    model = {"mine": MultiTaskLinear(kinds, Pairwise(0.1))}
    both = [(np.arange(80), np.arange(80, 120)), (np.arange(40, 120), np.arange(40))]
    with pytest.warns(UserWarning, match="1 tasks have no training label in some split"):
        study = compare(model, X, frame, kind=kinds, splits=both)
    assert study.methods == ("mine", "single", "single_raw")
    assert (study.metric, study.overall) == ("d2", "d2_mean_of_tasks")
    assert study.scores.where(task="sold", split="given-0").rows() == []
    assert study.scores.where(task="visits", split="given-0", metric="poisson_deviance").value.size == 3
    assert study.scores.where(task=ALL).metrics == ["d2_mean_of_tasks"]
    # The same as groups of rows.
    code = np.tile(np.arange(3), 120)
    flat, seen = Y.ravel(), ~np.isnan(Y.ravel())
    where = [tuple(np.flatnonzero(np.isin(np.arange(360) // 3, side)) for side in pair) for pair in both]
    kept = np.flatnonzero(seen)
    place = [tuple(np.flatnonzero(np.isin(kept, side)) for side in pair) for pair in where]
    of = dict(enumerate(kinds.values()))
    with pytest.warns(UserWarning, match="1 tasks have no training label in some split"):
        long = compare(
            {"mine": MultiTaskLinear(of, Pairwise(0.1))},
            np.repeat(X, 3, 0)[seen],
            flat[seen],
            code[seen],
            kind=of,
            splits=place,
        )
    ours, theirs = (s.scores.where(method="mine", metric="d2_mean_of_tasks").value for s in (long, study))
    np.testing.assert_allclose(ours, theirs, atol=0.05)  # scaled over other rows


def test_another_kind_is_another_study(tmp_path):
    X, y, tasks = classes(n=80)
    done = []
    for kind in ("regression", "binary", "binary"):
        study = compare(
            {"mine": PooledLinear("binary", 1.0)},
            X,
            (y == "yes").astype(float),
            tasks,
            kind=kind,
            splits=1,
            baselines=(),
            folder=tmp_path,
            progress=lambda i, n, finished: done.append(finished.reused),
        )
    assert done == [False, False, True]
    assert set(np.unique(study.cells[0].prediction)) != {0.0, 1.0}


def test_a_rare_class_and_a_constant_one_are_told():
    X, y, tasks = classes(n=160)
    y = np.where(tasks == "site 0", "no", y)
    y[np.flatnonzero(tasks == "site 1")] = np.where(np.arange(40) < 3, "yes", "no")
    with pytest.warns(UserWarning, match="one class only"):
        study = compare({"mine": MultiTaskClassifier(Ridge(1.0))}, X, y, tasks, kind="binary", splits=2, baselines=())
    told = {check.task: check.message for check in study.checks() if check.code == "RT005"}
    assert told["site 0"] == "its labels are all equal, so that explained deviance and auc are not defined."
    assert told["site 1"] == "only 3 labels of its rarer class."
    assert np.isnan(study.scores.where(task="site 0", metric="auc").value).all()
    assert np.isfinite(study.scores.where(task="site 0", metric="log_loss").value).all()


MINE = {"mine": MultiTaskClassifier(Ridge(1.0))}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"y": ["no", "yes", "what"] * 20}, "expects labels of two classes; y holds 3: 'no', 'what', 'yes'"),
        ({"y": [0.5] * 60}, "continuous"),
        ({"y": ["no"] * 60}, "y holds the one class"),
        ({"kind": "ordinal"}, "kind 'ordinal' is unknown; expected one of regression, binary, count, multiclass"),
        ({"kind": {"a": "binary"}}, "kind names no kind for 'b'"),
        ({"kind": {"a": "binary", "b": "count", "c": "count"}}, "kind has no task 'c'"),
        ({"kind": 3}, "kind=3 must be one of"),
        ({"kind": "count", "y": [-1.0, 2.0] * 30}, r"task 'a' \(kind 'count'\): Poisson: y holds -1"),
        ({"metrics": ["rmse"]}, "'rmse' is not one of tasks of kind binary; expected some of log_loss"),
        (
            {"models": {"mine": LinearRegression()}},
            r"model 'mine' \(LinearRegression\) cannot answer for tasks of kind",
        ),
        ({"models": {"mine": MultiTaskRegressor()}}, "it has no predict_mean or predict_proba"),
        ({"kind": {"a": "binary", "b": "count"}, "y": [0, 1, 1] * 20}, "mixed: it has no predict_mean"),
    ],
)
def test_bad_input(change, match):
    X, y, _ = classes(n=60)
    y, tasks = (y == "yes") * 1.0, np.array(["a", "b"])[np.arange(60) % 2]
    good = {"models": MINE, "X": X, "y": y, "tasks": tasks, "kind": "binary", "splits": 1, "baselines": ()}
    with pytest.raises(InputError, match=match):
        compare(**(good | change))


def test_predictions_that_are_no_chances_are_refused():
    X, _, _ = classes(n=60)
    numbers = MultiTaskLinear(["regression"], Ridge(1e-3))
    with pytest.raises(InputError, match="method 'mine', split 'random-0', seed 0: predicted chances must lie between"):
        compare({"mine": numbers}, X, X[:, 0] > 0, kind="binary", splits=1, baselines=())
    with pytest.raises(InputError, match="predicted mean counts must be >= 0"):
        compare({"mine": LinearRegression()}, X, np.maximum(X[:, 0], 0), kind="count", splits=1, baselines=())


def test_a_classifier_that_fails_is_named_with_its_cell():
    X, y, _ = classes(n=60)
    Y = np.column_stack([y == "yes", y == "no"]) * 1.0
    Y[0, 0] = np.nan
    with pytest.raises(CellError, match="method 'plain', split 'random-0', seed 0"):
        compare({"plain": LogisticRegression()}, X, Y, kind="binary", splits=1, baselines=())


@needs_data
def test_tox21_s_twelve_assays_with_missing_labels():
    data = load("tox21")
    rows = np.arange(0, len(data.y), 8)
    letters = sorted({letter for (smiles,) in data.X[rows] for letter in smiles})
    X = np.log1p([[smiles.count(letter) for letter in letters] for (smiles,) in data.X[rows]])
    y = pd.DataFrame(data.y[rows], columns=list(data.targets))
    model = MultiTaskClassifier(Pairwise(0.01) + Ridge(0.1))
    study = compare(
        {"pairwise": model}, X, y, kind="binary", splits=2, baselines={"single": MultiTaskClassifier(Ridge(0.1))}
    )
    assert len(study.tasks) == 12
    assert sum(task.n for task in study.support) == int(np.isfinite(data.y[rows]).sum())
    summary = {row["method"]: row for row in study.summary()}
    # DeepChem's logistic regression on fingerprints and all rows has .735; these are letters, on an eighth.
    assert summary["pairwise"]["auc_mean_of_tasks"]["mean"] > 0.65
    assert 0.03 < summary["pairwise"]["d2_within"]["mean"] < summary["pairwise"]["auc_mean_of_tasks"]["mean"]
    assert "explained deviance within tasks" in study.verdict()


@needs_data
def test_hillstrom_s_funnel_is_a_study_of_several_kinds():
    data = load("hillstrom")
    rows = np.arange(0, len(data.y), 32)
    X = np.array([[float(value) for value in row if not isinstance(value, str)] for row in data.X[rows].tolist()])
    y = pd.DataFrame(data.y[rows], columns=list(data.targets))
    kinds = {"visit": "binary", "conversion": "binary", "spend": "regression"}
    study = compare({"mine": MultiTaskLinear(kinds, Ridge(0.1))}, X, y, kind=kinds, splits=2, baselines=())
    assert set(study.scores.where(task="spend").metrics) >= {"rmse", "d2"}
    assert "auc" in study.scores.where(task="visit").metrics
    assert METRICS[study.overall].share
    assert np.isfinite(study.scores.where(task="visit", metric="auc").value).all()
    assert Path(os.environ["RELATASK_DATA"]).is_dir()
