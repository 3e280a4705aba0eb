"""Every case recorded for MALSAR on School: a lower objective here than at either of its tolerances, certified."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest
from benchmarks.linear import malsar

from relatask.linear import MultiTaskRegressor

School = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def school() -> School:
    if not os.environ.get("RELATASK_DATA"):
        pytest.skip("set RELATASK_DATA to the folder of the public data")
    from relatask.data import load

    data = load("school")
    return np.asarray(data.X, float), np.asarray(data.y, float), np.unique(data.tasks, return_inverse=True)[1]


@pytest.fixture(scope="module")
def recorded() -> dict[str, dict[str, str]]:
    rows = malsar.recorded(malsar.reference_file())
    if not rows:
        pytest.skip("the recorded results are not here: RELATASK_REFERENCE names the folder of malsar_school.csv")
    return rows


@pytest.mark.data
@pytest.mark.parametrize("name", malsar.CASES)
def test_lower_than_both_recorded_objectives(name: str, school: School, recorded: dict[str, dict[str, str]]) -> None:
    X, y, codes = school
    case, row = malsar.CASES[name], recorded[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MultiTaskRegressor(case.relation, **malsar.PLAIN).fit(X, y, codes)
    assert 0 <= model.residual_ <= 1e-6
    # The objective once more, from the rows and the coefficients alone.
    squares = np.square(y - (X * model.coef_[codes]).sum(1)).sum()
    objective = 0.5 * squares + float(case.relation(model.coef_))
    assert objective == pytest.approx(model.objective_, rel=1e-8)
    assert case.factor * objective < float(row["malsar_tight_objective"])
    assert case.factor * objective < float(row["malsar_default_objective"])


@pytest.mark.data
def test_every_recorded_case_is_there(recorded: dict[str, dict[str, str]]) -> None:
    assert set(recorded) == set(malsar.CASES)
