"""Rows set aside for stopping: drawn within tasks and classes, by a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relatask.train.estimators.labels import Labels

FEWEST = 20
"""With fewer rows none are set aside."""

Rows = NDArray[np.intp]


def held_out(labels: Labels, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Give rows to train on and rows set aside, both ascending.

    Rows are put in order stratum by stratum (task, and class where there is one target that has classes), at random
    within; then about every 1/fraction-th is set aside, so that every stratum gives its share. A stratum of one row,
    and the only rows with a label of some task, are trained on.

    Parameters
    ----------
    labels : Labels
        Of n rows.
    fraction : float
        In [0, 1).
    seed : int
        Of the draw.
    """
    n = len(labels)
    if fraction <= 0 or n < FEWEST:
        return np.arange(n), np.zeros(0, dtype=np.intp)
    rng = np.random.default_rng((seed, n))
    strata = np.zeros(n, dtype=np.intp) if labels.codes is None else labels.codes.copy()
    classed = labels.classes[0] is not None and (labels.codes is not None)
    if classed:
        strata = strata * int(np.nanmax(labels.values) + 1) + np.nan_to_num(labels.values).astype(np.intp)
    shuffled = rng.permutation(n)
    order = shuffled[np.argsort(strata[shuffled], kind="stable")]
    marks = np.floor((np.arange(n) + rng.random()) * fraction)
    chosen = order[np.diff(marks, prepend=marks[0]) > 0]
    chosen = _sparing(chosen, strata, labels)
    return np.setdiff1d(np.arange(n), chosen), np.sort(chosen)


def _sparing(chosen: Rows, strata: Rows, labels: Labels) -> Rows:
    """The chosen rows without those that some task or class cannot do without."""
    size = np.bincount(strata)
    chosen = chosen[size[strata[chosen]] > 1]
    held = np.zeros(len(labels), dtype=bool)
    held[chosen] = True
    if labels.codes is not None:
        return chosen
    for column in labels.values.T:
        seen = ~np.isnan(column)
        distinct = np.unique(column[seen])
        for own in [column == value for value in distinct] if len(distinct) <= FEWEST else [seen]:
            if not own[~held].any():
                held[np.flatnonzero(own)[0]] = False
    return np.flatnonzero(held)
