"""Hard sharing: one encoder for all tasks, a head for each."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

from torch import nn

from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.relations import Relation


class HardSharing(Model):
    """One encoder for all tasks, a head for each: ``head_k(encoder(x))``.

    Parameters
    ----------
    encoder : Module
        From inputs to a representation (n, features).
    heads : mapping from task to Module
        A head for each task.
    relation : Relation, optional
        What ties the heads together: a penalty on `task_matrix`.

    References
    ----------
    Caruana 1997, Multitask learning, Machine Learning 28.

    Examples
    --------
    >>> import torch
    >>> model = HardSharing(nn.Linear(5, 8), {"price": nn.Linear(8, 1), "sold": nn.Linear(8, 1)})
    >>> {task: tuple(output.shape) for task, output in model(torch.zeros(3, 5)).items()}
    {'price': (3, 1), 'sold': (3, 1)}
    """

    def __init__(
        self, encoder: nn.Module, heads: Mapping[Hashable, nn.Module] | Heads, relation: Relation | None = None
    ) -> None:
        super().__init__(heads, relation)
        self.encoder = encoder

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Encode once, and give every task's output."""
        self.representation = self.encoder(x)
        return self.heads(self.representation, self.asked(tasks))

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give one with one hidden layer of 6."""
        encoder = nn.Sequential(nn.Linear(features, 6), nn.Tanh())
        return cls(encoder, {task: nn.Linear(6, 1) for task in tasks})
