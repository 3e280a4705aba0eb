"""Per-task sufficient statistics of the squared loss."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.buckets import divided
from relatask.linear.sums.forms import Array, Forms


@dataclass(frozen=True, eq=False)
class Statistics:
    """Weighted counts, means and centred second moments of every task.

    Attributes
    ----------
    count : (t,) numbers of observed labels.
    weight : (t,) sums of their weights, n_k.
    mean_x, mean_y : (t, d), (t,) weighted means.
    forms : centred Grams sum_i s_i (x_i - mean)(x_i - mean)'.
    cross : (t, d) centred sum_i s_i (x_i - mean) (y_i - mean).
    yy : (t,) centred sums of squares of y.
    center, spread : (d,) mean and standard deviation of each column over all training rows.
    row_weight : the weight of these rows: with tasks as columns a row counts once.
    absent : (t, d) columns that a task does not have (its moments are then 0), or None.
    """

    count: NDArray[np.intp]
    weight: Array
    mean_x: Array
    mean_y: Array
    forms: Forms
    cross: Array
    yy: Array
    center: Array
    spread: Array
    row_weight: float
    absent: NDArray[np.bool_] | None = None

    @property
    def n_tasks(self) -> int:
        """t."""
        return len(self.weight)

    @property
    def n_features(self) -> int:
        """d."""
        return self.mean_x.shape[1]

    def scaled(self, scale: Array) -> Statistics:
        """The statistics of the columns divided by (d,) `scale`."""
        if (scale == 1).all():
            return self
        buckets = tuple(divided(b, scale) for b in self.forms.buckets)
        return replace(
            self,
            mean_x=self.mean_x / scale,
            forms=replace(self.forms, buckets=buckets),
            cross=self.cross / scale,
            center=self.center / scale,
            spread=self.spread / scale,
        )
