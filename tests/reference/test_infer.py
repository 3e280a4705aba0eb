"""What is inferred of a table: roles of columns, kinds of tasks, leaks, and what is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from relatask.data import infer, load, task_labels
from relatask.notices import InputError

N = 40
RNG = np.random.default_rng(0)
Y = RNG.normal(size=N)
TABLE = {
    "x": RNG.normal(size=N),
    "city": ["Rome", "Oslo"] * (N // 2),
    "name": [f"person {i}" for i in range(N)],
    "one": [1] * N,
    "gone": [None] * N,
    "day": pa.array(range(N), pa.date32()),
    "copy": Y,
    "celsius": 32 + 1.8 * Y,
    "noisy": Y + RNG.normal(size=N),
    "y": Y,
    "sold": ([0, 1, None, 1] * N)[:N],
    "colour": (["red", "green", "blue"] * N)[:N],
    "group": ([3, 1] * N)[:N],
}


def test_columns() -> None:
    found = infer(TABLE, ["y", "sold", "colour"])
    assert {column.name: column.role for column in found.columns} == {
        "x": "numeric",
        "city": "categorical",
        "name": "id-like",
        "one": "constant",
        "gone": "empty",
        "day": "time",
        "copy": "numeric",
        "celsius": "numeric",
        "noisy": "numeric",
        "group": "numeric",
    }
    assert found.left_out == {"name": "id-like", "gone": "empty", "day": "time"}
    assert found.features == ("x", "city", "one", "copy", "celsius", "noisy", "group")


def test_tasks() -> None:
    y, sold, colour = infer(TABLE, ["y", "sold", "colour"]).tasks
    assert (y.kind, y.n, y.low, y.high) == ("regression", N, Y.min(), Y.max())
    assert (sold.kind, sold.n, sold.missing, sold.classes) == ("binary", 30, 0.25, (0, 1))
    assert (colour.kind, colour.classes) == ("multiclass", ("blue", "green", "red"))


def test_groups() -> None:
    found = infer(TABLE, ["sold"], by="group")
    assert [(task.name, task.n, task.missing, task.kind) for task in found.tasks] == [
        (1, 20, 0.0, "binary"),
        (3, 10, 0.5, "binary"),
    ]
    assert "group" not in found.features


def test_leaks() -> None:
    found = infer({**TABLE, "euros": 2 * Y}, ["y", "euros"])
    assert [(leak.column, leak.target, leak.code) for leak in found.leaks] == [
        ("copy", "y", "RT008"),
        ("celsius", "y", "RT008"),
        ("euros", "y", "RT008"),
        ("copy", "euros", "RT008"),
        ("celsius", "euros", "RT008"),
    ]
    assert found.leaks[0].what == "'copy' equals the target 'y'"
    assert "'celsius' follows in a straight line (correlation 1.000000) the target 'y'" in found.leaks[1].what
    text = {"a": list("xyxyxy"), "b": list("xyxyxy")}
    assert [leak.column for leak in infer(text, ["b"]).leaks] == ["a"]


@pytest.mark.parametrize(
    ("targets", "by", "message"),
    [
        ([], None, "no target is given"),
        (["y", "y"], None, "target 'y' is given twice"),
        (["Y"], None, "target 'Y' is not in the table; did you mean 'y'"),
        (["gone"], None, "target 'gone' has no label in any row"),
        (["day"], None, "target 'day' holds date32"),
        (["y"], "y", "the task column 'y' is also a target"),
        (["y", "x"], "group", r"with a task column \('group'\) one target is expected; got y, x"),
        (["y"], "groop", "task column 'groop' is not in the table; did you mean 'group'"),
        (["y"], "sold", r"task column 'sold' has no value in 10 rows \(the first is row 3\)"),
        (["y"], "x", "task column 'x' holds numbers that are not whole"),
        (["colour"], "group", "target 'colour' holds text, for example 'red' in row 1; numbers are expected"),
    ],
)
def test_refused(targets: list[str], by: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        infer(TABLE, targets, by)


def test_task_labels_keep_their_type() -> None:
    table = pa.table({"i": [2, 1], "f": [2.0, 1.0], "s": ["b", "a"], "z": ["007", "7"], "b": [True, False]})
    for by, expected in (
        ("i", [2, 1]),
        ("f", [2, 1]),
        ("s", ["b", "a"]),
        ("z", ["007", "7"]),
        ("b", ["true", "false"]),
    ):
        assert task_labels(table, by).tolist() == expected


def test_the_bundled_set() -> None:
    data = load("diabetes")
    found = infer(data.to_table(), data.targets, data.by)
    assert tuple(task.name for task in found.tasks) == data.task_names
    assert found.features == data.features
    assert not found.leaks
