"""Saving deep estimators without pickle: a JSON file that can be read, and the nets' numbers as safetensors."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as tensors_of
from safetensors.torch import save as bytes_of
from torch import Tensor

from relatask.balance import Balancer
from relatask.data.features import TableFeatures
from relatask.files import write_bytes
from relatask.notices import InputError
from relatask.relations import Relation, Sum, registry
from relatask.tasks import Task
from relatask.train.estimators.balancing import Balancing
from relatask.train.estimators.fitted import Fitted
from relatask.train.estimators.targets import Units
from relatask.train.estimators.training import net
from relatask.train.packing import pack, unpack

FORMAT, VERSION = "relatask.deep", 1


def save(path: str | os.PathLike[str], estimator: Any) -> None:
    """Write `path.json` and `path.safetensors`, each whole or not at all; the JSON file holds the other's checksum."""
    json_file, tensor_file = files(path)
    learned = {k: v for k, v in sorted(vars(estimator).items()) if k.endswith("_") or k == "_fit_layout"}
    nets: Sequence[Fitted] = learned.pop("nets_")
    tensors: dict[str, Tensor] = {}
    nets_told = [
        {**_told_net(one), "state": pack(_single(one.model.state_dict()), tensors, str(k))}
        for k, one in (enumerate(nets))
    ]
    binary = bytes_of(tensors)
    body = {
        "format": FORMAT,
        "version": VERSION,
        "class": type(estimator).__name__,
        "params": {name: _told(value, name) for name, value in estimator.get_params(deep=False).items()},
        "fitted": {name: _told(value, name) for name, value in learned.items()},
        "nets": nets_told,
        "tensors_sha256": _sum(binary),
    }
    text = json.dumps({**body, "sha256": _sum(_canonical(body))}, indent=1, ensure_ascii=False)
    write_bytes(_coming(tensor_file), binary)
    write_bytes(json_file, text.encode())
    _coming(tensor_file).replace(tensor_file)


