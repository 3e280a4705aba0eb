"""Cells: one method, split and seed, kept as a file, so that a killed study goes on where it stopped."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import re
import uuid
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import relatask
from relatask.files import replacing
from relatask.measure import Note

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cost:
    """What a cell cost, and how its solver ended.

    Parameters
    ----------
    method, split : str
        The cell.
    seed : int
        The cell.
    fit_seconds, predict_seconds : float
        Wall-clock seconds.
    n_iter : int, optional
        Iterations of the solver, where the model says.
    residual : float, optional
        The model's optimality residual, where it says.
    strengths : dict
        Strengths that the model chose, by relation.
    memory_mb : float, optional
        By how much the process grew during the fit at most, where that was watched: of networks.
    """

    method: str
    split: str
    seed: int
    fit_seconds: float
    predict_seconds: float
    n_iter: int | None = None
    residual: float | None = None
    strengths: dict[str, float] = field(default_factory=dict)
    memory_mb: float | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Cell:
    """Predictions of a method on a split with a seed: arrays with m rows, one an observed test label.

    Parameters
    ----------
    method, split : str
        Which cell.
    seed : int
        Which cell.
    row, code : (m,) int arrays
        The row of the data and the position of the task.
    y : (m,) float array
        Labels.
    prediction : (m,) float array, or (m, C)
        Predictions; where a task has several classes one more axis: see `relatask.measure.several.plain`.
    cost : Cost
        Time, iterations, residual.
    notes : tuple of Note
        Warnings raised inside.
    """

    method: str
    split: str
    seed: int
    row: Ints
    code: Ints
    y: Floats
    prediction: Floats
    cost: Cost
    notes: tuple[Note, ...] = ()

    def __repr__(self) -> str:
        return f"Cell({self.method!r}, {self.split!r}, seed {self.seed}: {len(self.y)} predictions)"


def cell_path(folder: Path, method: str, split: str, seed: int) -> Path:
    """Give the file of a cell: readable, and different for methods whose names differ only in odd characters."""
    word = re.sub(r"[^A-Za-z0-9_.]+", "_", method)[:40]
    mark = hashlib.sha256(json.dumps([method, split, seed]).encode()).hexdigest()[:8]
    return folder / f"{word}-{split}-{seed}-{mark}.npz"


def save_cell(path: Path, cell: Cell, key: str) -> None:
    """Write a cell whole or not at all."""
    facts = json.dumps({"key": key, "cost": asdict(cell.cost), "notes": [asdict(note) for note in cell.notes]})
    arrays = {"row": cell.row, "code": cell.code, "y": cell.y, "prediction": cell.prediction}
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, facts=np.frombuffer(facts.encode(), dtype=np.uint8), **arrays)  # type: ignore[arg-type]


def load_cell(path: Path, method: str, split: str, seed: int, key: str) -> Cell | None:
    """Read a cell; None where there is none, it belongs to other data, or it is damaged: it is then computed again."""
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            facts = json.loads(file["facts"].tobytes())
            if facts["key"] != key:
                return None
            row, code, y, prediction = (file[name] for name in ("row", "code", "y", "prediction"))
            notes = tuple(Note(**note) for note in facts["notes"])
            return Cell(method, split, seed, row, code, y, prediction, Cost(**facts["cost"]), notes)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def fingerprint(*things: Any) -> str:
    """Hash of values, arrays and estimators by content.

    What cannot be pickled gets a hash of its own every time: it is then never taken for unchanged.
    """
    import pickle

    import joblib

    try:
        return str(joblib.hash(things))
    except (pickle.PicklingError, AttributeError, TypeError):
        return uuid.uuid4().hex


def code_of(thing: Any) -> str:
    """Hash of the files that define the class of a model or an encoder, its base classes, and those of its parameters.

    What those files import is not covered, nor is compiled code. A class that was typed at a prompt has no file: it
    gets a hash of its own every time.
    """
    things = [thing, *(thing.get_params(deep=True).values() if hasattr(thing, "get_params") else ())]
    files: set[str] = set()
    try:
        for kind in {kind for part in things for kind in type(part).__mro__}:
            with suppress(TypeError):  # built in
                files.add(inspect.getsourcefile(kind) or "")
        return _digest(Path(file) for file in files - {""})
    except OSError:
        return uuid.uuid4().hex


@functools.cache
def package_code(*, deep: bool = False) -> str:
    """Hash of what computes a cell in this package: relations, linear models, study; with `deep`, what trains nets."""
    home = Path(relatask.__file__).parent
    rooms = ("balance", "kinds", "nets", "train", "data") if deep else ("relations", "linear", "study")
    return _digest(file for room in rooms for file in (home / room).rglob("*.py"))


def _digest(files: Iterable[Path]) -> str:
    return hashlib.sha256(b"\0".join(sorted(file.read_bytes() for file in files))).hexdigest()
