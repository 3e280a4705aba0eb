"""Tasks that appear as rows come in: each gets the next place at its first row, and its order at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.input.labels import encode_tasks, object_array


class Names:
    """Labels seen so far, and their places in the order in which batches brought them."""

    def __init__(self) -> None:
        self._sorted: NDArray | None = None
        self._places: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._known: dict[Any, int] | None = None

    def __len__(self) -> int:
        return len(self._places) if self._known is None else len(self._known)

    def places(self, labels: NDArray) -> NDArray[np.intp]:
        """(t,) places of distinct labels; those never seen get the next ones, in their order."""
        if self._known is None and not self._is_plain(labels):
            held = [] if self._sorted is None else self._sorted.tolist()
            self._known = dict(zip(held, self._places.tolist(), strict=True))
        if self._known is not None:
            return np.array([self._known.setdefault(x, len(self._known)) for x in labels.tolist()], dtype=np.intp)
        if self._sorted is None:
            self._sorted = labels[:0]
        at = np.searchsorted(self._sorted, labels)
        there = np.zeros(len(labels), dtype=bool)
        inside = at < len(self._sorted)
        there[inside] = self._sorted[at[inside]] == labels[inside]
        out = np.empty(len(labels), dtype=np.intp)
        out[there] = self._places[at[there]]
        if not there.all():
            new = np.arange(len(self), len(self) + int((~there).sum()))
            out[~there] = new
            every = np.concatenate([self._sorted, labels[~there]])
            order = np.argsort(every, kind="stable")
            self._sorted, self._places = every[order], np.concatenate([self._places, new])[order]
        return out

    def in_order(self) -> tuple[NDArray, NDArray[np.intp]]:
        """Labels in the order that fit gives them, and the place (t,) of each."""
        if self._known is None:
            return (np.zeros(0) if self._sorted is None else self._sorted), self._places
        every = list(self._known)
        names, codes = encode_tasks(object_array(every), len(every))
        places = np.empty(len(every), dtype=np.intp)
        places[codes] = np.fromiter(self._known.values(), np.intp, len(every))
        return names, places

    def _is_plain(self, labels: NDArray) -> bool:
        """Whether all labels so far are numbers, or all text, so that arrays keep them as they are."""
        if labels.dtype.kind not in "iufUb":
            return False
        before = None if self._sorted is None else self._sorted.dtype
        return before is None or before == labels.dtype or (before.kind == labels.dtype.kind == "U")
