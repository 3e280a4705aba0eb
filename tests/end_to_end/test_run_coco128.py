"""The run on COCO-128, on few small pictures: three kinds of labels, masks missing."""

from __future__ import annotations

import numpy as np
import pytest
from examples.runs import coco128

from relatask.data import load


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_it_runs() -> None:
    results = coco128.main(["--quick"])
    assert {row.method for row in results.rows()} == {"constant", *coco128.METHODS}
    found = {(row.method, row.task, row.metric): row.value for row in results.rows()}
    assert found["constant", "shown", "macro_auc"] == 0.5
    assert ("constant", "things", "map") not in found
    assert {task for method, task, _ in found if method == "joint"} == {*coco128.TASKS, ""}


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_pixels_are_told_in_three_classes() -> None:
    data = load("coco128")
    coarse = coco128.Coarse(data.targets["mask"], data.classes["mask"])
    row = int(np.flatnonzero(data.labelled("mask"))[0])
    raw, found = data.targets["mask"][row], coarse[row]
    names = np.array(data.classes["mask"])
    assert (found[raw == 0] == -100).all()
    assert (found[names[raw] == "person"] == 0).all()
    assert (found[(raw > 1) & (raw <= 90)] == 1).all()
    assert (found[raw > 90] == 2).all()
    assert coarse[int(np.flatnonzero(~data.labelled("mask"))[0])] is None
    # 90 is the last of COCO's things; stuff begins behind it.
    assert names[90] == "toothbrush"
    assert names[184] == "tree-merged"
