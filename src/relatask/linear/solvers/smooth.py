"""Relations with a gradient but without convexity: limited-memory BFGS from several starts, the best end kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize

from relatask.linear.problem import Problem, Solution
from relatask.linear.solvers.direct import direct
from relatask.linear.solvers.family import family
from relatask.linear.sums.forms import Array
from relatask.relations import Quadratic, Relation, Ridge, Smooth, Sum, parts

MEMORY = 20
"""Pairs that BFGS remembers."""

AGAIN = 5
"""Times it is begun anew where it ended: what it remembers may be what keeps it from going on."""


@dataclass
class Descent:
    """Where a descent stands: the lowest point seen, the gradient's norm there, and the objective at every iteration.

    A Descent belongs to the one call of `descend` that made it.
    """

    W: Array
    value: float
    slope: float
    n_iter: int = 0
    trace: list[float] = field(default_factory=list)


def smooth(
    problem: Problem,
    relation: Relation,
    *,
    tol: float,
    max_iter: int,
    start: Array | None = None,
    alone: bool = False,
) -> Solution:
    """Find a stationary point of F(W) + R(W), R a sum of smooth and quadratic relations.

    Begun at 0, at the solution without what is not convex, where the relations say (`Smooth.starts`), and at `start`
    (there `alone`, along a path); the lowest end is returned.
    Its residual is ||gradient|| / ||gradient at 0||; where that is 0, over the largest
    gradient at a start. That no other point is lower is not certified.
    """
    nonconvex = [part for part in parts(relation) if isinstance(part, Smooth)]
    quadratic = [part for part in parts(relation) if isinstance(part, Quadratic)]
    precision = Sum(tuple(quadratic)).quadratic(problem.shape[0]) if quadratic else None

    def evaluate(W: Array) -> tuple[float, Array]:
        product = problem.apply(W)
        if precision is not None:
            product = product + precision.apply(W)
        value = 0.5 * float(np.vdot(W, product)) - float(np.vdot(problem.cross, W)) + problem.constant
        gradient = product - problem.cross
        for part in nonconvex:
            value += float(part.value(W))
            gradient = gradient + part.gradient(W)
        return value, gradient

    zero = np.zeros(problem.shape)
    if alone and start is not None:
        best, residual, n_iter = descend(evaluate, [start], tol=tol, max_iter=max_iter, zero=zero)
        return Solution(best.W, best.value, residual, n_iter, "lbfgs", certified=False)
    convex = Sum(tuple(quadratic)) if quadratic else Ridge(0.0)
    bare = direct(problem, family([convex], problem.shape[0]), tol=tol, max_iter=max_iter)[0][:, 0]
    begin = [zero, bare, *(point for part in nonconvex for point in part.starts(bare))]
    if start is not None:
        begin.append(start)
    best, residual, n_iter = descend(evaluate, begin, tol=tol, max_iter=max_iter)
    return Solution(best.W, best.value, residual, n_iter, "lbfgs", certified=False)


def descend(
    evaluate: Callable[[Array], tuple[float, Array]],
    starts: Sequence[Array],
    *,
    tol: float,
    max_iter: int,
    zero: Array | None = None,
) -> tuple[Descent, float, int]:
    """Descend from every start to a relative gradient norm of `tol`.

    Parameters
    ----------
    evaluate : function
        W -> value and gradient.
    starts : sequence of (t, d) arrays
        The gradient at the first is the measure; where it is 0, the largest of the others.
    zero : (t, d) array, optional
        The measure instead of the first, where it is no start.
    tol : float
        Relative gradient norm.
    max_iter : int
        Iterations of one descent.

    Returns
    -------
    best : Descent, the one with the lowest end; among ends that are equal to rounding, the one nearest to stationary
    residual : its relative gradient norm
    n_iter : iterations of all descents
    """
    slopes = [float(np.linalg.norm(evaluate(W)[1])) for W in ([zero] if zero is not None else []) + list(starts)]
    size = slopes[0] or max(slopes) or 1.0
    ends = [_descent(evaluate, W, goal=0.5 * tol * size, max_iter=max_iter) for W in starts]
    lowest = min(end.value for end in ends)
    rounding = 1e-9 * abs(lowest)
    best = min((end for end in ends if end.value <= lowest + rounding), key=lambda end: end.slope)
    return best, best.slope / size, sum(end.n_iter for end in ends)


def _descent(evaluate: Callable[[Array], tuple[float, Array]], W: Array, *, goal: float, max_iter: int) -> Descent:
    value, gradient = evaluate(W)
    state = Descent(W, value, float(np.linalg.norm(gradient)), trace=[value])

    def flat(w: Array) -> tuple[float, Array]:
        value, gradient = evaluate(w.reshape(W.shape))
        slope = float(np.linalg.norm(gradient))
        # Near the end values no longer differ: then the gradient tells.
        if value < state.value or (value <= state.value + 1e-14 * abs(state.value) and slope < state.slope):
            state.W, state.value, state.slope = w.reshape(W.shape).copy(), value, slope
        return value, gradient.ravel()

    for _ in range(AGAIN):
        if state.slope <= goal or state.n_iter >= max_iter:
            break
        before = state.slope
        result = minimize(
            flat,
            state.W.ravel(),
            jac=True,
            method="L-BFGS-B",
            callback=lambda intermediate_result: state.trace.append(float(intermediate_result.fun)),
            options={
                "maxcor": MEMORY,
                "ftol": 0.0,
                "gtol": goal / np.sqrt(W.size),
                "maxiter": max_iter - state.n_iter,
                "maxfun": 20 * max_iter,
            },
        )
        state.n_iter += int(result.nit)
        if state.slope >= before:
            break
    return state
