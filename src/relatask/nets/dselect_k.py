"""DSelectK: every task selects k of the experts, by gates that are smooth and end at exactly one expert each."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import ceil, log2
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.special import entr

from relatask.nets.experts import BatchedExperts, ExpertGroup, load_of, mixtures
from relatask.nets.heads import Heads
from relatask.nets.model import Model
from relatask.nets.tie import Tie
from relatask.notices import InputError
from relatask.relations import Relation


class DSelectK(Model):
    """Every task selects k of the experts: differentiable selection in a mixture of experts.

    ``y_k = head_k(sum_e q_e f_e(z))``, ``q = sum_i softmax(a)_i r(z^i)`` over k selectors. A selector has a code of
    m = ceil(log2(count)) numbers, one a binary digit of an expert's number, ``r(z)_e = prod over digits j of s(z_j)``
    where e's digit is one and ``1 - s(z_j)`` where it is none. s is a smooth step that is exactly 0 and 1 outside of
    (-width/2, width/2), so that a selector ends at one expert.

    Parameters
    ----------
    experts : ExpertGroup
        From z (n, features) to (n, count, width).
    heads : mapping from task to Module
        A head for each task, from `experts.width` numbers.
    k : int
        How many selectors a task has: the most experts it ends with.
    features : int, optional
        Given, codes and weights are linear in z, which has so many numbers, each row choosing for itself; None, they
        are a task's own and the same for all rows.
    entropy : float
        Strength of ``sum_i H(r(z^i))``, which drives every selector to one expert; and, where the number of experts is
        no power of 2, of ``sum_i 1 / sum_e r(z^i)_e``, which drives it away from codes that name none. Both are sums
        over the tasks of a part, and of a batch in several parts the mean over them.
    step_width : float
        Of the smooth step.
    encoder : Module, optional
        From x to z, shared by all tasks; x itself by default.
    relation : Relation or Tie, optional
        What ties the heads together.

    Raises
    ------
    InputError
        For k that is no number of selectors, or a width that is not positive.

    References
    ----------
    Hazimeh, Zhao, Chowdhery, Sathiamoorthy, Chen, Mazumder, Hong, Chi 2021, DSelect-k: differentiable selection in the
    mixture of experts with applications to multi-task learning, NeurIPS, equations 4 to 7.

    Examples
    --------
    >>> heads = {"price": nn.Linear(8, 1), "sold": nn.Linear(8, 1)}
    >>> model = DSelectK(BatchedExperts(4, 16, (8,)), heads, k=2)
    >>> model(torch.zeros(3, 16))["sold"].shape
    torch.Size([3, 1])
    >>> round(float(model.gates()["price"].sum()), 6)
    1.0
    """

    digits: Tensor

    def __init__(
        self,
        experts: ExpertGroup,
        heads: Mapping[Hashable, nn.Module] | Heads,
        k: int = 2,
        features: int | None = None,
        entropy: float = 0.0,
        step_width: float = 1.0,
        encoder: nn.Module | None = None,
        relation: Relation | Tie | None = None,
    ) -> None:
        super().__init__(heads, relation)
        if k < 1 or not step_width > 0:
            raise InputError(f"DSelectK: k={k!r} and step_width={step_width!r}; expected k >= 1 and a width > 0.")
        self.encoder = nn.Identity() if encoder is None else encoder
        self.experts = experts
        self.entropy, self.step_width, self.conditional = entropy, step_width, features is not None
        count = experts.count
        digits = max(ceil(log2(count)), 1)
        places = torch.arange(count)[:, None] >> torch.arange(digits) & 1
        self.register_buffer("digits", places.bool(), persistent=False)
        self.selectors = Heads({task: _Selector(k, digits, features, step_width) for task in self.tasks})

    @classmethod
    def example(cls, tasks: Sequence[Hashable], features: int) -> Self:
        """Give two selectors among three experts, each row choosing for itself."""
        heads = {task: nn.Linear(4, 1) for task in tasks}
        return cls(BatchedExperts(3, features, (4,)), heads, features=features, entropy=0.1)

    def own(self, task: Hashable) -> tuple[nn.Module, ...]:
        """A task's head and its selectors."""
        return self.heads[task], self.selectors[task]

    def forward(self, x: Any, tasks: Sequence[Hashable] | None = None) -> dict[Hashable, Any]:
        """Ask every expert once, and mix those that each task selects."""
        z = self.encoder(x)
        answers = self.experts(z)
        gates, terms = {}, []
        for task, (codes, weights) in self.selectors(z, self.asked(tasks)).items():
            chosen = selection(codes, self.digits, self.step_width)
            gate = (weights.softmax(-1).unsqueeze(-2) @ chosen).squeeze(-2)
            self.show_gate(str(task), load_of(gate))
            gates[task] = gate
            terms.append(undecided(chosen, whole=len(self.digits) == 2 ** self.digits.shape[1]))
        if self.entropy:
            self.add_penalty("entropy", self.entropy * torch.stack(terms).sum())
        return self.heads.each(mixtures(gates, answers, joined=self.heads.joining))


class _Selector(nn.Module):
    """Codes (..., k, digits) and weights (..., k) of one task: linear in z, or its own and the same for all."""

    def __init__(self, k: int, digits: int, features: int | None, width: float) -> None:
        super().__init__()
        self.k, self.digits = k, digits
        if features is None:
            self.codes: nn.Module | nn.Parameter = nn.Parameter(torch.empty(k, digits).uniform_(-1, 1) * width / 100)
            self.weights: nn.Module | nn.Parameter = nn.Parameter(torch.empty(k).uniform_(-0.05, 0.05))
        else:
            self.codes, self.weights = nn.Linear(features, k * digits), nn.Linear(features, k)
            with torch.no_grad():
                self.codes.weight.uniform_(-width / 100, width / 100)
                self.codes.bias.zero_()

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self.codes, nn.Module) and isinstance(self.weights, nn.Module):
            return self.codes(z).unflatten(-1, (self.k, self.digits)), self.weights(z)
        return self.codes, self.weights  # type: ignore[return-value]


def smooth_step(x: Tensor, width: float = 1.0) -> Tensor:
    """Give 0 below -width/2, 1 above width/2, and ``-2 x^3 / width^3 + 3 x / (2 width) + 1/2`` between.

    Examples
    --------
    >>> smooth_step(torch.tensor([-1.0, -0.25, 0.0, 0.5]))
    tensor([0.0000, 0.1562, 0.5000, 1.0000])
    """
    u = (x / width).clamp(-0.5, 0.5)
    return -2 * u**3 + 1.5 * u + 0.5


def selection(codes: Tensor, digits: Tensor, width: float = 1.0) -> Tensor:
    """Give how far each selector is at each expert (..., k, count), from codes (..., k, m) and digits (count, m).

    Examples
    --------
    >>> digits = torch.tensor([[False, False], [True, False], [False, True], [True, True]])
    >>> selection(torch.tensor([[0.5, -0.5]]), digits)
    tensor([[0., 1., 0., 0.]])
    """
    s = smooth_step(codes, width).unsqueeze(-2)
    return torch.where(digits, s, 1 - s).prod(-1)


def undecided(chosen: Tensor, *, whole: bool) -> Tensor:
    """Give ``sum_i H(r_i)``, and ``sum_i 1 / sum_e r_ie`` too unless every code names an expert; means over rows."""
    terms = entr(chosen.clamp_min(torch.finfo(chosen.dtype).tiny)).sum(-1)  # at 0 the slope is infinite, times 0
    if not whole:
        terms = terms + 1 / chosen.sum(-1).clamp_min(1e-6)
    return terms.sum(-1).mean()
