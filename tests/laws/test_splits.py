"""Laws of splits: training and test rows never meet, every kind keeps its promise, and bad input is named."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from relatask.notices import InputError
from relatask.study import splits
from relatask.study.splits import as_splits

tasks = st.lists(st.integers(0, 4), min_size=12, max_size=60).map(
    lambda codes: np.unique(codes, return_inverse=True)[1]
)


def drawn(way, codes, rows=None, n_rows=None):
    rows = np.arange(len(codes)) if rows is None else rows
    return way.draw(rows, codes, len(codes) if n_rows is None else n_rows)


@given(tasks, st.integers(0, 100))
def test_no_row_is_on_both_sides_and_none_is_lost(codes, seed):
    ways = [
        splits.random(repeats=3, seed=seed),
        splits.kfold(3, repeats=2, seed=seed),
        splits.group(np.arange(len(codes)) // 2, 3),
    ]
    for way in ways:
        found = drawn(way, codes)
        assert len({split.name for split in found}) == len(found)
        for split in found:
            np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.test])), np.arange(len(codes)))
            assert (np.diff(split.test) > 0).all()


@given(tasks, st.floats(0.1, 0.9))
def test_random_splits_are_drawn_within_each_task(codes, test):
    largest = np.bincount(codes).max()
    assume(round((1 - test) * largest) < largest)  # else there is nothing to test on: an error
    for split in drawn(splits.random(test=test, repeats=2), codes):
        train = np.bincount(codes[split.train], minlength=codes.max() + 1)
        expected = [max(round((1 - test) * n), 1) for n in np.bincount(codes)]
        np.testing.assert_array_equal(train, expected)


def test_a_random_split_is_that_of_the_generator_named():
    codes = np.repeat([0, 1], [8, 4])
    second = drawn(splits.random(repeats=2, seed=5), codes)[1]
    rng = np.random.default_rng(6)
    expected = [*rng.permutation(8)[:6], *(8 + rng.permutation(4)[:3])]
    assert second.train.tolist() == sorted(expected)


@given(tasks, st.integers(2, 5))
def test_folds_test_each_row_once_and_a_lone_row_never(codes, k):
    tested = np.bincount(np.concatenate([split.test for split in drawn(splits.kfold(k), codes)]), minlength=len(codes))
    np.testing.assert_array_equal(tested, np.bincount(codes)[codes] > 1)
    for split in drawn(splits.kfold(k), codes):
        size, fold = (
            np.bincount(codes[rows], minlength=codes.max() + 1) for rows in (np.arange(len(codes)), split.test)
        )
        assert ((fold == size // k) | (fold == -(-size // k)) | (size == 1)).all()


@given(tasks)
def test_groups_are_never_parted(codes):
    member = np.random.default_rng(len(codes)).integers(6, size=len(codes)).astype(str)
    member[:3] = ["0", "1", "2"]
    found = drawn(splits.group(member, 3), codes)
    for split in found:
        assert not set(member[split.train]) & set(member[split.test])
    assert sorted(np.concatenate([split.test for split in found])) == list(range(len(codes)))


@given(st.permutations(range(40)), st.integers(1, 4))
def test_time_never_runs_backwards(order, ties):
    times = np.array(order) // ties
    found = drawn(splits.time(times, 4), np.zeros(len(times), int))
    for split in found:
        assert times[split.train].max() < times[split.test].min()
    sizes = [len(split.train) for split in found]
    assert sizes == sorted(sizes)
    assert len(found[-1].train) + len(found[-1].test) == len(times)


def test_rows_without_a_label_are_in_no_split():
    rows = np.array([0, 2, 3, 5, 6, 7, 8, 9])
    codes = np.zeros(8, int)
    ways = [splits.random(repeats=1), splits.kfold(2), splits.group(np.arange(10), 2), splits.time(np.arange(10), 2)]
    for way in [*ways, splits.given([([0, 1, 2], [4, 5])])]:
        for split in drawn(way, codes, rows, 10):
            assert set(split.train) | set(split.test) <= set(rows)


def test_a_number_means_random_splits_and_pairs_are_taken_as_they_are():
    assert as_splits(3) == splits.random(test=0.25, repeats=3, seed=0)
    split = drawn(as_splits([([1, 0], [3])]), np.zeros(4, int))[0]
    assert (split.train.tolist(), split.test.tolist()) == ([0, 1], [3])
    assert as_splits([([0], [1])]).describe() == {"kind": "given", "sizes": [[1, 1]]}
    assert splits.kfold().describe()["k"] == 5
    assert splits.group(["a", "b"], 2).describe()["groups"] == 2
    assert splits.time([1, 2], 1).describe() == {"kind": "time", "k": 1}


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: splits.random(test=1.0), "test=1.0 must lie between 0 and 1"),
        (lambda: splits.random(repeats=0), "repeats=0 must be a whole number >= 1"),
        (lambda: splits.kfold(1), "k=1 must be a whole number >= 2"),
        (lambda: drawn(splits.group([1, 2], 2), np.zeros(3, int)), "values for 3 rows; give one for each"),
        (lambda: drawn(splits.group([1, 1, 2], 3), np.zeros(3, int)), "k=3 folds of 2 groups; give k <= 2"),
        (lambda: drawn(splits.time([1, 1, 1], 2), np.zeros(3, int)), "needs 3 blocks of distinct times"),
        (lambda: drawn(splits.given([([0], [7])]), np.zeros(3, int)), "rows run from 0 to 7; the data have 3"),
        (lambda: drawn(splits.given([([0, 1], [1])]), np.zeros(3, int)), "1 rows are in training and in test"),
    ],
)
def test_bad_splits(make, match):
    with pytest.raises(InputError, match=match):
        make()


DAYS = [datetime.date(2024, 1, day) for day in (10, 9, 11, 2)]
MOMENTS = [datetime.datetime(2024, 1, day, 12) for day in (10, 9, 11, 2)]
AWARE = [moment.replace(tzinfo=datetime.UTC) for moment in MOMENTS]


@pytest.mark.parametrize(
    "times",
    [
        [10, 9, 11, 2],
        np.array([10.0, 9.0, 11.0, 2.0], dtype=object),
        np.array(DAYS, dtype="datetime64[D]"),
        list(np.array(DAYS, dtype="datetime64[D]")),
        np.array(MOMENTS, dtype="datetime64[s]") - np.datetime64("2024-01-01"),
        DAYS,
        MOMENTS,
        AWARE,
        pd.Series(MOMENTS),
        pd.Series(AWARE),
        pd.Series([10, 9, 11, 2], dtype="Int64"),
        pd.DatetimeIndex(MOMENTS),
        pl.Series(MOMENTS),
        pl.Series(DAYS),
    ],
    ids=lambda times: f"{type(times).__name__}",
)
def test_times_are_numbers_or_datetimes_of_any_kind(times):
    found = drawn(splits.time(times, 3), np.zeros(4, int))
    assert [split.test.tolist() for split in found] == [[1], [0], [2]]


def test_groups_are_labels_of_any_type():
    found = drawn(splits.group([1, "1", 1, (2, "x"), "1", 1], 3), np.zeros(6, int))
    assert [split.test.tolist() for split in found] == [[0, 2, 5], [1, 4], [3]]


@pytest.mark.parametrize(
    "values", [["10", "9"], np.array(["10", "9"]), pd.Series(["10", "9"]), pl.Series(["10", "9"]), ["10", 9]]
)
def test_text_is_no_time(values):
    with pytest.raises(InputError, match=r"text sorts as text .\"10\" before \"9\".*pandas.to_datetime"):
        splits.time(values, 1)


@pytest.mark.parametrize(
    "values",
    [
        [0.5, np.nan, 1.0, np.nan],
        [1, None, 2, None],
        [MOMENTS[0], None, MOMENTS[1], pd.NaT],
        np.array(["2024-01-01", "NaT", "2024-01-02", "NaT"], dtype="datetime64[D]"),
        pd.Series([1, None, 2, None], dtype="Int64"),
        pl.Series([1, None, 2, None]),
    ],
)
@pytest.mark.parametrize(("make", "word"), [(splits.time, "time"), (splits.group, "group")])
def test_rows_without_a_time_or_a_group_are_named(make, word, values):
    with pytest.raises(InputError, match=f"2 rows have no {word} .*the first is row 1"):
        make(values, 2)


def test_masks_are_read_as_masks():
    train = np.array([True, True, False, True])
    way = splits.given([(train, ~train)])
    split = drawn(way, np.zeros(4, int))[0]
    assert (split.train.tolist(), split.test.tolist()) == ([0, 1, 3], [2])
    assert way.describe() == {"kind": "given", "sizes": [[3, 1]]}
    assert drawn(splits.given([([True, False], [False, True])]), np.zeros(2, int))[0].test.tolist() == [1]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: as_splits(KFold(3)), r"splitter of scikit-learn.*splits.kfold\(5\)"),
        (lambda: as_splits("kfold"), "give a number of random splits"),
        (lambda: as_splits(True), "give a number of random splits"),
        (lambda: as_splits([]), "splits has no pair"),
        (lambda: as_splits([0, 1]), "given split 0: expected a pair"),
        (lambda: as_splits([([0.5], [1])]), "given split 0: rows of type float64"),
        (lambda: drawn(as_splits([([True], [False])]), np.zeros(3, int)), "a mask of 1 rows; the data have 3"),
        (lambda: drawn(splits.random(test=0.01), np.zeros(20, int)), "test=0.01 is too small a share: .* 20 rows"),
        (lambda: drawn(splits.random(), np.arange(5)), "every task has one row only"),
        (lambda: splits.time([MOMENTS[0], AWARE[0]], 1), "no common order"),
        (lambda: splits.time([MOMENTS[0], DAYS[0]], 1), "no common order"),
        (lambda: splits.random(test="half"), "test='half' must lie between 0 and 1"),
        (lambda: splits.time(5, 1), "give the time of each row"),
        (lambda: splits.group(np.zeros((3, 2)), 2), r"values of shape \(3, 2\)"),
    ],
)
def test_misuse_of_splits(make, match):
    with pytest.raises(InputError, match=match):
        make()
