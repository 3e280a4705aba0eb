"""Conjugate gradients for any quadratic relation, several strengths at once, preconditioned as much as they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.sparse import csgraph, csr_array

from relatask.linear.problem import Problem
from relatask.linear.solvers.family import Family
from relatask.linear.solvers.preconditioners import NULL, Operator, block_jacobi, large_eigenvalues, projected, spectral
from relatask.linear.sums.forms import Array, Forms
from relatask.linear.sums.shifted import some_tasks
from relatask.notices import RelataskWarning, tell
from relatask.relations.precision import Precision

NULL_SPACE_LIMIT = 2_000
"""Directions of a null space of P that overlap, times the features: more than this are not projected out."""

LOOK = 25
"""Iterations after which it is judged how many are to come."""

PATIENCE = 100
"""More iterations to come than this are worth a better preconditioner."""


def conjugate_gradients(
    problem: Problem, family: Family, *, target: float, max_iter: int, start: Array | None = None
) -> tuple[Array, int]:
    """Solve (H + P_s) W_s = B for every s, to ||residual|| <= target ||B||.

    The preconditioner is block Jacobi, (G_k + P_kk I)^-1, plus an exact correction of what all tasks have in common,
    the direction in which a strong relation is nearly singular. Members that have converged leave the iteration. Where
    the first iterations promise too many more, the members left are solved one by one, with the large eigenvalues of
    their P in the preconditioner.

    Returns
    -------
    W : (t, s, d)
    n_iter : int
    """
    goal = (target * float(np.linalg.norm(problem.cross))) ** 2
    shape = (len(problem.cross), len(family), problem.cross.shape[1])
    W = np.zeros(shape) if start is None else start.copy()
    n_iter, left = _iterate(problem, family, W, block_jacobi(problem), goal, max_iter, look=True)
    for s in left:
        kept = large_eigenvalues(problem, family.member(s))
        if kept is None:
            continue
        operator = spectral(problem, *kept)
        own, one = W[:, [s]], family.some(slice(s, s + 1))
        more, _ = _iterate(problem, one, own, lambda _, f=operator: f, goal, max_iter - n_iter, look=False)  # type: ignore[misc]
        W[:, [s]] = own
        n_iter += more
    return _minimum_norm(problem, family.member(0), W), max(n_iter, 1)


def _iterate(
    problem: Problem,
    family: Family,
    W: Array,
    preconditioner: Callable[[Family], Operator],
    goal: float,
    max_iter: int,
    *,
    look: bool,
) -> tuple[int, NDArray[np.intp]]:
    """Improve W in place; give the iterations, and the members worth a better preconditioner if `look` asks."""
    open_ = np.arange(len(family))
    X = W.copy()
    R = problem.cross[:, None, :] - (problem.apply(X) + family.apply(X))
    precondition = preconditioner(family)
    first = size = _dot(R, R)
    D, rz, iteration = np.zeros_like(R), np.zeros(len(family)), 0
    while iteration < max_iter:
        size = _dot(R, R)
        left = size > goal
        if not left.all():
            W[:, open_] = X
            if not left.any():
                return iteration, open_[:0]
            open_, family, first, size = open_[left], family.some(left), first[left], size[left]
            X, R, D, rz = X[:, left], R[:, left], D[:, left], rz[left]
            precondition = preconditioner(family)
        if look and iteration and iteration % LOOK == 0 and _to_come(first, size, goal, iteration) > PATIENCE:
            if large_eigenvalues(problem, family.member(0)) is not None:
                W[:, open_] = X
                return iteration, open_
            look = False
        iteration += 1
        Z = precondition(R)
        new = _dot(R, Z)
        D = Z + np.divide(new, rz, out=np.zeros_like(rz), where=rz > 0)[:, None] * D
        rz = new
        HD = problem.apply(D) + family.apply(D)
        curvature = _dot(D, HD)
        alpha = np.divide(rz, curvature, out=np.zeros_like(rz), where=curvature > 0)[:, None]
        X = X + alpha * D
        R = R - alpha * HD
    W[:, open_] = X
    return iteration, open_[:0]


def _to_come(first: Array, size: Array, goal: float, iteration: int) -> float:
    """Iterations of the slowest member, if they go on as the first did."""
    gained = np.log(first / size)
    wanted = np.log(size / goal) if goal > 0 else np.full(len(size), np.inf)
    return float(np.max(np.where(gained > 0, iteration * wanted / np.maximum(gained, 1e-300), np.inf)))


def _minimum_norm(problem: Problem, precision: Precision, W: Array) -> Array:
    """Take out of W what neither the data nor the relation sees."""
    basis = precision.null_space()
    d = problem.forms.n_features
    for columns in _pieces(basis):
        q = len(columns)
        if q * d > NULL_SPACE_LIMIT and q > 1:
            told = (
                f"the relation leaves {q} directions of the tasks without a price; "
                "the solution may not be the smallest."
            )
            tell(RelataskWarning(told, code="RT017"))
            continue
        piece = basis[:, columns]
        matrix = _seen(problem, piece)
        if _is_definite(matrix):
            continue
        values, vectors = np.linalg.eigh(matrix)
        unseen = vectors[:, values <= NULL * max(values[-1], 0.0)].T.reshape(-1, q, d)
        # Coordinates of W in the piece, and their part that is not seen.
        inside = np.einsum("tq,tsd->sqd", piece, W)
        along = np.einsum("mqd,sqd->sm", unseen, inside)
        W = W - np.einsum("tq,sqd->tsd", piece, np.einsum("sm,mqd->sqd", along, unseen))
    return W


def _pieces(basis: Array) -> Iterator[NDArray[np.intp]]:
    """Columns in groups that have no task in common: null vectors of a graph's parts can be looked at one by one."""
    if basis.shape[1] == 0:
        return
    used = csr_array((basis != 0).astype(np.float64))
    _, label = csgraph.connected_components(used.T @ used, directed=False)
    order = np.argsort(label, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(label[order])) + 1)


