"""Tables, encoders and loaders of public data sets of many related tasks."""

from relatask.data.dataset import Dataset
from relatask.data.table import as_table, read_table, write_table

__all__ = ["Dataset", "as_table", "read_table", "write_table"]
