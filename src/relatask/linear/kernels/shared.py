"""All tasks on the same rows, no label missing: two eigendecompositions, every strength for free."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg

from relatask.linear.kernels.features import PSD_TOLERANCE, check_semidefinite
from relatask.linear.kernels.path import CERTAIN, Energies
from relatask.linear.sums.forms import Array

BATCH = 4e7
"""Numbers held at once along a path."""


@dataclass(frozen=True, eq=False)
class Shared:
    """(T (x) K + strength diag(1 / c_k s_i)) alpha = y - b, in the eigenbases of the scaled T and K.

    With free intercepts K is centred at its weighted mean over the rows, which leaves b_k the mean of task k's labels:
    exact, because what is left of f has mean zero over each task.

    Attributes
    ----------
    kernel : (n, n) K.
    between : (t, t) T.
    labels : (n, t).
    weight : (n,) s_i.
    loss_weight : (t,) c_k.
    free : whether tasks have intercepts of their own.
    tolerance : of the kernel's eigenvalues.
    """

    kernel: Array
    between: Array
    labels: Array
    weight: Array
    loss_weight: Array
    free: bool
    tolerance: float = PSD_TOLERANCE

    @cached_property
    def row_root(self) -> Array:
        """(n,) square roots of the weights."""
        return np.sqrt(self.weight)

    @cached_property
    def unit(self) -> Array:
        """(n,) the direction that free intercepts take; 0 without."""
        return self.row_root / np.sqrt(self.weight.sum()) if self.free else np.zeros(len(self.weight))

    @cached_property
    def task_spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues (t,) and vectors of sqrt(c) T sqrt(c)."""
        root = np.sqrt(self.loss_weight)
        values, basis = np.linalg.eigh(self.between * root * root[:, None])
        return np.maximum(values, 0.0), basis

    @cached_property
    def row_spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues (n,) and vectors of sqrt(s) K sqrt(s), centred."""
        return row_spectrum(self.kernel, self.row_root, self.unit, self.tolerance)

    @cached_property
    def target(self) -> Array:
        """(n, t) sqrt(c_k s_i) y, centred."""
        scaled = self.labels * self.row_root[:, None]
        return (scaled - np.multiply.outer(self.unit, self.unit @ scaled)) * np.sqrt(self.loss_weight)

    @cached_property
    def coordinates(self) -> Array:
        """(n, t) the target in both eigenbases."""
        return self.row_spectrum[1].T @ self.target @ self.task_spectrum[1]

    @cached_property
    def values(self) -> Array:
        """(n, t) eigenvalues of the scaled kernel of labels."""
        return np.multiply.outer(self.row_spectrum[0], self.task_spectrum[0])

    def energies(self) -> Energies:
        """For sums over eigenvalues."""
        n, t = self.labels.shape
        offset = t * float(np.log(self.weight).sum()) + n * float(np.log(self.loss_weight).sum())
        if self.free:
            offset -= float(np.log(self.loss_weight * self.weight.sum()).sum())
        squares = np.square(self.coordinates).ravel()
        whole = len(self.values) == n
        outside = 0.0 if whole else max(float(np.square(self.target).sum() - squares.sum()), 0.0)
        return Energies(self.values.ravel(), squares, outside, n * t, t if self.free else 0, offset)

    def trace(self) -> float:
        """Of the scaled kernel."""
        return float(self.row_spectrum[0].sum() * self.task_spectrum[0].sum())

    def dual(self, strength: float) -> Array:
        """(n, t) alpha."""
        inner = self.row_spectrum[1] @ (self.coordinates / (self.values + strength)) @ self.task_spectrum[1].T
        inner -= np.multiply.outer(self.unit, self.unit @ inner)
        return inner * self.row_root[:, None] * np.sqrt(self.loss_weight)

    def left_out(self, strengths: Array) -> tuple[Array, int]:
        """(m,) mean squared errors of rows left out with all their labels, and the labels that cannot be."""
        values, basis = self.row_spectrum
        own, turn = self.task_spectrum
        # Directions whose eigenvalues vanish beside every strength are as good as zero: one term for all of them.
        some = values * own[-1] > 1e-16 * strengths.min()
        basis = basis - np.multiply.outer(self.unit, self.unit @ basis)
        outside = np.square(basis[:, ~some]).sum(1)
        if basis.shape[1] < len(basis):
            outside += np.maximum(1 - np.square(basis).sum(1) - np.square(self.unit), 0.0)
        values, basis = values[some], basis[:, some]
        coordinates = self.coordinates[some]
        aside = self.target @ turn - basis @ coordinates
        squares = np.square(basis)
        distinct, which = np.unique(np.round(own / max(own[-1], 1e-300), 14), return_inverse=True)
        distinct = distinct * own[-1]
        n, t = self.labels.shape
        share = turn / np.sqrt(self.loss_weight)[:, None]
        errors, kept = [], np.ones(n, dtype=bool)
        size = max(1, int(BATCH // (n * t)))
        for first in range(0, len(strengths), size):
            part = strengths[first : first + size]
            taken = _shares(values, distinct, part)  # (m, r, distinct): 1 - l / (l + strength)
            shape = n, len(part)
            left = (squares @ taken.reshape(len(values), len(part) * len(distinct))).reshape(*shape, len(distinct))
            left += outside[:, None, None]
            if not first:
                # A label's own share only grows as strengths, which ascend, do.
                kept = np.asarray((left[:, 0] > CERTAIN).all(1))
            spread = coordinates[:, None] * taken[:, :, which]
            residual = (basis @ spread.reshape(len(values), len(part) * t)).reshape(*shape, t) + aside[:, None]
            alone = residual[kept] / left[kept][:, :, which]
            errors.append(np.square(alone @ share.T).sum((0, 2)))
        total = float(self.weight[kept].sum()) * t
        found = np.concatenate(errors) / total if total else np.full(len(strengths), np.nan)
        return found, int((~kept).sum()) * t

    def reduction(self, between: Array, kernel: Array, strength: float) -> Array:
        """(m, p) what the labels take off the scaled prior variance, for rows m and tasks p.

        `between` (t, p) is T of the fitted tasks with those asked about, `kernel` (n, m) K of the training rows with
        those asked about, less its weighted mean where intercepts are free.
        """
        rows = self.row_root[:, None] * kernel
        rows = self.row_spectrum[1].T @ (rows - np.multiply.outer(self.unit, self.unit @ rows))
        tasks = self.task_spectrum[1].T @ (np.sqrt(self.loss_weight)[:, None] * between)
        return np.asarray(np.square(rows).T @ (1 / (self.values + strength)) @ np.square(tasks))


def row_spectrum(kernel: Array, root: Array, unit: Array, tolerance: float) -> tuple[Array, Array]:
    """Eigenvalues and vectors of sqrt(s) K sqrt(s), with `unit` projected out.

    Raises
    ------
    InputError
        Where an eigenvalue is negative beyond rounding.
    """
    scaled = kernel * root * root[:, None]
    diagonal = np.diagonal(scaled).copy()
    project(scaled, unit)
    values, basis = linalg.eigh(scaled, driver="evd", overwrite_a=True, check_finite=False)
    return checked_values(values, diagonal, tolerance), basis


def checked_values(values: Array, diagonal: Array, tolerance: float) -> Array:
    """Ascending eigenvalues, what is rounding beside the uncentred (n,) diagonal set to 0.

    Raises
    ------
    InputError
        Where one is negative beyond rounding.
    """
    largest = max(float(values[-1]), float(diagonal.max()))
    check_semidefinite(float(values[0]), largest, "the kernel of the training rows", tolerance)
    return np.where(values > 10 * np.finfo(float).eps * float(diagonal.sum()), values, 0.0)


def project(matrix: Array, unit: Array) -> None:
    """(I - u u') M (I - u u'), in place, for symmetric M."""
    if unit.any():
        mean = matrix @ unit
        mean -= unit * (unit @ mean) / 2
        matrix -= np.multiply.outer(unit, mean)
        matrix -= np.multiply.outer(mean, unit)


def _shares(values: Array, own: Array, strengths: Array) -> Array:
    """(m, r, p) strength / (product of eigenvalues + strength)."""
    return np.asarray(strengths[:, None] / (values[:, None, None] * own + strengths[:, None]))
