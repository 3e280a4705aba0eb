"""State as safetensors and JSON, without pickle: nested lists and dictionaries of tensors and plain values."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from relatask.files import write_bytes
from relatask.notices import InputError

FORMAT, VERSION = "relatask.train", 1
_MARK = "$"


def pack(tree: Any, tensors: dict[str, Tensor], at: str = "") -> Any:
    """Give a tree as JSON has it; its tensors go into `tensors`, by where they stand.

    Raises
    ------
    InputError
        For a leaf that neither JSON nor safetensors can hold.

    Examples
    --------
    >>> held = {}
    >>> pack({"step": 3, "betas": (0.9, 0.99), "mean": torch.ones(2)}, held)
    {'step': 3, 'betas': {'$tuple': [0.9, 0.99]}, 'mean': {'$tensor': '/mean'}}
    >>> unpack(pack({"step": 3, "betas": (0.9, 0.99), "mean": torch.ones(2)}, held), held)
    {'step': 3, 'betas': (0.9, 0.99), 'mean': tensor([1., 1.])}
    """
    if isinstance(tree, Tensor):
        tensors[at] = tree.detach().to("cpu", copy=True).contiguous()
        return {f"{_MARK}tensor": at}
    if isinstance(tree, np.ndarray):
        tensors[at] = torch.from_numpy(np.ascontiguousarray(tree).copy())
        return {f"{_MARK}array": at}
    if isinstance(tree, np.generic):
        return pack(tree.item(), tensors, at)
    if isinstance(tree, Mapping):
        if all(isinstance(key, str) and not key.startswith(_MARK) for key in tree):
            return {key: pack(value, tensors, f"{at}/{key}") for key, value in tree.items()}
        pairs = [
            [pack(k, tensors, f"{at}/k{i}"), pack(v, tensors, f"{at}/{i}")] for i, (k, v) in enumerate(tree.items())
        ]
        return {f"{_MARK}pairs": pairs}
    if isinstance(tree, tuple):
        return {f"{_MARK}tuple": [pack(value, tensors, f"{at}/{i}") for i, value in enumerate(tree)]}
    if isinstance(tree, list):
        return [pack(value, tensors, f"{at}/{i}") for i, value in enumerate(tree)]
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise InputError(
        f"the state holds {tree!r:.60} at {at or '/'}, a {type(tree).__name__}, which cannot be saved without "
        "pickle; keep "
        "state in tensors, numbers, texts, lists and dictionaries."
    )


def unpack(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Give what was packed."""
    if isinstance(tree, list):
        return [unpack(value, tensors) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if f"{_MARK}tensor" in tree:
        return tensors[tree[f"{_MARK}tensor"]]
    if f"{_MARK}array" in tree:
        return tensors[tree[f"{_MARK}array"]].numpy()
    if f"{_MARK}tuple" in tree:
        return tuple(unpack(tree[f"{_MARK}tuple"], tensors))
    if f"{_MARK}pairs" in tree:
        return {unpack(k, tensors): unpack(v, tensors) for k, v in tree[f"{_MARK}pairs"]}
    return {key: unpack(value, tensors) for key, value in tree.items()}


def write(path: str | os.PathLike[str], kind: str, tree: Any) -> None:
    """Write a tree as one safetensors file, whole or not at all; its header holds the JSON and a checksum.

    Raises
    ------
    InputError
        For what cannot be packed, and where the file cannot be written: what was there before stays.
    """
    tensors: dict[str, Tensor] = {}
    body = pack(tree, tensors)
    told = {"format": FORMAT, "version": VERSION, "kind": kind, "sum": _sum(tensors), "body": body}
    data = save(tensors, metadata={"relatask": json.dumps(told, ensure_ascii=False)})
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)
    except OSError as error:
        before = "; what was saved there before is as it was" if Path(path).exists() else ""
        raise InputError(
            f"{path} cannot be written: {error.strerror or error} ({len(data) / 1e6:.1f} MB){before}. Make room, or "
            "give "
            "another folder."
        ) from error


def read(path: str | os.PathLike[str], kind: str) -> Any:
    """Read what `write` wrote.

    Raises
    ------
    InputError
        For a file that is missing, cut short, changed, of another kind or of a newer version.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{file} is not there; give the folder of a run that was trained with folder=.")
    data = file.read_bytes()
    try:
        size = int.from_bytes(data[:8], "little")
        told = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["relatask"])
        version = told["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is cut short, damaged or no checkpoint of relatask; train anew.") from error
    if told.get("format") != FORMAT or version > VERSION:
        raise InputError(
            f"{file} has version {version}, and this relatask reads versions up to {VERSION}; read it with the "
            "relatask "
            "that wrote it, or a newer one."
        )
    if told["kind"] != kind:
        raise InputError(f"{file} holds a {told['kind']}, and a {kind} is needed.")
    try:
        tensors = load(data)
    except (SafetensorError, ValueError) as error:
        raise InputError(f"{file} is cut short or damaged ({error}); use another checkpoint, or train anew.") from error
    if told["sum"] != _sum(tensors):
        raise InputError(f"{file} was changed after it was written: its checksum differs; train anew.")
    return unpack(told["body"], tensors)


def _sum(tensors: Mapping[str, Tensor]) -> int:
    """A checksum of names and contents."""
    found = 0
    for name in sorted(tensors):
        found = crc32(name.encode(), found)
        found = crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, found)
    return found
