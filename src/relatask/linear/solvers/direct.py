"""Quadratic relations: one linear system, solved exactly by the structure that the relation has."""

from __future__ import annotations

import numpy as np

from relatask.linear.problem import Problem
from relatask.linear.solvers.conjugate import conjugate_gradients
from relatask.linear.solvers.family import Family
from relatask.linear.solvers.structured import Factor, factorise
from relatask.linear.sums.forms import ROUNDING, Array
from relatask.relations.precision import Precision

AIM = 1e-4
"""Conjugate gradients go this much further than asked: the objective's error is the square of the gradient's."""

WRITTEN = 1_000
"""Up to this many unknowns the whole matrix is written where conjugate gradients did not end."""


def direct(
    problem: Problem,
    family: Family,
    *,
    tol: float,
    max_iter: int,
    start: Array | None = None,
    factor: Factor | None = None,
) -> tuple[Array, Array, int]:
    """Solve H W + P_s W = B for every member of a family of precisions.

    Parameters
    ----------
    problem : Problem
        The data.
    family : Family
        s precisions of one structure.
    tol : float
        Relative gradient norm to reach.
    max_iter : int
        For conjugate gradients, where no exact factor exists.
    start : (t, s, d), optional
        To begin with.
    factor : Factor, optional
        Of these forms and this family, where it is known.

    Returns
    -------
    W : (t, s, d)
    residual : (s,) ||H W + P W - B|| / ||B||, 0 where B is 0
    n_iter : int, 1 where the solve was exact
    """
    B = np.repeat(problem.cross[:, None, :], len(family), axis=1)
    size = float(np.linalg.norm(problem.cross))
    factor = factorise(problem.forms, family) if factor is None else factor
    if factor is None:
        W, n_iter = conjugate_gradients(problem, family, target=AIM * tol, max_iter=max_iter, start=start)
        residual = _residual(problem, family, W, B, size)
        # A relation that is far stronger than the data stops them early: what is small is then written out.
        if (residual > tol).any() and B.shape[0] * B.shape[2] <= WRITTEN:
            written = W.copy()
            for s in np.flatnonzero(residual > tol).tolist():
                written[:, s] = _written(problem, family.member(s))
            better = _residual(problem, family, written, B, size)
            W, residual = np.where((better < residual)[:, None], written, W), np.minimum(better, residual)
        return W, residual, n_iter
    if problem.coupling is not None:
        factor = _coupled(factor, problem.coupling, len(family))
    W = factor(B)
    residual = _residual(problem, family, W, B, size)
    if (residual > AIM * tol).any():
        refined = W + factor(B - problem.apply(W) - family.apply(W))
        better = _residual(problem, family, refined, B, size)
        W = np.where((better < residual)[:, None], refined, W)
        residual = np.minimum(better, residual)
    return W, residual, 1


def _coupled(factor: Factor, u: Array, strengths: int) -> Factor:
    """The inverse of (blocks + P) - u u' from that of blocks + P, by Sherman and Morrison."""
    U = np.repeat(u[:, None, :], strengths, axis=1)
    solved = factor(U)
    slack = 1.0 - np.einsum("tsd,tsd->s", U, solved)

    def solve(B: Array) -> Array:
        W = factor(B)
        along = np.einsum("tsd,tsd->s", U, W)
        # No slack: the intercept can be had from the features too, `solved` costs nothing, and none of it is kept.
        free = slack <= 1e-12
        square = np.einsum("tsd,tsd->s", solved, solved)
        kept = -np.einsum("tsd,tsd->s", solved, W) / np.where(square > 0, square, 1.0)
        return W + np.where(free, kept, along / np.where(free, 1.0, slack))[:, None] * solved

    return solve


def _written(problem: Problem, precision: Precision) -> Array:
    """The solution (t, d) of least norm, by the eigenvectors of the whole matrix."""
    t, d = problem.shape
    matrix = np.kron(precision.dense(), np.eye(d))
    for k, form in enumerate(problem.forms.dense()):
        matrix[k * d : (k + 1) * d, k * d : (k + 1) * d] += form
    if problem.coupling is not None:
        matrix -= np.multiply.outer(problem.coupling.ravel(), problem.coupling.ravel())
    values, vectors = np.linalg.eigh(matrix)
    seen = values > ROUNDING * len(values) * values[-1]
    basis = vectors[:, seen]
    W = basis @ ((basis.T @ problem.cross.ravel()) / values[seen])
    # Once more on what rounding left.
    W += basis @ ((basis.T @ (problem.cross.ravel() - matrix @ W)) / values[seen])
    return np.asarray(W.reshape(t, d))


def _residual(problem: Problem, family: Family, W: Array, B: Array, size: float) -> Array:
    gradient = problem.apply(W) + family.apply(W) - B
    return np.sqrt(np.einsum("tsd,tsd->s", gradient, gradient)) / (size or 1.0)
