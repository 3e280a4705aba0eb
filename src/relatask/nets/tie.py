"""`Tie`: what ties the heads of a net together; any relation R(W) does, `AttentionRelation` is one that is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from relatask.notices import InputError
from relatask.relations import FeatureQuadratic, Relation, Sum, parameters, parts, strengths, with_parameters


class Tie(nn.Module, ABC):
    """A penalty on the tasks' own weights W (t, d); a Module, because it may be trained or have learned something."""

    @property
    @abstractmethod
    def vanishes(self) -> bool:
        """Whether it is zero everywhere."""

    @abstractmethod
    def bind(self, tasks: Sequence[Hashable]) -> Tie:
        """Give the tie of these tasks, in this order: itself, once it has checked them."""

    @abstractmethod
    def forward(self, W: Tensor) -> Tensor:
        """Give the penalty, a scalar; W is (t, d)."""

    @abstractmethod
    def learn(self, W: Tensor) -> None:
        """Learn from W what is learned between steps, by a formula; nothing, for most."""


class TieByRelation(Tie):
    """A relation on the heads of a net; what it learns is part of the net's state.

    Parameters
    ----------
    relation : Relation
        Any that acts on the tasks' weights, its strengths numbers.

    Raises
    ------
    InputError
        For a strength that is "auto", and for relations that are no penalty on heads: those that stand for a whole
        linear model (HierarchicalPrior, TaskRelationNetwork) and those that price the columns of X (Manifold).

    Examples
    --------
    >>> from relatask.relations import LearnedCovariance
    >>> tie = TieByRelation(LearnedCovariance(2.0))
    >>> tie.learn(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    >>> (tie.relation.correlation.round(6) + 0.0).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """

    def __init__(self, relation: Relation) -> None:
        super().__init__()
        _check(relation)
        self.relation = relation

    @property
    def vanishes(self) -> bool:
        """Whether the relation is zero everywhere, because its strengths are."""
        return self.relation.vanishes

    def bind(self, tasks: Sequence[Hashable]) -> Tie:
        """Bind the relation to the tasks: labels become rows, sizes are checked."""
        return TieByRelation(self.relation.bind(list(tasks)))

    def forward(self, W: Tensor) -> Tensor:
        """Give R(W)."""
        return self.relation.value(W)

    @torch.no_grad()
    def learn(self, W: Tensor) -> None:
        """Fill in what the relation learns from W (`Relation.given`)."""
        self.relation = self.relation.given(W.detach())

    def get_extra_state(self) -> dict[str, Tensor]:
        """Give what was learned, by the names of the relation's fields."""
        return {name: torch.tensor(value) for name, value in self._learned().items() if value is not None}

    def set_extra_state(self, state: Mapping[str, Tensor]) -> None:
        """Take what was learned."""
        known = self._learned()
        unknown = [name for name in state if name not in known]
        if unknown:
            raise InputError(
                f"the state holds {', '.join(unknown)}, which {type(self.relation).__name__} does not learn; make the "
                "model with the relation that it was saved with."
            )
        values = {name: state[name].cpu().numpy() if name in state else None for name in known}
        self.relation = with_parameters(self.relation, **values)

    def _learned(self) -> dict[str, Any]:
        """What it can learn, by the names of `parameters`."""
        relation = self.relation
        if isinstance(relation, Sum):
            pairs = zip(relation.names, relation.parts, strict=True)
            names = {f"{name}__{field}" for name, part in pairs for field in part.learned}
        else:
            names = set(relation.learned)
        return {name: value for name, value in parameters(relation).items() if name in names}


def tie_of(relation: Relation | Tie, tasks: Sequence[Hashable]) -> Tie:
    """Give the tie of these tasks."""
    if not isinstance(relation, Relation | Tie):
        raise InputError(
            f"relation is {relation!r:.80}, a {type(relation).__name__}; expected a relation such as Pairwise(0.1), or "
            "AttentionRelation(...)."
        )
    return (TieByRelation(relation) if isinstance(relation, Relation) else relation).bind(tasks)


def _check(relation: Relation) -> None:
    for part in parts(relation):
        name = type(part).__name__
        if part.alone:
            raise InputError(
                f"{name} stands for a whole linear model, not for a penalty on weights, so that heads cannot be tied "
                "by it; LearnedGraph, LearnedCovariance or AttentionRelation learn how heads go together."
            )
        if isinstance(part, FeatureQuadratic):
            raise InputError(
                f"{name} prices the columns of X, and heads take a representation that changes as it is trained; tie "
                "heads by a relation between tasks, such as Pairwise or Graph."
            )
    auto = [name for name, value in strengths(relation).items() if isinstance(value, str)]
    if auto:
        raise InputError(
            f"the relation's {auto[0]} is 'auto', which only the linear estimators can choose; give a number, and "
            "choose among several on validation data (relatask compare)."
        )
