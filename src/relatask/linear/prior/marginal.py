"""The likelihood of tasks whose coefficients are normal draws, from their sufficient statistics, and its gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums import batched
from relatask.linear.sums.forms import Array, Forms
from relatask.linear.sums.sparse_bucket import SparseSpectrum

NO_NOISE = 1e-10
"""Residuals below this share of the labels' sum of squares are rounding: the noise does not fall further."""


RANK = 1e-10
"""Directions in which all rows together have less than this share of the largest sum of squares are not seen."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Tasks compressed to p rows each, with the same likelihood as their own rows.

    Attributes
    ----------
    tasks : (k,) positions.
    fixed : (k, p, f) rows, or (1, p, f) where the tasks share them, in the coordinates of the mean.
    random : the same rows in the coordinates of the effects, (k or 1, p, r); the same array where these are the same.
    labels : (k, p).
    excess : (k,) sums of squares that no coefficients explain.
    count : (k,) numbers of labels that these stand for (less one where the task has an intercept of its own).
    """

    tasks: NDArray[np.intp]
    fixed: Array
    random: Array
    labels: Array
    excess: Array
    count: Array


@dataclass(frozen=True, eq=False)
class Part:
    """What `Marginal.at` leaves of one `Rows`: everything multiplied by the inverse root of its covariance V."""

    fixed: Array
    random: Array
    residual: Array
    scores: Array


@dataclass(frozen=True, eq=False)
class Point:
    """The (restricted) likelihood at one covariance.

    Attributes
    ----------
    value : log-likelihood, at the best mean and noise level, without 1/2 sum log s_i.
    mean : (f,) the best mean.
    level : the best noise level.
    inverse_root : (f, f) L^-1, where L L' / level is the information on the mean.
    gradient : (r, r) of `value` with respect to S / level.
    noise_gradient : (t,) with respect to the logarithms of the tasks' noise ratios.
    parts : one per `Rows`.
    """

    value: float
    mean: Array
    level: float
    inverse_root: Array
    gradient: Array
    noise_gradient: Array
    parts: tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Marginal:
    """y_k ~ N(F_k m, level (R_k P R_k' + ratio_k I)): m and the level are always at their best.

    Attributes
    ----------
    rows : F_k and R_k, compressed.
    n_tasks : t.
    restricted : whether m is integrated out (REML) or maximised over (ML).
    log_volume : log det of sum_k F_k' F_k, which makes the restricted likelihood that of orthonormal contrasts.
    """

    rows: tuple[Rows, ...]
    n_tasks: int
    restricted: bool
    log_volume: float

    @property
    def freedom(self) -> float:
        """Numbers of labels, less what the mean uses where it is integrated out."""
        total = float(sum(r.count.sum() for r in self.rows))
        return total - self.rows[0].fixed.shape[2] if self.restricted else total

    def at(self, root: Array, ratio: Array | None = None) -> Point:
        """Evaluate at P = root root', (r, r), and noise ratios (t,), None for 1."""
        f = self.rows[0].fixed.shape[2]
        H, h, square, log_det = np.zeros((f, f)), np.zeros(f), 0.0, 0.0
        whitened = []
        for r in self.rows:
            weight = None if ratio is None else 1 / ratio[r.tasks]
            inverse, part_det = _inverse_roots(r.random, root, weight)
            shrink = inverse if weight is None else inverse * np.sqrt(weight)[:, None, None]
            fixed = shrink @ r.fixed
            random = fixed if r.random is r.fixed else shrink @ r.random
            labels = (shrink @ r.labels[:, :, None])[:, :, 0]
            times = len(r.tasks) // len(fixed)
            H += times * _gram(fixed, fixed)
            h += (
                np.tensordot(fixed[0], labels.sum(0), (0, 0))
                if len(fixed) == 1
                else _gram(fixed, labels[..., None])[:, 0]
            )
            square += float(np.vdot(labels, labels)) + float(r.excess.sum() if weight is None else r.excess @ weight)
            log_det += times * part_det - (0.0 if weight is None else float(r.count @ np.log(weight)))
            whitened.append((r, weight, fixed, random, labels, times))
        lower = np.linalg.cholesky(H)
        inverse_root = np.linalg.inv(lower)
        z = inverse_root @ h
        mean = inverse_root.T @ z
        freedom = self.freedom
        level = max(square - float(z @ z), NO_NOISE * freedom) / freedom
        value = -0.5 * (freedom * (np.log(2 * np.pi * level) + 1) + log_det)
        if self.restricted:
            value -= 0.5 * (2 * float(np.log(np.diagonal(lower)).sum()) - self.log_volume)
        gradient, noise_gradient, parts = np.zeros_like(root), np.zeros(self.n_tasks), []
        for r, weight, fixed, random, labels, times in whitened:
            residual = labels - (fixed @ mean)
            scores = (residual[:, None, :] @ random)[:, 0]
            gradient += scores.T @ scores / level - times * _gram(random, random)
            spread = None
            if self.restricted:
                half = fixed @ inverse_root.T
                spread = half @ half.swapaxes(1, 2)
                gradient += times * _gram(random, spread @ random)
            if weight is not None:
                noise_gradient[r.tasks] = _noise_gradient(r, weight, random @ root, residual, spread, level)
            parts.append(Part(fixed, random, residual, scores))
        return Point(float(value), mean, level, inverse_root, gradient / 2, noise_gradient, tuple(parts))


