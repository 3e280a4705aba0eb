"""A low-rank part of the scaled kernel from landmarks, and the preconditioner made of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from relatask.linear.kernels.products import Products
from relatask.linear.sums.forms import Array

BLOCK = 64
TINY = 1e-12


def factor(products: Products, landmarks: int, seed: int) -> Array:
    """F (N, m) with F F' near S: a Cholesky factor of some columns, pivots drawn by what is left of the diagonal.

    Blocks of pivots are drawn with chances in proportion to the residual diagonal.

    References
    ----------
    Chen, Epperly, Tropp, Webber: Randomly pivoted Cholesky, 2025, Communications on Pure and Applied Mathematics.
    """
    entries = products.entries
    rng = np.random.default_rng(seed)
    left = products.diagonal() * np.square(entries.root)
    whole = float(left.sum())
    out = np.zeros((len(left), min(landmarks, len(left))), order="F")
    filled = 0
    while filled < out.shape[1] and left.sum() > TINY * whole:
        chance = np.maximum(left, 0.0)
        size = min(BLOCK, out.shape[1] - filled, int((chance > 0).sum()))
        places = np.sort(rng.choice(len(left), size=size, replace=False, p=chance / chance.sum()))
        columns = products.columns(places)
        columns *= entries.root[:, None]
        columns *= entries.root[places]
        done = out[:, :filled]
        columns -= done @ done[places].T
        values, basis = np.linalg.eigh((columns[places] + columns[places].T) / 2)
        some = values > 1e-10 * max(float(values[-1]), 0.0)
        if not some.any():
            left[places] = 0.0
            continue
        rank = int(some.sum())
        out[:, filled : filled + rank] = columns @ (basis[:, some] / np.sqrt(values[some]))
        left -= np.square(out[:, filled : filled + rank]).sum(1)
        left[places] = 0.0
        np.maximum(left, 0.0, out=left)
        filled += rank
    return entries.centred(out[:, :filled])


@dataclass(frozen=True, eq=False)
class Preconditioner:
    """(F F' + strength I)^-1 by the (m, m) matrix F'F."""

    factor: Array
    inner: tuple[Array, bool]
    strength: float

    def __call__(self, V: Array, _: NDArray[np.intp]) -> Array:
        """(N, q) the inverse times V."""
        return np.asarray(V - self.factor @ linalg.cho_solve(self.inner, self.factor.T @ V)) / self.strength


def preconditioner(F: Array, strength: float) -> Preconditioner:
    """Of a factor (N, m)."""
    inner = F.T @ F
    inner[np.diag_indices_from(inner)] += strength
    return Preconditioner(F, linalg.cho_factor(inner, lower=True, overwrite_a=True), strength)
