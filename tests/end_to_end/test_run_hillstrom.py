"""The run on Hillstrom, on few rows: its numbers are what their names say, and it goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from examples.runs import hillstrom
from sklearn.metrics import log_loss, roc_auc_score

from relatask.data import load


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_it_runs_and_goes_on(tmp_path: Path) -> None:
    arguments = ["--quick", "--rows", "2000", "--results", str(tmp_path / "rows.csv")]
    results = hillstrom.main(arguments)
    found = {(row.method, row.task, row.metric): row.value for row in results.rows()}
    assert {method for method, _, _ in found} == set(hillstrom.METHODS)
    assert found["separate", "visit", "auc"] == found["separate, given", "visit", "auc"]
    assert found["separate", "conversion", "auc"] != found["separate, given", "conversion", "auc"]
    assert all(0 <= value <= 1 for (_, _, metric), value in found.items() if metric in ("auc", "ece"))
    before = (tmp_path / "rows.csv").read_text()
    hillstrom.main(arguments)
    assert (tmp_path / "rows.csv").read_text() == before


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_splits_do_not_overlap_and_only_training_rows_standardise() -> None:
    split = hillstrom.split_of(load("hillstrom"), hillstrom.Settings(), 3)
    sizes = [len(y) for _, y in (split.train, split.valid, split.test)]
    assert sizes == [35_200, 12_800, 16_000]
    np.testing.assert_allclose(split.train[0].mean(0), 0, atol=1e-4)
    assert np.abs(split.test[0].mean(0)).max() > 1e-4
    visited, bought = split.test[1][:, 0] == 1, split.test[1][:, 1] == 1
    assert visited[bought].all()


def test_areas_and_losses_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    y, chance = rng.integers(0, 2, 500).astype(float), rng.integers(1, 20, 500) / 20
    assert hillstrom.auc(y, chance) == pytest.approx(roc_auc_score(y, chance), abs=1e-12)
    assert hillstrom.log_loss(y, chance) == pytest.approx(log_loss(y, chance), abs=1e-12)


def test_the_calibration_error_is_zero_for_what_happens_as_foretold() -> None:
    y = np.tile([0.0, 0.0, 0.0, 1.0], 250)
    assert hillstrom.calibration_error(y, np.full(1000, 0.25)) == pytest.approx(0.0, abs=0.01)
    assert hillstrom.calibration_error(y, np.full(1000, 0.75)) == pytest.approx(0.5, abs=0.01)
