"""The fitted model of a run folder: saved and read back, encoder included; no pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relatask.cli.build import model_class
from relatask.cli.classes import Classes, read_classes
from relatask.cli.files import write_json
from relatask.cli.loading import Loaded, load
from relatask.notices import InputError


@dataclass(frozen=True)
class Fitted:
    """A run's configuration, encoder and model; by target of two classes, what 0 and 1 stand for."""

    loaded: Loaded
    encoder: Any
    model: Any
    classes: Classes = field(default_factory=dict)

    def expected(self, X: Any, tasks: Any = None) -> Any:
        """Return the expected labels of rows: numbers, chances of class 1, mean counts."""
        if hasattr(self.model, "predict_mean"):
            return self.model.predict_mean(X, tasks=tasks)
        if hasattr(self.model, "predict_proba"):
            return self.model.predict_proba(X, tasks=tasks)[..., 1]
        return self.model.predict(X, tasks=tasks)


def save_fitted(folder: Path, model: Any, encoder: Any = None) -> None:
    """Write linear.json, linear.npz and encoder.json."""
    model.save(folder / "linear.json")
    if encoder is not None:
        write_json(folder / "encoder.json", encoder.to_dict())


def load_fitted(folder: Path) -> Fitted:
    """Read a run folder back.

    Raises
    ------
    InputError
        For a folder that is not that of a finished run.
    """
    from relatask.data import TableEncoder

    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such run folder.")
    needed = ("config.resolved.yaml", "linear.json", "linear.npz", "encoder.json")
    absent = [name for name in needed if not (folder / name).is_file()]
    if absent:
        raise InputError(
            f"{folder}: {absent[0]} is absent; expected the folder of a finished run "
            "(relatask train CONFIG --resume finishes one)."
        )
    try:
        encoder = TableEncoder.from_dict(json.loads((folder / "encoder.json").read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise InputError(f"{folder / 'encoder.json'} is damaged ({error}); train the run again.") from error
    loaded = load(folder / "config.resolved.yaml")
    model = model_class(loaded.config).load(folder / "linear.json")
    return Fitted(loaded, encoder, model, read_classes(folder) if loaded.config.binary else {})
