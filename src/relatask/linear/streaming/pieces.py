"""Statistics of one part of the rows with the labels of its tasks, and the sum of two such pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.input.labels import encode_tasks, listed
from relatask.linear.streaming.collecting import LAYOUTS, Collector
from relatask.linear.sums.merging import among, merge
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError


@dataclass(frozen=True, eq=False)
class Piece:
    """What is left of some rows.

    Attributes
    ----------
    layout : how labels came.
    tasks : (t,) labels in their order.
    folds : statistics of each fold, for these tasks.
    names : what fit learns of the columns, by attribute name.
    rows : how many there were.
    """

    layout: str
    tasks: NDArray
    folds: tuple[Statistics, ...]
    names: dict[str, Any]
    rows: int


def piece(model: Any, folds: int, number: int, batch: Any) -> Piece | None:
    """Sum up one partition: (X, y), (X, y, tasks) or (X, y, tasks, sample_weight), or a function that gives it.

    None for a partition without rows, or without labels where only these say what its sums are like.
    """
    batch = batch() if callable(batch) else batch
    if not isinstance(batch, tuple | list) or not 2 <= len(batch) <= 4:
        raise InputError(
            f"partition {number} is a {type(batch).__name__}; expected (X, y), (X, y, tasks) or "
            "(X, y, tasks, sample_weight)."
        )
    collected = Collector(model, folds, partition=number)
    collected.add(*batch)
    if not collected.has_sums:
        return None
    tasks, found = collected.finished(some=True)
    return Piece(collected.layout, tasks, tuple(found), collected.learned_names(), collected.rows)


def joined(a: Piece | None, b: Piece | None) -> Piece | None:
    """The rows of both.

    Raises
    ------
    InputError
        For pieces that do not go together.
    """
    if a is None or b is None:
        return b if a is None else a
    for name in ("n_features_in_", "feature_names_in_"):
        first, second = (None if name not in p.names else np.asarray(p.names[name]).tolist() for p in (a, b))
        if first != second:
            told = f"{name[:-4].replace('_', ' ')} {first} in some partitions and {second} in others"
            raise InputError(f"partitions disagree: {told}; give the same columns everywhere.")
    if a.layout != b.layout:
        raise InputError(f"partitions disagree: {LAYOUTS[a.layout]} in some, {LAYOUTS[b.layout]} in others.")
    if a.layout != "groups":
        if a.tasks.tolist() != b.tasks.tolist():
            told = f"{listed(a.tasks.tolist())} in some, {listed(b.tasks.tolist())} in others"
            raise InputError(f"partitions disagree: y has the columns {told}.")
        tasks = a.tasks
        folds = tuple(merge(x, y) for x, y in zip(a.folds, b.folds, strict=True))
    else:
        tasks, codes = encode_tasks(_together(a.tasks, b.tasks), len(a.tasks) + len(b.tasks))
        own = codes[: len(a.tasks)], codes[len(a.tasks) :]
        folds = tuple(
            merge(among(x, own[0], len(tasks)), among(y, own[1], len(tasks)))
            for x, y in zip(a.folds, b.folds, strict=True)
        )
    return Piece(a.layout, tasks, folds, a.names, a.rows + b.rows)


def _together(a: NDArray, b: NDArray) -> NDArray:
    """Labels of both, numbers and text unmixed."""
    if a.dtype.kind != "O" and b.dtype.kind != "O" and (a.dtype.kind == "U") == (b.dtype.kind == "U"):
        return np.concatenate([a, b])
    out = np.empty(len(a) + len(b), dtype=object)
    out[:] = [*a.tolist(), *b.tolist()]
    return out
