"""The quadratic model of a data term around a point, its intercepts eliminated, and what steps ask of a data term."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from relatask.linear.problem import Problem
from relatask.linear.sums.forms import Array, Forms

SLACK = 1e-10
"""Less than this left of a common intercept's curvature is nothing: the features can do what it does."""


@dataclass(frozen=True, eq=False)
class Point:
    """Coefficients, intercepts, and the losses there.

    Attributes
    ----------
    W : (t, d).
    b : (t, q) intercepts, q a task.
    state : what the data term keeps: predictions or residual norms.
    losses : (t,) c_k times the loss of each task.
    """

    W: Array
    b: Array
    state: Any
    losses: Array

    @property
    def value(self) -> float:
        """The loss of all tasks."""
        return float(self.losses.sum())


@dataclass(frozen=True, eq=False)
class Slopes:
    """Gradients in W (t, d) and in the intercepts (t, q), and the slopes of the rows, as the data term keeps them."""

    W: Array
    b: Array
    rows: Any


@dataclass(frozen=True, eq=False)
class Local:
    """F(W + D, b + e) near a point, e at its best: value + <gradient, D> + 1/2 <D, H D>.

    Attributes
    ----------
    forms, coupling : H, as `Problem` has it.
    gradient : (t, d).
    follow : D (t, d) -> e (t, q), the step of the intercepts.
    common : second derivatives in W and in intercepts that all tasks have in common (t, d, q), in these
        twice (q, q), and the gradient in them (q,), where more than one is and `forms` hold them fixed; else None.
    least : a lower bound of the model, each row at its best; -inf where a row has a slope but no curvature.
    """

    forms: Forms
    coupling: Array | None
    gradient: Array
    follow: Callable[[Array], Array]
    common: tuple[Array, Array, Array] | None = None
    least: float = -np.inf

    def step_problem(self, pull: Array) -> Problem:
        """The problem of the step D, where a quadratic relation has the gradient `pull` (t, d)."""
        return Problem(self.forms, -(self.gradient + pull), 0.0, self.coupling)

    def dual_step(self, total: Array) -> Array | None:
        """The step after which the model's gradient is -total; None where the forms do not tell."""
        zero = np.zeros((len(total), 1))

        def inverse(B: Array) -> Array:
            return self.forms.spectrum.solve(zero, B[:, None, :])[:, 0]

        D = inverse(-(self.gradient + total))
        if self.coupling is None:
            return D
        solved = inverse(self.coupling)
        slack = 1.0 - float(np.vdot(self.coupling, solved))
        return D + solved * (float(np.vdot(self.coupling, D)) / slack) if slack > SLACK else None

    def problem(self, point: Point) -> Problem:
        """The problem of the next W itself."""
        own = Problem(self.forms, np.zeros_like(point.W), 0.0, self.coupling)
        product = own.apply(point.W)
        constant = point.value - float(np.vdot(self.gradient, point.W)) + 0.5 * float(np.vdot(point.W, product))
        return Problem(self.forms, product - self.gradient, constant, self.coupling)


class DataTerm(Protocol):
    """A convex loss F(W, b) of all tasks, as Newton's method sees it."""

    @property
    def shape(self) -> tuple[int, int]:
        """(t, d)."""

    @property
    def endless(self) -> bool:
        """Whether the loss may fall for ever."""

    def zero(self) -> Point:
        """W = 0, intercepts at their best."""

    def at(self, W: Array, b: Array) -> Point:
        """Some other point."""

    def slopes(self, point: Point) -> Slopes:
        """The gradient."""

    def local(self, point: Point, slopes: Slopes, damp: float) -> Local:
        """The quadratic model; `damp` goes from the loss's own curvature (0) to one that lies above the loss (1)."""

    def ray(self, point: Point, D: Array, e: Array) -> Callable[[float], Point]:
        """Points along a direction."""

    def open_slopes(self, slopes: Slopes) -> Array:
        """The slopes of the intercepts that can move: zero at the optimum."""

    def balanced(self, point: Point) -> Point:
        """The point with the intercepts at their best."""

    def extrapolated(self, point: Point, slopes: Slopes, D: Array, e: Array) -> Slopes:
        """The slopes that the quadratic model has after a step."""

    def allowed(self, slopes: Slopes) -> float:
        """The largest factor <= 1 at which the slopes are in the conjugate's domain, where a factor can help."""

    def dual(self, point: Point, slopes: Slopes, factor: float) -> float:
        """Minus the conjugate at `factor` times the slopes: with -R*(-factor slopes.W), a lower bound of F + R."""


@dataclass(frozen=True, eq=False)
class Intercepts:
    """How intercepts enter, and their elimination from quadratic models.

    Attributes
    ----------
    mode : "free", "common", or "none" (a tied intercept is a feature).
    fixed : (t,) tasks whose intercept stays where it is.
    """

    mode: str
    fixed: NDArray[np.bool_]

    def inverse(self, w: Array) -> Array:
        """(t,) 1 / w of a task's own intercept, 0 where there is none to move."""
        loose = ~self.fixed & (w > 0) if self.mode == "free" else np.zeros(len(w), dtype=bool)
        return np.divide(1.0, w, out=np.zeros(len(w)), where=loose)

    def moving(self, slope: Array) -> Array:
        """What is left of the gradient (t, q) in the intercepts: zero at the optimum."""
        if self.mode == "none":
            return np.zeros_like(slope)
        if self.mode == "common":
            return np.zeros((1, slope.shape[1])) if self.fixed.all() else slope.sum(0, keepdims=True)
        return np.where(self.fixed[:, None], 0.0, slope)


def eliminated(intercepts: Intercepts, forms: Forms, gradient: Array, slope: Array, mixed: Array, w: Array) -> Local:
    """The model with one intercept a task, or one for all, eliminated.

    Parameters
    ----------
    intercepts : Intercepts
        How they enter.
    forms : Forms
        With tasks' own intercepts eliminated already.
    gradient, slope : (t, d), (t,)
        In W and b.
    mixed, w : (t, d), (t,)
        Second derivatives in W and b, and in b twice.
    """
    if intercepts.mode == "common" and not intercepts.fixed.all() and w.sum() > 0:
        total, pull = w.sum(), slope.sum()

        def together(D: Array) -> Array:
            return np.full((len(w), 1), -(pull + float(np.vdot(mixed, D))) / total)

        return Local(forms, mixed / np.sqrt(total), gradient - mixed * (pull / total), together)
    inverse = intercepts.inverse(w)

    def own(D: Array) -> Array:
        return -((slope + np.einsum("td,td->t", mixed, D)) * inverse)[:, None]

    return Local(forms, None, gradient - mixed * (slope * inverse)[:, None], own)
