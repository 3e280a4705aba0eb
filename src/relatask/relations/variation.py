"""The proximal operator of total variation along the rows of a matrix: exact, column by column."""

from __future__ import annotations

import numpy as np

from relatask.compiled import compiled


def smoothed(Z: np.ndarray, weight: float) -> np.ndarray:
    """Give the minimiser over X of weight * sum_i ||x_i - x_{i+1}||_1 + 1/2 ||X - Z||_F^2, rows x_i.

    Dynamic programming in t steps a column (Johnson 2013): the derivative of the least cost of the first k entries, as
    a function of x_k, rises in straight pieces; passing it on cuts it off at -weight and weight.

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
    if len(Z) == 1 or weight == 0 or not Z.size:
        return Z.copy()
    X = np.array(Z.T, order="C")
    _strings(X, float(weight))
    return np.ascontiguousarray(X.T)


@compiled
def _strings(X, weight):  # type: ignore[no-untyped-def]
    """Smooth every row of X (d, t) in place."""
    d, t = X.shape
    low, high = np.empty(t), np.empty(t)
    # Knots: where a piece ends, and by how much slope and offset change there; first and last + 1 are in the middle.
    at, slopes, offsets = np.empty(2 * t), np.empty(2 * t), np.empty(2 * t)
    x = np.empty(t)
    for j in range(d):
        z = X[j]
        origin = z.mean()
        z -= origin
        first, last = t, t
        left_slope, left_offset, right_slope, right_offset = 1.0, -z[0], 1.0, -z[0]
        for k in range(t - 1):
            # From the left drop the pieces that stay below -weight, from the right those that stay above weight.
            while first < last and left_slope * at[first] + left_offset < -weight:
                left_slope += slopes[first]
                left_offset += offsets[first]
                first += 1
            while first < last and right_slope * at[last - 1] + right_offset > weight:
                right_slope -= slopes[last - 1]
                right_offset -= offsets[last - 1]
                last -= 1
            low[k] = (-weight - left_offset) / left_slope
            high[k] = (weight - right_offset) / right_slope
            first -= 1
            at[first], slopes[first], offsets[first] = low[k], left_slope, left_offset + weight
            at[last], slopes[last], offsets[last] = high[k], -right_slope, weight - right_offset
            last += 1
            left_slope, left_offset = 1.0, -weight - z[k + 1]
            right_slope, right_offset = 1.0, weight - z[k + 1]
        while first < last and left_slope * at[first] + left_offset < 0.0:
            left_slope += slopes[first]
            left_offset += offsets[first]
            first += 1
        x[t - 1] = -left_offset / left_slope
        for k in range(t - 2, -1, -1):
            x[k] = min(max(x[k + 1], low[k]), high[k])
        # On a piece, the mean of z and of what its ends pull with: free of what was rounded on the way.
        start, pull = 0, 0.0
        for k in range(t):
            if k < t - 1 and x[k + 1] == x[k]:
                continue
            end = 0.0 if k == t - 1 else weight if x[k + 1] > x[k] else -weight
            total = 0.0
            for i in range(start, k + 1):
                total += z[i]
            z[start : k + 1] = origin + (total + end - pull) / (k + 1 - start)
            start, pull = k + 1, end
