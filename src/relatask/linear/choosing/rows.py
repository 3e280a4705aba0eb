"""The rows of one task after the other, as leave-one-out walks through them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.linear.input.design import Design
from relatask.linear.sums.forms import Array

SLAB = 1 << 16
"""Rows at a time."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a design, sorted by task; a column that a task lacks is (d,) `fill` in all of its rows."""

    design: Design
    fill: Array

    def of(self, k: int) -> Iterator[tuple[int, Array, Array, Array]]:
        """Some rows of task k at a time: which piece it is, X (n, d), labels and weights (n,)."""
        design = self.design
        if design.codes is None:
            own = np.flatnonzero(~np.isnan(design.y[:, k]))
        else:
            order, first = self._sorted
            own = order[first[k] : first[k + 1]]
        for piece, start in enumerate(range(0, len(own), SLAB)):
            rows = own[start : start + SLAB]
            X: Any = design.X if len(rows) == design.X.shape[0] and design.codes is None else design.X[rows]
            X = np.asarray(cast(Any, X).toarray() if sparse.issparse(X) else X, dtype=np.float64)
            if design.absent is not None and design.absent[k].any():
                X = np.where(design.absent[k], self.fill, X)
            y = design.y[rows] if design.codes is not None else design.y[rows, k]
            s = np.ones(len(rows)) if design.weights is None else design.weights[rows]
            yield piece, X, y, s if s.ndim == 1 else s[:, k]

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        assert self.design.codes is not None
        order = np.argsort(self.design.codes, kind="stable")
        return order, np.searchsorted(self.design.codes[order], np.arange(self.design.n_tasks + 1))
