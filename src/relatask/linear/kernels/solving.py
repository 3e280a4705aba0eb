"""alpha for one strength, given or chosen along a path: by two eigendecompositions, Cholesky, conjugate gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from relatask.linear.kernels.conjugate import conjugate
from relatask.linear.kernels.features import FeatureKernel, check_semidefinite
from relatask.linear.kernels.nystroem import factor, preconditioner
from relatask.linear.kernels.path import KernelPath, LabelSpectrum, by_sums, chosen, grid, squared
from relatask.linear.kernels.products import Entries, Products, Scaled
from relatask.linear.kernels.rows import Rows
from relatask.linear.kernels.shared import Shared
from relatask.linear.sums.forms import Array
from relatask.notices import InputError

SOLVERS = ("auto", "eigen", "cholesky", "cg")
EIGEN_ROWS = 4_000
"""Shared rows up to which "auto" takes two eigendecompositions."""
DENSE_LABELS = 2_500
"""Labels up to which "auto" takes a dense factor."""
EXACT_LABELS = 2_000
"""Labels up to which a path is exact where rows are not shared; beyond, of the kernel's low-rank part."""


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


@dataclass(frozen=True, eq=False)
class Answer:
    """What a solver found.

    Attributes
    ----------
    strength : given or chosen.
    dual : (N,) alpha, in the order of the labels.
    image : (N,) Omega alpha.
    path : what was tried, or None.
    log_determinant : of the scaled kernel plus strength, or None where it is not known.
    degrees : the trace of H, or None.
    n_iter : of conjugate gradients, else 1.
    """

    strength: float
    dual: Array
    image: Array
    path: KernelPath | None
    log_determinant: float | None
    degrees: float | None
    n_iter: int


def chosen_solver(asked: str, rows: Rows) -> str:
    """The solver that "auto" takes.

    Raises
    ------
    InputError
        For "eigen" where tasks do not share their rows.
    """
    if asked == "eigen" and not rows.table:
        raise InputError(
            "solver='eigen' needs tasks on the same rows, y (n, t) without missing labels, and one weight a row; use "
            "'auto', 'cholesky' or 'cg'."
        )
    if asked != "auto":
        return asked
    if rows.table and len(rows.place) <= EIGEN_ROWS:
        return "eigen"
    return "cholesky" if len(rows.y) <= DENSE_LABELS else "cg"


def solve(system: System, strength: float | None, criterion: str) -> Answer:
    """Solve for a strength, or for the best by a criterion where it is None."""
    if system.solver == "eigen":
        return _eigen(system, strength, criterion)
    path = None
    if strength is None:
        if system.solver == "cholesky" and len(system.rows.y) <= EXACT_LABELS:
            return _dense_path(system, criterion)
        path = approximate_path(system, criterion)
        strength = float(path.strengths[path.best])
    return _cholesky(system, strength, path) if system.solver == "cholesky" else _gradients(system, strength, path)


def gram(kernel: FeatureKernel, X: Array) -> Array:
    """(n, n) kernel of the rows."""
    if kernel.precomputed:
        return X
    found = kernel.between(X, X)
    return np.asarray((found + found.T) / 2)


def check_kernel(kernel: FeatureKernel, X: Array, seed: int, most: int = 1_500) -> None:
    """Raise InputError where a kernel that may be indefinite is; of many rows, on some of them."""
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


def _eigen(system: System, strength: float | None, criterion: str) -> Answer:
    shared = system.shared()
    energies = shared.energies()
    path = None
    if strength is None:
        strengths = grid(shared.trace(), float(system.rows.weight.sum()))
        errors, left = (
            shared.left_out(strengths) if criterion == "loo" else (by_sums(criterion, energies, strengths), 0)
        )
        path = chosen(strengths, errors, criterion, left)
        strength = float(path.strengths[path.best])
    dual = shared.dual(strength)
    image = shared.kernel @ dual @ system.between
    logs = float(np.log(energies.values + strength).sum())
    degrees = energies.degrees(strength)
    return Answer(strength, dual.T.ravel(), image.T.ravel(), path, logs, degrees, 1)


def _dense_path(system: System, criterion: str) -> Answer:
    products = system.products()
    entries = products.entries
    values, basis = linalg.eigh(Scaled(products).dense(), driver="evd", overwrite_a=True, check_finite=False)
    check_semidefinite(float(values[0]), float(values[-1]), "the kernel of the training rows", system.kernel.tolerance)
    values, basis = np.maximum(values, 0.0), entries.centred(basis)
    path = _label_path(LabelSpectrum(values, basis, entries.target, entries.unit, entries.row), system, criterion)
    strength = float(path.strengths[path.best])
    inner = entries.centred(basis @ ((basis.T @ entries.target) / (values + strength)))
    degrees = (len(system.between) if system.free else 0) + float((values / (values + strength)).sum())
    logs = float(np.log(values + strength).sum())
    dual = entries.root * inner
    return Answer(strength, dual, products(dual[:, None])[:, 0], path, logs, degrees, 1)


def _cholesky(system: System, strength: float, path: KernelPath | None) -> Answer:
    products = system.products()
    entries = products.entries
    matrix = Scaled(products).dense()
    matrix[np.diag_indices_from(matrix)] += strength
    held = linalg.cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
    dual = entries.root * entries.centred(linalg.cho_solve(held, entries.target, check_finite=False))
    logs = 2 * float(np.log(np.diagonal(held[0])).sum())
    return Answer(strength, dual, products(dual[:, None])[:, 0], path, logs, None, 1)


def _gradients(system: System, strength: float, path: KernelPath | None) -> Answer:
    products = system.products()
    entries = products.entries
    inverse = preconditioner(products, factor(products, system.n_landmarks(), system.seed), strength)
    found = conjugate(Scaled(products), strength, entries.target[:, None], inverse, system.tol, system.max_iter)
    dual = entries.root * entries.centred(found.solution[:, 0])
    return Answer(strength, dual, products(dual[:, None])[:, 0], path, None, None, found.n_iter)


def approximate_path(system: System, criterion: str) -> KernelPath:
    """Strengths tried on the low-rank part of the kernel that the landmarks span."""
    products = system.products()
    entries = products.entries
    thin = entries.centred(factor(products, system.n_landmarks(), system.seed))
    values, turn = np.linalg.eigh(thin.T @ thin)
    some = values > 1e-12 * max(float(values[-1]), 1e-300)
    values = values[some]
    basis = thin @ (turn[:, some] / np.sqrt(values))
    return _label_path(LabelSpectrum(values, basis, entries.target, entries.unit, entries.row), system, criterion)


def _label_path(spectrum: LabelSpectrum, system: System, criterion: str) -> KernelPath:
    entries = system.entries()
    energies = spectrum.energies(len(system.between) if system.free else 0, entries.offset())
    strengths = grid(float(spectrum.values.sum()), float(entries.weight.sum()))
    if criterion != "loo":
        return chosen(strengths, by_sums(criterion, energies, strengths), criterion, 0)
    left, fixed = spectrum.left_out(strengths)
    errors, count = squared(left, fixed, entries.root, entries.weight)
    return chosen(strengths, errors, criterion, count)
