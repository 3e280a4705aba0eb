"""Scores over all tasks, one row per method and metric: what the report's first table shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from relatask.measure.scores import ALL, Scores
from relatask.report.parts import Overall


def overall_rows(scores: Scores, methods: Sequence[str] | None = None) -> tuple[Overall, ...]:
    """Mean and standard deviation over splits of every number over all tasks; seeds are averaged within a split first.

    Parameters
    ----------
    scores : Scores
        Of a study; rows of single tasks are passed over.
    methods : sequence of str, optional
        Which, and in which order; all if None.

    Returns
    -------
    tuple of Overall
        The standard deviation is None with fewer than two splits.

    Examples
    --------
    >>> rows = [{"method": "own", "task": "(all tasks)", "metric": "rmse", "split": s, "value": v, "better": "lower"}
    ...         for s, v in [("s0", 2.0), ("s1", 4.0)]]
    >>> [(row.method, row.value, round(row.sd, 3), row.splits) for row in overall_rows(Scores.of(rows))]
    [('own', 3.0, 1.414, 2)]
    """
    rows = []
    for method in scores.methods if methods is None else methods:
        own = scores.where(method=method, task=ALL)
        for metric in own.metrics:
            of_metric = own.where(metric=metric)
            means = np.array([of_metric.where(split=split).value.mean() for split in of_metric.splits])
            means = means[np.isfinite(means)]
            value = float(means.mean()) if len(means) else math.nan
            sd = float(means.std(ddof=1)) if len(means) > 1 else None
            rows.append(Overall(method, metric, value, sd, len(means)))
    return tuple(rows)
