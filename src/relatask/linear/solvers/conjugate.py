"""Conjugate gradients for any quadratic relation, several strengths at once, with a two-level preconditioner."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from relatask.linear import common
from relatask.linear.forms import Array
from relatask.linear.problem import Problem
from relatask.linear.shifted import shifted
from relatask.linear.solvers.family import Family
from relatask.notices import RelataskWarning
from relatask.relations.precision import Precision

NULL = 1e-11
"""Eigenvalues below this share of the largest count as zero."""

NULL_SPACE_LIMIT = 2_000
"""A null space of P times the features larger than this is not projected out."""


def conjugate_gradients(
    problem: Problem, family: Family, *, target: float, max_iter: int, start: Array | None = None
) -> tuple[Array, int]:
    """Solve (H + P_s) W_s = B for every s, to ||residual|| <= target ||B||.

    The preconditioner is block Jacobi, (G_k + P_kk I)^-1, plus an exact correction of what all tasks have in common,
    the direction in which a strong relation is nearly singular. Members that have converged leave the iteration.

    Returns
    -------
    W : (t, s, d)
    n_iter : int
    """
    goal = (target * np.linalg.norm(problem.cross)) ** 2
    solution = np.zeros((len(problem.cross), len(family), problem.cross.shape[1])) if start is None else start.copy()
    open_ = np.arange(len(family))
    W = solution
    R = problem.cross[:, None, :] - (problem.apply(W) + family.apply(W))
    precondition = _preconditioner(problem, family)
    D, rz, iteration = np.zeros_like(R), np.zeros(len(family)), 0
    while iteration < max_iter:
        left = _dot(R, R) > goal
        if not left.all():
            solution[:, open_] = W
            if not left.any():
                break
            open_, family = open_[left], family.some(left)
            W, R, D, rz = W[:, left], R[:, left], D[:, left], rz[left]
            precondition = _preconditioner(problem, family)
        iteration += 1
        Z = precondition(R)
        new = _dot(R, Z)
        D = Z + np.divide(new, rz, out=np.zeros_like(rz), where=rz > 0)[:, None] * D
        rz = new
        HD = problem.apply(D) + family.apply(D)
        curvature = _dot(D, HD)
        alpha = np.divide(rz, curvature, out=np.zeros_like(rz), where=curvature > 0)[:, None]
        W = W + alpha * D
        R = R - alpha * HD
    solution[:, open_] = W
    return _minimum_norm(problem, family.member(0), solution), max(iteration, 1)


def _preconditioner(problem: Problem, family: Family) -> Callable[[Array], Array]:
    """Block Jacobi, plus a coarse solve on coefficients that are equal for all tasks."""
    ones = np.ones((problem.shape[0], 1))
    blocks = shifted(problem.forms, family.diagonal())
    pull = np.array([(ones.T @ unit.apply(ones)).item() for unit in family.units]) @ family.strengths
    if (rows := common.joined(problem.forms, ones[:, 0])) is not None:
        spectrum = rows.spectrum()
        factors = spectrum.factors(np.maximum(pull, 0.0)[None])
        return lambda R: blocks(R) + spectrum.combine(R.sum(0)[None], *factors)
    values, vectors = np.linalg.eigh(problem.forms.combined(ones[:, 0]))
    total = np.maximum(values, 0.0) + np.maximum(pull, 0.0)[:, None]
    inverse = np.divide(1.0, total, out=np.zeros_like(total), where=total > NULL * total.max())

    def apply(R: Array) -> Array:
        return blocks(R) + ((R.sum(0) @ vectors) * inverse) @ vectors.T

    return apply


def _minimum_norm(problem: Problem, precision: Precision, W: Array) -> Array:
    """Take out of W what neither the data nor the relation sees."""
    basis = precision.null_space()
    q, d = basis.shape[1], problem.forms.n_features
    if q == 0:
        return W
    if q * d > NULL_SPACE_LIMIT:
        told = f"the relation leaves {q} directions of the tasks without a price; the solution may not be the smallest."
        warnings.warn(RelataskWarning(told, code="RT017"), stacklevel=2)
        return W
    seen = np.zeros((q, d, q, d))
    for a in range(q):
        for b in range(a, q):
            weights = basis[:, a] * basis[:, b]
            if weights.any():
                seen[a, :, b] = seen[b, :, a] = problem.forms.combined(weights)
    if problem.coupling is not None:
        common = basis.T @ problem.coupling
        seen -= np.multiply.outer(common, common)
    matrix = seen.reshape(q * d, q * d)
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    unseen = vectors[:, values <= NULL * max(values[-1], 0.0)].T.reshape(-1, q, d)
    for direction in np.einsum("tq,mqd->mtd", basis, unseen):
        W = W - np.einsum("td,tsd->s", direction, W)[:, None] * direction[:, None, :]
    return W


def _dot(A: Array, B: Array) -> Array:
    """(s,) inner products over tasks and features."""
    return np.einsum("tsd,tsd->s", A, B)
