"""Parquet in parts: read some rows at a time, refused where parts disagree, trained on by the command."""

import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.streamed import rows, same

from relatask.cli.main import run as command
from relatask.data import load
from relatask.data.parts import parquet_parts
from relatask.linear import MultiTaskRegressor
from relatask.linear.streaming import parquet_batches
from relatask.notices import InputError
from relatask.relations import Pairwise, Ridge
from relatask.study import by_sums

X, Y, CODES = rows(900, 3, 5)
TABLE = pa.table({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "school": CODES, "score": Y})


def write(folder, table=TABLE, size=200):
    folder.mkdir(exist_ok=True)
    for number, first in enumerate(range(0, table.num_rows, size)):
        pq.write_table(table.slice(first, size), folder / f"part-{number}.parquet", row_group_size=70)
    return folder


def settings(folder, **changes):
    text = {
        "data": {"path": str(folder), "by": "school", "split": {"kind": "random", "test": 0.25, "repeats": 3}},
        "tasks": {"score": {"metrics": ["explained_variance_within", "rmse", "mae"]}},
        "model": {"relation": {"name": "Pairwise", "strength": 0.01}},
        "output": {"folder": str(folder.parent / "run")},
    }
    for key, value in changes.items():
        here = text
        *parents, last = key.split("__")
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = value
    file = folder.parent / "run.yaml"
    file.write_text(json.dumps(text))  # JSON is YAML
    return str(file)


def test_batches_of_parts_are_the_table(tmp_path):
    folder = write(tmp_path / "parts")
    parts = parquet_parts(folder)
    assert (parts.n_rows, len(parts.files)) == (900, 5)
    assert pa.Table.from_batches(parts.batches(64)).equals(TABLE)
    assert max(batch.num_rows for batch in parts.batches(64)) <= 64
    model = MultiTaskRegressor(Pairwise(0.1)).fit_batches(parquet_batches(folder, "score", tasks="school", size=64))
    same(model, MultiTaskRegressor(Pairwise(0.1)).fit(X, Y, CODES))
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]


def test_rows_held_do_not_grow_with_the_parts(tmp_path):
    held = []
    for size in (200, 20):
        folder = write(tmp_path / f"parts-{size}", size=size)
        held.append(max(batch.num_rows for batch in parquet_parts(folder).batches(100)))
    assert held[0] <= 100
    assert held[1] <= 20


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop_columns("b"), r"part-2.parquet: there is no column 'b', which part-0.parquet has"),
        (
            lambda t: t.set_column(1, "b", t["b"].cast(pa.float32())),
            r"part-2.parquet: the column 'b' holds float, in part-0.parquet it holds double",
        ),
        (lambda t: t.append_column("d", t["a"]), r"part-2.parquet: the column 'd' is not in part-0.parquet"),
    ],
)
def test_parts_that_disagree_are_refused_before_a_row_is_read(tmp_path, change, words, monkeypatch):
    folder = write(tmp_path / "parts")
    pq.write_table(change(pq.read_table(folder / "part-2.parquet")), folder / "part-2.parquet")
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(InputError, match=words):
        parquet_batches(folder, "score", tasks="school")


