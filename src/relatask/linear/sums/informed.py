"""Compiled loops of the hierarchical prior over many tasks: what each says of the mean, from its Gram alone."""

from __future__ import annotations

import numpy as np

from relatask.compiled import compiled
from relatask.linear.sums.forms import Array

LANES = 64
"""Tasks that are worked on side by side."""


def information(gram: Array, cross: Array, root: Array, packed: Array, seen: Array) -> tuple[float, float, float]:
    """N_k = X_k' V_k^-1 X_k and X_k' V_k^-1 y_k of tasks with Grams X_k' X_k (k, q, q), V_k = I + X_k T T' X_k'.

    With M = I + T' G T = L L' and B = L^-1 T' G, N = G - B' B.

    Parameters
    ----------
    gram, cross : (k, q, q), (k, q)
        X_k' X_k and X_k' y_k.
    root : (q, r)
        T.
    packed : (k, q (q + 1) / 2)
        Takes the lower triangles of N_k, row by row.
    seen : (k, q)
        Takes X_k' V_k^-1 y_k.

    Returns
    -------
    log_det : sum of log det V_k, NaN where a matrix is not positive definite
    square : sum of what y_k' V_k^-1 y_k is less than y_k' y_k
    largest : the largest diagonal entry of any M
    """
    q, r = root.shape
    turned = np.ascontiguousarray((gram.reshape(-1, q) @ root).reshape(-1, q, r))
    found = _information(gram, cross, root, turned, packed, seen)
    return float(found[0]), float(found[1]), float(found[2])


def unpacked(packed: Array, q: int) -> Array:
    """(k, q, q) symmetric matrices of their lower triangles (k, q (q + 1) / 2)."""
    out = np.empty((len(packed), q, q))
    _unpack(packed, out)
    return out


@compiled
def _information(gram, cross, root, turned, packed, seen):  # type: ignore[no-untyped-def]
    """As `information`; tasks side by side in the last axis, so that short loops are long ones."""
    q, r = root.shape
    m, side, n = np.zeros((r, r, LANES)), np.zeros((r, q, LANES)), np.zeros((q, q, LANES))
    u, b = np.zeros((r, LANES)), np.zeros((q, LANES))
    x, y, z = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    logs, square, largest = 0.0, 0.0, 0.0
    for first in range(0, len(gram), LANES):
        size = min(LANES, len(gram) - first)
        if size < LANES:
            side[:] = 0.0
            n[:] = 0.0
            b[:] = 0.0
        for l in range(size):
            for p in range(q):
                for i in range(r):
                    side[i, p, l] = turned[first + l, p, i]
                for i in range(p + 1):
                    n[p, i, l] = gram[first + l, p, i]
                b[p, l] = cross[first + l, p]
        m[:] = 0.0
        u[:] = 0.0
        for p in range(q):
            for i in range(r):
                one = root[p, i]
                for l in range(LANES):
                    u[i, l] += one * b[p, l]
                for j in range(i + 1):
                    row = m[i, j]
                    other = side[j, p]
                    for l in range(LANES):
                        row[l] += one * other[l]
        for i in range(r):
            for l in range(LANES):
                m[i, i, l] += 1.0
                largest = max(largest, m[i, i, l])
        for j in range(r):
            for l in range(LANES):
                pivot = m[j, j, l]
                if not pivot > 0.0:
                    return np.nan, square, largest
                if l < size:
                    logs += np.log(pivot)
                x[l] = 1.0 / np.sqrt(pivot)
            for l in range(LANES):
                u[j, l] *= x[l]
            for c in range(q):
                row = side[j, c]
                for l in range(LANES):
                    row[l] *= x[l]
            for i in range(j + 1, r):
                row = m[i, j]
                for l in range(LANES):
                    row[l] *= x[l]
            for i in range(j + 1, r):
                for l in range(LANES):
                    y[l] = m[i, j, l]
                for c in range(j + 1, i + 1):
                    row = m[i, c]
                    other = m[c, j]
                    for l in range(LANES):
                        row[l] -= y[l] * other[l]
                for l in range(LANES):
                    u[i, l] -= y[l] * u[j, l]
                for c in range(q):
                    row = side[i, c]
                    other = side[j, c]
                    for l in range(LANES):
                        row[l] -= y[l] * other[l]
            for a in range(q):
                for l in range(LANES):
                    z[l] = side[j, a, l]
                for l in range(LANES):
                    b[a, l] -= z[l] * u[j, l]
                for c in range(a + 1):
                    row = n[a, c]
                    other = side[j, c]
                    for l in range(LANES):
                        row[l] -= z[l] * other[l]
            for l in range(size):
                square += u[j, l] * u[j, l]
        for l in range(size):
            at = 0
            for a in range(q):
                seen[first + l, a] = b[a, l]
                for c in range(a + 1):
                    packed[first + l, at] = n[a, c, l]
                    at += 1
    return logs, square, largest


@compiled
def _unpack(packed, out):  # type: ignore[no-untyped-def]
    for k in range(len(packed)):
        at = 0
        for i in range(out.shape[1]):
            for j in range(i + 1):
                out[k, i, j] = packed[k, at]
                out[k, j, i] = packed[k, at]
                at += 1
