"""`TableFeatures`: turns a table's columns into the arrays that a network takes, and back from JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relatask.data.columns import numbers, texts
from relatask.data.features.categories import Categories
from relatask.data.features.inputs import Inputs
from relatask.data.features.media import read_pictures, read_sounds
from relatask.data.features.numbers import Standardizer
from relatask.data.features.roles import ROLES, role_of, text_values
from relatask.data.features.rows import rows_of
from relatask.data.features.tokens import Reader, reader_of
from relatask.data.table import need_columns
from relatask.notices import InputError

_FORMAT = 1


class TableFeatures:
    """Turns columns of a table into arrays for a network, learned on training rows.

    Numbers (booleans too) are standardised; a column with missing ones has them filled by its median and a mark
    beside it. Text of few values becomes categories, text that differs in most rows and has three words or more on
    average is read as text, and a column of file names that all end like pictures or sounds is read from the files.
    What is no feature (no value, names that differ in most rows) is left out and named in `dropped_`.

    Parameters
    ----------
    roles : mapping from column to role, optional
        "numeric", "categorical", "text", "image", "sound" or "drop", where what is found is not what is meant.
    text : "ngrams", "words", or an unfitted `HashedNgrams` or `Vocabulary`
        How text is read: as a bag of n-grams, or word by word.
    max_categories : int
        The most values of a column that have codes of their own.
    image_size : (height, width)
        Pictures are brought to it.
    sound_rate, sound_seconds : int, float or None
        Samples a second, and the most that is read of a sound.
    folder : path
        Where relative paths of pictures and sounds begin.
    only : sequence of str, optional
        The roles whose columns are read; the others are left out. All by default.

    Attributes
    ----------
    roles_ : dict of str to str
        What each column is, in order.
    dropped_ : dict of str to str
        The columns left out, and why.
    inputs_ : Inputs
        What an encoder must know of the arrays.

    Examples
    --------
    >>> table = {"age": [30.0, None, 50.0, 40.0], "city": ["Rome", "Oslo", "Rome", "Oslo"]}
    >>> features = TableFeatures().fit(table)
    >>> features.roles_, features.inputs_.categories
    ({'age': 'numeric', 'city': 'categorical'}, (3,))
    >>> rows = features.transform({"age": [None], "city": ["Lima"]})
    >>> rows["numeric"], rows["categorical"]
    (array([[0., 1.]], dtype=float32), array([[0]]))
    """

    roles_: dict[str, str]
    dropped_: dict[str, str]

    def __init__(
        self,
        roles: Mapping[str, str] | None = None,
        *,
        text: str | Reader = "ngrams",
        max_categories: int = 1000,
        image_size: tuple[int, int] = (64, 64),
        sound_rate: int = 8000,
        sound_seconds: float | None = None,
        folder: str | os.PathLike[str] = ".",
        only: Sequence[str] | None = None,
    ) -> None:
        wrong = {name: role for name, role in (roles or {}).items() if role not in ROLES}
        if wrong:
            name, role = next(iter(wrong.items()))
            raise InputError(f"roles: {role!r} of column {name!r} is unknown; expected one of {', '.join(ROLES)}.")
        reader_of(text)
        if max_categories < 1:
            raise InputError(f"max_categories={max_categories} must be at least 1.")
        self.roles = dict(roles or {})
        self.text = text
        self.max_categories = max_categories
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.sound_rate = sound_rate
        self.sound_seconds = sound_seconds
        self.folder = folder
        self.only = None if only is None else tuple(only)

    def fit(self, X: Any, columns: Sequence[str] | None = None) -> Self:
        """Learn from training rows.

        Parameters
        ----------
        X : pyarrow.Table, pandas or polars frame, mapping of columns, or array (n, d)
            The training rows; an array's columns are "0", "1", ...
        columns : sequence of str, optional
            The columns to read; all by default.

        Raises
        ------
        InputError
            For an absent column, dates, infinite numbers, or no column that is left.
        """
        rows = rows_of(X)
        names = list(rows.names if columns is None else columns)
        if rows.length == 0:
            raise InputError("the table has no rows to learn features from.")
        found: dict[str, str] = dict.fromkeys(names, "numeric")
        dropped: dict[str, str] = {}
        if rows.matrix is None or self.roles or columns is not None:  # else it is numbers, and need be no table
            need_columns(rows.table, [*names, *self.roles])
            found, dropped = self._found(rows.table, names)
        kept = {name: role for name, role in found.items() if role != "drop"}
        if not kept:
            told = "; ".join(f"column {name!r} is left out: {why}" for name, why in dropped.items())
            raise InputError(f"no column is left to learn from: {told or 'no columns were given'}.")
        self.roles_, self.dropped_ = found, dropped
        table = rows.table
        own = self._named("numeric")
        values = rows.matrix if rows.matrix is not None and len(own) == len(rows.names) else _matrix(table, own)
        self._numeric = Standardizer.fit(values, tuple(own))
        self._categories = [
            Categories.fit(name, *texts(table, name), most=self.max_categories) for name in self._named("categorical")
        ]
        self._texts = {name: reader_of(self.text).fit(text_values(table, name)) for name in self._named("text")}
        return self

    def transform(self, X: Any) -> dict[str, NDArray[Any]]:
        """Give arrays by key, one row each: "numeric", "categorical", "text__NAME", "image__NAME", "sound__NAME".

        Raises
        ------
        InputError
            For an absent column, text or an infinite value where training rows had numbers, a file that is absent.
        """
        rows = rows_of(X)
        own = self._named("numeric")
        out: dict[str, NDArray[Any]] = {}
        if own:
            whole = rows.matrix is not None and rows.names == tuple(own)
            values = rows.matrix if whole else _matrix(rows.table, own)
            assert values is not None
            out["numeric"] = self._numeric.transform(values)
        others = [name for name, role in self.roles_.items() if role not in ("numeric", "drop")]
        if others:
            need_columns(rows.table, others)
        if self._categories:
            codes = [found.transform(*texts(rows.table, found.name)) for found in self._categories]
            out["categorical"] = np.stack(codes, axis=1)
        for name, reader in self._texts.items():
            out[f"text__{name}"] = reader.transform(text_values(rows.table, name))
        for name in self._named("image"):
            out[f"image__{name}"] = read_pictures(_paths(rows.table, name), self.image_size, self.folder)
        for name in self._named("sound"):
            paths = _paths(rows.table, name)
            out[f"sound__{name}"] = read_sounds(paths, self.sound_rate, self.sound_seconds, self.folder)
        return out

    def fit_transform(self, X: Any, columns: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Fit on rows and give their arrays."""
        return self.fit(X, columns).transform(X)

    @property
    def inputs_(self) -> Inputs:
        """What an encoder must know of the arrays."""
        return Inputs(
            len(self._numeric.feature_names),
            tuple(found.numbers for found in self._categories),
            {f"text__{name}": reader.numbers for name, reader in self._texts.items()},
            {f"image__{name}": (3, *self.image_size) for name in self._named("image")},
            {f"sound__{name}": self.sound_rate for name in self._named("sound")},
        )

    @property
    def readers_(self) -> dict[str, Reader]:
        """What reads each text, by the array's key."""
        return {f"text__{name}": reader for name, reader in self._texts.items()}

    @property
    def notes_(self) -> tuple[str, ...]:
        """The columns left out, in sentences for a person."""
        return tuple(f"column {name!r} is left out: {why}" for name, why in self.dropped_.items())

    def to_dict(self) -> dict[str, Any]:
        """Give everything learned as plain values for JSON; `from_dict` gives back the same transform."""
        return {
            "format": _FORMAT,
            "options": self.options(),
            "roles": dict(self.roles_),
            "dropped": dict(self.dropped_),
            "numeric": self._numeric.to_dict(),
            "categories": [found.to_dict() for found in self._categories],
            "texts": {name: reader.to_dict() for name, reader in self._texts.items()},
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Rebuild from `to_dict`.

        Raises
        ------
        InputError
            For another format than this version writes.
        """
        if content.get("format") != _FORMAT:
            raise InputError(f"features of format {content.get('format')!r}; this version reads format {_FORMAT}.")
        found = cls.of(content["options"])
        found.roles_, found.dropped_ = dict(content["roles"]), dict(content["dropped"])
        found._numeric = Standardizer.from_dict(content["numeric"])
        found._categories = [Categories.from_dict(one) for one in content["categories"]]
        found._texts = {name: reader_of(one) for name, one in content["texts"].items()}
        return found

    def options(self) -> dict[str, Any]:
        """Give what it was made with as plain values for JSON."""
        return {
            "roles": self.roles,
            "text": self.text if isinstance(self.text, str) else self.text.options(),
            "max_categories": self.max_categories,
            "image_size": list(self.image_size),
            "sound_rate": self.sound_rate,
            "sound_seconds": self.sound_seconds,
            "folder": os.fspath(self.folder),
            "only": None if self.only is None else list(self.only),
        }

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Give unfitted features from `options`."""
        text = options["text"]
        return cls(
            options["roles"],
            text=text if isinstance(text, str) else reader_of(text),
            max_categories=options["max_categories"],
            image_size=tuple(options["image_size"]),
            sound_rate=options["sound_rate"],
            sound_seconds=options["sound_seconds"],
            folder=options["folder"],
            only=options["only"],
        )

    def like(self, *, text: str | Reader, only: Sequence[str] | None) -> Self:
        """Give unfitted features of the same options, but for these two; `only` stays where it is told already."""
        found = type(self).of(self.options())
        found.text = text
        found.only = self.only if only is None else tuple(only)
        return found

    def _found(self, table: pa.Table, names: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Each column's role, and why some are left out."""
        found: dict[str, str] = {}
        dropped: dict[str, str] = {}
        for name in names:
            if name in self.roles:
                found[name], why = self.roles[name], "asked for"
            else:
                found[name], why = role_of(table, name)
            if self.only is not None and found[name] not in (*self.only, "drop"):
                found[name], why = "drop", f"it is read as {found[name]}, and only {', '.join(self.only)} are asked for"
            if found[name] == "drop":
                dropped[name] = why
        return found, dropped

    def _named(self, role: str) -> list[str]:
        return [name for name, own in self.roles_.items() if own == role]


def _matrix(table: pa.Table, names: Sequence[str]) -> NDArray[np.float64]:
    need_columns(table, names)
    return np.column_stack([numbers(table, name) for name in names]) if names else np.zeros((table.num_rows, 0))


def _paths(table: pa.Table, name: str) -> list[str | None]:
    return [None if value is None else str(value) for value in table.column(name).to_pylist()]
