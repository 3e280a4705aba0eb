"""Tasks that fit has not seen: their coefficients, where the relation knows of other tasks."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.input.labels import encode_tasks, found_in_order, object_array
from relatask.linear.sums.forms import Array
from relatask.notices import InputError
from relatask.relations import HierarchicalPrior, Relation


def extrapolates(relation: Relation) -> bool:
    """Whether the relation knows of tasks that were not fitted."""
    return isinstance(relation, HierarchicalPrior) or type(relation).extrapolate is not Relation.extrapolate


def codes_with_new(tasks: Any, n: int, known: NDArray) -> tuple[NDArray[np.intp], list[Hashable]]:
    """Codes (n,) of labels; those fit has not seen are counted on behind the others, and listed."""
    names, codes = encode_tasks(tasks, n)
    found = found_in_order(names, known)
    if found is not None:
        return np.asarray(found[codes], dtype=np.intp), []
    place = {label: k for k, label in enumerate(known.tolist())}
    new = [label for label in names.tolist() if label not in place]
    place.update({label: len(known) + k for k, label in enumerate(new)})
    return np.array([place[label] for label in names.tolist()], dtype=np.intp)[codes], new


def with_new(model: Any, new: Sequence[Hashable]) -> tuple[Array, Array]:
    """Coefficients and intercepts of the fitted tasks and, behind them, of new ones: (t + m, d), (t + m,).

    The relation extrapolates what it was fitted on: standardised coefficients, with tied intercepts the level of each
    task at the origin the features are measured from. With other intercepts a new task's level there is the mean of
    the fitted ones, weighted by their labels; none stays none.

    Parameters
    ----------
    model : fitted linear regressor
        Its coef_, intercept_, scale_, fill_, n_labels_, relation_, tasks_.
    new : sequence of labels
        Not among the model's.

    Raises
    ------
    InputError
        For labels that the relation does not know either; where targets were scaled, each task to its own unit.
    """
    if hasattr(model, "prior_mean_") and not model.scale_targets:
        # A new task is the prior's mean.
        mean = np.broadcast_to(model.prior_mean_, (len(new), len(model.prior_mean_)))
        return np.vstack([model.coef_, mean]), np.append(model.intercept_, np.full(len(new), model.prior_intercept_))
    if model.scale_targets:
        raise InputError(
            f"unknown task {object_array(list(new)).tolist()!r}: scale_targets=True gives every task its own unit, "
            "and one that was not fitted has none; use scale_targets=False."
        )
    origin, tied = model.fill_, model.intercept == "tied"
    level = model.intercept_ + model.coef_ @ origin
    W = model.coef_ * model.scale_
    found = model.relation_.extrapolate(np.column_stack([W, level]) if tied else W, new)
    coef = found[:, : W.shape[1]] / model.scale_
    if tied:
        own = found[:, -1]
    else:
        own = np.full(len(new), 0.0 if model.intercept == "none" else np.average(level, weights=model.n_labels_))
    intercept = own - (0.0 if model.intercept == "none" else coef @ origin)
    return np.vstack([model.coef_, coef]), np.concatenate([model.intercept_, intercept])
