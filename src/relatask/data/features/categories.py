"""Categories as codes: 0 is whatever training rows did not have, or had once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Categories:
    """The values of a column by code, learned on training rows.

    Attributes
    ----------
    name : str
    values : tuple of str or None
        Value i has code i + 1; None is a missing value.

    Examples
    --------
    >>> found = Categories.fit("city", ["Rome", "Oslo", "Bonn"], np.array([0, 0, 1, 1, 2]), most=10)
    >>> found.values, found.transform(["Rome", "Lima"], np.array([0, 1, 0]))
    (('Oslo', 'Rome'), array([2, 0, 2]))
    """

    name: str
    values: tuple[str | None, ...]

    @classmethod
    def fit(cls, name: str, values: Sequence[str | None], codes: NDArray[np.intp], most: int) -> Self:
        """Learn from distinct values and each row's code: the most frequent ones, of those that occur twice."""
        counts = np.bincount(codes, minlength=len(values)).tolist()
        often = sorted((-n, v is None, v or "") for v, n in zip(values, counts, strict=True) if n > 1)[:most]
        kept = [(missing, value) for _, missing, value in often]
        return cls(name, tuple(None if missing else value for missing, value in sorted(kept)))

    @property
    def numbers(self) -> int:
        """How many codes there are, 0 included: the rows of an embedding."""
        return len(self.values) + 1

    def transform(self, values: Sequence[str | None], codes: NDArray[np.intp]) -> NDArray[np.int64]:
        """Give (n,) codes of rows, from distinct values and each row's place among them."""
        place = {value: k + 1 for k, value in enumerate(self.values)}
        return np.array([place.get(value, 0) for value in values] or [0], dtype=np.int64)[codes]

    def to_dict(self) -> dict[str, Any]:
        """Give everything learned as plain values for JSON."""
        return {"name": self.name, "values": list(self.values)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        return cls(content["name"], tuple(content["values"]))
