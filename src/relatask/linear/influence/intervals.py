"""How far labels lie from their predictions: standard deviations and prediction intervals."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from relatask.linear.influence import measures
from relatask.linear.influence.attributes import setting
from relatask.linear.influence.setting import Setting
from relatask.linear.input.labels import listed
from relatask.linear.prior.model import spread_of
from relatask.linear.sums.forms import Array
from relatask.notices import InputError
from relatask.relations import HierarchicalPrior

CHUNK = 4_000_000
"""Numbers of rows in coordinates held at once."""

HELD = 2.0
"""Rows that the prior on noise ratios is worth under ``HierarchicalPrior(noise="task")``."""


def deviations(model: Any, X: Any, codes: NDArray[np.intp] | None, name: str) -> tuple[Array, Array]:
    """Standard deviations of labels of weight 1 about their predictions, and their degrees of freedom.

    Parameters
    ----------
    model : MultiTaskRegressor
        Fitted.
    X, codes : (n, d), (n,) or None
        Rows and their tasks; None where every row is for all tasks.
    name : str
        What was asked for, for errors.

    Returns
    -------
    deviation, freedom : (n,) or (n, t)
    """
    t = len(model.tasks_)
    if isinstance(model.relation_, HierarchicalPrior):
        spread = spread_of(model, X, codes)
        freedom = np.append(_prior_freedom(model, name), np.inf)
        if model.relation_.noise == "common" and t > 0:
            freedom[-1] = freedom[0]
        of = np.arange(t) if codes is None else np.minimum(codes, t)
        return spread, np.broadcast_to(freedom[of], spread.shape)
    known = setting(model, name)
    if codes is not None and codes.size and codes.max() >= t:
        raise InputError(f"{name}: of tasks that fit has not seen, only HierarchicalPrior knows how far labels lie.")
    held = measures.held_noise(known)
    if codes is None:
        each = [_deviation(known, held.values, X, k) for k in range(t)]
        shape = (X.shape[0], t)
        return np.stack(each, axis=1).reshape(shape), np.broadcast_to(held.freedom, shape)
    out = np.empty(len(codes))
    for k in np.unique(codes).tolist():
        rows = np.flatnonzero(codes == k)
        out[rows] = _deviation(known, held.values, X[rows], k)
    return out, held.freedom[codes]


def predict_interval(model: Any, X: Any, tasks: Any, level: float) -> tuple[Array, Array]:
    """Lower and upper ends of intervals that hold a share `level` of labels, on average over tasks."""
    if isinstance(level, bool) or not isinstance(level, Real) or not 0 < level < 1:
        raise InputError(f"level={level!r} is not usable; expected a number between 0 and 1, such as 0.95.")
    mean = model.predict(X, tasks)
    rows, codes = model._rows(X, tasks)
    deviation, freedom = deviations(model, rows, codes, "predict_interval")
    if np.isnan(deviation).any():
        raise InputError(
            f"predict_interval: tasks {listed(model.tasks_.tolist())} have no more labels than coefficients, and "
            "nothing is left to tell the noise by; give more rows, or a stronger relation."
        )
    upper = 0.5 + float(level) / 2
    certain = np.isinf(freedom)
    half = np.where(certain, ndtri(upper), stdtrit(np.where(certain, 1.0, freedom), upper)) * deviation
    return mean - half, mean + half


def _deviation(known: Setting, noise: Array, X: Any, task: int) -> Array:
    """Of one task: its noise, and what is not known of its coefficients, in units of its noise."""
    out = np.empty(X.shape[0])
    step = max(1, CHUNK // max(X.shape[1], 1))
    for first in range(0, len(out), step):
        out[first : first + step] = known.spread_at(X[first : first + step], task)
    return np.asarray(np.sqrt(noise[task] * (1.0 + known.c[task] * out)))


def _prior_freedom(model: Any, name: str) -> Array:
    """(t,) labels less degrees of freedom: of all tasks where they have one noise."""
    own = measures.residual_freedom(setting(model, name))
    total = max(float(own.sum()), 1.0)
    if model.relation_.noise == "common":
        return np.full(len(own), total)
    return np.minimum(own + HELD, total)
