"""The marginal likelihood of labels y = b_k + f(x, k) + noise, and its derivatives: shared rows, or any labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import linalg

from relatask.linear.kernels.products import Entries
from relatask.linear.kernels.shared import project, row_spectrum
from relatask.linear.sums.forms import Array

TOLERANCE = 1e-5
"""Kernels have been checked before; along a path of length scales they are near singular."""
BLOCK = 128
"""Side of the blocks in which a triangle is mirrored."""


@dataclass(frozen=True, eq=False)
class Slopes:
    """The log likelihood and its derivatives by T (t, t), the noise variances (t,), and the kernel K (p,)."""

    value: float
    between: Array
    noise: Array
    kernel: Array


class Evidence(Protocol):
    """The log density of all labels, free intercepts integrated out under a flat prior of density 1."""

    def __call__(self, between: Array, noise: Array, kernel: Array, gradient: Array | None) -> Slopes:
        """At T, noise variances (of a label of weight 1), K, and K's derivatives (n, n, p) or None."""


@dataclass(frozen=True, eq=False)
class SharedEvidence:
    """Tasks on the same rows: labels (n, t), weights (n,)."""

    labels: Array
    weight: Array
    free: bool

    def __call__(self, between: Array, noise: Array, kernel: Array, gradient: Array | None) -> Slopes:
        """See `Evidence`; the two eigendecompositions of `Shared`, that of K only where it changes."""
        root = np.sqrt(self.weight)
        unit = root / np.sqrt(self.weight.sum()) if self.free else np.zeros(len(root))
        values, basis, target = self._rows(kernel, root, unit)
        n, t = self.labels.shape
        inverse = 1 / np.sqrt(noise)
        own, turn = np.linalg.eigh(between * inverse * inverse[:, None])
        own = np.maximum(own, 0.0)
        coordinates = (target * inverse) @ turn
        spread = np.multiply.outer(values, own) + 1
        dual = coordinates / spread
        free = 1.0 if self.free else 0.0
        logs = float(np.log(spread).sum()) + (n - free) * float(np.log(noise).sum())
        logs += t * (free * np.log(self.weight.sum()) - float(np.log(self.weight).sum()))
        size = t * (n - free) * np.log(2 * np.pi)
        value = -0.5 * (size + logs + float((coordinates * dual).sum()))
        inner = (dual.T * values) @ dual
        inner[np.diag_indices(t)] -= (values[:, None] / spread).sum(0)
        between_slope = 0.5 * inverse[:, None] * (turn @ inner @ turn.T) * inverse
        left = np.square(turn) @ ((1 / spread).sum(0) - free)
        noise_slope = 0.5 / noise * (np.square(dual @ turn.T).sum(0) - left)
        if gradient is None:
            return Slopes(value, between_slope, noise_slope, np.zeros(0))
        rows = (dual * own) @ dual.T
        rows[np.diag_indices(n)] -= (own / spread).sum(1)
        rows = basis @ rows @ basis.T
        project(rows, unit)
        rows *= 0.5 * root * root[:, None]
        return Slopes(value, between_slope, noise_slope, np.tensordot(rows, gradient, 2))

    def _rows(self, kernel: Array, root: Array, unit: Array) -> tuple[Array, Array, Array]:
        """Eigenvalues and vectors of the scaled kernel, and the labels in them; the last ones are kept."""
        held = self.__dict__.get("_last")
        if held is None or held[0] is not kernel:
            values, basis = row_spectrum(kernel, root, unit, TOLERANCE)
            scaled = self.labels * root[:, None]
            target = basis.T @ (scaled - np.multiply.outer(unit, unit @ scaled))
            held = kernel, (values, basis, target)
            self.__dict__["_last"] = held
        return held[1]


@dataclass(frozen=True, eq=False)
class LabelEvidence:
    """Labels of any rows: a dense Cholesky factor."""

    entries: Entries

    def __call__(self, between: Array, noise: Array, kernel: Array, gradient: Array | None) -> Slopes:
        """See `Evidence`."""
        e = self.entries
        one_each = np.array_equal(e.row, np.arange(len(kernel)))
        rows = kernel if one_each else kernel[np.ix_(e.row, e.row)]
        count = np.diff(np.append(e.start, len(e.y)))
        tasks = between.repeat(count, axis=0).repeat(count, axis=1)
        matrix = rows * tasks
        own = noise[e.task] / e.weight
        matrix[np.diag_indices(len(own))] += own
        # Symmetric, so that its transpose, which LAPACK overwrites, is as good.
        factor = linalg.cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False)[0]
        logs = 2 * float(np.log(np.diagonal(factor)).sum())
        inverse = _whole(linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)[0].T)
        n_free = len(noise) if e.free else 0
        if e.free:
            ones = np.add.reduceat(inverse, e.start, axis=1)
            inner = np.add.reduceat(ones, e.start, axis=0)
            inverse -= ones @ linalg.solve(inner, ones.T, assume_a="pos")
            logs += float(np.linalg.slogdet(inner)[1])
        dual = inverse @ e.y
        value = -0.5 * ((len(own) - n_free) * np.log(2 * np.pi) + logs + float(e.y @ dual))
        slope = np.multiply.outer(dual, dual)
        slope -= inverse
        slope *= 0.5
        noise_slope = np.add.reduceat(np.diagonal(slope) / e.weight, e.start)
        np.multiply(slope, rows, out=inverse)
        between_slope = np.add.reduceat(np.add.reduceat(inverse, e.start, axis=0), e.start, axis=1)
        if gradient is None:
            return Slopes(value, between_slope, noise_slope, np.zeros(0))
        slope *= tasks
        if len(kernel) < len(e.y):  # rows of several labels: their slopes are added up
            onto = np.zeros((len(e.y), len(kernel)))
            onto[np.arange(len(e.y)), e.row] = 1.0
            slope = onto.T @ slope @ onto
        elif not one_each:
            slope = slope[np.ix_(np.argsort(e.row), np.argsort(e.row))]
        return Slopes(value, between_slope, noise_slope, np.tensordot(slope, gradient, 2))


def _whole(upper: Array) -> Array:
    """A symmetric matrix from its upper triangle, in place, a block at a time."""
    for i in range(0, len(upper), BLOCK):
        part = slice(i, i + BLOCK)
        own = np.triu(upper[part, part])
        upper[part, part] = own + np.triu(own, 1).T
        upper[i + BLOCK :, part] = upper[part, i + BLOCK :].T
    return upper
