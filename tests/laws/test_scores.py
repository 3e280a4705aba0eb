"""Laws of scores and metrics: missing labels, order of rows and tasks, files, and bad input."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relatask.measure import ALL, METRICS, Scores, evaluate
from relatask.notices import InputError


def problem(seed, n=40, t=4, missing=0.2):
    rng = np.random.default_rng(seed)
    codes = rng.integers(t, size=n)
    y = rng.normal(size=n) * 3 + codes
    prediction = y + rng.normal(size=n)
    y[rng.random(n) < missing] = np.nan
    return y, prediction, codes, [f"task {k}" for k in range(t)]


def table(rows):
    return {(row["task"], row["metric"]): (row["value"], row["n"]) for row in rows}


def same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        assert a[key] == pytest.approx(b[key], rel=1e-9, abs=1e-12, nan_ok=True)


seeds = st.integers(0, 10_000)


@given(seeds)
def test_a_missing_label_changes_nothing(seed):
    y, prediction, codes, tasks = problem(seed)
    seen = ~np.isnan(y)
    prediction[~seen] = np.nan  # not even its prediction is looked at
    same(table(evaluate(y, prediction, codes, tasks)), table(evaluate(y[seen], prediction[seen], codes[seen], tasks)))


@given(seeds)
def test_the_order_of_rows_does_not_matter(seed):
    y, prediction, codes, tasks = problem(seed)
    order = np.random.default_rng(seed + 1).permutation(len(y))
    same(
        table(evaluate(y, prediction, codes, tasks)),
        table(evaluate(y[order], prediction[order], codes[order], tasks)),
    )


@given(seeds)
def test_permuting_tasks_permutes_their_scores(seed):
    y, prediction, codes, tasks = problem(seed)
    order = np.random.default_rng(seed + 1).permutation(len(tasks))
    renamed = [tasks[k] for k in order]
    same(
        table(evaluate(y, prediction, codes, tasks)),
        table(evaluate(y, prediction, np.argsort(order)[codes], renamed)),
    )


@given(seeds)
def test_tasks_as_columns_and_as_groups_agree(seed):
    rng = np.random.default_rng(seed)
    y, tasks = rng.normal(size=(12, 3)), ["a", "b", "c"]
    prediction = y + rng.normal(size=y.shape)
    y[rng.random(y.shape) < 0.3] = np.nan
    codes = np.tile(np.arange(3), 12)
    same(
        table(evaluate(y, prediction, tasks=tasks)),
        table(evaluate(y.ravel(), prediction.ravel(), codes, tasks)),
    )


@given(seeds)
def test_what_must_hold_between_metrics(seed):
    y, prediction, codes, tasks = problem(seed, missing=0)
    found = {key: value for key, (value, _) in table(evaluate(y, prediction, codes, tasks)).items()}
    assert found[ALL, "explained_variance_within"] <= found[ALL, "explained_variance_global"] + 1e-12 <= 1 + 1e-12
    for name in {task for task, _ in found}:
        assert found[name, "mae"] <= found[name, "rmse"] + 1e-12
    perfect = {metric: value for (_, metric), (value, _) in table(evaluate(y, y, codes, tasks)).items()}
    assert all(np.isnan(value) or value == (0 if METRICS[name].error else 1) for name, value in perfect.items())


def test_a_constant_target_has_no_r2_and_is_no_exception():
    rows = table(evaluate([0.1, 0.1, 0.1, 1.0, 2.0], [0.2, 0.1, 0.1, 1.0, 2.0], [0, 0, 0, 1, 1], ["flat", "steep"]))
    assert np.isnan(rows["flat", "r2"][0])
    assert rows[ALL, "r2_mean_of_tasks"][0] == 1.0  # of the one task that has it
    assert rows[ALL, "explained_variance_within"][0] == pytest.approx(1 - 0.01 / 0.5)  # its error counts all the same


def test_a_task_without_labels_has_no_rows():
    rows = evaluate([1.0, np.nan], [1.0, 1.0], [0, 1], ["a", "b"], ["rmse"])
    assert [(row["task"], row["n"]) for row in rows] == [("a", 1), (ALL, 1)]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"prediction": [1.0, np.nan]}, "1 of 2 predictions are NaN or infinite"),
        ({"prediction": [1.0]}, r"labels have shape \(2,\) and predictions \(1,\)"),
        ({"codes": [0]}, "expected two arrays"),
        ({"codes": [0, 2]}, "task codes run from 0 to 2; expected 0 to 1"),
        ({"metrics": ["rsme"]}, "unknown metric 'rsme'; expected one of rmse"),
    ],
)
def test_bad_input_to_evaluate(change, match):
    good = {"y": [1.0, 2.0], "prediction": [1.0, 2.0], "codes": [0, 1], "tasks": ["a", "b"]}
    with pytest.raises(InputError, match=match):
        evaluate(**(good | change))


def scores(seed=0, methods=("a", "b")):
    rng = np.random.default_rng(seed)
    rows = [
        {"run": "r", "method": m, "task": t, "metric": "rmse", "seed": 0, "split": f"s{s}", "better": "lower"}
        | {"value": rng.random(), "n": 5, "n_train": 15}
        for m in methods
        for s in range(4)
        for t in ("x", "y", ALL)
    ]
    return Scores.of(rows)


@given(seeds)
def test_a_file_gives_back_the_very_same_rows(tmp_path_factory, seed):
    table = scores(seed)
    table = replace(table, value=np.where(np.arange(len(table)) == 3, np.nan, table.value))
    path = tmp_path_factory.mktemp("scores") / "scores.parquet"
    table.save(path)
    assert Scores.load(path).equals(table)
    assert [file.name for file in path.parent.iterdir()] == ["scores.parquet"]


def test_tables_are_put_together_and_taken_apart():
    table = scores()
    assert Scores.concat([table.where(method="a"), table.where(method="b")]).equals(table)
    assert Scores.of(table.rows()).equals(table)
    assert table.methods == ["a", "b"]
    assert table.tasks == ["x", "y"]
    assert len(table.where(task=["x", ALL], split="s1", seed=0)) == 4
    assert len(Scores.concat([])) == len(table.where(method="c")) == 0
    assert table.to_pandas().shape == (24, 10)
    assert table.to_table().column_names[0] == "run"


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "scores.parquet"
    scores().save(path)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("no")))
    with pytest.raises(OSError, match="no"):
        scores(1).save(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_bad_tables(tmp_path):
    path = tmp_path / "scores.parquet"
    scores().save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a whole Parquet file"):
        Scores.load(path)
    with pytest.raises(InputError, match="lacks \\['better'\\] and has unknown \\['colour'\\]"):
        Scores.of([{"method": "a", "task": "t", "metric": "m", "value": 1.0, "colour": 2}])
    with pytest.raises(InputError, match="there is no column 'colour'"):
        scores().where(colour="red")
    with pytest.raises(InputError, match="of one length"):
        replace(scores(), value=np.zeros(3))
