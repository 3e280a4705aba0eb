"""Studies of targets with several classes: alone, beside other kinds, resumed, with missing labels, and bad input."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from relatask.linear import MultiTaskClassifier
from relatask.measure import ALL
from relatask.notices import InputError
from relatask.relations import Pairwise, Ridge
from relatask.study import compare
from relatask.study.by_kind import LinearByKind

WORDS = np.array(["low", "middle", "top"], dtype=object)


def rows(n=240, seed=0):
    """X, a number, two classes and three classes that follow from it, a fifth of each missing."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    eta = X @ [1.5, -1.0, 0.0]
    level = np.digitize(eta + 0.5 * rng.logistic(size=n), [-0.8, 0.8])
    frame = pd.DataFrame(
        {"number": eta + rng.normal(size=n), "sold": (eta + rng.logistic(size=n) > 0).astype(float)}
    ).astype(object)
    frame["level"] = WORDS[level]
    for k in range(3):
        frame.iloc[k::5, k] = None
    return X, frame, level


def test_groups_of_one_target_with_several_classes():
    X, frame, _ = rows()
    tasks = np.array(["north", "south"])[np.arange(240) % 2]
    study = compare({"mine": MultiTaskClassifier(Pairwise(0.1))}, X, frame["level"], tasks, kind="multiclass", splits=2)
    assert study.methods == ("mine", "single", "single_raw")
    assert study.classes == ("low", "middle", "top")
    assert (study.metric, study.overall) == ("log_loss", "d2_within")
    cell = study.cells[0]
    assert cell.prediction.shape == (len(cell.y), 3)
    np.testing.assert_allclose(cell.prediction.sum(1), 1)
    expected = log_loss(cell.y.astype(int), cell.prediction, labels=[0, 1, 2])
    found = study.scores.where(method="mine", split=cell.split, task=ALL, metric="log_loss").value[0]
    assert found == pytest.approx(expected)
    assert study.summary(["d2_within"])[0]["d2_within"]["mean"] > 0.3
    assert "log loss" in study.verdict()
    table = study.predictions("mine")
    assert table.column_names[-4:] == ["prediction", "chance 0", "chance 1", "chance 2"]
    assert set(table["prediction"].to_pylist()) <= {0.0, 1.0, 2.0}


def test_beside_numbers_and_two_classes_the_labels_are_text():
    X, frame, _ = rows()
    kinds = {"number": "regression", "sold": "binary", "level": "multiclass"}
    models = {"linear": LinearByKind(kinds)}
    study = compare(models, X, pa.Table.from_pandas(frame), kind=kinds, splits=2)
    assert study.methods == ("linear", "single", "single_raw")
    assert study.kinds == ("regression", "binary", "multiclass")
    assert (study.metric, study.overall) == ("d2", "d2_mean_of_tasks")
    assert [task.n for task in study.support] == [192, 192, 192]
    scored = {(t, m) for t, m in zip(study.scores.task, study.scores.metric, strict=True)}
    assert {("number", "rmse"), ("sold", "auc"), ("level", "log_loss"), ("level", "error_rate")} < scored
    assert ("number", "log_loss") not in scored
    assert ("level", "auc") not in scored
    d2 = study.scores.where(method="linear", metric="d2").value
    assert (d2 > 0.1).all()
    named = study.predictions("linear").to_pandas()
    assert named.loc[named.task == "number", "chance 0"].isna().all()
    whole = compare(models, X, frame, kind=kinds, splits=2)
    assert whole.scores.equals(study.scores)


def test_one_split_has_bootstrap_intervals_for_all_kinds():
    X, frame, _ = rows()
    kinds = {"number": "regression", "sold": "binary", "level": "multiclass"}
    study = compare({"linear": LinearByKind(kinds)}, X, frame, kind=kinds, splits=1, baselines=("single",))
    found = study.differences("linear")
    assert [row.task for row in found.tasks] == ["number", "sold", "level"]
    assert all(row.low <= row.difference <= row.high for row in found.tasks)
    assert study.delta_m("linear").metric == "deviance"


def test_cells_go_on_where_a_study_stopped(tmp_path):
    X, frame, _ = rows()
    kinds = {"number": "regression", "sold": "binary", "level": "multiclass"}
    settings = {"kind": kinds, "splits": 2, "baselines": (), "folder": tmp_path}
    first = compare({"linear": LinearByKind(kinds)}, X, frame, **settings)
    reused = []
    second = compare(
        {"linear": LinearByKind(kinds)}, X, frame, **settings, progress=lambda done, total, it: reused.append(it.reused)
    )
    assert reused == [True, True]
    assert second.scores.equals(first.scores)
    np.testing.assert_array_equal(second.cells[0].prediction, first.cells[0].prediction)


def test_any_classifier_says_its_chances_and_unseen_classes_have_none():
    X, frame, _ = rows()
    y = frame["level"].where(~(frame["level"] == "top") | (np.arange(240) >= 200))
    train, test = np.arange(180), np.arange(180, 240)
    study = compare(
        {"plain": LogisticRegression()},
        X,
        y.to_frame(),
        kind="multiclass",
        splits=[(train[y[:180].notna()], test)],
        baselines=(),
    )
    (cell,) = study.cells
    assert (cell.prediction[:, 2] == 0).all()  # "top" was in no training row
    assert (cell.y == 2).any()


def test_a_task_without_training_labels_is_left_out_of_its_split():
    X, frame, _ = rows()
    frame.iloc[:160, 2] = None
    kinds = {"number": "regression", "sold": "binary", "level": "multiclass"}
    model = {"linear": LinearByKind(kinds)}
    with pytest.warns(UserWarning, match="no training label"):
        study = compare(model, X, frame, kind=kinds, splits=[(np.arange(160), np.arange(160, 240))], baselines=())
    assert set(study.scores.task) == {"number", "sold", ALL}


def test_linear_by_kind_is_its_parts():
    X, frame, level = rows()
    y = np.column_stack([frame["number"].astype(float), level])
    seen = ~np.isnan(y[:, 0])
    model = LinearByKind(["regression", "multiclass"], related=False).fit(X, y)
    own = MultiTaskClassifier(Ridge("auto")).fit(X, level)
    np.testing.assert_allclose(model.predict_proba(X)[1], own.predict_proba(X))
    np.testing.assert_allclose(model.predict_mean(X)[:, 1], own.predict_proba(X) @ [0, 1, 2])
    assert seen.sum() == 192
    np.testing.assert_array_equal(model.predict(X)[:, 1], own.predict(X))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"level": np.arange(240) / 2}, r"task 'level' \(kind 'multiclass'\): labels hold 0.5"),
        ({"level": np.zeros(240) - 1}, r"labels hold -1; expected the classes as whole numbers"),
    ],
)
def test_bad_labels(change, match):
    X, frame, _ = rows()
    kinds = {"number": "regression", "level": "multiclass"}
    data = frame[["number"]].assign(**change).astype(float)
    with pytest.raises(InputError, match=match):
        compare({"linear": LinearByKind(kinds)}, X, data, kind=kinds)


def test_a_model_without_chances_is_refused():
    from sklearn.linear_model import RidgeClassifier

    X, frame, _ = rows(60)
    with pytest.raises(InputError, match="kind multiclass: it has no predict_proba"):
        compare({"plain": RidgeClassifier()}, X, frame[["level"]], kind="multiclass", baselines=())
    with pytest.raises(InputError, match="2 kinds for 1 columns"):
        LinearByKind(["binary", "binary"]).fit(X, np.arange(60) % 2)
