"""Columns that come as Arrow: feature matrices with names, and arrays whose nulls are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.input.labels import listed
from relatask.notices import InputError


def is_arrow(values: Any) -> bool:
    """Whether values are of pyarrow, told without importing it."""
    return type(values).__module__.partition(".")[0] == "pyarrow"


def matrix(batch: Any) -> tuple[NDArray, list[str]]:
    """Features (n, d) and their names of a RecordBatch or Table; float32 where all columns are, else float64.

    Raises
    ------
    InputError
        For columns that are not numbers.
    """
    import pyarrow as pa

    names = list(batch.schema.names)
    kinds = [field.type for field in batch.schema]
    numeric = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    bad = [name for name, kind in zip(names, kinds, strict=True) if not any(test(kind) for test in numeric)]
    if bad:
        raise InputError(f"X holds columns that are not numbers: {listed(bad)}. Encode such columns first.")
    kind = np.float32 if all(k == pa.float32() for k in kinds) else np.float64
    out = np.empty((batch.num_rows, len(names)), dtype=kind)
    for j in range(len(names)):
        out[:, j] = array(batch.column(j), kind)
    return out, names


def array(values: Any, kind: Any = None) -> Any:
    """An Arrow array as numpy, nulls as NaN (in text None); anything else as it is."""
    if not is_arrow(values):
        return values
    import pyarrow as pa

    if not hasattr(values, "type"):
        told = "labels, tasks and weights are arrays, one column each; give a pandas or polars frame of several"
        raise InputError(f"a {type(values).__name__} of the columns {listed(list(values.schema.names))}: {told}.")
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if kind is not None and not pa.types.is_floating(values.type):
        values = values.cast(pa.float64(), safe=False)
    return values.to_numpy() if isinstance(values, pa.ChunkedArray) else values.to_numpy(zero_copy_only=False)
