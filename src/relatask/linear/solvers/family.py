"""Precisions along a path of strengths: P_s = sum over the quadratic parts of strength_s times that part's P."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.forms import Array
from relatask.relations import Quadratic, Relation, parts
from relatask.relations.precision import Diagonal, Precision


@dataclass(frozen=True, eq=False)
class Family:
    """s precisions that differ in their strengths only.

    Attributes
    ----------
    units : the parts' precisions at strength 1, at least one.
    strengths : (len(units), s).
    """

    units: tuple[Precision, ...]
    strengths: Array

    def __len__(self) -> int:
        return self.strengths.shape[1]

    @property
    def n_tasks(self) -> int:
        """t."""
        return self.units[0].n_tasks

    def apply(self, W: Array) -> Array:
        """P_s W[:, s] for every s; W is (t, s, d)."""
        flat = W.reshape(len(W), -1)
        out = np.zeros_like(W)
        for unit, strength in zip(self.units, self.strengths, strict=True):
            out += unit.apply(flat).reshape(W.shape) * strength[:, None]
        return out

    def diagonal(self) -> Array:
        """(t, s) diagonals."""
        return np.stack([unit.diagonal() for unit in self.units], axis=1) @ self.strengths

    def member(self, s: int) -> Precision:
        """P_s."""
        total = self.units[0].scaled(float(self.strengths[0, s]))
        for unit, strength in zip(self.units[1:], self.strengths[1:], strict=True):
            total = total + unit.scaled(float(strength[s]))
        return total

    def members(self) -> list[Precision]:
        """All of them."""
        return [self.member(s) for s in range(len(self))]

    def some(self, index: slice | NDArray[np.bool_]) -> Family:
        """The family of some of its members."""
        return replace(self, strengths=self.strengths[:, index])


def family(relations: Sequence[Relation], n_tasks: int) -> Family:
    """The precisions of relations that differ in their strengths only; their norms are left out."""
    columns = [[part for part in parts(r) if isinstance(part, Quadratic)] for r in relations]
    if not columns[0]:
        return Family((Diagonal(np.zeros(n_tasks)),), np.ones((1, len(relations))))
    units = tuple(replace(part, strength=1.0).precision(n_tasks) for part in columns[0])  # type: ignore[call-arg]
    strengths = [[float(part.strength) for part in column] for column in columns]  # type: ignore[attr-defined]
    return Family(units, np.asarray(strengths, dtype=np.float64).T)
