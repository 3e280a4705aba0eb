"""`Balanced`: one batch, one balanced backward pass, one update."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Parameter

from relatask.balance import Balance, Balancer, Equal, FromLosses, TaskGradients, backward
from relatask.data.batch import Batch
from relatask.nets.model import Model
from relatask.notices import InputError
from relatask.train.losses import Losses, LossesOf
from relatask.train.step import Step, Update


class Balanced(Step):
    """One batch, one balanced backward pass, one update.

    A batch that comes in parts (fit's ``accumulate``) is balanced once: losses are means over the labels of the whole
    batch, and the tasks' gradients are summed over the parts first (`TaskGradients`; the parts' own weights, averaged,
    would be another method). With equal weights nothing but `.grad` is held.

    Parameters
    ----------
    balancer : Balancer, optional
        How the tasks are balanced; equal weights by default.
    representation : bool
        Balance at the representation, at about the cost of plain training; not the parameter-level method.

    Raises
    ------
    InputError
        Where the balancer is none, or `representation` is asked of a model that has none.

    Examples
    --------
    >>> from relatask.balance import PCGrad
    >>> Balanced(PCGrad()).draws
    1
    """

    accumulates: ClassVar[bool] = True

    def __init__(self, balancer: Balancer | None = None, *, representation: bool = False) -> None:
        super().__init__()
        if balancer is not None and not isinstance(balancer, Balancer):
            raise InputError(
                f"balancer is {balancer!r:.80}; give an instance of a relatask.balance.Balancer: Balanced(PCGrad())."
            )
        self.balancer = Equal() if balancer is None else balancer
        self.representation = representation

    def prepare(self, model: Model) -> None:
        """Find what is shared and what is each task's own."""
        super().prepare(model)
        model.join(isinstance(self.balancer, FromLosses))
        self.__dict__["shared"] = [p for p in model.shared_parameters() if p.requires_grad]
        self.__dict__["own"] = {task: model.task_parameters(task) for task in model.tasks}

    def forward(self, losses_of: LossesOf, batches: Sequence[Batch], update: Update) -> tuple[Losses, Balance | None]:
        """Balance and update."""
        if len(batches) > 1:
            losses, done = self._in_parts(losses_of, batches, update)
            update()
        else:
            losses = losses_of(batches[0])
            done = self.descend(losses, update)
            update(lambda: self._again(losses_of, batches[0], update))
        if self.balancer.observes:
            self._observe(losses_of, batches)
        return losses, done

    def descend(self, losses: Losses, update: Update) -> Balance | None:
        """Put the balanced gradient of these losses where the optimizer looks for it."""
        if not losses.values:
            if losses.extra is not None:
                _scaled(losses.extra, update).backward()
            return None
        shared: list[Parameter] = self.__dict__["shared"]
        own: dict[Hashable, list[Parameter]] = self.__dict__["own"]
        one = isinstance(self.balancer, FromLosses)  # one scalar is descended: nothing is divided among heads
        return backward(
            named(losses.values),
            self.balancer,
            shared=None if self.representation else shared,
            heads=None if one else {str(task): own[task] for task in losses.values},
            on_idle="allow",  # what a batch does not reach (a branch, a modality) is no fault
            representation=self._representation(losses) if self.representation else None,
            extra=losses.extra,
            scaler=update.scaler,
            comm=update.comm,
        )

    def _representation(self, losses: Losses) -> Any:
        if losses.representation is None:
            raise InputError(
                f"representation=True: {type(self.model).__name__} has no one tensor that the trunk gives and all "
                "heads "
                "take; leave it out, and gradients are balanced at the parameters."
            )
        return losses.representation

    def _again(self, losses_of: LossesOf, batch: Batch, update: Update) -> Tensor:
        """Loss and gradients at other parameters, for an optimizer that searches."""
        losses = losses_of(batch)
        self.descend(losses, update)
        values = torch.stack([value.detach() for value in losses.values.values()])
        found = values.mean() if getattr(self.balancer, "reduction", "mean") == "mean" else values.sum()
        return found if losses.extra is None else found + losses.extra.detach()

    def _in_parts(self, losses_of: LossesOf, batches: Sequence[Batch], update: Update) -> tuple[Losses, Balance | None]:
        totals, share = losses_of.count(batches), 1 / len(batches)
        if self.representation:
            raise InputError(
                "representation=True balances at the rows of one batch; it cannot be accumulated: give accumulate=1."
            )
        if type(self.balancer) is Equal:
            return self._equal_in_parts(losses_of, batches, update, totals)
        if update.scaler is not None or update.comm is not None:
            raise InputError(
                f"accumulate with {type(self.balancer).__name__} holds the tasks' gradients in one process and full "
                "precision; give accumulate=1, precision='bf16-mixed' on one device, or Balanced(Equal())."
            )
        if not self.__dict__["shared"]:
            raise InputError(
                f"{type(self.model).__name__} shares no parameters, so that there is no gradient for "
                f"{type(self.balancer).__name__} to balance over the parts of a batch; give accumulate=1, or "
                "Balanced(Equal())."
            )
        self.model.join(False)  # whatever the balancer sees, gradients are taken task by task here
        gradients = TaskGradients(self.__dict__["shared"], {str(t): p for t, p in self.__dict__["own"].items()})
        seen: list[Losses] = []
        for batch in batches:
            losses = losses_of(batch, totals=totals, share=share)
            if losses.values:
                gradients.add(named(losses.values), retain_graph=losses.extra is not None)
            if losses.extra is not None and losses.extra.requires_grad:  # a part of one task may have no penalty
                losses.extra.backward()
            seen.append(detached(losses))
        together = joined(seen, totals)
        return together, gradients.balance(self.balancer) if together.values else None

    def _equal_in_parts(
        self, losses_of: LossesOf, batches: Sequence[Batch], update: Update, totals: Mapping[Hashable, float]
    ) -> tuple[Losses, Balance | None]:
        active = sum(total > 0 for total in totals.values())
        weight = 1.0 if self.balancer.reduction == "sum" else 1 / max(active, 1)
        seen: list[Losses] = []
        for batch in batches:
            losses = losses_of(batch, totals=totals, share=1 / len(batches))
            scalar = torch.stack(list(losses.values.values())).sum() * weight if losses.values else None
            if losses.extra is not None:
                scalar = losses.extra if scalar is None else scalar + losses.extra
            if scalar is not None:
                _scaled(scalar, update).backward()
            seen.append(detached(losses))
        if update.comm is not None:
            moved = [p for p in self.model.parameters() if p.requires_grad]
            means = update.comm.mean([p.grad for p in moved], moved, [0] * len(moved))
            for parameter, mean in zip(moved, means, strict=True):
                parameter.grad = mean
        together = joined(seen, totals)
        if not together.values:
            return together, None
        values = torch.stack(list(together.values.values()))
        if update.scaler is None and not values.isfinite().all():
            bad = [task for task, value in together.values.items() if not value.isfinite()]
            raise InputError(f"RT013: the loss of task {bad[0]!r} is NaN or infinite; look at its inputs and labels.")
        weights = torch.full((len(values),), weight, dtype=torch.float64)
        return together, Balance(weights, None, values, tuple(map(str, together.values)))

    def _observe(self, losses_of: LossesOf, batches: Sequence[Batch]) -> None:
        """Show the balancer the losses of the same batch after the update."""
        totals = losses_of.count(batches) if len(batches) > 1 else None
        with torch.no_grad():
            seen = [detached(losses_of(batch, totals=totals)) for batch in batches]
        values = joined(seen, seen[0].labels).values
        if values:
            self.balancer.observe(named(values))


