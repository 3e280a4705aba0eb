"""Preconditioned conjugate gradients for several right-hand sides at once, certified by their true residuals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.forms import Array
from relatask.notices import InputError

Operator = Callable[[Array, NDArray[np.intp]], Array]
"""Takes (N, q) vectors and which of the right-hand sides they belong to."""


@dataclass(frozen=True, eq=False)
class Found:
    """What conjugate gradients ended with: (N, q) solutions, (q,) true relative residuals, products of the operator."""

    solution: Array
    residual: Array
    n_iter: int


def conjugate(
    operator: Operator, strength: float, target: Array, inverse: Operator, tol: float, max_iter: int
) -> Found:
    """(S + strength I)^-1 target for (N, q) right-hand sides.

    Raises
    ------
    InputError
        Where a direction of negative curvature shows that S is not positive semidefinite.
    """
    size = np.sqrt(np.square(target).sum(0))
    size = np.where(size > 0, size, 1.0)
    solution = np.zeros_like(target)
    residual = target.copy()
    n_iter, every = 0, np.arange(target.shape[1])
    while n_iter < max_iter:
        # A restart at the true residual: the recursion's own drifts from it.
        steps = _run(operator, strength, solution, residual, inverse, tol * size, max_iter - n_iter)
        n_iter += steps
        residual = target - operator(solution, every) - strength * solution
        if not steps or (np.sqrt(np.square(residual).sum(0)) <= tol * size).all():
            break
    return Found(solution, np.sqrt(np.square(residual).sum(0)) / size, n_iter)


def _run(
    operator: Operator, strength: float, solution: Array, residual: Array, inverse: Operator, goal: Array, most: int
) -> int:
    """Steps until the recursion's residuals (its own copy) are at half of the goal; `solution` is moved in place."""
    residual = residual.copy()
    active = np.flatnonzero(np.sqrt(np.square(residual).sum(0)) > goal)
    residual = residual[:, active]
    turned = inverse(residual, active)
    direction = turned.copy()
    slope = np.einsum("nq,nq->q", residual, turned)
    steps = 0
    while len(active) and steps < most:
        image = operator(direction, active) + strength * direction
        curvature = np.einsum("nq,nq->q", direction, image)
        if (curvature <= 0).any():
            raise InputError(
                "the kernel is not positive semidefinite: a combination of rows has a negative squared norm beyond "
                "the strength. Take another kernel, or a greater strength."
            )
        length = slope / curvature
        solution[:, active] += length * direction
        residual -= length * image
        steps += 1
        going = np.sqrt(np.square(residual).sum(0)) > 0.5 * goal[active]
        if not going.all():
            active, residual, direction, slope = active[going], residual[:, going], direction[:, going], slope[going]
            if not len(active):
                break
        turned = inverse(residual, active)
        ahead = np.einsum("nq,nq->q", residual, turned)
        direction = turned + (ahead / slope) * direction
        slope = ahead
    return steps
