"""Saving linear models without pickle: a JSON file that can be read, and an npz file of its arrays."""

from __future__ import annotations

import hashlib
import io
import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import numpy as np
from scipy import sparse

from relatask.files import write_bytes
from relatask.linear.input.labels import listed
from relatask.linear.losses import Huber, Poisson, RootSquared
from relatask.linear.path import Path as Tried
from relatask.notices import InputError
from relatask.relations import Relation, Sum, registry
from relatask.relations.graphs import Positions
from relatask.relations.trees import BoundTree, Tree

FORMAT, VERSION = "relatask.linear", 1
Arrays = dict[str, np.ndarray]


def save(path: str | os.PathLike[str], kind: str, params: dict[str, Any], fitted: dict[str, Any]) -> None:
    """Write `path.json` and `path.npz`, each whole or not at all; the JSON file holds the other's checksum.

    Parameters
    ----------
    path : path-like
        Without suffix, or with one of the two.
    kind : str
        The estimator's class.
    params, fitted : dict
        Its parameters and what it learned, by name.

    Raises
    ------
    InputError
        For a label or parameter of a type that cannot be written.
    """
    arrays: Arrays = {}
    body = {"class": kind, "params": _encoded(params, arrays), "fitted": _encoded(fitted, arrays)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    binary = buffer.getvalue()
    body = {"format": FORMAT, "version": VERSION, "arrays_sha256": _sum(binary), **body}
    text = json.dumps({**body, "sha256": _sum(_canonical(body))}, indent=1, ensure_ascii=False)
    json_file, npz_file = files(path)
    write_bytes(npz_file, binary)
    write_bytes(json_file, text.encode())


def load(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what `save` wrote: parameters and what was learned.

    Raises
    ------
    InputError
        If a file is missing, changed, cut short, of another version or of another class.
    """
    json_file, npz_file = files(path)
    for file in (json_file, npz_file):
        if not file.is_file():
            raise InputError(f"{file} is not there; a saved model is {json_file.name} and {npz_file.name} together.")
    try:
        body = json.loads(json_file.read_bytes())
    except ValueError as error:
        raise InputError(f"{json_file} is damaged or cut short ({error}); save the model again.") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise InputError(f"{json_file} is not a saved linear model of relatask.")
    if body.get("version") != VERSION:
        raise InputError(
            f"{json_file} has version {body.get('version')!r}, this relatask reads version {VERSION}; "
            f"load it with the relatask that wrote it, or fit again."
        )
    if body.pop("sha256", None) != _sum(_canonical(body)):
        raise InputError(f"{json_file} was changed after it was written: its checksum differs; save the model again.")
    binary = npz_file.read_bytes()
    if body["arrays_sha256"] != _sum(binary):
        raise InputError(
            f"{npz_file} is damaged, cut short or of another save: its checksum is not the one in {json_file.name}; "
            f"save the model again."
        )
    if body["class"] != kind:
        raise InputError(f"{json_file} holds a {body['class']}; load it with {body['class']}.load, not {kind}.load.")
    with np.load(io.BytesIO(binary), allow_pickle=False) as stored:
        arrays = dict(stored)
    return _decoded(body["params"], arrays), _decoded(body["fitted"], arrays)


def files(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """The JSON and the npz file of a path, with or without one of the suffixes."""
    name = os.fspath(path)
    stem = name.removesuffix(".json").removesuffix(".npz")
    return Path(f"{stem}.json"), Path(f"{stem}.npz")


def _encoded(value: Any, arrays: Arrays) -> Any:
    """A value as JSON: plain ones as they are, others as {"type": ...}, arrays by their key in the npz file."""
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        key = f"a{len(arrays)}"
        arrays[key] = value
        return {"type": "array", "key": key, "writeable": bool(value.flags.writeable)}
    if isinstance(value, np.ndarray):
        return {"type": "objects", "items": [_encoded(v, arrays) for v in value.tolist()]}
    if sparse.issparse(value):
        matrix: Any = sparse.csr_array(cast(Any, value))
        held = {name: _encoded(getattr(matrix, name), arrays) for name in ("data", "indices", "indptr")}
        return {"type": "sparse", "shape": list(matrix.shape), **held}
    if isinstance(value, Relation):
        name = type(value).__name__
        if name not in {**registry(), "Sum": Sum}:
            raise InputError(f"{name} is not one of relatask's relations, so a model that uses it cannot be saved.")
        held = {field.name: _encoded(getattr(value, field.name), arrays) for field in fields(value)}
        return {"type": "relation", "name": name, "fields": held}
    if isinstance(value, Huber | Poisson | RootSquared):
        held = {field.name: getattr(value, field.name) for field in fields(value)}
        return {"type": "loss", "name": type(value).__name__, "fields": held}
    if isinstance(value, Tried):
        return {"type": "path", "fields": {f.name: _encoded(getattr(value, f.name), arrays) for f in fields(value)}}
    for name, kind in _SEQUENCES.items():
        if type(value) is kind:
            return {"type": name, "items": [_encoded(v, arrays) for v in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"type": "dict", "items": {key: _encoded(v, arrays) for key, v in value.items()}}
    if isinstance(value, dict):
        return {"type": "mapping", "items": [[_encoded(k, arrays), _encoded(v, arrays)] for k, v in value.items()]}
    if isinstance(value, dict):
        return {"type": "mapping", "keys": _encoded(list(value), arrays), "values": _encoded([*value.values()], arrays)}
    raise InputError(
        f"{value!r} is a {type(value).__name__} and cannot be saved; labels and parameters may be numbers, text and "
        f"tuples of these."
    )


def _decoded(value: Any, arrays: Arrays) -> Any:
    """What `_encoded` encoded."""
    if not isinstance(value, dict):
        return value
    kind = value["type"]
    if kind == "array":
        array = arrays[value["key"]]
        array.flags.writeable = value["writeable"]
        return array
    if kind == "objects":
        items = [_decoded(v, arrays) for v in value["items"]]
        out = np.empty(len(items), dtype=object)
        for place, item in enumerate(items):
            out[place] = item
        return out
    if kind == "sparse":
        parts = tuple(_decoded(value[name], arrays) for name in ("data", "indices", "indptr"))
        return sparse.csr_array(parts, shape=tuple(value["shape"]))
    if kind in _SEQUENCES:
        return _SEQUENCES[kind](_decoded(v, arrays) for v in value["items"])
    if kind == "mapping":
        return {_decoded(k, arrays): _decoded(v, arrays) for k, v in value["items"]}
    if kind == "dict":
        return {key: _decoded(v, arrays) for key, v in value["items"].items()}
    if kind == "mapping":
        return dict(zip(_decoded(value["keys"], arrays), _decoded(value["values"], arrays), strict=True))
    held = {key: _decoded(v, arrays) for key, v in value["fields"].items()}
    if kind == "path":
        return Tried(**held)
    if kind == "loss":
        return {"Huber": Huber, "Poisson": Poisson, "RootSquared": RootSquared}[value["name"]](**held)
    known: dict[str, Any] = {**registry(), "Sum": Sum}
    if value["name"] not in known:
        raise InputError(f"the saved relation {value['name']!r} is unknown here; known are {listed(list(known), 20)}.")
    return known[value["name"]](**held)


def _canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True).encode()


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_SEQUENCES: dict[str, Any] = {
    "tuple": tuple,
    "list": list,
    "positions": Positions,
    "tree": Tree,
    "bound tree": BoundTree,
}
