"""Compiled loops over many small tasks: their moments from rows, and the systems of their forms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relatask.compiled import compiled
from relatask.linear.sums.forms import Array

MANY = 1_000
"""From this many tasks on one loop over them is compiled."""

LITTLE = 100_000
"""Up to this many products for its Gram, a task costs less in such a loop than by calls of matrix products."""

SMALL = 48
"""Up to this many features a form is factored in such a loop; wider ones by LAPACK, a call each."""


def pays(n_tasks: int, n_rows: int, d: int) -> bool:
    """Whether there are many tasks of few rows each."""
    return n_tasks >= MANY and n_rows * d * d <= LITTLE * n_tasks


def order_of(codes: NDArray[np.integer], count: NDArray[np.intp]) -> NDArray[np.intp]:
    """(n,) the rows, task after task, in their order within each: a sort by counting."""
    return np.asarray(_order(codes, np.cumsum(count) - count), dtype=np.intp)


def task_moments(
    X: NDArray, y: Array, codes: NDArray[np.integer], count: NDArray[np.intp], weights: Array | None
) -> tuple[Array, Array, Array, Array, Array]:
    """Means (t, d) and (t,), centred Grams (t, d, d), cross products (t, d) and squares (t,) of rows of each task."""
    t, d = len(count), X.shape[1]
    mean_x, mean_y, cross, yy = np.zeros((t, d)), np.zeros(t), np.zeros((t, d)), np.zeros(t)
    grams = np.zeros((t, d, d))
    s = np.ones(0) if weights is None else weights
    _moments(X, y, s, order_of(codes, count), count, mean_x, mean_y, grams, cross, yy)
    return mean_x, mean_y, grams, cross, yy


def inverses(gram: Array, scale: Array, shift: Array) -> Array | None:
    """(k, d, d) (scale_k G_k + shift_k I)^-1, exactly symmetric; None where one is not positive definite."""
    out = np.empty_like(gram)
    return out if _inverses(gram, scale, shift, out) else None


def solved(gram: Array, scale: Array, shift: Array, right: Array) -> Array | None:
    """(k, d) (scale_k G_k + shift_k I)^-1 b_k; None where one is not positive definite."""
    out = np.empty_like(right)
    return out if _solved(gram, scale, shift, right, out) else None


def inverse_roots(matrices: Array) -> tuple[Array, float] | None:
    """L_k^-1 (k, p, p) of L_k L_k' = V_k, and the sum of log det V_k; None where one is not positive definite."""
    out = np.empty_like(matrices)
    logs = float(_inverse_roots(matrices, out))
    return None if np.isnan(logs) else (out, logs)


@compiled
def _order(codes, at):  # type: ignore[no-untyped-def]
    order = np.empty(len(codes), np.int64)
    for i in range(len(codes)):
        k = codes[i]
        order[at[k]] = i
        at[k] += 1
    return order


@compiled
def _moments(X, y, s, order, count, mean_x, mean_y, grams, cross, yy):  # type: ignore[no-untyped-def]
    d = X.shape[1]
    most = 0
    for k in range(len(count)):
        most = max(most, count[k])
    x, v = np.empty((most, d)), np.empty(most)
    first = 0
    for k in range(len(count)):
        m = count[k]
        if m == 0:
            continue
        total, middle, mean = 0.0, 0.0, mean_x[k]
        for i in range(m):
            row = order[first + i]
            w = s[row] if len(s) else 1.0
            total += w
            v[i] = y[row]
            middle += w * v[i]
            for j in range(d):
                x[i, j] = X[row, j]
                mean[j] += w * x[i, j]
        middle /= total
        for j in range(d):
            mean[j] /= total
        own_cross, square = cross[k], 0.0
        for i in range(m):
            root = np.sqrt(s[order[first + i]]) if len(s) else 1.0
            v[i] = (v[i] - middle) * root
            square += v[i] * v[i]
            for j in range(d):
                x[i, j] = (x[i, j] - mean[j]) * root
                own_cross[j] += x[i, j] * v[i]
        mean_y[k], yy[k] = middle, square
        for a in range(d):
            row_of_gram = grams[k, a]
            for i in range(m):
                one, own = x[i, a], x[i]
                for b in range(a + 1):
                    row_of_gram[b] += one * own[b]
            for b in range(a):
                grams[k, b, a] = row_of_gram[b]
        first += m


@compiled
def _factor(a):  # type: ignore[no-untyped-def]
    """Cholesky in the lower triangle, in place; whether the matrix is positive definite."""
    for j in range(len(a)):
        pivot = a[j, j]
        for p in range(j):
            pivot -= a[j, p] * a[j, p]
        if not pivot > 0.0:
            return False
        root = np.sqrt(pivot)
        a[j, j] = root
        for i in range(j + 1, len(a)):
            rest = a[i, j]
            for p in range(j):
                rest -= a[i, p] * a[j, p]
            a[i, j] = rest / root
    return True


@compiled
def _root_inverse(a, out):  # type: ignore[no-untyped-def]
    """The transpose of the inverse of a lower triangle, in the upper one of `out`; zeros below."""
    d = len(a)
    for j in range(d):
        own = out[j]
        for i in range(j):
            own[i] = 0.0
        own[j] = 1.0 / a[j, j]
        for i in range(j + 1, d):
            rest, row = 0.0, a[i]
            for p in range(j, i):
                rest += row[p] * own[p]
            own[i] = -rest / a[i, i]


@compiled
def _shifted(gram, scale, shift, a):  # type: ignore[no-untyped-def]
    for i in range(len(a)):
        for j in range(i + 1):
            a[i, j] = scale * gram[i, j]
        a[i, i] += shift


@compiled
def _inverses(gram, scale, shift, out):  # type: ignore[no-untyped-def]
    d = gram.shape[1]
    a, turned = np.empty((d, d)), np.empty((d, d))
    for k in range(len(gram)):
        _shifted(gram[k], scale[k], shift[k], a)
        if not _factor(a):
            return False
        _root_inverse(a, turned)
        # (L L')^-1 = L'^-1 L^-1: entry (i, j) is the product of rows of L'^-1 from the later of both on.
        for i in range(d):
            one = turned[i]
            for j in range(i + 1):
                other, total = turned[j], 0.0
                for p in range(i, d):
                    total += one[p] * other[p]
                out[k, i, j] = total
                out[k, j, i] = total
    return True


@compiled
def _solved(gram, scale, shift, right, out):  # type: ignore[no-untyped-def]
    d = gram.shape[1]
    a = np.empty((d, d))
    for k in range(len(gram)):
        _shifted(gram[k], scale[k], shift[k], a)
        if not _factor(a):
            return False
        x = out[k]
        for i in range(d):
            rest = right[k, i]
            for p in range(i):
                rest -= a[i, p] * x[p]
            x[i] = rest / a[i, i]
        for i in range(d - 1, -1, -1):
            x[i] /= a[i, i]
            for p in range(i):
                x[p] -= a[i, p] * x[i]
    return True


@compiled
def _inverse_roots(matrices, out):  # type: ignore[no-untyped-def]
    d = matrices.shape[1]
    a, turned, logs = np.empty((d, d)), np.empty((d, d)), 0.0
    for k in range(len(matrices)):
        _shifted(matrices[k], 1.0, 0.0, a)
        if not _factor(a):
            return np.nan
        for i in range(d):
            logs += 2.0 * np.log(a[i, i])
        _root_inverse(a, turned)
        for i in range(d):
            for j in range(d):
                out[k, i, j] = turned[j, i]
    return logs
