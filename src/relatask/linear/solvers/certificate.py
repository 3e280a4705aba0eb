"""Certified duality gaps of squared loss + quadratic relations + other convex terms, from any candidate solution.

With the quadratic parts seen as more rows of data, the objective is 1/2 ||y - A w||^2 + sum_i R_i(w). For every theta
whose correlations A' theta are a sum of Z_i, 1/2 ||y||^2 - 1/2 ||y - theta||^2 - sum_i R_i*(Z_i) is a lower bound of
the optimum. A Z_i at which the conjugate R_i* is infinite (outside of a norm's dual ball) is scaled back by its gauge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from relatask.linear.problem import Problem
from relatask.linear.sums.forms import Array
from relatask.relations import Proximal, Split
from relatask.relations.precision import Precision

SAME = 1e-8
"""A correlation of this size, of labels with what eigendecompositions do not see, is none."""


Term = Proximal | Split


@dataclass(frozen=True)
class Objective:
    """F(W) + 1/2 tr(W' P W) + sum of terms, with lower bounds of its minimum."""

    problem: Problem
    precision: Precision | None
    terms: tuple[Term, ...]

    def smooth_product(self, W: Array) -> Array:
        """H W + P W."""
        out = self.problem.apply(W)
        return out if self.precision is None else out + self.precision.apply(W)

    def smooth_value(self, W: Array, product: Array) -> float:
        """F(W) + 1/2 tr(W' P W); `product` is `smooth_product(W)`."""
        return 0.5 * float(np.vdot(W, product)) - float(np.vdot(self.problem.cross, W)) + self.problem.constant

    def value(self, W: Array, product: Array | None = None) -> float:
        """The objective at W; `product` is `smooth_product(W)` where it is known."""
        product = self.smooth_product(W) if product is None else product
        return self.smooth_value(W, product) + float(sum(float(term.value(W)) for term in self.terms))

    def bound_from_residual(self, W: Array, product: Array, split: Sequence[Array]) -> float:
        """Lower bound from the residuals at W, scaled to where the conjugates are finite.

        `split` holds a guess of Z_i for all terms but the last, which takes the rest.
        """
        correlation = self.problem.cross - product
        duals = [Z for _, Z in zip(self.terms[:-1], split, strict=False)]
        duals.append(correlation - np.sum(duals, axis=0) if duals else correlation)
        shrink = min(1 / max(1.0, float(term.gauge(Z))) for term, Z in zip(self.terms, duals, strict=True))
        along = 2 * self.problem.constant - float(np.vdot(self.problem.cross, W))
        square = along - float(np.vdot(W, correlation))
        # The best multiple of the residuals that is allowed; of overshot ones it is a negative one.
        best = float(np.clip(along / square, -shrink, shrink)) if square > 0 else 0.0
        return max(
            factor * along - 0.5 * factor**2 * square - self._conjugates([factor * Z for Z in duals])
            for factor in {best, shrink}
        )

    def bound_from_dual(self, duals: Sequence[Array], quadratic: Array | None) -> float:
        """Lower bound from dual variables Z_i of the terms, and W_q whose P W_q is the quadratic's dual.

        More accurate than the residual's (its error is of second order), but not for a common intercept. What the
        data cannot pay for, outside the range of some G_k, is taken out of the first dual.
        """
        if self.problem.coupling is not None:
            return -np.inf
        spectrum, ridge = self.problem.forms.spectrum, np.zeros((self.problem.shape[0], 1))
        total = np.sum(duals, axis=0)
        pull = np.zeros_like(total)
        if quadratic is not None and self.precision is not None:
            pull = self.precision.apply(quadratic)
        right = self.problem.cross - total - pull
        if not spectrum.range_is_everything:
            if not self._cross_is_inside:
                return -np.inf
            inside = spectrum.inside(right[:, None, :])[:, 0]
            duals = [duals[0] + (right - inside), *duals[1:]]
            total, right = total + (right - inside), inside
        shrink = min(1 / max(1.0, float(term.gauge(Z))) for term, Z in zip(self.terms, duals, strict=True))
        if shrink < 1.0:
            right = self.problem.cross - shrink * (total + pull)
            right = spectrum.inside(right[:, None, :])[:, 0]
        solved = spectrum.solve(ridge, right[:, None, :])[:, 0]
        bound = self.problem.constant - 0.5 * float(np.vdot(right, solved))
        if quadratic is not None:
            bound -= 0.5 * shrink**2 * float(np.vdot(quadratic, pull))
        return bound - self._conjugates([shrink * Z for Z in duals])

    def _conjugates(self, duals: Sequence[Array]) -> float:
        return float(sum(float(term.conjugate(Z)) for term, Z in zip(self.terms, duals, strict=True)))

    @cached_property
    def _cross_is_inside(self) -> bool:
        """Whether B lies in the ranges of the G_k, as it does but for columns too small to be told from rounding."""
        cross, forms = self.problem.cross, self.problem.forms
        outside = np.abs(cross - forms.spectrum.inside(cross[:, None, :])[:, 0])
        largest = np.sqrt(forms.diagonal() * 2 * max(self.problem.constant, 0.0))
        # A column that does not vary in a task has no correlation; what is left of it is rounding.
        return bool((outside <= np.where(largest > 0, SAME * largest, 1e-12 * np.abs(cross).max())).all())


def relative_gap(primal: float, bound: float) -> float:
    """(primal - bound) / max(|primal|, |bound|), 0 where both are 0."""
    size = max(abs(primal), abs(bound))
    return max(primal - bound, 0.0) / size if size > 0 else 0.0
