"""`Model`: a network of several tasks; what the loop, the balancers and the relations ask of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from relatask.nets.heads import Heads
from relatask.nets.tie import Tie, TieByRelation, tie_of
from relatask.notices import InputError
from relatask.relations import Relation


class Model(nn.Module, ABC):
    """A network of several tasks: ``model(x, tasks) -> {task: output}``.

    What an architecture adds to the loss is in `penalties`; what can be seen of how it shares is in `gates`. Both speak
    of the forward passes since they were last asked for.

    Parameters
    ----------
    heads : mapping from task to Module
        A head for each task.
    relation : Relation or Tie, optional
        What ties the heads together: a penalty on `task_matrix`. Its strengths are numbers.

    Raises
    ------
    InputError
        For no head, for a relation that cannot act on heads, and for heads of unlike shapes that are to be tied.
    """

    def __init__(self, heads: Mapping[Hashable, nn.Module] | Heads, relation: Relation | Tie | None = None) -> None:
        super().__init__()
        self.heads = heads if isinstance(heads, Heads) else Heads(heads)
        self.heads_tie = None if relation is None else tie_of(relation, self.heads.names)
        if self.heads_tie is not None:
            self.heads.matrix()  # refuses unlike shapes
        self._terms: list[dict[str, Tensor]] = []
        self._gates: dict[str, Tensor] = {}
        self.representation: Tensor | None = None
        """What the trunk gave in the last forward pass and the heads took; None where there is no one such tensor."""

    @property
    def tasks(self) -> tuple[Hashable, ...]:
        """The tasks' names, in order."""
        return self.heads.names

    @property
    def relation(self) -> Relation | Tie | None:
        """What ties the heads together, with what it has learned so far."""
        return self.heads_tie.relation if isinstance(self.heads_tie, TieByRelation) else self.heads_tie

    @abstractmethod
    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Give the outputs of these tasks, all of them by default, from inputs with n rows."""

    @classmethod
    @abstractmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give a small model of these tasks, for inputs (n, features) and outputs (n, 1): for the laws and the docs."""

    def own(self, task: Hashable) -> Iterable[nn.Module | Parameter]:
        """What belongs to one task alone: its head, and more where the architecture has it."""
        return (self.heads[task],)

    def task_parameters(self, task: Hashable) -> list[Parameter]:
        """Give the parameters of one task alone."""
        self._known(task)
        found: dict[int, Parameter] = {}
        for item in self.own(task):
            for parameter in (item,) if isinstance(item, Parameter) else item.parameters():
                found.setdefault(id(parameter), parameter)
        return list(found.values())

    def aside(self) -> Iterable[nn.Module]:
        """What no task's loss reaches, only penalties: a discriminator, a relation that is trained."""
        return () if self.heads_tie is None else (self.heads_tie,)

    def shared_parameters(self) -> list[Parameter]:
        """Give the parameters that belong to no task alone, without those that only penalties reach (`aside`)."""
        others = {id(parameter) for task in self.tasks for parameter in self.task_parameters(task)}
        others.update(id(parameter) for module in self.aside() for parameter in module.parameters())
        return [parameter for parameter in self.parameters() if id(parameter) not in others]

    def join(self, joined: bool = True) -> None:
        """Let heads (and gates) of one shape be one product also in training: where one scalar is descended."""
        for module in self.modules():
            if isinstance(module, Heads):
                module.joined = joined

    def task_matrix(self) -> Tensor:
        """Give W (t, d): each head's weights side by side, without biases.

        Raises
        ------
        InputError
            Where heads have different numbers of weights.
        """
        return self.heads.matrix()

    def penalties(self) -> dict[str, Tensor]:
        """Give what the architecture adds to the loss, and forget the passes it came from."""
        terms, self._terms = self._terms, []
        found = {name: torch.stack([term[name] for term in terms if name in term]).mean() for name in _names(terms)}
        if self.heads_tie is not None and not self.heads_tie.vanishes:
            found["relation"] = self.heads_tie(self.task_matrix())
        return found

    def gates(self) -> dict[str, Tensor]:
        """Give what can be seen of how the last pass shared: gates, loads of experts, units of a cross-stitch."""
        return self._gates

    @torch.no_grad()
    def learn_relation(self) -> None:
        """Let the relation learn from the heads as they are (`Relation.given`): one half of an alternation."""
        if self.heads_tie is not None:
            self.heads_tie.learn(self.task_matrix())
        self.learn_more()

    def learn_more(self) -> None:
        """Let learn what else ties the tasks, at the same time: nothing, unless the architecture has it."""

    def add_penalty(self, name: str, value: Tensor) -> None:
        """Keep a term of this pass for `penalties`; only while training."""
        if self.training:
            self._terms.append({name: value})

    def show_gate(self, name: str, value: Tensor) -> None:
        """Keep what a gate was in this pass."""
        self._gates[name] = value.detach()

    def asked(self, tasks: Sequence[Hashable] | None) -> tuple[Hashable, ...]:
        """Give the tasks asked for, all by default, and refuse unknown ones."""
        if tasks is None:
            return self.tasks
        for task in tasks:
            self._known(task)
        return tuple(tasks)

    def _known(self, task: Hashable) -> None:
        if task not in self.heads:
            raise InputError(f"the model has no head for task {task!r}; it has {', '.join(map(str, self.tasks))}.")


def _names(terms: Sequence[Mapping[str, Tensor]]) -> list[str]:
    return list(dict.fromkeys(name for term in terms for name in term))
