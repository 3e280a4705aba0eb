"""Puts what pydantic finds wrong with a configuration into plain words, with dotted paths and near names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from relatask.cli.config import RelationConfig, RunConfig
from relatask.cli.show import listed

EXPECTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "string_type": "text (put it in quotes)",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
}


def suggestion(given: str, known: Iterable[str], prefix: str = "") -> str:
    """Return ' Did you mean X?' or, where nothing is near, the list of what is known."""
    known = [str(name) for name in known]
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(given.lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {prefix}{lowered[near[0]]}?"
    return f" Expected one of: {listed(known, 20)}." if known else ""


def explain(error: ValidationError, raw: dict[str, Any]) -> list[str]:
    """Return a sentence per key that is wrong: its dotted path, what was expected, what was given."""
    found: dict[str, list[str]] = {}
    for item in error.errors():
        path, words = _explain_one(item, raw)
        found.setdefault(path, []).append(words)
    return [f"{path + ': ' if path else ''}{_join(words)}" for path, words in found.items()]


def _join(words: list[str]) -> str:
    """Join what the members of a union expected; what was given is said once, at the end."""
    unique = list(dict.fromkeys(words))
    if len(unique) == 1:
        return unique[0]
    heads = [text.rsplit("; got", 1)[0] for text in unique]
    given = next((text.rsplit("; got", 1)[1] for text in unique if "; got" in text), None)
    heads = [heads[0], *(head.removeprefix("expected ") for head in heads[1:])]
    return " or ".join(heads) + (f"; got{given}" if given else "")


def _explain_one(item: Any, raw: dict[str, Any]) -> tuple[str, str]:
    loc = tuple(item["loc"])
    model, path = _walk(loc, raw)
    kind, given = item["type"], item["input"]
    dotted = ".".join(path)
    if kind == "extra_forbidden":
        prefix = "".join(f"{part}." for part in path[:-1])
        return dotted, f"is not a known key.{suggestion(path[-1], _keys(model), prefix)}"
    if kind == "union_tag_invalid":
        known = item["ctx"]["expected_tags"].replace("'", "").split(", ")
        return f"{dotted}.kind", f"{item['ctx']['tag']!r} is unknown.{suggestion(str(item['ctx']['tag']), known)}"
    if kind == "missing":
        field = model.model_fields.get(str(loc[-1])) if model else None
        return dotted, "is missing" + (f": {field.description}." if field and field.description else ".")
    if kind == "value_error":
        return dotted, f"{item['ctx']['error']}."
    if kind == "literal_error" and isinstance(given, str):
        choices = [text.strip(" '") for text in item["ctx"]["expected"].replace(" or ", ",").split(",")]
        near = suggestion(given, choices) if len(choices) > 1 else ""
        return dotted, f"expected {item['ctx']['expected']}; got {given!r}{'.' + near if 'Did' in near else ''}"
    if kind == "too_short":
        return dotted, f"expected at least one {dotted.rpartition('.')[2].removesuffix('s') or 'entry'}; got {given!r}"
    limits = item.get("ctx", {})
    for bound, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
        if bound in limits:
            return dotted, f"expected a number {sign} {limits[bound]:g}; got {given!r}"
    if kind == "literal_error":
        return dotted, f"expected {limits['expected']}; got {given!r}"
    words = EXPECTED.get(kind, item["msg"][0].lower() + item["msg"][1:])
    return dotted, f"expected {words}; got {given!r}" if kind in EXPECTED else f"{words}; got {given!r}"


def _walk(loc: tuple[Any, ...], raw: Any) -> tuple[type[BaseModel] | None, list[str]]:
    """Follow a location through the raw values: the model that holds its last key, and the path without union tags."""
    models: list[type[BaseModel]] = [RunConfig]
    here, path = raw, []
    for depth, part in enumerate(loc):
        last = depth == len(loc) - 1
        if isinstance(part, int) and not isinstance(here, (list, tuple)):
            continue  # a single relation is read as a list of one
        keys = {str(key): key for key in here} if isinstance(here, dict) else {}
        if str(part) in keys or (last and isinstance(here, dict)):
            path.append(str(part))
            here = here.get(keys.get(str(part)))
            models = models if last else _below(models, part)
        elif isinstance(part, int) and isinstance(here, (list, tuple)) and part < len(here):
            path.append(str(part))
            here = here[part]
        else:  # a union's tag
            models = [model for model in models if part in get_args(model.model_fields["kind"].annotation)] or models
    return (models[0] if models else None), path


def _below(models: list[type[BaseModel]], part: Any) -> list[type[BaseModel]]:
    """Return the models below a key: of a field, of a mapping's values, of a list's items."""
    found = [model.model_fields[part].annotation for model in models if part in model.model_fields]
    return [below for annotation in found for below in _models_in(annotation)] if found else models


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [] if model is None or model is RelationConfig else list(model.model_fields)
