"""The two roads to `.grad`: one scalar descended, or every task's gradient taken and combined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from relatask.balance.gradients.engine import pull
from relatask.balance.result import Balance
from relatask.balance.seen import Decision
from relatask.balance.steps.checked import Checked
from relatask.balance.steps.finite import NotFinite, all_finite, check_losses, look, suspects
from relatask.balance.steps.parts import check
from relatask.balance.steps.ranks import Spread, agreed, level, mean_of
from relatask.balance.steps.reading import Given, scaled_root
from relatask.balance.steps.representation import leaves_below
from relatask.balance.steps.step import Step
from relatask.balance.steps.undo import Undo
from relatask.balance.steps.work import How, Work, extra_gradient, own_gradients
from relatask.balance.steps.writing import Addition, add


@dataclass(frozen=True)
class Outcome:
    """What a step did for the active tasks: their weights (a,) and their Gramian (a, a), where known."""

    weights: np.ndarray | None
    gramian: np.ndarray | None


def descend(scalar: Tensor, seen: Checked[Step | Spread], given: Given, how: How, undo: Undo) -> Outcome:
    """Run the scalar's backward pass, which fills `.grad` and calls the hooks of whoever listens (DDP, FSDP2)."""
    whole = scalar if how.extra is None else scalar + how.extra
    slopes: list[Tensor] = []
    roots = given.cut if seen.losses.is_leaf else []
    leaves = leaves_below([whole, *roots])
    check(given, leaves, how.shared, how.heads, idle=how.idle)
    undo.remember(leaves)
    if whole.requires_grad:
        hook = seen.losses.register_hook(slopes.append)
        try:
            how.scaled(whole).backward(retain_graph=how.retain_graph or how.careful)
        finally:
            hook.remove()
    if roots and slopes:
        seeds = [slope.to(root.dtype) for slope, root in zip(slopes[0], roots, strict=True)]
        torch.autograd.backward([r.edge for r in roots], seeds, retain_graph=how.retain_graph or how.careful)
    if how.comm is not None:
        leaves = level(given, leaves, how.shared, how.heads, how.comm)
    if not how.finite([*_late(given, how), *(leaf.grad for leaf in leaves)], whole):
        check_losses(given)
        if how.scaler is None:
            raise _whose(given, how, undo, leaves)
        undo.restore_state()
    weights = slopes[0].double().cpu().numpy() / how.scale if slopes else np.zeros(len(given.live))
    return Outcome(weights, None if seen.opened is None else seen.opened.known_gramian)


def _late(given: Given, how: How) -> list[Tensor]:
    """Give the losses to be looked at with the gradients, where that was not done before."""
    return [] if how.early(given) else [given.losses[torch.as_tensor(given.live, device=given.losses.device)]]


def _whose(given: Given, how: How, undo: Undo, leaves: list[Tensor]) -> NotFinite:
    """Find out whose gradient is not finite, after one backward pass of them all."""
    if not undo.was_finite():
        return NotFinite([], "a .grad held NaN or inf before this step; zero the gradients")
    bad = agreed(look(given, leaves), given, how.comm) if how.retain_graph or how.careful else []
    if bad:
        return NotFinite(bad, f"the gradient of {given.names(bad)} is NaN or infinite")
    wrong = [leaf for leaf in leaves if not all_finite([leaf.grad])]
    added = set() if how.extra is None else set(leaves_below([how.extra]))
    clear = [leaf for leaf in wrong if leaf not in added]
    places, certain = suspects(given, clear or wrong)
    if certain and clear:
        return NotFinite(places, f"the gradient of {given.names(places)} is NaN or infinite")
    whose = [f"of {given.names(places)}"] * bool(places) + ["of extra"] * (how.extra is not None and not clear)
    return NotFinite([], f"a gradient among those {' and '.join(whose)} is NaN or infinite")


def combine(decision: Decision, work: Work, norms: list[Tensor], given: Given, how: How, undo: Undo) -> Outcome:
    """Combine the tasks' gradients of what is shared, give each head its own, and add them once all are finite."""
    weights, step = decision.weights, work.step
    if decision.direction is not None:
        direction = [d.view(p.shape) * how.scale for d, p in zip(decision.direction, step.shared, strict=True)]
    else:
        assert weights is not None
        direction = step.combine(weights)
    own = step.head_gradients(weights if how.weight_heads else None)
    others = own_gradients(work.parts, own) + (extra_gradient(how) if work.extra is None else work.extra)
    if how.comm is not None and how.representation is not None:
        others = mean_of(others, how.comm)
    if not how.finite([*direction, *(g for _, g in others), *norms, *_late(given, how)], given.losses):
        check_losses(given)
        if how.scaler is not None:
            return for_scaler(direction, others, work, given, how, undo)
        raise _found(given, norms, own, work, direction, how)
    write(direction, others, work, given, how, undo, copied=weights is None)
    G = step.known_gramian
    return Outcome(weights, None if G is None else G / how.scale**2)


