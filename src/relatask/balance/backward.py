"""`backward`: the one place that fills `.grad`. It does the least work that the balancer's type needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from relatask.balance.balancer import Balancer
from relatask.balance.comm import Comm
from relatask.balance.options import one_of
from relatask.balance.per_task import RefusedLoss
from relatask.balance.result import Balance
from relatask.balance.steps.checked import Checked
from relatask.balance.steps.finite import NotFinite, bad_losses, check_losses, look, refuse
from relatask.balance.steps.listed import Heads, Tensors
from relatask.balance.steps.parts import points
from relatask.balance.steps.ranks import Spread, agreed, spread
from relatask.balance.steps.reading import Given, Losses, check_balancer, read
from relatask.balance.steps.representation import leaves_below
from relatask.balance.steps.roads import Outcome, combine, descend, plain, plain_sum, told
from relatask.balance.steps.step import Step
from relatask.balance.steps.undo import Undo
from relatask.balance.steps.work import Alone, How, Work, extra_gradient, open_work, uncast
from relatask.balance.steps.writing import add
from relatask.notices import InputError, RelataskWarning, tell


def backward(
    losses: Losses,
    balancer: Balancer,
    *,
    shared: Tensors | None = None,
    heads: Heads | None = None,
    representation: Tensor | Sequence[Tensor] | None = None,
    extra: Tensor | None = None,
    active: Sequence[bool] | Tensor | None = None,
    on_nan: Literal["raise", "skip"] = "raise",
    on_idle: Literal["tell", "allow"] = "tell",
    scaler: torch.amp.GradScaler | None = None,
    comm: Comm | None = None,
    weight_heads: bool = False,
    retain_graph: bool = False,
) -> Balance:
    """Balance the tasks and add the gradient that the optimizer sees to `.grad`, as ``loss.backward()`` does.

    ``shared.grad += J' w``, ``head_k.grad += grad L_k``; with a method that sees only losses (`FromLosses`) all get the
    gradient of its scalar, by one plain backward pass.

    Parameters
    ----------
    losses : mapping from task to tensor (), sequence of tensor (), or tensor (t,)
        The tasks' losses. A task that a mapping leaves out takes no part in the step. Of losses put together by
        `torch.stack` each is known by itself; of another tensor (t,), every loss reaches what it was computed from.
    balancer : Balancer
        The method, for example ``MGDA()``.
    shared : Module or sequence of parameters and modules, optional
        What the tasks share: whose gradients are balanced. By default the parameters that two or more losses reach.
        Give it where batches may hold one task only: from one loss alone nobody can tell what is shared. Give it, too,
        where inputs need gradients (an equation's residual): leaves that are no ``nn.Parameter`` then stay out.
    heads : sequence or mapping of Module or of parameters, one a task, optional
        What each task has of its own. By default the parameters that exactly one loss reaches.
    representation : tensor or sequence of tensor, optional
        Balance at this tensor that the trunk gives and the heads take, instead of at the parameters below it: a pass
        a task through its head, one through the trunk. A bound of the parameter-level method and not the same
        (MGDA there is MGDA-UB, Sener and Koltun 2018): its Gramian runs over all entries, rows of the batch included.
    extra : tensor (), optional
        A scalar that is not balanced, for example a model's penalties; its gradient is added as it is.
    active : (t,) of bool, optional
        The tasks that take part; no state of the others moves.
    on_nan : "raise" or "skip"
        What is done about a task whose loss or gradient is NaN or infinite: an error, or the step without that task
        and a warning. "skip" keeps the graph until all is looked at.
    on_idle : "tell" or "allow"
        What is done about parameters of `shared` that no loss here reaches: a warning (an error, where it reaches
        none), or nothing: for nets that share more or less from batch to batch, or nothing at all (``shared=[]``).
    scaler : torch.amp.GradScaler, optional
        Losses are scaled before the passes; the balancer sees unscaled gradients, `.grad` holds scaled ones. Where they
        overflow, inf is left for ``scaler.step`` to see, and no state moves.
    comm : Comm, optional
        The ranks over which losses and gradients are averaged.
    weight_heads : bool
        Whether a head's gradient is multiplied by its task's weight too.
    retain_graph : bool
        Whether the graph is kept for another backward pass.

    Returns
    -------
    Balance
        The weights, the Gramian where it was formed, and the losses.

    Raises
    ------
    InputError
        For losses, parameters or tasks that cannot be used, and (RT013) for NaN: nothing was added and no state moved.

    Warns
    -----
    RelataskWarning
        RT009 for shared parameters without gradient; RT013 for tasks that were skipped.

    References
    ----------
    The methods' own; for `representation` Sener and Koltun 2018, Multi-task learning as multi-objective optimization,
    NeurIPS, section 3.3.

    Examples
    --------
    >>> import torch
    >>> from relatask.balance import PCGrad
    >>> _ = torch.manual_seed(0)
    >>> X, Y = torch.randn(64, 5), torch.randn(64, 2)
    >>> trunk = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU())
    >>> price, sold = torch.nn.Linear(8, 1), torch.nn.Linear(8, 1)
    >>> optimizer = torch.optim.SGD([*trunk.parameters(), *price.parameters(), *sold.parameters()], lr=0.1)
    >>> balancer = PCGrad()
    >>> for _ in range(3):
    ...     z = trunk(X)
    ...     losses = {
    ...         "price": (price(z)[:, 0] - Y[:, 0]).square().mean(),
    ...         "sold": (sold(z)[:, 0] - Y[:, 1]).square().mean(),
    ...     }
    ...     balance = backward(losses, balancer)
    ...     optimizer.step()
    ...     optimizer.zero_grad()
    >>> balance.tasks, balance.weights.shape, balance.stationary
    (('price', 'sold'), torch.Size([2]), False)
    """
    check_balancer(balancer)
    one_of("backward: on_nan", on_nan, ("raise", "skip"))
    one_of("backward: on_idle", on_idle, ("tell", "allow"))
    _check_kinds(extra, scaler, comm)
    scaler = scaler if scaler is not None and scaler.is_enabled() else None
    how = How(
        shared=shared,
        heads=heads,
        representation=points(representation, shared),
        extra=extra,
        scaler=scaler,
        scale=1.0 if scaler is None else scaler.get_scale(),
        comm=comm,
        weight_heads=weight_heads,
        retain_graph=retain_graph,
        own=frozenset(balancer.parameters()),
        careful=on_nan == "skip",
        idle=on_idle == "allow",
    )
    given = read(losses, balancer, active)
    if comm is not None:
        given = spread(given, comm)
    if not len(given.live):
        add(extra_gradient(how))
        return told(given, Outcome(np.zeros(0), None))
    skipped: list[int] = []
    while len(given.live):
        try:
            outcome = _attempt(given, balancer, how)
            break
        except NotFinite as seen:
            if on_nan == "raise" or not seen.places:
                raise refuse(given, seen) from None
            skipped, given = [*skipped, *seen.places], given.without(seen.places)
    else:
        outcome = Outcome(np.zeros(0), None)
    if skipped:
        tell(
            RelataskWarning(
                f"the loss or gradient of {given.names(skipped)} is NaN or infinite: "
                f"{'it takes' if len(skipped) == 1 else 'they take'} no part in this step",
                code="RT013",
            )
        )
    return told(given, outcome)


def _attempt(given: Given, balancer: Balancer, how: How) -> Outcome:
    """Run a step; raise `NotFinite`, with everything as before, where a loss or gradient is not."""
    if how.early(given):
        check_losses(given)
    opened: list[Work] = []

    def open(keep: bool) -> Step | Spread:
        opened.append(open_work(given, how, keep=keep))
        return opened[0].step

    try:
        with Undo(balancer) as undo, uncast(given.losses.device):
            seen = Checked(given.stacked(), given.live, open, how.scale)
            decision = balancer.decide(seen)
            if decision.scalar is not None:
                return descend(decision.scalar, seen, given, how, undo)
            if not opened:
                open(False)
            return combine(decision, opened[0], seen.norms, given, how, undo)
    except Alone:
        return plain(given, how)
    except RefusedLoss as refused:
        check_losses(given)
        raise refused.named(given.tasks) from None
    except InputError:
        check_losses(given)
        raise
    except NotFinite as found:
        if bad_losses(given) or how.scaler is None or not opened:
            raise _named(found, given, how) from None
    return plain_sum(opened[0], given, how, Undo(balancer))


def _named(seen: NotFinite, given: Given, how: How) -> NotFinite:
    """Look for whose it is, where that is not known and the graph is there to look at."""
    if seen.places or seen.what or not how.careful:
        return seen
    return NotFinite(agreed(look(given, leaves_below(given.active)), given, how.comm))


def _check_kinds(extra: Tensor | None, scaler: torch.amp.GradScaler | None, comm: Comm | None) -> None:
    if extra is not None and (not isinstance(extra, Tensor) or extra.ndim or not extra.is_floating_point()):
        raise InputError(
            f"extra is {extra!r}; a scalar tensor that is added to the losses unbalanced is needed (the sum of a "
            "model's penalties), or None."
        )
    for name, given, kind in (("scaler", scaler, torch.amp.GradScaler), ("comm", comm, Comm)):
        if given is not None and not isinstance(given, kind):
            full = "torch.amp.GradScaler" if kind is torch.amp.GradScaler else "relatask.balance.Comm"
            raise InputError(f"{name} is {given!r}, a {type(given).__name__}; a {full}, or None, is needed.")
