"""Compiled sweeps of coordinate descent: over a Gram, over columns that each task owns.

The correlations are R = B - (H + ridge) W, with H = scale_k G_k - u u'. A row (feature j of all tasks) is minimised
exactly but for the coupling u u', which its diagonal majorises: w_k = c_k r / (h_k r + s) with c_k = R_kj + h_k w_kj,
h_k = H_k,jj + ridge, and r = ||w|| the root of sum_k (c_k / (h_k r + s))^2 = 1, 0 where ||c|| <= s.
"""

from __future__ import annotations

import numpy as np

from relatask.compiled import compiled


@compiled
def radius(c, h, strength, r):  # type: ignore[no-untyped-def]
    """The norm of the minimiser of sum_k (h_k w_k^2 / 2 - c_k w_k) + strength ||w||, by Newton's method from r.

    On 1 / ||c / (h r + s)|| - 1, which increases and is concave (linear where all h are one): from the left, Newton's
    steps never overshoot.
    """
    size = 0.0
    largest = 0.0
    for k in range(len(c)):
        size += c[k] * c[k]
        largest = max(largest, h[k])
    if size <= strength * strength or largest == 0.0:
        return 0.0
    for _ in range(60):
        square = 0.0
        slope = 0.0
        for k in range(len(c)):
            below = h[k] * r + strength
            part = c[k] * c[k] / (below * below)
            square += part
            slope += part * h[k] / below
        if square == 0.0 or slope == 0.0:
            return r
        step = square * (1.0 - np.sqrt(square)) / slope
        new = max(r - step, 0.0)
        if abs(new - r) <= 1e-15 * new:
            return new
        r = new
    return r


@compiled
def row_steps(R, W, h, strength, j, c, delta):  # type: ignore[no-untyped-def]
    """Set delta (t,) to the change of row j; return the decrease that it promises, at least."""
    t = len(W)
    old = 0.0
    size = 0.0
    for k in range(t):
        c[k] = R[k, j] + h[k] * W[k, j]
        size += c[k] * c[k]
        old += W[k, j] * W[k, j]
    if old == 0.0 and size <= strength * strength:
        return 0.0
    r = radius(c, h, strength, np.sqrt(old))
    gain = 0.0
    for k in range(t):
        new = c[k] * r / (h[k] * r + strength)
        delta[k] = new - W[k, j]
        gain += h[k] * delta[k] * delta[k]
    return 0.5 * gain


@compiled
def entry_step(correlation, weight, h, strength):  # type: ignore[no-untyped-def]
    """The change of one entry under strength |w|."""
    if h == 0.0:
        return 0.0
    c = correlation + h * weight
    if c > strength:
        return (c - strength) / h - weight
    if c < -strength:
        return (c + strength) / h - weight
    return -weight


@compiled
def sweep_rows(gram, which, scale, ridge, coupling, R, W, strength, most, tol):  # type: ignore[no-untyped-def]
    """Sweep over rows, `most` times or or until one gains < tol; R, W (t, s) change in place. Return the gain."""
    t, s = W.shape
    c, delta, h = np.empty(t), np.empty(t), np.empty(t)
    total_gain = 0.0
    for _ in range(most):
        gained = 0.0
        for j in range(s):
            for k in range(t):
                h[k] = scale[k] * gram[which[k], j, j] + ridge
            gain = row_steps(R, W, h, strength[0, j], j, c, delta)
            if gain == 0.0:
                continue
            gained += gain
            for k in range(t):
                change = delta[k]
                if change == 0.0:
                    continue
                W[k, j] += change
                along = gram[which[k], j]
                factor = scale[k] * change
                row = R[k]
                for i in range(s):
                    row[i] -= factor * along[i]
                row[j] -= ridge * change
            if len(coupling):
                total = 0.0
                for k in range(t):
                    total += coupling[k, j] * delta[k]
                for k in range(t):
                    for i in range(s):
                        R[k, i] += total * coupling[k, i]
        total_gain += gained
        if gained <= tol:
            break
    return total_gain


@compiled
def sweep_entries(gram, which, scale, ridge, coupling, R, W, strength, most, tol):  # type: ignore[no-untyped-def]
    """Sweep over entries, `most` times or or until one gains < tol; R, W (t, s) change in place. Return the gain."""
    t, s = W.shape
    total_gain = 0.0
    for _ in range(most):
        gained = 0.0
        for k in range(t):
            row, base = R[k], gram[which[k]]
            for j in range(s):
                h = scale[k] * base[j, j] + ridge
                if W[k, j] == 0.0 and abs(row[j]) <= strength[k, j]:
                    continue
                change = entry_step(row[j], W[k, j], h, strength[k, j])
                if change == 0.0:
                    continue
                gained += 0.5 * h * change * change
                W[k, j] += change
                factor = scale[k] * change
                along = base[j]
                for i in range(s):
                    row[i] -= factor * along[i]
                row[j] -= ridge * change
                if len(coupling):
                    total = coupling[k, j] * change
                    for other in range(t):
                        for i in range(s):
                            R[other, i] += total * coupling[other, i]
        total_gain += gained
        if gained <= tol:
            break
    return total_gain


