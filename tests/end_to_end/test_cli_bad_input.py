"""What a person can do wrong: one clear message, exit code 2, no traceback, and nothing changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from relatask.cli.main import run
from relatask.data import write_table


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a good table and a trained run, and many tables that are bad."""
    folder = tmp_path_factory.mktemp("bad")
    random = np.random.default_rng(0)
    x, z = random.normal(size=(2, 60))
    school = np.repeat([1, 2, 3], 20)
    good = {"x": x, "z": z, "school": school, "score": x + school + 0.1 * random.normal(size=60)}
    first = np.arange(60) == 0
    write_table(good, folder / "good.csv")
    write_table({**good, "x": np.where(first, np.inf, x)}, folder / "inf.parquet")
    write_table({**good, "x": np.where(first, np.nan, x)}, folder / "nan.csv")
    write_table({**good, "score": np.full(60, np.nan)}, folder / "empty_y.parquet")
    write_table({**good, "score": np.where(school == 2, np.nan, x)}, folder / "no_labels.csv")
    write_table({**good, "score": ["high"] * 60}, folder / "words.csv")
    write_table({**good, "school": np.where(first, 9, school)}, folder / "foreign.csv")
    write_table({**good, "x": ["text"] * 60}, folder / "text_x.csv")
    site = [None, None] + ["u", "v"] * 29
    write_table({**good, "site": site}, folder / "holes_group.parquet")
    write_table({**good, "when": np.where(first, np.nan, np.arange(60))}, folder / "holes_time.parquet")
    write_table({**good, "when": [f"{k % 28 + 1:02}/02/2024" for k in range(60)]}, folder / "text_time.csv")
    write_table({**good, "city": ["(all tasks)", "b"] * 30}, folder / "all_tasks.csv")
    write_table({**good, "school": ["Rome, IT", 'O"slo'] * 30}, folder / "cities.csv")
    write_table({"a": [1.0, 0.0], "b": [0.0, 1.0]}, folder / "two.csv")
    (folder / "ragged.csv").write_text("a,b,y\n1,2,3\n1,2\n")
    (folder / "twice.csv").write_text("a,a,y\n1,2,3\n")
    (folder / "blank.csv").write_text("")
    (folder / "a_file").write_text("")
    write_table(good, folder / "whole.parquet")
    (folder / "cut.parquet").write_bytes((folder / "whole.parquet").read_bytes()[:700])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["init", "good.csv", "-t", "score", "--by", "school"]) == 0
        assert run(["train", "good.yaml", "-o", "data.split.repeats=2", "--output", "run"]) == 0
        text = (folder / "good.yaml").read_text()
        for name in ("inf.parquet", "nan.csv", "empty_y.parquet", "no_labels.csv", "words.csv", "foreign.csv"):
            (folder / f"{name.split('.')[0]}.yaml").write_text(text.replace("good.csv", name))
        for name, kind, column in (("holes_group", "group", "site"), ("holes_time", "time", "when")):
            split = f"split: {{kind: {kind}, column: {column}}} #"
            (folder / f"{name}.yaml").write_text(text.replace("split:", split).replace("good.csv", f"{name}.parquet"))
        by_time = text.replace("split:", "split: {kind: time, column: when} #")
        (folder / "text_time.yaml").write_text(by_time.replace("good.csv", "text_time.csv"))
        (folder / "all_tasks.yaml").write_text(
            text.replace("good.csv", "all_tasks.csv").replace("by: school", "by: city")
        )
        (folder / "typo.yaml").write_text(text.replace("strength:", "strenght:"))
    return folder


def train(*changes: str) -> list[str]:
    return ["train", "good.yaml", *(word for change in changes for word in ("-o", change))]


