"""Whole commands on small tables: from a table to a report, and back to predictions."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

import relatask
from relatask.cli.main import run
from relatask.data import read_table, write_table
from relatask.measure import Scores
from relatask.report import RunRecord

FILES = {
    "config.resolved.yaml",
    "env.json",
    "data.json",
    "scores.parquet",
    "predictions",
    "linear.json",
    "linear.npz",
    "encoder.json",
    "record.json",
    "cells",
    "baseline",
    "report.html",
    "report.md",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with diabetes.csv, its configuration, and the run runs/diabetes."""
    folder = tmp_path_factory.mktemp("cli")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["data", "diabetes", "--output", "diabetes.csv"]) == 0
        assert run(["init", "diabetes.csv", "--target", "progression", "--by", "group"]) == 0
        assert run(["train", "diabetes.yaml", "-o", "data.split.repeats=3"]) == 0
    return folder


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    """A fresh folder with the same table and configuration, as the current one."""
    for name in ("diabetes.csv", "diabetes.yaml"):
        shutil.copy(trained / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def out(capsys):
    return json.loads(capsys.readouterr().out)


def test_a_run_folder_holds_everything(trained):
    assert {path.name for path in (trained / "runs" / "diabetes").iterdir()} == FILES


def test_the_outcome_is_told_in_words(here, capsys):
    assert run(["train", "diabetes.yaml", "-o", "data.split.repeats=2"]) == 0
    told = capsys.readouterr()
    assert "Pairwise (the model)" in told.out
    assert "explained variance within" in told.out
    assert "tasks" in told.out
    assert "Report: runs/diabetes/report.html" in told.out
    assert "Pairwise on random-0" in told.err
    assert "\x1b" not in told.out + told.err


def test_json_says_the_same_as_the_record(here, capsys):
    assert run(["train", "diabetes.yaml", "--json", "-o", "data.split.repeats=2"]) == 0
    found = out(capsys)
    record = RunRecord.load(here / "runs" / "diabetes" / "record.json")
    assert found["model"] == record.main.name == "Pairwise"
    assert found["verdict"] == "\n\n".join(record.verdict)
    assert len(found["tasks"]) == len(record.tasks) == 6
    assert record.relation is not None
    assert np.allclose(np.diag(np.array(record.relation.values, dtype=float)), 1)


def test_the_resolved_configuration_gives_the_same_scores(trained, tmp_path):
    again = tmp_path / "again"
    assert run(["train", str(trained / "runs/diabetes/config.resolved.yaml"), "--output", str(again)]) == 0
    first = Scores.load(trained / "runs/diabetes/scores.parquet")
    assert Scores.load(again / "scores.parquet").equals(first)


def test_an_interrupted_run_ends_with_the_result_it_would_have_had(trained, here, capsys, monkeypatch):
    from relatask.cli.live import LiveTable

    seen = LiveTable.__call__

    def interrupted(self, done, total, finished):
        seen(self, done, total, finished)
        if done == 7:
            raise KeyboardInterrupt

    arguments = ["train", "diabetes.yaml", "-o", "data.split.repeats=3"]
    with monkeypatch.context() as patch:
        patch.setattr(LiveTable, "__call__", interrupted)
        patch.setattr(sys, "argv", ["relatask", *arguments])
        assert run(arguments) == 130
    said = capsys.readouterr().err
    assert "7 fits of 15 done and kept. To go on: relatask train diabetes.yaml" in said
    assert "--resume" in said
    cells = here / "runs" / "diabetes" / "cells"
    kept = {path: path.stat().st_mtime_ns for path in cells.iterdir()}
    assert run([*arguments, "--resume"]) == 0
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    whole = trained / "runs" / "diabetes"
    assert Scores.load(here / "runs/diabetes/scores.parquet").equals(Scores.load(whole / "scores.parquet"))
    ours, theirs = (RunRecord.load(folder / "record.json") for folder in (here / "runs/diabetes", whole))
    assert ours.coefficients == theirs.coefficients
    assert ours.verdict == theirs.verdict


def test_resume_refuses_another_configuration(here, capsys):
    assert run(["train", "diabetes.yaml", "-o", "data.split.repeats=2"]) == 0
    assert run(["train", "diabetes.yaml", "--resume", "-o", "model.relation.name=TraceNorm"]) == 2
    assert "begun with another configuration" in capsys.readouterr().err


def test_overwrite_replaces_a_run_and_leaves_other_files(here):
    assert run(["train", "diabetes.yaml", "-o", "data.split.repeats=2"]) == 0
    (here / "runs" / "diabetes" / "notes.txt").write_text("mine")
    assert (
        run(["train", "diabetes.yaml", "--overwrite", "-o", "data.split.repeats=2", "-o", "model.intercept=tied"]) == 0
    )
    assert (here / "runs" / "diabetes" / "notes.txt").read_text() == "mine"
    assert RunRecord.load(here / "runs/diabetes/record.json").main.name == "Pairwise (tied intercepts)"


def test_dry_runs_write_nothing(here, capsys):
    before = sorted(here.iterdir())
    assert run(["train", "diabetes.yaml", "--dry-run"]) == 0
    assert run(["compare", "diabetes.yaml", "-m", "Pairwise", "--output", "c", "--dry-run"]) == 0
    assert run(["data", "diabetes", "--output", "other.csv", "--dry-run"]) == 0
    assert run(["init", "diabetes.csv", "-t", "progression", "--output", "other.yaml", "--dry-run"]) == 0
    assert sorted(here.iterdir()) == before
    assert "version: 1" in capsys.readouterr().out


def test_check_finds_nothing_wrong(trained, capsys):
    assert run(["check", str(trained / "diabetes.yaml"), "--json"]) == 0
    found = out(capsys)
    assert found["problems"] == []
    assert sum(row["labels"] for row in found["support"]) == 442
    assert found["cost"]["fits"] == 50


def test_check_finds_leaks_copies_and_few_labels(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    a = random.normal(size=60)
    few = np.where(np.arange(60) < 4, a**2, np.nan)
    write_table({"x": random.normal(size=60), "leak": 3 * a + 1, "a": a, "b": 2 * a, "few": few}, "t.csv")
    assert run(["init", "t.csv", "-t", "a,b", "-t", "few"]) == 0
    assert "'leak' follows in a straight line" in capsys.readouterr().out
    assert run(["check", "t.yaml"]) == 1
    said = capsys.readouterr().out
    assert "RT008" in said
    assert "features.exclude: [leak]" in said
    assert "Keep one of the two" in said
    assert "RT005" in said
    assert "rows with both labels" in said


def test_predict_writes_rows_and_chosen_tasks(trained, tmp_path, capsys):
    folder, table = str(trained / "runs/diabetes"), str(trained / "diabetes.csv")
    whole, part = tmp_path / "p.parquet", tmp_path / "p.csv"
    assert run(["predict", folder, "--data", table, "-o", str(whole)]) == 0
    assert "rows per second" in capsys.readouterr().out
    assert pq.read_table(whole).num_rows == 442
    task = pq.read_table(whole).column("group").to_pylist()[0]
    assert run(["predict", folder, "--data", table, "-o", str(part), "--tasks", task]) == 0
    assert set(read_table(part).column("group").to_pylist()) == {task}
    assert "," in task
    assert run(["predict", folder, "--data", table, "-o", str(whole), "--overwrite", "--json"]) == 0


def test_predictions_are_those_of_the_library(trained, tmp_path):
    from relatask.linear import MultiTaskRegressor
    from relatask.relations import Pairwise

    run(
        [
            "predict",
            str(trained / "runs/diabetes"),
            "--data",
            str(trained / "diabetes.csv"),
            "-o",
            str(tmp_path / "p.csv"),
        ]
    )
    found = np.array(read_table(tmp_path / "p.csv").column("prediction"))
    data = relatask.load("diabetes")
    model = MultiTaskRegressor(Pairwise("auto")).fit(data.X.astype(float), data.y, tasks=data.tasks)
    assert np.allclose(found, model.predict(data.X.astype(float), tasks=data.tasks), rtol=1e-9)


def test_evaluate_gives_intervals_and_warns_of_training_rows(trained, capsys):
    arguments = ["evaluate", str(trained / "runs/diabetes"), "--data", str(trained / "diabetes.csv")]
    assert run([*arguments, "--bootstrap", "50", "--json"]) == 0
    told = capsys.readouterr()
    assert "these scores flatter it" in told.err
    rows = json.loads(told.out)["scores"]
    assert {row["task"] for row in rows} >= {"(all tasks)"}
    assert all(row["low"] < row["value"] < row["high"] for row in rows if row["n"] > 1)
    assert run([*arguments, "--bootstrap", "20"]) == 0
    assert "explained_variance_within" in capsys.readouterr().out


def test_compare_says_whether_anything_beats_single(here, capsys):
    arguments = [
        "compare",
        "diabetes.yaml",
        "--methods",
        "Pairwise,TraceNorm,Pairwise(intercept=tied)",
        "--repeats",
        "2",
    ]
    assert run([*arguments, "--json", "--output", "both"]) == 0
    found = out(capsys)
    names = [row["method"] for row in found["methods"]]
    assert names == [
        "Pairwise",
        "TraceNorm",
        "Pairwise(intercept=tied)",
        "single",
        "single_raw",
        "pooled",
        "pooled_slopes",
    ]
    assert "eyond noise" in found["verdict"]
    assert (here / "both" / "report.html").exists()
    assert run([*arguments, "--output", "both", "--resume"]) == 0
    assert "delta-m" in capsys.readouterr().out


def test_report_renders_again(trained, capsys):
    page = trained / "runs" / "diabetes" / "report.html"
    before = page.read_bytes()
    page.unlink()
    assert run(["report", str(trained / "runs/diabetes")]) == 0
    assert page.read_bytes() == before


def test_tasks_in_columns_with_holes_text_and_missing_inputs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    x, city = random.normal(size=120), random.choice(["Oslo", "Rome", "Bonn"], size=120)
    price = x + (city == "Rome") + 0.1 * random.normal(size=120)
    sold = np.where(random.random(120) < 0.3, np.nan, 0.5 * x + 0.1 * random.normal(size=120))
    table = {"x": np.where(random.random(120) < 0.1, np.nan, x), "city": city, "price": price, "sold": sold}
    write_table({**table, "name": [f"house {i}" for i in range(120)]}, "houses.parquet")
    assert run(["init", "houses.parquet", "-t", "price,sold", "--json"]) == 0
    assert out(capsys)["excluded"] == {"name": "differs in most rows, like a name"}
    assert (
        run(["train", "houses.yaml", "-o", "data.split={kind: kfold, k: 3}", "-o", "model.relation=SharedSparsity"])
        == 0
    )
    record = RunRecord.load("runs/houses/record.json")
    assert record.tasks == ("price", "sold")
    assert "x (missing)" in record.coefficients.features
    assert run(["predict", "runs/houses", "--data", "houses.parquet", "-o", "p.csv", "--tasks", "sold"]) == 0
    assert read_table("p.csv").column_names == ["row", "sold"]
    assert run(["evaluate", "runs/houses", "--data", "houses.parquet", "--bootstrap", "20", "--json"]) == 0
    assert (
        run(["train", "houses.yaml", "--output", "graph", "-o", "model.relation={name: Chain, order: [sold, price]}"])
        == 0
    )


def test_one_task_is_told_by_one_metric(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(2)
    x = random.normal(size=60)
    write_table({"x": x, "z": random.normal(size=60), "a": x + random.normal(size=60)}, "t.csv")
    assert run(["init", "t.csv", "-t", "a"]) == 0
    assert run(["train", "t.yaml", "-o", "data.split.repeats=2"]) == 0
    for found in RunRecord.load("runs/t/record.json").differences:
        (task,) = found.tasks
        assert (task.metric, found.overall.metric) == ("r2", "r2_mean_of_tasks")
        assert (task.difference, task.verdict) == (found.overall.difference, found.overall.verdict)


def test_group_and_time_splits_follow_a_column(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(2)
    x = random.normal(size=90)
    table = {"x": x, "day": np.arange(90), "who": np.arange(90) % 9, "a": x, "b": -x + random.normal(size=90)}
    write_table(table, "t.csv")
    assert run(["init", "t.csv", "-t", "a,b"]) == 0
    for kind, column in (("group", "who"), ("time", "day")):
        change = f"data.split={{kind: {kind}, column: {column}, k: 3}}"
        assert (
            run(["train", "t.yaml", "-o", change, "--output", kind, "--jobs", "1", "-o", "features.exclude=[day, who]"])
            == 0
        )
        assert RunRecord.load(f"{kind}/record.json").coefficients.features == ("x",)
    capsys.readouterr()


@pytest.mark.parametrize("arguments", [["methods"], ["methods", "Pairwise"], ["methods", "single"], ["schema"]])
def test_catalogues_print(arguments, capsys):
    assert run(arguments) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["methods", "--json"], ["methods", "TraceNorm", "--json"], ["data", "--json"]])
def test_catalogues_as_json(arguments, capsys):
    assert run(arguments) == 0
    assert out(capsys)


def test_doctor_is_well(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("RELATASK_CACHE", str(tmp_path))
    assert run(["doctor", "--json"]) == 0
    found = out(capsys)
    assert found["self_test"]["passed"]
    assert found["problems"] == []
    assert run(["doctor"]) == 0
    assert "All is well." in capsys.readouterr().out


def test_help_and_version_load_no_heavy_module():
    code = (
        "import sys; from relatask.cli.main import run\n"
        "for arguments in (['--help'], ['train', '--help'], ['--version']): assert run(arguments) == 0\n"
        "heavy = {'torch', 'matplotlib', 'numba', 'sklearn', 'scipy', 'pandas', 'numpy', 'pyarrow'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert relatask.__version__ in done.stdout
    assert "Audit the data" in done.stdout


def test_python_m_runs_the_command():
    done = subprocess.run([sys.executable, "-m", "relatask", "trian"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'Did you mean "train"?' in done.stderr
    assert "Traceback" not in done.stderr
