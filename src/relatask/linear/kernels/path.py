"""Strengths tried at the cost of one eigendecomposition: leave-one-out, generalised cross-validation, likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relatask.linear.sums.forms import Array

SPAN = 1e4
POINTS = 25
CERTAIN = 1e-10
"""A label whose residual's share 1 - h is below this decides its own fitted value: it cannot be left out."""
CRITERIA = ("loo", "gcv", "likelihood")


@dataclass(frozen=True, eq=False)
class KernelPath:
    """The strengths that were tried.

    Attributes
    ----------
    strengths : (m,), ascending.
    errors : (m,) mean squared error of left-out labels ("loo", weighted by sample_weight), generalised cross-validation
        ("gcv", weighted by the loss weights), or minus the log marginal likelihood ("likelihood").
    best : position of the chosen one.
    criterion : which of the three.
    left_out : labels that could not be left out, because they decide their own fitted value.
    """

    strengths: Array
    errors: Array
    best: int
    criterion: str
    left_out: int


@dataclass(frozen=True, eq=False)
class Energies:
    """Scaled labels in the eigenbasis of the scaled kernel: all that sums over eigenvalues need.

    Attributes
    ----------
    values : (m,) eigenvalues >= 0; those of the other `n_labels` - m directions are 0.
    squares : (m,) squared coordinates of the labels.
    outside : squared norm of the labels in the other directions.
    n_labels : N.
    n_free : intercepts without a penalty; their directions are among those of eigenvalue 0.
    offset : sum of log c_k s_i over labels, less with free intercepts the sum of log c_k S_k over tasks.
    """

    values: Array
    squares: Array
    outside: float
    n_labels: int
    n_free: int
    offset: float

    @property
    def n_contrasts(self) -> int:
        """Labels less free intercepts."""
        return self.n_labels - self.n_free

    def amplitude(self, strength: float) -> float:
        """The prior variance, as a multiple of the kernel, that maximises the marginal likelihood."""
        return self._quadratic(strength) / max(self.n_contrasts, 1)

    def log_likelihood(self, strength: float, amplitude: float) -> float:
        """Log density of the labels, free intercepts integrated out under a flat prior of density 1."""
        m = self.n_contrasts
        zero = m - len(self.values)  # may be negative: values then hold the intercepts' zeros
        logs = float(np.log(self.values + strength).sum()) + zero * np.log(strength)
        size = m * np.log(2 * np.pi * amplitude) if m else 0.0
        spread = self._quadratic(strength) / amplitude if m else 0.0
        return -0.5 * float(size + logs - self.offset + spread)

    def generalised(self, strength: float) -> float:
        """N |residual|^2 / (N - trace H)^2."""
        share = strength / (self.values + strength)
        residual = float(self.squares @ np.square(share)) + self.outside
        free = self.n_contrasts - len(self.values) + float(share.sum())
        return self.n_labels * residual / free**2 if free > CERTAIN * self.n_labels else np.inf

    def degrees(self, strength: float) -> float:
        """The trace of H: effective degrees of freedom, intercepts included."""
        return self.n_free + float((self.values / (self.values + strength)).sum())

    def _quadratic(self, strength: float) -> float:
        return float((self.squares / (self.values + strength)).sum()) + self.outside / strength


def grid(trace: float, weight: Array) -> Array:
    """25 strengths, four decades to both sides of the scaled kernel's trace over the number of labels.

    That number is the labels' weight in units of its median, whatever the unit it came in; a label of weight 2 is two.
    """
    scale = trace / float((weight / np.median(weight)).sum())
    return np.geomspace(scale / SPAN, scale * SPAN, POINTS) if scale > 0 else np.geomspace(1 / SPAN, SPAN, POINTS)


def by_sums(criterion: str, energies: Energies, strengths: Array) -> Array:
    """(m,) errors of the two criteria that need eigenvalues only; likelihoods at their best amplitude."""
    if criterion == "gcv":
        return np.array([energies.generalised(s) for s in strengths.tolist()])
    out = []
    for strength in strengths.tolist():
        amplitude = energies.amplitude(strength)
        out.append(-energies.log_likelihood(strength, amplitude) if amplitude > 0 else -np.inf)
    return np.array(out)


