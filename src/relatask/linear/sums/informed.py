"""Compiled loops of the hierarchical prior over many tasks: what each says of the mean, from its Gram alone."""

from __future__ import annotations

import numpy as np

from relatask.compiled import compiled
from relatask.linear.sums.forms import Array


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
    q, r = root.shape
    m, side, u, v = np.empty((r, r)), np.empty((r, q)), np.empty(r), np.empty(q)
    out = np.zeros(3)
    for k in range(len(gram)):
        for i in range(r):
            for j in range(q):
                side[i, j] = turned[k, j, i]
            for j in range(r):
                m[i, j] = 0.0
        for p in range(q):
            own = turned[k, p]
            for i in range(r):
                one, row = root[p, i], m[i]
                for j in range(i + 1):
                    row[j] += one * own[j]
        for i in range(r):
            m[i, i] += 1.0
            out[2] = max(out[2], m[i, i])
            total = 0.0
            for p in range(q):
                total += root[p, i] * cross[k, p]
            u[i] = total
        for i in range(r):
            row, line = m[i], side[i]
            for j in range(i):
                earlier, total = m[j], 0.0
                for p in range(j):
                    total += row[p] * earlier[p]
                row[j] = (row[j] - total) / earlier[j]
            total = 0.0
            for p in range(i):
                total += row[p] * row[p]
            pivot = row[i] - total
            if not pivot > 0.0:
                out[0] = np.nan
                return out
            row[i] = np.sqrt(pivot)
            out[0] += np.log(pivot)
            for p in range(i):
                factor, other = row[p], side[p]
                u[i] -= factor * u[p]
                for j in range(q):
                    line[j] -= factor * other[j]
            u[i] /= row[i]
            out[1] += u[i] * u[i]
            for j in range(q):
                line[j] /= row[i]
        for j in range(q):
            v[j] = cross[k, j]
        for i in range(r):
            line = side[i]
            for j in range(q):
                v[j] -= u[i] * line[j]
        own, first = packed[k], 0
        for i in range(q):
            seen[k, i] = v[i]
            row = own[first : first + i + 1]
            for j in range(i + 1):
                row[j] = gram[k, i, j]
            for p in range(r):
                factor, line = side[p, i], side[p]
                for j in range(i + 1):
                    row[j] -= factor * line[j]
            first += i + 1
    return out


@compiled
def _unpack(packed, out):  # type: ignore[no-untyped-def]
    for k in range(len(packed)):
        at = 0
        for i in range(out.shape[1]):
            for j in range(i + 1):
                out[k, i, j] = packed[k, at]
                out[k, j, i] = packed[k, at]
                at += 1
