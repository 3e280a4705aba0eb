"""Cross-stitch networks: a network for each task, their activations mixed after every stage."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.stages import Stages, columns, features_of, small
from relatask.nets.tie import Tie
from relatask.notices import InputError
from relatask.relations import Relation


class CrossStitch(Model):
    """A column of stages for each task; after every stage each task goes on with a learned mixture of all columns.

    ``h_k <- sum_j alpha_kj stage_j(h_j)``, alpha (t, t) of its own after each stage, 1 x `same` on the diagonal and
    `other` elsewhere at the start. Every column takes part in every task's output, so all of them are shared.

    Parameters
    ----------
    stages : sequence of functions
        Each makes a stage; called once for each task.
    heads : mapping from task to Module
        A head for each task.
    same : float
        What of its own column a task starts with.
    other : float, optional
        What of each other column; by default (1 - same) / (t - 1), so that rows sum to one.
    relation : Relation or Tie, optional
        What ties the heads together: a penalty on `task_matrix`.

    Raises
    ------
    InputError
        For stages that are no functions, or whose outputs differ in shape between tasks.

    References
    ----------
    Misra et al. 2016, Cross-stitch networks for multi-task learning, CVPR, equation 1 (one alpha for all channels).

    Examples
    --------
    >>> model = CrossStitch([lambda: nn.Linear(5, 8)], {"a": nn.Linear(8, 1), "b": nn.Linear(8, 1)}, same=0.75)
    >>> outputs = model(torch.zeros(3, 5))
    >>> model.gates()["stitch 0"]
    tensor([[0.7500, 0.2500],
            [0.2500, 0.7500]])
    """

    def __init__(
        self,
        stages: Stages,
        heads: Mapping[Hashable, nn.Module] | Heads,
        same: float = 0.9,
        other: float | None = None,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        self.columns = nn.ModuleList(map(nn.ModuleList, columns(stages, len(self.tasks), "CrossStitch")))
        start = mixture(len(self.tasks), same, other)
        self.stitches = nn.ParameterList([Parameter(start.clone()) for _ in stages])

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Run all columns side by side, and give the asked tasks' outputs."""
        asked = self.asked(tasks)
        bodies: Any = self.columns
        inputs: list[Any] = [x] * len(self.tasks)
        for number, alpha in enumerate(self.stitches):
            outputs = [column[number](h) for column, h in zip(bodies, inputs, strict=True)]
            inputs = list(torch.tensordot(alpha, alike(outputs, self.tasks, number, "CrossStitch"), dims=1))
            self.show_gate(f"stitch {number}", alpha)
        held = dict(zip(self.tasks, inputs, strict=True))
        return self.heads.each({task: held[task] for task in asked})

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give one of two stages, 6 wide."""
        return cls(small(features, 6, 6), {task: nn.Linear(6, 1) for task in tasks})


def mixture(n: int, same: float, other: float | None) -> Tensor:
    """Give alpha (n, n) to start with."""
    rest = (1 - same) / max(n - 1, 1) if other is None else other
    return torch.full((n, n), float(rest)).fill_diagonal_(float(same))


def alike(outputs: Sequence[Any], tasks: Sequence[Hashable], stage: int, owner: str) -> Tensor:
    """Give the columns' outputs as one tensor (t, n, ...), and refuse those that differ in shape."""
    for task, h in zip(tasks, outputs, strict=True):
        features_of(h, stage, owner)
        if h.shape != outputs[0].shape:
            raise InputError(
                f"{owner}: stage {stage} puts out {tuple(h.shape)} for task {task!r} and {tuple(outputs[0].shape)} for "
                f"{tasks[0]!r}; only activations of one shape can be mixed."
            )
    return torch.stack(list(outputs))
