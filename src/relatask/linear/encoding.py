"""Values of a fitted model as JSON and arrays, and back: a closed list of types, nothing that could run code."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, cast

import numpy as np
from scipy import sparse

from relatask.linear.fitting import End
from relatask.linear.input.labels import listed
from relatask.linear.kernels.storing import KINDS, plain_parts, rebuilt
from relatask.linear.losses import Huber, Poisson, RootSquared
from relatask.linear.newton.solving import LossStart
from relatask.linear.online.drift import Drift
from relatask.linear.online.tracking import Seen
from relatask.linear.path import Path
from relatask.linear.solvers.admm import State
from relatask.linear.solvers.start import Start
from relatask.linear.sums.forms import Bucket, Forms
from relatask.linear.sums.sparse_bucket import SparseBucket
from relatask.linear.sums.sparse_rows import SparseRows
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError
from relatask.relations import Relation, Sum, registry
from relatask.relations.graphs import Positions
from relatask.relations.trees import BoundTree, Tree
from relatask.relations.unlabelled import Unlabelled

Arrays = dict[str, np.ndarray]

RECORDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        Statistics,
        Forms,
        Bucket,
        SparseBucket,
        SparseRows,
        End,
        Start,
        State,
        LossStart,
        Drift,
        Seen,
        Unlabelled,
    )
} | {"path": Path}
"""Dataclasses that a fitted model may hold, by the names they are written under."""

_LOSSES: dict[str, Any] = {kind.__name__: kind for kind in (Huber, Poisson, RootSquared)}
_SEQUENCES: dict[str, Any] = {
    "tuple": tuple,
    "list": list,
    "positions": Positions,
    "tree": Tree,
    "bound tree": BoundTree,
}


def encoded(value: Any, arrays: Arrays) -> Any:
    """A value as JSON: plain ones as they are, others as {"type": ...}, arrays by their key among `arrays`.

    Raises
    ------
    InputError
        For a type that is not on the list.
    """
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        key = f"a{len(arrays)}"
        arrays[key] = value
        return {"type": "array", "key": key, "writeable": bool(value.flags.writeable)}
    if isinstance(value, np.ndarray):
        return {"type": "objects", "items": [encoded(v, arrays) for v in value.tolist()]}
    if sparse.issparse(value):
        matrix: Any = sparse.csr_array(cast(Any, value))
        held = {name: encoded(getattr(matrix, name), arrays) for name in ("data", "indices", "indptr")}
        return {"type": "sparse", "shape": list(matrix.shape), **held}
    if isinstance(value, Relation):
        name = type(value).__name__
        if name not in {**registry(), "Sum": Sum}:
            raise InputError(f"{name} is not one of relatask's relations, so a model that uses it cannot be saved.")
        return {"type": "relation", "name": name, "fields": _fields(value, arrays)}
    if type(value) in _LOSSES.values():
        return {"type": "loss", "name": type(value).__name__, "fields": _fields(value, arrays)}
    for name, kind in RECORDS.items():
        if type(value) is kind:
            return {"type": "record", "name": name, "fields": _fields(value, arrays)}
    for name, kind in _SEQUENCES.items():
        if type(value) is kind:
            return {"type": name, "items": [encoded(v, arrays) for v in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"type": "dict", "items": {key: encoded(v, arrays) for key, v in value.items()}}
    if isinstance(value, dict):
        return {"type": "mapping", "items": [[encoded(k, arrays), encoded(v, arrays)] for k, v in value.items()]}
    if (kernel_parts := plain_parts(value)) is not None:
        kind_of, name, own = kernel_parts
        return {"type": kind_of, "name": name, "fields": {k: encoded(v, arrays) for k, v in own.items()}}
    raise InputError(
        f"{value!r} is a {type(value).__name__} and cannot be saved; labels and parameters may be numbers, text and "
        f"tuples of these."
    )


def decoded(value: Any, arrays: Arrays) -> Any:
    """What `encoded` encoded.

    Raises
    ------
    InputError
        For a relation that is unknown here.
    KeyError, TypeError, ValueError
        For what `encoded` never writes.
    """
    if not isinstance(value, dict):
        return value
    kind = value["type"]
    if kind == "array":
        array = arrays[value["key"]]
        array.flags.writeable = value["writeable"]
        return array
    if kind == "objects":
        items = [decoded(v, arrays) for v in value["items"]]
        out = np.empty(len(items), dtype=object)
        for place, item in enumerate(items):
            out[place] = item
        return out
    if kind == "sparse":
        parts = tuple(decoded(value[name], arrays) for name in ("data", "indices", "indptr"))
        return sparse.csr_array(parts, shape=tuple(value["shape"]))
    if kind in _SEQUENCES:
        return _SEQUENCES[kind](decoded(v, arrays) for v in value["items"])
    if kind == "mapping":
        return {decoded(k, arrays): decoded(v, arrays) for k, v in value["items"]}
    if kind == "dict":
        return {key: decoded(v, arrays) for key, v in value["items"].items()}
    held = {key: decoded(v, arrays) for key, v in value["fields"].items()}
    if kind == "path":  # as version 1 has it
        return Path(**held)
    if kind == "record":
        return RECORDS[value["name"]](**held)
    if kind == "loss":
        return _LOSSES[value["name"]](**held)
    if kind in KINDS:
        return rebuilt(kind, value["name"], held)
    known: dict[str, Any] = {**registry(), "Sum": Sum}
    if kind != "relation" or value["name"] not in known:
        raise InputError(f"the saved relation {value['name']!r} is unknown here; known are {listed(list(known), 20)}.")
    return known[value["name"]](**held)


def _fields(value: Any, arrays: Arrays) -> dict[str, Any]:
    return {field.name: encoded(getattr(value, field.name), arrays) for field in fields(value)}
