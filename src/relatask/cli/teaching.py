"""Who taught whom, of a fitted model, for the report."""

from __future__ import annotations

from typing import Any

import numpy as np

from relatask.cli.problem import Problem
from relatask.cli.record import LARGEST_MATRIX
from relatask.notices import InputError
from relatask.report import Teaching
from relatask.report.parts import grid

LONGEST = 2e10
"""Products that leaving tasks out may take: about ten seconds."""


def taught(model: Any, problem: Problem, X: Any) -> tuple[Teaching | None, Teaching | None]:
    """Whose labels make whose fitted values, and what each other's errors lose without them.

    Parameters
    ----------
    model : estimator
        The main method fitted on all rows.
    problem : Problem
        These rows.
    X : (n, d) array
        Their inputs as the model saw them.

    Returns
    -------
    transfer, removal : Teaching or None
        None where the model does not say it, the tasks are one or very many, or it would take long.
    """
    t = len(problem.names)
    if not 1 < t <= LARGEST_MATRIX or not hasattr(model, "leave_task_out"):
        return None, None
    effects = None
    try:
        if float(t) * problem.y.size * np.square(float(X.shape[1] + 1)) <= LONGEST:
            effects = model.leave_task_out(X, problem.labels, tasks=problem.tasks)
        shares = model.transfer_
    except (InputError, AttributeError):
        return None, None  # no closed form: the page says so
    transfer = Teaching(problem.names, grid(_short(shares)))
    if effects is None:
        return transfer, None
    error = model.leave_one_out_[:, None]
    relative = np.divide(effects, error, out=np.full_like(effects, np.nan), where=error > 0)
    return transfer, Teaching(problem.names, grid(_short(relative)), model.leave_task_out_method_)


def _short(values: np.ndarray) -> np.ndarray:
    """Three significant digits: a picture shows no more."""
    size = np.abs(np.where(np.isfinite(values) & (values != 0), values, 1.0))
    unit = 10.0 ** (np.floor(np.log10(size)) - 2)
    return np.asarray(np.round(values / unit) * unit)
