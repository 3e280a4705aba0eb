"""Dual norms of norms that add up over features and have a prox, but no closed form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ROUNDS = 200
"""A handful are needed."""


def largest_ratio(
    Z: np.ndarray,
    shrunk: Callable[[np.ndarray, float], np.ndarray],
    prices: Callable[[np.ndarray], np.ndarray],
    whole: float,
) -> float:
    """Give the largest <z, x> / R(x) over columns z of Z (t, d), where R(x) = rest(x) + whole * ||x||_2.

    It is the smallest r at which the distance of every z from the r-fold dual ball of `rest` is at most r * whole: a
    convex function of r. Newton's method comes from below; its next r is <z, x> / R(x) at x = prox of r * rest at z,
    a lower bound for any x (Dinkelbach 1967). It ends where that grows no more, some 1e-15 from the root.

    Parameters
    ----------
    Z : (t, d) array
        Columns may be left out as soon as others have a larger ratio.
    shrunk : function of columns (t, m) and r
        The prox of r * rest.
    prices : function of columns (t, m)
        R of each column, (m,).
    whole : float >= 0
        Of the column's l2 norm.
    """
    r = 0.0
    for _ in range(ROUNDS):
        X = shrunk(Z, r)
        cost = prices(X)
        left = (np.linalg.norm(X, axis=0) > r * whole) & (cost > 0)
        ratios = np.sum(Z * X, axis=0)[left] / cost[left]
        if not len(ratios) or ratios.max() <= r * (1 + 1e-15):
            break
        r, Z = float(ratios.max()), Z[:, left]
    return r
