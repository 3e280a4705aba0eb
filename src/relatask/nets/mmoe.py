"""MMoE: all tasks use the same experts, each through a gate of its own."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

from torch import Tensor, nn

from relatask.nets.experts import BatchedExperts, ExpertGroup, load_of, mixtures, uneven
from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.tie import Tie
from relatask.relations import Relation


class MMoE(Model):
    """All tasks use the same experts, each through a gate of its own: a multi-gate mixture of experts.

    ``y_k = head_k(sum_e g_k(z)_e f_e(z))``, ``g_k(z) = softmax(V_k z)``, ``z = encoder(x)``

    Parameters
    ----------
    experts : ExpertGroup
        From z (n, features) to (n, count, width): `BatchedExperts`, or `Experts` for any modules.
    heads : mapping from task to Module
        A head for each task, from `experts.width` numbers.
    features : int
        Width of z, which the gates read.
    encoder : Module, optional
        From x to z, shared by all tasks; x itself by default.
    load_balance : float
        Strength of a penalty on experts that are used unevenly (`relatask.nets.experts.uneven`); 0 is the paper's.
    relation : Relation or Tie, optional
        What ties the heads together.

    References
    ----------
    Ma, Zhao, Yi, Chen, Hong, Chi 2018, Modeling task relationships in multi-task learning with multi-gate
    mixture-of-experts, KDD, equations 5 to 7.

    Examples
    --------
    >>> import torch
    >>> heads = {"price": nn.Linear(8, 1), "sold": nn.Linear(8, 1)}
    >>> model = MMoE(BatchedExperts(4, 16, (8,)), heads, features=16)
    >>> model(torch.zeros(3, 16))["sold"].shape
    torch.Size([3, 1])
    >>> model.gates()["price"].shape
    torch.Size([4])
    """

    def __init__(
        self,
        experts: ExpertGroup,
        heads: Mapping[Hashable, nn.Module] | Heads,
        features: int,
        encoder: nn.Module | None = None,
        load_balance: float = 0.0,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        self.encoder = nn.Identity() if encoder is None else encoder
        self.experts = experts
        self.selectors = Heads({task: nn.Linear(features, experts.count, bias=False) for task in self.tasks})
        self.load_balance = load_balance

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give three experts of two layers."""
        heads = {task: nn.Linear(4, 1) for task in tasks}
        return cls(BatchedExperts(3, features, (6, 4)), heads, features, load_balance=0.1)

    def own(self, task: Hashable) -> tuple[nn.Module, ...]:
        """A task's head and its gate."""
        return self.heads[task], self.selectors[task]

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Ask every expert once, and mix their answers for each task."""
        z = self.encoder(x)
        answers = self.experts(z)
        gates: dict[Hashable, Tensor] = {
            task: logits.softmax(-1) for task, logits in self.selectors(z, self.asked(tasks)).items()
        }
        for task, gate in gates.items():
            self.show_gate(str(task), load_of(gate))
        if self.load_balance:
            self.add_penalty("load_balance", self.load_balance * uneven(list(gates.values())))
        return self.heads.each(mixtures(gates, answers, joined=self.heads.joining))
