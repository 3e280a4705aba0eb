"""What a fitted prior says of predictions for one more task, which was not fitted with the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from relatask.linear.online.drift import task_form
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError

UNSEEN = 1e-14
"""Directions in which a task has less than this share of its largest sum of squares are not seen."""


def longer_uncertainty(
    fields: dict[str, Any], own: Statistics, center: Array, intercept: str, place: int, noise: float
) -> dict[str, Any]:
    """The fields of an `Uncertainty` with one more task at `place`.

    Its block is ``half = V^-1/2 Z E / sd, mean = V^-1/2 Z F / sd`` with V = I + Z E E' Z' / noise and Z any rows of its
    form, E (`effects`) and F (`fixed`) as they were learned.

    Parameters
    ----------
    fields : dict
        Of the tasks fitted, and "units".
    own : Statistics
        Of the new task alone.
    center : (d,)
        What features are measured from, but with free intercepts.
    intercept : str
        The model's kind.
    place : int
        The new task's.
    noise : float
        Its noise variance.

    Raises
    ------
    InputError
        For very many tasks, of which something else is kept.
    """
    if len(fields.get("information", ())):
        raise InputError("a prior of so many tasks takes a new one by a new fit only: use refit=True.")
    scale, last, free = fields["scale"], bool(fields["last"]), intercept == "free"
    n, empty = float(own.weight[0]), own.count[0] == 0
    form = task_form(own, 0) / np.multiply.outer(scale, scale)
    if not free:
        z = (own.mean_x[0] - center) / scale
        z = np.append(z, 1.0) if last else z
        form = np.pad(form, [(0, int(last)), (0, int(last))]) + n * np.multiply.outer(z, z)
    columns = fields["columns"]
    values, vectors = np.linalg.eigh(form[np.ix_(columns, columns)])
    seen = values > UNSEEN * values.max(initial=0.0)
    rows = (vectors[:, seen] * np.sqrt(values[seen])).T
    deviation = np.sqrt(noise) if noise > 0 else np.inf
    half, mean = rows @ fields["effects"] / deviation, rows @ fields["fixed"] / deviation
    lower = np.linalg.cholesky(np.eye(len(rows)) + half @ half.T)
    block = np.array([place]), np.linalg.solve(lower, half)[None], np.linalg.solve(lower, mean)[None]
    blocks = tuple((np.where(tasks >= place, tasks + 1, tasks), *rest) for tasks, *rest in fields["blocks"])
    origin = own.mean_x[0] / scale if free and not empty else fields["origin"][-1]
    around = (noise + noise / n if not empty else fields["noise"][-1]) if free else noise
    return {
        **fields,
        "blocks": (*blocks, block),
        "origin": np.insert(fields["origin"], place, origin, axis=0),
        "noise": np.insert(fields["noise"], place, around),
        "units": np.insert(fields["units"], place, 1.0),
    }
