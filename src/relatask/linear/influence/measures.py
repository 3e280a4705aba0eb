"""What follows from the hat matrix between tasks: shares, degrees of freedom, noise, standard errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import digamma, polygamma

from relatask.linear.influence.building import check_size
from relatask.linear.influence.setting import Setting
from relatask.linear.prior.posterior import Uncertainty
from relatask.linear.sums.forms import Array

HALVINGS = 200
"""Of a bracket, in the search for the weight of the common noise."""


def transfer(setting: Setting) -> Array:
    """(t, t) T_ij = ||H_ij||_F^2 / sum_j ||H_ij||_F^2, H the map from labels to fitted values.

    A row of weight 2 counts as two: these are norms of the map between labels and fitted values in units of
    1 / sqrt(weight), of which weighted Grams tell. Rows of tasks whose fitted values no label moves are NaN.
    """
    check_size(float(setting.n_tasks) ** 2)
    norms = setting.inverse.norms(setting.forms) * setting.c
    if setting.free:
        # The mean of a task's own labels, at a right angle to all that the features do.
        norms[np.diag_indices(setting.n_tasks)] += setting.c * (setting.weight > 0)
    total = norms.sum(1, keepdims=True)
    return np.divide(norms, total, out=np.full_like(norms, np.nan), where=total > 0)


def degrees_of_freedom(setting: Setting) -> Array:
    """(t,) trace of each task's block of the hat matrix."""
    own = np.einsum("tab,tba->t", setting.forms, setting.inverse.diagonal())
    return np.asarray(own + (setting.free & (setting.weight > 0)))


def squared_residuals(setting: Setting) -> Array:
    """(t,) sum_i s_i residual_i^2, in units of the labels."""
    w = setting.solution()
    fitted = np.einsum("ta,tab,tb->t", w, setting.forms, w) - 2 * np.einsum("ta,ta->t", w, setting.cross)
    own = np.maximum(setting.spread + fitted, 0.0)
    return np.asarray(np.divide(own, setting.c, out=np.zeros_like(own), where=setting.c > 0) * np.square(setting.unit))


def residual_freedom(setting: Setting) -> Array:
    """(t,) labels less degrees of freedom; what is rounding is 0."""
    left = setting.count - degrees_of_freedom(setting)
    return np.where(left > 1e-8 * np.maximum(setting.count, 1), left, 0.0)


def noise(setting: Setting) -> Array:
    """(t,) residual variance of a label of weight 1; NaN for tasks without a degree of freedom left."""
    freedom = residual_freedom(setting)
    return np.divide(squared_residuals(setting), freedom, out=np.full(setting.n_tasks, np.nan), where=freedom > 0)


@dataclass(frozen=True)
class Moderated:
    """Noise variances held together: (t,) values, and the degrees of freedom (t,) of each (infinite where certain)."""

    values: Array
    freedom: Array


def moderated(values: Array, freedom: Array) -> Moderated:
    """Pool each task's noise towards the common one by as much as the tasks' own estimates allow.

    ``(d0 s0^2 + freedom_k values_k) / (d0 + freedom_k)``: variances are taken for draws from a scaled inverse
    chi-square distribution whose d0 and s0^2 come from mean and variance of the logarithms.

    Parameters
    ----------
    values, freedom : (t,)
        Residual variances, NaN where there are none, and their degrees of freedom.

    References
    ----------
    Smyth: Linear models and empirical Bayes methods, 2004, Stat. Appl. Genet. Mol. Biol. 3, section 6.2.
    """
    known = (freedom > 0) & (values > 0)
    if not known.any():
        return Moderated(np.where(freedom > 0, 0.0, np.nan), np.maximum(freedom, 1.0))
    own, half = np.where(known, values, 1.0), np.where(known, freedom, 1.0) / 2
    z = (np.log(own) - digamma(half) + np.log(half))[known]
    n = len(z)
    spread = 0.0 if n < 2 else float(z.var(ddof=1) - polygamma(1, half[known]).mean())
    total = float(freedom[known].sum())
    if spread <= 0 or n < 2:
        # No more different than chance makes them: one noise for all.
        common = float(freedom[known] @ values[known]) / total
        return Moderated(np.full(len(values), common), np.full(len(values), total))
    prior = 2 * _inverse_trigamma(spread)
    center = float(np.exp(z.mean() + digamma(prior / 2) - np.log(prior / 2)))
    held = np.where(known, freedom, 0.0)
    pooled = (prior * center + held * np.where(known, values, 0.0)) / (prior + held)
    return Moderated(pooled, np.minimum(prior + held, total))


def _inverse_trigamma(value: float) -> float:
    """The x at which polygamma(1, x) is `value`, by halving on a logarithmic scale."""
    low, high = -30.0, 30.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if polygamma(1, np.exp(middle)) > value else (low, middle)
    return float(np.exp(0.5 * (low + high)))


def held_noise(setting: Setting) -> Moderated:
    """The tasks' noise variances held together (`moderated`), in units of the labels."""
    square = np.square(setting.unit)
    found = moderated(noise(setting) / square, residual_freedom(setting))
    return Moderated(found.values * square, found.freedom)


def standard_errors(setting: Setting, kind: str = "posterior") -> Array:
    """(t, d) standard deviations of the coefficients, in original units.

    Parameters
    ----------
    setting : Setting
        The model.
    kind : {"posterior", "sandwich"}
        "posterior": of the coefficients given the labels, the relation read as a Gaussian prior at its strength.
        "sandwich": of the estimates over new labels, the coefficients held fixed; it says nothing of their bias.
    """
    ratio = setting.c / np.square(setting.unit) * held_noise(setting).values
    if kind == "posterior":
        blocks = setting.inverse_diagonal * ratio[:, None, None]
    else:
        blocks = setting.inverse.weighted(setting.forms, ratio)
    variance = np.maximum(setting.variances(blocks), 0.0)
    if kind == "posterior" and setting.basis is not None and setting.outside is not None:
        unseen = np.maximum(1.0 - np.square(setting.basis[: len(setting.scale)]).sum(1), 0.0)
        variance = variance + (ratio * setting.outside)[:, None] * unseen
    return np.asarray(np.sqrt(variance) / setting.scale * setting.unit[:, None])


def prior_errors(uncertainty: dict[str, Any], coef: Array) -> Array:
    """(t, d) the same of a model under a `HierarchicalPrior`, whose mean is not taken for known."""
    fields = dict(uncertainty)
    units = fields.pop("units")
    known = Uncertainty(**fields)
    t, d = coef.shape
    each = [np.sqrt(np.maximum(np.diagonal(known.covariance(k))[:d], 0.0)) * units[k] for k in range(t)]
    return np.stack(each)
