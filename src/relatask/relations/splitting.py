"""Relations of W as a sum of components, each under a relation of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from relatask.relations.anderson import Anderson
from relatask.relations.checks import Array, chosen, detached, like, read_w
from relatask.relations.relation import Proximal, Relation, below
from relatask.relations.spectral import plain

TOL = 1e-10
"""Relative duality gap of a decomposition."""

FLOOR = 1e-3
"""Of what W costs as one component: gaps are not taken relative to less, which may be rounding."""

LIMIT = 5_000
"""Iterations of a decomposition."""

CHECK = 5
"""Iterations between two looks at the gap."""

RESCALE = tuple(10 * 2**i for i in range(11))
"""Iterations at which the step may be changed."""

FAR = 5.0
"""The step is changed where the relative residuals are further apart than this."""

RELAX = 1.6
SLACK, REACH = 2.0, 1e4
"""How bold the acceleration is: bolder than in fits, because W keeps all components bounded."""

MEMORY = 10


class Split(Relation):
    """A convex relation of W as a sum: R(W) = min of R_1(V_1) + R_2(V_2) over V_1 + V_2 = W (an infimal convolution).

    The first summand is finite everywhere.
    """

    @abstractmethod
    def summands(self) -> dict[str, Proximal]:
        """Give the relation of each component, by the component's name."""

    def value(self, W: Array) -> Array:
        """Give the least R_1(V_1) + R_2(V_2); its gradient is the multiplier Z of V_1 + V_2 = W."""
        W, xp = read_w(W, owner=type(self).__name__)
        found = self._decomposition(plain(W))
        value = like(np.asarray(found.value), W, xp)
        if not hasattr(W, "requires_grad"):
            return value
        # The value's own digits, and a gradient: <Z, W> - <Z, W as it is> is zero.
        return value + xp.sum(like(found.dual, W, xp) * (W - detached(W)))

    def components(self, W: Array) -> dict[str, np.ndarray]:
        """Give the components of W by name."""
        W, _ = read_w(W, owner=type(self).__name__)
        return dict(zip(self.summands(), self._decomposition(plain(W)).components, strict=True))

    def gauge(self, Z: Array) -> Array:
        """Give the largest gauge of the summands."""
        return max(part.gauge(Z) for part in self.summands().values())

    def conjugate(self, Z: Array) -> Array:
        """Give the sum of the summands' conjugates."""
        return sum(part.conjugate(Z) for part in self.summands().values())

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give the strength from which on its component is zero, and four decades below it.

        Strengths are named in the order of the summands.
        """
        unit = replace(self, **dict.fromkeys(self.strengths, 1.0)).summands()
        position = self.strengths.index(name)
        return below(float(list(unit.values())[position].gauge(correlation)))

    @property
    def vanishes(self) -> bool:
        """Whether a summand costs nothing: it then takes all of W."""
        return any(part.vanishes for part in self.summands().values())

    def _decomposition(self, W: np.ndarray) -> Decomposition:
        for name in self.strengths:
            chosen(type(self).__name__, getattr(self, name), name)
        return decompose(tuple(self.summands().values()), W)


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Components that add up to W, what they cost together, and a multiplier Z with <Z, W> - R*(Z) near that."""

    components: tuple[np.ndarray, ...]
    dual: np.ndarray
    value: float
    bound: float
    n_iter: int


def decompose(parts: Sequence[Proximal], W: np.ndarray) -> Decomposition:
    """Minimise the sum of R_i(V_i) over components that add up to W (t, d), by the method of multipliers, accelerated.

    Ends at a relative duality gap of `TOL`: for every Z, <Z, W> - sum of R_i*(Z) is a lower bound.
    """
    zero = np.zeros_like(W)
    # All of W in one component: right where the others are dearer everywhere, and an upper bound anyway.
    alone = [tuple(W if j == i else zero for j in range(len(parts))) for i in range(len(parts))]
    prices = [float(part.value(W)) for part in parts]
    cheapest = int(np.argmin(prices))
    value, pieces, n_iter = prices[cheapest], alone[cheapest], 0
    dual, bound = zero, 0.0
    if value == 0 or (gauge := max(float(part.gauge(W)) for part in parts)) == 0:
        return Decomposition(pieces, dual, value, bound, n_iter)
    floor = FLOOR * value
    # The multiplier along W is of size |W| / gauge: at this step the first shrinkage takes a fair share of W.
    rho = 1 / gauge
    Y, anderson = np.stack(pieces), Anderson(MEMORY, SLACK, REACH)
    Z = W / gauge
    for n_iter in range(LIMIT + 1):
        V = np.stack([part.prox(y, 1 / rho) for part, y in zip(parts, Y, strict=True)])
        if n_iter % CHECK == 0:
            if n_iter:
                Z = rho * np.mean(Y - V, axis=0)
            Z = Z / max(1.0, *(float(part.gauge(Z)) for part in parts))
            lower = float(np.vdot(Z, W)) - float(sum(float(part.conjugate(Z)) for part in parts))
            if lower > bound:
                bound, dual = lower, Z
            kept = (W - V[1:].sum(0), *V[1:])
            cost = float(sum(float(part.value(v)) for part, v in zip(parts, kept, strict=True)))
            if cost < value:
                value, pieces = cost, kept
            if value - bound <= TOL * max(value, floor):
                break
        shift = (W - (2 * V - Y).sum(0)) / len(parts)
        # W's share less the proximal point: where the reflections 2 V - Y, moved to add up to W, differ from V.
        residual = V - Y + shift
        if n_iter in RESCALE:
            factor = _balance(residual.sum(0), Y - V, V)
            if factor != 1.0:
                rho *= factor
                Y, anderson = V + (Y - V) / factor, Anderson(MEMORY, SLACK, REACH)
                continue
        Y = anderson.step(Y, Y + RELAX * residual, plain=n_iter + 1 in RESCALE)
    return Decomposition(tuple(pieces), dual, value, bound, n_iter)


def _balance(primal: np.ndarray, U: np.ndarray, V: np.ndarray) -> float:
    """The factor by which to change the step: residuals relative to sizes should be alike."""
    # A component may be small: the step must suit the smallest.
    smallest = min((float(np.linalg.norm(v)) for v in V if v.any()), default=1.0)
    dual = float(np.linalg.norm(U - U.mean(0))) * smallest
    ratio = float(np.linalg.norm(primal)) * float(np.linalg.norm(U)) / dual if dual > 0 else np.inf
    return float(np.clip(np.sqrt(ratio), 0.2, 5.0)) if ratio > FAR or ratio < 1 / FAR else 1.0
