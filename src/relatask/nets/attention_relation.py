"""AttentionRelation: which tasks are alike is learned with the net, by attention between task embeddings."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor, nn

from relatask.nets.tie import Tie
from relatask.notices import InputError
from relatask.relations.checks import check_strength


class AttentionRelation(Tie):
    """Each task's head is drawn to a mixture of the others', which attention between task embeddings chooses.

    ``R(W, E) = strength * sum_k ||w_k - sum_{l != k} a_kl w_l||^2 + ridge/2 * ||E||_F^2``, with
    ``a_kl = softmax over l != k of <Q e_k, K e_l> / sqrt(width)``

    A relation that is neither given nor linear: it moves with the tasks while they are trained, by the same optimizer.
    It is not symmetric, so that a task may lean on another that does not lean on it. A task never attends to itself,
    for then it would be its own mixture and the penalty nothing. Attention that is the same for all is the mean of the
    others; it can sharpen without end onto one task, which the ridge on the embeddings holds back.

    Parameters
    ----------
    strength : float >= 0
        Of the pull.
    width : int
        Of embeddings, queries and keys.
    ridge : float >= 0
        Of the embeddings.

    Raises
    ------
    InputError
        For strengths that are no numbers >= 0, and for fewer than two tasks.

    References
    ----------
    Vaswani et al. 2017, Attention is all you need, NeurIPS, equation 1, for the attention; the penalty is that of a
    mean-regularised net (Evgeniou and Pontil 2004, KDD) with the mean made a mixture.

    Examples
    --------
    >>> from relatask.nets import HardSharing
    >>> heads = {task: nn.Linear(8, 1) for task in ("a", "b", "c")}
    >>> model = HardSharing(nn.Linear(5, 8), heads, relation=AttentionRelation(0.1))
    >>> model.penalties()["relation"].requires_grad
    True
    >>> model.relation.attention().sum(1).round(decimals=4).tolist()
    [1.0, 1.0, 1.0]
    """

    def __init__(self, strength: float = 1.0, width: int = 8, ridge: float = 1e-3) -> None:
        super().__init__()
        for name, value in (("strength", strength), ("ridge", ridge)):
            if isinstance(check_strength("AttentionRelation", value, name), str):
                raise InputError(f"AttentionRelation: {name}='auto' cannot be chosen; give a number.")
        if width < 1:
            raise InputError(f"AttentionRelation: width={width!r}; expected a number >= 1.")
        self.strength, self.width, self.ridge = float(strength), width, float(ridge)
        self.query, self.key = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.embeddings: nn.Parameter | None = None

    @property
    def vanishes(self) -> bool:
        """Whether its strength is zero."""
        return self.strength == 0

    def bind(self, tasks: Sequence[Hashable]) -> AttentionRelation:
        """Make an embedding for each task: a relation of its own for every model."""
        if len(tasks) < 2:
            raise InputError(f"AttentionRelation ties two tasks or more; there is {len(tasks)}.")
        bound = AttentionRelation(self.strength, self.width, self.ridge)
        bound.embeddings = nn.Parameter(torch.randn(len(tasks), self.width))
        return bound

    def attention(self) -> Tensor:
        """Give a (t, t): how much task k (row) leans on task l; zero on the diagonal, rows sum to one."""
        E = self._embedded()
        scores = self.query(E) @ self.key(E).T / self.width**0.5
        return scores.masked_fill(torch.eye(len(E), dtype=torch.bool, device=E.device), -torch.inf).softmax(-1)

    def forward(self, W: Tensor) -> Tensor:
        """Give the penalty, with gradients for W and the embeddings; W is (t, d)."""
        E = self._embedded()
        if len(W) != len(E):
            raise InputError(f"AttentionRelation: W has {len(W)} rows and there are {len(E)} tasks; give one a task.")
        distance = W - self.attention() @ W
        return self.strength * distance.square().sum() + self.ridge / 2 * E.square().sum()

    def learn(self, W: Tensor) -> None:
        """Do nothing: it learns with the net."""

    def _embedded(self) -> Tensor:
        if self.embeddings is None:
            raise InputError("AttentionRelation has no tasks yet; give it to a model as relation=, or call bind.")
        return self.embeddings
