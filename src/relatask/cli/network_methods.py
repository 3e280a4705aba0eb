"""`relatask compare --methods` of networks: names of ways of sharing, balancers and relations, alone or joined by +."""

from __future__ import annotations

import re
from typing import Any

import yaml
from pydantic import ValidationError

from relatask.cli.build import check_relation_options, has_strength, outside, relation_class
from relatask.cli.extra import need_deep
from relatask.cli.models import NetworkConfig
from relatask.cli.network import TWINS, balancer_names, plain, sharings
from relatask.notices import InputError


def network_methods(text: str, model: NetworkConfig) -> dict[str, NetworkConfig]:
    """Read ``equal,pcgrad,mmoe,mmoe+pcgrad,Graph(strength=0.1),hard(lr=0.01)`` into variants of the configured network.

    A part that names a way of sharing, a balancer or a relation replaces the configured one; all else stays as it is.
    Names in parentheses are the network's settings, else the options of the part's balancer or relation.

    Parameters
    ----------
    text : str
        The methods.
    model : NetworkConfig
        The network that they vary.

    Raises
    ------
    InputError
        For names that are none of these, and options that are not taken.
    """
    need_deep("--methods of networks")
    found: dict[str, NetworkConfig] = {}
    for item in outside(text, ","):
        changes: dict[str, Any] = {}
        for part in outside(item, "+"):
            changes |= _part(part.strip(), item.strip(), model)
        found[item.strip()] = _variant(model, changes, item.strip())
    if not found:
        raise InputError("--methods: expected at least one sharing, balancer or relation; see: relatask methods")
    return found


def _part(part: str, item: str, model: NetworkConfig) -> dict[str, Any]:
    """What one part changes."""
    from relatask.cli.explain import suggestion
    from relatask.relations import registry

    match = re.fullmatch(r"([\w .-]+?)\s*(?:\((.*)\))?", part, flags=re.DOTALL)
    if match is None:
        raise InputError(f"--methods {item!r}: expected a name such as pcgrad, mmoe or Pairwise(strength=0.1).")
    name, options = match[1], _options(match[2] or "", item)
    settings = {key: options.pop(key) for key in list(options) if key in NetworkConfig.model_fields}
    if plain(name) in (*TWINS, "linear"):
        raise InputError(f"--methods: {name} is a baseline, and runs anyway.")
    shared = {plain(one) for one in sharings()}
    balanced = {plain(one) for one in balancer_names()}
    relations = {key for key in registry() if key != "Sum"}
    if plain(name) in shared:
        if options:
            raise InputError(
                f"--methods {item!r}: {name} takes no option {next(iter(options))!r}."
                f"{suggestion(next(iter(options)), NetworkConfig.model_fields)}"
            )
        return {**settings, "sharing": name}
    if plain(name) in balanced:
        given = model.balance.options if plain(model.balance.method) == plain(name) else {}
        return {**settings, "balance": {"method": name, **given, **options}}
    if name in relations:
        there = next((relation for relation in model.relation if relation.name == name), None)
        before = {} if there is None else {**there.options, "strength": there.strength}
        return {**settings, "relation": [{"name": name, **before, **options}]}
    known = [*sharings(), *balancer_names(), *relations]
    raise InputError(
        f"--methods {item!r}: {name!r} is no way of sharing, balancer or relation.{suggestion(name, known)} "
        "See: relatask methods"
    )


def _options(text: str, item: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in outside(text, ","):
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--methods {item!r}: expected option=value in the parentheses, got {pair!r}.")
        found[key.strip()] = yaml.safe_load(value)
    return found


def _variant(model: NetworkConfig, changes: dict[str, Any], item: str) -> NetworkConfig:
    try:
        made = NetworkConfig.model_validate({**model.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"--methods {item!r}: {where}: {first['msg']}; got {first['input']!r}") from error
    for relation in made.relation:
        check_relation_options(relation, f"--methods {item!r}: {relation.name}")
        if relation.strength is None and has_strength(relation_class(relation.name)):
            raise InputError(
                f"--methods {item!r}: a network does not choose the strength of {relation.name}; give a number: "
                f"{relation.name}(strength=0.1)"
            )
    return made
