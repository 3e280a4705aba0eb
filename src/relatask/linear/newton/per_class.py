"""A relation on each of several classes, whose coefficients stand side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from relatask.linear.sums.forms import Array
from relatask.notices import InputError
from relatask.relations import Alternating, Proximal, Quadratic, Relation, Smooth, Split, Sum, parts


@dataclass(frozen=True)
class PerClass(Proximal):
    """sum over classes c of R(W_c), for W (t, C p): the classes' coefficients side by side."""

    part: Proximal
    n_classes: int

    formula: ClassVar[str] = "sum over classes c of R(W_c)"
    source: ClassVar[str] = "the relation of one class"
    strengths: ClassVar[tuple[str, ...]] = ()

    @property
    def vanishes(self) -> bool:
        """Whether the relation of one class is zero."""
        return self.part.vanishes

    def value(self, W: Array) -> Array:
        """Give the sum."""
        return np.asarray(sum(float(self.part.value(own)) for own in self._classes(W)))

    def prox(self, W: Array, step: float) -> Array:
        """Give each class's prox."""
        return np.concatenate([self.part.prox(own, step) for own in self._classes(W)], axis=1)

    def gauge(self, Z: Array) -> Array:
        """Give the largest of the classes' gauges."""
        return np.asarray(max(float(self.part.gauge(own)) for own in self._classes(Z)))

    def conjugate(self, Z: Array) -> Array:
        """Give the sum of the classes' conjugates."""
        return np.asarray(sum(float(self.part.conjugate(own)) for own in self._classes(Z)))

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give two classes of a lasso."""
        from relatask.relations import Sparse

        return cls(Sparse.example(n_tasks), 2)

    def _classes(self, W: Array) -> list[Array]:
        return np.split(W, self.n_classes, axis=1)


@dataclass(frozen=True)
class PerClassSplit(Split):
    """The same for a relation of W as a sum of components."""

    part: Split
    n_classes: int

    formula: ClassVar[str] = "sum over classes c of R(W_c)"
    source: ClassVar[str] = "the relation of one class"
    strengths: ClassVar[tuple[str, ...]] = ()

    def summands(self) -> dict[str, Proximal]:
        """Give each component's relation, on every class."""
        return {name: PerClass(part, self.n_classes) for name, part in self.part.summands().items()}

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give two classes of a low-rank matrix with outlying tasks."""
        from relatask.relations import RobustLowRank

        return cls(RobustLowRank.example(n_tasks), 2)


def per_class(relation: Relation, n_classes: int) -> Relation:
    """The relation that acts on each class of W (t, C p); a quadratic one acts on columns, and is that already."""
    for part in parts(relation):
        if isinstance(part, Alternating | Smooth):
            raise InputError(
                f"{type(part).__name__} is not for several classes; use a convex relation, such as Pairwise, "
                "or fit one class against the others."
            )
    found: list[Relation] = []
    for term in (term for part in parts(relation) for term in part.terms()):
        if isinstance(term, Proximal) and not isinstance(term, Quadratic):
            found.append(PerClass(term, n_classes))
        else:
            found.append(PerClassSplit(term, n_classes) if isinstance(term, Split) else term)
    return Sum(tuple(found))
