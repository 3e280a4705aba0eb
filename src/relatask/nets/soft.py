"""Soft sharing: an encoder for each task, their parameters tied by a relation, layer by layer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.stages import Each, parameter_of
from relatask.nets.tie import Tie, tie_of
from relatask.notices import InputError
from relatask.relations import Pairwise, Relation


class SoftSharing(Model):
    """An encoder and a head for each task, ``head_k(encoder_k(x))``; a relation ties the encoders' parameters.

    The penalty "encoders" is ``sum_l R(W_l)``: for every parameter l of an encoder, W_l (t, d_l) has a row a task, that
    task's parameter flattened. A relation adds up over W_l as it does over the heads: `Pairwise(s)` counts every
    ordered pair of tasks and every entry.

    Parameters
    ----------
    encoders : mapping from task to Module
        From inputs to a representation; of one build, so that parameters correspond.
    heads : mapping from task to Module
        A head for each task.
    relation : Relation, optional
        What ties the encoders, any one; None leaves the tasks alone.
    relation_heads : Relation or Tie, optional
        What ties the heads: a penalty on `task_matrix`.

    Raises
    ------
    InputError
        For a task without an encoder or a head, and for encoders whose parameters differ in name or shape.

    References
    ----------
    Duong et al. 2015, Low resource dependency parsing: cross-lingual parameter sharing in a neural network parser, ACL,
    section 3 (squared distances); Yang and Hospedales 2017, Trace norm regularised deep multi-task learning, ICLR
    workshop (a norm of the stacked parameters, layer by layer).

    Examples
    --------
    >>> tasks = ["north", "south"]
    >>> model = SoftSharing(
    ...     {task: nn.Linear(5, 8) for task in tasks}, {task: nn.Linear(8, 1) for task in tasks}, Pairwise(0.1)
    ... )
    >>> outputs = model(torch.zeros(3, 5))
    >>> list(model.penalties())
    ['encoders']
    """

    def __init__(
        self,
        encoders: Mapping[Hashable, nn.Module],
        heads: Mapping[Hashable, nn.Module] | Heads,
        relation: Relation | None = None,
        relation_heads: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation_heads)
        if set(encoders) != set(self.tasks):
            odd = sorted(map(str, set(encoders) ^ set(self.tasks)))
            raise InputError(
                f"SoftSharing: encoders are of {', '.join(map(str, encoders))} and heads of "
                f"{', '.join(map(str, self.tasks))}; give both for {', '.join(odd)}."
            )
        self.encoders = Each({task: encoders[task] for task in self.tasks})
        self._check_alike()
        self.layers = tuple(name for name, _ in self.encoders[self.tasks[0]].named_parameters())
        """The names of an encoder's parameters."""
        ties = [] if relation is None else [tie_of(relation, self.tasks) for _ in self.layers]
        self.ties = nn.ModuleList(ties)
        """A tie for each of them, which learns for itself; none without a relation."""
        self._pulls = any(not tie.vanishes for tie in ties)

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Give every task's output by its own encoder and head."""
        if self.training and self._pulls and not any("encoders" in terms for terms in self._terms):
            self.add_penalty("encoders", self.tied())
        return self.heads.each({task: self.encoders(x, task) for task in self.asked(tasks)})

    def own(self, task: Hashable) -> Iterable[nn.Module | Parameter]:
        """The task's encoder and head."""
        return (self.encoders[task], self.heads[task])

    def tied(self) -> Tensor:
        """Give the relation of the encoders, ``sum_l R(W_l)``."""
        return torch.stack([tie(self.layer(name)) for tie, name in zip(self.ties, self.layers, strict=True)]).sum()

    def layer(self, name: str) -> Tensor:
        """Give W_l (t, d_l): every task's parameter of this name, flattened."""
        return torch.stack([parameter_of(self.encoders[task], name).reshape(-1) for task in self.tasks])

    def learn_more(self) -> None:
        """Let the encoders' relations learn, each from its parameter."""
        for tie, name in zip(self.ties, self.layers, strict=False):
            cast(Tie, tie).learn(self.layer(name))

    def _check_alike(self) -> None:
        first, *others = self.tasks
        known = {name: tuple(p.shape) for name, p in self.encoders[first].named_parameters()}
        for task in others:
            found = {name: tuple(p.shape) for name, p in self.encoders[task].named_parameters()}
            for name in dict.fromkeys([*known, *found]):
                if known.get(name) != found.get(name):
                    raise InputError(
                        f"SoftSharing: parameter {name!r} is {_shape(found.get(name))} in the encoder of task {task!r} "
                        f"and {_shape(known.get(name))} in that of {first!r}; build both alike."
                    )
        ids = [id(p) for task in self.tasks for p in self.encoders[task].parameters()]
        if len(set(ids)) < len(ids):
            raise InputError("SoftSharing: two tasks have one and the same encoder; build one for each.")

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give one with one hidden layer of 6, its parameters pulled together."""
        encoders = {task: nn.Sequential(nn.Linear(features, 6), nn.Tanh()) for task in tasks}
        return cls(encoders, {task: nn.Linear(6, 1) for task in tasks}, Pairwise(0.01))


def _shape(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else str(shape)
