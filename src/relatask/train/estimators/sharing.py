"""Ways of sharing by their names: a plan put together to a net."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

from torch import nn

from relatask.nets import (
    CGC,
    MTAN,
    PLE,
    BatchedExperts,
    CrossStitch,
    DSelectK,
    FiLM,
    HardSharing,
    MMoE,
    Model,
    SharedPrivate,
    Sluice,
    SoftSharing,
    TaskAdapters,
)
from relatask.notices import InputError
from relatask.relations import Pairwise
from relatask.train.estimators.plan import ENCODERS, TEXTS, Plan, width_of

EXPERTS = 4
"""How many experts a mixture has; of each task's own and common ones there is one each."""


def shared(sharing: str | Callable[[Plan], Any], plan: Plan) -> Model:
    """Give the net of a way of sharing.

    Raises
    ------
    InputError
        For an unknown name, and a function that gives no `Model`.
    """
    build = _WAYS[plain(sharing)] if isinstance(sharing, str) else sharing
    found = build(plan)
    if not isinstance(found, Model):
        raise InputError(f"sharing gives {found!r:.60}; a relatask.nets.Model is needed.")
    return found


def ways() -> tuple[str, ...]:
    """Give the names of the ways of sharing, as `plain` gives them."""
    return tuple(_WAYS)


def plain(name: str) -> str:
    """Give the name of a way of sharing as it is known here: "MMoE", "cross_stitch", "HardSharing", "hard".

    Raises
    ------
    InputError
        For a name that is not known.
    """
    key = name.lower().replace("_", "").replace("-", "").removesuffix("sharing")
    if key not in _WAYS:
        raise InputError(
            f"sharing={name!r} is unknown; expected 'single', 'pooled', {', '.join(map(repr, _WAYS))}, or a function "
            "from a Plan to a relatask.nets.Model."
        )
    return key


def check_names(settings: Mapping[str, Any]) -> None:
    """Raise InputError for words that name nothing."""
    for name, known in (("encoder", ENCODERS), ("text", TEXTS), ("normalization", ("batch", "layer", None))):
        value = settings[name]
        if value not in known if isinstance(value, str) or value is None else not callable(value):
            raise InputError(f"{name}={value!r} is unknown; expected one of {', '.join(map(repr, known))}.")
    sharing = settings["sharing"]
    if isinstance(sharing, str) and sharing not in ("single", "pooled"):
        plain(sharing)
    elif not isinstance(sharing, str) and not callable(sharing):
        raise InputError(f"sharing={sharing!r:.60} is neither a name nor a function.")


def _hard(plan: Plan) -> Model:
    body = plan.body()
    return HardSharing(body, plan.heads(body.features), plan.relation)


def _soft(plan: Plan) -> Model:
    bodies = {task.name: plan.body() for task in plan.tasks}
    # Pairwise counts every ordered pair: divided by t, each task is pulled alike however many there are.
    relation = Pairwise(0.01 / len(bodies)) if plan.relation is None else plan.relation
    return SoftSharing(bodies, plan.heads(next(iter(bodies.values())).features), relation)


def _cross_stitch(plan: Plan) -> Model:
    return CrossStitch(plan.stages(), plan.heads(plan.widths()[-1]), relation=plan.relation)


def _sluice(plan: Plan) -> Model:
    return Sluice(plan.stages(), plan.heads(plan.widths()[-1]), relation=plan.relation)


def _mtan(plan: Plan) -> Model:
    return MTAN(plan.stages(), plan.heads(plan.widths()[-1]), plan.widths(), relation=plan.relation)


def _film(plan: Plan) -> Model:
    return FiLM(plan.stages(), plan.heads(plan.widths()[-1]), plan.widths(), relation=plan.relation)


def _adapters(plan: Plan) -> Model:
    body = plan.body()
    return TaskAdapters(body, plan.heads(body.features), relation=plan.relation)


def _private(plan: Plan) -> Model:
    body = plan.body()
    own = {task.name: plan.body() for task in plan.tasks}
    return SharedPrivate(
        body, own, plan.heads(2 * body.features), body.features, orthogonality=0.01, relation=plan.relation
    )


def _mmoe(plan: Plan) -> Model:
    stem, width = _read(plan)
    experts = BatchedExperts(EXPERTS, width, plan.hidden)
    return MMoE(experts, plan.heads(experts.width), width, stem, relation=plan.relation)


def _dselect(plan: Plan) -> Model:
    stem, width = _read(plan)
    experts = BatchedExperts(EXPERTS, width, plan.hidden)
    return DSelectK(experts, plan.heads(experts.width), 2, width, encoder=stem, relation=plan.relation)


def _cgc(plan: Plan) -> Model:
    stem, width = _read(plan)
    group = partial(BatchedExperts, features=width, widths=plan.hidden)
    return CGC(group, plan.heads(plan.hidden[-1]), width, encoder=stem, relation=plan.relation)


def _ple(plan: Plan) -> Model:
    stem, width = _read(plan)
    levels = [partial(BatchedExperts, features=i, widths=(o,)) for i, o in pairwise((width, *plan.hidden))]
    return PLE(levels, plan.heads(plan.hidden[-1]), width, encoder=stem, relation=plan.relation)


_WAYS: dict[str, Callable[[Plan], Any]] = {
    "hard": _hard,
    "soft": _soft,
    "crossstitch": _cross_stitch,
    "sluice": _sluice,
    "mtan": _mtan,
    "film": _film,
    "taskadapters": _adapters,
    "sharedprivate": _private,
    "mmoe": _mmoe,
    "dselectk": _dselect,
    "cgc": _cgc,
    "ple": _ple,
}
"""Ways of sharing that need nothing but a body and heads, by their names in small letters."""


def _read(plan: Plan) -> tuple[nn.Module, int]:
    """Give the stem of a mixture, and its width; experts are the hidden layers."""
    if not plan.hidden:
        raise InputError("experts are hidden layers, and hidden=() has none; give at least one width.")
    stem = plan.stem()
    return stem, width_of(stem)
