"""`TaskGradients`: the tasks' gradients summed over micro-batches, balanced once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor
from torch.nn import ModuleDict

from relatask.balance.balancer import Balancer
from relatask.balance.comm import check_alone
from relatask.balance.gradients.engine import pull
from relatask.balance.gradients.graph import walk
from relatask.balance.gradients.source import Rows, Source
from relatask.balance.gradients.taken import Taken
from relatask.balance.result import Balance
from relatask.balance.seen import Decision
from relatask.balance.steps.checked import Checked
from relatask.balance.steps.finite import NotFinite, check_losses, refuse
from relatask.balance.steps.listed import Heads, Listed, Tensors
from relatask.balance.steps.parts import Parts, divide
from relatask.balance.steps.reading import Given, Losses, check_balancer, read
from relatask.balance.steps.roads import Outcome, combine, told
from relatask.balance.steps.step import Step
from relatask.balance.steps.undo import Undo
from relatask.balance.steps.work import HELD, Work, uncast
from relatask.notices import InputError

_OUT = "by add(..., active=...)"


class TaskGradients:
    """The tasks' gradients, summed over micro-batches, and balanced once: what one large batch would have given.

    ``J = sum_m J_m``, then ``.grad += J' w`` with the weights of the whole J. Balancing every micro-batch and adding is
    another thing, and with MGDA another direction. Holds J: (t, p) numbers, t times the shared parameters.

    As with ``loss.backward()``, gradients add up: divide each loss by the number of micro-batches if they are means.
    For one process: gradients are not averaged over ranks.

    Parameters
    ----------
    shared : Module or sequence of parameters
        What the tasks share.
    heads : sequence or mapping of Module or of parameters, one a task, optional
        What each task has of its own; by default what one loss reaches and is not shared.

    Raises
    ------
    InputError
        For parameters that cannot be used.

    Examples
    --------
    >>> import torch
    >>> from relatask.balance import MGDA
    >>> _ = torch.manual_seed(0)
    >>> trunk, heads = torch.nn.Linear(3, 4), [torch.nn.Linear(4, 1), torch.nn.Linear(4, 1)]
    >>> gradients = TaskGradients(trunk)
    >>> for batch in torch.randn(4, 8, 3):
    ...     z = trunk(batch).tanh()
    ...     gradients.add([head(z).square().mean() / 4 for head in heads])
    >>> balance = gradients.balance(MGDA())
    >>> trunk.weight.grad.shape, balance.gramian.shape
    (torch.Size([4, 3]), torch.Size([2, 2]))
    """

    def __init__(self, shared: Tensors, heads: Heads | None = None) -> None:
        self._shared = Listed().read("shared", shared)
        self._given, self._heads = shared, heads
        self._clear()

    def _clear(self) -> None:
        self._rows: dict[str, list[Tensor | None]] = {}
        self._own: dict[str, dict[Tensor, Tensor]] = {}
        self._losses: dict[str, Tensor] = {}
        self._ordered: int | None = None

    def add(self, losses: Losses, *, active: Sequence[bool] | Tensor | None = None, retain_graph: bool = False) -> None:
        """Add the gradients of a micro-batch's losses; a task that is absent there adds nothing.

        Parameters
        ----------
        losses : mapping from task to tensor (), sequence of tensor (), or tensor (t,)
            The tasks' losses of this micro-batch.
        active : (t,) of bool, optional
            The tasks that take part.
        retain_graph : bool
            Whether the graph is kept.

        Raises
        ------
        InputError
            For losses or parameters that cannot be used; nothing was added.
        """
        given = read(losses, _Anyone(), active)
        ordered = None if isinstance(losses, Mapping) else len(given.tasks)
        if self._losses and ordered != self._ordered:
            raise InputError(
                f"TaskGradients: {_kind(ordered)} were added after {_kind(self._ordered)}; add them in one way."
            )
        if not len(given.live):
            return
        try:
            check_losses(given)
        except NotFinite as seen:
            raise refuse(given, seen, _OUT) from None
        places = sorted(given.values)
        parts = divide(given, walk([given.values[k] for k in places]), self._given, self._present(given.tasks), None)
        taken = []
        for i, (loss, head) in enumerate(zip(given.active, parts.heads, strict=True)):
            keep = retain_graph or i < len(given.live) - 1
            taken.append(pull([loss], [*parts.shared, *head], retain_graph=keep))
        self._ordered = ordered
        for k, head, gradients in zip(given.live, parts.heads, taken, strict=True):
            self._add(given.tasks[k], given.losses[k], head, gradients)

    def _present(self, tasks: Sequence[str]) -> Heads | None:
        """Give the heads of these tasks: a micro-batch need not have all that have one."""
        heads = self._heads
        if not isinstance(heads, Mapping | ModuleDict):
            return heads
        named = {str(name): head for name, head in heads.items()}
        return {task: named[task] for task in tasks} if set(tasks) <= set(named) else heads

    def _add(self, task: str, loss: Tensor, head: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        n = len(self._shared)
        rows = self._rows.setdefault(task, [None] * n)
        for i, gradient in enumerate(gradients[:n]):
            rows[i] = _sum(rows[i], gradient)
        own = self._own.setdefault(task, {})
        for leaf, gradient in zip(head, gradients[n:], strict=True):
            added = _sum(own.get(leaf), gradient)
            if added is not None:
                own[leaf] = added
        self._losses[task] = self._losses[task] + loss if task in self._losses else loss.clone()

    def balance(self, balancer: Balancer, *, weight_heads: bool = False) -> Balance:
        """Balance what was added, add the gradient to `.grad`, and begin anew.

        Parameters
        ----------
        balancer : Balancer
            The method. One that sees only losses weighs the sums of the losses.
        weight_heads : bool
            Whether a head's gradient is multiplied by its task's weight too.

        Returns
        -------
        Balance
            The weights, the Gramian where it was formed, and the summed losses.

        Raises
        ------
        InputError
            For tasks that the balancer does not know, and (RT013) for gradients that are NaN: nothing has changed, and
            what was added stays.
        """
        check_balancer(balancer)
        check_alone(None)
        if not self._losses:
            raise InputError("TaskGradients: nothing was added; call add(losses) for every micro-batch first.")
        given = self._read(balancer)
        try:
            with Undo(balancer) as undo, uncast(given.losses.device):
                outcome = self._decide(given, balancer, weight_heads, undo)
        except NotFinite as seen:
            raise refuse(given, seen, _OUT) from None
        self._clear()
        return told(given, outcome)

    def _read(self, balancer: Balancer) -> Given:
        """Give the summed losses as this balancer reads them: by name, or by order."""
        leaves = {task: loss.clone().requires_grad_() for task, loss in self._losses.items()}
        if self._ordered is None:
            return read(leaves, balancer, None)
        absent = next(iter(leaves.values())).detach()
        names = [str(k) for k in range(self._ordered)]
        return read([leaves.get(name, absent) for name in names], balancer, [name in leaves for name in names])

    def _decide(self, given: Given, balancer: Balancer, weight_heads: bool, undo: Undo) -> Outcome:
        tasks = given.tasks if self._ordered is None else [str(k) for k in range(self._ordered)]
        names = [tasks[k] for k in given.live]
        rows = [self._rows[name] for name in names]
        heads = [list(self._own[name]) for name in names]
        sources: list[Source] = [Rows([row[i] for row in rows], like) for i, like in enumerate(self._shared)]
        taken = Taken(sources, [list(self._own[name].values()) for name in names])
        stacked = given.stacked()
        step = Step([], given.live, self._shared, heads, walk([]), retain_graph=True, stacked=stacked, taken=taken)
        seen: Checked[Step] = Checked(stacked, given.live, lambda keep: step)
        decision, learned = balancer.decide(seen), []
        if decision.scalar is not None:
            wanted = [stacked, *(p for p in balancer.parameters() if p.requires_grad)]
            slopes, *own = pull([decision.scalar], wanted, retain_graph=False)
            weights = np.zeros(len(names)) if slopes is None else slopes.double().cpu().numpy()
            decision, weight_heads = Decision(weights=weights), True
            learned = list(zip(wanted[1:], own, strict=True))
        how = replace(HELD, weight_heads=weight_heads)
        return combine(decision, Work(step, Parts(self._shared, heads), learned), seen.norms, given, how, undo)


class _Anyone:
    """Whoever balances later: tasks are taken as they come."""

    tasks: tuple[str, ...] | None = None


def _kind(ordered: int | None) -> str:
    return "losses by name" if ordered is None else f"{ordered} losses in order"


def _sum(before: Tensor | None, gradient: Tensor | None) -> Tensor | None:
    if gradient is None or before is None:
        return before if gradient is None else gradient.clone()
    return before.add_(gradient)
