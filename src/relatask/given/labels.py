"""Task labels of any type: sorted, turned into codes, found again at predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.notices import InputError


def encode_tasks(tasks: Any, n: int) -> tuple[NDArray, NDArray[np.intp]]:
    """Sorted labels (t,) and the code of each row (n,).

    Raises
    ------
    InputError
        If there are not n labels, or one is missing.
    """
    labels = task_labels(tasks, n)
    if labels.dtype.kind in "iub" and n:
        low, high = int(labels.min()), int(labels.max())
        if high - low < 4 * n + 1_000 and high < 2**62:
            # Small integers need no sorting.
            seen = np.zeros(high - low + 1, dtype=bool)
            shifted = labels.astype(np.intp) - low
            seen[shifted] = True
            return np.flatnonzero(seen).astype(labels.dtype) + labels.dtype.type(low), (np.cumsum(seen) - 1)[shifted]
    if labels.dtype.kind != "O":
        names, codes = np.unique(labels, return_inverse=True)
        return names, codes
    distinct = _sorted(set(labels.tolist()))
    place = {label: k for k, label in enumerate(distinct)}
    return object_array(distinct), np.fromiter((place[label] for label in labels.tolist()), np.intp, n)


def encode_labels(values: NDArray) -> tuple[NDArray, NDArray[np.intp]]:
    """Sorted distinct values, and the position of each value among them, -1 where it is missing; any shape."""
    missing = _missing(values.ravel())
    flat = values.ravel()[~missing]
    names, codes = encode_tasks(flat, len(flat)) if len(flat) else (flat, np.zeros(0, dtype=np.intp))
    positions = np.full(values.size, -1, dtype=np.intp)
    positions[~missing] = codes
    return names, positions.reshape(values.shape)


def known_codes(tasks: Any, n: int, known: NDArray) -> NDArray[np.intp]:
    """Codes (n,) of labels that must be among those seen in fit.

    Raises
    ------
    InputError
        Naming the labels that fit has not seen.
    """
    names, codes = encode_tasks(tasks, n)
    found = found_in_order(names, known)
    if found is not None:
        return np.asarray(found[codes], dtype=np.intp)
    place = {label: k for k, label in enumerate(known.tolist())}
    unknown = [label for label in names.tolist() if label not in place]
    if unknown:
        raise InputError(
            f"unknown task{'s' if len(unknown) > 1 else ''} {listed(unknown)}: fit saw {listed(known.tolist())}. "
            f"Predict for tasks that were fitted, or fit again with rows of the new task."
        )
    return np.array([place[label] for label in names.tolist()], dtype=np.intp)[codes]


def found_in_order(names: NDArray, known: NDArray) -> NDArray[np.intp] | None:
    """Places of labels among known ones that are sorted numbers or texts, without a loop; None for any others."""
    numbers = names.dtype.kind in "iu" and known.dtype.kind in "iu"
    if not (numbers or names.dtype.kind == known.dtype.kind == "U"):
        return None
    if not len(known) or not (known[1:] > known[:-1]).all():
        return None
    found = np.minimum(np.searchsorted(known, names), len(known) - 1)
    return found if (known[found] == names).all() else None


def task_labels(tasks: Any, n: int) -> NDArray:
    """The tasks argument as an array of n labels, none of them missing.

    Raises
    ------
    InputError
        If there are not n labels, or one is missing.
    """
    labels = tasks.to_numpy() if hasattr(tasks, "to_numpy") else tasks
    if not isinstance(labels, np.ndarray):
        if isinstance(labels, str) or not hasattr(labels, "__iter__"):
            raise InputError(f"tasks={labels!r} is not usable; give one task label per row.")
        labels = _array(list(labels))
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != n:
        raise InputError(f"tasks has shape {labels.shape}, but X has {n} rows; give one task label per row.")
    missing = _missing(labels)
    if missing.any():
        raise InputError(
            f"tasks has no label in row {int(np.flatnonzero(missing)[0])} ({int(missing.sum())} such rows); every row "
            f"must belong to a task: drop these rows or give them a task of their own."
        )
    return labels


def object_array(values: Sequence[Any]) -> NDArray:
    """A one-dimensional array of labels: typed where they are all of one plain type, else of objects."""
    kinds = {type(v) for v in values}
    if len(kinds) == 1 and kinds <= {int, str, float, bool}:
        return np.array(list(values))
    out = np.empty(len(values), dtype=object)
    out[:] = list(values)
    return out


def listed(values: Sequence[Any], most: int = 6) -> str:
    """Some values in words."""
    shown = ", ".join(repr(v) for v in values[:most])
    return shown if len(values) <= most else f"{shown}, ... ({len(values)} in all)"


def _array(values: list[Any]) -> NDArray:
    """A list of labels as numpy would read it, unless it would turn numbers into text or tuples into columns."""
    try:
        labels = np.asarray(values)
    except ValueError:  # tuples of several lengths
        return object_array(values)
    mixed = labels.dtype.kind in "US" and not all(isinstance(v, str) for v in values)
    return object_array(values) if labels.ndim != 1 or mixed else labels


def _missing(labels: NDArray) -> NDArray[np.bool_]:
    if labels.dtype.kind == "O":
        return np.array([_is_missing(label) for label in labels.tolist()], dtype=bool)
    if labels.dtype.kind in "fM":
        return labels != labels
    return np.zeros(len(labels), dtype=bool)


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas' NA knows no truth
        return True


def _sorted(labels: set[Any]) -> list[Any]:
    """Numbers first, then other types by name; within a type in its own order, by text where it has none."""
    kinds: dict[str, list[Any]] = {}
    for label in labels:
        number, text = isinstance(label, int | float | np.number), isinstance(label, str)
        kinds.setdefault("" if number else "str" if text else type(label).__name__, []).append(label)
    out: list[Any] = []
    for _, members in sorted(kinds.items()):
        try:
            out += sorted(members)
        except TypeError:
            out += sorted(members, key=repr)
    return out
