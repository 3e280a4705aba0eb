"""Accelerated proximal gradient with restart (Beck and Teboulle 2009; O'Donoghue and Candes 2015), for one norm."""

from __future__ import annotations

import numpy as np

from relatask.linear.problem import Solution
from relatask.linear.solvers.certificate import Objective, relative_gap
from relatask.linear.sums.forms import Array
from relatask.notices import InputError
from relatask.relations import Proximal
from relatask.relations.edges import Mixed
from relatask.relations.precision import Dense, LowRank, Precision

CHECK = 10


def fista(objective: Objective, *, tol: float, max_iter: int, start: Array | None = None) -> Solution:
    """Minimise the objective to a relative duality gap of `tol`.

    Raises
    ------
    InputError
        Where more than one norm is among the relations: their joint prox is not known.
    """
    norm = objective.terms[0]
    if len(objective.terms) != 1 or not isinstance(norm, Proximal):
        names = ", ".join(type(n).__name__ for n in objective.terms)
        raise InputError(f"solver='fista' takes one relation with a prox, given {names}; use solver='admm' or 'auto'.")
    step = 1.0 / _lipschitz(objective)
    V = np.zeros(objective.problem.shape) if start is None else start
    Y, momentum = V, 1.0
    value, bound, gap = np.inf, -np.inf, np.inf
    for iteration in range(1, max_iter + 1):
        gradient = objective.smooth_product(Y) - objective.problem.cross
        new = norm.prox(Y - step * gradient, step)
        following = 0.5 * (1 + np.sqrt(1 + 4 * momentum**2))
        if np.vdot(Y - new, new - V) > 0:
            Y, momentum = new, 1.0
        else:
            Y, momentum = new + ((momentum - 1) / following) * (new - V), following
        V = new
        if iteration % CHECK and iteration != max_iter:
            continue
        product = objective.smooth_product(V)
        value = objective.value(V, product)
        bound = max(bound, objective.bound_from_residual(V, product, []))
        gap = relative_gap(value, bound)
        if gap <= tol:
            break
    return Solution(V, value, gap, iteration, "fista", certified=True)


def _lipschitz(objective: Objective) -> float:
    """An upper bound on the largest eigenvalue of H + P x I: that of the forms, and Gershgorin's for P.

    Graphs are Laplacians and diagonals, whose rows sum in absolute value to at most twice the diagonal.
    """
    largest = objective.problem.forms.spectrum.largest
    P = objective.precision
    if P is not None:
        largest += float(_row_sums(P).max())
    return largest or 1.0


def _row_sums(P: Precision) -> Array:
    """(t,) sums of the absolute values of P's rows, or a little more."""
    if isinstance(P, Dense):
        return np.abs(P.matrix).sum(1)
    if isinstance(P, LowRank | Mixed):
        rest = np.abs(P.base) if isinstance(P, LowRank) else 2 * P.edges.diagonal()
        factor = np.abs(P.factor)
        return rest + factor @ (np.abs(P.weights) * factor.sum(0))
    return 2 * P.diagonal()
