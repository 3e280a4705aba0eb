"""Experts: several small nets that read the same, evaluated as one product; and gates that mix what they give."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from relatask.notices import InputError


class ExpertGroup(nn.Module, ABC):
    """Experts that read the same.

    Parameters
    ----------
    count : int
        How many.
    width : int
        Of their answers.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.count, self.width = count, width

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Give every expert's answer (n, count, width) to x (n, features)."""


Group = Callable[[int], ExpertGroup]
"""Gives a group of so many experts, for example ``lambda count: BatchedExperts(count, 16, (32,))``."""


class BatchedExperts(ExpertGroup):
    """Experts that are nets of the same linear layers, evaluated as one batched product.

    ``h_e <- activation(W_e h_e + b_e)``, layer by layer. The first layer, where all experts read the same x, is one
    product with (count * out, in); each other one is a batched product (count, n, in) x (count, in, out).

    Parameters
    ----------
    count : int
        How many experts.
    features : int
        Width of what they read.
    widths : sequence of int
        Widths of their layers; the last is that of their answers.
    activation : () -> Module
        After every layer, the last included.

    Raises
    ------
    InputError
        For no expert, or no layer.

    Examples
    --------
    >>> experts = BatchedExperts(4, features=16, widths=(32, 8))
    >>> experts(torch.zeros(5, 16)).shape
    torch.Size([5, 4, 8])
    """

    def __init__(
        self, count: int, features: int, widths: Sequence[int], activation: Callable[[], nn.Module] = nn.ReLU
    ) -> None:
        if count < 1 or features < 1 or not widths or min(widths) < 1:
            raise InputError(
                f"BatchedExperts: count={count}, features={features}, widths={tuple(widths)}; expected at least one "
                "expert, one feature and one layer."
            )
        super().__init__(count, widths[-1])
        sizes = [features, *widths]
        self.weights = nn.ParameterList([_uniform((count, o, i), i) for i, o in pairwise(sizes)])
        self.biases = nn.ParameterList([_uniform((count, o), i) for i, o in pairwise(sizes)])
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        """Give (..., count, width) from x (..., features)."""
        weight, bias = self.weights[0], self.biases[0]
        h = self.activation(linear(x, weight.flatten(0, 1), bias.flatten()))
        h = h.unflatten(-1, (self.count, -1))
        for weight, bias in list(zip(self.weights, self.biases, strict=True))[1:]:  # a slice would copy what stands in
            rows = h.reshape(-1, *h.shape[-2:]).transpose(0, 1)
            out = self.activation(torch.baddbmm(bias[:, None], rows, weight.mT))
            h = out.transpose(0, 1).reshape(*h.shape[:-1], -1)
        return h


class Experts(ExpertGroup):
    """Experts of any kind, evaluated one by one.

    Parameters
    ----------
    experts : sequence of Module
        Each from x to (n, width).
    width : int
        Of their answers.

    Raises
    ------
    InputError
        For no expert.

    Examples
    --------
    >>> experts = Experts([nn.Linear(16, 8), nn.Sequential(nn.Linear(16, 8), nn.Tanh())], width=8)
    >>> experts(torch.zeros(5, 16)).shape
    torch.Size([5, 2, 8])
    """

    def __init__(self, experts: Sequence[nn.Module], width: int) -> None:
        if not experts:
            raise InputError("Experts: none given; expected at least one module.")
        super().__init__(len(experts), width)
        self.experts = nn.ModuleList(experts)

    def forward(self, x: Tensor) -> Tensor:
        """Give (n, count, width)."""
        return torch.stack([expert(x) for expert in self.experts], -2)


def mixed(gate: Tensor, experts: Tensor) -> Tensor:
    """Give ``sum_e g_e h_e`` (n, width): gate (n, count), or (count,) for all rows alike, experts (n, count, width).

    Examples
    --------
    >>> mixed(torch.tensor([[0.25, 0.75]]), torch.tensor([[[0.0, 4.0], [4.0, 8.0]]]))
    tensor([[3., 7.]])
    """
    return (gate.unsqueeze(-1) * experts).sum(-2)


def mixtures(gates: Mapping[Hashable, Tensor], experts: Tensor, *, joined: bool) -> dict[Hashable, Tensor]:
    """Give every task's mixture of the same experts; joined, all by one product, as `Heads` evaluates heads."""
    if not joined or len(gates) < 2:
        return {task: mixed(gate, experts) for task, gate in gates.items()}
    return dict(zip(gates, (torch.stack(list(gates.values()), -2) @ experts).unbind(-2), strict=True))


def uneven(gates: Sequence[Tensor]) -> Tensor:
    """Give the squared coefficient of variation of the experts' loads, 0 where all are used alike.

    ``CV(I)^2 = var(I) / mean(I)^2`` with I_e the sum of gates over rows and tasks (Shazeer et al. 2017, Outrageously
    large neural networks, ICLR, equations 6 and 7).

    Examples
    --------
    >>> uneven([torch.tensor([[1.0, 0.0], [0.0, 1.0]])]), uneven([torch.tensor([[1.0, 0.0], [1.0, 0.0]])])
    (tensor(0.), tensor(1.))
    """
    load = torch.stack([gate.reshape(-1, gate.shape[-1]).mean(0) for gate in gates]).mean(0)
    return load.var(correction=0) / load.mean().square()


def load_of(gate: Tensor) -> Tensor:
    """Give the mean gate of every expert (count,), for `Model.show_gate`."""
    return gate.detach().reshape(-1, gate.shape[-1]).mean(0)


def _uniform(shape: tuple[int, ...], fan: int) -> nn.Parameter:
    """As `torch.nn.Linear` begins: uniform within 1 / sqrt(inputs)."""
    bound = fan**-0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
