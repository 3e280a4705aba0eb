"""The graphical lasso: a sparse precision from a covariance, to a certified duality gap; numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TOL = 1e-10
"""Duality gap to reach, as a share of the number of tasks (the objective's natural size)."""

LIMIT = 200
"""Sweeps over the columns at most."""

ROUNDING = 1e-13
"""A correlation that exceeds its bound by less is at it; S is scaled to a unit diagonal."""

NEARER = (1.0, 0.9, 0.5)
"""Shares of the way to a start's covariance that are tried, until one is positive definite."""


@dataclass(frozen=True, eq=False)
class GraphicalLasso:
    """A precision Theta (t, t), exactly sparse, and the duality gap that it reached, over t."""

    precision: np.ndarray
    gap: float


def graphical_lasso(S: np.ndarray, alpha: float, start: np.ndarray | None = None, tol: float = TOL) -> GraphicalLasso:
    """Minimise tr(S Theta) - logdet Theta + alpha * sum over i != j of |Theta_ij| over positive definite Theta.

    Column after column of the covariance V = Theta^-1 (Friedman, Hastie, Tibshirani 2008), each an exact lasso by
    active sets. V - S stays within [-alpha, alpha] off the diagonal, so that logdet V + t is a lower bound throughout.

    Parameters
    ----------
    S : (t, t) array
        Positive definite.
    alpha : float >= 0
        Price of an entry off the diagonal.
    start : (t, t) array, optional
        A precision near the solution.
    tol : float
        Duality gap to reach, over t.

    Examples
    --------
    >>> graphical_lasso(np.array([[2.0, 0.5], [0.5, 1.0]]), alpha=0.6).precision
    array([[0.5, 0. ],
           [0. , 1. ]])
    """
    t = len(S)
    root = np.sqrt(np.diagonal(S))
    scale = np.multiply.outer(root, root)
    S, price = S / scale, alpha / scale * (1 - np.eye(t))
    if t == 1 or alpha == 0:
        inverse = np.linalg.inv(S)
        return GraphicalLasso((inverse + inverse.T) / 2 / scale, 0.0)
    V, beta = S.copy(), np.zeros((t, t))
    best, lowest, bound = np.eye(t), np.inf, -np.inf
    if start is not None:
        theta = start * scale
        beta = -theta / np.diagonal(theta)[:, None]
        np.fill_diagonal(beta, 0.0)
        V = _near(S, price, theta)
        lowest, bound = _value(theta, S, price), float(np.linalg.slogdet(V)[1]) + t
        if lowest - bound <= tol * t:
            return GraphicalLasso(start, max(lowest - bound, 0.0) / t)
        best = theta
    for _ in range(LIMIT):
        before = V.copy()
        for j in range(t):
            beta[j] = _lasso(V, S[j], price[j], beta[j], j)
            column = np.clip(V @ beta[j], S[j] - price[j], S[j] + price[j])
            column[j] = S[j, j]
            V[j] = V[:, j] = column
        theta = _precision(V, beta)
        value = _value(theta, S, price)
        if value < lowest:
            best, lowest = theta, value
        bound = max(bound, float(np.linalg.slogdet(V)[1]) + t)
        if lowest - bound <= tol * t or not (V - before).any():
            break
    return GraphicalLasso(best / scale, max(lowest - bound, 0.0) / t)


def _near(S: np.ndarray, price: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """A covariance within the bounds that is near the inverse of Theta: at them where Theta has an entry."""
    U = np.where(theta != 0, price * np.sign(theta), np.clip(np.linalg.inv(theta) - S, -price, price))
    for share in NEARER:
        try:
            np.linalg.cholesky(S + share * U)
        except np.linalg.LinAlgError:
            continue
        return np.asarray(S + share * U)
    return S.copy()


def _lasso(V: np.ndarray, s: np.ndarray, price: np.ndarray, start: np.ndarray, j: int) -> np.ndarray:
    """Minimise 1/2 b' V b - s' b + sum_i price_i |b_i| over b with b_j = 0, by active sets, from a start."""
    b = start.copy()
    sign = np.sign(b)
    for _ in range(10 * len(b) + 10):
        active = np.flatnonzero(sign)
        if len(active):
            goal = np.linalg.solve(V[np.ix_(active, active)], s[active] - price[active] * sign[active])
            crossing = goal * sign[active] < 0
            if crossing.any():
                # As far as the first coefficient reaches zero, which then leaves.
                here = b[active]
                share = np.where(crossing, np.abs(here) / np.maximum(np.abs(here) + np.abs(goal), 1e-300), np.inf)
                first = int(share.argmin())
                b[active] = here + share[first] * (goal - here)
                b[active[first]] = sign[active[first]] = 0.0
                continue
            b[active] = goal
        rest = s - V[:, active] @ b[active]
        excess = np.where(sign == 0, np.abs(rest) - price, -np.inf)
        excess[j] = -np.inf
        worst = int(excess.argmax())
        if excess[worst] <= ROUNDING:
            break
        sign[worst] = np.sign(rest[worst])
    return b


def _precision(V: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Theta from the regressions of the columns on each other: zero where either of two is not in the other's."""
    diagonal = 1 / np.maximum(np.diagonal(V) - np.einsum("jk,jk->j", V, beta), 1e-300)
    theta = -beta * diagonal[:, None]
    theta = np.where((theta != 0) & (theta.T != 0), (theta + theta.T) / 2, 0.0)
    np.fill_diagonal(theta, diagonal)
    return theta


def _value(theta: np.ndarray, S: np.ndarray, price: np.ndarray) -> float:
    """The objective, infinite where Theta is not positive definite."""
    try:
        L = np.linalg.cholesky(theta)
    except np.linalg.LinAlgError:
        return np.inf
    return float(np.vdot(S, theta) + np.vdot(price, np.abs(theta))) - 2 * float(np.log(np.diagonal(L)).sum())
