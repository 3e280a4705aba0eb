"""Batches, blocks of tasks and sums against the ordinary fit on all rows, which has tests of its own."""

import itertools
import tracemalloc
import warnings
from functools import reduce

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from tests.streamed import cut, rows, same, small

from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.linear.streaming import growing
from relatask.linear.streaming.collecting import Collector
from relatask.linear.streaming.dealing import hashed
from relatask.linear.streaming.naming import Names
from relatask.linear.streaming.pieces import joined, piece
from relatask.linear.streaming.strengths import squared_errors
from relatask.linear.sums.merging import merge
from relatask.linear.sums.passes import grouped
from relatask.notices import InputError
from relatask.relations import Chain, HierarchicalPrior, Pairwise, Ridge, SharedSparsity


@pytest.mark.parametrize("relation", [Pairwise(0.01), Ridge(0.1), Chain(0.5), SharedSparsity(0.1), HierarchicalPrior()])
@pytest.mark.parametrize("intercept", ["free", "tied", "common", "none"])
def test_batches_give_the_fit_on_all_rows(relation, intercept):
    X, y, codes = rows()
    # Searches and splittings end within their tolerance of the optimum, direct solves at it.
    tol, near = {HierarchicalPrior: (1e-6, 1e-4), SharedSparsity: (1e-9, 1e-6)}.get(type(relation), (1e-6, 1e-8))
    model = MultiTaskRegressor(relation, intercept=intercept, tol=tol)
    whole = MultiTaskRegressor(relation, intercept=intercept, tol=tol).fit(X, y, codes)
    same(model.fit_batches(cut(len(y), X, y, codes)), whole, near)
    assert model.objective_ == pytest.approx(whole.objective_, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 200), max_size=6), st.booleans(), st.integers(0, 3))
