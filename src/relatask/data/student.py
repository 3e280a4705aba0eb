"""Loader of Student: grades of Portuguese school students in two subjects."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from relatask.data.dataset import Dataset
from relatask.data.entry import Entry, Fetch
from relatask.data.options import one_of

GRADES = ("G1", "G2", "G3")
SUBJECTS = {"math": "student/student-mat.csv", "portuguese": "student/student-por.csv"}


def load_student(fetch: Fetch, target: str = "G3", earlier_grades: bool = False) -> Dataset:
    """Load Student: 1,044 records (395 in mathematics, 649 in Portuguese), the subject being the task.

    X is (1044, 30) of objects (17 columns hold text), y (1044,) the grade 0 to 20, tasks (1044,) "math" or
    "portuguese". `target` is "G3" (final, the default), "G1" or "G2". With ``earlier_grades=True`` the grades given
    before the target are features too (they tell most of it). With ``target="all"`` y is (1044, 3), the three grades
    are the tasks, and the subject is a feature. Many students are in both files, without a key. No published splits.

    Licence: none stated (UCI). Source: cmh325/StatisticalRethinking.
    """
    target = one_of(target, (*GRADES, "all"), "target", "student")
    parts = {subject: _rows(fetch(path)) for subject, path in SUBJECTS.items()}
    header = parts["math"][0]
    rows = [row for part in parts.values() for row in part[1:]]
    subjects = np.repeat(list(parts), [len(part) - 1 for part in parts.values()])
    columns = {name: _typed([row[j] for row in rows]) for j, name in enumerate(header)}
    labels = np.column_stack([columns[grade] for grade in GRADES]).astype(np.float64)

    features = [name for name in header if name not in GRADES]
    if target == "all":
        columns["subject"] = subjects.astype(object)
        features.append("subject")
    elif earlier_grades:
        features += GRADES[: GRADES.index(target)]
    return Dataset(
        name="student",
        X=np.column_stack([columns[name] for name in features]),
        y=labels if target == "all" else labels[:, GRADES.index(target)],
        tasks=None if target == "all" else subjects,
        features=tuple(features),
        targets=GRADES if target == "all" else (target,),
        source="github.com/cmh325/StatisticalRethinking @ 2429df866e4f : student-mat.csv, student-por.csv",
        licence=ENTRIES[0].licence,
        by="" if target == "all" else "subject",
    )


def _rows(path: Path) -> list[list[str]]:
    """Read one file; in the mathematics file every line is quoted once more, as a whole."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    whole = [next(csv.reader([line])) for line in lines]
    inner = [cells[0] if len(cells) == 1 and '""' in line else line for cells, line in zip(whole, lines, strict=True)]
    return list(csv.reader(inner, delimiter=";"))


def _typed(values: list[str]) -> np.ndarray:
    """Give a column of objects: int where all values are whole numbers, text otherwise."""
    if all(value.lstrip("-").isdigit() for value in values):
        return np.array([int(value) for value in values], dtype=object)
    return np.array(values, dtype=object)


ENTRIES = (
    Entry(
        name="student",
        title="grades of Portuguese school students, with their circumstances",
        licence="none stated (UCI)",
        tasks="2 subjects, regression of G3 (or G1, G2, or all three as outputs)",
        rows=1_044,
        files=tuple(SUBJECTS.values()),
        loader=load_student,
    ),
)
