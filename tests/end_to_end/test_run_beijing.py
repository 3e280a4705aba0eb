"""The Beijing run: features look back only, a station keeps two weeks, it runs, and its page tells what it came to."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from examples.runs import beijing
from examples.runs.beijing import Choice, Curve, Settings, trained
from examples.runs.beijing_air import (
    WEEKS,
    Air,
    ByStation,
    errors,
    features,
    filled,
    problem,
    running_mean,
    trunk,
    with_station,
)
from examples.runs.common import Results

from relatask.data.beijing import PLAIN, POLLUTANTS, STATIONS
from relatask.relations import Pairwise

ROOT = Path(__file__).parents[2]
HOURS = 200


@pytest.fixture
def column() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made = {name: rng.normal(size=HOURS) for name in (*PLAIN, "wind_north", "wind_east")}
    made["hour"] = np.arange(HOURS) % 24.0
    made["RAIN"] = np.abs(made["RAIN"])
    made["TEMP"][50:53] = np.nan
    return made


@pytest.fixture(scope="module")
def air() -> Air:
    """Twelve stations whose pollutants are the same but for a shift; three years, a hundred days each."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(len(STATIONS), 3 * 2400, 4)).astype(np.float32)
    slopes = rng.normal(size=(4, len(POLLUTANTS)))
    shift = 0.2 * rng.normal(size=(len(STATIONS), 1, len(POLLUTANTS)))
    Y = X @ slopes + shift + 0.1 * rng.normal(size=(*X.shape[:2], len(POLLUTANTS)))
    Y[3, rng.random(X.shape[1]) < 0.2, 2] = np.nan
    return Air(X, Y, np.repeat((2014, 2015, 2016), 2400))


def test_features_look_back_only(column: dict[str, np.ndarray]) -> None:
    before = features(column)
    rng = np.random.default_rng(1)
    later = {name: np.r_[values[:120], rng.normal(size=HOURS - 120)] for name, values in column.items()}
    later["RAIN"] = np.abs(later["RAIN"])
    np.testing.assert_array_equal(features(later)[:120], before[:120])
    assert np.isfinite(before).all()
    assert not np.array_equal(features(later)[120:], before[120:])


def test_holes_and_means() -> None:
    np.testing.assert_array_equal(filled(np.array([1.0, np.nan, np.nan, 2.0])), [1, 1, 1, 2])
    np.testing.assert_allclose(running_mean(np.array([1.0, 3.0, 5.0, 10.0]), 2), [1, 2, 4, 7.5])


def test_one_station_keeps_its_last_two_weeks_of_labels(air: Air) -> None:
    given = problem(air, STATIONS[3], 10, test=(2016,))
    past = np.flatnonzero(air.years < 2016)
    known = past[~np.isnan(air.Y[3, past]).any(1)]
    for j, (x, y) in enumerate(given.rows):
        if j == 3:
            assert len(x) == WEEKS
            np.testing.assert_array_equal(y, air.Y[3, known[-WEEKS:]])
        else:
            np.testing.assert_array_equal(y, air.Y[j, past[::10]])
    assert len(given.Y_test) == 2400
    stacked = np.concatenate([air.X[:, past[::10]].reshape(-1, 4)])
    np.testing.assert_allclose(given.X_test, (air.X[3, 4800:] - stacked.mean(0)) / stacked.std(0), rtol=1e-3, atol=1e-3)
    labels = np.concatenate([y for _, y in given.rows])
    np.testing.assert_allclose(given.scale[0], np.nanmean(labels, 0))


def test_errors_are_root_mean_squares_in_standard_deviations(air: Air) -> None:
    given = problem(air, STATIONS[0], 10, test=(2016,))
    found = errors(given, lambda X: np.tile(np.nanmean(given.Y_test, 0), (len(X), 1)))
    np.testing.assert_allclose(found, 1.0)
    found = errors(given, lambda X: np.tile([np.nan] * 5 + [0.0], (len(X), 1)))
    assert np.isnan(found[:5]).all()
    assert np.isfinite(found[5])


@pytest.mark.parametrize("method", beijing.METHODS)
def test_every_method_learns_what_there_is_to_learn(method: str, air: Air) -> None:
    given = problem(air, STATIONS[3], 10, test=(2016,))
    settings = Settings(width=16, batch_size=96)
    epochs = 6 if method in ("single", "station") else 2
    curve = Curve(given)
    predict = trained(method, given, settings, Choice(1e-2, 0.01, 0.01, epochs), 0, curve)
    error = errors(given, predict)
    assert error.shape == (len(POLLUTANTS),)
    if method == "two-week mean":
        assert 0.95 < error.min() <= error.max() < 1.2
    else:
        assert error.max() < 0.5
    if not method.startswith(("two", "linear")):
        assert len(curve.errors) == epochs
        assert curve.errors[-1] == pytest.approx(error.mean(), rel=1e-5)


def test_its_own_net_has_a_head_a_station_that_the_relation_ties() -> None:
    torch.manual_seed(0)
    relation = Pairwise(0.3)
    model = ByStation(trunk(4, 5), 5, relation)
    for head in model.heads.modules_:
        torch.nn.init.normal_(head.weight)
    x = torch.randn(6, 4)
    outputs = model(torch.from_numpy(with_station(x.numpy(), 2)))
    z = model.trunk(x)
    for name in POLLUTANTS:
        head = model.heads[name]
        torch.testing.assert_close(outputs[name][:, 0], z @ head.weight[2] + head.bias[2])
    expected = sum(relation.value(model.heads[name].weight.detach().numpy()) for name in POLLUTANTS)
    assert model.penalties()["stations"].item() == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:RT00")
def test_quick(data_folder: Path) -> None:
    results = beijing.main(["--quick"])
    assert [row.method for row in results.rows() if row.task == "mean"] == list(beijing.METHODS)


def test_the_page_tells_what_the_runs_came_to() -> None:
    results = Results("beijing", ROOT / "examples" / "runs" / "results" / "beijing.csv")
    page = (ROOT / "docs" / "runs" / "beijing.md").read_text(encoding="utf-8")
    told = {line.split(": ")[0]: line.split(": ")[1] for line in beijing.compared(results, Settings())}
    for method in beijing.METHODS:
        mean, _, seeds = results.mean(method, "mean", "error")
        line = re.search(rf"^\| {re.escape(method)} \|(.*)\|$", page, re.M)
        assert line is not None, method
        cells = [cell.strip() for cell in line[1].split("|")]
        assert cells[0] == f"{mean:.3f}"
        assert cells[1] == str(seeds)
        if method != "single":
            assert cells[2] == told[f"{method} less single"].replace(", less at ", "; ")
