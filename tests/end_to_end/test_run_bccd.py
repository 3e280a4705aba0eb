"""The run on BCCD, on few small pictures: its rows, its verdicts, and that it goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from examples.runs import bccd


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_it_runs_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.csv"
    arguments = ["--quick", "--answers", str(tmp_path), "--results", str(rows)]
    results = bccd.main(arguments)
    assert {row.method for row in results.rows()} == {*bccd.METHODS, "joint - white alone", "joint - cells alone"}
    found = {(row.method, row.task, row.metric): row.value for row in results.rows()}
    for metric in ("accuracy", "macro_f1"):
        assert 0 <= found["joint", "white", metric] <= 1
        assert ("cells alone", "white", metric) not in found
    difference = found["joint", "white", "accuracy"] - found["white alone", "white", "accuracy"]
    assert found["joint - white alone", "white", "accuracy difference"] == pytest.approx(difference, abs=1e-5)
    before = rows.read_text()
    bccd.main(arguments)
    assert rows.read_text() == before
    assert "no difference shown" in " ".join(capsys.readouterr().out.split())


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_pictures_without_one_sort_are_trained_on_for_their_boxes() -> None:
    settings = bccd.Settings()
    source = bccd.source("train", ("white", "cells"), settings)
    assert len(source) == 205
    missing = ~source.labelled("white")
    assert missing.sum() == 8
    assert source.labelled("cells").all()
    boxes = [source.target("cells")[row]["boxes"] for row in np.flatnonzero(missing)]
    assert all(len(found) for found in boxes)


def test_the_backbone_has_stride_eight() -> None:
    import torch

    model = bccd.model_of(("white", "cells"), bccd.Settings(channels=4))
    found = model(torch.zeros(2, 3, 48, 64))
    assert found["white"].shape == (2, 5)
    assert found["cells"].shape == (2, 6 * 8, 3 + 8)
