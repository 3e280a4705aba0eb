"""What makes numbers of a table with text for a linear model: words weighed, the rest encoded and scaled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relatask.data import TableEncoder
from relatask.notices import InputError


class WordsAndTable:
    """Numbers and categories as `TableEncoder` gives them, each of variance 1; of text the weights of its words.

    ``tf-idf = (1 + log count) (1 + log((1 + n) / (1 + n_w)))``, each text of length 1, for the words that occur
    most; all learned on training rows.

    Parameters
    ----------
    text, table : sequence of str
        Columns of text; columns of numbers and categories.
    categorical : sequence of str
        Those of `table` that are categories although they hold numbers.
    max_categories : int
        Columns at most that one text column becomes.
    most : int
        Words of a text column.

    Raises
    ------
    InputError
        Where no column is named.

    Examples
    --------
    >>> table = pa.table({"price": [1.0, 3.0], "note": ["old chair", "new chair"]})
    >>> WordsAndTable(["note"], ["price"]).fit(table).transform(table).shape
    (2, 4)
    """

    def __init__(
        self,
        text: Sequence[str] = (),
        table: Sequence[str] = (),
        categorical: Sequence[str] = (),
        max_categories: int = 30,
        most: int = 300,
    ) -> None:
        if not text and not table:
            raise InputError("no column is named; give columns of text, or of numbers and categories.")
        self.text = tuple(text)
        self.table = tuple(table)
        self.categorical = tuple(categorical)
        self.max_categories = max_categories
        self.most = most

    def fit(self, rows: Any) -> WordsAndTable:
        """Learn from training rows, a pyarrow.Table."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._encoder = None
        if self.table:
            encoder = TableEncoder(list(self.categorical), max_categories=self.max_categories, impute="median")
            found = encoder.fit_transform(rows, list(self.table))
            spread = found.std(0)
            self._encoder, self._mean, self._scale = encoder, found.mean(0), np.where(spread > 0, spread, 1.0)
        self._words = {}
        for name in self.text:
            words = TfidfVectorizer(sublinear_tf=True, max_features=self.most)
            texts = _texts(rows, name)
            if any(text.strip() for text in texts):
                try:
                    self._words[name] = words.fit(texts)
                except ValueError:  # no word of two letters in any row: nothing to count
                    continue
        return self

    def transform(self, rows: Any) -> npt.NDArray[np.float64]:
        """Give numbers (n, d)."""
        blocks = [] if self._encoder is None else [(self._encoder.transform(rows) - self._mean) / self._scale]
        blocks += [words.transform(_texts(rows, name)).toarray() for name, words in self._words.items()]
        return np.hstack(blocks) if blocks else np.zeros((rows.num_rows, 1))


def _texts(rows: Any, name: str) -> list[str]:
    """A column's texts, "" where missing; lists of words with blanks between."""
    values = rows.column(name).to_pylist() if isinstance(rows, pa.Table) else list(rows[name])
    return [" ".join(value) if isinstance(value, list) else "" if value is None else str(value) for value in values]
