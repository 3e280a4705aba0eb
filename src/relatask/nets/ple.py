"""PLE: levels of experts, each task's and the common ones, with a gate of the common path that reads them all."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from relatask.nets.experts import BatchedExperts, Group, load_of, mixed
from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.tie import Tie
from relatask.relations import Relation


class PLE(Model):
    """Levels of experts, from common ones to each task's: progressive layered extraction.

    Level j turns the tasks' ``z_k`` and the common ``z_s`` into

    * ``z_k <- softmax(W_k z_k) [E_k(z_k), E_s(z_s)]``, a task's gate, over its own experts and the common ones;
    * ``z_s <- softmax(W_s z_s) [E_1(z_1), ..., E_t(z_t), E_s(z_s)]``, the common gate, over all experts, at every level
      but the last.

    All begin as ``encoder(x)``, and ``y_k = head_k(z_k)``. Because of the common gate the experts of one task serve the
    others too at every level but the last: they count as shared parameters there, and so do gates whose mixture such
    experts read.

    Parameters
    ----------
    levels : sequence of (count) -> ExpertGroup
        For each level what gives a group of so many experts; the first reads `features` numbers, each other one the
        width of the level before.
    heads : mapping from task to Module
        A head for each task, from the width of the last level.
    features : int
        Width of ``encoder(x)``.
    common, own : int
        At each level, how many experts all tasks have together, and how many each has.
    encoder : Module, optional
        Shared by all tasks; x itself by default.
    relation : Relation or Tie, optional
        What ties the heads together.

    References
    ----------
    Tang, Liu, Zhao, Gong 2020, Progressive layered extraction (PLE): a novel multi-task learning model for personalized
    recommendations, RecSys, equations 5 and 6.

    Examples
    --------
    >>> levels = [lambda count: BatchedExperts(count, 16, (12,)), lambda count: BatchedExperts(count, 12, (8,))]
    >>> model = PLE(levels, {"price": nn.Linear(8, 1), "sold": nn.Linear(8, 1)}, features=16)
    >>> model(torch.zeros(3, 16))["sold"].shape
    torch.Size([3, 1])
    >>> sorted(model.gates())
    ['common/0', 'price/0', 'price/1', 'sold/0', 'sold/1']
    """

    def __init__(
        self,
        levels: Sequence[Group],
        heads: Mapping[Hashable, nn.Module] | Heads,
        features: int,
        common: int = 1,
        own: int = 1,
        encoder: nn.Module | None = None,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        self.encoder = nn.Identity() if encoder is None else encoder
        groups = [experts(common) for experts in levels]
        self.common = nn.ModuleList(groups)
        self.apart = nn.ModuleList([Heads({task: experts(own) for task in self.tasks}) for experts in levels])
        widths = [features, *(group.width for group in groups)]
        self.selectors = nn.ModuleList(
            [Heads({k: nn.Linear(width, own + common, bias=False) for k in self.tasks}) for width in widths[:-1]]
        )
        everyone = own * len(self.tasks) + common
        self.common_selectors = nn.ModuleList([nn.Linear(width, everyone, bias=False) for width in widths[:-2]])

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give three levels of a common expert and one for each task."""
        levels = [partial(BatchedExperts, features=width, widths=(4,)) for width in (features, 4, 4)]
        return cls(levels, {task: nn.Linear(4, 1) for task in tasks}, features)

    def own(self, task: Hashable) -> tuple[nn.Module, ...]:
        """A task's head, its experts of the last level, and its gates of the last two."""
        last, gates = cast(Heads, self.apart[-1]), [cast(Heads, level)[task] for level in self.selectors[-2:]]
        return (self.heads[task], last[task], *gates)

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Go through the levels; at the last, only for the tasks asked for."""
        asked = self.asked(tasks)
        shared = self.encoder(x)
        own: dict[Hashable, Tensor] = dict.fromkeys(self.tasks, shared)
        last = len(self.common) - 1
        for level, (experts, apart, selectors) in enumerate(zip(self.common, self.apart, self.selectors, strict=True)):
            read = {task: own[task] for task in (asked if level == last else self.tasks)}
            common = experts(shared)
            answers, logits = cast(Heads, apart).each(read), cast(Heads, selectors).each(read)
            for task in read:
                gate = logits[task].softmax(-1)
                self.show_gate(f"{task}/{level}", load_of(gate))
                own[task] = mixed(gate, torch.cat([answers[task], common], -2))
            if level < last:
                gate = self.common_selectors[level](shared).softmax(-1)
                self.show_gate(f"common/{level}", load_of(gate))
                shared = mixed(gate, torch.cat([*answers.values(), common], -2))
        return self.heads.each({task: own[task] for task in asked})
