"""What splits leave of the data: splits that can be scored, labels of each task, and what is said once about both."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from relatask.measure import Note, Support
from relatask.notices import InputError, RelataskWarning
from relatask.study.cells import Cell
from relatask.study.problem import Problem
from relatask.study.splits import Split


def usable(drawn: list[Split], data: Problem) -> list[Split]:
    """Leave test rows of tasks without a training label out; every split must still have rows on both sides.

    Raises
    ------
    InputError
        Naming the first split that has none on one side, and why.
    """
    found = []
    for split in drawn:
        test = split.test
        if data.codes is not None:
            test = test[data.counts(split.train)[data.codes[test]] > 0]
        for side, rows in (("train", split.train), ("test", split.test)):
            if not len(rows):
                raise InputError(
                    f"split {split.name}: there are no rows with a label to {side} on; make that side larger (folds: "
                    "a smaller k)."
                )
        if not len(test):
            raise InputError(
                f"split {split.name}: none of the {len(split.test)} test rows is of a task that has training rows. "
                "Were whole tasks held out? Tasks must be on both sides."
            )
        found.append(Split(split.name, split.train, test))
    return found


def support_of(
    data: Problem, drawn: list[Split], train_counts: Mapping[str, npt.NDArray[np.int64]]
) -> tuple[Support, ...]:
    """Count the labels of each task, and what the splits left of them."""
    train = np.array([train_counts[split.name] for split in drawn])
    test = np.array([data.counts(split.test) for split in drawn])
    scored = (train > 0) & (test > 0)
    least_train, least_test = (np.where(scored, side, np.iinfo(np.int64).max).min(0) for side in (train, test))
    some = np.asarray(scored.any(0))
    total, (low, high) = data.counts(np.arange(data.n_rows)), data.ranges()
    return tuple(
        Support(
            task=name,
            n=int(total[k]),
            min_train=int(least_train[k]) if some[k] else 0,
            min_test=int(least_test[k]) if some[k] else 0,
            absent=int((train[:, k] == 0).sum()),
            untested=int(((test[:, k] == 0) & (train[:, k] > 0)).sum()),
            constant=bool(low[k] == high[k]),
            size=float(max(-low[k], high[k])),
            kind=data.kinds[k],
            rarer=_rarer(data, k) if data.kinds[k] == "binary" else None,
        )
        for k, name in enumerate(data.names)
    )


def _rarer(data: Problem, k: int) -> int:
    """Labels of the rarer of a task's two classes."""
    y = data.y.reshape(data.n_rows, -1)[:, k] if data.codes is None else data.y[data.codes == k]
    return int(min((y == 0).sum(), (y == 1).sum()))


def say_once(cells: tuple[Cell, ...], support: tuple[Support, ...]) -> None:
    """Warn once for each kind of note, so that none is lost and none is said a hundred times."""
    kinds: dict[str, list[Note]] = {}
    for note in (note for cell in cells for note in cell.notes):
        kinds.setdefault(note.code or note.message, []).append(note)
    for notes in kinds.values():
        first = notes[0]
        where = {(note.method, note.split, note.seed) for note in notes}
        text = f"in {len(where)} of {len(cells)} cells, first in {first.method} on {first.split}: {first.message}"
        warnings.warn(RelataskWarning(text, code=first.code) if first.code else UserWarning(text), stacklevel=3)
    absent = [task for task in support if task.absent]
    if absent:
        text = f"{len(absent)} tasks have no training label in some split and are not scored there: "
        text += ", ".join(f"{task.task} ({task.absent})" for task in absent[:5])
        warnings.warn(RelataskWarning(text, code="RT005"), stacklevel=3)