def compress(forms: Forms, cross: Array, yy: Array, count: Array) -> tuple[Rows, ...]:
    """Rows with the given forms X_k' X_k, (t, q) cross products X_k' y_k and (t,) sums of squares y_k' y_k.

    Each task gets the roots of its eigenvalues times its eigenvectors: at most as many rows as its form has rank.
    """
    out = []
    for bucket in forms.spectrum.buckets:
        every = bucket.vectors
        if isinstance(bucket, SparseSpectrum):
            r = bucket.values.shape[1]
            every = bucket.outward(np.broadcast_to(np.eye(r), (len(every), r, r)))
        same = len(every) == 1 and bool((bucket.values == bucket.values[:1]).all())
        values = bucket.values[:1] if same else bucket.values
        rank = int((values > 0).sum(1).max(initial=0))
        # Eigenvalues ascend.
        values, vectors = values[:, values.shape[1] - rank :], every[:, every.shape[1] - rank :]
        root = np.sqrt(values)
        inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
        labels = (vectors @ cross[bucket.tasks][:, :, None])[:, :, 0] * inverse
        excess = np.maximum(yy[bucket.tasks] - np.square(labels).sum(1), 0.0)
        rows = root[:, :, None] * vectors
        out.append(Rows(bucket.tasks, rows, rows, labels, excess, count[bucket.tasks].astype(np.float64)))
    return tuple(out)


def total_form(r: Rows) -> Array:
    """(q, q) sum of the tasks' forms."""
    return (len(r.tasks) // len(r.fixed)) * _gram(r.fixed, r.fixed)


def seen_basis(total: Array, count: float) -> Array:
    """(q, f) basis of the directions that the rows see, in which they have unit mean squares and no correlation."""
    # On columns of unit length first: a small unit is no small column.
    length = np.sqrt(np.diagonal(total))
    values, vectors = np.linalg.eigh(total / np.multiply.outer(length, length))
    kept = values > RANK * values.max(initial=0.0)
    if kept.all():
        return np.asarray(vectors * np.sqrt(count / values) / length[:, None], dtype=np.float64)
    # The range itself, so that what is not seen is orthogonal to it and gets the smallest coefficients.
    basis = np.linalg.qr(vectors[:, kept] * length[:, None])[0]
    lower = np.linalg.cholesky(basis.T @ total @ basis)
    return np.asarray(basis @ np.linalg.inv(lower).T * np.sqrt(count), dtype=np.float64)


def _inverse_roots(rows: Array, root: Array, weight: Array | None) -> tuple[Array, float]:
    """(k, p, p) inverse Cholesky factors of V = I + weight rows P rows', and the sum of log det V."""
    scaled = rows @ root
    if weight is not None:
        scaled = scaled * np.sqrt(weight)[:, None, None]
    V = scaled @ scaled.swapaxes(1, 2)
    p = V.shape[1]
    V[:, np.arange(p), np.arange(p)] += 1.0
    if len(V) >= batched.MANY and p <= batched.SMALL:
        together = batched.inverse_roots(V)
        if together is not None:
            return together
    try:
        lower = np.linalg.cholesky(V)
    except np.linalg.LinAlgError:
        # Effects so much larger than the noise that rounding hides it: as much noise as rounding.
        V[:, np.arange(p), np.arange(p)] += p * np.finfo(np.float64).eps * np.trace(V, axis1=1, axis2=2)[:, None]
        lower = np.linalg.cholesky(V)
    return np.linalg.inv(lower), 2 * float(np.log(np.diagonal(lower, axis1=1, axis2=2)).sum())


def _gram(a: Array, b: Array) -> Array:
    """sum_k a_k' b_k of (k, p, .) arrays."""
    n = a.shape[0] * a.shape[1]
    return a.reshape(n, a.shape[2]).T @ b.reshape(n, b.shape[2])


def _noise_gradient(r: Rows, weight: Array, half: Array, residual: Array, spread: Array | None, level: float) -> Array:
    """(k,) derivatives in the logarithm of each task's noise ratio; with V = I + A A', half is V^(-1/2) A."""
    # V^-1 = I - B B' with B = V^(-1/2) half; all traces are taken in the whitened space, where I is V^-1 there.
    inner = half @ half.swapaxes(1, 2)
    identity = np.eye(inner.shape[1]) - inner
    out = ((residual[:, None, :] @ identity)[:, 0] * residual).sum(1) / level
    out += r.excess * weight / level - np.trace(identity, axis1=1, axis2=2) - (r.count - inner.shape[1])
    if spread is not None:
        out += (spread * identity).sum((1, 2))
    return out / 2
