"""AITM: a chain of towers, each taking over what it can use of the one before."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from relatask.nets.experts import load_of
from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.tie import Tie
from relatask.notices import InputError
from relatask.relations import Relation


class AITM(Model):
    """A chain of tasks in which each takes over what it can use of the one before, by attention.

    With ``q_k = tower_k(encoder(x))``: ``z_1 = q_1``, ``z_k = sum over u in {p_k, q_k} of w_u V_k u``,
    ``p_k = info_k(z_{k-1})``, ``w = softmax over u of <A_k u, B_k u> / sqrt(width)``, and ``y_k = head_k(z_k)``.

    Penalty (calibrator): ``calibrator * sum_k mean over rows of max(P_k - P_{k-1}, 0)``, P the chances: a later step
    cannot be likelier than the one before.

    Parameters
    ----------
    encoder : Module
        Shared by all tasks.
    tower : () -> Module
        Gives a task's tower, from the encoder's output to (n, width).
    heads : mapping from task to Module
        From (n, width), in the order of the chain.
    width : int
        Of the towers.
    calibrator : float
        Strength of the penalty; the paper's is 0.6.
    steps : sequence of task, optional
        The tasks whose outputs are logits of steps that happen only after one another, for the calibrator; all by
        default. A number at the end of the chain (what was spent) is left out of it.
    relation : Relation or Tie, optional
        What ties the heads together.

    Raises
    ------
    InputError
        For fewer than two tasks, a step without a head, or a negative calibrator.

    References
    ----------
    Xi, Chen, Yan, Zhang, Zhu, Zhuang, Chen 2021, Modeling the sequential dependence among audience multi-step
    conversions with multi-task learning in targeted display advertising, KDD, equations 3 to 9.

    Examples
    --------
    >>> heads = {"click": nn.Linear(6, 1), "conversion": nn.Linear(6, 1)}
    >>> model = AITM(nn.Linear(5, 8), lambda: nn.Linear(8, 6), heads, width=6)
    >>> model(torch.randn(4, 5))["conversion"].shape
    torch.Size([4, 1])
    >>> model.gates()["conversion"].shape
    torch.Size([2])
    """

    def __init__(
        self,
        encoder: nn.Module,
        tower: Callable[[], nn.Module],
        heads: Mapping[Hashable, nn.Module] | Heads,
        width: int,
        calibrator: float = 0.6,
        steps: Sequence[Hashable] | None = None,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        if len(self.tasks) < 2 or calibrator < 0:
            raise InputError(
                f"AITM: {len(self.tasks)} tasks and calibrator={calibrator!r}; expected a chain of two tasks or more, "
                "and a strength >= 0."
            )
        self.encoder = encoder
        self.towers = Heads({task: tower() for task in self.tasks})
        self.transfers = nn.ModuleList([_Transfer(width) for _ in self.tasks[1:]])
        self.calibrator, self.steps = calibrator, frozenset(self.asked(steps))

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give linear towers."""
        encoder = nn.Sequential(nn.Linear(features, 4), nn.Tanh())
        return cls(encoder, lambda: nn.Linear(4, 3), {task: nn.Linear(3, 1) for task in tasks}, 3)

    def own(self, task: Hashable) -> tuple[nn.Module, ...]:
        """A task's head; the last one's tower too, for every other one serves those that follow."""
        last = (self.towers[task], self.transfers[-1]) if task == self.tasks[-1] else ()
        return (self.heads[task], *last)

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Go along the chain as far as the last task asked for."""
        asked = self.asked(tasks)
        names = self.tasks[: max((self.tasks.index(task) for task in asked), default=-1) + 1]
        towers = self.towers(self.encoder(x), names)
        found: dict[Hashable, Tensor] = {}
        before: Tensor | None = None
        for place, task in enumerate(names):
            if before is None:
                before = towers[task]
            else:
                before, weight = self.transfers[place - 1](before, towers[task])
                self.show_gate(str(task), load_of(weight))
            found[task] = before
        outputs = self.heads.each(found if self.training and self.calibrator else {task: found[task] for task in asked})
        if self.training and self.calibrator:
            self.add_penalty("calibrator", self.calibrator * self._excess(outputs))
        return {task: outputs[task] for task in asked}

    def _excess(self, outputs: Mapping[Hashable, Tensor]) -> Tensor:
        """Give by how much later steps are likelier than those before them, the mean over rows."""
        chances = [output.sigmoid() for task, output in outputs.items() if task in self.steps]
        pairs = zip(chances[1:], chances, strict=False)
        terms = [(later - earlier).clamp_min(0).mean() for later, earlier in pairs]
        return torch.stack(terms).sum() if terms else next(iter(outputs.values())).new_zeros(())


class _Transfer(nn.Module):
    """From z_{k-1} and q_k to z_k, and how much of each it took (n, 2): first what was handed on, then its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.info = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.value, self.query, self.key = (nn.Linear(width, width) for _ in range(3))

    def forward(self, before: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        u = torch.stack([self.info(before), own], -2)
        weight = ((self.query(u) * self.key(u)).sum(-1) / u.shape[-1] ** 0.5).softmax(-1)
        return (weight.unsqueeze(-2) @ self.value(u)).squeeze(-2), weight