def load(path: str | os.PathLike[str], kind: str, known: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what `save` wrote: parameters, of those `known` to the class, and what was learned.

    Raises
    ------
    InputError
        If a file is missing, changed, cut short, of another version or of another class.
    """
    json_file, tensor_file = files(path)
    held = [file for file in (tensor_file, _coming(tensor_file)) if file.is_file()]
    for file, there in ((json_file, json_file.is_file()), (tensor_file, bool(held))):
        if not there:
            raise InputError(f"{file} is not there; a saved model is {json_file.name} and {tensor_file.name} together.")
    try:
        body = json.loads(json_file.read_bytes())
    except ValueError as error:
        raise InputError(f"{json_file} is damaged or cut short ({error}); save the model again.") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise InputError(f"{json_file} is not a saved deep model of relatask.")
    if body.get("version") != VERSION:
        raise InputError(
            f"{json_file} has version {body.get('version')!r}, this relatask reads version {VERSION}; load it with the "
            "relatask that wrote it, or fit again."
        )
    if body.pop("sha256", None) != _sum(_canonical(body)):
        raise InputError(f"{json_file} was changed after it was written: its checksum differs; save the model again.")
    binary = next((data for data in map(Path.read_bytes, held) if body["tensors_sha256"] == _sum(data)), None)
    if binary is None:
        raise InputError(
            f"{tensor_file} is damaged, cut short or of another save: its checksum is not the one in {json_file.name}; "
            "save the model again."
        )
    if body["class"] != kind:
        raise InputError(f"{json_file} holds a {body['class']}; load it with {body['class']}.load, not {kind}.load.")
    params = {name: _read(value) for name, value in body["params"].items() if name in known}
    facts = {name: _read(value) for name, value in body["fitted"].items()}
    tensors = tensors_of(binary)
    settings = {"class_weight": None, **params}
    nets = tuple(_read_net(one, settings, tensors) for one in body["nets"])
    return params, {**facts, "nets_": nets}


def files(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """The JSON and the tensor file of a path, with or without one of the suffixes."""
    stem = os.fspath(path).removesuffix(".json").removesuffix(".safetensors")
    return Path(f"{stem}.json"), Path(f"{stem}.safetensors")


def _told_net(one: Fitted) -> dict[str, Any]:
    return {
        "features": one.features.to_dict(),
        "tasks": [asdict(task) for task in one.tasks],
        "center": one.units.center.tolist(),
        "scale": one.units.scale.tolist(),
        "grouped": one.grouped,
        "history": one.history,
        "best_epoch": one.best_epoch,
        "n_epochs": one.n_epochs,
    }


def _read_net(told: dict[str, Any], settings: dict[str, Any], tensors: dict[str, Tensor]) -> Fitted:
    features = TableFeatures.from_dict(told["features"])
    tasks = tuple(
        Task(one["name"], one["kind"], classes=one["classes"], class_weight=_tuple(one["class_weight"]))
        for one in told["tasks"]
    )
    with torch.random.fork_rng(devices=[]):
        model = net(settings, features, tasks)
    model.load_state_dict(unpack(told["state"], tensors))
    units = Units(np.array(told["center"]), np.array(told["scale"]))
    return Fitted(
        features,
        model.double().eval(),
        tasks,
        units,
        told["grouped"],
        told["history"],
        told["best_epoch"],
        told["n_epochs"],
    )


def _told(value: Any, name: str) -> Any:
    """A value as JSON: plain ones as they are, others as {"type": ...}.

    Raises
    ------
    InputError
        For a type that is not on the list.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        return {"type": "array", "dtype": value.dtype.str, "items": [_told(v, name) for v in value.tolist()]}
    if isinstance(value, tuple | list):
        return {"type": type(value).__name__, "items": [_told(v, name) for v in value]}
    if isinstance(value, dict):
        return {"type": "mapping", "items": [[_told(k, name), _told(v, name)] for k, v in value.items()]}
    if isinstance(value, Balancer):
        return type(value).__name__
    if isinstance(value, Balancing):
        return value.name
    if isinstance(value, TableFeatures):
        return {"type": "features", "options": value.options()}
    if isinstance(value, Relation) and is_dataclass(value) and type(value).__name__ in {**registry(), "Sum": Sum}:
        own = {f.name: _told(getattr(value, f.name), name) for f in fields(value) if f.init}
        return {"type": "relation", "name": type(value).__name__, "fields": own}
    hint = (
        "a function cannot be written: save model.nets_[0].model.state_dict() yourself"
        if callable(value)
        else ("labels and parameters may be numbers, text and tuples of these")
    )
    raise InputError(f"{name}={value!r:.60} is a {type(value).__name__} and cannot be saved; {hint}.")


def _read(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kind = value["type"]
    if kind == "array":
        dtype = np.dtype(value["dtype"])
        items = [_read(v) for v in value["items"]]
        if dtype.kind != "O":
            return np.array(items, dtype=dtype)
        out = np.empty(len(items), dtype=object)
        out[:] = items
        return out
    if kind in ("tuple", "list"):
        items = [_read(v) for v in value["items"]]
        return tuple(items) if kind == "tuple" else items
    if kind == "mapping":
        return {_read(k): _read(v) for k, v in value["items"]}
    if kind == "features":
        return TableFeatures.of(value["options"])
    known: dict[str, Any] = {**registry(), "Sum": Sum}
    if kind != "relation" or value["name"] not in known:
        raise InputError(f"the saved {kind} {value.get('name')!r} is unknown here.")
    return known[value["name"]](**{name: _read(v) for name, v in value["fields"].items()})


def _single(state: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers as they were trained: predictions are in double precision, parameters are not."""
    return {k: v.float() if isinstance(v, Tensor) and v.is_floating_point() else v for k, v in state.items()}


def _tuple(values: Any) -> Any:
    return None if values is None else tuple(values)


def _coming(tensor_file: Path) -> Path:
    """Where tensors are until the JSON file is theirs."""
    return tensor_file.with_name(f"{tensor_file.name}.new")


def _canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True).encode()


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
