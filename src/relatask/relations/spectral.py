"""Functions of W through its singular values, as relations use them: numpy decides, any namespace carries it out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from array_api_compat import to_device

from relatask.relations.checks import Array, detached, like, read_w


def plain(W: Array) -> np.ndarray:
    """Give W as a float64 numpy array, without its gradient's history."""
    return np.asarray(to_device(detached(W), "cpu"), dtype=np.float64)


def singular_values(W: Array, owner: str) -> np.ndarray:
    """Give the singular values of W (t, d), descending, as numbers."""
    return np.linalg.svd(plain(read_w(W, owner=owner)[0]), compute_uv=False)


def reshaped(W: Array, owner: str, change: Callable[[np.ndarray], np.ndarray]) -> Array:
    """Give U diag(change(s)) V', where W = U diag(s) V' and s descends."""
    W, xp = read_w(W, owner=owner)
    U, singular, Vt = xp.linalg.svd(W, full_matrices=False)
    return (U * like(change(plain(singular)), W, xp)) @ Vt


def lowered(values: np.ndarray, slope: float) -> float:
    """Give the root tau of tau = slope * sum_i (values_i - tau)_+, for values >= 0 that descend: exact, by sorting.

    With the m largest above it, tau = slope S_m / (1 + slope m), S_m their sum; tau >= 0 grows with m as long as the
    next value is above it.
    """
    count = np.arange(1, len(values) + 1)
    return float((slope * np.cumsum(values) / (1 + slope * count)).max(initial=0.0))


def excess(values: np.ndarray, bound: float) -> float:
    """Give the tau >= 0 for which sum_i (values_i - tau)_+ = bound, 0 where the sum is below it; values descend."""
    count = np.arange(1, len(values) + 1)
    return max(0.0, float(((np.cumsum(values) - bound) / count).max(initial=0.0)))


def shares(singular: np.ndarray, base: float, gain: float, total: int) -> np.ndarray:
    """Give the m that minimise sum_i s_i^2 / (base + gain m_i) over 0 <= m <= 1, sum m = total; s descends.

    m_i = min(1, max(0, (s_i / level - base) / gain)): the level is where these add up to `total`. The sum is piecewise
    of the form a + b / level, with breaks at s_i / base and s_i / (base + gain), so it is found by sorting them.
    """
    positive = singular > singular.max(initial=0.0) * 1e-300
    if total >= positive.sum() or gain == 0:
        return np.ones_like(singular)
    s = singular[positive]

    def at(level: np.ndarray) -> np.ndarray:
        return np.clip((s / level[..., None] - base) / gain, 0.0, 1.0)

    breaks = np.sort(np.concatenate([s / (base + gain), s / base]))
    # The sum falls from len(s) at the first break to 0 at the last.
    first = int(np.flatnonzero(at(breaks).sum(-1) >= total)[-1])
    middle = np.sqrt(breaks[first]) * np.sqrt(breaks[min(first + 1, len(breaks) - 1)])
    inside = at(np.asarray(middle))
    whole, between = inside == 1, (inside > 0) & (inside < 1)
    rest = gain * (total - whole.sum()) + base * between.sum()
    level = s[between].sum() / rest if between.any() else breaks[first]
    m = np.zeros_like(singular)
    m[positive] = at(np.asarray(level))
    return m
