"""A data term and a quadratic form on features: unlabelled rows under losses that are not squared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from relatask.linear.newton.local import DataTerm, Local, Point, Slopes
from relatask.linear.sums.added import added
from relatask.linear.sums.forms import Array


@dataclass(frozen=True, eq=False)
class Featured:
    """F(W, b) + 1/2 sum over tasks and classes of w' Q w, a data term as the first is.

    The form is that of rows with a squared loss and the label 0: its share of the dual is minus half the square of
    what these rows predict. A point's `state` is the first term's point; slopes of the rows are (its slopes, W).
    """

    data: DataTerm
    Q: Array

    @property
    def shape(self) -> tuple[int, int]:
        """(t, d)."""
        return self.data.shape

    @property
    def endless(self) -> bool:
        """Whether the loss may fall for ever."""
        return self.data.endless

    def zero(self) -> Point:
        """W = 0, intercepts at their best."""
        return self._with(self.data.zero())

    def at(self, W: Array, b: Array) -> Point:
        """Some other point."""
        return self._with(self.data.at(W, b))

    def slopes(self, point: Point) -> Slopes:
        """The gradient."""
        return self._sloped(self.data.slopes(point.state), point.W)

    def local(self, point: Point, slopes: Slopes, damp: float) -> Local:
        """The quadratic model, the form in it as it is."""
        own, _ = slopes.rows
        model = self.data.local(point.state, own, damp)
        n_classes = self.shape[1] // len(self.Q)
        Q: Array = np.kron(np.eye(n_classes), self.Q).astype(np.float64)
        return replace(model, forms=added(model.forms, Q), gradient=model.gradient + self._pull(point.W))

    def ray(self, point: Point, D: Array, e: Array) -> Callable[[float], Point]:
        """Points along a direction."""
        inner = self.data.ray(point.state, D, e)
        return lambda alpha: self._with(inner(alpha))

    def open_slopes(self, slopes: Slopes) -> Array:
        """The slopes of the intercepts that can move."""
        return self.data.open_slopes(slopes)

    def balanced(self, point: Point) -> Point:
        """The point with the intercepts at their best."""
        return self._with(self.data.balanced(point.state))

    def extrapolated(self, point: Point, slopes: Slopes, D: Array, e: Array) -> Slopes:
        """The slopes that the quadratic model has after a step."""
        return self._sloped(self.data.extrapolated(point.state, slopes.rows[0], D, e), point.W + D)

    def allowed(self, slopes: Slopes) -> float:
        """The largest factor <= 1 at which the slopes are in the conjugate's domain."""
        return self.data.allowed(slopes.rows[0])

    def dual(self, point: Point, slopes: Slopes, factor: float) -> float:
        """Minus the conjugate at `factor` times the slopes."""
        own, W = slopes.rows
        return self.data.dual(point.state, own, factor) - 0.5 * factor**2 * float(np.vdot(W, self._pull(W)))

    def _pull(self, W: Array) -> Array:
        """W Q for (t, C p), class by class."""
        return np.asarray((W.reshape(-1, len(self.Q)) @ self.Q).reshape(W.shape))

    def _with(self, point: Point) -> Point:
        price = 0.5 * np.einsum("td,td->t", point.W, self._pull(point.W))
        return Point(point.W, point.b, point, point.losses + price)

    def _sloped(self, slopes: Slopes, W: Array) -> Slopes:
        return Slopes(slopes.W + self._pull(W), slopes.b, (slopes, W))


def featured(data: DataTerm, Q: Array | None) -> DataTerm:
    """The data term with a form on features, where there is one."""
    return data if Q is None else Featured(data, Q)