def _seen(problem: Problem, basis: Array) -> Array:
    """(U x I)' H (U x I), (q d, q d), for U (t, q)."""
    q, d = basis.shape[1], problem.forms.n_features
    if q > 1 and all(b.gram is not None and not b.shared for b in problem.forms.buckets):
        matrix = projected(basis, ((b.tasks, b.dense()) for b in problem.forms.buckets))
    else:
        seen = np.zeros((q, d, q, d))
        for a in range(q):
            for b in range(a, q):
                seen[a, :, b] = seen[b, :, a] = _combined(problem.forms, basis[:, a] * basis[:, b])
        matrix = seen.reshape(q * d, q * d)
    if problem.coupling is not None:
        common = (basis.T @ problem.coupling).ravel()
        matrix -= np.multiply.outer(common, common)
    return 0.5 * (matrix + matrix.T)


def _combined(forms: Forms, weights: Array) -> Array:
    """sum_k weights_k G_k of weights of either sign, of the tasks that have one."""
    total = np.zeros((forms.n_features, forms.n_features))
    for sign in (1.0, -1.0):
        chosen = sign * weights > 0
        if chosen.any():
            part = some_tasks(forms, chosen)
            total += sign * part.combined(np.where(chosen, sign * weights, 0.0))
    return total


def _is_definite(matrix: Array) -> bool:
    """Whether a semidefinite matrix is far from singular, told by a Cholesky factor and its condition."""
    factor, failed = lapack.dpotrf(matrix.T, lower=1)
    if failed:
        return False
    share, failed = lapack.dpocon(factor, np.abs(matrix).sum(0).max(), uplo="L")
    return not failed and share > 100 * NULL


def _dot(A: Array, B: Array) -> Array:
    """(s,) inner products over tasks and features."""
    return np.einsum("tsd,tsd->s", A, B)
