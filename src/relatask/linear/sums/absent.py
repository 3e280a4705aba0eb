"""Statistics of tasks that lack features: absent columns have no say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics


def without(stats: Statistics, absent: NDArray[np.bool_]) -> Statistics:
    """Statistics in which absent columns have no say: 0 in forms and cross, and no share in means and spreads.

    They come from rows in which such columns are 0 throughout, so that their centred moments are 0 already; their
    mean becomes that of the column over the tasks that have it.
    """
    weight = np.where(absent, 0.0, stats.weight[:, None])
    total = weight.sum(0)
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    center = np.einsum("td,td->d", share, stats.mean_x)
    square = stats.forms.diagonal().sum(0) + np.einsum("td,td->d", weight, np.square(stats.mean_x - center))
    spread = np.sqrt(np.divide(square, total, out=np.zeros_like(square), where=total > 0))
    spread[spread <= 1e-13 * np.abs(center)] = 0.0
    found = replace(stats, center=center, spread=spread, absent=absent)
    return measured_from(found, center)


def measured_from(stats: Statistics, origin: Array) -> Statistics:
    """Statistics in which a column that a task lacks is (d,) `origin` in all of its rows."""
    return stats if stats.absent is None else replace(stats, mean_x=np.where(stats.absent, origin, stats.mean_x))
