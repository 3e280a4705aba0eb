"""Fingerprints of the labels that a model was given, so that forgetting what was never added is told exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.linear.input.design import Design
from relatask.notices import InputError

Marks = NDArray[np.uint64]

ROWS = 1 << 20
"""Numbers of rows that are mixed at a time."""

_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, eq=False)
class Seen:
    """A multiset of labels, each as 64 bits of its features, itself and its weight: 8 bytes a label.

    Attributes
    ----------
    marks : (N,) ascending within each task.
    ends : (t,) where each task's end.
    """

    marks: Marks
    ends: NDArray[np.intp]

    def of(self, task: int) -> Marks:
        """Those of one task."""
        return self.marks[self.ends[task - 1] if task else 0 : self.ends[task]]

    def among(self, places: NDArray[np.intp], n_tasks: int) -> Seen:
        """The same with its tasks at `places` (t,) among `n_tasks`; the others have none."""
        parts = [self.marks[:0]] * n_tasks
        for task, place in enumerate(places.tolist()):
            parts[place] = self.of(task)
        return _joined(parts)

    def only(self, places: NDArray[np.intp]) -> Seen:
        """Some of the tasks."""
        return _joined([self.of(task) for task in places.tolist()])

    def plus(self, other: Seen) -> Seen:
        """Both together."""
        codes = np.concatenate([_codes(self), _codes(other)])
        return _sorted(codes, np.concatenate([self.marks, other.marks]), len(self.ends))


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of some rows: the task, the row and the mark of each, (m,)."""

    codes: NDArray[np.intp]
    rows: NDArray[np.intp]
    marks: Marks
    n_tasks: int

    def seen(self) -> Seen:
        """As a multiset."""
        return _sorted(self.codes, self.marks, self.n_tasks)


def labels_of(design: Design) -> Labels:
    """Every label of these rows. Rows of the same numbers have the same marks, sparse or not, in any order of rows."""
    marks = row_marks(design.X)
    weights = np.ones(len(marks)) if design.weights is None else design.weights
    if design.codes is None:
        seen = ~np.isnan(design.y)
        rows, codes = np.nonzero(seen)
        y, s = design.y[seen], (weights[rows] if weights.ndim == 1 else weights[seen])
    else:
        rows, codes, y, s = np.arange(len(marks)), design.codes, design.y, weights
    own = _mixed(_mixed(marks[rows] ^ _bits(y)) + _bits(s))
    return Labels(np.asarray(codes, dtype=np.intp), rows, own, design.n_tasks)


def less(whole: Seen, part: Labels, tasks: NDArray, rows: NDArray[np.intp]) -> Seen:
    """What is left of `whole` without `part`, whose rows were `rows` of what was given.

    Raises
    ------
    InputError
        Naming the rows that were never added, or not as often.
    """
    kept: list[Marks] = []
    missing: list[tuple[int, int]] = []
    for task in range(len(whole.ends)):
        own, mine = whole.of(task), np.flatnonzero(part.codes == task)
        if not len(mine):
            kept.append(own)
            continue
        mine = mine[np.argsort(part.marks[mine], kind="stable")]
        marks = part.marks[mine]
        # The second of two equal marks is found behind the first.
        place = np.searchsorted(own, marks) + np.arange(len(marks)) - np.searchsorted(marks, marks)
        found = place < len(own)
        found[found] = own[place[found]] == marks[found]
        missing.extend((int(rows[part.rows[m]]), task) for m in mine[~found].tolist())
        kept.append(np.delete(own, place[found]))
    if missing:
        missing.sort()
        one = len(missing) == 1
        told = ", ".join(f"row {row} (task {tasks.tolist()[task]!r})" for row, task in missing[:6])
        more = "" if len(missing) <= 6 else f", ... ({len(missing)} in all)"
        raise InputError(
            f"{told}{more} {'was' if one else 'were'} never added with these features, labels and weights (or "
            f"{'is' if one else 'are'} forgotten already); forget only rows that were added."
        )
    return _joined(kept)


def row_marks(X: Any) -> Marks:
    """(n,) 64 bits of each row of X (n, d): a sum over the entries that are not 0, of value and column mixed."""
    n, d = X.shape
    column = _mixed(np.arange(1, d + 1, dtype=np.uint64))
    if sparse.issparse(X):
        X = sparse.csr_array(cast(Any, X))
        terms = _mixed(_mixed(_bits(X.data) ^ column[X.indices])) * (X.data != 0)
        total = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(terms, dtype=np.uint64)])
        return np.asarray(total[X.indptr[1:]] - total[X.indptr[:-1]])
    out = np.empty(n, dtype=np.uint64)
    step = max(1, ROWS // max(d, 1))
    for first in range(0, n, step):
        part = np.asarray(X[first : first + step], dtype=np.float64)
        terms = _mixed(_mixed(_bits(part) ^ column)) * (part != 0)
        out[first : first + step] = terms.sum(1, dtype=np.uint64)
    return out


def _bits(values: NDArray) -> Marks:
    """float64 as 64 bits; -0.0 is 0.0."""
    return np.ascontiguousarray(np.asarray(values, dtype=np.float64) + 0.0).view(np.uint64)


def _mixed(values: Marks) -> Marks:
    """The last steps of splitmix64: every bit of the result depends on every bit given."""
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return np.asarray(values ^ (values >> np.uint64(31)))


def _codes(seen: Seen) -> NDArray[np.intp]:
    return np.repeat(np.arange(len(seen.ends)), np.diff(seen.ends, prepend=0))


def _sorted(codes: NDArray[np.intp], marks: Marks, n_tasks: int) -> Seen:
    order = np.lexsort((marks, codes))
    return Seen(marks[order], np.cumsum(np.bincount(codes, minlength=n_tasks)).astype(np.intp))


def _joined(parts: list[Marks]) -> Seen:
    ends = np.cumsum([len(part) for part in parts], dtype=np.intp)
    return Seen(np.concatenate([np.zeros(0, dtype=np.uint64), *parts]), ends)
