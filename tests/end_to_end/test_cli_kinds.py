"""Whole commands on tables of two classes, of counts, and of several kinds."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import yaml

from relatask.cli.extra import missing
from relatask.cli.main import run
from relatask.data import read_table, write_table
from relatask.linear import MultiTaskClassifier
from relatask.measure import ALL, Scores
from relatask.relations import Pairwise
from relatask.report import RunRecord

FAST = ["-o", "data.split.repeats=2", "-o", "model.relation.strength=0.1"]


def shop(n=240):
    """Columns of a table: three inputs, a region, and targets of every kind."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, n))
    region, colour = rng.choice(["east", "north", "west"], n), rng.choice(["red", "blue"], n)
    eta = x - 0.5 * z + (region == "west") + 0.4 * (colour == "red")
    noisy = rng.logistic(size=(3, n)) + eta > 0
    left = np.where(noisy[0], "yes", "no").astype(object)
    left[::11] = None
    return {
        "x": x,
        "z": z,
        "colour": colour,
        "region": region,
        "left": list(left),
        "clicked": noisy[1],
        "bought": [None if i % 9 == 0 else int(value) for i, value in enumerate(noisy[2])],
        "spent": 5 * eta + rng.normal(size=n),
        "visits": rng.poisson(np.exp(0.5 * eta)),
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with churn.csv and its run, a task a region."""
    folder = tmp_path_factory.mktemp("kinds")
    table = shop()
    write_table({name: table[name] for name in ("x", "z", "colour", "region", "left")}, folder / "churn.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["init", "churn.csv", "--target", "left", "--by", "region"]) == 0
        assert run(["train", "churn.yaml", *FAST]) == 0
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A fresh folder with shop.csv, as the current one."""
    monkeypatch.chdir(tmp_path)
    write_table(shop(), "shop.csv")
    return tmp_path


def test_init_proposes_two_classes_for_text_truth_and_zero_one(here, capsys):
    assert run(["init", "shop.csv", "-t", "left,clicked,bought,spent,visits", "--json"]) == 0
    found = {row["task"]: row for row in json.loads(capsys.readouterr().out)["tasks"]}
    assert {name: row["kind"] for name, row in found.items()} == {
        **dict.fromkeys(("left", "clicked", "bought"), "binary"),
        **dict.fromkeys(("spent", "visits"), "regression"),
    }
    assert [found[name]["classes"] for name in ("left", "clicked", "bought")] == [["no", "yes"], [False, True], [0, 1]]
    text = (here / "shop.yaml").read_text()
    config = yaml.safe_load(text)
    assert config["baselines"] == ["single", "single_raw"]
    assert config["tasks"]["left"]["metrics"] == ["d2", "log_loss", "auc"]
    assert "218 labels, no or yes" in text


def test_three_words_are_for_networks_and_other_pairs_of_numbers_are_no_classes(here, capsys):
    table = {**shop(), "grade": list(np.random.default_rng(0).choice(["a", "b", "c"], 240)), "sex": [1, 2] * 120}
    write_table(table, "more.csv")
    if missing():
        assert run(["init", "more.csv", "-t", "grade"]) == 2
        assert "holds text" in capsys.readouterr().err
    else:
        assert run(["init", "more.csv", "-t", "grade"]) == 0
        text = (here / "more.yaml").read_text()
        assert "kind: multiclass, target: grade" in text
        assert "kind: mlp" in text
        assert run(["check", "more.yaml", "-o", "model={kind: linear}"]) == 2
        assert "tasks.grade.kind: multiclass is for networks here" in capsys.readouterr().err
    assert run(["init", "more.csv", "-t", "sex", "--overwrite"]) == 0
    assert "kind: regression, target: sex" in (here / "more.yaml").read_text()
    # But they may be called so.
    assert run(["train", "more.yaml", "-o", "tasks={sex: {kind: binary}}", *FAST]) == 0
    assert RunRecord.load("runs/more/record.json").data.labels == "two classes, 1 (0) or 2 (1)"


def test_the_run_tells_its_outcome_by_log_loss_and_explained_deviance(trained, capsys):
    record = RunRecord.load(trained / "runs/churn/record.json")
    assert (record.kind, record.data.labels) == ("binary", "two classes, no (0) or yes (1)")
    assert {found.metric for found in record.differences} == {"log_loss"}
    assert {found.overall.metric for found in record.differences} == {"d2_within"}
    assert any("logistic ridge" in method.description for method in record.methods)
    page = (trained / "runs/churn/report.html").read_text()
    for words in ("Explained deviance within tasks", "Share of class 1", "log-odds of class 1", "AUC, mean of tasks"):
        assert words in page
    scores = Scores.load(trained / "runs/churn/scores.parquet")
    assert {"single", "single_raw", "pooled", "pooled_slopes"} < set(scores.methods)


def test_check_tells_classes_and_rare_ones(trained, tmp_path, monkeypatch, capsys):
    assert run(["check", str(trained / "churn.yaml")]) == 0
    assert "Two classes: left is no (0) or yes (1)." in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    table = shop()
    order = np.argsort(table["region"] != "east", kind="stable")
    region = np.asarray(table["region"])[order]
    rare = np.where(region == "east", np.where(np.arange(240) < 3, "yes", "no"), np.where(table["x"] > 0, "yes", "no"))
    write_table({"x": table["z"], "z": table["x"] ** 2, "region": region, "left": rare}, "t.csv")
    assert run(["init", "t.csv", "-t", "left", "--by", "region"]) == 0
    assert run(["check", "t.yaml"]) == 1
    told = capsys.readouterr().out
    assert "1 task with fewer than 5 labels of the rarer class (east); the fewest are 3, of east" in told


def test_predictions_are_classes_and_their_chances(trained, tmp_path):
    out = tmp_path / "p.csv"
    assert run(["predict", str(trained / "runs/churn"), "--data", str(trained / "churn.csv"), "-o", str(out)]) == 0
    found = read_table(out)
    assert found.column_names == ["row", "region", "prediction", "chance of yes"]
    table = shop()
    X = np.column_stack([table["x"], table["z"], np.asarray(table["colour"]) == "red"]).astype(float)
    own = MultiTaskClassifier(Pairwise(0.1)).fit(X, np.array(table["left"], dtype=object), table["region"])
    chance = own.predict_proba(X, table["region"])[:, 1]
    np.testing.assert_allclose(found.column("chance of yes").to_numpy(), chance, atol=1e-5)
    assert found.column("prediction").to_pylist() == np.where(chance > 0.5, "yes", "no").tolist()


def test_evaluate_reads_the_classes_of_the_run(trained, tmp_path, capsys):
    arguments = ["evaluate", str(trained / "runs/churn"), "--bootstrap", "30", "--json", "--data"]
    assert run([*arguments, str(trained / "churn.csv")]) == 0
    whole = json.loads(capsys.readouterr().out)["scores"]
    assert {row["metric"] for row in whole if row["task"] == ALL} == {"d2_within", "log_loss", "auc_mean_of_tasks"}
    assert {row["metric"] for row in whole if row["task"] == "east"} == {"d2", "log_loss", "auc"}
    table = {name: shop()[name] for name in ("x", "z", "colour", "region", "left")}
    # Of one class only: it keeps its meaning.
    keep = [i for i, one in enumerate(table["left"]) if one == "yes"]
    write_table({name: [column[i] for i in keep] for name, column in table.items()}, tmp_path / "yes.csv")
    assert run([*arguments, str(tmp_path / "yes.csv")]) == 0
    ones = {(row["task"], row["metric"]): row["value"] for row in json.loads(capsys.readouterr().out)["scores"]}
    assert ones[ALL, "auc_mean_of_tasks"] is None
    assert ones[ALL, "log_loss"] < 0.7
    write_table({**table, "left": ["maybe"] * 240}, tmp_path / "other.csv")
    assert run([*arguments, str(tmp_path / "other.csv")]) == 2
    assert "holds 'maybe'; the run was trained on the classes 'no', 'yes'" in capsys.readouterr().err


def test_several_kinds_in_one_run(here, capsys):
    assert run(["init", "shop.csv", "-t", "left,bought,spent"]) == 0
    change = ["-o", "tasks.visits={kind: count}", "-o", "features.exclude=[region, clicked]"]
    assert run(["check", "shop.yaml", *change]) == 0
    assert run(["train", "shop.yaml", *change, *FAST]) == 0
    told = capsys.readouterr().out
    assert "explained deviance mean of tasks, %" in told
    record = RunRecord.load("runs/shop/record.json")
    assert record.kind == "mixed"
    assert record.data.labels == "left: no (0) or yes (1); bought: 0 or 1; spent: numbers; visits: counts"
    assert {row.metric for row in record.overall} == {"d2_mean_of_tasks"}
    assert run(["predict", "runs/shop", "--data", "shop.csv", "-o", "p.csv", "--tasks", "left,visits,spent"]) == 0
    found = read_table("p.csv")
    assert found.column_names == ["row", "left", "left, chance of yes", "visits", "spent"]
    assert found.column("visits").to_numpy().min() > 0
    assert run(["evaluate", "runs/shop", "--data", "shop.csv", "--bootstrap", "20", "--json"]) == 0
    capsys.readouterr()
    assert (
        run(["compare", "shop.yaml", "-m", "Pairwise(strength=0.1),Ridge(strength=0.1)", "--repeats", "2", *change])
        == 0
    )
    assert "delta-m" in capsys.readouterr().out
    assert run(["train", "shop.yaml", *change, *FAST, "--resume"]) == 0


def test_counts_by_group(here, capsys):
    assert run(["init", "shop.csv", "-t", "visits", "--by", "region"]) == 0
    change = ["-o", "tasks={visits: {kind: count}}", "-o", "features.include=[x, z, colour]"]
    capsys.readouterr()
    assert run(["train", "shop.yaml", *change, *FAST, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["metric"], found["overall_metric"]) == ("poisson_deviance", "d2_within")
    assert run(["predict", "runs/shop", "--data", "shop.csv", "-o", "p.csv"]) == 0
    assert read_table("p.csv").column_names == ["row", "region", "prediction"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["tasks={spent: {kind: binary}}"], "'spent' is of kind binary and holds 240 different values"),
        (["tasks={spent: {kind: count}}"], "counts are >= 0. For numbers write kind: regression"),
        (["tasks={left: {kind: regression}}"], "numbers are expected"),
        (["tasks={region: {kind: binary}}"], "holds 3 different values, such as 'east', 'north', 'west'"),
    ],
)
def test_targets_that_are_not_of_their_kind(here, capsys, changes, words):
    assert run(["init", "shop.csv", "-t", "visits"]) == 0
    capsys.readouterr()
    assert run(["train", "shop.yaml", *(word for change in changes for word in ("-o", change))]) == 2
    assert words in capsys.readouterr().err


def test_a_damaged_data_file_is_named(trained, tmp_path, capsys):
    shutil.copytree(trained / "runs/churn", tmp_path / "run")
    (tmp_path / "run" / "data.json").write_text("{")
    assert (
        run(["predict", str(tmp_path / "run"), "--data", str(trained / "churn.csv"), "-o", str(tmp_path / "p.csv")])
        == 2
    )
    assert "data.json is damaged or absent" in capsys.readouterr().err
