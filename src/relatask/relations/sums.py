"""Sums of relations, how a solver takes one apart, and the parameters inside."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np

from relatask.notices import InputError
from relatask.relations.checks import Array
from relatask.relations.precision import Precision
from relatask.relations.relation import Alternating, FeatureQuadratic, Proximal, Quadratic, Relation, Smooth
from relatask.relations.splitting import Split


@dataclass(frozen=True, eq=False)
class Sum(Relation):
    """The sum of several relations, made by ``+``.

    Parameters
    ----------
    parts : tuple of Relation
        Sums among them are taken apart, so that `parts` is flat.

    Raises
    ------
    InputError
        If a part is not a relation, or there is none.

    Examples
    --------
    >>> from relatask.relations import Ridge, TraceNorm
    >>> total = Ridge(0.1) + TraceNorm(2.0)
    >>> total.names
    ('Ridge', 'TraceNorm')
    >>> float(total([[3.0, 4.0]]))
    11.25
    """

    parts: tuple[Relation, ...]

    formula: ClassVar[str] = "R_1(W) + R_2(W) + ..."
    source: ClassVar[str] = "the sum of its parts"

    def __post_init__(self) -> None:
        """Check and flatten the parts."""
        flat: list[Relation] = []
        for part in self.parts:
            if not isinstance(part, Relation):
                raise InputError(f"Sum: {part!r} is not a relation; expected relations such as Ridge(1.0).")
            flat.extend(parts(part))
        if not flat:
            raise InputError("Sum: no parts given; expected at least one relation.")
        _check_together(flat)
        object.__setattr__(self, "parts", tuple(flat))

    def value(self, W: Array) -> Array:
        """Give the sum of the parts' values."""
        first, *others = self.parts
        total = first.value(W)
        for part in others:
            total = total + part.value(W)
        return total

    def given(self, W: Array) -> Sum:
        """Give the sum of the parts, each given W: itself, where none learns anything."""
        learned = tuple(part.given(W) for part in self.parts)
        return self if all(new is old for new, old in zip(learned, self.parts, strict=True)) else Sum(learned)

    def bind(self, tasks: Sequence[Hashable]) -> Sum:
        """Give the sum of the parts, each bound to the tasks."""
        return Sum(tuple(part.bind(tasks) for part in self.parts))

    def among(self, kept: Sequence[int]) -> Sum:
        """Give the sum of the parts, each left with some of its tasks."""
        return Sum(tuple(part.among(kept) for part in self.parts))

    def placed(self, columns: np.ndarray, n_features: int) -> Sum:
        """Give the sum of the parts, each placed among more columns."""
        return Sum(tuple(part.placed(columns, n_features) for part in self.parts))

    @property
    def names(self) -> tuple[str, ...]:
        """One unique name per part: its class; the second of a class is `Ridge_2`, the third `Ridge_3`."""
        seen: Counter[str] = Counter()
        names = []
        for part in self.parts:
            name = type(part).__name__
            seen[name] += 1
            names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
        return tuple(names)

    def part(self, name: str) -> Relation:
        """Give the part of this name; raise InputError naming those there are."""
        return self.parts[self._index(name)]

    def with_part(self, name: str, part: Relation) -> Sum:
        """Give a sum in which the part of this name is replaced by another."""
        index = self._index(name)
        return Sum((*self.parts[:index], part, *self.parts[index + 1 :]))

    def quadratic(self, n_tasks: int) -> Precision | None:
        """Give the precision of the quadratic parts together, None if there are none."""
        total: Precision | None = None
        for part in self.parts:
            if isinstance(part, Quadratic):
                precision = part.precision(n_tasks)
                total = precision if total is None else total + precision
        return total

    def convex(self) -> tuple[Proximal | Split, ...]:
        """Give the parts that are convex, but not quadratic."""
        return tuple(part for part in self.parts if isinstance(part, Proximal | Split))

    @property
    def vanishes(self) -> bool:
        """Whether every part is zero everywhere."""
        return all(part.vanishes for part in self.parts)

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give a ridge plus a trace norm."""
        from relatask.relations.norms import TraceNorm
        from relatask.relations.quadratic import Ridge

        return cls((Ridge.example(n_tasks), TraceNorm.example(n_tasks)))

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise InputError(f"the sum has no part {name!r}; its parts are {', '.join(self.names)}.")
        return self.names.index(name)


def parts(relation: Relation) -> tuple[Relation, ...]:
    """Give the parts of a sum, or the relation itself as its only part."""
    return relation.parts if isinstance(relation, Sum) else (relation,)


def split(relation: Relation, n_tasks: int) -> tuple[Precision | None, tuple[Proximal | Split, ...]]:
    """Take a convex relation apart into what a solver can use: one precision, and the terms that are not quadratic.

    Raises
    ------
    InputError
        If a part is not convex; it is named.

    Examples
    --------
    >>> from relatask.relations import Pairwise, Ridge, Sparse
    >>> precision, terms = split(Ridge(1.0) + Pairwise(0.5) + Sparse(2.0), n_tasks=3)
    >>> type(precision).__name__, terms
    ('LowRank', (Sparse(strength=2.0),))
    """
    terms = [term for part in parts(relation) for term in part.terms()]
    for term in terms:
        if isinstance(term, FeatureQuadratic):
            raise InputError(
                f"{type(term).__name__} prices features, not tasks, so that it has no precision; its form goes to the "
                "tasks' own (relatask.linear.features.priced), and the other parts come here."
            )
        if not isinstance(term, Quadratic | Proximal | Split):
            raise InputError(
                f"{type(term).__name__} is not convex, so that the convex solvers cannot use it; "
                "expected relations with a precision or a prox, or sums of these."
            )
    whole = Sum(tuple(terms))
    return whole.quadratic(n_tasks), whole.convex()


def is_quadratic(relation: Relation) -> bool:
    """Whether a solver sees nothing but one precision."""
    return all(isinstance(term, Quadratic) for part in parts(relation) for term in part.terms())


def surrogate(relation: Relation) -> Relation:
    """Give the relation with what alternates replaced by its convex surrogate; itself where nothing does."""
    if isinstance(relation, Sum):
        return Sum(tuple(surrogate(part) for part in relation.parts))
    return relation.surrogate() if isinstance(relation, Alternating) else relation


def strengths(relation: Relation) -> dict[str, Any]:
    """Give the relation's strengths by name, as `parameters` names them; "auto" where one is still to be chosen.

    Examples
    --------
    >>> from relatask.relations import Chain, Ridge
    >>> strengths(Ridge(1.0) + Chain("auto"))
    {'Ridge__strength': 1.0, 'Chain__strength': 'auto'}
    """
    if isinstance(relation, Sum):
        return {
            f"{name}__{key}": value
            for name, part in zip(relation.names, relation.parts, strict=True)
            for key, value in strengths(part).items()
        }
    return {name: getattr(relation, name) for name in relation.strengths}


def parameters(relation: Relation) -> dict[str, Any]:
    """Give the relation's fields by name; those of a sum's parts as `Pairwise__strength`.

    Examples
    --------
    >>> from relatask.relations import Pairwise, Ridge
    >>> parameters(Ridge(1.0) + Pairwise(0.5))
    {'Ridge__strength': 1.0, 'Pairwise__strength': 0.5}
    """
    if isinstance(relation, Sum):
        return {
            f"{name}__{key}": value
            for name, part in zip(relation.names, relation.parts, strict=True)
            for key, value in parameters(part).items()
        }
    return {field.name: getattr(relation, field.name) for field in fields(relation)}


def with_parameters(relation: Relation, **values: Any) -> Relation:
    """Give the relation with some fields replaced, named as `parameters` names them; nothing is mutated.

    Raises
    ------
    InputError
        For a name that the relation does not have.

    Examples
    --------
    >>> from relatask.relations import Pairwise, Ridge
    >>> with_parameters(Ridge(1.0) + Pairwise(0.5), Pairwise__strength=2.0).parts
    (Ridge(strength=1.0), Pairwise(strength=2.0))
    """
    known = parameters(relation)
    for name in values:
        if name not in known:
            raise InputError(f"{type(relation).__name__} has no parameter {name!r}; it has {', '.join(known)}.")
    if not isinstance(relation, Sum):
        return replace(relation, **values)
    for name, value in values.items():
        part_name, field_name = name.split("__", 1)
        part = relation.part(part_name)
        relation = relation.with_part(part_name, replace(part, **{field_name: value}))
    return relation


def is_final(kind: Any) -> bool:
    """Whether this is a relation a person can choose by name: concrete, and not the sum of others."""
    return inspect.isclass(kind) and issubclass(kind, Relation) and not inspect.isabstract(kind) and kind is not Sum


def _check_together(flat: Sequence[Relation]) -> None:
    """Raise InputError, by name, for parts that no solver can take together."""
    names = " + ".join(type(part).__name__ for part in flat)
    for part in flat:
        name = type(part).__name__
        if part.alone and len(flat) > 1:
            raise InputError(f"{names}: {name} is a whole model and cannot be combined; use {name} alone.")
        if isinstance(part, Smooth):
            fit = Smooth | Quadratic | FeatureQuadratic
            others = [type(other).__name__ for other in flat if not isinstance(other, fit)]
            if others:
                raise InputError(
                    f"{names}: {name} is not convex and has no prox, so that it combines with quadratic relations "
                    f"only (Ridge, Pairwise, Graph, ...); leave out {', '.join(others)}."
                )
