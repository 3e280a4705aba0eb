"""Intervals and p values: repeated splits that overlap, and many tasks at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

Floats = npt.NDArray[np.float64]

ROUNDING = 1e-9
"""Differences below this part of the scores are rounding, not evidence."""


def corrected_interval(
    differences: npt.ArrayLike, ratio: float, level: float = 0.05
) -> tuple[float, float, float, float]:
    """Mean, ends of the interval and p of differences over J splits whose training sets overlap.

    Parameters
    ----------
    differences : (J,) array
        One difference a split.
    ratio : float
        n_test / n_train.
    level : float
        One minus the coverage.

    Returns
    -------
    mean, low, high, p : float
        Ends and p are NaN for J < 2, and where the differences are equal but not 0: that they do not vary is luck,
        not certainty.

    Examples
    --------
    >>> [round(value, 3) for value in corrected_interval([1.0, 2.0, 3.0], 1 / 3)]
    [2.0, -1.513, 5.513, 0.134]
    """
    d = np.asarray(differences, dtype=float)
    mean = float(d.mean()) if d.size else np.nan
    if d.size < 2:
        return mean, np.nan, np.nan, np.nan
    error = float(np.sqrt((1 / d.size + ratio) * d.var(ddof=1)))
    return (mean, *t_interval(mean, error, d.size - 1, level))


def t_interval(mean: float, error: float, freedom: float, level: float) -> tuple[float, float, float]:
    """Ends of the t interval and the two-sided p; without any error p is 1 at 0, and all are NaN elsewhere.

    That a few numbers are equal (two splits, scores of a few discrete values) is no sign that they do not vary.
    """
    if error <= ROUNDING * abs(mean):
        return (0.0, 0.0, 1.0) if mean == 0 else (np.nan, np.nan, np.nan)
    half = float(stdtrit(freedom, 1 - level / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(mean) / error))
    return float(mean - half), float(mean + half), p


def benjamini_hochberg(p: npt.ArrayLike) -> Floats:
    """Adjusted p values that hold the false discovery rate; NaN stays NaN and counts for nothing.

    Parameters
    ----------
    p : (t,) array
        p values.

    Returns
    -------
    q : (t,) array
        ``q_(i) = min over j >= i of m p_(j) / j`` in ascending order, m the number of values that are not NaN.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.04, 0.04]
    """
    values = np.asarray(p, dtype=float)
    adjusted = np.full(values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(values))
    falling = known[np.argsort(-values[known], kind="stable")]
    rank = np.arange(len(falling), 0, -1)
    adjusted[falling] = np.minimum.accumulate(np.minimum(values[falling] * len(falling) / rank, 1.0))
    return adjusted


def without_rounding(difference: Floats, value: Floats, baseline_value: Floats) -> Floats:
    """Set differences that only rounding made to 0, so that equal methods are never told apart."""
    scale = np.maximum(np.abs(value), np.abs(baseline_value))
    return np.where(np.abs(difference) <= ROUNDING * scale, 0.0, difference)
