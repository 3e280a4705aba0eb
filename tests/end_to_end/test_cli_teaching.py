"""Who taught whom in the report of `relatask train`: what the library says of the same rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from relatask import MultiTaskRegressor
from relatask.cli.main import run
from relatask.data import write_table
from relatask.relations import Pairwise
from relatask.report import RunRecord, render_html, render_markdown


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Rows of four groups, of which one goes the other way, in a table with a number and a class."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    group = np.repeat(["a", "b", "c", "odd"], 25)
    x = rng.normal(size=(100, 2))
    eta = np.where(group == "odd", -1, 1) * (x @ [1.0, 2.0])
    y = eta + rng.normal(size=100)
    columns = {
        "x1": x[:, 0],
        "x2": x[:, 1],
        "group": group,
        "y": y,
        "won": (eta + rng.logistic(size=100) > 0).astype(int),
    }
    write_table(columns, tmp_path / "t.csv")
    return x, y, group


def train(target: str, *overrides: str) -> RunRecord:
    assert run(["init", "t.csv", "--target", target, "--by", "group", "--overwrite"]) == 0
    changes = [word for change in ("data.split.repeats=1", *overrides) for word in ("-o", change)]
    assert run(["train", "t.yaml", "--overwrite", *changes]) == 0
    return RunRecord.load("runs/t/record.json")


def test_the_record_holds_what_the_library_says(table) -> None:
    x, y, group = table
    record = train("y", "features.exclude=[won]", "model.relation={name: Pairwise, strength: 0.02}")
    assert record.transfer is not None
    assert record.removal is not None
    model = MultiTaskRegressor(Pairwise(0.02)).fit(x, y, group)
    effect = model.leave_task_out(x, y, group) / model.leave_one_out_[:, None]
    np.testing.assert_allclose(np.array(record.transfer.values, float), model.transfer_, rtol=6e-3)
    np.testing.assert_allclose(np.array(record.removal.values, float), effect, rtol=6e-3)
    assert record.removal.how == "exact"
    assert (effect[3, :3] < 0).all(), "the odd group is misled by the others"


def test_other_models_say_it_at_the_solution_or_not_at_all(table) -> None:
    near = train("won", "features.exclude=[y]", "model.relation={name: Pairwise, strength: 0.02}")
    assert near.removal is not None
    assert near.removal.how == "one Newton step"
    clusters = "{name: Clustered, n_clusters: 2, strength: 0.1, ridge: 0.1}"
    none = train("y", "features.exclude=[won]", f"model.relation={clusters}")
    assert none.transfer is None
    assert none.removal is None


def test_how_sure_it_is(table) -> None:
    x, y, group = table
    record = train("y", "features.exclude=[won]", "model.relation={name: Pairwise, strength: 0.02}")
    model = MultiTaskRegressor(Pairwise(0.02)).fit(x, y, group)
    low, high = model.predict_interval(x, group, level=0.9)
    rows = record.certainty
    assert [row.task for row in rows] == ["a", "b", "c", "odd"]
    np.testing.assert_allclose([row.freedom for row in rows], model.degrees_of_freedom_)
    np.testing.assert_allclose(np.square([row.noise for row in rows]), model.noise_)
    for row in rows:
        half = (high - low)[group == row.task] / 2
        assert row.half == pytest.approx(np.median(half))
        assert row.labels == 25
        assert row.sd == pytest.approx(y[group == row.task].std(ddof=1))
    # Held: by intervals of a model that has not seen the test rows.
    test = np.unique(pq.read_table("runs/t/predictions/Pairwise.parquet")["row"].to_numpy())
    kept = np.setdiff1d(np.arange(100), test)
    fresh = MultiTaskRegressor(Pairwise(0.02)).fit(x[kept], y[kept], group[kept])
    low, high = fresh.predict_interval(x[test], group[test], level=0.9)
    held = (low <= y[test]) & (y[test] <= high)
    assert [row.tested for row in rows] == [int((group[test] == row.task).sum()) for row in rows]
    assert [row.held for row in rows] == [int(held[group[test] == row.task].sum()) for row in rows]
    said = f"intervals of 90% hold {held.sum()} of {len(test)} test labels"
    for page in (render_html(record), render_markdown(record)):
        assert said in page
        assert "on average over the tasks, not in each" in page
    assert "figure-certainty" in render_html(record)


def test_tasks_that_are_columns_are_measured_by_their_own_labels(table) -> None:
    x, y, _ = table
    names = {"x1": x[:, 0], "x2": x[:, 1], "one": y, "thousand": 1000 * y}
    names["thousand"][::7] = np.nan
    write_table(names, Path("c.csv"))
    assert run(["init", "c.csv", "--target", "one,thousand"]) == 0
    assert run(["train", "c.yaml", "-o", "data.split.repeats=1"]) == 0
    record = RunRecord.load("runs/c/record.json")
    assert [row.labels for row in record.certainty] == [100, 85]
    assert sum(row.tested for row in record.certainty) < 50
    assert "without any input = 1" in render_html(record)


def test_models_without_intervals_say_so(table) -> None:
    record = train("won", "features.exclude=[y]", "model.relation={name: Pairwise, strength: 0.02}")
    assert record.certainty == ()
    assert "does not say how sure it is" in render_markdown(record)
    assert "does not say how sure it is" in render_html(record)
