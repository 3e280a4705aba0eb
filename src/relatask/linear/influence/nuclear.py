"""The trace norm where it is smooth: on matrices of the rank that the solution has."""

from __future__ import annotations

import numpy as np

from relatask.linear.sums.forms import Array

RANK = 1e-6
"""Singular values below this share of the largest are zero."""


def along_rank(W: Array, pull: Array, strength: float) -> tuple[Array, Array]:
    """Directions in which W keeps its rank, and the curvature of ``strength ||W||_*`` along them.

    With W = U S V', tangents are U A V' + U2 B V' + U C V2', and the second derivative is ``strength`` times
    ``sum_{i<j} (A_ij - A_ji)^2 / (s_i + s_j) + sum_ij (B_ij^2 / s_j + C_ij^2 / s_i) - 2 <Z, B S^-1 C>``, the last of
    these because the set of such matrices is curved: the rest of the objective pulls along U2 Z V2' by strength.

    Parameters
    ----------
    W : (t, q)
        The solution.
    pull : (t, q)
        Minus the gradient of everything else there: strength (U V' + U2 Z V2').
    strength : float
        > 0.

    Returns
    -------
    directions : (t q, k) orthonormal
    curvature : (k, k)

    References
    ----------
    Vandereycken: Low-rank matrix completion by Riemannian optimization, 2013, SIAM J. Optim. 23, equation 2.3.
    """
    t, q = W.shape
    U, s, Vt = np.linalg.svd(W)
    r = int((s > RANK * s.max(initial=0.0)).sum())
    s, V = s[:r], Vt.T
    Z = U[:, r:].T @ pull @ V[:, r:] / strength
    pairs = [(i, j) for i in range(r) for j in range(r)]
    pairs += [(a, j) for a in range(r, t) for j in range(r)]
    pairs += [(i, b) for i in range(r) for b in range(r, q)]
    place = {pair: k for k, pair in enumerate(pairs)}
    directions = np.stack([np.multiply.outer(U[:, i], V[:, j]).ravel() for i, j in pairs] or [np.zeros(t * q)], axis=1)
    curvature = np.zeros((directions.shape[1],) * 2)
    for (i, j), k in place.items():
        if i < r and j < r:
            if i != j:
                curvature[k, k] += 1 / (s[i] + s[j])
                curvature[k, place[j, i]] -= 1 / (s[i] + s[j])
        else:
            curvature[k, k] += 1 / s[j if i >= r else i]
        if i >= r:
            for b in range(r, q):
                curvature[k, place[j, b]] -= Z[i - r, b - r] / s[j]
                curvature[place[j, b], k] -= Z[i - r, b - r] / s[j]
    return directions, strength * curvature
