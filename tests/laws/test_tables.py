"""Laws of tables: what is written is what is read."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relatask.data import read_table, write_table
from relatask.data.delimited import MISSING

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8)
NAMES = st.lists(WORDS, min_size=2, max_size=4, unique=True)
FLOATS = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    names = draw(NAMES)
    n = draw(st.integers(1, 5))
    columns = {}
    for name in names:
        # A letter in front: text such as "7" or "true" is rightly read as a number or a truth value.
        text = st.none() | WORDS.map(lambda word: f"w{word}").filter(lambda word: word not in MISSING)
        kind, values = draw(st.sampled_from([(pa.float64(), FLOATS), (pa.string(), text)]))
        columns[name] = pa.array(draw(st.lists(values, min_size=n, max_size=n)), kind)
    return pa.table(columns)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".csv.gz"])
@given(table=tables())
@settings(deadline=None, max_examples=60)
def test_round_trip(ending: str, table: pa.Table) -> None:
    with tempfile.TemporaryDirectory() as folder:
        back = read_table(write_table(table, Path(folder) / f"t{ending}"))
    assert back.to_pydict() == table.to_pydict()
