"""Task adapters: one body for all tasks, and for each a low-rank change of every weight."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import Parameter

from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.stages import Each, parameter_of
from relatask.nets.tie import Tie
from relatask.notices import InputError
from relatask.relations import Relation

ADAPTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class TaskAdapters(Model):
    """One encoder; for each task every linear and convolutional weight is ``W + scale * B_k A_k``, of low rank.

    A weight of a convolution is taken as a matrix (out, in x height x width). B starts at zero, so the net begins as
    hard sharing; the change costs rank x (out + in) numbers a weight and task. Works with any encoder, a trained one
    included: freeze it, and only the tasks' own parameters learn.

    Parameters
    ----------
    encoder : Module
        From inputs to a representation (n, features).
    heads : mapping from task to Module
        A head for each task.
    rank : int
        Columns of B.
    scale : float
        What the change is multiplied by.
    relation : Relation or Tie, optional
        What ties the heads together: a penalty on `task_matrix`.

    Raises
    ------
    InputError
        For a rank below 1, and an encoder without a linear or convolutional layer.

    References
    ----------
    Rebuffi, Bilen and Vedaldi 2017, Learning multiple visual domains with residual adapters, NeurIPS; Hu et al. 2022,
    LoRA: low-rank adaptation of large language models, ICLR, section 4.1.

    Examples
    --------
    >>> model = TaskAdapters(nn.Linear(5, 8), {"a": nn.Linear(8, 1), "b": nn.Linear(8, 1)}, rank=2)
    >>> sum(p.numel() for p in model.task_parameters("a"))  # 2 x (5 + 8) and the head's 9
    35
    """

    def __init__(
        self,
        encoder: nn.Module,
        heads: Mapping[Hashable, nn.Module] | Heads,
        rank: int = 4,
        scale: float = 1.0,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        if not isinstance(rank, int) or rank < 1:
            raise InputError(f"TaskAdapters: rank is {rank!r}; an integer >= 1 is needed.")
        self.encoder, self.scale = encoder, scale
        self.adapted = tuple(
            f"{name}.weight" if name else "weight" for name, m in encoder.named_modules() if isinstance(m, ADAPTED)
        )
        """The names of the weights that tasks change."""
        if not self.adapted:
            raise InputError(
                f"TaskAdapters: the encoder, a {type(encoder).__name__}, has no linear or convolutional layer to "
                "adapt; use FiLM, or HardSharing."
            )
        weights = [encoder.get_parameter(name) for name in self.adapted]
        self.adapters = Each(
            {task: nn.ModuleList([LowRank(weight, rank) for weight in weights]) for task in self.tasks}
        )

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Run the encoder for each asked task with its weights."""
        return self.heads.each({task: self._encoded(x, task) for task in self.asked(tasks)})

    def own(self, task: Hashable) -> Iterable[nn.Module | Parameter]:
        """The task's changes of weights and its head."""
        return (self.adapters[task], self.heads[task])

    def _encoded(self, x: Any, task: Hashable) -> Any:
        weights: dict[str, Tensor] = {}
        sizes = []
        adapters: Any = self.adapters[task]
        for name, adapter in zip(self.adapted, adapters, strict=True):
            weight = parameter_of(self.encoder, name)
            change = self.scale * adapter().view(weight.shape)
            weights[name] = weight + change
            sizes.append(change.detach().norm() / weight.detach().norm())
        self.show_gate(f"change {task}", torch.stack(sizes))
        return functional_call(self.encoder, weights, (x,))

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give one with one hidden layer of 6 and changes of rank 2."""
        encoder = nn.Sequential(nn.Linear(features, 6), nn.Tanh())
        return cls(encoder, {task: nn.Linear(6, 1) for task in tasks}, rank=2)


class LowRank(nn.Module):
    """B A, of the size of a weight seen as a matrix; zero at the start."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        out, into = weight.shape[0], weight[0].numel()
        self.A = Parameter(torch.randn(rank, into, dtype=weight.dtype, device=weight.device) / into**0.5)
        self.B = Parameter(weight.new_zeros(out, rank))

    def forward(self) -> Tensor:
        """Give B A (out, in)."""
        return self.B @ self.A
