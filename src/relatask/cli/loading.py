"""Reads a configuration file with its overrides, and says in plain words what is wrong with it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from relatask.cli.config import RunConfig
from relatask.cli.explain import explain
from relatask.cli.extra import need_deep
from relatask.cli.models import ModelConfig, NetworkConfig
from relatask.cli.splitting import SPLITS
from relatask.notices import InputError


@dataclass(frozen=True)
class Loaded:
    """A configuration and the folder that its paths are relative to."""

    config: RunConfig
    file: Path
    output: Path | None = None

    def path(self, name: str) -> Path:
        """Return a path of the configuration as seen from the current folder."""
        return Path(os.path.normpath(self.file.parent / Path(name).expanduser()))

    @property
    def data(self) -> Path:
        """The table."""
        return self.path(self.config.data.path)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.path(self.config.output.folder) if self.output is None else self.output

    def text(self) -> str:
        """Return the configuration with every default written out, as YAML, paths as the person wrote them."""
        return yaml.safe_dump(plain(self.config), sort_keys=False, allow_unicode=True, width=110)

    def resolved(self) -> str:
        """Return the same with absolute paths, so that it can be read again from anywhere."""
        values = plain(self.config)
        values["data"]["path"] = str(self.data.resolve())
        values["output"]["folder"] = str(self.folder.resolve())
        for relation in values["model"]["relation"]:
            for key, value in relation.items():
                if key not in ("name", "strength") and isinstance(value, str) and self.path(value).is_file():
                    relation[key] = str(self.path(value).resolve())
        header = "# Written by relatask: the configuration of this run, every default written out.\n"
        return header + yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)


def load(file: Path, overrides: Sequence[str] = (), output: Path | None = None) -> Loaded:
    """Read a YAML or TOML configuration, apply overrides such as ``model.relation.name=TraceNorm``, and check it.

    Raises
    ------
    InputError
        For a file that cannot be parsed, an unknown key, or a value that is not what was expected.
    """
    raw = read(file)
    for text in overrides:
        override(raw, text)
    config = parse(raw, str(file))
    if config.network is not None:
        need_deep(f"{file}: model.kind: {config.network.kind}")
    return Loaded(config, Path(file), output)


def read(file: Path) -> dict[str, Any]:
    """Read YAML or TOML into a dictionary."""
    file = Path(file)
    if file.suffix.lower() not in (".yaml", ".yml", ".toml"):
        raise InputError(
            f"{file}: expected a configuration (.yaml, .yml or .toml). "
            f"To write one for a table: relatask init {file} --target COLUMN"
        )
    if not file.exists():
        raise InputError(f"{file}: there is no such configuration. To write one: relatask init TABLE --target COLUMN")
    try:
        text = file.read_text(encoding="utf-8")
        raw = tomllib.loads(text) if file.suffix.lower() == ".toml" else yaml.load(text, Loader=_StrictLoader)
    except (yaml.YAMLError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as {file.suffix[1:].upper()}: {_one_line(error)}") from error
    if not isinstance(raw, dict):
        raise InputError(f"{file}: expected sections such as data: and tasks:, found {type(raw).__name__}.")
    return raw


def override(raw: dict[str, Any], text: str) -> None:
    """Apply one ``key.sub=value`` to the raw configuration, in place; the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"-o {text}: expected key=value, for example -o model.relation.name=TraceNorm")
    try:
        new = yaml.load(value, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise InputError(f"-o {text}: the value cannot be read as YAML: {_one_line(error)}") from error
    *parents, last = _path(raw, key.strip())
    here: Any = raw
    for depth, part in enumerate([*parents, last]):
        if isinstance(here, list):
            if not part.isdigit() or int(part) >= len(here):
                path = ".".join([*parents, last][:depth])
                raise InputError(
                    f"-o {text}: {path} is a list of {len(here)}; expected a position 0 to {len(here) - 1}."
                )
            index: Any = int(part)
        elif isinstance(here, dict):
            index = part
        else:
            path = ".".join([*parents, last][:depth])
            raise InputError(f"-o {text}: {path} is {here!r}, which has no key {part!r}.")
        if depth == len(parents):
            if [*parents, last] == ["data", "split", "kind"] and isinstance(here, dict):
                _change_kind(here, new)
            if [*parents, last] == ["model", "kind"] and isinstance(here, dict):
                _change_model(here, new)
            here[index] = new
            return
        if isinstance(here, dict) and isinstance(here.get(index), str) and index in ("relation", "balance"):
            here[index] = {"name" if index == "relation" else "method": here[index]}
        if isinstance(here, dict) and here.get(index) is None:
            here[index] = {}
        here = here[index]


def _path(raw: Any, key: str) -> list[str]:
    """Split a dotted key; a name that is there may hold dots itself, as in ``tasks.PM2.5.kind``."""
    here, rest, found = raw, key.split("."), []
    while rest:
        there = isinstance(here, dict)
        n = next((n for n in range(len(rest), 1, -1) if there and ".".join(rest[:n]) in here), 1)
        found.append(".".join(rest[:n]))
        here = here.get(found[-1]) if there else None
        rest = rest[n:]
    return found


def _change_kind(split: dict[str, Any], kind: Any) -> None:
    """Drop what belonged to the former kind of split; repeats of random splits are no repeats of folds."""
    former, new = (SPLITS.get(name) for name in (split.get("kind", "random"), kind))
    if former is None or new is None or former is new:
        return
    for key in [key for key in split if key in former.model_fields]:
        if key not in new.model_fields or key == "repeats":
            del split[key]


def _change_model(model: dict[str, Any], kind: Any) -> None:
    """Drop what belongs to linear models only, or to networks only; a relation's strength means another thing there."""
    former, new = (ModelConfig if one == "linear" else NetworkConfig for one in (model.get("kind", "linear"), kind))
    if former is not new:
        for key in [key for key in model if key not in new.model_fields or key == "relation"]:
            if key in former.model_fields:
                del model[key]


def parse(raw: dict[str, Any], source: str) -> RunConfig:
    """Check a raw configuration; every problem is named with its dotted path."""
    try:
        config = RunConfig.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{source}: " + "\n  ".join(explain(error, raw))) from error
    from relatask.cli.build import check_relation_options, has_strength, relation_class

    for position, relation in enumerate(config.model.relation):
        path = "model.relation" if len(config.model.relation) == 1 else f"model.relation.{position}"
        check_relation_options(relation, f"{source}: {path}")
        if config.network is not None and relation.strength is None and has_strength(relation_class(relation.name)):
            raise InputError(
                f"{source}: {path}: a network does not choose the strength of {relation.name}; give a number, for "
                "example strength: 0.1"
            )
    return config


def plain(model: BaseModel) -> dict[str, Any]:
    """Return a model as what YAML and JSON know; a strength that was left out is written as what it means."""
    from relatask.cli.build import has_strength, relation_class

    values = model.model_dump(mode="json")
    for relation in values.get("model", {}).get("relation", []):
        if relation["strength"] is None:
            del relation["strength"]
            if has_strength(relation_class(relation["name"])):
                relation["strength"] = "auto"
    return values


def differing(before: Loaded, now: Loaded) -> list[tuple[str, Any, Any]]:
    """Return the keys in which two configurations say different things; where results go is left out."""
    old, new = (_flat(yaml.safe_load(loaded.resolved())) for loaded in (before, now))
    keys = dict.fromkeys([*old, *new])
    return [
        (key, old.get(key), new.get(key)) for key in keys if key != "output.folder" and old.get(key) != new.get(key)
    ]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        name: leaf
        for key, below in value.items()
        for name, leaf in _flat(below, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def names_in(values: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Read `a,b` and repeated options alike; a known name may hold commas itself.

    Examples
    --------
    >>> names_in(["a,b", "sex 1, under 40,c"], ["a", "b", "c", "sex 1, under 40"])
    ('a', 'b', 'sex 1, under 40', 'c')
    """
    there, names = set(known), []
    for value in values:
        parts = value.split(",")
        while parts:
            whole = (n for n in range(len(parts), 0, -1) if ",".join(parts[:n]).strip() in there)
            count = next(whole, 1)
            names.append(",".join(parts[:count]).strip())
            parts = parts[count:]
    return tuple(dict.fromkeys(name for name in names if name))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key given twice is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping; refuse duplicate keys."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = None if key_node.tag.endswith(":merge") else self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable) or key is None:
                continue
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)
