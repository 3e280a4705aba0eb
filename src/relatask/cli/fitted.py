"""The fitted model of a run folder: saved and read back, encoder included; no pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relatask.cli.build import kinds_of, model_class
from relatask.cli.classes import Classes, read_classes
from relatask.cli.files import write_json
from relatask.cli.loading import Loaded, load
from relatask.notices import InputError


@dataclass(frozen=True)
class Fitted:
    """A run's configuration, encoder (None of a network) and model; by target of classes, what 0, 1, ... stand for."""

    loaded: Loaded
    encoder: Any
    model: Any
    classes: Classes = field(default_factory=dict)

    def expected(self, X: Any, tasks: Any = None) -> Any:
        """Return the expected labels of rows: numbers, chances of class 1, mean counts; see `study.answers.answer`."""
        if self.encoder is None:
            return self._answers(X, tasks)
        if hasattr(self.model, "predict_mean"):
            return self.model.predict_mean(X, tasks=tasks)
        if hasattr(self.model, "predict_proba"):
            return self.model.predict_proba(X, tasks=tasks)[..., 1]
        return self.model.predict(X, tasks=tasks)

    def _answers(self, X: Any, tasks: Any) -> Any:
        from relatask.study.answers import answer

        config = self.loaded.config
        names = self.model.tasks_.tolist()
        kinds = list(kinds_of(config, names).values())
        if set(kinds) == {"regression"}:
            return self.model.predict(X, tasks=tasks) if tasks is not None else self.model.predict(X)
        of = config.targets if config.data.by is None else config.targets * len(names)
        sizes = [
            len(self.classes[target]) if kind == "multiclass" else 0 for target, kind in zip(of, kinds, strict=True)
        ]
        return answer(self.model, X, tasks, kinds, sizes)


def save_fitted(folder: Path, model: Any, encoder: Any = None) -> None:
    """Write linear.json, linear.npz and encoder.json; of a network model.safetensors, model.json and features.json."""
    if hasattr(model, "twin"):
        from relatask.cli.network_files import save_network

        save_network(folder, model)
        return
    model.save(folder / "linear.json")
    if encoder is not None:
        write_json(folder / "encoder.json", encoder.to_dict())


NETWORK_FILES = ("model.json", "model.safetensors")
"""What a finished run of a network holds."""


def is_network(folder: Path) -> bool:
    """Return whether a run's model is a network: by its configuration, or by what is there."""
    return any((folder / name).is_file() for name in NETWORK_FILES)


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
    network = is_network(folder)
    needed = ("config.resolved.yaml", *(NETWORK_FILES if network else ("linear.json", "linear.npz", "encoder.json")))
    absent = [name for name in needed if not (folder / name).is_file()]
    if absent:
        raise InputError(
            f"{folder}: {absent[0]} is absent; expected the folder of a finished run "
            "(relatask train CONFIG --resume finishes one)."
        )
    if network:
        from relatask.cli.network_files import load_network

        loaded = load(folder / "config.resolved.yaml")
        return Fitted(loaded, None, load_network(folder, loaded.config), read_classes(folder))
    try:
        encoder = TableEncoder.from_dict(json.loads((folder / "encoder.json").read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise InputError(f"{folder / 'encoder.json'} is damaged ({error}); train the run again.") from error
    loaded = load(folder / "config.resolved.yaml")
    model = model_class(loaded.config).load(folder / "linear.json")
    return Fitted(loaded, encoder, model, read_classes(folder) if loaded.config.binary else {})