def test_wherever_the_cuts_are(cuts, weighted, seed):
    X, y, codes = rows(200, 3, 5, seed)
    y[::17] = np.nan
    weight = np.random.default_rng(seed).integers(0, 3, 200).astype(float) if weighted else np.ones(200)
    weight[:5], codes[:5], y[:5] = 1.0, np.arange(5), 1.0
    ends = [0, *sorted(cuts), 200]
    parts = [slice(a, b) for a, b in itertools.pairwise(ends) if weight[a:b].any()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batches = [(X[p], y[p], codes[p], weight[p]) for p in parts]
        streamed = MultiTaskRegressor(Pairwise(0.1)).fit_batches(batches)
        same(streamed, MultiTaskRegressor(Pairwise(0.1)).fit(X, y, codes, weight))


@pytest.mark.parametrize("labels", ["int", "text", "mixed", "tuples"])
def test_tasks_that_appear_at_any_batch_in_any_order(labels):
    X, y, codes = rows(500, 3, 40)
    codes = np.sort(codes)[::-1].copy()
    named = {
        "int": codes * 7 - 50,
        "text": np.array([f"task {k}" * (1 + k % 3) for k in codes]),
        "mixed": np.array([f"task {k}" if k < 20 else int(k) for k in codes], dtype=object),
        "tuples": pd.Series([(int(k), "x") for k in codes], dtype=object).to_numpy(),
    }[labels]
    model = MultiTaskRegressor(Pairwise(0.01)).fit_batches(cut(500, X, y, named, size=13))
    same(model, MultiTaskRegressor(Pairwise(0.01)).fit(X, y, named))
    np.testing.assert_array_equal(model.predict(X[:9], named[:9]), model.predict(X, named)[:9])


@pytest.mark.parametrize("kind", ["wide", "columns", "columns with holes", "one", "sparse", "blocks"])
def test_layouts_that_are_merged(kind):
    X, y, codes = rows(400, 90 if kind == "wide" else 5, 4)
    options = {}
    if kind.startswith("columns"):
        y = np.stack([y, -y + X[:, 0], y**2 / 50], axis=1)
        if kind.endswith("holes"):
            y[np.random.default_rng(0).random(y.shape) < 0.3] = np.nan
        given = (X, y)
    elif kind == "one":
        given = (X, y)
    else:
        if kind == "blocks":
            X[codes == 1, 2] = np.nan
            options = {"missing_features": "block"}
        given = (sparse.csr_array(np.where(X > 3, X, 0)) if kind == "sparse" else X, y, codes)
    model = MultiTaskRegressor(Pairwise(0.05), **options)
    same(model.fit_batches(cut(400, *given)), MultiTaskRegressor(Pairwise(0.05), **options).fit(*given))


@pytest.mark.parametrize("kind", ["groups", "columns", "sparse", "chosen", "chosen columns"])
def test_batches_without_any_label_count_nothing(kind):
    X, y, codes = rows(400, 5, 4)
    relation = Pairwise("auto" if "chosen" in kind else 0.05)
    labels = np.where(np.random.default_rng(0).random((400, 2)) < 0.3, np.nan, np.stack([y, -y], axis=1))
    given = (X, labels) if "columns" in kind else (sparse.csr_array(X) if kind == "sparse" else X, y, codes)
    nothing = (given[0][:7], np.full_like(given[1][:7], np.nan), *(part[:7] for part in given[2:]))
    model = MultiTaskRegressor(relation).fit_batches([nothing, *cut(400, *given), nothing])
    whole = MultiTaskRegressor(relation).fit_batches(cut(400, *given))
    if kind == "chosen columns":  # rows without labels are dealt out too
        whole = MultiTaskRegressor(Pairwise(model.strengths_["strength"])).fit(*given)
    same(model, whole)
    if kind == "groups":
        unseen = (*nothing[:2], np.full(7, 9))
        with pytest.raises(InputError, match="task 9 without labels in any batch"):
            MultiTaskRegressor(relation).fit_batches([given, unseen])
        weightless = (X[:7], y[:7], codes[:7], np.zeros(7))
        same(MultiTaskRegressor(relation).fit_batches([weightless, (*given, np.ones(400))]), whole)


@pytest.mark.parametrize("kind", ["groups", "columns", "sparse"])
def test_a_partition_without_any_label_counts_nothing(kind):
    X, y, codes = rows(100, 5, 4)
    given = (X, np.stack([y, -y], axis=1)) if kind == "columns" else (X, y, codes)
    given = (sparse.csr_array(X), *given[1:]) if kind == "sparse" else given
    nothing = (given[0], np.full_like(given[1], np.nan), *given[2:])
    model = MultiTaskRegressor(Pairwise(0.05))
    parts = [piece(model, 1, number, part) for number, part in enumerate([nothing, given, nothing])]
    total = joined(joined(parts[0], parts[1]), parts[2])
    expected = piece(model, 1, 0, given)
    assert total.tasks.tolist() == expected.tasks.tolist()
    np.testing.assert_array_equal(total.folds[0].cross, expected.folds[0].cross)
    np.testing.assert_array_equal(total.folds[0].count, expected.folds[0].count)


def test_text_of_numpy_and_of_python_is_one_kind_of_label():
    X, y, codes = rows(200, 3, 4)
    labels = [1 if k == 0 else np.array(list("abcd"))[k] for k in codes]  # numpy's str_ beside int
    order = np.argsort(codes, kind="stable")[::-1]
    X, y, labels = X[order], y[order], [labels[i] for i in order]
    model = MultiTaskRegressor().fit_batches(cut(200, X, y, labels, size=30))
    assert model.tasks_.tolist() == [1, "b", "c", "d"]
    same(model, MultiTaskRegressor().fit(X, y, labels))


@pytest.mark.parametrize("first", [40, 200])
def test_sparse_batches_after_dense_ones(first):
    X, y, codes = rows(400, 5, 4)
    batches = [(X[:first], y[:first], codes[:first])]
    batches += [
        (sparse.coo_array(part), *rest) for part, *rest in cut(400 - first, X[first:], y[first:], codes[first:], size=9)
    ]
    for order in (batches, batches[::-1], [*batches[1:20], batches[0], *batches[20:]]):
        same(MultiTaskRegressor(Pairwise(0.05)).fit_batches(order), MultiTaskRegressor(Pairwise(0.05)).fit(X, y, codes))


def test_frames_and_arrow_tables():
    X, y, codes = rows()
    frame = pd.DataFrame(X, columns=list("abcd")).assign(school=codes)
    whole = MultiTaskRegressor(Pairwise(0.1), task_column="school").fit(frame, y)
    table = pa.table({name: frame[name].to_numpy() for name in frame})
    for X_of in (
        lambda a: frame[a : a + 99],
        lambda a: pl.from_pandas(frame[a : a + 99]),
        lambda a: table.slice(a, 99),
    ):
        model = MultiTaskRegressor(Pairwise(0.1), task_column="school")
        model.fit_batches((X_of(a), pa.array(y[a : a + 99])) for a in range(0, 600, 99))
        same(model, whole)
        assert model.feature_names_in_.tolist() == list("abcd")
        np.testing.assert_allclose(model.predict(frame), whole.predict(frame), rtol=1e-8)
    batches = table.drop_columns("school").to_batches(max_chunksize=50)
    model = MultiTaskRegressor(Pairwise(0.1))
    model.fit_batches((b, y[a : a + 50], codes[a : a + 50]) for a, b in zip(range(0, 600, 50), batches, strict=True))
    same(model, whole)


def test_pooled_and_scaled_targets():
    X, y, codes = rows()
    same(PooledRegressor(0.1).fit_batches(cut(600, X, y, codes)), PooledRegressor(0.1).fit(X, y, codes))
    weights = {0: 2.0}
    settings_ = {"scale_targets": True, "task_weight": weights, "weighting": "task"}
    model = MultiTaskRegressor(Pairwise(0.1), **settings_)
    same(model.fit_batches(cut(600, X, y, codes)), MultiTaskRegressor(Pairwise(0.1), **settings_).fit(X, y, codes))


def test_a_streamed_model_goes_on_learning(tmp_path):
    X, y, codes = rows()
    model = MultiTaskRegressor(Pairwise(0.1)).fit_batches(cut(500, X[:500], y[:500], codes[:500]))
    same(model.partial_fit(X[500:], y[500:], codes[500:]), MultiTaskRegressor(Pairwise(0.1)).fit(X, y, codes))
    model.save(tmp_path / "model")
    assert (MultiTaskRegressor.load(tmp_path / "model").coef_ == model.coef_).all()


# Strengths from sums.


def dealt(X, y, codes, size):
    """The fold of every row, found by rows of one coefficient each: what a collector sums up where."""
    model = MultiTaskRegressor(Pairwise("auto"))
    collector = Collector(model, 5)
    marks = np.eye(len(y))
    for part in cut(len(y), marks, y, codes, size=size):
        collector.add(*part)
    _, folds = collector.finished()
    return np.stack([(f.weight[:, None] * f.mean_x).sum(0) for f in folds])


def test_every_row_is_in_one_fold_whatever_the_batches():
    X, y, codes = rows(60, 2, 3)
    found = dealt(X, y, codes, 60)
    np.testing.assert_allclose(found.sum(0), 1.0, atol=1e-9)
    np.testing.assert_allclose(found.max(0), 1.0, atol=1e-9)
    np.testing.assert_allclose(dealt(X, y, codes, 7), found, atol=1e-9)
    per_task = np.stack([found[:, codes == k].sum(1) for k in range(3)])
    assert np.ptp(per_task, axis=1).max() <= 2  # dealt out evenly: at most one more, at either end


def test_the_strength_is_that_of_the_same_folds_by_rows():
    X, y, codes = rows(300, 4, 8)
    model = MultiTaskRegressor(Pairwise("auto")).fit_batches(cut(300, X, y, codes))
    marks = dealt(X, y, codes, 70) > 0.5
    errors = np.zeros(len(model.path_.strengths))
    for m, strength in enumerate(model.path_.strengths[:, 0]):
        for held in marks:
            fold = MultiTaskRegressor(Pairwise(strength)).fit(X[~held], y[~held], codes[~held])
            errors[m] += np.square(fold.predict(X[held], codes[held]) - y[held]).sum() / 300
    np.testing.assert_allclose(model.path_.errors, errors, rtol=1e-7)
    assert model.path_.best == errors.argmin()
    same(model, MultiTaskRegressor(Pairwise(model.strengths_["strength"])).fit(X, y, codes))


def test_errors_from_sums_are_those_of_the_rows():
    X, y, codes = rows()
    s = np.random.default_rng(1).random(600)
    W, b = np.random.default_rng(2).standard_normal((6, 4)), np.arange(6.0)
    residual = y - np.einsum("nd,nd->n", X, W[codes]) - b[codes]
    expected = np.bincount(codes, s * np.square(residual))
    np.testing.assert_allclose(squared_errors(grouped(X, y, codes, 6, s), W, b), expected, rtol=1e-10)


def test_hash_is_splitmix64():
    # The first outputs of the reference implementation (Vigna, splitmix64.c) from state 0.
    golden = np.uint64(0x9E3779B97F4A7C15)
    assert int(hashed(np.zeros(1, dtype=np.uint64))[0]) == 0xE220A8397B1DCDAF
    assert int(hashed(np.ones(1, dtype=np.uint64))[0]) == 0x6E789E6AA1B965F4
    assert golden % 2 == 1


# Memory and what is read.


def test_memory_does_not_grow_with_the_number_of_batches():
    def stream(n):
        for seed in range(n):
            yield rows(2_000, 10, 5, seed)

    def peak(n):
        tracemalloc.start()
        MultiTaskRegressor(Pairwise(0.1)).fit_batches(stream(n))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2)
    assert peak(40) <= 1.1 * peak(4)


