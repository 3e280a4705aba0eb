"""The proximal operator of total variation along the rows of a matrix: exact, all columns at once."""

from __future__ import annotations

from collections import deque

import numpy as np

ROUNDS = 100
"""Rounds of the active set; columns that are not settled by then are solved one by one."""

_EPS = float(np.finfo(np.float64).eps)


def smoothed(Z: np.ndarray, weight: float) -> np.ndarray:
    """Give the minimiser over X of weight * sum_i ||x_i - x_{i+1}||_1 + 1/2 ||X - Z||_F^2, rows x_i.

    At the minimum x_i = z_i + u_i - u_{i-1} with |u_i| <= weight, and u_i = weight where x rises, -weight where it
    falls. A primal-dual active set guesses where it does (Hintermueller, Ito, Kunisch 2003): X is then the mean of its
    pieces; where u leaves its bounds a piece is cut, where a step goes the wrong way it is mended.

    Parameters
    ----------
    Z : (t, d) array
        Columns are solved apart.
    weight : float >= 0
        Of the variation.

    Returns
    -------
    (t, d) array, float64; within a piece the entries of a column are equal.
    """
    Z = np.asarray(Z, dtype=np.float64)
    t, d = Z.shape
    if t == 1 or weight == 0 or d == 0:
        return Z.copy()
    X = np.empty_like(Z)
    open_ = np.arange(d)
    steps = np.zeros((t - 1, d), dtype=np.int8)
    # A bound overstepped by rounding alone is kept.
    bound = weight + 4 * _EPS * (weight + t * np.abs(Z).max(axis=0))
    for _ in range(ROUNDS):
        some = Z[:, open_]
        x = _pieces(some, steps, weight)
        u = np.cumsum(x - some, axis=0)[:-1]
        rises = np.diff(x, axis=0)
        cut = (u > bound[open_]).astype(np.int8) - (u < -bound[open_])
        new = np.where(steps == 0, cut, np.where(rises * steps > 0, steps, 0)).astype(np.int8)
        settled = (new == steps).all(axis=0)
        X[:, open_[settled]] = x[:, settled]
        open_, steps = open_[~settled], new[:, ~settled]
        if not len(open_):
            return X
    for column in open_:
        X[:, column] = string(Z[:, column], weight)
    return X


def string(z: np.ndarray, weight: float) -> np.ndarray:
    """Give the same for one column (t,), by dynamic programming in t steps (Johnson 2013).

    The derivative of the least cost of the first k entries, as a function of x_k, rises in straight pieces; passing it
    on cuts it off at -weight and weight.
    """
    t = len(z)
    low, high = np.empty(t), np.empty(t)
    knots: deque[tuple[float, float, float]] = deque()  # where a piece ends, by how much slope and offset change there
    left = right = (1.0, -float(z[0]))  # slope and offset of the first piece and of the last
    for k in range(t - 1):
        left = _enter(knots, left, -weight)
        right = _leave(knots, right, weight)
        low[k], high[k] = (-weight - left[1]) / left[0], (weight - right[1]) / right[0]
        knots.appendleft((float(low[k]), left[0], left[1] + weight))
        knots.append((float(high[k]), -right[0], weight - right[1]))
        left, right = (1.0, -weight - float(z[k + 1])), (1.0, weight - float(z[k + 1]))
    slope, offset = _enter(knots, left, 0.0)
    x = np.empty(t)
    x[-1] = -offset / slope
    for k in range(t - 2, -1, -1):
        x[k] = min(max(x[k + 1], low[k]), high[k])
    return x


def _enter(knots: deque[tuple[float, float, float]], line: tuple[float, float], level: float) -> tuple[float, float]:
    """From the left, drop the pieces that stay below the level; give the one that reaches it."""
    while knots and line[0] * knots[0][0] + line[1] < level:
        _, slope, offset = knots.popleft()
        line = line[0] + slope, line[1] + offset
    return line


def _leave(knots: deque[tuple[float, float, float]], line: tuple[float, float], level: float) -> tuple[float, float]:
    """From the right, drop the pieces that stay above the level."""
    while knots and line[0] * knots[-1][0] + line[1] > level:
        _, slope, offset = knots.pop()
        line = line[0] - slope, line[1] - offset
    return line


def _pieces(Z: np.ndarray, steps: np.ndarray, weight: float) -> np.ndarray:
    """Give X for its steps (t - 1, d), 1 up, -1 down, 0 none: on each piece the mean of z_i + u_i - u_{i-1}."""
    t, d = Z.shape
    first = np.ones((d, t), dtype=bool)
    first[:, 1:] = steps.T != 0
    starts = np.flatnonzero(first)
    sizes = np.diff(starts, append=t * d)
    pull = np.zeros((d, t + 1))
    pull[:, 1:-1] = weight * steps.T
    begin, end = pull[:, :-1].ravel()[starts], pull[:, 1:].ravel()[starts + sizes - 1]
    means = (np.add.reduceat(Z.T.ravel(), starts) + end - begin) / sizes
    return np.repeat(means, sizes).reshape(d, t).T
