"""What an encoder learned of a column, and the scikit-learn transformers that this makes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_OTHER = "infrequent_sklearn"


@dataclass(frozen=True)
class Numeric:
    """A column of numbers: what replaces a missing value, and whether training rows had any."""

    name: str
    statistic: float
    had_missing: bool


@dataclass(frozen=True)
class Categorical:
    """A column of categories: its values in the training rows (None for missing) and how often each occurred."""

    name: str
    values: tuple[str | None, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Dropped:
    """A column that is left out, and why."""

    name: str
    reason: str


Learned = Numeric | Categorical | Dropped
_ROLES: dict[str, Any] = {"numeric": Numeric, "categorical": Categorical, "dropped": Dropped}


def imputer_of(columns: Sequence[Numeric]) -> Any:
    """Give the `SimpleImputer` with these statistics: fitted on one row of them, and one that has the holes."""
    from sklearn.impute import SimpleImputer

    statistics = [column.statistic for column in columns]
    holes = [np.nan if column.had_missing else column.statistic for column in columns]
    # Where nothing was missing the statistic stands twice: "most_frequent" keeps it exactly, a mean may round.
    imputer = SimpleImputer(strategy="most_frequent", add_indicator=True)
    return imputer.fit(np.array([statistics, holes], dtype=np.float64))


def one_hot_encoder(column: Categorical, max_categories: int) -> Any:
    """Give the `OneHotEncoder` that the training rows would give, from the values and their counts."""
    from sklearn.preprocessing import OneHotEncoder

    # Only the order of the counts matters to scikit-learn, so their ranks (1, 2, ...) stand for them: a million
    # training rows become a few.
    ranks = np.unique(column.counts, return_inverse=True)[1] + 1
    rows = np.repeat(np.array(column.values, dtype=object), ranks)
    encoder = OneHotEncoder(
        drop="if_binary",
        handle_unknown="infrequent_if_exist",
        max_categories=max_categories,
        sparse_output=False,
        feature_name_combiner=_feature_name,
    )
    return encoder.fit(rows[:, None])


def _feature_name(column: str, value: Any) -> str:
    return f"{column}={'(missing)' if value is None else '(other)' if value == _OTHER else value}"


def one_hot(encoder: Any, values: Sequence[str | None]) -> npt.NDArray[np.float64]:
    """Encode values (u, columns); those not seen in training are zeros, or join the rare ones."""
    if not values:
        return np.empty((0, len(encoder.get_feature_names_out())))
    with warnings.catch_warnings():
        # Unknown values are counted by `unknown`, and shown from there.
        warnings.filterwarnings("ignore", message="Found unknown categories", category=UserWarning)
        encoded: npt.NDArray[np.float64] = encoder.transform(np.array(values, dtype=object)[:, None])
    return encoded


def to_record(column: Learned) -> dict[str, Any]:
    """Give plain values for JSON."""
    return {"role": next(role for role, kind in _ROLES.items() if isinstance(column, kind)), **asdict(column)}


def from_record(record: dict[str, Any]) -> Learned:
    """Rebuild from `to_record`; JSON turns tuples into lists, so they are turned back."""
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in record.items()}
    column: Learned = _ROLES[values.pop("role")](**values)
    return column
