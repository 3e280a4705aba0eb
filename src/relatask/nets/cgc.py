"""CGC: experts of all tasks and experts of each; a task's gate chooses among its own and the common ones."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any, Self

import torch
from torch import nn

from relatask.nets.experts import BatchedExperts, Group, load_of, mixed
from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.tie import Tie
from relatask.relations import Relation


class CGC(Model):
    """Experts of all tasks beside experts of each: customized gate control.

    ``y_k = head_k(w_k(z) S_k(z))``, ``S_k`` the answers of the experts of task k and of the common ones, side by side,
    ``w_k(z) = softmax(W_k z)`` over both, ``z = encoder(x)``.

    Parameters
    ----------
    experts : (count) -> ExpertGroup
        Gives a group of so many experts: ``lambda count: BatchedExperts(count, 16, (8,))``.
    heads : mapping from task to Module
        A head for each task, from the experts' width.
    features : int
        Width of z, which experts and gates read.
    common, own : int
        How many experts all tasks have together, and how many each has for itself.
    encoder : Module, optional
        From x to z, shared by all tasks; x itself by default.
    relation : Relation or Tie, optional
        What ties the heads together.

    References
    ----------
    Tang, Liu, Zhao, Gong 2020, Progressive layered extraction (PLE): a novel multi-task learning model for personalized
    recommendations, RecSys, equations 1 to 4.

    Examples
    --------
    >>> heads = {"price": nn.Linear(8, 1), "sold": nn.Linear(8, 1)}
    >>> model = CGC(lambda count: BatchedExperts(count, 16, (8,)), heads, features=16, common=3, own=2)
    >>> model(torch.zeros(3, 16))["sold"].shape
    torch.Size([3, 1])
    >>> model.gates()["price"].shape
    torch.Size([5])
    """

    def __init__(
        self,
        experts: Group,
        heads: Mapping[Hashable, nn.Module] | Heads,
        features: int,
        common: int = 1,
        own: int = 1,
        encoder: nn.Module | None = None,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        self.encoder = nn.Identity() if encoder is None else encoder
        self.common = experts(common)
        self.apart = Heads({task: experts(own) for task in self.tasks})
        self.selectors = Heads({task: nn.Linear(features, common + own, bias=False) for task in self.tasks})

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give two common experts and one for each task."""
        heads = {task: nn.Linear(4, 1) for task in tasks}
        return cls(partial(BatchedExperts, features=features, widths=(4,)), heads, features, common=2)

    def own(self, task: Hashable) -> tuple[nn.Module, ...]:
        """A task's head, its experts and its gate."""
        return self.heads[task], self.apart[task], self.selectors[task]

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Ask the common experts once and a task's own for it, and mix."""
        z = self.encoder(x)
        asked = self.asked(tasks)
        common, logits = self.common(z), self.selectors(z, asked)
        mixtures = {}
        for task, answers in self.apart(z, asked).items():
            gate = logits[task].softmax(-1)
            self.show_gate(str(task), load_of(gate))
            mixtures[task] = mixed(gate, torch.cat([answers, common], -2))
        return self.heads.each(mixtures)
