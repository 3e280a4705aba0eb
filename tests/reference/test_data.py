"""The public data sets against the facts that their documentation states."""

from __future__ import annotations

import numpy as np
import pytest

from relatask.data import Dataset, datasets, load, options_of
from relatask.data.files import FILES
from relatask.notices import InputError

# name: rows, features, tasks
FACTS = {
    "school": (15_362, 28, 139),
    "parkinsons": (5_875, 19, 42),
    "student": (1_044, 30, 2),
    "sarcos": (4_449, 21, 7),
    "mulan/andro": (49, 30, 6),
    "mulan/atp1d": (337, 411, 6),
    "mulan/edm": (154, 16, 2),
    "mulan/enb": (768, 8, 2),
    "mulan/jura": (359, 15, 3),
    "mulan/oes97": (334, 263, 16),
    "mulan/rf1": (9_125, 64, 8),
    "mulan/sf1": (323, 10, 3),
    "mulan/wq": (1_060, 16, 14),
    "beijing_air": (420_768, 11, 12),
    "hillstrom": (64_000, 9, 3),
    "tox21": (8_014, 1, 12),
}


def test_every_data_set_has_its_facts_here() -> None:
    tables = {name for name, entry in datasets().items() if not entry.folder}  # the others: test_data_media
    assert tables == {*FACTS, "diabetes"}


def test_every_file_of_every_data_set_is_known() -> None:
    assert {file for entry in datasets().values() for file in entry.files} == set(FILES)


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
@pytest.mark.parametrize("name", FACTS)
def test_sizes(name: str) -> None:
    data = load(name)
    assert (*data.X.shape, data.n_tasks) == FACTS[name]
    entry = datasets()[name]
    assert entry.rows == len(data.y)
    assert entry.where is not None
    table = data.to_table()
    assert table.num_rows == len(data.y)
    assert len(set(table.column_names)) == table.num_columns
    labels = table.column(data.targets[0])
    assert labels.null_count == np.isnan(data.y if data.y.ndim == 1 else data.y[:, 0]).sum()
    assert data.source
    assert data.licence


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_school_as_published() -> None:
    data = load("school")
    sizes = np.bincount(data.tasks)[1:]
    assert (sizes.min(), sizes.max()) == (22, 251)
    assert (data.y.min(), data.y.max()) == (1, 70)
    assert (data.X[:, 27] == 1).all()
    constant = [all(np.ptp(data.X[data.tasks == k, j]) == 0 for k in data.task_names) for j in range(28)]
    assert [data.features[j] for j in np.flatnonzero(constant)] == list(data.features[21:])
    # The blocks that the columns' names claim are indicators of one choice each.
    for block in ("year_", "gender_", "ethnic_", "school_gender_", "denomination_"):
        columns = [j for j, name in enumerate(data.features) if name.startswith(block)]
        assert (data.X[:, columns].sum(axis=1) == 1).all()


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_parkinsons_patient_means_as_recorded() -> None:
    # README of the data: the patient mean has RMSE 2.35 (motor) and 2.79 (total), 40 training rows a patient.
    for target, expected in (("motor_UPDRS", 2.35), ("total_UPDRS", 2.79)):
        data = load("parkinsons", target=target)
        rng = np.random.default_rng(0)
        errors = []
        for patient in data.task_names:
            rows = rng.permutation(np.flatnonzero(data.tasks == patient))
            errors.append(data.y[rows[40:]] - data.y[rows[:40]].mean())
        assert np.sqrt(np.mean(np.concatenate(errors) ** 2)) == pytest.approx(expected, abs=0.15)
    both = load("parkinsons", target="both")
    assert both.y.shape == (5_875, 2)
    assert both.tasks is None


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_student_reads_the_file_that_is_quoted_twice() -> None:
    data = load("student")
    assert [(data.tasks == name).sum() for name in data.task_names] == [395, 649]
    assert (data.y.min(), data.y.max()) == (0, 20)
    first = dict(zip(data.features, data.X[0], strict=True))
    assert (first["school"], first["age"], first["Mjob"], first["absences"]) == ("GP", 18, "at_home", 6)
    assert data.y[:3].tolist() == [6, 6, 10]
    assert sum(isinstance(value, str) for value in data.X[0]) == 17
    assert load("student", earlier_grades=True).features[-2:] == ("G1", "G2")
    assert load("student", target="all").y.shape == (1_044, 3)


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_missing_shares_as_published() -> None:
    tox21 = load("tox21")
    assert np.isnan(tox21.y).mean() == pytest.approx(0.173, abs=0.0005)
    assert np.isin(tox21.y[~np.isnan(tox21.y)], (0, 1)).all()
    station = load("beijing_air", station="Dongsi")
    assert station.y.shape == (35_064, 6)
    shares = [np.isnan(load("beijing_air", target=name).y).mean() for name in station.targets]
    assert (round(min(shares), 3), round(max(shares), 3)) == (0.015, 0.049)
    winds = station.X[:, -2:]
    assert np.nanmax(np.abs(np.hypot(*winds.T) - 1)) < 1e-12


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_hillstrom_is_a_funnel() -> None:
    data = load("hillstrom")
    visit, conversion, spend = data.y.T
    assert visit.mean() == pytest.approx(0.147, abs=0.0005)
    assert conversion.mean() == pytest.approx(0.0090, abs=0.00005)
    assert not ((conversion == 1) & (visit == 0)).any()
    assert ((spend > 0) == (conversion == 1)).all()
    nested = load("hillstrom", funnel=True).y
    assert (np.isnan(nested[:, 1]) == (visit == 0)).all()
    assert (np.isnan(nested[:, 2]) == (conversion == 0)).all()


def test_diabetes_needs_no_file() -> None:
    data = load("diabetes")
    assert dict(zip(*np.unique(data.tasks, return_counts=True), strict=True)) == {
        "sex 1, 40 to 54": 103,
        "sex 1, 55 to 79": 61,
        "sex 1, 19 to 39": 71,
        "sex 2, 40 to 54": 67,
        "sex 2, 55 to 79": 94,
        "sex 2, 19 to 39": 46,
    }
    assert data.to_table().column_names == [*data.features, "group", "progression"]


def test_unknown_names_and_options_say_what_there_is() -> None:
    with pytest.raises(InputError, match="data set 'skool' is unknown; did you mean 'school'"):
        load("skool")
    with pytest.raises(InputError, match="has no option 'targt'; did you mean 'target'"):
        load("parkinsons", targt="motor_UPDRS")
    with pytest.raises(InputError, match=r"'school' has no option 'target'. It has no options"):
        load("school", target="score")
    with pytest.raises(InputError, match=r"target='motor' is unknown.*motor_UPDRS, total_UPDRS, both"):
        load("parkinsons", target="motor")
    assert options_of("mulan/enb") == {}


def test_a_data_set_that_does_not_fit_together_is_refused() -> None:
    X, y = np.zeros((3, 2)), np.zeros(3)
    good = {"name": "d", "X": X, "y": y, "tasks": np.arange(3), "features": ("a", "b"), "targets": ("y",), "by": "k"}
    assert Dataset(**good).task_names == (0, 1, 2)
    for change, message in (
        ({"y": y[:2]}, "X has 3 rows"),
        ({"features": ("a",)}, "2 features and 1 targets, but 1 and 1 names"),
        ({"tasks": None}, "expected y"),
        ({"by": ""}, "expected y"),
    ):
        with pytest.raises(InputError, match=message):
            Dataset(**{**good, **change})