def named(values: Mapping[Hashable, Tensor]) -> dict[str, Tensor]:
    """Give losses as the balancers name tasks: by text."""
    return {str(task): value for task, value in values.items()}


def detached(losses: Losses) -> Losses:
    """Give losses without their graph."""
    values = {task: value.detach() for task, value in losses.values.items()}
    penalties = {name: value.detach() for name, value in losses.penalties.items()}
    extra = None if losses.extra is None else losses.extra.detach()
    return replace(losses, values=values, penalties=penalties, extra=extra, representation=None)


def joined(parts: Sequence[Losses], totals: Mapping[Hashable, float]) -> Losses:
    """Give the losses of a batch from those of its parts."""
    values: dict[Hashable, Tensor] = {}
    for losses in parts:
        for task, value in losses.values.items():
            values[task] = values[task] + value if task in values else value
    names = dict.fromkeys(name for losses in parts for name in losses.penalties)
    penalties = {
        name: torch.stack([losses.penalties[name] for losses in parts if name in losses.penalties]).mean()
        for name in names
    }
    extra = [losses.extra for losses in parts if losses.extra is not None]
    return Losses(values, tuple(values), None, torch.stack(extra).sum() if extra else None, penalties, totals)


def _scaled(scalar: Tensor, update: Update) -> Tensor:
    return scalar if update.scaler is None else update.scaler.scale(scalar)
