"""The optimisation problem of a squared loss under a relation, and the objective that every solver lowers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.buckets import restricted
from relatask.linear.sums.forms import Array, Forms
from relatask.relations import Relation


@dataclass(frozen=True, eq=False)
class Columns:
    """Which features the columns of a problem are.

    Attributes
    ----------
    place : (p,) of each column among the features; -1 for a tied intercept.
    scale : (p,) what it was divided by.
    n_features : how many there are.
    """

    place: NDArray[np.intp]
    scale: Array
    n_features: int

    @classmethod
    def scaled(cls, scale: Array, n_columns: int) -> Columns:
        """All features divided by (d,) `scale`; more columns than these are none."""
        more = n_columns - len(scale)
        place = np.concatenate([np.arange(len(scale)), np.full(more, -1)])
        return cls(place, np.concatenate([scale, np.ones(more)]), len(scale))

    def some(self, columns: NDArray[np.intp]) -> Columns:
        """Some of the columns."""
        return replace(self, place=self.place[columns], scale=self.scale[columns])


@dataclass(frozen=True, eq=False)
class Problem:
    """F(W) = 1/2 <W, H W> - <B, W> + constant, with H = blockdiag(G_k) - u u'.

    Attributes
    ----------
    forms : the G_k, with the loss weights inside.
    cross : (t, d), B.
    constant : F(0).
    coupling : (t, d) u, where one intercept is common to all tasks; else None.
    columns : Columns, where relations on features are to be told; else None.
    """

    forms: Forms
    cross: Array
    constant: float
    coupling: Array | None = None
    columns: Columns | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(t, d)."""
        return self.forms.n_tasks, self.forms.n_features

    def apply(self, W: Array) -> Array:
        """H W for W (t, d) or (t, s, d)."""
        stacked = W[:, None, :] if W.ndim == 2 else W
        out = self.forms.apply(stacked)
        if self.coupling is not None:
            out -= self.coupling[:, None, :] * np.einsum("td,tsd->s", self.coupling, stacked)[None, :, None]
        return out[:, 0, :] if W.ndim == 2 else out

    def value(self, W: Array) -> float:
        """F(W): the weighted loss, intercepts at their best."""
        return 0.5 * float(np.vdot(W, self.apply(W))) - float(np.vdot(self.cross, W)) + self.constant

    def gradient(self, W: Array) -> Array:
        """H W - B."""
        return self.apply(W) - self.cross

    def restricted(self, columns: NDArray[np.intp]) -> Problem:
        """The problem on some of the columns."""
        buckets = tuple(restricted(b, columns) for b in self.forms.buckets)
        return replace(
            self,
            forms=Forms(buckets, self.forms.n_tasks, len(columns)),
            cross=self.cross[:, columns],
            coupling=None if self.coupling is None else self.coupling[:, columns],
            columns=None if self.columns is None else self.columns.some(columns),
        )


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver returns.

    Attributes
    ----------
    W : (t, d).
    objective : F(W) + R(W).
    residual : relative duality gap where one exists (then `certified`), else a relative gradient norm.
    n_iter : iterations; 1 for a direct solve.
    solver : its name.
    certified : whether `residual` is a duality gap.
    components : of every relation of W as a sum, in their order, the matrices that W is the sum of.
    relation : the relation with what it learned, where it learns something; else None.
    """

    W: Array
    objective: float
    residual: float
    n_iter: int
    solver: str
    certified: bool
    components: tuple[tuple[Array, ...], ...] = ()
    relation: Relation | None = None
