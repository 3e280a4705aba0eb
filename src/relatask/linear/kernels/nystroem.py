"""A low-rank part of the scaled kernel from landmarks, and the preconditioner made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from relatask.linear.kernels.products import Entries, Products
from relatask.linear.sums.forms import Array

BLOCK = 64
OWN = 256
"""Labels in a block of the preconditioner."""
TINY = 1e-12


def factor(products: Products, landmarks: int, seed: int) -> Array:
    """F (N, m) with F F' near S, not yet centred: a Cholesky factor of columns chosen by chance.

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
    return out[:, :filled]


def thin_spectrum(entries: Entries, F: Array) -> tuple[Array, Array]:
    """Eigenvalues (r,) above rounding, and vectors (N, r), of F F' once it is centred."""
    whole = float(np.square(F).sum())
    F = entries.centred(F)
    values, turn = np.linalg.eigh(F.T @ F)
    some = values > 1e-13 * whole
    return values[some], F @ (turn[:, some] / np.sqrt(values[some]))


@dataclass(frozen=True, eq=False)
class Preconditioner:
    """(F F' + D)^-1, with D blocks of neighbouring labels: what F leaves of them, and the strength on the diagonal.

    Attributes
    ----------
    factor : (N, m) F.
    blocks : places of the blocks, and their inverses in D.
    turned : (N, m) D^-1 F.
    inner : Cholesky factor of I + F' D^-1 F.
    """

    factor: Array
    blocks: tuple[tuple[slice, Array], ...]
    turned: Array
    inner: tuple[Array, bool]

    def __call__(self, V: Array, _: NDArray[np.intp]) -> Array:
        """(N, q) the inverse times V."""
        out = _by_blocks(self.blocks, V)
        out -= self.turned @ linalg.cho_solve(self.inner, self.factor.T @ out, check_finite=False)
        return out


def preconditioner(products: Products, F: Array, strength: float) -> Preconditioner:
    """Of what `factor` gave."""
    e = products.entries
    thin = e.centred(F)
    blocks: list[tuple[slice, Array]] = []
    for part, whole in _parts(e):
        matrix = products.block(part) * e.root[part] * e.root[part][:, None] - F[part] @ F[part].T
        if whole and e.free:
            own = e.task[part] - e.task[part][0]
            units = np.zeros((len(own), own[-1] + 1))
            units[np.arange(len(own)), own] = e.unit[part]
            matrix -= units @ (units.T @ matrix)
            matrix -= (matrix @ units) @ units.T
        matrix[np.diag_indices_from(matrix)] += strength
        # Rounding may leave what F has taken all of below zero by less than the strength.
        blocks.append((part, np.asarray(np.linalg.inv((matrix + matrix.T) / 2), dtype=np.float64)))
    turned = _by_blocks(blocks, thin)
    inner = thin.T @ turned
    inner[np.diag_indices_from(inner)] += 1.0
    return Preconditioner(thin, tuple(blocks), turned, linalg.cho_factor(inner, lower=True, overwrite_a=True))


def _parts(e: Entries) -> list[tuple[slice, bool]]:
    """Runs of at most `OWN` labels: whole small tasks, or pieces of a large one; and whether their tasks are whole."""
    out: list[tuple[slice, bool]] = []
    ends = [*e.start[1:].tolist(), len(e.y)]
    begun = 0
    for start, stop in zip(e.start.tolist(), ends, strict=True):
        if stop - begun > OWN and start > begun:
            out.append((slice(begun, start), True))
            begun = start
        if stop - begun > OWN:
            edges = np.linspace(begun, stop, -(-(stop - begun) // OWN) + 1).astype(int).tolist()
            out += [(slice(i, j), False) for i, j in pairwise(edges)]
            begun = stop
    return out + ([(slice(begun, len(e.y)), True)] if begun < len(e.y) else [])


def _by_blocks(blocks: Sequence[tuple[slice, Array]], V: Array) -> Array:
    out = np.empty_like(V)
    for part, inverse in blocks:
        out[part] = inverse @ V[part]
    return out
