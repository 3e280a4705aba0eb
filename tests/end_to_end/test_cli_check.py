"""What `check` finds, and what is told of tables and tasks that are out of the ordinary."""

from __future__ import annotations

import json

import numpy as np
import pytest

from relatask.cli.main import run
from relatask.data import write_table


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Write a table with these columns beside a few of its own, and a configuration; return what to check it with."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    x, z = random.normal(size=(2, 60))

    def make(by="school", **columns):
        given = {"x": x, "z": z, "school": np.repeat([1, 2, 3], 20), "score": x + z + random.normal(size=60)} | columns
        write_table(given, "t.csv")
        assert run(["init", "t.csv", "-t", "score", "--by", by]) == 0
        return given

    return make


def checked(capsys, *more):
    capsys.readouterr()
    code = run(["check", "t.yaml", "--json", *more])
    found = json.loads(capsys.readouterr().out)
    return code, found["problems"], found["notes"]


def test_a_target_constant_everywhere_is_a_problem(table, capsys):
    table(score=np.full(60, 5.0))
    code, problems, _ = checked(capsys)
    assert code == 1
    assert [(item["code"], item["message"].split(":")[0]) for item in problems] == [
        ("RT005", "the labels are constant in every task")
    ]


def test_a_target_constant_in_some_tasks_is_a_note(table, capsys):
    given = table()
    write_table({**given, "score": np.where(given["school"] == 2, 5.0, given["score"])}, "t.csv")
    code, problems, notes = checked(capsys)
    assert (code, problems) == (0, [])
    assert any("constant in 1 task (2)" in item["message"] for item in notes)


@pytest.mark.parametrize(
    ("relation", "words"), [("Pairwise", "least squares without a penalty"), ("Ridge", "penalty on")]
)
def test_one_task_has_nothing_to_share(table, capsys, relation, words):
    table(school=np.ones(60, dtype=int))
    change = ["-o", f"model.relation={{name: {relation}}}"]
    code, _, notes = checked(capsys, *change)
    assert code == 0
    assert any("nothing to share" in item["message"] and words in item["message"] for item in notes)
    assert run(["train", "t.yaml", "-o", "data.split.repeats=2", *change]) == 0
    assert words in capsys.readouterr().out


def test_check_says_how_much_it_found(table, capsys):
    table()
    capsys.readouterr()
    assert run(["check", "t.yaml"]) == 0
    assert capsys.readouterr().out.endswith("No problems.\n")
    assert run(["check", "t.yaml", "-o", "data.split.repeats=1"]) == 0
    assert capsys.readouterr().out.endswith("No problems; 1 note.\n")


def test_how_a_table_was_read_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"0{i % 3};{i % 7},5;{i * i % 11},25\n" for i in range(60))
    (tmp_path / "t.csv").write_text(f"g;a;y\n{rows}")
    assert run(["init", "t.csv", "-t", "y", "--by", "g"]) == 0
    told = capsys.readouterr()
    assert "decimal commas are read as such" in told.err
    assert "leading zeros" in told.err
    assert "3 tasks" in told.out


def test_the_kind_of_split_can_be_changed_alone(table, capsys):
    table()
    capsys.readouterr()
    assert run(["check", "t.yaml", "-o", "data.split.kind=kfold"]) == 0
    assert "Splits: 5 folds, drawn" in capsys.readouterr().out
    assert run(["check", "t.yaml", "-o", "data.split.k=3", "-o", "data.split.kind=kfold"]) == 0
    assert "Splits: 3 folds" in capsys.readouterr().out
    assert run(["check", "t.yaml", "-o", "data.split.kind=kfold", "-o", "data.split.tset=3"]) == 2
    assert "data.split.tset: is not a known key" in capsys.readouterr().err


def test_the_cost_of_many_tasks_counts_scores_and_report(tmp_path, monkeypatch, capsys):
    """400 tasks of 10 rows took 11 seconds where a matrix product of this size takes a millisecond."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    columns = dict(zip("abcy", random.normal(size=(4, 4000)), strict=True))
    write_table({**columns, "school": np.arange(4000) % 400}, "many.csv")
    assert run(["init", "many.csv", "-t", "y", "--by", "school"]) == 0
    capsys.readouterr()
    run(["check", "many.yaml", "--json"])
    assert 4 < json.loads(capsys.readouterr().out)["cost"]["seconds"] < 40
