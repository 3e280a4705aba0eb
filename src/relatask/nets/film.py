"""FiLM: one body for all tasks; after every stage each task scales and shifts its features."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.stages import Stages, along_features, build, check_widths, features_of, small
from relatask.nets.tie import Tie
from relatask.relations import Relation


class FiLM(Model):
    """A body conditioned on the task: ``h_l = gamma_kl * stage_l(h_{l-1}) + beta_kl``, feature by feature.

    gamma starts at one and beta at zero, so the net begins as hard sharing. By default each task has its own gamma and
    beta. With `embedding` it has an embedding instead, of so many numbers, from which one linear map, shared by all
    tasks, makes gamma - 1 and beta: fewer parameters a task, and similar tasks are conditioned alike.

    Parameters
    ----------
    stages : sequence of functions
        Each makes a stage of the body.
    heads : mapping from task to Module
        A head for each task.
    widths : sequence of int
        How many features (channels) each stage puts out.
    embedding : int, optional
        The length of a task's embedding.
    relation : Relation or Tie, optional
        What ties the heads together: a penalty on `task_matrix`.

    Raises
    ------
    InputError
        For widths that are not those of the stages.

    References
    ----------
    Perez et al. 2018, FiLM: visual reasoning with a general conditioning layer, AAAI, equation 2; here the condition is
    the task.

    Examples
    --------
    >>> model = FiLM([lambda: nn.Linear(5, 8)], {"a": nn.Linear(8, 1), "b": nn.Linear(8, 1)}, widths=[8])
    >>> {task: tuple(output.shape) for task, output in model(torch.zeros(3, 5)).items()}
    {'a': (3, 1), 'b': (3, 1)}
    """

    def __init__(
        self,
        stages: Stages,
        heads: Mapping[Hashable, nn.Module] | Heads,
        widths: Sequence[int],
        embedding: int | None = None,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        self.stages = nn.ModuleList(build(stages, "FiLM"))
        self.widths = check_widths(widths, stages, "FiLM")
        size = 2 * sum(self.widths)
        self.generator = None if embedding is None else nn.Linear(embedding, size, bias=False)
        if self.generator is not None:
            nn.init.zeros_(self.generator.weight)
        starts = [torch.zeros(size) if embedding is None else torch.randn(embedding) for _ in self.tasks]
        self.conditions = nn.ParameterList([Parameter(start) for start in starts])
        """Each task's embedding, or its gamma - 1 and beta of all stages."""

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Run the first stage once, the others for each asked task."""
        asked = self.asked(tasks)
        first = self.stages[0](x)
        features_of(first, 0, "FiLM", self.widths[0])
        return self.heads.each({task: self._conditioned(first, task) for task in asked})

    def own(self, task: Hashable) -> Iterable[nn.Module | Parameter]:
        """The task's head, and its scales and shifts or its embedding."""
        return (self.heads[task], self.conditions[self.tasks.index(task)])

    def modulation(self, task: Hashable) -> list[tuple[Tensor, Tensor]]:
        """Give gamma (f,) and beta (f,) of every stage."""
        condition = self.conditions[self.tasks.index(task)]
        made = condition if self.generator is None else self.generator(condition)
        scales, shifts = made.chunk(2)
        return [(1 + g, b) for g, b in zip(scales.split(self.widths), shifts.split(self.widths), strict=True)]

    def _conditioned(self, first: Tensor, task: Hashable) -> Tensor:
        h = first
        for number, (gamma, beta) in enumerate(self.modulation(task)):
            if number:
                h = self.stages[number](h)
                features_of(h, number, "FiLM", self.widths[number])
            h = along_features(gamma, h) * h + along_features(beta, h)
            self.show_gate(f"gamma {number} {task}", gamma)
        return h

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give one of two stages, 6 and 5 wide."""
        return cls(small(features, 6, 5), {task: nn.Linear(5, 1) for task in tasks}, widths=(6, 5))
