"""The hierarchical prior as a model: what a regressor learns from it, and the spread of its predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.fitting import NotConverged
from relatask.linear.input.targets import divided_targets
from relatask.linear.prior.fit import PriorFit, fit_prior
from relatask.linear.prior.posterior import NEW, Uncertainty
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError, tell
from relatask.relations import HierarchicalPrior


def check_settings(settings: dict[str, Any], stats: Statistics) -> None:
    """Raise InputError for settings that mean nothing to a prior, which weighs the tasks by their noise."""
    for name, default in (("weighting", "sample"), ("task_weight", None), ("solver", "auto"), ("loss", "squared")):
        if settings.get(name, default) != default:
            raise InputError(
                f"{name}={settings.get(name)!r} has no meaning under HierarchicalPrior, which takes squared loss and "
                f"weighs tasks by their noise; leave {name}={default!r}."
            )
    if stats.absent is not None:
        raise InputError("HierarchicalPrior does not take missing_features='block' yet; leave such columns out.")


def learned_prior(
    stats: Statistics,
    relation: HierarchicalPrior,
    scale: Array | None,
    *,
    intercept: str,
    standardize: bool,
    tol: float,
    max_iter: int,
) -> dict[str, Any]:
    """Fit, and give what the regressor stores, in original units; `scale` (t,) is what targets are divided by."""
    own = stats if scale is None else divided_targets(stats, scale)
    found = fit_prior(own, relation, intercept=intercept, standardize=standardize, tol=tol, max_iter=max_iter)  # type: ignore[arg-type]
    if found.residual > tol:
        _tell_unconverged(found, tol)
    unit = np.ones(stats.n_tasks) if scale is None else scale
    return {
        "coef_": found.coef * unit[:, None],
        "intercept_": found.intercept * unit,
        "prior_mean_": found.mean_coef,
        "prior_intercept_": found.mean_intercept,
        "prior_covariance_": found.covariance,
        "noise_": found.noise * np.square(unit),
        "log_likelihood_": found.log_likelihood,
        "uncertainty_": vars(found.uncertainty) | {"units": unit},
        "objective_": -found.log_likelihood,
        "residual_": found.residual,
        "n_iter_": found.n_iter,
        "relation_": found.relation,
        "components_": {},
        "strengths_": {},
        "path_": None,
    }


def spread_of(model: Any, X: NDArray, codes: NDArray[np.intp] | None) -> Array:
    """Standard deviations of labels about their predictions, (n,) or (n, t); codes beyond the tasks are new ones.

    Raises
    ------
    InputError
        For a model that was not fitted under a prior.
    """
    if not hasattr(model, "uncertainty_"):
        raise InputError(
            f"return_std=True needs a model of the noise: fit with relation=HierarchicalPrior(), not "
            f"{type(model.relation_).__name__}."
        )
    fields = dict(model.uncertainty_)
    units = fields.pop("units")
    uncertainty = Uncertainty(**fields)
    t = len(model.tasks_)
    if codes is None:
        each = [uncertainty.variance(X, np.full(len(X), k)) for k in range(t)]
        return np.sqrt(np.stack(each, axis=1)) * units
    known = codes < t
    own = np.where(known, units[np.where(known, codes, 0)], 1.0)
    return np.sqrt(uncertainty.variance(X, np.where(known, codes, NEW))) * own


def _tell_unconverged(found: PriorFit, tol: float) -> None:
    told = (
        f"the search for the prior stopped after {found.n_iter} iterations, where one more step would still change the "
        f"covariance by {found.residual:.1e} of its size, above tol={tol:.1e}; raise max_iter or tol."
    )
    tell(NotConverged(told, code="RT015"))
