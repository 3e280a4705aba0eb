"""Statistics of parts give those of the whole, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from relatask.linear.sums.downdate import lost_digits, without
from relatask.linear.sums.merging import among, merge, only
from relatask.linear.sums.passes import columns, grouped
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError

SEEDS = st.integers(0, 10_000)


def rows(seed: int, n: int, d: int, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-2, 3, d) + 5.0
    return X, rng.normal(size=n) + 3.0, rng.integers(0, t, n), rng.uniform(0.5, 2.0, n)


def same(a: Statistics, b: Statistics, rtol: float = 1e-9) -> None:
    scale = np.where(b.spread > 0, b.spread, 1.0)
    assert (a.count == b.count).all()
    for name in ("weight", "mean_y", "yy", "row_weight"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=rtol * 10, err_msg=name)
    np.testing.assert_allclose(a.mean_x / scale, b.mean_x / scale, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(a.cross / scale, b.cross / scale, rtol=rtol, atol=rtol * 100)
    np.testing.assert_allclose(a.center / scale, b.center / scale, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(a.spread / scale, b.spread / scale, rtol=rtol, atol=rtol)
    unit = np.multiply.outer(scale, scale)
    np.testing.assert_allclose(a.forms.dense() / unit, b.forms.dense() / unit, rtol=rtol, atol=rtol * 100)
    assert (a.absent is None) == (b.absent is None)


@given(SEEDS, st.integers(1, 5), st.sampled_from([2, 7, 70]), st.booleans())
def test_groups_in_any_pieces_give_the_whole(seed: int, t: int, d: int, weighted: bool) -> None:
    X, y, codes, s = rows(seed, 60, d, t)
    weights = s if weighted else None
    whole = grouped(X, y, codes, t, weights)
    cuts = np.sort(np.random.default_rng(seed).integers(0, 61, 2)).tolist()
    parts = [slice(0, cuts[0]), slice(cuts[0], cuts[1]), slice(cuts[1], 60)]
    stats = [grouped(X[p], y[p], codes[p], t, None if weights is None else s[p]) for p in parts if p.start < p.stop]
    total = stats[0]
    for part in stats[1:]:
        total = merge(total, part)
    same(total, whole)
    turned = stats[-1]
    for part in stats[-2::-1]:
        turned = merge(part, turned)
    same(turned, whole)


@pytest.mark.parametrize("d", [3, 70])
@pytest.mark.parametrize("holes", [False, True])
def test_columns_in_pieces_give_the_whole_and_keep_one_gram(d: int, holes: bool) -> None:
    rng = np.random.default_rng(d)
    X, Y = rng.normal(size=(40, d)) + 2.0, rng.normal(size=(40, 4))
    if holes:
        Y[rng.random(Y.shape) < 0.3] = np.nan
    whole = columns(X, Y)
    merged = merge(columns(X[:13], Y[:13]), columns(X[13:], Y[13:]))
    same(merged, whole)
    if not holes:
        assert merged.forms.shared is not None
        assert merged.forms.shared.base.shape[0] == 1


def test_few_rows_stay_rows() -> None:
    X, y, codes, _ = rows(0, 40, 200, 4)
    merged = merge(grouped(X[:20], y[:20], codes[:20], 4), grouped(X[20:], y[20:], codes[20:], 4))
    same(merged, grouped(X, y, codes, 4))
    assert all(bucket.gram is None for bucket in merged.forms.buckets)


def test_sparse_rows_merge_where_they_may_be_dense() -> None:
    X, y, codes, _ = rows(1, 60, 6, 3)
    X[X < 5] = 0.0
    whole = grouped(X, y, codes, 3)
    halves = [grouped(sparse.csr_array(X[p]), y[p], codes[p], 3) for p in (slice(30), slice(30, 60))]
    same(merge(*halves), whole)


@given(SEEDS, st.integers(1, 4))
def test_what_was_added_can_be_taken_out(seed: int, t: int) -> None:
    X, y, codes, s = rows(seed, 120, 3, t)
    kept = np.arange(120) % 4 > 0
    left = grouped(X[kept], y[kept], codes[kept], t, s[kept])
    part = grouped(X[~kept], y[~kept], codes[~kept], t, s[~kept])
    rest = without(grouped(X, y, codes, t, s), part)
    same(rest, left, rtol=1e-8)
    assert (lost_digits(rest, part)[part.count > 0] >= 0).all()


def test_a_task_can_be_forgotten_whole() -> None:
    X, y, codes, _ = rows(2, 60, 3, 3)
    rest = without(grouped(X, y, codes, 3), grouped(X[codes == 1], y[codes == 1], codes[codes == 1], 3))
    assert (rest.count[1], rest.weight[1]) == (0, 0)
    assert not rest.forms.dense()[1].any()
    assert not rest.cross[1].any()
    same(only(rest, np.array([0, 2])), grouped(X[codes != 1], y[codes != 1], codes[codes != 1] // 2, 2))


def test_tasks_among_others_and_back() -> None:
    X, y, codes, _ = rows(3, 60, 3, 3)
    own = grouped(X, y, codes, 3)
    wide = among(own, np.array([4, 0, 2]), 5)
    assert wide.count[[1, 3]].tolist() == [0, 0]
    same(only(wide, np.array([4, 0, 2])), own)


def test_what_was_never_added_is_refused_where_it_can_be_told() -> None:
    X, y, codes, _ = rows(4, 60, 3, 3)
    whole = grouped(X, y, codes, 3)
    names = np.array(["a", "b", "c"])
    twice = grouped(np.vstack([X, X]), np.append(y, y), np.append(codes, codes), 3)
    with pytest.raises(InputError, match=r"task 'a' has \d+ labels, and \d+ were to be forgotten"):
        without(whole, twice, names)
    some = np.flatnonzero(codes == 1)[:4]
    foreign = grouped(100 * X[some], y[some], codes[some], 3)
    with pytest.raises(InputError, match=r"task 'b': without these rows .* not positive semidefinite"):
        without(whole, foreign, names)
    labels = grouped(X[some], 100 * y[some], codes[some], 3)
    with pytest.raises(InputError, match=r"task 'b': without these rows"):
        without(whole, labels, names)
    heavy = grouped(X[some], y[some], codes[some], 3, np.full(4, 100.0))
    with pytest.raises(InputError, match=r"task 'b': labels of weight 400"):
        without(whole, heavy, names)


def test_other_features_are_refused() -> None:
    X, y, codes, _ = rows(5, 20, 3, 2)
    with pytest.raises(InputError, match="2 features, those before had 3"):
        merge(grouped(X, y, codes, 2), grouped(X[:, :2], y, codes, 2))
