"""The run on digits heard and seen: pairs are of one digit, and test pairs of the test sets only."""

from __future__ import annotations

import numpy as np
import pytest
from examples.runs import digits

from relatask.data import load


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_it_runs() -> None:
    results = digits.main(["--quick"])
    assert {(row.method, row.task) for row in results.rows()} == {
        (method, task) for method in digits.METHODS for task in ("digit", "speaker", "")
    }


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
@pytest.mark.parametrize("seed", [0, 1])
def test_pairs(seed: int) -> None:
    heard, seen = load("fsdd"), load("mnist")
    parts = {part: digits.pairs(part, seed, 3 if part == "test" else 1) for part in ("train", "val", "test")}
    assert {part: len(sounds) for part, (sounds, _) in parts.items()} == {"train": 2_400, "val": 300, "test": 900}
    for part, (sounds, pictures) in parts.items():
        assert (heard.targets["digit"][sounds] == seen.targets["digit"][pictures]).all()
        assert len(np.unique(pictures)) == len(pictures)
        own = "test" if part == "test" else "train"
        assert np.isin(sounds, heard.splits[own]).all()
        assert np.isin(pictures, seen.splits[own]).all()
    assert not np.isin(parts["train"][0], parts["val"][0]).any()
    assert not np.isin(parts["train"][1], parts["val"][1]).any()
    assert (digits.pairs("train", seed, 1)[1] == parts["train"][1]).all()
