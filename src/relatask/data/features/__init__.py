"""Features for networks: a table's columns as arrays, learned on training rows, kept as JSON. Needs no torch."""

from relatask.data.features.categories import Categories
from relatask.data.features.inputs import Inputs
from relatask.data.features.media import read_pictures, read_sounds
from relatask.data.features.numbers import Standardizer
from relatask.data.features.table import TableFeatures
from relatask.data.features.tokens import HashedNgrams, Vocabulary, padded, words

__all__ = [
    "Categories",
    "HashedNgrams",
    "Inputs",
    "Standardizer",
    "TableFeatures",
    "Vocabulary",
    "padded",
    "read_pictures",
    "read_sounds",
    "words",
]
