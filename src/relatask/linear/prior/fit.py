"""Fitting a hierarchical prior: mean, covariance and noise by (restricted) maximum likelihood, then the tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from relatask.linear.losses.squared import Intercept
from relatask.linear.prior.many import fitted_in_blocks
from relatask.linear.prior.posterior import Uncertainty, kept
from relatask.linear.prior.reml import Optimum, criterion, maximise
from relatask.linear.prior.setting import Moments, divisor, moments_of, setting
from relatask.linear.prior.sums import Sums
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.relations.hierarchical_prior import HierarchicalPrior


@dataclass(frozen=True, eq=False)
class PriorFit:
    """A fitted hierarchical prior, in original units.

    Attributes
    ----------
    coef, intercept : (t, d), (t,) of the tasks: their expectation given the data.
    mean_coef, mean_intercept : (d,), float: those of a new task. With own intercepts its level is the mean of the
        tasks' levels, at the mean of the features.
    covariance : (w, w) S; with tied and common intercepts the last row is the intercept's.
    mean_covariance : (w, w) of the estimate of m.
    noise : (t,) noise variances of a label of weight 1.
    new_noise : float
        Their mean, for new tasks.
    relation : HierarchicalPrior
        With m and S filled in, on the columns it was fitted on (standardised, then the tied intercept), and the kind
        of covariance that was taken.
    log_likelihood : float
        Restricted or plain, without 1/2 sum log s_i; with `method="reml"` of orthonormal contrasts (so that it does
        not depend on units of the columns), and so in each task where intercepts are "free".
    history : (m,) what was maximised, at each iteration: the log-likelihood, and the prior of the noise ratios.
    n_iter : int
        Iterations for the kind that was taken.
    residual : float
        How much one more step of EM would change S, relative to S (and the noise ratios): not a certificate, because
        the likelihood is not concave.
    uncertainty : Uncertainty
        For variances of predictions: `uncertainty.variance(X, codes)`.
    """

    coef: Array
    intercept: Array
    mean_coef: Array
    mean_intercept: float
    covariance: Array
    mean_covariance: Array
    noise: Array
    new_noise: float
    relation: HierarchicalPrior
    log_likelihood: float
    history: Array
    n_iter: int
    residual: float
    uncertainty: Uncertainty


def fit_prior(
    stats: Statistics,
    relation: HierarchicalPrior,
    *,
    intercept: Intercept = "free",
    standardize: bool = True,
    tol: float = 1e-6,
    max_iter: int = 10_000,
) -> PriorFit:
    """Fit w_k ~ N(m, S) and the noise, then each task's own coefficients, from sufficient statistics alone.

    ``y_ki = z_ki' w_k + e_ki, e_ki ~ N(0, noise_k / s_ki)``; m, S and noise maximise the likelihood of the labels, or
    the restricted one (of orthonormal contrasts that are free of m). Found by L-BFGS on T, S = T T', m and the level of
    the noise at their best throughout. Where no datum sees a direction, S is 0 there and m the smallest.

    Parameters
    ----------
    stats : Statistics
        Of the training rows. Weights count as precisions: a row of weight 2 has half the noise, and is still one row.
    relation : HierarchicalPrior
        Which kind of covariance and noise; its m and S are not used.
    intercept : {"free", "tied", "common", "none"}
        "tied": part of w, so that S has a further row, the last. "free": one a task, eliminated by contrasts within the
        task under either method. "common": one for all, part of the mean but without variance.
    standardize : bool
        Whether S is seen on columns of mean 0 and standard deviation 1; to "full" this makes no difference but with
        common intercepts.
    tol : float
        To which `PriorFit.residual` is brought.
    max_iter : int
        Of L-BFGS.

    Returns
    -------
    PriorFit

    Raises
    ------
    InputError
        If there are not more labels in all than the mean has coefficients (and own intercepts).

    Notes
    -----
    One task says nothing of how tasks differ: S is 0. With t tasks S has rank t - 1 at most, so that with few tasks
    "full" leaves most directions without variance; "auto" falls back to "isotropic" then. Residuals are never taken
    for less than 1e-10 of the labels' sum of squares, so that labels without noise have a finite likelihood.
    """
    in_blocks = fitted_in_blocks(stats, relation, intercept, standardize, tol, max_iter)
    if in_blocks is not None:
        return _reported(*in_blocks, intercept)
    scaled, center, scale, moments = moments_of(stats, intercept, standardize)
    best: tuple[Optimum, Array, Array] | None = None
    kinds = ("isotropic", "diagonal", "full") if relation.covariance == "auto" else (relation.covariance,)
    for kind in kinds if stats.n_tasks > 1 else kinds[:1]:
        shape, fixed, random, marginal = setting(moments, relation, kind, stats.n_tasks, intercept)
        found = maximise(marginal, shape, own_noise=relation.noise == "task", tol=tol, max_iter=max_iter)
        if best is None or criterion(found) < criterion(best[0]):
            best = found, fixed, random
    assert best is not None
    return _reported(*best, relation, scaled, center, scale, moments, intercept)


def _reported(
    found: Optimum,
    fixed: Array,
    random: Array,
    relation: HierarchicalPrior,
    scaled: Statistics,
    center: Array,
    scale: Array,
    moments: Moments,
    intercept: Intercept,
) -> PriorFit:
    """From the optimum's coordinates to original units."""
    t, d, unit, point = scaled.n_tasks, scaled.n_features, moments.unit, found.point
    effects = random @ found.root
    mean = np.zeros(moments.width)
    mean[moments.columns] = unit * (fixed @ point.mean)
    W = np.tile(mean, (t, 1))
    every = found.marginal if isinstance(found.marginal, Sums) else None
    if every is not None:
        W[:, moments.columns] += (unit * every.scores(point.mean)) @ (effects @ effects.T)
    for block, part in zip(found.marginal.rows, point.parts, strict=True):
        W[np.ix_(block.tasks, moments.columns)] += unit * (part.scores @ found.root) @ effects.T
    S = np.zeros((moments.width, moments.width))
    S[np.ix_(moments.columns, moments.columns)] = unit**2 * point.level * (effects @ effects.T)
    noise = unit**2 * point.level * (np.ones(t) if found.ratio is None else found.ratio)
    around = np.append(noise, noise.mean())
    origin = np.tile(center, (t + 1, 1))
    slopes, mean_slopes = W[:, :d], mean[:d]
    if intercept == "free":
        middle = scaled.weight @ scaled.mean_x / scaled.weight.sum()
        levels = divisor(unit) * scaled.mean_y - np.einsum("td,td->t", scaled.mean_x - middle, slopes)
        b, mean_b = levels - slopes @ middle, float(levels.mean() - mean_slopes @ middle)
        origin = np.vstack([scaled.mean_x, middle])
        around[:-1] += np.divide(noise, scaled.weight, out=np.zeros(t), where=scaled.weight > 0)
        around[-1] += levels.var(ddof=1) * (1 + 1 / t) if t > 1 else 0.0
    elif moments.last:
        b, mean_b = W[:, -1] - slopes @ center + moments.offset, float(mean[-1] - mean_slopes @ center) + moments.offset
    else:
        b, mean_b = np.zeros(t), 0.0
    spread = unit * np.sqrt(point.level)
    uncertainty = Uncertainty(
        scale=scale,
        origin=origin,
        columns=moments.columns,
        last=moments.last,
        effects=spread * effects,
        fixed=fixed,
        inverse_root=spread * point.inverse_root,
        blocks=kept(found.marginal.rows, point.parts, found.root, spread),
        noise=around,
        information=np.zeros((0, 0)) if every is None else every.informed(spread),
    )
    of_mean = fixed @ uncertainty.inverse_root.T
    width = d if intercept == "common" else moments.width
    kind: Any = found.shape.kind
    logs = found.marginal.freedom * float(np.log(divisor(unit)))
    return PriorFit(
        coef=slopes / scale,
        intercept=b,
        mean_coef=mean_slopes / scale,
        mean_intercept=mean_b,
        covariance=uncertainty.in_units(uncertainty.effects @ uncertainty.effects.T),
        mean_covariance=uncertainty.in_units(of_mean @ of_mean.T),
        noise=noise,
        new_noise=float(noise.mean()),
        relation=replace(relation, covariance=kind, m=mean[:width], S=S[:width, :width]),
        log_likelihood=point.value - logs,
        history=found.history - logs,
        n_iter=len(found.history) - 1,
        residual=found.residual,
        uncertainty=uncertainty,
    )
