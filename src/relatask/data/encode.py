"""TableEncoder: turns a table's columns into numbers with scikit-learn's own transformers, and back from JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relatask.data.columns import kind_of, numbers, texts
from relatask.data.learned import (
    Categorical,
    Dropped,
    Learned,
    Numeric,
    from_record,
    imputer_of,
    one_hot,
    one_hot_encoder,
    to_record,
)
from relatask.data.table import as_table, need_columns, shorten
from relatask.notices import InputError

IMPUTE = ("median", "mean", "none")
_FORMAT = 1


class TableEncoder:
    """Turns columns of a table into a matrix of numbers, learned on training rows.

    Numeric columns (booleans too) go through scikit-learn's `SimpleImputer`, with an indicator column where training
    rows had missing values; text columns through its `OneHotEncoder` (one column for a text of two values, the second).
    A value not seen in training is encoded as zeros, or joins the rare ones where there are any. Columns without a
    value, and text that differs in most rows (names, free text), are left out and named in `dropped_`.

    Parameters
    ----------
    categorical : "auto" or sequence of str
        Numeric columns to treat as categories, besides the text columns.
    max_categories : int
        The most columns that one text column becomes; its rarest values share one.
    impute : {"median", "mean", "none"}
        What replaces missing numbers; with "none" they are an error.

    Attributes
    ----------
    columns_ : tuple of Numeric, Categorical and Dropped
        What was learned of each input column, in order.
    feature_names_ : tuple of str
        The names of the output's columns: ``age``, ``age (missing)``, ``city=Rome``, ``city=(other)``.
    dropped_ : dict of str to str
        The columns left out, and why.

    Examples
    --------
    >>> table = {"age": [30.0, None, 50.0], "city": ["Rome", "Oslo", "Bonn"]}
    >>> encoder = TableEncoder().fit(table)
    >>> encoder.feature_names_
    ('age', 'age (missing)', 'city=Bonn', 'city=Oslo', 'city=Rome')
    >>> encoder.transform({"age": [None], "city": ["Lima"]})
    array([[40.,  1.,  0.,  0.,  0.]])
    >>> encoder.unknown({"age": [None], "city": ["Lima"]})
    {'city': 1}
    """

    columns_: tuple[Learned, ...]
    feature_names_: tuple[str, ...]

    def __init__(
        self, categorical: str | Sequence[str] = "auto", *, max_categories: int = 30, impute: str = "median"
    ) -> None:
        if impute not in IMPUTE:
            raise InputError(f"impute={impute!r} is unknown; expected one of {', '.join(IMPUTE)}.")
        if max_categories < 2:
            raise InputError(f"max_categories={max_categories} must be at least 2.")
        if isinstance(categorical, str) and categorical != "auto":
            raise InputError(f"categorical={categorical!r}: expected 'auto' or a list of column names.")
        self.categorical = categorical if isinstance(categorical, str) else tuple(categorical)
        self.max_categories = max_categories
        self.impute = impute

    def fit(self, table: Any, columns: Sequence[str] | None = None) -> TableEncoder:
        """Learn from training rows.

        Parameters
        ----------
        table : pyarrow.Table, pandas or polars frame, or mapping of columns
            The training rows.
        columns : sequence of str, optional
            The columns to encode; all by default.

        Raises
        ------
        InputError
            For an absent or repeated column, dates (turn them into numbers first), infinite numbers, no column left,
            and missing numbers with ``impute="none"``.
        """
        rows = as_table(table)
        names = list(rows.column_names if columns is None else columns)
        need_columns(rows, names)
        listed = () if self.categorical == "auto" else self.categorical
        need_columns(rows, listed, "categorical column")
        if rows.num_rows == 0:
            raise InputError("the table has no rows to learn the encoding from.")
        self._settle(tuple(self._learn(rows, name, name in listed) for name in names))
        return self

    def transform(self, table: Any) -> npt.NDArray[np.float64]:
        """Encode rows: (n, d) float64, columns as in `feature_names_`.

        Raises
        ------
        InputError
            For an absent column, or text or an infinite value where training rows had numbers.
        """
        rows = as_table(table)
        need_columns(rows, [*(c.name for c in self._numeric), *(c.name for c in self._categorical)])
        blocks = []
        if self._numeric:
            values = np.column_stack([numbers(rows, column.name) for column in self._numeric])
            self._refuse_missing(values)
            blocks.append(self._imputer.transform(values) if rows.num_rows else np.empty((0, self._n_imputed)))
        for column, encoder in zip(self._categorical, self._encoders, strict=True):
            known, codes = texts(rows, column.name)
            blocks.append(one_hot(encoder, known)[codes])
        return np.ascontiguousarray(np.hstack(blocks)[:, self._order], dtype=np.float64)

    def fit_transform(self, table: Any, columns: Sequence[str] | None = None) -> npt.NDArray[np.float64]:
        """Fit on rows and encode them."""
        return self.fit(table, columns).transform(table)

    def unknown(self, table: Any) -> dict[str, int]:
        """Count, per text column, the rows whose value did not occur in training (columns without any are left out)."""
        rows = as_table(table)
        counts = {}
        for column in self._categorical:
            values, codes = texts(rows, column.name)
            strange = np.array([value not in column.values for value in values], dtype=bool)
            counts[column.name] = int(strange[codes].sum()) if len(codes) else 0
        return {name: count for name, count in counts.items() if count}

    @property
    def dropped_(self) -> dict[str, str]:
        """The columns left out, and why."""
        return {column.name: column.reason for column in self.columns_ if isinstance(column, Dropped)}

    @property
    def notes_(self) -> tuple[str, ...]:
        """The same in sentences, for a person."""
        return tuple(f"column {name!r} is left out: {reason}" for name, reason in self.dropped_.items())

    def to_dict(self) -> dict[str, Any]:
        """Give everything learned as plain values for JSON; `from_dict` gives back the same transform."""
        return {
            "format": _FORMAT,
            "categorical": self.categorical if isinstance(self.categorical, str) else list(self.categorical),
            "max_categories": self.max_categories,
            "impute": self.impute,
            "columns": [to_record(column) for column in self.columns_],
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> TableEncoder:
        """Rebuild an encoder from `to_dict`.

        Raises
        ------
        InputError
            For another format than this version writes.
        """
        if content.get("format") != _FORMAT:
            raise InputError(f"encoder of format {content.get('format')!r}; this version reads format {_FORMAT}.")
        encoder = cls(content["categorical"], max_categories=content["max_categories"], impute=content["impute"])
        encoder._settle(tuple(from_record(record) for record in content["columns"]))
        return encoder

    def _learn(self, rows: pa.Table, name: str, listed: bool) -> Learned:
        kind = kind_of(rows.column(name))
        if kind == "time":
            raise InputError(
                f"column {name!r} holds dates or times ({rows.column(name).type}), which are not numbers. Turn them "
                "into numbers that mean something here (month, hour, days since an event), or leave the column out."
            )
        if kind == "other":
            raise InputError(f"column {name!r} holds {rows.column(name).type}; expected numbers or text. Leave it out.")
        if kind == "empty":
            return Dropped(name, "it has no value in the training rows")
        if kind == "number" and not listed:
            values = numbers(rows, name)
            observed = values[~np.isnan(values)]
            statistic = np.mean(observed) if self.impute == "mean" else np.median(observed)
            return Numeric(name, float(statistic), len(observed) < len(values))
        values_, codes = texts(rows, name)
        counts = np.bincount(codes, minlength=len(values_))
        distinct, n_observed = len([v for v in values_ if v is not None]), rows.num_rows - rows.column(name).null_count
        if is_id_like(distinct, n_observed) and not listed:
            return Dropped(name, f"its text differs in most rows ({distinct} values in {n_observed} rows)")
        # In order of the text, not of appearance: the encoder must not depend on the order of the rows.
        order = sorted(range(len(values_)), key=lambda i: (values_[i] is None, values_[i] or ""))
        return Categorical(name, tuple(values_[i] for i in order), tuple(int(counts[i]) for i in order))

    def _settle(self, columns: tuple[Learned, ...]) -> None:
        """Build scikit-learn's transformers from what was learned: the one road for `fit` and `from_dict`."""
        self.columns_ = columns
        self._numeric = [column for column in columns if isinstance(column, Numeric)]
        self._categorical = [column for column in columns if isinstance(column, Categorical)]
        if not self._numeric and not self._categorical:
            raise InputError(f"no column is left to learn from: {'; '.join(self.notes_) or 'no columns were given'}.")
        self._encoders = [one_hot_encoder(column, self.max_categories) for column in self._categorical]
        holes = [column for column in self._numeric if column.had_missing]
        self._n_imputed = len(self._numeric) + len(holes)
        if self._numeric:
            self._imputer = imputer_of(self._numeric)
        blocks = [(column.name, column.name) for column in self._numeric]
        blocks += [(column.name, f"{column.name} (missing)") for column in holes]
        for column, encoder in zip(self._categorical, self._encoders, strict=True):
            blocks += [(column.name, name) for name in encoder.get_feature_names_out([column.name])]
        place = {column.name: k for k, column in enumerate(columns)}
        # Output columns stand in the order of the input columns; sorting is stable, so "age" precedes "age (missing)".
        self._order = sorted(range(len(blocks)), key=lambda k: place[blocks[k][0]])
        self.feature_names_ = _distinct(blocks[k][1] for k in self._order)

    def _refuse_missing(self, values: npt.NDArray[np.float64]) -> None:
        if self.impute == "none" and np.isnan(values).any():
            holed = np.isnan(values).sum(axis=0)
            named = [
                f"{column.name} ({count} rows)" for column, count in zip(self._numeric, holed, strict=True) if count
            ]
            raise InputError(f"missing values in {shorten(named)}, and impute is 'none'. Choose 'median' or 'mean'.")


def is_id_like(distinct: int, observed: int) -> bool:
    """Say whether a text column is names or free text: more than ten values, and differing in most rows."""
    return distinct > max(10, observed / 2)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Number repeated names: a category may itself be called "(other)", or a column "age (missing)"."""
    seen: dict[str, None] = {}
    for name in names:
        unique, k = name, 2
        while unique in seen:
            unique, k = f"{name} [{k}]", k + 1
        seen[unique] = None
    return tuple(seen)
