"""From text to whole numbers: a vocabulary of words, or n-grams dealt to buckets by a hash; 0 is padding."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from relatask.notices import InputError

Text = str | Sequence[str] | None
"""A text, or its words; None where it is missing, which reads as no word."""

_WORD = re.compile(r"\w+|[^\w\s]")


def words(text: Text) -> list[str]:
    """Give the words and marks of a text in lower case; words that are given stay as they are.

    Examples
    --------
    >>> words("It's GOOD."), words(["New", "York"]), words(None)
    (['it', "'", 's', 'good', '.'], ['New', 'York'], [])
    """
    if text is None:
        return []
    return _WORD.findall(text.lower()) if isinstance(text, str) else list(text)


class Vocabulary:
    """Words by number, learned on training texts: 0 is padding, 1 a word that training texts did not have.

    Parameters
    ----------
    size : int
        The most words that are known, the most frequent ones.
    min_count : int
        Rarer words are unknown.
    length : int, optional
        The most words read of a text, its first; None reads all.

    Attributes
    ----------
    words_ : tuple of str
        Known words, the most frequent first (of equals, by the alphabet): word i has number i + 2.

    Raises
    ------
    InputError
        For numbers that are no sizes.

    Examples
    --------
    >>> vocabulary = Vocabulary().fit(["a b a", "c"])
    >>> vocabulary.transform(["c a x", None])
    array([[4, 2, 1],
           [0, 0, 0]], dtype=int32)
    """

    kind = "words"
    words_: tuple[str, ...]

    def __init__(self, size: int = 20_000, *, min_count: int = 1, length: int | None = 400) -> None:
        if size < 1 or min_count < 1 or (length is not None and length < 1):
            raise InputError(
                f"size={size}, min_count={min_count} and length={length} must be whole numbers >= 1 (length may be "
                "None)."
            )
        self.size = size
        self.min_count = min_count
        self.length = length

    def fit(self, texts: Iterable[Text]) -> Self:
        """Learn the words of training texts."""
        counts = Counter(word for text in texts for word in words(text))
        often = sorted((w for w, n in counts.items() if n >= self.min_count), key=lambda w: (-counts[w], w))
        self.words_ = tuple(often[: self.size])
        return self

    @property
    def numbers(self) -> int:
        """How many numbers there are, padding and the unknown word included: the rows of an embedding."""
        return len(self.words_) + 2

    def transform(self, texts: Iterable[Text]) -> NDArray[np.int32]:
        """Give (n, T) word numbers, T the longest of these texts (at least 1), shorter ones padded by 0."""
        place = {word: k + 2 for k, word in enumerate(self.words_)}
        return padded([[place.get(word, 1) for word in words(text)[: self.length]] for text in texts])

    def to_dict(self) -> dict[str, Any]:
        """Give everything learned as plain values for JSON."""
        return {
            "kind": self.kind,
            "size": self.size,
            "min_count": self.min_count,
            "length": self.length,
            "words": list(self.words_),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        found = cls(content["size"], min_count=content["min_count"], length=content["length"])
        found.words_ = tuple(content["words"])
        return found


class HashedNgrams:
    """The n-grams of a text, each once, dealt to buckets by a hash; how rare each bucket is in training texts.

    ``weight_b = 1 + log((1 + n) / (1 + texts with b))``, the inverse document frequency; with `idf=False` all are 1.

    Parameters
    ----------
    buckets : int
        How many; n-grams that meet in one are not told apart.
    ngrams : (int, int)
        The shortest and the longest n-grams, in words.
    idf : bool
        Whether rare n-grams weigh more.

    Attributes
    ----------
    weights_ : array (buckets + 1,) float32
        Of every number; 0 for padding.

    Raises
    ------
    InputError
        For numbers that are no sizes.

    Examples
    --------
    >>> bag = HashedNgrams(buckets=1000).fit(["good food", "bad food"])
    >>> bag.transform(["food good food"]).shape, bag.numbers
    ((1, 4), 1001)
    """

    kind = "ngrams"
    weights_: NDArray[np.float32]

    def __init__(self, buckets: int = 2**16, ngrams: tuple[int, int] = (1, 2), *, idf: bool = True) -> None:
        low, high = ngrams
        if buckets < 1 or not 1 <= low <= high:
            raise InputError(
                f"buckets={buckets} must be >= 1, and ngrams={ngrams!r} two whole numbers 1 <= low <= high."
            )
        self.buckets = buckets
        self.ngrams = (int(low), int(high))
        self.idf = idf

    def fit(self, texts: Iterable[Text]) -> Self:
        """Learn how many training texts have each bucket."""
        found, n = np.zeros(self.buckets + 1), 0
        for text in texts:
            n += 1
            found[self._numbers(text)] += 1
        weights = 1 + np.log((1 + n) / (1 + found)) if self.idf else np.ones(self.buckets + 1)
        weights[0] = 0
        self.weights_ = weights.astype(np.float32)
        return self

    @property
    def numbers(self) -> int:
        """How many numbers there are, padding included: the rows of an embedding."""
        return self.buckets + 1

    def transform(self, texts: Iterable[Text]) -> NDArray[np.int32]:
        """Give (n, G) bucket numbers, each once a text and ascending, G the most of these texts (at least 1)."""
        return padded([self._numbers(text) for text in texts])

    def to_dict(self) -> dict[str, Any]:
        """Give everything learned as plain values for JSON."""
        return {
            "kind": self.kind,
            "buckets": self.buckets,
            "ngrams": list(self.ngrams),
            "idf": self.idf,
            "weights": [float(w) for w in self.weights_] if self.idf else [],
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        found = cls(content["buckets"], tuple(content["ngrams"]), idf=content["idf"])
        if found.idf:
            found.weights_ = np.array(content["weights"], dtype=np.float32)
            return found
        return found.fit([])

    def _numbers(self, text: Text) -> list[int]:
        return sorted({crc32(gram.encode()) % self.buckets + 1 for gram in _ngrams(words(text), *self.ngrams)})


def padded(rows: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    """Give (n, T) with rows padded by 0 to the longest, at least 1 wide."""
    out = np.zeros((len(rows), max([1, *map(len, rows)])), dtype=np.int32)
    for place, row in enumerate(rows):
        out[place, : len(row)] = row
    return out


def _ngrams(found: list[str], low: int, high: int) -> Iterator[str]:
    for n in range(low, high + 1):
        for start in range(len(found) - n + 1):
            yield " ".join(found[start : start + n])
