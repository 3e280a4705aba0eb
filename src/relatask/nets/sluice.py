"""Sluice networks: a network for each task, mixed by subspace after every stage, and over stages before the head."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from relatask.nets.cross_stitch import alike, mixture
from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.stages import Stages, columns, feature_axis, features_of, small
from relatask.nets.tie import Tie
from relatask.notices import InputError
from relatask.relations import Relation


class Sluice(Model):
    """A column of stages for each task; subspaces of all columns are mixed (alpha), and a task's stages too (beta).

    The features of ``stage_j(h_j)`` are cut into s subspaces; the (t s) pieces of all tasks are mixed by alpha
    (t s, t s) after each stage and put together again as h_j; ``output_k = head_k(sum_l beta_kl h_k^l)``. The penalty
    "orthogonality" is ``strength * mean over columns and stages of sum_{a<b} ||H_a' H_b||_F^2 / n^2``, H_a (n, f / s)
    the activations of a subspace before mixing, n rows (or tokens, or pixels).

    Parameters
    ----------
    stages : sequence of functions
        Each makes a stage; called once for each task.
    heads : mapping from task to Module
        A head for each task.
    subspaces : int
        s, which must divide the features of every stage.
    same : float
        What of itself a subspace starts with.
    other : float, optional
        What of each other one; by default (1 - same) / (t s - 1).
    orthogonality : float
        The strength of the penalty that keeps a column's subspaces apart.
    mix_stages : bool
        Whether heads take a mixture of all stages (beta, equal parts at the start), which then must be of one shape;
        else the last.
    relation : Relation or Tie, optional
        What ties the heads together: a penalty on `task_matrix`.

    Raises
    ------
    InputError
        For stages that are no functions, and outputs that cannot be mixed.

    Notes
    -----
    The paper's penalty is Bousmalis et al. 2016's between "layer-wise subspaces"; its code takes the halves of a
    layer's weights. Here it is that of the activations, because a stage may be anything.

    References
    ----------
    Ruder et al. 2019, Latent multi-task architecture learning, AAAI, section 2.

    Examples
    --------
    >>> model = Sluice([lambda: nn.Linear(5, 8)], {"a": nn.Linear(8, 1), "b": nn.Linear(8, 1)})
    >>> outputs = model(torch.zeros(3, 5))
    >>> {name: tuple(gate.shape) for name, gate in model.gates().items()}
    {'alpha 0': (4, 4), 'beta': (2, 1)}
    """

    def __init__(
        self,
        stages: Stages,
        heads: Mapping[Hashable, nn.Module] | Heads,
        subspaces: int = 2,
        same: float = 0.9,
        other: float | None = None,
        orthogonality: float = 0.1,
        mix_stages: bool = True,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        if not isinstance(subspaces, int) or subspaces < 1:
            raise InputError(f"Sluice: subspaces is {subspaces!r}; an integer >= 1 is needed.")
        if not orthogonality >= 0:
            raise InputError(f"Sluice: orthogonality is {orthogonality!r}; a number >= 0 is needed.")
        self.columns = nn.ModuleList(map(nn.ModuleList, columns(stages, len(self.tasks), "Sluice")))
        self.subspaces, self.orthogonality = subspaces, orthogonality
        start = mixture(len(self.tasks) * subspaces, same, other)
        self.alphas = nn.ParameterList([Parameter(start.clone()) for _ in stages])
        even = torch.full((len(stages),), 1 / len(stages))
        self.betas = nn.ParameterList([Parameter(even.clone()) for _ in self.tasks if mix_stages])

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Run all columns side by side, and give the asked tasks' outputs."""
        asked = self.asked(tasks)
        bodies: Any = self.columns
        inputs: list[Any] = [x] * len(self.tasks)
        levels: list[Tensor] = []
        terms: list[Tensor] = []
        for number, alpha in enumerate(self.alphas):
            outputs = [column[number](h) for column, h in zip(bodies, inputs, strict=True)]
            pieces = self._cut(alike(outputs, self.tasks, number, "Sluice"), number)
            if self.training and self.subspaces > 1 and self.orthogonality:
                terms.append(overlap(pieces))
            mixed = torch.tensordot(alpha, pieces.flatten(0, 1), dims=1).unflatten(0, pieces.shape[:2])
            levels.append(self._join(mixed, outputs[0]))
            inputs = list(levels[-1])
            self.show_gate(f"alpha {number}", alpha)
        if terms:
            self.add_penalty("orthogonality", self.orthogonality * torch.stack(terms).mean())
        if self.betas:
            self.show_gate("beta", torch.stack(list(self.betas)))
        return self.heads.each({task: self._mixed(levels, self.tasks.index(task)) for task in asked})

    def own(self, task: Hashable) -> Iterable[nn.Module | Parameter]:
        """The task's head and its mixture of stages."""
        return (self.heads[task], *([self.betas[self.tasks.index(task)]] if self.betas else []))

    def _cut(self, h: Tensor, stage: int) -> Tensor:
        """Give (t, s, n, ..., f / s), features last, from (t, n, ...)."""
        width = features_of(h[0], stage, "Sluice")
        if width % self.subspaces:
            raise InputError(
                f"Sluice: stage {stage} puts out {width} features, which {self.subspaces} subspaces do not divide."
            )
        last = h.movedim(feature_axis(h[0]) + 1, -1)
        return torch.stack(last.chunk(self.subspaces, -1), 1)

    def _join(self, pieces: Tensor, like: Tensor) -> Tensor:
        return torch.cat(list(pieces.unbind(1)), -1).movedim(-1, feature_axis(like) + 1)

    def _mixed(self, levels: Sequence[Tensor], place: int) -> Tensor:
        if not self.betas:
            return levels[-1][place]
        for number, level in enumerate(levels):
            if level.shape != levels[-1].shape:
                raise InputError(
                    f"Sluice: stage {number} puts out {tuple(level.shape[1:])} and the last "
                    f"{tuple(levels[-1].shape[1:])}; only stages of one shape can be mixed: give mix_stages=False."
                )
        return torch.stack(
            [weight * level[place] for weight, level in zip(self.betas[place], levels, strict=True)]
        ).sum(0)

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give one of two stages, 6 wide, in two subspaces."""
        return cls(small(features, 6, 6), {task: nn.Linear(6, 1) for task in tasks})


def overlap(pieces: Tensor) -> Tensor:
    """Give sum_{a<b} ||H_a' H_b||_F^2 / n^2, mean over tasks, of pieces (t, s, n, ..., f)."""
    flat = pieces.flatten(2, -2)
    found = [flat[:, a].mT @ flat[:, b] / flat.shape[2] for a, b in combinations(range(flat.shape[1]), 2)]
    return torch.stack([each.square().sum((-2, -1)) for each in found]).sum(0).mean()
