"""Which tensors are shared, and which are whose head."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from torch import Tensor, nn

from relatask.balance.gradients.graph import Walk
from relatask.balance.steps.listed import Heads, Listed, Tensors
from relatask.balance.steps.reading import Given
from relatask.balance.steps.representation import above, leaves_below, nested
from relatask.notices import InputError, RelataskWarning, tell

Masks = dict[Tensor, int]
"""For every leaf a bit for each loss that reaches it."""


@dataclass(frozen=True)
class Parts:
    """What is balanced (shared parameters, or the representation), and each active task's own parameters."""

    shared: list[Tensor]
    heads: list[list[Tensor]]


def divide(
    given: Given,
    graph: Walk,
    shared: Tensors | None,
    heads: Heads | None,
    representation: list[Tensor] | None,
    but: Set[Tensor] = frozenset(),
    *,
    idle: bool = False,
) -> Parts:
    """Divide the leaves: those that two or more losses reach are shared, those that one reaches are its head's.

    Parameters
    ----------
    given : Given
        The losses; those of inactive tasks tell what is shared, too.
    graph : Walk
        What lies below all losses that have a graph, in the order of their places.
    shared, heads, representation
        As `relatask.balance.backward` takes them.
    but : set of tensor
        The balancer's own parameters, which no two tasks share.
    idle : bool
        Whether `shared` may hold parameters that no loss reaches.

    Raises
    ------
    InputError
        For parameters given twice, shared ones that no loss reaches, heads that another task's loss reaches, reached
        parameters that stand nowhere, and losses that have nothing in common.
    """
    lists = Listed()
    if representation is not None:
        masks = _masks_above(given, representation)
        balanced = representation
        _check_alone(given, masks, representation, lists)
    else:
        masks = {leaf: m for leaf, m in _masks(given, graph).items() if leaf not in but or not m & (m - 1)}
        balanced = [leaf for leaf, mask in masks.items() if mask & (mask - 1)]
        if shared is not None:
            balanced = lists.read("shared", shared, empty=idle)
            if not idle:
                _check_reached(balanced, masks, lists, whole=_all_here(given))
        elif len(given.values) > 1 and not balanced:
            raise InputError(
                f"the losses of {given.names(sorted(given.values))} have no parameter in common: nothing is shared, so "
                "nothing can be balanced. Were they computed from different graphs (a detach, two copies of the model)?"
            )
    common = set(balanced)
    if heads is None:
        alone = [(leaf, mask) for leaf, mask in masks.items() if leaf not in common]
        own = [[leaf for leaf, mask in alone if mask == 1 << k] for k in range(len(given.tasks))]
    else:
        own = lists.heads(given.tasks, heads, common if shared is not None else set())
        _check_own(given, own, masks, lists)
    _check_placed(given, masks, common.union(*own), lists)
    return Parts(balanced, [own[k] for k in given.live])


def check(
    given: Given, leaves: Sequence[Tensor], shared: Tensors | None, heads: Heads | None, *, idle: bool = False
) -> None:
    """Refuse what cannot be shared or a head, where the whole gradient is taken at once and nothing is divided."""
    lists = Listed()
    common = [] if shared is None else lists.read("shared", shared, empty=idle)
    if shared is not None and not idle:
        _check_reached(common, dict.fromkeys(leaves, 0), lists, whole=_all_here(given))
    if heads is not None:
        lists.heads(given.tasks, heads, set(common))


