"""ESMM: a funnel whose later steps are chances given the earlier ones, learned over all rows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.tie import Tie
from relatask.notices import InputError
from relatask.relations import Relation


class ESMM(Model):
    """A funnel of yes-or-no steps: the chance of each is that of the step before times that of going on.

    ``P(step_k | x) = prod over j <= k of sigmoid(head_j(encoder(x)))``: the entire-space multi-task model. Outputs are
    logits of these products, so that each step is a task of kind "binary" over *all* rows, without ``where=``; how
    likely it is to go on (p(conversion | click)) is learned although nobody labels it, and `conditional` gives it.

    Parameters
    ----------
    encoder : Module
        From x to what the heads read; shared by all tasks.
    heads : mapping from task to Module
        The towers, one output each; tasks outside the chain have plain heads.
    chain : sequence of task, optional
        The steps in order, each possible only after the one before; all tasks by default.
    relation : Relation or Tie, optional
        What ties the heads together.

    Raises
    ------
    InputError
        For a chain of fewer than two tasks, or with one that has no head.

    References
    ----------
    Ma, Zhao, Huang, Wang, Hu, Zhu, Gai 2018, Entire space multi-task model: an effective approach for estimating
    post-click conversion rate, SIGIR, equations 2 to 4.

    Examples
    --------
    >>> towers = {"click": nn.Linear(8, 1), "conversion": nn.Linear(8, 1)}
    >>> model = ESMM(nn.Linear(5, 8), towers)
    >>> x = torch.randn(4, 5)
    >>> chance = {task: logit.sigmoid() for task, logit in model(x).items()}
    >>> bool((chance["conversion"] <= chance["click"]).all())
    True
    >>> going_on = model.conditional(x)["conversion"].sigmoid()
    >>> torch.allclose(chance["click"] * going_on, chance["conversion"])
    True
    """

    def __init__(
        self,
        encoder: nn.Module,
        heads: Mapping[Hashable, nn.Module] | Heads,
        chain: Sequence[Hashable] | None = None,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        self.encoder = encoder
        self.chain = self.asked(chain)
        if len(set(self.chain)) < max(len(self.chain), 2):
            raise InputError(f"ESMM: the chain is {self.chain!r}; expected two steps or more, each once.")

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give a funnel of all tasks."""
        heads = {task: nn.Linear(4, 1) for task in tasks}
        return cls(nn.Sequential(nn.Linear(features, 4), nn.Tanh()), heads)

    def own(self, task: Hashable) -> tuple[nn.Module, ...]:
        """A task's head; but the heads of earlier steps take part in the later ones, and are shared."""
        return () if task in self.chain[:-1] else (self.heads[task],)

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Give logits of the whole chance of each step, from all rows."""
        asked = self.asked(tasks)
        outputs = self.conditional(x, asked)
        reached: Tensor | None = None
        for step in self.chain:
            if step in outputs:
                reached = outputs[step] if reached is None else both(reached, outputs[step])
                outputs[step] = reached
        return {task: outputs[task] for task in asked}

    def conditional(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Give logits of going on to each step, given the one before; of the steps before those asked for too."""
        asked = self.asked(tasks)
        last = max((self.chain.index(task) for task in asked if task in self.chain), default=-1)
        self.representation = self.encoder(x)
        return self.heads(self.representation, tuple(dict.fromkeys([*self.chain[: last + 1], *asked])))


def both(first: Tensor, second: Tensor) -> Tensor:
    """Give the logit of sigmoid(first) * sigmoid(second), exact for logits of any size.

    ``-log(exp(-a) + exp(-b) + exp(-a - b))``, because p / (1 - p) of the product is one over that sum.

    Examples
    --------
    >>> both(torch.tensor(0.0), torch.tensor(0.0)).sigmoid()
    tensor(0.2500)
    """
    return -torch.stack([-first, -second, -first - second]).logsumexp(0)
