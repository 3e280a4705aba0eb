"""Precisions along a path of strengths: P_s = sum over the quadratic parts of strength_s times that part's P."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.forms import Array
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
        out = np.zeros_like(W)
        for unit, strength in zip(self.units, self.strengths, strict=True):
            # Where the members are no multiples of each other each has a unit of its own: no other is asked about it.
            used: slice | NDArray[np.intp] = slice(None) if strength.all() else np.flatnonzero(strength)
            part = W[:, used]
            out[:, used] += unit.apply(part.reshape(len(W), -1)).reshape(part.shape) * strength[used, None]
        return out

    def diagonal(self) -> Array:
        """(t, s) diagonals."""
        return np.stack([unit.diagonal() for unit in self.units], axis=1) @ self.strengths

    def member(self, s: int) -> Precision:
        """P_s."""
        used = [u for u in range(len(self.units)) if self.strengths[u, s] != 0] or [0]
        total = self.units[used[0]].scaled(float(self.strengths[used[0], s]))
        for u in used[1:]:
            total = total + self.units[u].scaled(float(self.strengths[u, s]))
        return total

    def members(self) -> list[Precision]:
        """All of them."""
        return [self.member(s) for s in range(len(self))]

    def some(self, index: slice | NDArray[np.bool_]) -> Family:
        """The family of some of its members."""
        return replace(self, strengths=self.strengths[:, index])


def family(relations: Sequence[Relation], n_tasks: int) -> Family:
    """The precisions of relations that differ in their strengths only; their norms are left out."""
    columns = [[q for part in parts(r) for q in part.terms() if isinstance(q, Quadratic)] for r in relations]
    units, strengths = [], []
    for members in zip(*columns, strict=True):
        if members[0].strengths == ("strength",):
            units.append(replace(members[0], strength=1.0).precision(n_tasks))
            strengths.append([float(member.strength) for member in members])
        else:  # of several strengths, or none: no multiple of each other
            units.extend(member.precision(n_tasks) for member in members)
            strengths.extend(np.eye(len(members)).tolist())
    if not units:
        return Family((Diagonal(np.zeros(n_tasks)),), np.ones((1, len(relations))))
    return Family(tuple(units), np.asarray(strengths, dtype=np.float64))