def test_progress_counts_rows():
    X, y, codes = rows()
    seen = []
    MultiTaskRegressor(Pairwise(0.1)).fit_batches(cut(600, X, y, codes, size=250), progress=seen.append)
    assert seen == [250, 500, 600]


# Bad input.


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([], "no batches with rows; expected at least one"),
        (3, "batches=3 is not usable"),
        ([np.zeros((3, 2))], "batch 1 is a ndarray; expected"),
        ([(1, 2, 3, 4, 5)], "batch 1 is a tuple of 5"),
        ([(np.zeros((3, 2)), [1.0, 2, 3], [0, 0, 1]), (np.zeros((3, 4)), [1.0, 2, 3], [0, 0, 1])], "batch 2: X has 4"),
        (
            [(np.zeros((3, 2)), [1.0, 2, 3], [0, 0, 1]), (np.zeros((3, 2)), [1.0, 2, 3])],
            "batch 2: rows come as .* without",
        ),
        ([(np.zeros((3, 2)), [1.0, 2, np.nan], [0, 0, 1])], r"task 1 without labels in any batch"),
        ([(np.zeros((2, 2)), [np.nan] * 2)], "no label"),
        ([(np.array([[np.nan, 1.0]]), [1.0])], "batch 1: .*NaN"),
        ([(None, [1.0])], "batch 1: X=None is not usable"),
        ([(np.full((2, 1), 1e200) * [[1], [2]], [1.0, 2.0])], "squares overflow"),
    ],
)
def test_bad_batches(batches, words):
    model = MultiTaskRegressor(Pairwise(0.1)).fit(*rows())
    before = dict(vars(model))
    with pytest.raises(InputError, match=words):
        model.fit_batches(batches)
    assert all(vars(model)[name] is value for name, value in before.items())


