"""`Work`: one step's gradients, opened for a balancer that asks for more than the losses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from relatask.balance.comm import Comm, check_alone
from relatask.balance.gradients.engine import pull
from relatask.balance.gradients.graph import Walk, walk
from relatask.balance.steps.finite import all_finite
from relatask.balance.steps.listed import Heads, Tensors
from relatask.balance.steps.parts import Parts, divide
from relatask.balance.steps.ranks import Spread, gathered, local_step
from relatask.balance.steps.reading import Given, scaled_root
from relatask.balance.steps.representation import leaves_below
from relatask.balance.steps.step import Step
from relatask.balance.steps.writing import Addition


@dataclass(frozen=True)
class How:
    """How a step is balanced: what `backward` was given beside losses and balancer."""

    shared: Tensors | None
    heads: Heads | None
    representation: list[Tensor] | None
    extra: Tensor | None
    scaler: torch.amp.GradScaler | None
    scale: float
    comm: Comm | None
    weight_heads: bool
    retain_graph: bool
    own: frozenset[Tensor]
    """The balancer's parameters."""
    careful: bool
    """Keep the graph until all is known to be finite: a task may have to be left out."""
    idle: bool = False
    """Shared parameters that no loss reaches are nothing to tell of."""

    def finite(self, tensors: Iterable[Tensor | None], like: Tensor) -> bool:
        """Whether all entries are finite, on all ranks."""
        found = all_finite(tensors)
        return found if self.comm is None else self.comm.every(found, like)

    def early(self, given: Given) -> bool:
        """Whether losses are looked at before any pass: where that waits for no device, or one may be left out."""
        return self.careful or given.losses.device.type == "cpu"

    def scaled(self, value: Tensor) -> Tensor:
        """Give the value as the scaler wants it before a backward pass."""
        return value if self.scaler is None else self.scaler.scale(value)


HELD = How(None, None, None, None, None, 1.0, None, False, True, frozenset(), False)
"""Gradients that were taken before; there is no graph to look at."""


def uncast(device: torch.device) -> AbstractContextManager[None]:
    """Leave autocast for what is computed from gradients: products of them in its type would be rounded, or overflow.

    The passes themselves run in the types of the forward pass, in autocast or not.
    """
    if torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


class Alone(Exception):
    """One task, or several, and nothing that they share: there is nothing to balance."""


@dataclass(frozen=True)
class Work:
    """The gradients of a step.

    Attributes
    ----------
    step : Step or Spread
        The tasks' gradients, of scaled losses.
    parts : Parts
        The shared tensors, and the active tasks' own.
    extra : list of (leaf, gradient) or None
        The gradient of what is not balanced; None where the graph is kept and it can be taken later.
    """

    step: Step | Spread
    parts: Parts
    extra: list[Addition] | None


def open_work(given: Given, how: How, *, keep: bool) -> Work:
    """Divide the leaves, take the gradient of what is not balanced, and make the step ready; no task's pass is run."""
    check_alone(how.comm)
    places = sorted(given.values)
    graph = walk([given.values[k] for k in places])
    parts = divide(given, graph, how.shared, how.heads, how.representation, how.own, idle=how.idle)
    if len(given.live) == 1 and not parts.shared:
        raise Alone
    if how.idle and how.comm is None and how.representation is None and not set(parts.shared) & set(graph.leaves):
        raise Alone
    keep = keep or how.retain_graph or how.careful
    if how.comm is not None:
        return _over_ranks(given, parts, graph, how, how.comm, keep=keep)
    values, stacked = given.active, given.stacked()
    if how.scale != 1.0:
        values, stacked = [scaled_root(value, how.scale) for value in values], how.scaled(stacked)
    step = Step(
        values,
        given.live,
        parts.shared,
        parts.heads,
        graph if places == given.live.tolist() else walk(values),
        retain_graph=keep,
        stacked=stacked,
    )
    return Work(step, parts, None if keep else extra_gradient(how))


def _over_ranks(given: Given, parts: Parts, graph: Walk, how: How, comm: Comm, *, keep: bool) -> Work:
    extra = extra_gradient(how)
    if how.representation is not None:
        return Work(local_step(given, parts, graph, how.scale, comm, keep=keep), parts, extra)
    taken = gathered(given, parts, how.scale, extra, comm, keep=keep)
    step = Step(
        [],
        given.live,
        parts.shared,
        parts.heads,
        graph,
        retain_graph=True,
        stacked=how.scaled(given.stacked()),
        taken=taken,
    )
    return Work(step, parts, extra)


def extra_gradient(how: How) -> list[Addition]:
    """Give the gradient of the scalar that is not balanced, of all leaves that it reaches."""
    if how.extra is None or not how.extra.requires_grad:
        return []
    leaves = leaves_below([how.extra])
    return list(zip(leaves, pull([how.scaled(how.extra)], leaves, retain_graph=True), strict=True))


def own_gradients(parts: Parts, gradients: Sequence[Sequence[Tensor | None]]) -> list[Addition]:
    """Give each head with its gradient."""
    return [pair for head, own in zip(parts.heads, gradients, strict=True) for pair in zip(head, own, strict=True)]
