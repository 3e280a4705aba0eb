"""Features for networks: learned on training rows alone, the same after JSON, whatever the rows look like."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler

from relatask.data.features import (
    Categories,
    HashedNgrams,
    Standardizer,
    TableFeatures,
    Vocabulary,
    read_pictures,
    read_sounds,
    words,
)
from relatask.notices import InputError

TEXTS = st.lists(st.one_of(st.none(), st.text("ab cé.", max_size=20)), min_size=1, max_size=12)
CELLS = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.floats(-1e6, 1e6) | st.just(np.nan)
)


def through_json(features: TableFeatures) -> TableFeatures:
    return TableFeatures.from_dict(json.loads(json.dumps(features.to_dict())))


def same(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert left.keys() == right.keys()
    for key in left:
        assert left[key].dtype == right[key].dtype
        np.testing.assert_array_equal(left[key], right[key])


@settings(max_examples=60, deadline=None)
@given(CELLS)
def test_numbers_come_out_finite_and_standardised(values: np.ndarray) -> None:
    names = tuple(map(str, range(values.shape[1])))
    found = Standardizer.fit(values, names)
    out = found.transform(values).astype(np.float64)
    assert np.isfinite(out).all()
    assert out.shape[1] == len(found.feature_names) == values.shape[1] + int(np.isnan(values).any(0).sum())
    seen = ~np.isnan(values)
    marks = out[:, values.shape[1] :]
    np.testing.assert_array_equal(marks, np.isnan(values)[:, np.isnan(values).any(0)])
    again = Standardizer.from_dict(json.loads(json.dumps(found.to_dict())))
    np.testing.assert_array_equal(again.transform(values), found.transform(values))
    for j in range(values.shape[1]):
        own = out[seen[:, j], j]
        if len(own) and np.ptp(values[seen[:, j], j]) > 1e-3:
            assert abs(own.mean()) < 1e-4
            assert own.std() == pytest.approx(1, abs=1e-4)


def test_numbers_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal(3, 7, (50, 4)), rng.normal(size=(9, 4))
    ours = TableFeatures().fit(train).transform(test)["numeric"]
    np.testing.assert_allclose(ours, StandardScaler().fit(train).transform(test), rtol=1e-5, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS)
def test_words_are_told_apart_and_padding_says_nothing(train: list[str | None], test: list[str | None]) -> None:
    found = Vocabulary().fit(train)
    out = found.transform(test)
    assert out.shape == (len(test), max([1, *(len(words(text)) for text in test)]))
    for row, text in zip(out, test, strict=True):
        known = words(text)
        assert [found.words_[n - 2] if n > 1 else None for n in row[: len(known)]] == [
            word if word in found.words_ else None for word in known
        ]
        assert not row[len(known) :].any()
    again = Vocabulary.from_dict(json.loads(json.dumps(found.to_dict())))
    np.testing.assert_array_equal(again.transform(test), out)


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS)
def test_ngrams_do_not_depend_on_the_order_of_rows(train: list[str | None], test: list[str | None]) -> None:
    found, other = HashedNgrams(min_count=1).fit(train), HashedNgrams(min_count=1).fit(train[::-1])
    out = found.transform(test)
    np.testing.assert_array_equal(out, other.transform(test))
    assert out.max() < found.numbers == len(found.weights_)
    again = HashedNgrams.from_dict(json.loads(json.dumps(found.to_dict())))
    np.testing.assert_array_equal(again.transform(test), out)
    np.testing.assert_array_equal(again.weights_, found.weights_)


def test_ngrams_weigh_what_scikit_learns_tf_idf_weighs() -> None:
    texts = ["the good film", "the bad film", "a good good plot", "the plot"]
    ours = HashedNgrams(min_count=1).fit(texts)
    theirs = TfidfVectorizer(ngram_range=(1, 2), binary=True, tokenizer=words, token_pattern=None).fit(texts)
    weights = ours.weights_[ours.transform(texts)]
    weights = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    # Which bucket is which n-gram is ours alone: rows have the same weights, in some order, and the same products.
    expected = np.asarray(theirs.transform(texts).todense())
    for own, row in zip(weights, expected, strict=True):
        np.testing.assert_allclose(np.sort(own[own > 0]), np.sort(row[row > 0]), rtol=1e-6)
    dense = np.zeros((len(texts), ours.numbers))
    np.put_along_axis(dense, ours.transform(texts).astype(np.int64), weights, axis=1)
    dense[:, 0] = 0
    np.testing.assert_allclose(dense @ dense.T, expected @ expected.T, rtol=1e-6)


def test_categories_know_what_training_rows_had_twice() -> None:
    table = {"c": ["b", "a", "b", "a", "once", None, None]}
    features = TableFeatures().fit(table)
    np.testing.assert_array_equal(features.transform(table)["categorical"][:, 0], [2, 1, 2, 1, 0, 3, 3])
    np.testing.assert_array_equal(features.transform({"c": ["new", "a"]})["categorical"][:, 0], [0, 1])
    assert features.inputs_.categories == (4,)
    assert Categories.fit("c", ["a", "b"], np.array([0, 0, 1, 1, 1]), most=1).values == ("b",)


def mixed(n: int = 60) -> dict[str, list[Any]]:
    rng = np.random.default_rng(1)
    said = ["good", "bad", "fine", "poor", "film", "plot", "the", "a", "very"]
    return {
        "age": [None if rng.random() < 0.2 else float(rng.normal()) for _ in range(n)],
        "city": rng.choice(["Rome", "Oslo"], n).tolist(),
        "review": [" ".join(rng.choice(said, 7)) + f" {k}" for k in range(n)],
        "name": [f"customer{k}" for k in range(n)],
        "nothing": [None] * n,
        "flag": [bool(k % 2) for k in range(n)],
    }


def test_columns_are_what_they_look_like() -> None:
    features = TableFeatures().fit(mixed())
    assert features.roles_ == {
        "age": "numeric",
        "city": "categorical",
        "review": "text",
        "name": "drop",
        "nothing": "drop",
        "flag": "numeric",
    }
    assert features.dropped_.keys() == {"name", "nothing"}
    assert "customer" not in str(features.notes_)
    assert features.inputs_.numeric == 3  # age, flag, and the mark of what age lacks
    arrays = features.transform(mixed())
    assert arrays.keys() == {"numeric", "categorical", "text__review"}
    same(through_json(features).transform(mixed()), arrays)
    asked = TableFeatures({"name": "categorical", "city": "drop"}, text="words").fit(mixed())
    assert asked.roles_["name"] == "categorical"
    assert asked.readers_["text__review"].kind == "words"
    only = TableFeatures(only=("numeric",)).fit(mixed())
    assert only.transform(mixed()).keys() == {"numeric"}
    same(through_json(only).transform(mixed()), only.transform(mixed()))


@pytest.mark.parametrize("kind", [pa.table, pd.DataFrame, pl.DataFrame, dict])
def test_every_table_reads_alike(kind: Any) -> None:
    table = mixed()
    features = TableFeatures().fit(pa.table(table))
    same(features.transform(kind(table)), features.transform(pa.table(table)))
    assert TableFeatures().fit(kind(table)).to_dict() == features.to_dict()


@settings(max_examples=30, deadline=None)
@given(CELLS)
def test_a_matrix_is_a_table_of_numbers(values: np.ndarray) -> None:
    features = TableFeatures().fit(values)
    table = {str(j): values[:, j] for j in range(values.shape[1])}
    kept = {name: column for name, column in table.items() if not np.isnan(column).all()}
    if len(kept) == len(table):
        same(TableFeatures().fit(table).transform(table), features.transform(values))
    np.testing.assert_array_equal(features.transform(values[:1])["numeric"], features.transform(values)["numeric"][:1])


def test_rows_do_not_depend_on_rows_beside_them() -> None:
    table = pa.table(mixed())
    features = TableFeatures().fit(table)
    whole, one = features.transform(table), features.transform(table.slice(3, 1))
    for key in whole:
        width = one[key].shape[1]
        np.testing.assert_array_equal(one[key][0], whole[key][3][:width])
        assert not whole[key][3][width:].any()


def write_wave(path: Path, samples: np.ndarray, rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


def test_sounds_are_read_at_one_rate_and_end_where_they_end(tmp_path: Path) -> None:
    t = np.arange(1600) / 16000
    tone = np.sin(2 * np.pi * 440 * t)
    write_wave(tmp_path / "a.wav", np.round(tone * 32767), 16000)
    write_wave(tmp_path / "b.wav", np.stack([np.full(400, 16384), np.zeros(400)], 1), 8000)
    found = read_sounds(["a.wav", "b.wav", None], 8000, folder=tmp_path)
    assert found.shape == (3, 800)
    np.testing.assert_allclose(found[0, 50:-50], tone[::2][50:-50], atol=1e-3)
    np.testing.assert_allclose(found[1, :400], 0.25)
    assert np.isnan(found[1, 400:]).all()
    assert np.isnan(found[2]).all()
    assert read_sounds(["a.wav"], 8000, 0.05, tmp_path).shape == (1, 400)
    features = TableFeatures(folder=tmp_path).fit({"clip": ["a.wav", "b.wav"]})
    assert features.roles_ == {"clip": "sound"}
    np.testing.assert_array_equal(features.transform({"clip": ["a.wav"]})["sound__clip"], found[:1])


def test_pictures_are_read_in_colour_at_one_size(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    red = np.zeros((10, 20, 3), dtype=np.uint8)
    red[..., 0] = 200
    image.fromarray(red).save(tmp_path / "red.png")
    image.fromarray(np.full((8, 8), 90, dtype=np.uint8)).save(tmp_path / "grey.png")
    found = read_pictures(["red.png", "grey.png", None], (4, 6), tmp_path)
    assert found.shape == (3, 3, 4, 6)
    assert (found[0, 0] == 200).all()
    assert not found[0, 1:].any()
    assert (found[1] == 90).all()
    assert not found[2].any()
    features = TableFeatures(image_size=(4, 6), folder=tmp_path).fit({"photo": ["red.png", "grey.png"]})
    assert features.inputs_.images == {"image__photo": (3, 4, 6)}
    same(through_json(features).transform({"photo": ["red.png"]}), features.transform({"photo": ["red.png"]}))
    (tmp_path / "no.png").write_text("not a picture")
    with pytest.raises(InputError, match=r"no\.png is no picture"):
        read_pictures(["no.png"], (4, 4), tmp_path)
    with pytest.raises(InputError, match=r"'gone\.png' is not there"):
        read_pictures(["gone.png"], (4, 4), tmp_path)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: TableFeatures({"a": "colour"}), "roles: 'colour' of column 'a' is unknown; expected one of numeric"),
        (lambda: TableFeatures(text="letters"), "text='letters' is unknown"),
        (lambda: TableFeatures(max_categories=0), "max_categories=0 must be at least 1"),
        (lambda: TableFeatures({"b": "text"}).fit({"a": [1.0]}), "column 'b' is not in the table"),
        (lambda: TableFeatures().fit({"a": [None, None]}), "no column is left to learn from: column 'a' is left out"),
        (lambda: TableFeatures().fit(np.zeros((0, 2))), "no rows to learn features from"),
        (lambda: TableFeatures().fit(np.zeros(3)), r"X has shape \(3,\); expected two axes"),
        (lambda: TableFeatures().fit([[1.0], [np.inf]]), "infinity, first in row 1, column '0'"),
        (lambda: TableFeatures().fit([[1e200], [-1e200]]), "column '0' holds numbers whose squares overflow"),
        (lambda: TableFeatures().fit(np.zeros((2, 1), dtype=complex)), "Complex data not supported"),
        (lambda: TableFeatures().fit({"d": np.array(["2026-01-01"], "M8[D]")}), "column 'd' holds dates"),
        (lambda: TableFeatures().fit({"a": [1.0, 2.0]}).transform({"b": [1.0]}), "column 'a' is not in the table"),
        (lambda: TableFeatures().fit({"a": [1.0]}).transform({"a": ["x"]}), "column 'a' holds 'x' in row 1"),
        (lambda: TableFeatures.from_dict({"format": 9}), "features of format 9; this version reads format 1"),
        (lambda: Vocabulary(0), "size=0, min_count=1 and length=400 must be"),
        (lambda: HashedNgrams(10, (2, 1)), r"ngrams=\(2, 1\) two whole numbers"),
    ],
)
def test_what_cannot_be_read_is_told(make: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        make()