def test_what_needs_rows():
    with pytest.raises(InputError, match="loss='huber' has no sums"):
        MultiTaskRegressor(loss="huber").fit_batches([])
    with pytest.raises(InputError, match="track_rows=True"):
        MultiTaskRegressor(track_rows=True).fit_batches([])
    with pytest.raises(InputError, match="columns that are not numbers: 'b'"):
        MultiTaskRegressor().fit_batches([(pa.table({"a": [1.0], "b": ["x"]}), [1.0])])
    with pytest.raises(InputError, match=r"batch 1: .* NaN .* The columns are 'b'"):
        MultiTaskRegressor().fit_batches([(pa.table({"a": [1.0, 2.0], "b": [1.0, None]}), [1.0, 2.0])])
    first = pa.table({"a": [1.0, 2.0], "b": [1.0, 3.0]})
    with pytest.raises(InputError, match=r"batch 1: a Table of the columns 'a', 'b': .* one column each"):
        MultiTaskRegressor().fit_batches([(first, first)])
    double = pa.Table.from_arrays([[1.0], [2.0]], names=["a", "a"])
    with pytest.raises(InputError, match="X has several columns named 'a'"):
        MultiTaskRegressor().fit_batches([(double, [1.0])])
    with pytest.raises(InputError, match=r"X is a pyarrow Table, which only fit_batches takes; use X.to_pandas\(\)"):
        MultiTaskRegressor().fit_batches([(first, [1.0, 2.0])]).predict(first)
    with pytest.raises(InputError, match=r"batch 2: X has the columns 'b', 'a', those before had 'a', 'b'"):
        MultiTaskRegressor().fit_batches([(first, [1.0, 2.0]), (first.select(["b", "a"]), [1.0, 2.0])])
    with pytest.raises(InputError, match="no Arrow table"):
        MultiTaskRegressor().fit_batches([(first, [1.0, 2.0]), (np.zeros((2, 2)), [1.0, 2.0])])


def test_names_keep_their_places():
    names = Names()
    assert names.places(np.array([3, 5])).tolist() == [0, 1]
    assert names.places(np.array([1, 3, 9])).tolist() == [2, 0, 3]
    assert names.places(np.array(["x", 3], dtype=object)).tolist() == [4, 0]
    labels, places = names.in_order()
    assert labels.tolist() == [1, 3, 5, 9, "x"]
    assert places.tolist() == [2, 0, 1, 3, 4]


def test_growing_in_any_order_is_one_pass():
    X, y, codes = small(100, 4, 2_000)
    whole = grouped(X, y, codes, 100)
    held = growing.Growing(4)
    for a in range(0, 2_000, 300):
        some, own = np.unique(codes[a : a + 300], return_inverse=True)
        held.add(X[a : a + 300], y[a : a + 300], own, 99 - some, None)
    found = held.statistics(99 - np.arange(100))
    np.testing.assert_allclose(found.forms.dense(), whole.forms.dense(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.mean_x, whole.mean_x, rtol=1e-12)
    merged = reduce(merge, [grouped(X[a::2], y[a::2], codes[a::2], 100) for a in range(2)])
    np.testing.assert_allclose(found.cross, merged.cross, rtol=1e-8, atol=1e-8)