def test_parts_that_cannot_be_read(tmp_path):
    folder = write(tmp_path / "parts")
    with pytest.raises(InputError, match="no column 'points'"):
        parquet_batches(folder, "points")
    with pytest.raises(InputError, match="expected a column each"):
        parquet_batches(folder, "score", tasks="score")
    data = (folder / "part-3.parquet").read_bytes()
    (folder / "part-3.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"part-3.parquet: this is not a whole Parquet file"):
        parquet_parts(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="the folder holds no file that ends in"):
        parquet_parts(tmp_path / "empty")
    with pytest.raises(InputError, match="no such file or folder"):
        parquet_parts(tmp_path / "absent")


def test_what_other_programs_leave_in_a_folder_is_no_part(tmp_path):
    folder = write(tmp_path / "parts")
    for name in ("_SUCCESS", "_tmp.parquet", ".part-9.parquet", "part-0.parquet.crc", "readme.txt"):
        (folder / name).write_text("junk")
    (folder / "zz.parquet").mkdir()
    assert parquet_parts(folder).n_rows == 900


def test_folders_in_a_folder_are_named(tmp_path):
    write(tmp_path / "parts", size=900).rename(tmp_path / "year=1")
    (tmp_path / "all").mkdir()
    (tmp_path / "year=1").rename(tmp_path / "all" / "year=1")
    with pytest.raises(InputError, match=r"what lies deeper \(year=1\) is not read: put all parts in one folder"):
        parquet_parts(tmp_path / "all")


def test_columns_of_one_name_are_refused(tmp_path):
    pq.write_table(pa.Table.from_arrays([[1.0], [2.0]], names=["a", "a"]), tmp_path / "double.parquet")
    with pytest.raises(InputError, match="several columns are named 'a'"):
        parquet_parts(tmp_path / "double.parquet")


@pytest.mark.parametrize("by", [pa.int64(), pa.int32(), pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_parts_without_rows_or_labels_count_nothing(tmp_path, by):
    text = pa.types.is_string(by) or pa.types.is_dictionary(by)
    school = pa.array(CODES.astype(str) if text else CODES)
    table = TABLE.set_column(3, "school", school.dictionary_encode() if pa.types.is_dictionary(by) else school.cast(by))
    unlabelled = table.slice(0, 200).set_column(4, "score", pa.nulls(200, pa.float64()))
    folder = tmp_path / "parts"
    folder.mkdir()
    other_order = table.slice(500).select(["score", "c", "school", "b", "a"])
    for number, part in enumerate([table.slice(0, 0), unlabelled, table.slice(200, 300), other_order]):
        pq.write_table(part, folder / f"part-{number}.parquet")
    assert command(["train", settings(folder)]) == 0
    model = MultiTaskRegressor.load(tmp_path / "run" / "linear")
    expected = MultiTaskRegressor(Pairwise(0.01)).fit(X[200:], Y[200:], CODES[200:])
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-8)


def test_train_on_parts_writes_what_train_writes(tmp_path, capsys):
    folder = write(tmp_path / "parts")
    assert command(["train", settings(folder), "--json"]) == 0
    found = capsys.readouterr()
    facts = json.loads(found.out)
    assert "sums of all rows: 900 rows" in found.err
    assert "errors on held-out rows: 900 rows" in found.err
    run = tmp_path / "run"
    written = {file.name for file in run.iterdir()}
    assert {"config.resolved.yaml", "env.json", "data.json", "scores.parquet", "record.json", "report.html"} <= written
    said = (run / "record.json").read_text()
    assert "3 random splits, 25% for testing" in said
    assert "made of 20 parts, to which rows are dealt out by a seeded hash" in said
    model = MultiTaskRegressor.load(run / "linear")
    same(model, MultiTaskRegressor(Pairwise(0.01)).fit(X, Y, CODES))
    assert {row["method"] for row in facts["overall"]} == {"Pairwise", "single", "pooled", "pooled_slopes"}
    # The saved model predicts, as that of any run.
    pq.write_table(TABLE, tmp_path / "new.parquet")
    out = tmp_path / "predicted.csv"
    assert command(["predict", str(run), "--data", str(tmp_path / "new.parquet"), "--output", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 901


def test_scores_are_those_of_fits_on_the_rows(tmp_path, capsys):
    folder = write(tmp_path / "parts")
    assert command(["train", settings(folder)]) == 0
    from relatask.linear.streaming.dealing import Dealer
    from relatask.measure import Scores, evaluate

    scores = Scores.load(tmp_path / "run" / "scores.parquet")
    part = Dealer(by_sums.PARTS, seed=0).folds_of(900, CODES)
    for side in by_sums.random_sides(0.25, 3, 0):
        held = side.test[part]
        assert 0.15 < held.mean() < 0.35
        fold = MultiTaskRegressor(Pairwise(0.01)).fit(X[~held], Y[~held], CODES[~held])
        guess = fold.predict(X[held], CODES[held])
        names = ["explained_variance_within", "rmse", "mae"]
        for row in evaluate(Y[held], guess, CODES[held], range(5), names, np.bincount(CODES[~held])):
            ours = scores.where(method="Pairwise", split=side.name, task=row["task"], metric=row["metric"])
            assert ours.value[0] == pytest.approx(row["value"], rel=1e-9)
            assert (ours.n[0], ours.n_train[0]) == (row["n"], row["n_train"])
    capsys.readouterr()


def test_tasks_as_columns(tmp_path, capsys):
    table = TABLE.drop_columns("school").append_column("other", pa.array(-Y, mask=np.arange(900) % 3 == 0))
    folder = write(tmp_path / "parts", table)
    config = settings(
        folder,
        data__by=None,
        data__split={"kind": "kfold", "k": 4},
        tasks={"score": {"metrics": ["rmse"]}, "other": {"metrics": ["rmse"]}},
        model__relation={"name": "Pairwise", "strength": "auto"},
    )
    assert command(["train", config, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [row["task"] for row in facts["tasks"]] == ["score", "other"]
    model = MultiTaskRegressor.load(tmp_path / "run" / "linear")
    labels = np.column_stack([Y, np.where(np.arange(900) % 3 == 0, np.nan, -Y)])
    same_as = MultiTaskRegressor(Pairwise(model.strengths_["strength"])).fit(X, labels)
    np.testing.assert_allclose(model.coef_, same_as.coef_, rtol=1e-8)
    assert model.tasks_.tolist() == ["score", "other"]


def test_one_target_with_holes_is_scored_on_the_rows_that_were_held_out(tmp_path, capsys):
    from relatask.linear.streaming.dealing import Dealer
    from relatask.measure import Scores

    holes = np.arange(900) % 3 == 0
    table = TABLE.drop_columns("school").set_column(3, "score", pa.array(Y, mask=holes))
    folder = write(tmp_path / "parts", table)
    config = settings(
        folder,
        data__by=None,
        tasks={"score": {"metrics": ["rmse"]}},
        model__relation={"name": "Ridge", "strength": 1.0},
    )
    assert command(["train", config]) == 0
    assert "column-vector" not in capsys.readouterr().err
    scores = Scores.load(tmp_path / "run" / "scores.parquet")
    inside, labels = X[~holes], Y[~holes]
    part = Dealer(by_sums.PARTS, seed=0).folds_of(600, np.zeros(600, dtype=np.intp))
    for side in by_sums.random_sides(0.25, 3, 0):
        held = side.test[part]
        fold = MultiTaskRegressor(Ridge(1.0)).fit(inside[~held], labels[~held])
        rmse = np.sqrt(np.square(fold.predict(inside[held]) - labels[held]).mean())
        ours = scores.where(method="Ridge", split=side.name, metric="rmse")
        assert ours.value[0] == pytest.approx(rmse, rel=1e-9)
        assert ours.n[0] == held.sum()


def test_columns_with_holes_are_scored_on_the_rows_that_were_held_out(tmp_path):
    from relatask.linear.streaming.dealing import Dealer
    from relatask.measure import Scores

    labels = np.column_stack([Y, np.where(np.arange(900) % 3 == 0, np.nan, -Y)])
    labels[200:400] = np.nan  # a whole part
    table = TABLE.drop_columns(["school", "score"])
    for name, values in zip(("u", "v"), labels.T, strict=True):
        table = table.append_column(name, pa.array(values, from_pandas=True))
    tasks = {"u": {"metrics": ["rmse"]}, "v": {"metrics": ["rmse"]}}
    assert command(["train", settings(write(tmp_path / "parts", table), data__by=None, tasks=tasks)]) == 0
    scores = Scores.load(tmp_path / "run" / "scores.parquet")
    part = Dealer(by_sums.PARTS, seed=0).folds_of(900)
    for side in by_sums.random_sides(0.25, 3, 0):
        held = side.test[part]
        fold = MultiTaskRegressor(Pairwise(0.01)).fit(X[~held], labels[~held])
        rmse = np.sqrt(np.nanmean(np.square(fold.predict(X[held]) - labels[held]), axis=0))
        for k, task in enumerate("uv"):
            ours = scores.where(method="Pairwise", split=side.name, task=task, metric="rmse")
            assert ours.value[0] == pytest.approx(rmse[k], rel=1e-9)


def test_dry_run_reads_no_row(tmp_path, capsys, monkeypatch):
    folder = write(tmp_path / "parts")
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_, **__: pytest.fail("read"))
    assert command(["train", settings(folder), "--dry-run"]) == 0
    assert "would read 5 Parquet files twice, 900 rows, 3 inputs" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_progress_is_a_bar_in_a_terminal_and_lines_elsewhere(tmp_path, capsys, monkeypatch):
    from rich.console import Console

    from relatask.cli import show, streamed_rows

    parts = parquet_parts(write(tmp_path / "parts"))
    monkeypatch.setattr(streamed_rows, "PAUSE", -1.0)
    assert sum(batch.num_rows for batch in streamed_rows.told(parts, "reading")) == 900
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"reading: 200 of 900 rows, [\d,]+ rows/s", lines[0])
    assert re.fullmatch(r"reading: 900 rows, [\d,]+ rows/s", lines[-1])
    assert len(lines) == 5
    page = io.StringIO()
    monkeypatch.setattr(show, "progress", lambda: Console(file=page, force_terminal=True, width=100))
    assert sum(batch.num_rows for batch in streamed_rows.told(parts, "reading")) == 900
    assert "━" in page.getvalue()
    assert "rows/s" in page.getvalue()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks": {"score": {"kind": "count"}}}, "from Parquet parts only kind: regression"),
        (
            {"data__split": {"kind": "group", "column": "a"}},
            "data.split.kind: group: streamed rows are divided",
        ),
        ({"data__split": {"kind": "random", "repeats": 1}}, "expected|write 2 or more"),
        ({"data__split": {"kind": "kfold", "k": 30}}, "at most 20 folds"),
        ({"features": {"impute": "mean"}}, "features.impute: mean: missing numbers are not filled while streaming"),
        ({"features": {"categorical": ["a"]}}, "categories are not encoded while streaming"),
        ({"data__by": "a"}, "holds double; tasks are whole numbers or text"),
    ],
)
def test_what_is_not_for_streaming(tmp_path, capsys, changes, words):
    folder = write(tmp_path / "parts")
    assert command(["train", settings(folder, **changes)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert any(word in said for word in words.split("|")), said


def test_text_and_holes_in_inputs(tmp_path, capsys):
    text = TABLE.append_column("town", pa.array(["x"] * 900))
    assert command(["train", settings(write(tmp_path / "parts", text))]) == 2
    assert "the input 'town' holds string; streamed inputs are numbers" in " ".join(capsys.readouterr().err.split())
    holes = TABLE.set_column(1, "b", pa.array(X[:, 1], mask=np.arange(900) == 777))
    assert command(["train", settings(write(tmp_path / "parts", holes))]) == 2
    assert "NaN" in capsys.readouterr().err


def test_tasks_too_small_for_both_sides(tmp_path, capsys):
    codes = CODES.copy()
    codes[5] = 77
    table = TABLE.set_column(3, "school", pa.array(codes))
    assert command(["train", settings(write(tmp_path / "parts", table), data__split={"kind": "kfold", "k": 5})]) == 2
    assert "no label to train on is left of task 77" in " ".join(capsys.readouterr().err.split())


def test_a_large_file_is_streamed_too(tmp_path, capsys, monkeypatch):
    from relatask.cli import streamed_rows

    file = tmp_path / "one.parquet"
    pq.write_table(TABLE, file)
    monkeypatch.setattr(streamed_rows, "LARGE", 1000)
    assert command(["train", settings(file)]) == 0
    assert "errors on held-out rows: 900 rows" in capsys.readouterr().err


@pytest.mark.data
@pytest.mark.skipif("RELATASK_DATA" not in os.environ, reason="needs the public data sets: set RELATASK_DATA")
def test_school_in_parts_tells_what_school_tells(tmp_path, capsys):
    school = load("school")
    frame = pa.table({f"x{j}": column for j, column in enumerate(np.asarray(school.X, dtype=np.float64).T)})
    frame = frame.append_column("school", pa.array(np.asarray(school.tasks))).append_column("score", pa.array(school.y))
    folder = write(tmp_path / "parts", frame, size=4000)
    config = settings(folder, model__relation={"name": "Pairwise", "strength": "auto"}, model__intercept="tied")
    assert command(["train", config, "--json"]) in (0, 1)
    facts = json.loads(capsys.readouterr().out)
    within = {row["method"]: row["explained_variance_within"]["mean"] for row in facts["overall"]}
    # The figures of the design over 10 splits, sd about 0.9: 27.86, 22.40, 27.01.
    assert within["Pairwise (tied intercepts)"] == pytest.approx(0.2786, abs=0.02)
    assert within["single"] == pytest.approx(0.2240, abs=0.02)
    assert within["pooled_slopes"] == pytest.approx(0.2701, abs=0.02)
    assert Path(facts["report"]).exists()
