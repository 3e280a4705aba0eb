"""Targets of different units: each task's labels divided by their standard deviation, and weights of whole tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.input.labels import listed
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError


def target_scale(stats: Statistics) -> Array:
    """(t,) weighted standard deviations of the labels, 1 where they are constant."""
    weight = np.where(stats.weight > 0, stats.weight, 1.0)
    spread = np.sqrt(stats.yy / weight)
    # A constant target's spread is the rounding of its mean.
    return np.where(spread > 1e-12 * np.abs(stats.mean_y), spread, 1.0)


def divided_targets(stats: Statistics, scale: Array) -> Statistics:
    """The statistics of labels divided by (t,) `scale`."""
    return replace(
        stats, mean_y=stats.mean_y / scale, cross=stats.cross / scale[:, None], yy=stats.yy / np.square(scale)
    )


def task_weights(given: Any, tasks: NDArray) -> Array | None:
    """(t,) positive weights of the tasks, or None where all are 1.

    Parameters
    ----------
    given : mapping of labels to weights, (t,) array in the order of the tasks, or None
        Tasks that a mapping does not name have weight 1.
    tasks : (t,)
        Labels, in order.

    Raises
    ------
    InputError
        For another number of weights, a label that is not a task's, a weight that is not a positive number.
    """
    if given is None:
        return None
    labels = tasks.tolist()
    if isinstance(given, Mapping):
        unknown = [label for label in given if label not in labels]
        if unknown:
            raise InputError(f"task_weight names {listed(unknown)}; expected labels among {listed(labels)}.")
        given = [given.get(label, 1.0) for label in labels]
    try:
        weights = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"task_weight={given!r:.60} does not convert to numbers: {error}.") from error
    if weights.shape != (len(labels),):
        raise InputError(
            f"task_weight has shape {weights.shape}, but there are {len(labels)} tasks; give one weight per task, in "
            f"their order, or a mapping from labels to weights."
        )
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights > 0)))
    if len(bad):
        raise InputError(
            f"task_weight is {weights[bad[0]]:g} for task {labels[bad[0]]!r}; expected finite weights > 0: leave out a "
            f"task that is not to count."
        )
    return None if (weights == 1).all() else weights
