"""What a relation R(W) is, and what it can do: base classes, sums, and how a solver takes one apart."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from array_api_compat import to_device

from relatask.notices import InputError
from relatask.relations.checks import Array, like, read_w
from relatask.relations.precision import Precision


@dataclass(frozen=True, eq=False)
class Relation(ABC):
    """What we believe ties the tasks together: a convex function R(W) of the (t, d) matrix of task parameters.

    Relations are values: frozen dataclasses, never mutated, combined by ``+``. `value` is written against the array
    API, so W may be a numpy array or a torch tensor (then it is differentiable).
    """

    formula: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def value(self, W: Array) -> Array:
        """Give R(W), zero-dimensional, in W's namespace and dtype; W is (t, d)."""

    @classmethod
    @abstractmethod
    def example(cls, n_tasks: int) -> Self:
        """Give a small valid instance for this many tasks: for the laws, the docs and `relatask methods`."""

    def given(self, W: Array) -> Relation:
        """Give the relation with what it can learn from W filled in: itself, for one that learns nothing."""
        return self

    def bind(self, tasks: Sequence[Hashable]) -> Relation:
        """Give the relation for these tasks, in this order: labels become positions, sizes are checked."""
        return self

    def among(self, kept: Sequence[int]) -> Relation:
        """Give what the relation says of some of its tasks, when nothing is known of the others; call it after `bind`.

        A task without data costs nothing where it is best: the result is the least R over the rows left out, as a
        function of the rows kept. For a ridge and for the norms that is the relation itself. `Pairwise` too stays as it
        is, though that least is t/(t - 1) times larger for every task that goes: its formula is about the tasks there
        are. Of a sum each part is taken by itself.

        Parameters
        ----------
        kept : sequence of int
            Positions of the tasks that stay, ascending.
        """
        return self

    def __call__(self, W: Array) -> Array:
        """Give R(W)."""
        return self.value(W)

    def __add__(self, other: Relation) -> Sum:
        """Give the sum of two relations."""
        return Sum((self, other)) if isinstance(other, Relation) else NotImplemented


class Quadratic(Relation):
    """A relation R(W) = 1/2 tr(W' P W), with P a (t, t) positive semidefinite precision."""

    @abstractmethod
    def precision(self, n_tasks: int) -> Precision:
        """Give P for this many tasks, as structured as it is."""

    def prox(self, W: Array, step: float) -> Array:
        """Give (I + step P)^-1 W, the minimiser of step R(V) + 1/2 ||V - W||_F^2 (not differentiable)."""
        W, xp = read_w(W, owner=type(self).__name__)
        if step == 0:
            return W
        values = np.asarray(to_device(W, "cpu"), dtype=np.float64)
        # (I + step P)^-1 = (1/step) (I/step + P)^-1
        return like(self.precision(W.shape[0]).solve(1 / step, values) / step, W, xp)


class Proximal(Relation):
    """A relation that is strength times a norm of W, with a proximal operator."""

    @abstractmethod
    def prox(self, W: Array, step: float) -> Array:
        """Give the minimiser over V of step R(V) + 1/2 ||V - W||_F^2."""

    @abstractmethod
    def dual_norm(self, Z: Array) -> Array:
        """Give the dual norm of Z (t, d), without the strength: max of <Z, W> over W of norm <= 1."""


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
        object.__setattr__(self, "parts", tuple(flat))

    def value(self, W: Array) -> Array:
        """Give the sum of the parts' values."""
        first, *others = self.parts
        total = first.value(W)
        for part in others:
            total = total + part.value(W)
        return total

    def given(self, W: Array) -> Sum:
        """Give the sum of the parts, each given W."""
        return Sum(tuple(part.given(W) for part in self.parts))

    def bind(self, tasks: Sequence[Hashable]) -> Sum:
        """Give the sum of the parts, each bound to the tasks."""
        return Sum(tuple(part.bind(tasks) for part in self.parts))

    def among(self, kept: Sequence[int]) -> Sum:
        """Give the sum of the parts, each left with some of its tasks."""
        return Sum(tuple(part.among(kept) for part in self.parts))

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

    def proximal(self) -> tuple[Proximal, ...]:
        """Give the proximal parts: the norms."""
        return tuple(part for part in self.parts if isinstance(part, Proximal))

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


def split(relation: Relation, n_tasks: int) -> tuple[Precision | None, tuple[Proximal, ...]]:
    """Take a relation apart into what a solver can use: one precision and some norms.

    Raises
    ------
    InputError
        If a part is neither `Quadratic` nor `Proximal`; it is named.

    Examples
    --------
    >>> from relatask.relations import Pairwise, Ridge, Sparse
    >>> precision, norms = split(Ridge(1.0) + Pairwise(0.5) + Sparse(2.0), n_tasks=3)
    >>> type(precision).__name__, norms
    ('LowRank', (Sparse(strength=2.0),))
    """
    for part in parts(relation):
        if not isinstance(part, Quadratic | Proximal):
            raise InputError(
                f"{type(part).__name__} is neither Quadratic nor Proximal, so the linear solvers cannot use it; "
                f"expected relations with a precision or a prox, or sums of these."
            )
    whole = Sum((relation,))
    return whole.quadratic(n_tasks), whole.proximal()


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
