"""The relation in Newton's method: one precision and convex terms, along a ray, and its conjugate in a certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relatask.linear.newton.local import DataTerm, Point, Slopes
from relatask.linear.problem import Solution
from relatask.linear.solvers.auto import Start
from relatask.linear.sums.forms import Array
from relatask.relations import Proximal, Relation, Split, split
from relatask.relations.precision import Precision

Pieces = tuple[tuple[Array, ...], ...]


@dataclass(frozen=True, eq=False)
class Penalty:
    """R(W) = 1/2 tr(W' P W) + sum of terms; a term of W as a sum of components is known by its components."""

    precision: Precision | None
    terms: tuple[Proximal | Split, ...]

    def pull(self, W: Array) -> Array:
        """P W."""
        return np.zeros_like(W) if self.precision is None else self.precision.apply(W)

    def value(self, W: Array, pieces: Pieces) -> float:
        """R(W), at the given components."""
        total = 0.5 * float(np.vdot(W, self.pull(W)))
        for term, parts in zip(self.terms, pieces, strict=True):
            own = term.summands().values() if isinstance(term, Split) else (term,)
            total += sum(float(r.value(v)) for r, v in zip(own, parts, strict=True))
        return total

    def pieces(self, W: Array) -> Pieces:
        """The components of W."""
        return tuple(tuple(term.components(W).values()) if isinstance(term, Split) else (W,) for term in self.terms)

    def solved(self, solution: Solution) -> Pieces:
        """The components that a solver found."""
        found = iter(solution.components)
        return tuple(tuple(next(found)) if isinstance(term, Split) else (solution.W,) for term in self.terms)

    def bound(self, data: DataTerm, point: Point, slopes: Slopes, guess: Sequence[Array], W: Array) -> float:
        """Lower bound of the optimum from slopes whose sums over each intercept's rows are zero.

        Minus the slopes' correlations are P W plus one Z_i a term. `guess` holds the Z_i; what they leave is given to
        each term in turn, and all are scaled to where the conjugates are finite.
        """
        pull = self.pull(W)
        energy = 0.5 * float(np.vdot(W, pull))
        allowed = data.allowed(slopes)
        rest = -slopes.W - pull - np.sum(guess, axis=0)
        best = -np.inf
        for i in range(len(self.terms)):
            duals = [Z + rest if j == i else Z for j, Z in enumerate(guess)]
            gauge = max(float(term.gauge(Z)) for term, Z in zip(self.terms, duals, strict=True))
            factor = min(allowed, 1 / max(1.0, gauge))
            conjugates = sum(float(term.conjugate(factor * Z)) for term, Z in zip(self.terms, duals, strict=True))
            best = max(best, data.dual(point, slopes, factor) - factor**2 * energy - conjugates)
        return best


def penalty(relation: Relation, n_tasks: int) -> Penalty:
    """Take a relation apart; terms that are zero everywhere are left out."""
    precision, terms = split(relation, n_tasks)
    return Penalty(precision, tuple(term for term in terms if not term.vanishes))


def guessed(terms: Sequence[Proximal | Split], start: Start | None, shape: tuple[int, int]) -> list[Array]:
    """The Z_i that an inner solve ended with, zeros where there was none."""
    state = None if start is None else start.admm
    known = [] if state is None or len(terms) == 1 else state.multipliers()[: len(terms)]
    # An earlier fit's relation may have had fewer terms.
    return known if len(known) == len(terms) else [np.zeros(shape) for _ in terms]
