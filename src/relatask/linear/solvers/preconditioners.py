"""Preconditioners for conjugate gradients: block Jacobi with a coarse solve, and the large eigenvalues of P."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from relatask.linear.problem import Problem
from relatask.linear.solvers.family import Family
from relatask.linear.sums import common
from relatask.linear.sums.forms import Array, Bucket, SpectrumBucket
from relatask.linear.sums.shifted import shifted
from relatask.relations.precision import Dense, Precision

Operator = Callable[[Array], Array]

NULL = 1e-11
"""Eigenvalues below this share of the largest count as zero."""

FLOOR = 1e-9
"""Eigenvalues of P below this share of the largest are taken for as large: digits enough for a preconditioner."""

ROUND = 1e-12
"""No eigenvalue is taken for smaller than this share of the forms' largest diagonal entry."""

DIRECTIONS = 4_000
"""Eigenvectors of P times the features that are factored at most: 128 MB, whatever the data's size."""

TASKS = 1_000
"""Up to this many tasks a precision that is not a dense array is written out for its eigenvectors."""

DROP = 0.1
"""The eigenvalues that are left must be smaller than this share of the largest, or nothing is won."""

SLAB = 4_000_000
"""Numbers of the tasks' inverses that are written out at a time."""


def block_jacobi(problem: Problem) -> Callable[[Family], Operator]:
    """Prepare, for families of one structure, (G_k + P_kk I)^-1 plus a solve on what is equal for all tasks."""
    ones = np.ones((problem.shape[0], 1))
    rows = common.joined(problem.forms, ones[:, 0])
    few = None if rows is None else rows.spectrum()
    values, vectors = np.linalg.eigh(np.zeros((0, 0)) if few else problem.forms.combined(ones[:, 0]))

    def of(family: Family) -> Operator:
        blocks = shifted(problem.forms, family.diagonal())
        pull = np.array([(ones.T @ unit.apply(ones)).item() for unit in family.units]) @ family.strengths
        if few is not None:
            factors = few.factors(np.maximum(pull, 0.0)[None])
            return lambda R: blocks(R) + few.combine(R.sum(0)[None], *factors)
        total = np.maximum(values, 0.0) + np.maximum(pull, 0.0)[:, None]
        inverse = np.divide(1.0, total, out=np.zeros_like(total), where=total > NULL * total.max())
        return lambda R: blocks(R) + ((R.sum(0) @ vectors) * inverse) @ vectors.T

    return of


def large_eigenvalues(problem: Problem, precision: Precision) -> tuple[Array, Array, float] | None:
    """Give what `spectral` needs: vectors (t, r), values (r,) and delta; None where r d would be too much or too few.

    The eigenvalues that are not kept are replaced by delta, their geometric mean.
    """
    t, d = problem.shape
    if (t > TASKS and not isinstance(precision, Dense)) or not all(type(b) is Bucket for b in problem.forms.buckets):
        return None
    values, vectors = np.linalg.eigh(precision.dense())
    if values[-1] <= 0:
        return None
    # Beside data far stronger than the relation, a smaller delta would be rounding.
    floor = max(FLOOR * float(values[-1]), ROUND * float(problem.forms.diagonal().max()))
    values = np.maximum(values, floor)
    r = min(int((values > 2 * floor).sum()), DIRECTIONS // d)
    tail = values[: t - r]
    if r == 0 or (len(tail) and tail[-1] > DROP * values[-1]):
        return None
    delta = float(np.exp(np.log(tail).mean())) if len(tail) else floor
    kept = np.flatnonzero((np.arange(t) >= t - r) & (values > 2 * delta))
    return vectors[:, kept], values[kept], delta


def spectral(problem: Problem, vectors: Array, values: Array, delta: float) -> Operator:
    """(blockdiag(G_k) + delta I + U (L - delta) U')^-1: the largest eigenvalues L of P kept, all others made equal.

    Where P has few eigenvalues above rounding this is the inverse itself but for delta. By Woodbury's identity the
    work is one Cholesky factor of (r d, r d) for r eigenvectors.
    """
    spectrum = problem.forms.spectrum
    d = problem.shape[1]
    blocks = spectrum.shifted(np.full((problem.shape[0], 1), delta))
    system = projected(vectors, _inverses(spectrum.buckets, delta))
    system[np.diag_indices(len(system))] += np.repeat(1.0 / (values - delta), d)
    factor = cho_factor(system, overwrite_a=True, check_finite=False)

    def apply(R: Array) -> Array:
        Z = blocks(R)
        inside = cho_solve(factor, (vectors.T @ Z[:, 0]).ravel(), check_finite=False).reshape(-1, d)
        return Z - blocks((vectors @ inside)[:, None])

    return apply


def projected(basis: Array, blocks: Iterable[tuple[NDArray[np.intp], Array]]) -> Array:
    """(U x I)' blockdiag(M_k) (U x I), (r d, r d), for U (t, r), from some tasks and their M (k, d, d) at a time."""
    r, out = basis.shape[1], None
    for tasks, M in blocks:
        d = M.shape[1]
        out = np.zeros((r, d, r, d)) if out is None else out
        own, flat = basis[tasks], M.reshape(len(M), d * d)
        for row in range(r):
            out[row] += ((own * own[:, row : row + 1]).T @ flat).reshape(r, d, d).transpose(1, 0, 2)
    assert out is not None
    return out.reshape(len(out) * out.shape[1], -1)


def _inverses(buckets: tuple[SpectrumBucket, ...], shift: float) -> Iterator[tuple[NDArray[np.intp], Array]]:
    """(G_k + shift I)^-1 written out, some tasks at a time."""
    d = buckets[0].vectors.shape[2]
    size = max(1, SLAB // (d * d))
    for bucket in buckets:
        for a in range(0, len(bucket.tasks), size):
            some = slice(a, a + size)
            tasks = bucket.tasks[some]
            part = replace(bucket, tasks=tasks, vectors=bucket.vectors[some], values=bucket.values[some])
            eyes = np.repeat(np.eye(d)[None], len(tasks), axis=0)
            yield tasks, part.combine(eyes, *part.factors(np.full((len(tasks), 1), shift)))
