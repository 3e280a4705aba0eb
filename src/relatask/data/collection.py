"""What a loaded collection is: texts, pictures or sounds, the labels of several tasks, and the published splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relatask.data.media import Files
from relatask.notices import InputError

Rows = npt.NDArray[np.intp]
MISSING = -100
"""A label that is not there, among whole numbers."""


@dataclass(frozen=True, eq=False)
class Collection:
    """Texts, pictures or sounds with the labels of several tasks: what does not fit a table of numbers.

    Parameters
    ----------
    name : str
        The name under which `load` gives it.
    inputs : mapping of str to sequence
        By modality n inputs: texts, lists of tokens, arrays, or files that are read when asked for
        (`relatask.data.media`).
    targets : mapping of str to sequence
        By task n labels: whole numbers (-100 where missing), or a list with None where missing: a tag per token, a
        mask, or ``{"boxes": (m, 4), "labels": (m,)}`` with corners x1, y1, x2, y2 in pixels.
    kinds : mapping of str to str
        By task one of `relatask.tasks.KINDS`.
    classes : mapping of str to tuple of str
        By task the names of its classes; labels count from 0.
    splits : mapping of str to ndarray
        Rows of each part, as published, or as `Entry.title` says; they do not overlap.
    groups : mapping of str to ndarray of shape (n,)
        What else is known of each row, such as the domain of a text or the speaker of a sound.
    source, licence : str
        Where the files come from, and the licence as stated there.

    Raises
    ------
    InputError
        Where lengths do not agree, a task has no kind, or splits overlap.

    Examples
    --------
    >>> texts = Collection("d", {"text": ["good", "bad"]}, {"liked": np.array([1, -100])}, kinds={"liked": "binary"})
    >>> len(texts), texts.labelled("liked")
    (2, array([ True, False]))
    """

    name: str
    inputs: Mapping[str, Sequence[Any] | npt.NDArray[Any]]
    targets: Mapping[str, Sequence[Any] | npt.NDArray[Any]]
    kinds: Mapping[str, str]
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    splits: Mapping[str, Rows] = field(default_factory=dict)
    groups: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        sizes = {name: len(v) for part in (self.inputs, self.targets, self.groups) for name, v in part.items()}
        if not self.inputs or len(set(sizes.values())) != 1:
            raise InputError(f"collection {self.name!r}: inputs, targets and groups need one length; got {sizes}.")
        if set(self.kinds) != set(self.targets):
            raise InputError(
                f"collection {self.name!r}: kinds of {sorted(self.kinds)}, targets of {sorted(self.targets)}; expected "
                "the same tasks."
            )
        rows = np.concatenate([np.zeros(0, dtype=np.intp), *self.splits.values()])
        if len(np.unique(rows)) != len(rows) or (len(rows) and not 0 <= rows.min() <= rows.max() < len(self)):
            raise InputError(f"collection {self.name!r}: splits overlap, or name rows outside of 0 to {len(self) - 1}.")

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def split(self, name: str) -> Collection:
        """Give one part of the published split, as a collection of its own.

        Raises
        ------
        InputError
            For an unknown part.
        """
        if name not in self.splits:
            raise InputError(f"collection {self.name!r} has no split {name!r}; it has {', '.join(self.splits)}.")
        rows = self.splits[name]
        taken = ({key: _taken(v, rows) for key, v in part.items()} for part in (self.inputs, self.targets, self.groups))
        inputs, targets, groups = taken
        return replace(self, inputs=inputs, targets=targets, groups=groups, splits={})

    @property
    def n_tasks(self) -> int:
        """How many tasks there are."""
        return len(self.targets)

    @property
    def by(self) -> str:
        """The column of tasks, as a `Dataset` has it: none here, tasks are columns."""
        return ""

    def labelled(self, task: str) -> npt.NDArray[np.bool_]:
        """Say which rows have a label of a task, (n,)."""
        values = self.targets[task]
        if not isinstance(values, np.ndarray):
            return np.array([value is not None for value in values])
        return (values != MISSING).reshape(len(values), -1).any(1)

    def to_table(self) -> pa.Table:
        """Give one table: inputs (pictures and sounds as paths), groups, labels by name, and the split of each row.

        Raises
        ------
        InputError
            Where an input or a label does not fit into a cell: arrays, boxes, masks.
        """
        columns: dict[str, pa.Array] = {}
        for name, values in {**self.inputs, **self.groups}.items():
            columns[name] = self._cells(name, values)
        for task, values in self.targets.items():
            columns[task] = self._labels(task, values)
        split = np.full(len(self), "", dtype=object)
        for name, rows in self.splits.items():
            split[rows] = name
        return pa.table({**columns, "split": pa.array(split)})

    def _cells(self, name: str, values: Sequence[Any] | npt.NDArray[Any]) -> pa.Array:
        if isinstance(values, Files):
            return pa.array(values.paths)
        if isinstance(values, np.ndarray) and values.ndim > 1:
            raise InputError(self._refused(f"{name!r} holds arrays of shape {values.shape[1:]}"))
        return pa.array([" ".join(value) if isinstance(value, list | tuple) else value for value in values])

    def _labels(self, task: str, values: Sequence[Any] | npt.NDArray[Any]) -> pa.Array:
        names = self.classes.get(task, ())
        if self.kinds[task] in ("detection", "segmentation"):
            what = "boxes" if self.kinds[task] == "detection" else "pictures"
            raise InputError(self._refused(f"the labels of {task!r} are {what}"))
        if self.kinds[task] == "multilabel":
            return pa.array([" ".join(names[k] for k in np.flatnonzero(row == 1)) for row in np.asarray(values)])
        if self.kinds[task] == "tagging":
            return pa.array([None if row is None else " ".join(names[k] for k in row) for row in values])
        return pa.array([None if k == MISSING else names[k] if names else k for k in np.asarray(values).tolist()])

    def _refused(self, what: str) -> str:
        return (
            f"{self.name!r} cannot be written as a table: {what}, which does not fit into a cell. "
            f"Read it in Python: relatask.data.load({self.name!r})."
        )


def _taken(values: Sequence[Any] | npt.NDArray[Any], rows: Rows) -> Any:
    if isinstance(values, Files):
        return values.take(rows.tolist())
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows.tolist()]
