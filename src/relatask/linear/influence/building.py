"""From a problem and its precision to the blocks of the inverse, by the structure that they have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.linalg import lapack

from relatask.linear.influence.inverses import Inverse, Ranked, Rotated, Solved, Written
from relatask.linear.problem import Problem
from relatask.linear.solvers.family import Family
from relatask.linear.solvers.structured import KRONECKER_TASKS, NULL, complete_graph, factorise
from relatask.linear.sums.forms import ROUNDING, Array, Bucket, Forms, _clean
from relatask.notices import InputError
from relatask.relations.edges import Edges
from relatask.relations.precision import Diagonal, Precision

MOST = 6.4e7
"""Numbers that blocks may hold: half a gigabyte, of which there are several."""

SLACK = 1e-12
"""Less than this left of a common intercept's curvature is nothing: the features can do what it does."""


def inverse_blocks(problem: Problem, family: Family, last: float | None = None) -> Inverse:
    """The blocks of (H + P)^-1, the pseudo-inverse where that is singular.

    Parameters
    ----------
    problem : Problem
        The data; of a common intercept its coupling.
    family : Family
        One precision.
    last : float, optional
        Of a common intercept 1 / sqrt(sum_k c_k n_k): the tasks then have it as a last coordinate of their own.

    Raises
    ------
    InputError
        Where the blocks would be more than memory holds.
    """
    precision = family.member(0)
    forms = problem.forms
    t, q = problem.shape
    check_size(t * q * q)
    complete = complete_graph(precision)
    if isinstance(precision, Diagonal) or complete is not None:
        found: Inverse = _ranked(forms.dense(), precision, complete)
    elif forms.shared is not None and t <= KRONECKER_TASKS:
        found = _rotated(forms.dense()[:1], forms.shared.scale, precision)
    elif isinstance(precision, Edges) and (factor := factorise(_grams(forms), family)) is not None:
        found = Solved(factor, (t, q))
    else:
        found = written(forms.dense(), precision)
    if last is None:
        return found
    u = np.zeros((t, q)) if problem.coupling is None else problem.coupling
    solved = found.apply(u)
    slack = 1.0 - float(np.vdot(u, solved))
    # No slack: what the intercept does the features can do, and it is left out.
    root = np.sqrt(slack) if slack > SLACK else np.inf
    return found.with_vector(solved / root, -last / root)


def check_size(numbers: float) -> None:
    """Raise InputError where arrays would not fit into memory."""
    if numbers > MOST:
        raise InputError(
            f"who taught whom takes {numbers:.1e} numbers at once here, more than {MOST:.1e}: ask it of fewer tasks "
            "(fit some of them), of fewer columns, or under Pairwise, which needs no more than (t, t) and (t, d, d)."
        )


def prior_blocks(forms: Array, S: Array) -> Ranked:
    """The same for w_k ~ N(m, S), m with a flat prior: forms (t, q, q) are in units of each task's noise.

    With D_k = (G_k + S^-1)^-1, which needs no inverse of S, w_k = D_k b_k + (I - D_k G_k) m.
    """
    t, q = forms.shape[:2]
    check_size(t * q * q)
    values, vectors = np.linalg.eigh(S)
    kept = values > ROUNDING * q * values.max(initial=0.0)
    root = vectors[:, kept] * np.sqrt(values[kept])
    inner = np.eye(root.shape[1]) + root.T @ forms @ root
    own = root @ np.linalg.solve(inner, np.broadcast_to(root.T, (t, *root.T.shape)))
    side = np.eye(q) - own @ forms
    core = pseudo_inverse(np.einsum("tab,tac->bc", side, forms))
    return Ranked(own, side, core)


def _grams(forms: Forms) -> Forms:
    """The same forms written out, for elimination to take them."""
    if all(bucket.gram is not None for bucket in forms.buckets):
        return forms
    return replace(forms, buckets=(Bucket(np.arange(forms.n_tasks), np.ones(forms.n_tasks), gram=forms.dense()),))


def _ranked(forms: Array, precision: Precision, complete: tuple[float, float] | None) -> Ranked:
    """P = ridge I + pull (I - 11'/t), or diagonal: with the mean of all held fixed, each task is alone."""
    t, q = forms.shape[:2]
    values, vectors = np.linalg.eigh(forms)
    values = _clean(values, q)
    turned = vectors.swapaxes(1, 2)
    if complete is None or complete[1] == 0:
        total = values + precision.diagonal()[:, None]
        own = (vectors * _over(total)[:, None, :]) @ turned
        return Ranked(own, np.zeros((t, q, 0)), np.zeros((0, 0)))
    ridge, pull = complete
    share = _over(values + ridge + pull)
    gain = np.einsum("tab,tb,tcb->ac", vectors, (values + ridge) * share, vectors, optimize=True)
    own = (vectors * share[:, None, :]) @ turned
    return Ranked(own, pull * own, pseudo_inverse(gain) / pull)


def _rotated(form: Array, scale: Array, precision: Precision) -> Rotated:
    """All tasks share their form up to `scale`: two eigendecompositions."""
    values, basis = np.linalg.eigh(form[0] / scale[0])
    root = 1.0 / np.sqrt(scale)
    weights, turn = np.linalg.eigh(precision.dense() * np.multiply.outer(root, root))
    weights = np.where(weights > ROUNDING * len(weights) * weights[-1], weights, 0.0)
    return Rotated(basis, _clean(values, len(values)), turn, weights, root)


def written(forms: Array, precision: Precision) -> Written:
    """The whole inverse of (t q, t q) numbers; what neither data nor relation say anything of is taken out."""
    t, q = forms.shape[:2]
    check_size(float(t * q) ** 2)
    # Null vectors N a of P that the data do not see: null vectors of N' H N.
    N = precision.null_space()
    h = N.shape[1]
    seen = np.einsum("ku,kab,kv->uavb", N, forms, N, optimize=True).reshape(h * q, h * q)
    values, vectors = np.linalg.eigh(seen)
    size = np.einsum("kaa->k", forms).sum() / max(t * q, 1)
    unseen = values <= NULL * max(values.max(initial=0.0), size)
    left = vectors[:, unseen].reshape(h, q, int(unseen.sum()))
    Q = np.einsum("ku,uan->kan", N, left).reshape(t * q, left.shape[2])
    matrix = np.einsum("ij,ab->iajb", precision.dense(), np.eye(q))
    matrix[np.arange(t), :, np.arange(t)] += forms
    matrix = matrix.reshape(t * q, t * q)
    middle = float(np.trace(matrix)) / (t * q) or 1.0
    matrix += middle * (Q @ Q.T)
    factor, failed = lapack.dpotrf(matrix, lower=1)
    found, failed = (factor, failed) if failed else lapack.dpotri(factor, lower=1, overwrite_c=1)
    if failed:
        found = pseudo_inverse(matrix)
    else:
        above = np.triu_indices(t * q, 1)
        found[above] = found.T[above]
    found = found - (Q @ Q.T) / middle
    return Written(found.reshape(t, q, t, q))


def pseudo_inverse(matrix: Array) -> Array:
    """Of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    cut = NULL * values.max(initial=0.0)
    return np.asarray((vectors * np.divide(1.0, values, out=np.zeros_like(values), where=values > cut)) @ vectors.T)


def _over(values: Array) -> Array:
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)
