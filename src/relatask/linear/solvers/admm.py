"""Alternating direction method of multipliers: the data by one eigendecomposition per task, each relation by its prox.

minimise F(W) + R_q(V_0) + sum_i R_i(V_i) with V_i = W, over-relaxed, its step adapted to the balance of the primal and
dual residuals (Boyd et al. 2011, sections 3.4.1, 3.4.3 and 7.1), stopped by a certified duality gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from relatask.linear.forms import Array
from relatask.linear.problem import Solution
from relatask.linear.solvers.certificate import Objective, relative_gap

RELAX = 1.6
CHECK = 10
"""Iterations between two certificates, and between two looks at the step."""
EARLY = (2, 4, 7)
"""Iterations of a first look: along a path, begun where the last strength ended, a few are often enough."""
FAR = 5.0
"""The step is changed where the relative residuals are further apart than this."""
SETTLE = 200
"""From here on the step is looked at ten times less often: a step that keeps changing need not converge."""


@dataclass(frozen=True)
class State:
    """Where a solve ended, to begin the next one there: copies V, unscaled duals, and the step."""

    V: list[Array]
    duals: list[Array]
    rho: float


def admm(objective: Objective, *, tol: float, max_iter: int, start: State | None = None) -> tuple[Solution, State]:
    """Minimise the objective to a relative duality gap of `tol`.

    Returns
    -------
    solution : Solution, with the certified gap that was reached
    state : State, for a warm start
    """
    problem, precision = objective.problem, objective.precision
    parts = len(objective.norms) + (precision is not None)
    shape = problem.shape
    cross = problem.cross
    rho = start.rho if start else _first_step(objective)
    V = [v.copy() for v in start.V] if start else [np.zeros(shape)] * parts
    U = [z / rho for z in start.duals] if start else [np.zeros(shape)] * parts
    data_step = _data_step(objective, rho * parts)
    best_value, best_W, best_bound = np.inf, np.zeros(shape), -np.inf
    gap = np.inf
    for iteration in range(1, max_iter + 1):
        right = cross + rho * sum((v - u for v, u in zip(V, U, strict=True)), np.zeros(shape))
        W = data_step(right)
        change = 0.0
        for i in range(parts):
            relaxed = RELAX * W + (1 - RELAX) * V[i] + U[i]
            if i < len(objective.norms):
                v = objective.norms[i].prox(relaxed, 1 / rho)
            else:
                assert precision is not None
                v = rho * precision.solve(rho, relaxed)
            change += float(np.vdot(v - V[i], v - V[i]))
            V[i], U[i] = v, relaxed - v
        if iteration % CHECK and iteration not in EARLY and iteration != max_iter:
            continue
        duals = [rho * u for u in U]
        norm_duals = duals[: len(objective.norms)]
        quadratic = V[-1] if precision is not None else None
        best_bound = max(best_bound, objective.bound_from_dual(norm_duals, quadratic))
        for candidate in V:
            product = objective.smooth_product(candidate)
            value = objective.value(candidate, product)
            if value < best_value:
                best_value, best_W = value, candidate
            best_bound = max(best_bound, objective.bound_from_residual(candidate, product, norm_duals))
        gap = relative_gap(best_value, best_bound)
        if gap <= tol:
            break
        if iteration % (CHECK if iteration <= SETTLE else 10 * CHECK):
            continue
        factor = _adapt(W, V, U, np.sqrt(change), parts)
        if factor != 1.0:
            rho *= factor
            U = [u / factor for u in U]
            data_step = _data_step(objective, rho * parts)
    solution = Solution(best_W, best_value, gap, iteration, "admm", certified=True)
    return solution, State(V, [rho * u for u in U], rho)


def _data_step(objective: Objective, shift: float) -> Callable[[Array], Array]:
    """(H + shift I)^-1, with a common intercept by Sherman and Morrison."""
    problem = objective.problem
    shifted = problem.forms.spectrum.shifted(np.full((problem.shape[0], 1), shift))

    def blocks(B: Array) -> Array:
        return shifted(B[:, None, :])[:, 0]

    if problem.coupling is None:
        return blocks
    u = problem.coupling
    solved = blocks(u)
    slack = 1.0 - float(np.vdot(u, solved))

    def coupled(B: Array) -> Array:
        W = blocks(B)
        return W + solved * (float(np.vdot(u, W)) / slack)

    return coupled


def _first_step(objective: Objective) -> float:
    """A step of the size of the forms' typical eigenvalue."""
    diagonal = objective.problem.forms.diagonal()
    positive = diagonal[diagonal > 0]
    return float(np.exp(np.log(positive).mean())) if positive.size else 1.0


def _adapt(W: Array, V: list[Array], U: list[Array], change: float, parts: int) -> float:
    """The factor by which to change the step, from the ratio of the relative residuals."""
    primal = np.sqrt(sum(float(np.vdot(W - v, W - v)) for v in V))
    size = max(np.sqrt(parts) * float(np.linalg.norm(W)), np.sqrt(sum(float(np.vdot(v, v)) for v in V)))
    dual_size = np.sqrt(sum(float(np.vdot(u, u)) for u in U))
    if change == 0 or primal == 0:
        # The copies stand still (at zero, say) while the data's solution is elsewhere, or the other way round.
        return 10.0 if primal > 0 else 0.1 if change > 0 else 1.0
    ratio = (primal / size) / (change / dual_size)
    return float(np.clip(np.sqrt(ratio), 0.1, 10.0)) if ratio > FAR or ratio < 1 / FAR else 1.0
