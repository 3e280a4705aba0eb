"""What is to be solved: rows, kernels, loss weights, and how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relatask.linear.kernels.features import FeatureKernel, check_semidefinite
from relatask.linear.kernels.products import Entries, Products
from relatask.linear.kernels.rows import Rows
from relatask.linear.kernels.shared import Shared
from relatask.linear.sums.forms import Array
from relatask.notices import InputError


@dataclass(frozen=True, eq=False)
class System:
    """What is to be solved: rows, kernels, loss weights, and how.

    Attributes
    ----------
    X : (n, d) rows in the kernel's units, or their (n, n) Gram.
    rows : labels.
    kernel, between : K and T.
    loss_weight : (t,) c_k.
    free : whether tasks have intercepts of their own.
    solver : "eigen", "cholesky" or "cg".
    tol, max_iter, landmarks, memory, seed : of conjugate gradients.
    """

    X: Array
    rows: Rows
    kernel: FeatureKernel
    between: Array
    loss_weight: Array
    free: bool
    solver: str
    tol: float
    max_iter: int
    landmarks: int | None
    memory: float
    seed: int

    def entries(self) -> Entries:
        """The labels, scaled."""
        return self.rows.entries(self.loss_weight, self.free)

    def products(self) -> Products:
        """Omega as an operator."""
        return Products(self.kernel, self.X, self.between, self.entries(), self.memory)

    def shared(self) -> Shared:
        """Two eigendecompositions."""
        n = len(self.rows.place)
        weight = np.zeros(n)
        weight[self.rows.row] = self.rows.weight
        Y = self.rows.spread_out(self.rows.y)
        K = gram(self.kernel, self.X)
        return Shared(K, self.between, Y, weight, self.loss_weight, self.free, self.kernel.tolerance)

    def n_landmarks(self) -> int:
        """3 sqrt(N) unless given, within the memory."""
        n = len(self.rows.y)
        wanted = int(3 * np.sqrt(n)) if self.landmarks is None else self.landmarks
        return max(1, min(wanted, n, int(self.memory / (16 * n))))


def gram(kernel: FeatureKernel, X: Array) -> Array:
    """(n, n) kernel of the rows."""
    if kernel.precomputed:
        return X
    found = kernel.between(X, X)
    return np.asarray((found + found.T) / 2)


def check_kernel(kernel: FeatureKernel, X: Array, seed: int, most: int = 1_500) -> None:
    """Raise InputError where a kernel that may be indefinite is; of many rows, on some of them."""
    if not kernel.precomputed:
        kernel.between(X[:1], X[:1])  # whether it takes rows of this width
    if kernel.sure:
        return
    n = len(X)
    if n > most:
        kept = np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
        X = X[np.ix_(kept, kept)] if kernel.precomputed else X[kept]
    matrix = gram(kernel, X)
    if not np.isfinite(matrix).all():
        raise InputError(f"kernel={kernel.kind!r:.60} gives NaN or infinity on these rows; take another one.")
    values = np.linalg.eigvalsh(matrix)
    name = "the precomputed kernel" if kernel.precomputed else f"kernel={kernel.kind!r:.60} on these rows"
    check_semidefinite(float(values[0]), float(values[-1]), name, kernel.tolerance)
