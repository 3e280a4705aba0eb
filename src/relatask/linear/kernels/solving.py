"""alpha for one strength, given or chosen along a path: by two eigendecompositions, Cholesky, conjugate gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from relatask.linear.kernels.conjugate import conjugate
from relatask.linear.kernels.nystroem import factor, preconditioner, thin_spectrum
from relatask.linear.kernels.path import KernelPath, LabelSpectrum, by_sums, chosen, grid, squared
from relatask.linear.kernels.products import Scaled
from relatask.linear.kernels.rotated import rotated
from relatask.linear.kernels.rows import Rows
from relatask.linear.kernels.shared import Shared, checked_values
from relatask.linear.kernels.system import System
from relatask.linear.sums.forms import Array
from relatask.notices import InputError

SOLVERS = ("auto", "eigen", "cholesky", "cg")
EIGEN_ROWS = 3_000
"""Shared rows up to which "auto" takes two eigendecompositions."""
DENSE_LABELS = 2_500
"""Labels up to which "auto" takes a dense factor."""
EXACT_LABELS = 2_000
"""Labels up to which a path is exact where rows are not shared; beyond, of the kernel's low-rank part."""


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
    """Solve for a strength, or for the best by a criterion where it is None.

    Raises
    ------
    InputError
        For a strength that is lost in rounding beside the kernel.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            answer = _solved(system, strength, criterion)
            lost = not np.isfinite([*answer.dual, answer.strength * float(answer.dual @ answer.image)]).all()
    except np.linalg.LinAlgError:
        lost = True
    if lost:
        raise InputError(
            f"strength={strength or 'auto'!r} is lost in rounding beside the kernel, whose matrix is near singular; "
            "give a greater strength."
        )
    return answer


def _solved(system: System, strength: float | None, criterion: str) -> Answer:
    if system.solver == "eigen":
        return _eigen(system, strength, criterion)
    if system.solver == "cg" and system.rows.table:
        return _rotated(system, strength, criterion)
    path = None
    if strength is None:
        if system.solver == "cholesky" and len(system.rows.y) <= EXACT_LABELS:
            return _dense_path(system, criterion)
        path = approximate_path(system, criterion)
        strength = float(path.strengths[path.best])
    return _cholesky(system, strength, path) if system.solver == "cholesky" else _gradients(system, strength, path)


def _eigen(system: System, strength: float | None, criterion: str) -> Answer:
    shared = system.shared()
    strength, path = _shared_strength(system, shared, strength, criterion)
    dual = shared.dual(strength)
    image = shared.kernel @ dual @ system.between
    energies = shared.energies()
    logs = float(np.log(energies.values + strength).sum())
    degrees = energies.degrees(strength)
    return Answer(strength, dual.T.ravel(), image.T.ravel(), path, logs, degrees, 1)


def _rotated(system: System, strength: float | None, criterion: str) -> Answer:
    found = rotated(system)
    strength, path = _shared_strength(system, found.shared, strength, criterion)
    dual, n_iter = found.solve(strength, system.tol, system.max_iter)
    flat = dual.T.ravel()
    return Answer(strength, flat, system.products()(flat[:, None])[:, 0], path, None, None, n_iter)


def _shared_strength(
    system: System, shared: Shared, strength: float | None, criterion: str
) -> tuple[float, KernelPath | None]:
    """The strength that is given, or the best by what is known of the kernel of rows."""
    if strength is not None:
        return strength, None
    strengths = grid(shared.trace(), system.rows.weight)
    if criterion == "loo":
        path = chosen(strengths, *shared.left_out(strengths), criterion)
    else:
        path = chosen(strengths, by_sums(criterion, shared.energies(), strengths), 0, criterion)
    return float(path.strengths[path.best]), path


def _dense_path(system: System, criterion: str) -> Answer:
    products = system.products()
    entries = products.entries
    values, basis = linalg.eigh(Scaled(products).dense(), driver="evd", overwrite_a=True, check_finite=False)
    diagonal = products.diagonal() * np.square(entries.root)
    values, basis = checked_values(values, diagonal, system.kernel.tolerance), entries.centred(basis)
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
    values, basis = thin_spectrum(entries, factor(products, system.n_landmarks(), system.seed))
    return _label_path(LabelSpectrum(values, basis, entries.target, entries.unit, entries.row), system, criterion)


def _label_path(spectrum: LabelSpectrum, system: System, criterion: str) -> KernelPath:
    entries = system.entries()
    energies = spectrum.energies(len(system.between) if system.free else 0, entries.offset())
    strengths = grid(float(spectrum.values.sum()), entries.weight)
    if criterion != "loo":
        return chosen(strengths, by_sums(criterion, energies, strengths), 0, criterion)
    left, fixed = spectrum.left_out(strengths)
    errors, count = squared(left, fixed, entries.root, entries.weight)
    return chosen(strengths, errors, count, criterion)
