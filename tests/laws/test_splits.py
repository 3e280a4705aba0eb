"""Laws of splits: training and test rows never meet, every kind keeps its promise, and bad input is named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
