"""From text to whole numbers: a vocabulary of words, or n-grams dealt to buckets by a hash; 0 is padding."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

    def options(self) -> dict[str, Any]:
        """Give what it was made with as plain values for JSON."""
        return {"kind": self.kind, "size": self.size, "min_count": self.min_count, "length": self.length}

    def to_dict(self) -> dict[str, Any]:
        """Give everything learned as plain values for JSON."""
        return {**self.options(), "words": list(self.words_)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Rebuild from `to_dict`, or unfitted from `options`."""
        found = cls(content["size"], min_count=content["min_count"], length=content["length"])
        if "words" in content:
            found.words_ = tuple(content["words"])
        return found


class HashedNgrams:
    """The n-grams of a text, each once, by a hash; those that training texts had, and how rare they are there.

    ``weight_b = 1 + log((1 + n) / (1 + texts with b))``, the inverse document frequency; with `idf=False` all are 1.

    Parameters
    ----------
    buckets : int
        How many there are; n-grams that meet in one are not told apart.
    ngrams : (int, int)
        The shortest and the longest n-grams, in words.
    min_count : int
        A bucket that fewer training texts have is not read.
    idf : bool
        Whether rare n-grams weigh more.

    Attributes
    ----------
    buckets_ : array of int, ascending
        Those that are read: ``buckets_[i]`` has number i + 1.
    weights_ : array (numbers,) float32
        Of every number; 0 for padding.

    Raises
    ------
    InputError
        For numbers that are no sizes.

    Examples
    --------
    >>> bag = HashedNgrams(min_count=1).fit(["good food", "bad food"])
    >>> bag.transform(["food good food, good food"]).shape, bag.numbers
    ((1, 3), 6)
    """

    kind = "ngrams"
    buckets_: NDArray[np.int64]
    weights_: NDArray[np.float32]

    def __init__(
        self, buckets: int = 2**20, ngrams: tuple[int, int] = (1, 2), *, min_count: int = 2, idf: bool = True
    ) -> None:
        low, high = ngrams
        if buckets < 1 or min_count < 1 or not 1 <= low <= high:
            raise InputError(
                f"buckets={buckets} and min_count={min_count} must be >= 1, and ngrams={ngrams!r} two whole numbers "
                "1 <= low <= high."
            )
        self.buckets = buckets
        self.ngrams = (int(low), int(high))
        self.min_count = min_count
        self.idf = idf

    def fit(self, texts: Iterable[Text]) -> Self:
        """Learn which buckets training texts have, and how many texts have each."""
        found: Counter[int] = Counter()
        n = 0
        for text in texts:
            n += 1
            found.update(self._hashed(text))
        self.buckets_ = np.array(sorted(b for b, count in found.items() if count >= self.min_count), dtype=np.int64)
        counts = np.array([found[int(b)] for b in self.buckets_], dtype=np.float64)
        weights = 1 + np.log((1 + n) / (1 + counts)) if self.idf else np.ones(len(counts))
        self.weights_ = np.concatenate([[0.0], weights]).astype(np.float32)
        return self

    @property
    def numbers(self) -> int:
        """How many numbers there are, padding included: the rows of an embedding."""
        return len(self.buckets_) + 1

    def transform(self, texts: Iterable[Text]) -> NDArray[np.int32]:
        """Give (n, G) numbers, each once a text and ascending, G the most of these texts (at least 1)."""
        place = {int(b): k + 1 for k, b in enumerate(self.buckets_)}
        return padded([sorted(place[b] for b in self._hashed(text) if b in place) for text in texts])

    def options(self) -> dict[str, Any]:
        """Give what it was made with as plain values for JSON."""
        ngrams = list(self.ngrams)
        return {
            "kind": self.kind,
            "buckets": self.buckets,
            "ngrams": ngrams,
            "min_count": self.min_count,
            "idf": self.idf,
        }

    def to_dict(self) -> dict[str, Any]:
        """Give everything learned as plain values for JSON."""
        return {**self.options(), "known": self.buckets_.tolist(), "weights": self.weights_.tolist()}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Rebuild from `to_dict`, or unfitted from `options`."""
        ngrams = (int(content["ngrams"][0]), int(content["ngrams"][1]))
        found = cls(content["buckets"], ngrams, min_count=content["min_count"], idf=content["idf"])
        if "known" in content:
            found.buckets_ = np.array(content["known"], dtype=np.int64)
            found.weights_ = np.array(content["weights"], dtype=np.float32)
        return found

    def _hashed(self, text: Text) -> set[int]:
        return {crc32(gram.encode()) % self.buckets for gram in _ngrams(words(text), *self.ngrams)}


Reader = Vocabulary | HashedNgrams
_READERS: dict[str, type[Vocabulary] | type[HashedNgrams]] = {"words": Vocabulary, "ngrams": HashedNgrams}


def reader_of(told: Any) -> Reader:
    """Give a reader of text: "words" or "ngrams", `options` or `to_dict` of one, or an unfitted copy of one.

    Raises
    ------
    InputError
        For anything else.
    """
    if isinstance(told, Reader):
        told = told.options()
    if isinstance(told, Mapping) and told.get("kind") in _READERS:
        return _READERS[told["kind"]].from_dict(dict(told))
    if isinstance(told, str) and told in _READERS:
        return _READERS[told]()
    raise InputError(f"text={told!r:.60} is unknown; expected 'ngrams', 'words', a HashedNgrams or a Vocabulary.")


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
