"""Tables, encoders and loaders of public data sets of many related tasks."""

from relatask.data.collection import Collection
from relatask.data.dataset import Dataset
from relatask.data.delimited import reading_notes
from relatask.data.encode import TableEncoder
from relatask.data.entry import Entry
from relatask.data.fetch import cache_folder
from relatask.data.infer import Inference, infer, task_labels
from relatask.data.registry import datasets, load, options_of
from relatask.data.table import as_table, read_table, write_table

__all__ = [
    "Collection",
    "Dataset",
    "Entry",
    "Inference",
    "TableEncoder",
    "as_table",
    "cache_folder",
    "datasets",
    "infer",
    "load",
    "options_of",
    "read_table",
    "reading_notes",
    "task_labels",
    "write_table",
]
