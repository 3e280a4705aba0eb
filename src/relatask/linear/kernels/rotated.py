"""Tasks on very many shared rows: one system a task, in the eigenbasis of T, all of them at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.kernels.conjugate import conjugate
from relatask.linear.kernels.nystroem import factor, thin_spectrum
from relatask.linear.kernels.products import Entries, Products, Scaled
from relatask.linear.kernels.shared import Shared
from relatask.linear.kernels.system import System
from relatask.linear.sums.forms import Array


@dataclass(frozen=True, eq=False)
class Rotated:
    """(l_a B + strength I) for each eigenvalue l_a of the scaled T, B the scaled kernel of rows.

    Attributes
    ----------
    shared : the data, its kernel of rows known by a low-rank part only.
    scaled : B.
    """

    shared: Shared
    scaled: Scaled

    def solve(self, strength: float, tol: float, max_iter: int) -> tuple[Array, int]:
        """alpha (n, t), and the products of the kernel that it took."""
        own, turn = self.shared.task_spectrum
        target = self.shared.target @ turn
        values, basis = self.shared.row_spectrum

        def operator(V: Array, at: NDArray[np.intp]) -> Array:
            return self.scaled(V, at) * own[at]

        def inverse(V: Array, at: NDArray[np.intp]) -> Array:
            product = np.multiply.outer(values, own[at])
            return np.asarray(V - basis @ (product / (product + strength) * (basis.T @ V))) / strength

        found = conjugate(operator, strength, target, inverse, tol, max_iter)
        e = self.scaled.products.entries
        dual = e.centred(found.solution @ turn.T)
        return dual * self.shared.row_root[:, None] * np.sqrt(self.shared.loss_weight), found.n_iter


def rotated(system: System) -> Rotated:
    """Of a system whose rows have a label of every task."""
    rows, n = system.rows, len(system.rows.place)
    weight = np.zeros(n)
    weight[rows.row] = rows.weight
    one = Entries(np.arange(n), np.zeros(n, dtype=np.intp), np.zeros(n), weight, np.ones(1), system.free)
    products = Products(system.kernel, system.X, np.ones((1, 1)), one, system.memory)
    few = replace(system, rows=replace(rows, y=np.zeros(n)))
    spectrum = thin_spectrum(one, factor(products, few.n_landmarks(), system.seed))
    none = np.zeros((0, 0))
    shared = Shared(none, system.between, rows.spread_out(rows.y), weight, system.loss_weight, system.free)
    shared.__dict__["row_spectrum"] = spectrum
    return Rotated(shared, Scaled(products))
