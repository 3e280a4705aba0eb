"""An estimator's parameters that reach into its relation: `relation__strength`, `relation__Ridge__strength`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from relatask.notices import InputError
from relatask.relations import Relation, parameters, with_parameters

PREFIX = "relation__"


def nested(relation: Any) -> dict[str, Any]:
    """The relation's own parameters under the estimator's names."""
    return {PREFIX + k: v for k, v in parameters(relation).items()} if isinstance(relation, Relation) else {}


def resolved(given: dict[str, Any], own: Sequence[str], relation: Any, owner: str) -> dict[str, Any]:
    """Parameters to set on the estimator itself, its relation replaced where one of the relation's was given.

    Parameters
    ----------
    given : dict
        As passed to set_params.
    own : sequence of str
        The estimator's parameters.
    relation : Relation or None
        The present one.
    owner : str
        The estimator's class, for messages.

    Raises
    ------
    InputError
        For a name that neither the estimator nor its relation has.
    """
    plain = {k: v for k, v in given.items() if not k.startswith(PREFIX)}
    for name in plain:
        if name not in own:
            raise InputError(f"Invalid parameter {name!r} for estimator {owner}. Valid parameters are: {list(own)!r}.")
    inner = {k.removeprefix(PREFIX): v for k, v in given.items() if k.startswith(PREFIX)}
    if not inner:
        return plain
    relation = plain.get("relation", relation)
    if not isinstance(relation, Relation):
        raise InputError(
            f"Invalid parameter {PREFIX + next(iter(inner))!r} for estimator {owner}: its relation is {relation!r}; "
            f"give it one first, such as relation=Pairwise(1.0)."
        )
    known = parameters(relation)
    changed = {k: v for k, v in inner.items() if k not in known or known[k] is not v}
    # A relation that would only be built again from its own parts stays the object that it is.
    return {**plain, "relation": with_parameters(relation, **changed)} if changed else plain