def _found(
    given: Given,
    noted: list[Tensor],
    own: list[list[Tensor | None]],
    work: Work,
    direction: list[Tensor],
    how: How,
) -> NotFinite:
    """Tell whose gradient is not finite: heads and noted rows know, then the tasks one by one, if the graph is kept."""
    bad = {int(k) for k, head in zip(given.live, own, strict=True) if not all_finite(head)}
    for norms in noted:
        bad |= {int(k) for k, norm in zip(given.live, norms.tolist(), strict=True) if not norm < np.inf}
    if not bad and how.careful:
        bad = set(agreed(look(given, work.parts.shared), given, how.comm))
    if bad:
        return NotFinite(sorted(bad), f"the gradient of {given.names(sorted(bad))} is NaN or infinite")
    if all_finite(direction):
        return NotFinite([], "the gradient of extra is NaN or infinite")
    return NotFinite([], f"the combined gradient of {given.names(given.live.tolist())} is NaN or infinite")


def write(
    direction: list[Tensor], others: list[Addition], work: Work, given: Given, how: How, undo: Undo, *, copied: bool
) -> None:
    """Add to `.grad`: to the shared parameters, or through the representation to whatever lies below it."""
    if how.representation is None:
        pairs = list(zip(work.parts.shared, direction, strict=True))
        if copied:
            add([*others, *pairs])
        else:
            add(others, fresh=pairs)
        return
    trunk = leaves_below(how.representation)
    undo.remember(trunk)
    torch.autograd.backward(how.representation, direction, retain_graph=how.retain_graph)
    if how.comm is not None:
        trunk = level(given, trunk, None, None, how.comm)
    if not how.finite((leaf.grad for leaf in trunk), direction[0]):
        if how.scaler is None:
            raise NotFinite([], "the gradient below the representation is NaN or infinite")
        undo.restore_state()
    add(others)


def plain(given: Given, how: How) -> Outcome:
    """Give tasks that share nothing their own gradients: there is nothing to balance."""
    leaves = leaves_below(given.active)
    others = extra_gradient(how)
    keep = how.retain_graph or how.careful
    gradients = pull([scaled_root(loss, how.scale) for loss in given.active], leaves, retain_graph=keep)
    if not all_finite([*gradients, *(g for _, g in others), given.losses[given.live]]):
        check_losses(given)
        if how.scaler is None:
            places = [] if all_finite(gradients) else look(given, leaves) if keep else given.live.tolist()
            raise NotFinite(places, f"the gradient of {given.names(places) if places else 'extra'} is NaN or infinite")
    add([*zip(leaves, gradients, strict=True), *others])
    return Outcome(np.ones(len(given.live)), None)


def for_scaler(
    direction: list[Tensor], others: list[Addition], work: Work, given: Given, how: How, undo: Undo
) -> Outcome:
    """Leave the gradients as they are, inf and all, where a scaler has gone too far: it sees that and steps back."""
    if all_finite([*direction, *(g for _, g in others)]):
        direction = [torch.full_like(d, torch.inf) for d in direction]
    write(direction, others, work, given, how, undo, copied=True)
    undo.restore_state()
    return Outcome(np.zeros(len(given.live)), None)


def plain_sum(work: Work, given: Given, how: How, undo: Undo) -> Outcome:
    """Leave the plain sum for a scaler that has gone so far that the balancer could decide nothing."""
    direction = work.step.combine(np.ones(len(given.live)))
    others = own_gradients(work.parts, work.step.head_gradients(None)) + (work.extra or [])
    return for_scaler(direction, others, work, given, how, undo)


def told(given: Given, outcome: Outcome) -> Balance:
    """Tell what a step did, with zeros for the tasks that took no part."""
    t = len(given.tasks)
    weights = gramian = None
    if outcome.weights is not None:
        full = np.zeros(t)
        full[given.live] = outcome.weights
        weights = torch.from_numpy(full)
    if outcome.gramian is not None:
        full = np.zeros((t, t))
        full[np.ix_(given.live, given.live)] = outcome.gramian
        gramian = torch.from_numpy(full)
    return Balance(weights, gramian, given.losses, given.tasks)