BAD = [
    (["init", "ragged.csv", "-t", "y"], "line 3 has 2 cells and the header has 3"),
    (["init", "cut.parquet", "-t", "score"], "not a whole Parquet file"),
    (["init", "twice.csv", "-t", "y"], "duplicate column names: 'a'"),
    (["init", "blank.csv", "-t", "y"], "the file is empty"),
    (["init", "god.csv", "-t", "y"], "no such file; did you mean 'good.csv'"),
    (["init", "good.yaml", "-t", "y"], "good.yaml exists already"),
    (["init", "two.csv", "-t", "A"], "no column 'A' (--target). Did you mean a?"),
    (["init", "two.csv", "-t", "a", "--by", "c"], "no column 'c' (--by)"),
    (["init", "whole.parquet", "-t", "score,x", "--by", "school"], "one target is expected"),
    (["init", "words.csv", "-t", "score", "--output", "w.yaml"], "holds text, for example 'high' in row 1"),
    (["init", "good.csv", "-t", "score"], "good.yaml exists already. Give --overwrite"),
    (["init", "two.csv", "-t", "a", "--output", "no/such/two.yaml"], "no such folder"),
    (["init", "two.csv", "-t", "a", "--output", "two.toml"], "ends in .yaml"),
    (["init", "two.csv"], "--target"),
    (["train", "absent.yaml"], "no such configuration"),
    (["train", "good.csv"], "relatask init good.csv"),
    (["train", "typo.yaml"], "Did you mean model.relation.strength?"),
    (["train", "inf.yaml"], "x"),
    (["train", "nan.yaml"], "impute"),
    (["train", "empty_y.yaml"], "'score' has no label"),
    (["train", "no_labels.yaml"], "school = 2: no label"),
    (["train", "words.yaml"], "numbers are expected"),
    (train("data.path=absent.csv"), "absent.csv: there is no such file"),
    (train("data.by=shool"), "no column 'shool' (data.by). Did you mean school?"),
    (train("tasks={scor: {}}"), "no column 'scor' (tasks). Did you mean score?"),
    (train("features.include=[y*]"), "no column matches 'y*'"),
    (train("features.include=[score]"), "a target or the task column"),
    (train("features.exclude=['*']"), "no input column is left"),
    (train("features.categorical=[nope]"), "nope"),
    (train("tasks={}"), "tasks: expected at least one task; got {}"),
    (train("features.exclude=[x]", "features.categorical=[x]"), "is in the table but not among the inputs"),
    (train("features.categorical=[nope]"), "no column 'nope' (features.categorical)"),
    (["check", "holes_group.yaml"], "data.split.column 'site' has 2 empty cells (the first in row 1)"),
    (["train", "holes_group.yaml"], "data.split.column 'site' has 2 empty cells (the first in row 1)"),
    (["check", "holes_time.yaml"], "data.split.column 'when' has 1 empty cell (the first in row 1)"),
    (["check", "text_time.yaml"], "Dates are read where all are written as 2024-03-31"),
    (["train", "text_time.yaml"], "such as '01/02/2024'"),
    (["check", "all_tasks.yaml"], "a task is called '(all tasks)'"),
    (["init", "all_tasks.csv", "-t", "score", "--by", "city", "--output", "a.yaml"], "a task is called '(all tasks)'"),
    (["predict", "run", "--data", "cities.csv", "-o", "p.csv"], "'Rome, IT': the run was not"),
    (train("model.relation.strength=-1"), "expected a number >= 0"),
    (train("model.relation={name: TaskPrecision, K: [[1, 2, 0], [0, 1, 0], [0, 0, 1]]}"), "symmetric"),
    (train("model.relation={name: TaskPrecision, K: [[1, 2, 0], [2, 1, 0], [0, 0, 1]]}"), "eigenvalue"),
    (train("model.relation={name: TaskKernel, K: [[1, 1, 0], [1, 1, 0], [0, 0, 1]]}"), "jitter"),
    (train("model.relation={name: Graph, A: [[0, 1], [1, 0]]}"), "3"),
    (train("model.relation={name: Graph, A: two.csv}"), "3"),
    (train("model.relation={name: Graph, A: absent.csv}"), "no such file"),
    (train("model.relation={name: Chain, order: [1, 2, 7]}"), "7"),
    (train("model.solver=magic"), "magic"),
    (train("model.kind=mpl"), "model.kind: 'mpl' is unknown. Did you mean mlp"),
    (train("data.split={kind: group, column: nope}"), "no column 'nope' (data.split.column)"),
    (["train", "good.yaml", "--output", "run"], "holds a run already. Give --resume"),
    (["train", "good.yaml", "--output", "a_file"], "is a file; expected a folder"),
    (["train", "good.yaml", "--output", "a_file/sub"], "no folder can be made in it"),
    (["train", "good.yaml", "--resume", "--overwrite"], "exclude each other"),
    (["train", "good.yaml", "--jobs", "0"], "--jobs 0"),
    (["train", "good.yaml", "--jobs", "two"], "two"),
    (["train", "good.yaml", "--jbos", "2"], "jbos"),
    (["train"], "CONFIG"),
    (["compare", "good.yaml"], "--methods"),
    (["compare", "good.yaml", "-m", "Pairwse"], "Did you mean Pairwise?"),
    (["compare", "good.yaml", "-m", "Pairwise(intercept=tid)"], "got 'tid'"),
    (["compare", "good.yaml", "-m", "Pairwise(strenght=1)"], "Did you mean"),
    (["compare", "good.yaml", "-m", "Pairwise("], "expected a relation such as"),
    (["compare", "good.yaml", "-m", "Pairwise", "--overwrite"], "need --output"),
    (["predict", "run", "--data", "foreign.csv", "-o", "p.csv"], "school = 9: the run was not trained on this task"),
    (["predict", "run", "--data", "good.csv", "-o", "p.csv", "--tasks", "9"], "does not know the task '9'"),
    (["predict", "run", "--data", "two.csv", "-o", "p.csv"], "no column 'school'"),
    (["predict", "run", "--data", "text_x.csv", "-o", "p.csv"], "x"),
    (["predict", "run", "--data", "inf.parquet", "-o", "p.csv"], "x"),
    (["predict", "run", "--data", "nan.csv", "-o", "p.csv"], "impute"),
    (["predict", "run", "--data", "good.csv", "-o", "p.xlsx"], "'.xlsx' is unknown"),
    (["predict", "run", "--data", "good.csv", "-o", "good.csv"], "good.csv exists already"),
    (["predict", "norun", "--data", "good.csv", "-o", "p.csv"], "no such run folder"),
    (["predict", ".", "--data", "good.csv", "-o", "p.csv"], "expected the folder of a finished run"),
    (["evaluate", "run", "--data", "two.csv"], "no column 'score'"),
    (["evaluate", "run", "--data", "empty_y.parquet"], "no row has a label"),
    (["evaluate", "run", "--data", "good.csv", "--bootstrap", "1"], "at least 2"),
    (["report", "run", "norun"], "norun: there is no such run folder"),
    (["report"], "RUNS"),
    (["methods", "Pairwse"], "Did you mean Pairwise?"),
    (["data", "diabetis"], "did you mean 'diabetes'"),
    (["data", "--output", "d.csv"], "name of a data set"),
    (["data", "diabetes", "--output", "good.csv"], "good.csv exists already"),
    (["data", "diabetes", "--output", "d.xlsx"], "'.xlsx' is unknown"),
    (["data", "diabetes", "--output", "no/d.csv"], "no such folder"),
    (["trian"], 'Did you mean "train"?'),
]


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_is_named_and_changes_nothing(world, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(world)
    before = contents(world)
    assert run(arguments) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert told.err.startswith("relatask: ")
    assert "Traceback" not in told.err
    assert "should not happen" not in told.err
    assert told.out == ""
    assert contents(world) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written(world, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(world)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert run(["train", "good.yaml", "--output", str(locked / "run")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_even_by_the_superuser(world, monkeypatch, capsys):
    if not Path("/proc/self").exists():
        pytest.skip("needs /proc, where nobody can make a folder")
    monkeypatch.chdir(world)
    assert run(["train", "good.yaml", "--output", "/proc/relatask-run"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_folder_of_someone_else_is_left_alone(world, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(world)
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "mine.txt").write_text("mine")
    for flags in ([], ["--overwrite"], ["--resume"]):
        assert run(["train", "good.yaml", "--output", str(tmp_path), *flags]) == 2
    assert "is not a run of relatask" in capsys.readouterr().err
    assert (tmp_path / "predictions" / "mine.txt").read_text() == "mine"


def test_a_damaged_run_is_named(world, tmp_path, monkeypatch, capsys):
    import shutil

    for name in ("linear.npz", "linear.json", "encoder.json", "record.json"):
        folder = tmp_path / name
        shutil.copytree(world / "run", folder)
        (folder / name).write_bytes((folder / name).read_bytes()[:100])
        command = ["report", str(folder)]
        if name != "record.json":
            command = ["predict", str(folder), "--data", str(world / "good.csv"), "-o", str(tmp_path / "p.csv")]
        assert run(command) == 2, name
        said = capsys.readouterr().err
        assert "should not happen" not in said
        assert not (tmp_path / "p.csv").exists()


def test_the_traceback_is_there_for_who_asks(world):
    command = [sys.executable, "-m", "relatask", "train", "absent.yaml"]
    plain = subprocess.run(command, cwd=world, capture_output=True, text=True, check=False)
    asked = subprocess.run(
        command, cwd=world, capture_output=True, text=True, check=False, env={**os.environ, "RELATASK_TRACEBACK": "1"}
    )
    assert plain.returncode == 2
    assert "Traceback" not in plain.stderr
    assert "Traceback" in asked.stderr


@pytest.mark.parametrize(("kind", "code"), [("constant", 0), ("one row", 0)])
def test_a_constant_target_and_a_task_of_one_row_warn_and_fit(tmp_path, monkeypatch, capsys, kind, code):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    x = random.normal(size=41)
    school = np.append(np.repeat([1, 2], 20), 3 if kind == "one row" else 2)
    score = np.where(school == 1, 5.0, x) if kind == "constant" else x + school
    write_table({"x": x, "school": school, "score": score}, "t.csv")
    assert run(["init", "t.csv", "-t", "score", "--by", "school"]) == 0
    assert run(["train", "t.yaml", "-o", "data.split.repeats=2"]) == code
    assert "RT005" in capsys.readouterr().out
