"""Networks in a run: the estimator that a configuration describes, what runs beside it, and its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from relatask.cli.config import NetworkConfig, RunConfig
from relatask.cli.extra import need_deep
from relatask.cli.problem import Problem
from relatask.notices import InputError

SAME = (
    "hidden",
    "epochs",
    "lr",
    "weight_decay",
    "batch_size",
    "dropout",
    "normalization",
    "patience",
    "validation_fraction",
    "text",
    "random_state",
    "device",
)
"""Settings that the configuration and the estimator call by one name, and mean alike."""
TWINS = ("single", "pooled")
SPELLED = {
    "crossstitch": "cross_stitch",
    "taskadapters": "task_adapters",
    "sharedprivate": "shared_private",
    "dselectk": "dselect_k",
}
"""Names of ways of sharing in the spelling of files."""


def build_network(config: RunConfig, folder: Path, tasks: Sequence[Any], model: NetworkConfig) -> Any:
    """Return the unfitted estimator of a network; names in it are checked.

    Parameters
    ----------
    config : RunConfig
        What the inputs and tasks are.
    folder : Path
        Of the configuration: its paths are relative to it.
    tasks : sequence of t labels
        In order.
    model : NetworkConfig
        The section, or a variant of it.

    Raises
    ------
    InputError
        For a name of a sharing or a balancer that is none, options that it does not take, or torch that is absent.
    """
    need_deep(f"model.kind: {model.kind}")
    from relatask.cli.build import build_relation, kinds_of
    from relatask.train.estimators import DeepMultiTask, DeepMultiTaskClassifier, DeepMultiTaskRegressor

    if model.relation and config.several and config.data.by is None and plain(model.sharing) != "soft":
        raise InputError(
            f"model.relation: {model.relation[0].name} ties heads of one shape, and a task of several classes "
            f"({config.several[0]}) has a larger one. Leave the relation out, or write sharing: soft, where it ties "
            "the networks' bodies."
        )
    settings = {name: getattr(model, name) for name in SAME}
    settings |= {
        "encoder": model.kind,
        "sharing": sharing_name(model.sharing),
        "relation": build_relation(model.relation, folder, tasks) if model.relation else None,
        "balance": build_balance(model),
        "features": build_features(config, folder, model),
    }
    kinds = kinds_of(config, tasks)
    grouped = config.data.by is not None
    if config.kinds == ("regression",):
        return DeepMultiTaskRegressor(**settings)
    if config.kinds == ("binary",) or (grouped and config.kinds == ("multiclass",)):
        return DeepMultiTaskClassifier(**settings)
    return DeepMultiTask(kinds, **settings)


def build_features(config: RunConfig, folder: Path, model: NetworkConfig) -> Any:
    """Return what reads the columns of the table, unfitted."""
    from relatask.data.features import TableFeatures

    features = config.features
    listed = () if features.categorical == "auto" else features.categorical
    roles = dict.fromkeys(listed, "categorical") | dict(features.roles)
    where = (folder / Path(config.data.path).expanduser()).parent
    return TableFeatures(
        roles,
        max_categories=features.max_categories or 1000,
        image_size=model.image_size,
        sound_rate=model.sound_rate,
        sound_seconds=model.sound_seconds,
        folder=str(where),
    )


def beside(config: RunConfig, problem: Problem, main: Any) -> dict[str, Any]:
    """Return what runs beside a network: each task alone, one net for all, and linear models where the inputs allow.

    Parameters
    ----------
    config : RunConfig
        Which baselines are asked for.
    problem : Problem
        The inputs: pictures and sounds have no linear model.
    main : estimator
        The network.
    """
    found = {name: main.twin(name) for name in config.beside}
    linear = linear_beside(config, problem)
    return found if linear is None else found | {"linear": linear}


def linear_beside(config: RunConfig, problem: Problem) -> Any:
    """Return linear models of the inputs, words counted where there is text; None where no input is for them."""
    from relatask.cli.build import kinds_of
    from relatask.study.beside import WordsAndTable
    from relatask.study.by_kind import LinearByKind

    columns = inputs_by_role(config, problem)
    if not any(columns[role] for role in ("numeric", "categorical", "text")):
        return None
    encode = WordsAndTable(
        text=columns["text"],
        table=[*columns["numeric"], *columns["categorical"]],
        categorical=columns["categorical"],
        max_categories=config.features.max_categories or 30,
    )
    kinds = kinds_of(config, problem.names)
    return LinearByKind(kinds, encode=encode, standardize=False)


def inputs_by_role(config: RunConfig, problem: Problem) -> dict[str, list[str]]:
    """Return the input columns by what a network reads them as.

    Raises
    ------
    InputError
        For a column named in features.roles that is no input, or one that no network reads.
    """
    from relatask.cli.explain import suggestion
    from relatask.cli.models import ROLES
    from relatask.data.features.roles import role_of

    names = problem.inputs.column_names
    for name in config.features.roles:
        if name not in names:
            raise InputError(f"features.roles names {name!r}, which is not among the inputs.{suggestion(name, names)}")
    listed = () if config.features.categorical == "auto" else config.features.categorical
    asked = dict.fromkeys(listed, "categorical") | dict(config.features.roles)
    found: dict[str, list[str]] = {role: [] for role in ROLES}
    for name in names:
        found[asked[name] if name in asked else role_of(problem.inputs, name)[0]].append(name)
    return found


def read_names(config: RunConfig, problem: Problem) -> tuple[str, ...]:
    """Return the columns that the network reads.

    Raises
    ------
    InputError
        Where none is left, or none is of the sort that the network is named after.
    """
    columns = inputs_by_role(config, problem)
    assert config.network is not None
    kind = config.network.kind
    if kind in ("text", "image", "sound") and not columns[kind]:
        told = ", ".join(f"{name!r} ({role})" for role, names in columns.items() for name in names)
        raise InputError(
            f"model.kind: {kind} needs a column that is read as {kind}; there are {told}. Name it in features.roles, "
            "or write kind: auto."
        )
    read = ("numeric", "categorical") if kind == "mlp" else [role for role in columns if role != "drop"]
    kept = tuple(name for name in problem.inputs.column_names if any(name in columns[role] for role in read))
    if not kept:
        raise InputError(
            "no input column is left for a network: the others are empty, names that differ in most rows, or text that "
            "kind: mlp does not read. Name what a column is: features.roles: {note: text}"
        )
    return kept


def network_name(model: NetworkConfig) -> str:
    """Return what tables call a network: how it shares, and what else is not the default."""
    parts = [model.sharing, *(relation.name for relation in model.relation)]
    if plain(model.balance.method) != "equal":
        parts.append(model.balance.method)
    return "+".join(parts)


def network_words(config: RunConfig, model: NetworkConfig) -> str:
    """Return a line on a network."""
    widths = ", ".join(map(str, model.hidden))
    ties = f"; heads tied by {' + '.join(relation.name for relation in model.relation)}" if model.relation else ""
    balanced = "equal weights on normalised losses" if plain(model.balance.method) == "equal" else model.balance.method
    return f"network ({model.kind}), {model.sharing} sharing of {widths or 'no hidden layer'}{ties}; {balanced}"


def method_words(config: RunConfig, model: NetworkConfig, mains: Sequence[str]) -> dict[str, str]:
    """Return a line on each method of a run."""
    return {
        "single": "each task alone: a network of its own, with the same settings, on the task's labelled rows",
        "pooled": "one network for all tasks that does not know the task",
        "linear": "linear models, their strengths chosen by cross-validation on training rows; text as weighed words",
        **dict.fromkeys(mains, network_words(config, model)),
    }


def build_balance(model: NetworkConfig) -> Any:
    """Return the balancer as the estimator takes it: by name, with its options.

    Raises
    ------
    InputError
        For a name that is none, with the nearest, and options that are not taken.
    """
    from relatask.cli.explain import suggestion
    from relatask.train.estimators.balancing import Balancing

    known = {plain(one): one for one in balancer_names()}
    name = model.balance.method
    if plain(name) not in known:
        raise InputError(
            f"model.balance.method: there is no balancer {name!r}.{suggestion(name, known.values())} "
            "See: relatask methods balancers"
        )
    try:
        found = Balancing(known[plain(name)], model.balance.options)
        found(["a", "b"])  # options of a wrong size are told before any work
    except InputError as error:
        raise InputError(f"model.balance: {error}") from error
    return found


def sharings() -> tuple[str, ...]:
    """Return the ways of sharing that a configuration can name."""
    from relatask.train.estimators.sharing import ways

    return tuple(SPELLED.get(name, name) for name in ways())


def balancer_names() -> list[str]:
    """Return the balancers that a name and options make: those that wrap others are left to Python."""
    from inspect import signature

    from relatask.balance import registry
    from relatask.train.estimators.balancing import NEEDS

    return [name for name, kind in registry().items() if not NEEDS & set(signature(kind).parameters)]


def sharing_name(name: str) -> str:
    """Return the name of a way of sharing as the estimator knows it, from any spelling.

    Raises
    ------
    InputError
        For a name that is none, or that of a baseline.
    """
    from relatask.cli.explain import suggestion

    known = {plain(one): one for one in sharings()}
    name = re.sub(r"[\s_-]*sharing$", "", name, flags=re.IGNORECASE) or name
    if plain(name) in TWINS:
        raise InputError(f"model.sharing: {name} is a baseline, and runs anyway. For example: sharing: hard")
    if plain(name) not in known:
        raise InputError(
            f"model.sharing: there is no way of sharing {name!r}.{suggestion(name, known.values())} "
            "See: relatask methods sharing"
        )
    return known[plain(name)]


def plain(name: str) -> str:
    """Return a name in small letters without marks between words.

    Examples
    --------
    >>> plain("Cross-Stitch"), plain("imtl_g")
    ('crossstitch', 'imtlg')
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())
