"""Rows without labels, read once, and the forms that were made of their graphs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from scipy import sparse

from relatask.notices import InputError
from relatask.relations.neighbours import anchor_form, distinct, neighbour_form, spread

LARGEST = 10_000
"""Features whose (d, d) form is still made."""


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Rows (n, d) as a `Manifold` holds them: read-only, shared by its copies, each graph made once.

    Attributes
    ----------
    matrix : (n, d) float64, dense or CSR.
    names : of the columns, where the rows came as a frame; else None.
    """

    matrix: Any
    names: tuple[str, ...] | None = None

    @classmethod
    def read(cls, X: Any) -> Unlabelled:
        """Rows as they are given: array, frame, scipy sparse, or read before.

        Raises
        ------
        InputError
            For what is no table of finite numbers, or has too many columns.
        """
        if isinstance(X, Unlabelled):
            return X
        columns = list(getattr(X, "columns", []))
        names = tuple(columns) if columns and all(isinstance(name, str) for name in columns) else None
        return cls(_rows(X), names)

    def __repr__(self) -> str:
        """Say how many."""
        return f"<{self.shape[0]} rows of {self.shape[1]} features>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Give the rows as an array."""
        held: Any = self.matrix
        dense = held.toarray() if sparse.issparse(self.matrix) else held
        return np.array(dense, dtype=dtype) if copy else np.asarray(dense, dtype=dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> Unlabelled:
        """Give itself: nothing of it changes."""
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return self.matrix.shape[0], self.matrix.shape[1]

    @cached_property
    def distinct(self) -> Any:
        """The rows, each once."""
        found: Any = distinct(self.matrix)
        return found

    def form(
        self, n_neighbors: int, normalized: bool, landmarks: int | None, standardize: bool, seed: int
    ) -> np.ndarray:
        """2/v X' L X, (d, d), of the graph with these settings."""
        key = (n_neighbors, normalized, landmarks, standardize, seed)
        if key not in self._made:
            own: Any = self.distinct
            near: Any = own if sparse.issparse(own) else own - own.mean(0)
            if standardize:
                scale: Any = spread(own)
                near = sparse.csr_array(near @ sparse.diags_array(1 / scale)) if sparse.issparse(own) else near / scale
            if landmarks is None:
                self._made[key] = neighbour_form(own, near, n_neighbors, normalized)
            else:
                self._made[key] = anchor_form(own, near, n_neighbors, landmarks, seed)
        return self._made[key]

    @cached_property
    def _made(self) -> dict[tuple[Any, ...], np.ndarray]:
        return {}


def _rows(X: Any) -> Any:
    """Rows as a read-only float64 copy, dense or CSR."""
    try:
        if sparse.issparse(X):
            rows: Any = sparse.csr_array(cast(Any, X), dtype=np.float64, copy=True)
            numbers = rows.data
        else:
            rows = np.array(X, dtype=np.float64, order="C")
            numbers = rows
    except (TypeError, ValueError) as error:
        raise InputError(f"Manifold: X_unlabelled could not be read as rows of numbers ({error}).") from error
    if rows.ndim != 2 or 0 in rows.shape:
        raise InputError(f"Manifold: X_unlabelled has shape {rows.shape}; expected rows of features, (n, d).")
    if not np.isfinite(numbers).all():
        where = ""
        if rows is numbers:
            row, column = np.argwhere(~np.isfinite(rows))[0].tolist()
            where = f" (row {row}, column {column})"
        raise InputError(
            f"Manifold: X_unlabelled contains NaN or infinity{where}; leave these rows out, or impute them as you "
            "impute X."
        )
    if np.abs(numbers).max(initial=0.0) > 1e150:
        raise InputError(
            "Manifold: X_unlabelled holds numbers beyond 1e150, whose squares overflow; give it other units."
        )
    if rows.shape[1] > LARGEST:
        raise InputError(
            f"Manifold: X_unlabelled has {rows.shape[1]} features, and a form of all pairs of them would be made; "
            f"reduce X and X_unlabelled to {LARGEST} or fewer, for example by sklearn's TruncatedSVD."
        )
    numbers.flags.writeable = False
    return rows
