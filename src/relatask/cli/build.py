"""From the words of a configuration to the objects they name: relations, estimators, splits."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from relatask.cli.config import ModelConfig, NetworkConfig, RelationConfig, RunConfig
from relatask.cli.matrix import read_matrix
from relatask.cli.problem import Problem
from relatask.cli.splitting import GroupSplit, KFoldSplit, RandomSplit
from relatask.notices import InputError

MODEL_SETTINGS = ("intercept", "scale_targets", "weighting", "solver", "tol", "max_iter")


def relation_class(name: str, where: str = "relation") -> Any:
    """Return the relation of this name; an error says which there are."""
    from relatask.cli.explain import suggestion
    from relatask.relations import registry

    known = {key: value for key, value in registry().items() if key != "Sum"}
    if name not in known:
        raise InputError(f"{where}: there is no relation {name!r}.{suggestion(name, known)} See: relatask methods")
    return known[name]


def options_of(kind: Any) -> dict[str, bool]:
    """Return the options of a relation beside its strength, and whether each must be given."""
    needed = dataclasses.MISSING
    return {
        field.name: field.default is needed and field.default_factory is needed
        for field in dataclasses.fields(kind)
        if field.init and field.name != "strength" and field.name not in kind.learned
    }


def has_strength(kind: Any) -> bool:
    """Return whether a relation has a strength to choose."""
    return any(field.name == "strength" and field.init for field in dataclasses.fields(kind))


def check_relation_options(relation: RelationConfig, where: str) -> None:
    """Refuse options that the relation's constructor does not take, and name those it needs."""
    from relatask.cli.explain import suggestion
    from relatask.relations import FeatureQuadratic

    kind = relation_class(relation.name, f"{where}.name")
    if issubclass(kind, FeatureQuadratic):
        raise InputError(
            f"{where}: {relation.name} is not for configurations, as its rows would have to be encoded and imputed "
            f"as each split's training rows are. Use it from Python: MultiTaskRegressor(... + {relation.name}(X))."
        )
    options = options_of(kind)
    for key in relation.options:
        if key not in options:
            near = suggestion(key, ["strength", *options], f"{where.rsplit(': ', 1)[-1]}.")
            raise InputError(
                f"{where}.{key}: is not an option of {relation.name}.{near} "
                f"To replace a relation with all its options: -o 'model.relation={{name: {relation.name}}}'"
            )
    missing = [key for key, must in options.items() if must and relation.options.get(key) is None]
    if missing:
        raise InputError(
            f"{where}: {relation.name} needs {missing[0]}: "
            "a CSV or Parquet file that holds it, or its rows as lists, for example [[0, 1], [1, 0]]."
        )
    if relation.strength is not None and not has_strength(kind):
        raise InputError(f"{where}.strength: {relation.name} has no strength.")


def build_relation(relations: Sequence[RelationConfig], folder: Path, tasks: Sequence[Any]) -> Any:
    """Return the relation, or the sum of several, for these tasks; files are read relative to `folder`."""
    made: Any = None
    for config in relations:
        options = {key: _matrix(value, folder, f"{config.name}.{key}", tasks) for key, value in config.options.items()}
        if has_strength(relation_class(config.name)):
            options["strength"] = "auto" if config.strength is None else config.strength
        part = relation_class(config.name)(**options)
        made = part if made is None else made + part
    return made.bind(list(tasks))


def build_model(
    config: RunConfig, folder: Path, tasks: Sequence[Any], model: ModelConfig | NetworkConfig | None = None
) -> Any:
    """Return the unfitted estimator that a configuration describes, or a variant of its model."""
    model = config.model if model is None else model
    if isinstance(model, NetworkConfig):
        from relatask.cli.network import build_network

        return build_network(config, folder, tasks, model)
    relation = build_relation(model.relation, folder, tasks)
    settings = {key: getattr(model, key) for key in MODEL_SETTINGS} | {"standardize": config.features.standardize}
    if config.kinds == ("regression",):
        return model_class(config)(relation, **settings)
    del settings["scale_targets"]  # the model of several kinds always does, classes and counts never
    if config.kinds == ("binary",):
        return model_class(config)(relation, **settings)
    return model_class(config)(kinds_of(config, tasks), relation, **settings)


def model_class(config: RunConfig) -> Any:
    """Return the estimator that fits targets of these kinds."""
    from relatask.linear import MultiTaskClassifier, MultiTaskLinear, MultiTaskRegressor

    if config.kinds == ("regression",):
        return MultiTaskRegressor
    return MultiTaskClassifier if config.kinds == ("binary",) else MultiTaskLinear


def kinds_of(config: RunConfig, tasks: Sequence[Any]) -> dict[Any, str]:
    """Return the kind of each task."""
    kinds = [task.kind for task in config.tasks.values()]
    return dict(zip(tasks, kinds * len(tasks) if config.data.by is not None else kinds, strict=False))


def study_kind(config: RunConfig, tasks: Sequence[Any]) -> str | dict[Any, str]:
    """Return the kind as `relatask.study.compare` takes it: one for all, or one for each task."""
    if config.several and config.data.by is None:  # columns have classes of their own
        return kinds_of(config, tasks)
    return config.kinds[0] if len(config.kinds) == 1 else kinds_of(config, tasks)


def make_encoder(config: RunConfig) -> Any:
    """Return the unfitted encoder of the inputs; None for networks, which read the table themselves."""
    from relatask.data import TableEncoder

    if config.network is not None:
        return None
    features = config.features
    return TableEncoder(features.categorical, max_categories=features.max_categories or 30, impute=features.impute)


