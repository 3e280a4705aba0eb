"""Who taught whom in the report of `relatask train`: what the library says of the same rows."""

from __future__ import annotations

import numpy as np
import pytest

from relatask import MultiTaskRegressor
from relatask.cli.main import run
from relatask.data import write_table
from relatask.relations import Pairwise
from relatask.report import RunRecord


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
