"""Conjugate gradients for any quadratic relation, several strengths at once, with a two-level preconditioner."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from relatask.linear.forms import Array
from relatask.linear.problem import Problem
from relatask.relations.precision import Precision

NULL_SPACE_LIMIT = 2_000
"""A null space of P times the features larger than this is not projected out."""


def apply_precisions(precisions: Sequence[Precision], W: Array) -> Array:
    """P_s W[:, s] for every s."""
    return np.stack([p.apply(W[:, s]) for s, p in enumerate(precisions)], axis=1)


def conjugate_gradients(
    problem: Problem, precisions: Sequence[Precision], *, target: float, max_iter: int, start: Array | None = None
) -> tuple[Array, int]:
    """Solve (H + P_s) W_s = B for every s, to ||residual|| <= target ||B||.

    The preconditioner is block Jacobi, (G_k + P_kk I)^-1, plus an exact correction of what all tasks have in common,
    the direction in which a strong relation is nearly singular.

    Returns
    -------
    W : (t, s, d)
    n_iter : int
    """
    B = np.repeat(problem.cross[:, None, :], len(precisions), axis=1)
    precondition = _preconditioner(problem, precisions)
    W = np.zeros_like(B) if start is None else start.copy()
    R = B - (problem.apply(W) + apply_precisions(precisions, W)) if start is not None else B.copy()
    goal = (target * np.linalg.norm(problem.cross)) ** 2
    Z = precondition(R)
    D, rz = Z.copy(), _dot(R, Z)
    for iteration in range(1, max_iter + 1):
        HD = problem.apply(D) + apply_precisions(precisions, D)
        curvature = _dot(D, HD)
        # A strength that has converged stands still: its direction is exactly zero.
        alpha = np.divide(rz, curvature, out=np.zeros_like(rz), where=curvature > 0)
        W += alpha[:, None] * D
        R -= alpha[:, None] * HD
        open_ = _dot(R, R) > goal
        if not open_.any():
            break
        Z = precondition(R)
        new = _dot(R, Z)
        beta = np.divide(new, rz, out=np.zeros_like(rz), where=(rz > 0) & open_)
        D = np.where(open_[:, None], Z + beta[:, None] * D, 0.0)
        rz = new
    return _minimum_norm(problem, precisions[0], W), iteration


def _preconditioner(problem: Problem, precisions: Sequence[Precision]) -> Callable[[Array], Array]:
    """Block Jacobi, plus a coarse solve on coefficients that are equal for all tasks."""
    t, _ = problem.shape
    diagonal = np.stack([p.diagonal() for p in precisions], axis=1)
    ones = np.ones((t, 1))
    total = problem.forms.combined(ones[:, 0])
    coarse = []
    for p in precisions:
        values, vectors = np.linalg.eigh(total)
        values = values + max(float((ones.T @ p.apply(ones)).item()), 0.0)
        inverse = np.divide(1.0, values, out=np.zeros_like(values), where=values > 1e-11 * values[-1])
        coarse.append((vectors * inverse) @ vectors.T)
    inverses = np.stack(coarse)
    spectrum = problem.forms.spectrum

    def apply(R: Array) -> Array:
        return spectrum.solve(diagonal, R) + np.einsum("sde,se->sd", inverses, R.sum(0))

    return apply


def _minimum_norm(problem: Problem, precision: Precision, W: Array) -> Array:
    """Take out of W what neither the data nor the relation sees."""
    basis = precision.null_space()
    q, d = basis.shape[1], problem.forms.n_features
    if q == 0 or q * d > NULL_SPACE_LIMIT:
        return W
    seen = np.zeros((q, d, q, d))
    for a in range(q):
        for b in range(a, q):
            weights = basis[:, a] * basis[:, b]
            if weights.any():
                seen[a, :, b] = seen[b, :, a] = problem.forms.combined(weights)
    matrix = seen.reshape(q * d, q * d)
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    unseen = vectors[:, values <= 1e-11 * max(values[-1], 0.0)].T.reshape(-1, q, d)
    for direction in np.einsum("tq,mqd->mtd", basis, unseen):
        W = W - np.einsum("td,tsd->s", direction, W)[:, None] * direction[:, None, :]
    return W


def _dot(A: Array, B: Array) -> Array:
    """(s,) inner products over tasks and features."""
    return np.einsum("tsd,tsd->s", A, B)