def encoded_names(config: RunConfig, problem: Problem) -> tuple[str, ...]:
    """Return the names of the encoded inputs; inputs that cannot be encoded are an error before any work."""
    if config.network is not None:
        from relatask.cli.network import read_names

        return read_names(config, problem)
    encoder = make_encoder(config).fit(problem.inputs)
    encoder.transform(problem.inputs)
    return tuple(encoder.feature_names_)


def build_splits(config: RunConfig, problem: Problem) -> Any:
    """Return the splits that a configuration describes."""
    from relatask.study import splits

    split = config.data.split
    if isinstance(split, RandomSplit):
        return splits.random(split.test, split.repeats, split.seed)
    if isinstance(split, KFoldSplit):
        return splits.kfold(split.k, split.repeats, split.seed)
    assert problem.split_column is not None  # make_problem has read it
    if isinstance(split, GroupSplit):
        return splits.group(problem.split_column, split.k)
    return splits.time(problem.split_column, split.k)


def describe_splits(config: RunConfig, problem: Problem | None = None) -> str:
    """Return in words how rows are divided."""
    split = config.data.split
    within = f", drawn within each {config.data.by}" if config.data.by else ""
    if isinstance(split, RandomSplit):
        return f"{split.repeats} random split{'s' * (split.repeats > 1)}, {100 * split.test:g}% for testing{within}"
    if isinstance(split, KFoldSplit):
        return f"{split.k} folds{f', {split.repeats} times' if split.repeats > 1 else ''}{within}"
    if isinstance(split, GroupSplit):
        return f"{split.k} folds of whole values of {split.column}"
    return f"{split.k} splits forward in {split.column}"


def method_name(model: ModelConfig | NetworkConfig) -> str:
    """Return what tables call the model: its relations, and the intercept where it is not free."""
    if isinstance(model, NetworkConfig):
        from relatask.cli.network import network_name

        return network_name(model)
    name = "+".join(relation.name for relation in model.relation)
    return name if model.intercept == "free" else f"{name} ({model.intercept} intercepts)"


def parse_methods(text: str, model: ModelConfig | NetworkConfig) -> dict[str, Any]:
    """Read ``Pairwise,TraceNorm+Ridge,Pairwise(intercept=tied)`` into named variants of the configured model.

    A relation named in the configuration keeps the options that it has there; another starts with strength auto.
    Names in parentheses are the relation's options or the model's settings. Of networks see `network_methods`.
    """
    import yaml

    if isinstance(model, NetworkConfig):
        from relatask.cli.network_methods import network_methods

        return network_methods(text, model)
    there = {relation.name: relation for relation in model.relation}
    variants: dict[str, ModelConfig] = {}
    for item in outside(text, ","):
        match = re.fullmatch(r"\s*([\w+ ]+?)\s*(?:\((.*)\))?\s*", item, flags=re.DOTALL)
        if match is None:
            raise InputError(
                f"--methods {item.strip()!r}: expected a relation such as Pairwise or Pairwise(intercept=tied)."
            )
        names = [name.strip() for name in match[1].split("+")]
        changes: dict[str, Any] = {}
        for pair in outside(match[2] or "", ","):
            key, equals, value = pair.partition("=")
            if not equals:
                raise InputError(f"--methods {item.strip()!r}: expected option=value in the parentheses, got {pair!r}.")
            changes[key.strip()] = yaml.safe_load(value)
        settings = {key: changes.pop(key) for key in list(changes) if key in MODEL_SETTINGS}
        if changes and len(names) > 1:
            raise InputError(
                f"--methods {item.strip()!r}: options of a sum belong in the configuration (model.relation)."
            )
        relations = [
            {"name": name, **(_given(there[name]) if name in there else {"strength": "auto"}), **changes}
            for name in names
        ]
        variants[item.strip()] = _variant(model, settings, relations, item.strip())
    if not variants:
        raise InputError("--methods: expected at least one relation; see: relatask methods")
    return variants


def _given(relation: RelationConfig) -> dict[str, Any]:
    return {**relation.options, "strength": relation.strength}


def _variant(
    model: ModelConfig, settings: Mapping[str, Any], relations: list[dict[str, Any]], item: str
) -> ModelConfig:
    from pydantic import ValidationError

    for relation in relations:
        if not has_strength(relation_class(relation["name"], "--methods")):
            relation.pop("strength", None)
    try:
        made = ModelConfig.model_validate({**model.model_dump(), **settings, "relation": relations})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"--methods {item!r}: {first['loc'][-1]}: {first['msg']}; got {first['input']!r}") from error
    for checked in made.relation:
        check_relation_options(checked, f"--methods {item!r}: {checked.name}")
    return made


def outside(text: str, mark: str) -> list[str]:
    """Split at a mark that is not inside brackets."""
    parts, depth, start = [], 0, 0
    for position, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == mark and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [part for part in [*parts, text[start:]] if part.strip()]


def _matrix(value: Any, folder: Path, name: str, tasks: Sequence[Any]) -> Any:
    """Return an option as the constructor takes it: a file becomes a matrix or an edge list, rows become an array."""
    import numpy as np

    if name.endswith(".tree"):  # its nested lists are no matrix
        return value
    if isinstance(value, str) and re.search(r"\.(csv|tsv|txt|parquet|pq)$", value, flags=re.IGNORECASE):
        return read_matrix(folder / value, name, tasks)
    if isinstance(value, (list, tuple)) and value and all(isinstance(row, (list, tuple)) for row in value):
        numbers = all(isinstance(cell, (int, float)) for row in value for cell in row)
        if numbers and len({len(row) for row in value}) == 1 and len(value) == len(value[0]):
            return np.asarray(value, dtype=float)
        return [tuple(row) for row in value]
    return value
