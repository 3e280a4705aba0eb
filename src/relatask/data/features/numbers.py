"""Numbers for networks: centred, scaled, holes filled and marked; all learned on training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from relatask.notices import InputError

Floats = NDArray[np.float64]
_LARGEST = 1e30
"""Beyond this a standardised number is no number in single precision after a layer."""


@dataclass(frozen=True, eq=False)
class Standardizer:
    """Columns of numbers in units of their standard deviations; a column that had holes gets a mark beside it.

    Attributes
    ----------
    names : tuple of d str
    fill : (d,) what a missing number is taken to be: the column's median.
    center, scale : (d,) means, and standard deviations (1 where a column is constant).
    holes : (d,) bool, whether training rows had missing numbers.

    Examples
    --------
    >>> found = Standardizer.fit(np.array([[1.0], [3.0], [np.nan]]), ("age",))
    >>> found.transform(np.array([[3.0], [np.nan]])), found.feature_names
    (array([[1., 0.],
           [0., 1.]], dtype=float32), ('age', 'age (missing)'))
    """

    names: tuple[str, ...]
    fill: Floats
    center: Floats
    scale: Floats
    holes: NDArray[np.bool_]

    @classmethod
    def fit(cls, values: Floats, names: tuple[str, ...]) -> Self:
        """Learn from (n, d) training rows, NaN where a number is missing.

        Raises
        ------
        InputError
            For infinite numbers, and such as have no finite square.
        """
        _check_finite(values, names)
        seen = ~np.isnan(values)
        count = np.maximum(seen.sum(0), 1)
        with np.errstate(over="ignore", invalid="ignore"):
            center = np.where(seen, values, 0.0).sum(0) / count
            spread = np.sqrt((np.square(np.where(seen, values - center, 0.0))).sum(0) / count)
        wrong = ~np.isfinite(spread)
        if wrong.any():
            raise InputError(
                f"column {names[int(np.argmax(wrong))]!r} holds numbers whose squares overflow (beyond about 1e150); "
                "give it other units."
            )
        fill = np.array([np.median(values[seen[:, j], j]) if seen[:, j].any() else 0.0 for j in range(len(names))])
        scale = np.where(spread > 1e-12 * np.abs(center), spread, 1.0)
        return cls(names, fill, center, scale, np.asarray(~seen.all(0)))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that come out: all of them, then the marks."""
        return self.names + tuple(
            f"{name} (missing)" for name, hole in zip(self.names, self.holes, strict=True) if hole
        )

    def transform(self, values: Floats) -> NDArray[np.float32]:
        """Give (n, d + number of marks).

        Raises
        ------
        InputError
            For infinite numbers.
        """
        _check_finite(values, self.names)
        missing = np.isnan(values)
        with np.errstate(over="ignore"):
            found = (np.where(missing, self.fill, values) - self.center) / self.scale
        found = np.clip(found, -_LARGEST, _LARGEST)
        return np.hstack([found, missing[:, self.holes]]).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Give everything learned as plain values for JSON."""
        return {
            "names": list(self.names),
            "fill": self.fill.tolist(),
            "center": self.center.tolist(),
            "scale": self.scale.tolist(),
            "holes": self.holes.tolist(),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        fill, center, scale = (np.array(content[name], dtype=np.float64) for name in ("fill", "center", "scale"))
        return cls(tuple(content["names"]), fill, center, scale, np.array(content["holes"], dtype=bool))


def _check_finite(values: Floats, names: tuple[str, ...]) -> None:
    infinite = np.argwhere(np.isinf(values))
    if len(infinite):
        row, column = infinite[0].tolist()
        raise InputError(
            f"X contains infinity, first in row {row}, column {names[column]!r} ({len(infinite)} in all); give finite "
            "numbers, or NaN for a missing one."
        )