def points(representation: Tensor | Sequence[Tensor] | None, shared: Tensors | None) -> list[Tensor] | None:
    """Give the representation as a list, or refuse it."""
    if representation is None:
        return None
    if shared is not None:
        raise InputError(
            "shared and representation are both given: gradients are balanced at the one or at the other; leave "
            "shared out, the parameters below the representation get the balanced gradient."
        )
    found = [representation] if isinstance(representation, Tensor) else list(representation)
    if not found or not all(isinstance(z, Tensor) for z in found):
        raise InputError(f"representation is {representation!r}; the shared tensor, or a list of them, is needed.")
    for z in found:
        if z.grad_fn is None:
            raise InputError(
                f"the representation of shape {tuple(z.shape)} was computed from no parameter (it has no grad_fn); "
                "give the trunk's output as the heads take it."
            )
    if len(set(found)) < len(found):
        raise InputError("representation holds one tensor twice; give each once.")
    pair = nested(found) if len(found) > 1 else None
    if pair is not None:
        lower, upper = (tuple(found[i].shape) for i in pair)
        raise InputError(
            f"the part of representation of shape {upper} was computed from the one of shape {lower}: its gradient "
            "would count twice. Give tensors of which none is computed from another, or balance at the parameters."
        )
    return found


def _masks(given: Given, graph: Walk) -> Masks:
    places = sorted(given.values)
    found = {leaf: graph.mask(leaf) for leaf in graph.leaves}
    if places == list(range(len(places))):
        return found
    return {leaf: sum(1 << k for i, k in enumerate(places) if mask >> i & 1) for leaf, mask in found.items()}


def _masks_above(given: Given, representation: list[Tensor]) -> Masks:
    masks, met = above(given.values, representation)
    missed = [i for i in range(len(representation)) if i not in met]
    if missed:
        raise InputError(
            f"no loss reaches the representation of shape {tuple(representation[missed[0]].shape)}; give the very "
            "tensor that the heads were given, not a copy or a view made of it."
        )
    return masks


def _check_own(given: Given, own: list[list[Tensor]], masks: Masks, lists: Listed) -> None:
    for k, head in enumerate(own):
        for leaf in head:
            others = [j for j in _bits(masks.get(leaf, 0)) if j != k]
            if others:
                raise InputError(
                    f"{lists.name(leaf)} stands in the head of {given.tasks[k]!r}, but the loss of "
                    f"{given.names(others)} reaches it too: it is shared. Give it in shared; or, "
                    "where the losses were cut from one tensor of all outputs, compute each from its own head's output."
                )


def _check_reached(shared: list[Tensor], masks: Masks, lists: Listed, *, whole: bool) -> None:
    idle = [leaf for leaf in shared if leaf not in masks]
    if len(idle) == len(shared):
        raise InputError(
            f"RT009: no loss reaches a shared parameter ({lists.name_all(idle)}): none would get a gradient. Give the "
            "parameters from which these losses were computed, or leave shared out."
        )
    if idle and whole:
        tell(RelataskWarning(f"no loss reaches {lists.name_all(idle)} of shared: no gradient there", code="RT009"))


def _check_placed(given: Given, masks: Masks, placed: set[Tensor], lists: Listed) -> None:
    live = sum(1 << int(k) for k in given.live)
    lost = [leaf for leaf, mask in masks.items() if mask & live and leaf not in placed]
    if any(isinstance(leaf, nn.Parameter) for leaf in placed):
        lost = [leaf for leaf in lost if isinstance(leaf, nn.Parameter)]  # the others are inputs that need gradients
    if lost:
        raise InputError(
            f"RT009: the losses reach {lists.name_all(lost)}, which stand neither in shared nor in a head and would "
            "get no gradient. Add them, or leave shared and heads out: they are found from the losses."
        )


def _check_alone(given: Given, masks: Masks, representation: list[Tensor], lists: Listed) -> None:
    """Refuse leaves that no head has to itself: what they get through the representation would count again."""
    below = set(leaves_below(representation))
    outside = [leaf for leaf, mask in masks.items() if mask & (mask - 1) or leaf in below]
    if outside:
        places = _bits(masks[outside[0]])
        reach = "losses of {} reach" if len(places) > 1 else "loss of {} reaches"
        raise InputError(
            f"{lists.name_all(outside)}: the {reach.format(given.names(places))} it past the "
            "representation, so that it is no head's. Take the representation after it, or leave representation out."
        )


def _all_here(given: Given) -> bool:
    return len(given.live) == len(given.tasks) == len(given.values)


def _bits(mask: int) -> list[int]:
    return [k for k in range(mask.bit_length()) if mask >> k & 1]
