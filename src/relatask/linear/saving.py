"""Saving linear models without pickle: a JSON file that can be read, and an npz file of its arrays."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from relatask.files import write_bytes
from relatask.linear.encoding import Arrays, decoded, encoded
from relatask.notices import InputError

FORMAT, VERSION = "relatask.linear", 2
READ = (1, 2)
"""Versions that are read: 1 holds no statistics, so that a model of it predicts, but does not go on learning."""

KEPT = ("_fit_layout", "_statistics", "_seen", "_end")
"""What is saved of a model beside its learned attributes: what it needs to go on learning."""


def save(path: str | os.PathLike[str], kind: str, params: dict[str, Any], fitted: dict[str, Any]) -> None:
    """Write `path.json` and `path.npz`, each whole or not at all; the JSON file holds the other's checksum and its own.

    The pair changes at once: new arrays are written beside the old ones, then the JSON file is replaced, then the
    arrays take their name. Wherever the machine stops, `load` finds the arrays that the JSON file is of.

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
    body = {"class": kind, "params": encoded(params, arrays), "fitted": encoded(fitted, arrays)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    binary = buffer.getvalue()
    body = {"format": FORMAT, "version": VERSION, "arrays_sha256": _sum(binary), **body}
    json_file, npz_file = files(path)
    text = _written({**body, "sha256": _sum(_canonical(body))})
    write_bytes(_coming(npz_file), binary)
    write_bytes(json_file, text)
    _coming(npz_file).replace(npz_file)


def load(path: str | os.PathLike[str], kind: str, known: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what `save` wrote: parameters, of those `known` to the class, and what was learned.

    Raises
    ------
    InputError
        If a file is missing, changed in a single byte, cut short, of another version or of another class, or holds
        what no model is made of (pickles, for example).
    """
    json_file, npz_file = files(path)
    held = [file for file in (npz_file, _coming(npz_file)) if file.is_file()]
    for file, there in ((json_file, json_file.is_file()), (npz_file, bool(held))):
        if not there:
            raise InputError(f"{file} is not there; a saved model is {json_file.name} and {npz_file.name} together.")
    text = json_file.read_bytes()
    try:
        body = json.loads(text)
    except ValueError as error:
        raise InputError(f"{json_file} is damaged or cut short ({error}); save the model again.") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise InputError(f"{json_file} is not a saved linear model of relatask.")
    if body.get("version") not in READ:
        raise InputError(
            f"{json_file} has version {body.get('version')!r}, this relatask reads versions "
            f"{' and '.join(map(str, READ))}; load it with the relatask that wrote it, or fit again."
        )
    # What means the same to JSON (a space, a newline) is a change, too.
    same = text == _written(body)
    if body.pop("sha256", None) != _sum(_canonical(body)) or not same:
        raise InputError(f"{json_file} was changed after it was written: its checksum differs; save the model again.")
    binary = next((data for data in map(Path.read_bytes, held) if body.get("arrays_sha256") == _sum(data)), None)
    if binary is None:
        raise InputError(
            f"{npz_file} is damaged, cut short or of another save: its checksum is not the one in {json_file.name}; "
            f"save the model again."
        )
    if body.get("class") != kind:
        raise InputError(
            f"{json_file} holds a {body.get('class')}; load it with {body.get('class')}.load, not {kind}.load."
        )
    try:
        with np.load(io.BytesIO(binary), allow_pickle=False) as stored:
            arrays = dict(stored)
        params, fitted = decoded(body["params"], arrays), decoded(body["fitted"], arrays)
        _check_names(params, fitted, known)
        return params, fitted
    except InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        reason = (
            "a pickle, which is never loaded" if "pickle" in str(error) else f"what no model is made of ({error!r})"
        )
        raise InputError(f"{json_file} and {npz_file.name} hold {reason}; save the model again.") from error


def files(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """The JSON and the npz file of a path, with or without one of the suffixes."""
    name = os.fspath(path)
    stem = name.removesuffix(".json").removesuffix(".npz")
    return Path(f"{stem}.json"), Path(f"{stem}.npz")


def _coming(npz_file: Path) -> Path:
    """Where arrays are until the JSON file is theirs."""
    return npz_file.with_name(f"{npz_file.name}.new")


def _check_names(params: dict[str, Any], fitted: dict[str, Any], known: Sequence[str]) -> None:
    """Raise ValueError for parameters that the class does not have, and attributes that no fit sets."""
    wrong = [name for name in params if name not in known]
    wrong += [name for name in fitted if name not in KEPT and (not name.endswith("_") or name.startswith("_"))]
    if wrong:
        raise ValueError(f"attributes {wrong}")


def _written(body: dict[str, Any]) -> bytes:
    return json.dumps(body, indent=1, ensure_ascii=False).encode()


def _canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True).encode()


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