def chosen(strengths: Array, errors: Array, left_out: int, criterion: str) -> KernelPath:
    """The least error; among equal ones the greatest strength."""
    if not np.isfinite(errors).any():
        best = len(errors) - 1
    else:
        least = np.nanmin(np.where(np.isfinite(errors), errors, np.inf))
        near = errors <= least + 1e-12 * abs(least)
        best = int(np.flatnonzero(near)[-1])
    return KernelPath(strengths, errors, best, criterion, left_out)


@dataclass(frozen=True, eq=False)
class LabelSpectrum:
    """Eigenvectors of the scaled kernel of labels, all of them or those that matter.

    Attributes
    ----------
    values : (m,) >= 0.
    basis : (N, m), without the directions of free intercepts.
    target : (N,) scaled labels, centred where intercepts are free.
    unit : (N,) of norm 1 within each task where intercepts are free, else 0.
    rows : of each label, which of the data's rows it belongs to.
    """

    values: Array
    basis: Array
    target: Array
    unit: Array
    rows: NDArray[np.intp]

    def energies(self, n_free: int, offset: float) -> Energies:
        """For sums."""
        coordinates = self.basis.T @ self.target
        outside = 0.0 if self._whole else float(np.square(self.target - self.basis @ coordinates).sum())
        return Energies(self.values, np.square(coordinates), outside, len(self.target), n_free, offset)

    def left_out(self, strengths: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Scaled residuals (N, m) of labels left out with all others of their row, and where they cannot be."""
        coordinates = self.basis.T @ self.target
        share = strengths / (self.values[:, None] + strengths)
        residual = self.basis @ (coordinates[:, None] * share)
        if not self._whole:
            residual += (self.target - self.basis @ coordinates)[:, None]
        count = np.bincount(self.rows)
        if count.max(initial=0) <= 1:
            left = np.square(self.basis) @ share
            if not self._whole:
                left += np.maximum(1 - np.square(self.basis).sum(1) - np.square(self.unit), 0.0)[:, None]
            fixed = left <= CERTAIN
            return residual / np.where(fixed, 1.0, left), fixed
        return self._rows_left_out(residual, share, count)

    def _rows_left_out(self, residual: Array, share: Array, count: NDArray[np.intp]) -> tuple[Array, NDArray[np.bool_]]:
        """As `left_out`, where rows have several labels: a block of 1 - H each."""
        out, fixed = np.empty_like(residual), np.zeros(residual.shape, dtype=bool)
        order = np.argsort(self.rows, kind="stable")
        size = count[self.rows[order]]
        for q in np.unique(size).tolist():
            places = order[size == q].reshape(-1, q)
            basis = self.basis[places]
            rest = 0.0
            if not self._whole:
                rest = np.eye(q) * (1 - np.square(self.unit[places]))[:, :, None] - basis @ basis.transpose(0, 2, 1)
            for s in range(residual.shape[1]):
                block = (basis * share[:, s]) @ basis.transpose(0, 2, 1) + rest
                values, vectors = np.linalg.eigh(block)
                stuck = values <= CERTAIN
                turned = np.einsum("rqa,rq->ra", vectors, residual[places, s]) / np.where(stuck, 1.0, values)
                out[places, s] = np.einsum("rqa,ra->rq", vectors, turned)
                fixed[places, s] = np.repeat(stuck.any(axis=1), q).reshape(-1, q)
        return out, fixed

    @property
    def _whole(self) -> bool:
        return self.basis.shape[1] == len(self.basis)


def squared(left: Array, fixed: NDArray[np.bool_], root: Array, weight: Array) -> tuple[Array, int]:
    """(m,) mean squared errors of residuals (N, m), scaled by (N,) `root`, weighted by (N,); labels left out.

    A label that some strength fixes is left out of all, so that strengths are compared on the same labels.
    """
    kept = np.flatnonzero(~fixed.any(axis=1))
    total = float(weight[kept].sum())
    if total == 0:
        return np.full(left.shape[1], np.nan), len(left) - len(kept)
    share = weight / np.square(root)
    return np.asarray(share[kept] @ np.square(left[kept])) / total, len(left) - len(kept)
