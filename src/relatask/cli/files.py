"""Files and run folders: refuse what exists, find out early what cannot be written, write whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from relatask.cli.show import jsonable, listed
from relatask.files import write_text
from relatask.notices import InputError

OURS = (
    "config.resolved.yaml",
    "env.json",
    "data.json",
    "scores.parquet",
    "predictions",
    "linear.json",
    "linear.npz",
    "encoder.json",
    "model.json",
    "model.safetensors",
    "history.jsonl",
    "grams.jsonl",
    "weights.jsonl",
    "gates.jsonl",
    "checkpoints",
    "record.json",
    "cells",
    "baseline",
    "report.html",
    "report.md",
    "comparison.json",
)

LINEAR_ONLY = ("linear.json", "linear.npz", "encoder.json")
NETWORK_ONLY = (
    "model.json",
    "model.safetensors",
    "history.jsonl",
    "grams.jsonl",
    "weights.jsonl",
    "gates.jsonl",
    "checkpoints",
)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise where a file is in the way, or where its folder cannot take it."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected the name of a file.")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already. Give --overwrite to replace it, or another --output.")
    _try_writing(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON, indented."""
    write_text(path, json.dumps(jsonable(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a run: its configuration is the first file written."""
    return (folder / OURS[0]).is_file()


def prepare(folder: Path, *, resume: bool, overwrite: bool, what: str = "run") -> None:
    """Make a run folder ready, before any work: refuse what is in the way, and find out whether it can be written.

    With `overwrite` only files that a run writes are removed; anything else in the folder stays.

    Raises
    ------
    InputError
        For an existing run without `resume` or `overwrite`, a file in the way, or a folder that cannot be written.
    """
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude each other: go on with the run, or start it again.")
    check_folder(folder, resume=resume, overwrite=overwrite, what=what)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: the output folder cannot be made ({error.strerror}). Choose another.") from None
    _try_writing(folder)
    if overwrite:
        for name in OURS:
            if (folder / name).is_dir() and not (folder / name).is_symlink():
                shutil.rmtree(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)


def check_folder(folder: Path, *, resume: bool, overwrite: bool, what: str = "run") -> None:
    """Raise where a run folder is in the way or cannot be written, without making anything."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a folder for the {what}.")
    if is_run(folder) and not (resume or overwrite):
        raise InputError(
            f"{folder} holds a {what} already. Give --resume to go on with it, --overwrite to replace it, "
            "or another folder: --output FOLDER"
        )
    foreign = [name for name in OURS if (folder / name).exists()]
    if foreign and not is_run(folder):
        raise InputError(
            f"{folder} is not a {what} of relatask, and holds {listed(foreign)}, which a {what} would replace. "
            "Choose another folder: --output FOLDER"
        )
    above = folder
    while not above.exists():
        above = above.parent
    if not above.is_dir():
        raise InputError(f"{folder}: {above} is a file, so no folder can be made in it. Choose another.")
    _try_writing(above)


def _try_writing(folder: Path) -> None:
    """Raise where a folder cannot take a file."""
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder. Make it first, or choose another place.")
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=".relatask-")
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be written ({error.strerror}). Choose another place.") from None
    os.close(handle)
    Path(name).unlink(missing_ok=True)
