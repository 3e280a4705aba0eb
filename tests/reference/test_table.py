"""Reading and writing tables: what comes back, and what is said of a bad file."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from relatask.data import as_table, infer, read_table, reading_notes, write_table
from relatask.notices import InputError


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("comma.csv", "a,b\n1,x\n2,\n"),
        ("semicolon.csv", "a;b\n1;x\n2;NA\n"),
        ("tab.tsv", "a\tb\n1\tx\n2\tNaN\n"),
        ("tab.txt", "a\tb\n1\tx\n2\tnull\n"),
        ("bom.csv", b"\xef\xbb\xbfa;b\r\n1;x\r\n2;\r\n"),
        ("quoted.csv", '"a","b"\n1,"x"\n2,"?"\n'),
        ("packed.csv.gz", gzip.compress(b"a,b\n1,x\n2,\n", mtime=0)),
    ],
)
def test_the_same_table_in_several_dresses(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert read_table(write(tmp_path, name, content)).to_pydict() == {"a": [1, 2], "b": ["x", None]}


def test_a_delimiter_inside_quotes_is_no_delimiter(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", '"a, or b, or c";"d"\n1;2\n')
    assert read_table(path).column_names == ["a, or b, or c", "d"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "ragged.csv",
            "a,b\n1,2\n3,4,5\n",
            r"ragged.csv: line 3 has 3 cells and the header has 2 \(delimiter: comma\)",
        ),
        ("twice.csv", "a,b,a,b\n1,2,3,4\n", r"twice.csv: duplicate column names: 'a', 'b'"),
        ("empty.csv", "", r"empty.csv: the file is empty"),
        ("blank.csv", b"\xef\xbb\xbf\n \n", r"blank.csv: the file is empty"),
        ("head.csv", "a,b\n", r"head.csv: the file has column names and no rows"),
        ("latin.csv", "a,b\né,1\n".encode("latin-1"), r"latin.csv: column 'a' holds text that is not UTF-8. Save"),
        ("empty.parquet", b"", r"empty.parquet: the file is empty"),
        ("text.parquet", b"a,b\n1,2\n", r"text.parquet: this is not a whole Parquet file"),
        ("table.xlsx", b"", r"table.xlsx: the ending '.xlsx' is unknown. Expected one of .csv"),
        ("bad.csv.gz", b"no gzip", r"bad.csv.gz: cannot be read"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(InputError, match=message):
        read_table(path)


def test_a_parquet_file_cut_short(tmp_path: Path) -> None:
    path = write_table({"a": np.arange(1000)}, tmp_path / "t.parquet")
    whole = path.read_bytes()
    for size in (5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"t.parquet: this is not a whole Parquet file \(cut short"):
            read_table(path)


def test_a_missing_file_has_a_near_name(tmp_path: Path) -> None:
    write(tmp_path, "school.csv", "a\n1\n")
    with pytest.raises(InputError, match=r"there is no such file; did you mean 'school.csv'"):
        read_table(tmp_path / "scool.csv")
    with pytest.raises(InputError, match="there is no folder"):
        read_table(tmp_path / "nowhere" / "school.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        read_table(tmp_path / "folder.csv")


def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "a\n1\n")
    with pytest.raises(InputError, match="the table cannot be written as csv"):
        write_table({"a": [[1, 2]]}, path)
    assert path.read_text() == "a\n1\n"
    assert os.listdir(tmp_path) == ["t.csv"]
    with pytest.raises(InputError, match="cannot be written"):
        write_table({"a": [1]}, tmp_path / "nowhere" / "t.csv")
    with pytest.raises(InputError, match=r"ending '.json' is unknown"):
        write_table({"a": [1]}, tmp_path / "t.json")


def test_frames_of_other_libraries() -> None:
    columns = {"a": [1.0, None], "b": ["x", None]}
    expected = {"a": [1.0, None], "b": ["x", None]}
    assert as_table(pd.DataFrame(columns, index=[7, 3])).to_pydict() == expected
    assert as_table(pl.DataFrame(columns)).to_pydict() == expected
    assert as_table(columns).to_pydict() == expected
    with pytest.raises(InputError, match="duplicate column names: 'a'"):
        as_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(InputError, match="values of one type"):
        as_table({"a": [1, "x"]})
    with pytest.raises(InputError, match=r"expected a table .* got list"):
        as_table([1, 2])


def test_categories_are_written_as_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"c": pd.Categorical(["x", "y", "x"])})
    assert read_table(write_table(frame, tmp_path / "t.csv")).to_pydict() == {"c": ["x", "y", "x"]}


def test_codes_with_leading_zeros_stay_text(tmp_path: Path) -> None:
    text = "id,n,half,below,pad\n01,0,0.5,-0.5,1\n1,10,0.25,-0.25,\n007,20,1,3,02\n"
    table = read_table(write(tmp_path, "t.csv", text))
    assert table.column("id").to_pylist() == ["01", "1", "007"]
    assert table.column("pad").to_pylist() == ["1", None, "02"]
    assert table.column("n").to_pylist() == [0, 10, 20]
    assert table.column("half").to_pylist() == [0.5, 0.25, 1.0]
    assert table.column("below").to_pylist() == [-0.5, -0.25, 3.0]
    assert reading_notes(table) == ("leading zeros (as in 007): read as text, not as numbers: 'id', 'pad'",)


def test_tasks_that_differ_in_a_leading_zero_do_not_merge(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "g,x,y\n" + "".join(f"{'01' if i % 2 else '1'},{i},{i * i}\n" for i in range(20)))
    assert [task.name for task in infer(read_table(path), ["y"], by="g").tasks] == ["01", "1"]


def test_a_leading_zero_far_down_and_in_quotes_is_seen(tmp_path: Path) -> None:
    rows = "".join(f"{i + 10},1\n" for i in range(700_000))
    assert read_table(write(tmp_path, "t.csv", f'a,b\n{rows}"0012",1\n')).column("a").to_pylist()[-1] == "0012"
    packed = write(tmp_path, "t.csv.gz", gzip.compress(f"a;b\n{rows.replace(',', ';')}0012;1\n".encode()))
    assert read_table(packed).column("a").to_pylist()[-1] == "0012"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b\n1,5;2\n2;3\n-0,25;4\n", {"a": [1.5, 2.0, -0.25], "b": [2, 3, 4]}),
        ("a;b\n1,5;2.5\n2;3\n", {"a": ["1,5", "2"], "b": [2.5, 3.0]}),  # points and commas: nobody can say
        ('a,b\n"1,5",2\n"2",3\n', {"a": ["1,5", "2"], "b": [2, 3]}),
        ("a;b\n1,5;2\nx;3\n", {"a": ["1,5", "x"], "b": [2, 3]}),
    ],
)
def test_decimal_commas_between_semicolons(tmp_path: Path, text: str, expected: dict[str, list[object]]) -> None:
    table = read_table(write(tmp_path, "t.csv", text))
    assert table.to_pydict() == expected
    assert bool(reading_notes(table)) == (expected["a"][0] == 1.5)


def test_a_target_of_text_shows_a_cell_and_a_remedy() -> None:
    city = ["a", "b"] * 5
    with pytest.raises(InputError, match=r"'1,5' in row 1.*decimal comma"):
        infer({"y": ["1,5"] * 10, "c": city}, ["y"], by="c")
    with pytest.raises(InputError, match=r"'007' in row 2.*leading zero"):
        infer({"y": ["1", "007"] * 5, "c": city}, ["y"], by="c")
    with pytest.raises(InputError, match=r"'high' in row 2"):
        infer({"y": ["1", "high"] * 5, "c": city}, ["y"], by="c")
