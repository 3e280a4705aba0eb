"""Laws of the record: it comes back from JSON as it went, says what is wrong, and holds any text."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from relatask.measure.differences import Difference, Differences
from relatask.notices import InputError
from relatask.report import (
    Coefficients,
    Cost,
    DataFacts,
    Method,
    Overall,
    RunRecord,
    TaskRelation,
    TaskSupport,
    render_html,
    render_markdown,
)
from relatask.report.words import number, places, short

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SIZES = st.floats(1e-9, 1e9) | st.floats(-1e9, -1e-9) | st.just(0.0)
REALS = SIZES | st.sampled_from([float("nan"), float("inf"), -float("inf")])
SOME = st.none() | REALS


@st.composite
def records(draw: st.DrawFn) -> RunRecord:
    """Any record: up to four tasks of any names, numbers that may be absent, NaN or infinite."""
    tasks = draw(st.lists(NAMES, unique=True, max_size=4))
    features = draw(st.lists(NAMES, unique=True, min_size=1, max_size=3))
    verdict = st.sampled_from(["helped", "no difference shown", "hurt"])
    row = st.builds(Difference, NAMES, st.just("r2"), *[REALS] * 7, verdict, st.integers(0, 99))
    rows = tuple(draw(row.map(lambda found, task=task: _named(found, task))) for task in tasks)
    found = Differences("own|joint", "single", "r2", 0.05, "corrected resampled t over splits", rows, draw(row))
    table = [[draw(SOME) for _ in features] for _ in tasks]
    square = [[draw(SOME) for _ in tasks] for _ in tasks]
    return RunRecord(
        draw(NAMES),
        draw(NAMES),
        "0.1.0",
        DataFacts(draw(NAMES), draw(st.integers(0, 10**9)), len(features)),
        (Method("own|joint", draw(NAMES), "main"), Method("single", role="baseline")),
        unit=draw(NAMES),
        support=tuple(TaskSupport(task, 3, 1, draw(SOME), draw(SOME), draw(SOME)) for task in tasks),
        differences=(found,) if draw(st.booleans()) else (),
        overall=(Overall("single", "rmse", draw(SOME), draw(SOME), 2),),
        coefficients=Coefficients("own|joint", tasks, features, table) if tasks and draw(st.booleans()) else None,
        relation=TaskRelation(tasks, square) if tasks and draw(st.booleans()) else None,
        costs=(Cost("single", draw(SOME)),),
    )


def _named(row: Difference, task: str) -> Difference:
    return Difference(task, *[getattr(row, name) for name in row.__dataclass_fields__ if name != "task"])


@settings(deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(records())
def test_a_record_comes_back_from_json_as_it_went(record: RunRecord) -> None:
    text = record.to_json()
    assert RunRecord.from_json(text).to_json() == text
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@settings(deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(records())
def test_any_record_has_a_markdown_twin_with_every_table_whole(record: RunRecord) -> None:
    lines = render_markdown(record).splitlines()
    width = 0
    for before, line in zip(["", *lines], lines, strict=False):
        cells = line.replace("\\\\", "").replace("\\|", "").count("|") if line.startswith("|") else 0
        assert not cells or not before.startswith("|") or cells == width
        width = cells


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(records())
def test_any_record_has_a_page(record: RunRecord) -> None:
    page = render_html(record)
    assert page == render_html(RunRecord.from_json(record.to_json()))
    assert page.count("<script") == 2
    assert page.count("</script") == 2


def test_save_and_load(tmp_path: Path) -> None:
    record = simple()
    record.save(tmp_path / "record.json")
    assert RunRecord.load(tmp_path / "record.json") == record
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    simple().save(path)
    before = path.read_bytes()
    with pytest.raises(UnicodeEncodeError):
        simple(title="\ud800").save(path)
    assert path.read_bytes() == before
    assert [kept.name for kept in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "cut short"),
        (lambda text: "[]", "format 'relatask.record'"),
        (lambda text: text.replace('"version":1', '"version":9', 1), "has version 9"),
        (lambda text: text.replace('"title":', '"tilte":', 1), "unknown field 'tilte'"),
        (lambda text: text.replace('"title":"A run",', "", 1), "'title' is missing"),
        (lambda text: text.replace('"rows":10', '"rows":"ten"', 1), r"record.data.rows: given 'ten'"),
        (lambda text: text.replace('"main"', '"boss"', 1), "given 'boss', expected one of main"),
    ],
)
def test_a_damaged_record_says_what_is_wrong(change: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        RunRecord.from_json(change(simple().to_json()))  # type: ignore[operator]


def test_a_record_has_one_main_method_and_knows_every_method_named() -> None:
    facts = DataFacts("a.csv", 10, 2)
    with pytest.raises(InputError, match="exactly one method of role 'main'"):
        RunRecord("A run", "", "0.1.0", facts, (Method("a"), Method("b")))
    with pytest.raises(InputError, match="name the method 'c'"):
        RunRecord("A run", "", "0.1.0", facts, (Method("a", role="main"),), costs=(Cost("c", 1.0),))


def test_importing_the_report_loads_neither_matplotlib_nor_jinja() -> None:
    code = "import sys, relatask.report; print([m for m in ('matplotlib', 'jinja2', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6))
def test_a_number_reads_back_within_its_decimals(value: float) -> None:
    digits = places([value])
    read = float(number(value).replace(",", "").replace("−", "-"))
    assert abs(read - value) <= 0.5000001 * 10.0**-digits


@given(NAMES, st.integers(3, 30))
def test_a_short_name_is_short_and_printable(name: str, length: int) -> None:
    assert 0 < len(short(name, max(length, 9))) <= max(length, 9)
    assert short(name).isprintable()


def simple(title: str = "A run") -> RunRecord:
    """The smallest record."""
    return RunRecord(title, "2026-01-01", "0.1.0", DataFacts("a.csv", 10, 2), (Method("m", role="main"),))
