"""Laws of the table encoder, and agreement with scikit-learn's own pipeline."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from relatask.data import TableEncoder, load
from relatask.notices import InputError

NUMBER = st.none() | st.floats(-1e6, 1e6) | st.integers(-5, 5).map(float)
TEXT = st.none() | st.sampled_from(["a", "b", "c", "ü", "d e", "3", "(other)"])


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    n = draw(st.integers(1, 20))
    return pa.table(
        {
            "x": pa.array(draw(st.lists(NUMBER, min_size=n, max_size=n)), pa.float64()),
            "c": pa.array(draw(st.lists(TEXT, min_size=n, max_size=n)), pa.string()),
            "k": pa.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), pa.int64()),
        }
    )


ENCODERS = st.builds(
    TableEncoder,
    st.sampled_from(["auto", ["k"]]),
    max_categories=st.integers(2, 5),
    impute=st.sampled_from(["median", "mean"]),
)


@given(encoder=ENCODERS, train=tables(), new=tables())
@settings(deadline=None)
def test_json_gives_back_the_same_transform(encoder: TableEncoder, train: pa.Table, new: pa.Table) -> None:
    encoder.fit(train)
    twin = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert twin.feature_names_ == encoder.feature_names_
    assert twin.columns_ == encoder.columns_
    for table in (train, new):
        np.testing.assert_array_equal(twin.transform(table), encoder.transform(table))
        assert twin.unknown(table) == encoder.unknown(table)


@given(encoder=ENCODERS, train=tables(), new=tables(), data=st.data())
@settings(deadline=None)
def test_rows_are_encoded_one_by_one(
    encoder: TableEncoder, train: pa.Table, new: pa.Table, data: st.DataObject
) -> None:
    encoder.fit(train)
    whole = encoder.transform(new)
    assert whole.shape == (new.num_rows, len(encoder.feature_names_))
    assert whole.dtype == np.float64
    assert np.isfinite(whole).all()
    assert len(set(encoder.feature_names_)) == len(encoder.feature_names_)
    order = data.draw(st.permutations(range(new.num_rows)))
    np.testing.assert_array_equal(encoder.transform(new.take(order)), whole[order])
    pieces = pa.concat_tables([new.slice(0, 1), new.slice(1)])
    np.testing.assert_array_equal(encoder.transform(pieces), whole)


@given(train=tables(), data=st.data())
@settings(deadline=None)
def test_the_order_of_training_rows_does_not_matter(train: pa.Table, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(train.num_rows)))
    assert TableEncoder().fit(train).columns_ == TableEncoder().fit(train.take(order)).columns_


@given(train=tables(), new=tables(), most=st.integers(2, 5))
@settings(deadline=None)
def test_scikit_learn_gives_the_same_columns(train: pa.Table, new: pa.Table, most: int) -> None:
    if train.column("c").null_count == train.num_rows or train.column("x").null_count == train.num_rows:
        return
    one_hot = OneHotEncoder(drop="if_binary", handle_unknown="infrequent_if_exist", max_categories=most)
    peer = ColumnTransformer(
        [("x", SimpleImputer(strategy="median", add_indicator=True), ["x"]), ("c", one_hot, ["c"])], sparse_threshold=0
    )

    def frame(table: pa.Table) -> pd.DataFrame:
        text = pd.Series(table.column("c").to_pylist(), dtype=object)
        return pd.DataFrame({"x": np.array(table.column("x").to_pylist(), dtype=float), "c": text})

    expected = peer.fit(frame(train)).transform(frame(train))
    encoder = TableEncoder(max_categories=most).fit(train, ["x", "c"])
    np.testing.assert_allclose(encoder.transform(train), expected, rtol=1e-12)
    if not encoder.unknown(new):
        np.testing.assert_allclose(encoder.transform(new), peer.transform(frame(new)), rtol=1e-12)


def test_frames_and_types_that_mean_the_same_encode_the_same() -> None:
    columns = {"x": [1.5, None, 3.0], "c": ["a", None, "b"], "k": [1, 2, 1]}
    encoder = TableEncoder(["k"]).fit(columns)
    expected = encoder.transform(columns)
    frame = pd.DataFrame(columns)
    for same in (
        frame,
        frame.astype({"c": "category", "k": float}),
        pl.DataFrame(columns),
        pl.DataFrame(columns).with_columns(pl.col("c").cast(pl.Categorical)),
        pa.table(columns).cast(pa.schema({"x": pa.float32(), "c": pa.large_string(), "k": pa.int8()})),
        {**columns, "x": ["1.5", None, "3"]},
    ):
        np.testing.assert_array_equal(encoder.transform(same), expected)


def test_what_cannot_be_used_is_left_out_and_named() -> None:
    table = {"x": [1.0] * 12, "hole": [None] * 12, "gap": [np.nan] * 12, "id": [f"person {i}" for i in range(12)]}
    encoder = TableEncoder().fit(table)
    assert encoder.feature_names_ == ("x",)
    assert set(encoder.dropped_) == {"hole", "gap", "id"}
    assert "'id' is left out: its text differs in most rows (12 values in 12 rows)" in " ".join(encoder.notes_)
    # A column listed as categorical is taken at the person's word.
    assert len(TableEncoder(["id"]).fit(table).feature_names_) == 13


def test_unknown_and_missing_at_predict() -> None:
    encoder = TableEncoder().fit({"c": ["a", "b", "c"], "x": [1.0, 2.0, 9.0]})
    new = {"c": ["z", None, "b"], "x": [None, 0.0, 1.0]}
    assert encoder.transform(new).tolist() == [[0, 0, 0, 2], [0, 0, 0, 0], [0, 1, 0, 1]]
    assert encoder.unknown(new) == {"c": 2}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"x": [1.0, np.inf, -np.inf]}, r"column 'x' is infinite in row 2 \(2 such rows\)"),
        ({"x": pa.array([0, 1], pa.timestamp("s"))}, "column 'x' holds dates or times .*Turn them into numbers"),
        ({"x": [[1], [2]]}, "column 'x' holds list"),
        ({"x": [None, None]}, "no column is left to learn from: column 'x' is left out: it has no value"),
        ({"x": pa.array([], pa.float64())}, "no rows"),
    ],
)
def test_bad_training_rows(table: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TableEncoder().fit(table)


def test_bad_rows_at_predict() -> None:
    encoder = TableEncoder().fit({"price": [1.0, 2.0], "c": ["a", "b"]})
    with pytest.raises(InputError, match="column 'price' is not in the table; did you mean 'prize'"):
        encoder.transform({"prize": [1.0], "c": ["a"]})
    with pytest.raises(InputError, match="column 'price' holds 'cheap' in row 2; expected a number"):
        encoder.transform({"price": ["1", "cheap"], "c": ["a", "a"]})
    with pytest.raises(InputError, match="column 'price' is infinite in row 1"):
        encoder.transform({"price": [np.inf], "c": ["a"]})
    strict = TableEncoder(impute="none").fit({"x": [1.0, 2.0]})
    with pytest.raises(InputError, match=r"missing values in x \(1 rows\), and impute is 'none'"):
        strict.transform({"x": [None, 1.0]})


def test_long_integers_are_numbers() -> None:
    assert TableEncoder().fit_transform({"x": [2**60 + 1, None, 0]})[0, 0] == 2.0**60


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="impute='zero' is unknown; expected one of median, mean, none"):
        TableEncoder(impute="zero")
    with pytest.raises(InputError, match="max_categories=1 must be at least 2"):
        TableEncoder(max_categories=1)
    with pytest.raises(InputError, match="categorical='k': expected 'auto' or a list"):
        TableEncoder("k")
    with pytest.raises(InputError, match="categorical column 'city' is not in the table"):
        TableEncoder(["city"]).fit({"x": [1.0]})
    with pytest.raises(InputError, match="encoder of format 99"):
        TableEncoder.from_dict({"format": 99})


@pytest.mark.data
@pytest.mark.usefixtures("data_folder")
def test_a_real_mixed_table() -> None:
    table = load("student").to_table()
    encoder = TableEncoder().fit(table, table.column_names[:-2])
    X = encoder.transform(table)
    assert X.shape == (1_044, 43)
    assert not encoder.dropped_
    assert "sex=M" in encoder.feature_names_