@compiled
def own_rows(columns, ends, scale, squares, ridge, coupling, v, B, Z, W, strength):  # type: ignore[no-untyped-def]
    """One sweep over rows with columns (s, N) of all tasks end to end; W, the fit Z (N,) and v = <u, W> change."""
    s, t = len(columns), len(W)
    R, c, delta, h = np.empty((t, 1)), np.empty(t), np.empty(t), np.empty(t)
    w = np.empty((t, 1))
    gained = 0.0
    for j in range(s):
        x = columns[j]
        for k in range(t):
            part, fit = x[ends[k] : ends[k + 1]], Z[ends[k] : ends[k + 1]]
            dot = 0.0
            for i in range(len(part)):
                dot += part[i] * fit[i]
            w[k, 0] = W[k, j]
            h[k] = squares[k, j] + ridge
            R[k, 0] = B[k, j] - scale[k] * dot - ridge * W[k, j]
            if len(coupling):
                R[k, 0] += coupling[k, j] * v[0]
        gain = row_steps(R, w, h, strength[0, j], 0, c, delta)
        if gain == 0.0:
            continue
        gained += gain
        for k in range(t):
            change = delta[k]
            W[k, j] += change
            part, fit = x[ends[k] : ends[k + 1]], Z[ends[k] : ends[k + 1]]
            for i in range(len(part)):
                fit[i] += change * part[i]
            if len(coupling):
                v[0] += coupling[k, j] * change
    return gained


@compiled
def own_entries(columns, ends, scale, squares, ridge, coupling, v, B, Z, W, strength):  # type: ignore[no-untyped-def]
    """One sweep over entries with columns (s, N) of all tasks end to end; entries of infinite strength are passed."""
    s, t = len(columns), len(W)
    gained = 0.0
    for k in range(t):
        a, b = ends[k], ends[k + 1]
        z = Z[a:b]
        for j in range(s):
            if strength[k, j] == np.inf:
                continue
            x = columns[j, a:b]
            dot = 0.0
            for i in range(b - a):
                dot += x[i] * z[i]
            h = squares[k, j] + ridge
            correlation = B[k, j] - scale[k] * dot - ridge * W[k, j]
            if len(coupling):
                correlation += coupling[k, j] * v[0]
            change = entry_step(correlation, W[k, j], h, strength[k, j])
            if change == 0.0:
                continue
            gained += 0.5 * h * change * change
            W[k, j] += change
            for i in range(b - a):
                z[i] += change * x[i]
            if len(coupling):
                v[0] += coupling[k, j] * change
    return gained


@compiled
def own_products(columns, ends, Z):  # type: ignore[no-untyped-def]
    """(t, s) products of each task's columns with its part of Z (N,)."""
    out = np.empty((len(ends) - 1, len(columns)))
    for j in range(len(columns)):
        for k in range(len(ends) - 1):
            part, fit = columns[j, ends[k] : ends[k + 1]], Z[ends[k] : ends[k + 1]]
            dot = 0.0
            for i in range(len(part)):
                dot += part[i] * fit[i]
            out[k, j] = dot
    return out


@compiled
def column_squares(rows):  # type: ignore[no-untyped-def]
    """(k, d) sums of squares of (k, m, d) rows, read once in their order."""
    out = np.zeros((rows.shape[0], rows.shape[2]))
    for k in range(rows.shape[0]):
        total = out[k]
        for i in range(rows.shape[1]):
            row = rows[k, i]
            for j in range(len(row)):
                total[j] += row[j] * row[j]
    return out


@compiled
def sparse_along(stored, side, k, j, fit, low):  # type: ignore[no-untyped-def]
    """The product of column j of task k with the task's fit Z w + L g, where low is (g, L'(Z w + L g))."""
    first, shift, start, index, values = stored
    dot = 0.0
    for at in range(start[first[k] + j], start[first[k] + j + 1]):
        dot += values[at] * fit[shift[k] + index[at]]
    for q in range(low.shape[2]):
        dot += side[0, k, j, q] * low[0, k, q] + side[1, k, j, q] * low[1, k, q]
    return dot


@compiled
def sparse_sweep(  # type: ignore[no-untyped-def]
    stored, side, scale, squares, ridge, coupling, v, B, fit, low, W, strength
):
    """One sweep over sparse columns, all tasks of a row at once, or entry by entry; fit, low, W and v change."""
    t, s = W.shape
    step = t if len(strength) == 1 else 1
    R, w, c, delta, h = np.empty((t, 1)), np.empty((t, 1)), np.empty(t), np.empty(t), np.empty(t)
    first, shift, start, index, values = stored
    gained = 0.0
    for j in range(s):
        for a in range(0, t, step):
            b = a + step
            for k in range(a, b):
                w[k, 0] = W[k, j]
                h[k] = squares[k, j] + ridge
                R[k, 0] = B[k, j] - scale[k] * sparse_along(stored, side, k, j, fit, low) - ridge * W[k, j]
                if len(coupling):
                    R[k, 0] += coupling[k, j] * v[0]
            # The row of a single task is an entry.
            gain = row_steps(R[a:b], w[a:b], h[a:b], strength[a if step == 1 else 0, j], 0, c[a:b], delta[a:b])
            if gain == 0.0:
                continue
            gained += gain
            for k in range(a, b):
                change = delta[k]
                W[k, j] += change
                for at in range(start[first[k] + j], start[first[k] + j + 1]):
                    fit[shift[k] + index[at]] += change * values[at]
                for q in range(low.shape[2]):
                    low[0, k, q] += change * side[1, k, j, q]
                    low[1, k, q] += change * side[2, k, j, q]
                if len(coupling):
                    v[0] += coupling[k, j] * change
    return gained
