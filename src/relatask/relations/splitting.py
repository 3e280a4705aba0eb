"""Relations of W as a sum of components, each under a relation of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from array_api_compat import to_device

from relatask.relations.checks import Array, detached, like, read_w
from relatask.relations.relation import Proximal, Relation, below

TOL = 1e-9
"""Relative duality gap of a decomposition."""

LIMIT = 20_000
"""Iterations of a decomposition."""


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
        plain = np.asarray(to_device(detached(W), "cpu"), dtype=np.float64)
        found = decompose(tuple(self.summands().values()), plain)
        if W is plain:
            return np.float64(found.value)
        Z = like(found.dual, W, xp)
        # The value's own digits, and a gradient: <Z, W> - <Z, W as it is> is zero.
        return like(np.asarray(found.value), W, xp) + xp.sum(Z * (W - detached(W)))

    def components(self, W: np.ndarray) -> dict[str, np.ndarray]:
        """Give the components of W by name."""
        summands = self.summands()
        return dict(zip(summands, decompose(tuple(summands.values()), W).components, strict=True))

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


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Components that add up to W, what they cost together, and a multiplier Z with <Z, W> - R*(Z) near that."""

    components: tuple[np.ndarray, ...]
    dual: np.ndarray
    value: float


def decompose(parts: Sequence[Proximal], W: np.ndarray) -> Decomposition:
    """Minimise the sum of R_i(V_i) over components that add up to W (t, d), by the method of multipliers.

    Ends at a relative duality gap of `TOL`: for every Z, <Z, W> - sum of R_i*(Z) is a lower bound.
    """
    m = len(parts)
    size = float(np.abs(W).max(initial=0.0))
    if size == 0:
        return Decomposition(tuple(np.zeros_like(W) for _ in parts), np.zeros_like(W), 0.0)
    V = [W / m] * m
    U = [np.zeros_like(W)] * m
    rho = 1.0 / size
    best: Decomposition | None = None
    bound = -np.inf
    for iteration in range(1, LIMIT + 1):
        A = [v - u for v, u in zip(V, U, strict=True)]
        rest = (W - np.sum(A, axis=0)) / m
        change = 0.0
        for i, part in enumerate(parts):
            relaxed = 1.6 * (A[i] + rest) - 0.6 * V[i] + U[i]
            v = part.prox(relaxed, 1 / rho)
            change += float(np.vdot(v - V[i], v - V[i]))
            V[i], U[i] = v, relaxed - v
        if iteration % 10:
            continue
        Z = rho * np.mean(U, axis=0)
        gauge = max(1.0, *(float(part.gauge(Z)) for part in parts))
        Z = Z / gauge
        lower = float(np.vdot(Z, W)) - float(sum(part.conjugate(Z) for part in parts))
        kept = [W - np.sum(V[1:], axis=0), *V[1:]]
        value = float(sum(part.value(v) for part, v in zip(parts, kept, strict=True)))
        bound = max(bound, lower)
        if best is None or value < best.value:
            best = Decomposition(tuple(kept), Z, value)
        if best.value - bound <= TOL * max(best.value, 0.0):
            break
        primal = float(np.linalg.norm(W - np.sum(V, axis=0)))
        dual = rho * np.sqrt(change)
        if iteration % 50 == 0 and iteration < LIMIT // 4 and primal > 0 and dual > 0:
            ratio = (primal / size) / (dual / max(float(np.linalg.norm(Z)), 1e-300))
            factor = float(np.clip(np.sqrt(ratio), 0.2, 5.0))
            if factor > 2 or factor < 0.5:
                rho *= factor
                U = [u / factor for u in U]
    assert best is not None
    return best
