"""Kernels between rows: scikit-learn's Gaussian-process kernels, its pairwise kernels by name, callables, Grams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.gaussian_process import kernels as gp
from sklearn.metrics.pairwise import KERNEL_PARAMS, pairwise_kernels

from relatask.linear.input.labels import listed
from relatask.linear.sums.forms import Array
from relatask.notices import InputError

NAMES = tuple(sorted(KERNEL_PARAMS))
SAFE = ("chi2", "cosine", "laplacian", "linear", "poly", "polynomial", "rbf")
"""Positive semidefinite for every X (a polynomial with a whole degree >= 0, gamma > 0 and coef0 >= 0)."""
PSD_TOLERANCE = 1e-10
WIDE = 1e4
"""Exponents beyond which differences of rows are taken one by one."""


@dataclass(frozen=True, eq=False)
class FeatureKernel:
    """A kernel between rows.

    Attributes
    ----------
    kind : a scikit-learn Gaussian-process kernel, a name, "precomputed", or a callable of two rows.
    params : of a named kernel or a callable.
    tolerance : negative eigenvalues below this share of the largest are taken for rounding.
    """

    kind: Any
    params: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = PSD_TOLERANCE

    @property
    def precomputed(self) -> bool:
        """Whether X holds the kernel already: (n, n) in fit, (m, n) in predict."""
        return isinstance(self.kind, str) and self.kind == "precomputed"

    @property
    def sure(self) -> bool:
        """Whether it is known to be positive semidefinite."""
        if self.kind in ("poly", "polynomial") if isinstance(self.kind, str) else False:
            degree, offset, gamma = self.params.get("degree", 3), self.params.get("coef0", 1), self.params.get("gamma")
            return float(degree).is_integer() and degree >= 0 and offset >= 0 and (gamma is None or gamma > 0)
        if isinstance(self.kind, str):
            return self.kind in SAFE
        return isinstance(self.kind, gp.Kernel) and not _pairwise_inside(self.kind)

    def between(self, X: Array, Z: Array) -> Array:
        """(n, m) kernel of rows of X with rows of Z; of a Gram, X itself (rows of Z are its columns)."""
        if self.precomputed:
            raise RuntimeError("a precomputed kernel is not evaluated")
        if isinstance(self.kind, str) and self.kind == "rbf":
            gamma = self.params.get("gamma")
            return gaussian(X, Z, 1.0 / X.shape[1] if gamma is None else gamma)
        try:
            if isinstance(self.kind, gp.Kernel):
                return _evaluated(self.kind, X, Z)
            found = pairwise_kernels(X, Z, metric=self.kind, **self.params)
        except ValueError as error:
            told = f"kernel={self.kind!r:.60} cannot be taken of these rows: {error}"
            raise InputError(f"{told.rstrip('.')} (columns are standardised unless standardize=False).") from error
        return np.asarray(found, dtype=np.float64)

    def diagonal(self, X: Array) -> Array:
        """(n,) kernel of each row with itself."""
        if isinstance(self.kind, gp.Kernel):
            return np.array(self.kind.diag(X), dtype=np.float64)
        if self.kind in ("rbf", "laplacian"):
            return np.ones(len(X))
        if self.kind == "linear":
            return np.einsum("nd,nd->n", X, X)
        return np.array([self.between(row[None], row[None])[0, 0] for row in X])


def read_kernel(kernel: Any, params: Mapping[str, Any] | None) -> FeatureKernel:
    """The kernel that a person passed, checked.

    Raises
    ------
    InputError
        For an unknown name or parameter, a noise kernel, or what is no kernel.
    """
    if params is not None and not isinstance(params, Mapping):
        raise InputError(f"kernel_params={params!r:.60} is not usable; expected a mapping such as {{'gamma': 0.1}}.")
    params = dict(params or {})
    if isinstance(kernel, type) and issubclass(kernel, gp.Kernel):
        raise InputError(f"kernel={kernel.__name__} is a class; give one of its kernels, {kernel.__name__}(...).")
    if isinstance(kernel, gp.Kernel):
        if params:
            raise InputError("kernel_params go with a kernel by name; a kernel object has parameters of its own.")
        _check_parts(kernel)
        return FeatureKernel(kernel)
    if callable(kernel):
        return FeatureKernel(kernel, params)
    if isinstance(kernel, str) and kernel == "precomputed":
        if params:
            raise InputError(f"kernel_params={params!r:.60} have no use with kernel='precomputed'; leave them out.")
        return FeatureKernel(kernel)
    if not isinstance(kernel, str) or kernel not in NAMES:
        raise InputError(
            f"kernel={kernel!r:.60} is unknown; expected one of {listed(NAMES, 20)}, 'precomputed', a kernel of "
            "sklearn.gaussian_process.kernels such as RBF(1.0), or a function of two rows."
        )
    unknown = [name for name in params if name not in KERNEL_PARAMS[kernel]]
    if unknown:
        raise InputError(
            f"kernel_params names {listed(unknown)}; kernel={kernel!r} has {listed(sorted(KERNEL_PARAMS[kernel]))}."
        )
    _check_numbers(kernel, params)
    return FeatureKernel(kernel, params)


def _check_numbers(kernel: str, params: Mapping[str, Any]) -> None:
    """Raise InputError unless parameters are finite numbers, and widths not negative."""
    for name, value in params.items():
        if name not in ("gamma", "degree", "coef0") or (name == "gamma" and value is None):
            continue
        signed = name == "coef0" or (name == "gamma" and kernel not in ("rbf", "laplacian", "chi2"))
        usable = isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(float(value))
        if not usable or not (signed or value >= 0):
            told = "a finite number" if signed else "a finite number >= 0"
            raise InputError(
                f"kernel_params: {name}={value!r:.60} is not usable with kernel={kernel!r}; expected {told}."
            )


def check_semidefinite(smallest: float, largest: float, what: str, tolerance: float = PSD_TOLERANCE) -> None:
    """Raise InputError where the smallest eigenvalue is below -tolerance times the largest."""
    if smallest < -tolerance * max(largest, 0.0):
        raise InputError(
            f"{what} is not positive semidefinite: its smallest eigenvalue is {smallest:.6g} (largest {largest:.6g}), "
            f"so the penalty ||f||^2 can be negative. Take another kernel, or clip its eigenvalues at 0 (add at least "
            f"{-smallest:.3g} to its diagonal)."
        )


def check_gram(X: Array) -> Array:
    """A precomputed kernel, symmetric, as float64.

    Raises
    ------
    InputError
        For another shape, or a matrix that is not symmetric.
    """
    if X.shape[0] != X.shape[1]:
        raise InputError(
            f"X has shape {X.shape}; with kernel='precomputed' fit expects the (n, n) kernel of the training rows."
        )
    difference = np.abs(X - X.T)
    if difference.max() > tolerance_of(X) * np.abs(X).max():
        i, j = np.unravel_index(int(difference.argmax()), X.shape)
        raise InputError(
            f"the precomputed kernel is not symmetric: X[{i}, {j}] = {X[i, j]:.6g} but X[{j}, {i}] = {X[j, i]:.6g}; "
            "give the same value both ways, for example (X + X.T) / 2."
        )
    return np.asarray((X + X.T) / 2, dtype=np.float64)


def tolerance_of(X: Array) -> float:
    """How far a Gram of this precision may be from positive semidefinite, relative to its largest eigenvalue."""
    return 1e-5 if X.dtype == np.float32 else PSD_TOLERANCE


def gaussian(X: Array, Z: Array, gamma: float) -> Array:
    """exp(-gamma |x - z|^2), the exponents by one matrix product unless that would lose digits."""
    origin = X.mean(0)
    X, Z = X - origin, Z - origin
    if gamma * max(float(np.square(X).sum(1).max()), float(np.square(Z).sum(1).max())) > WIDE:
        out = cdist(X, Z, "sqeuclidean")
        out *= -gamma
        return np.asarray(np.exp(out, out=out), dtype=np.float64)
    left = np.column_stack([2 * gamma * X, -gamma * np.einsum("nd,nd->n", X, X), np.ones(len(X))])
    right = np.column_stack([Z, np.ones(len(Z)), -gamma * np.einsum("nd,nd->n", Z, Z)])
    out = left @ right.T
    np.minimum(out, 0.0, out=out)
    return np.exp(out, out=out)


def _evaluated(kernel: gp.Kernel, X: Array, Z: Array) -> Array:
    """A Gaussian-process kernel, its radial parts by matrix products."""
    if isinstance(kernel, gp.Sum | gp.Product):
        left, right = _evaluated(kernel.k1, X, Z), _evaluated(kernel.k2, X, Z)
        return left + right if isinstance(kernel, gp.Sum) else left * right
    if isinstance(kernel, gp.Exponentiation):
        return np.asarray(_evaluated(kernel.kernel, X, Z) ** kernel.exponent)
    if type(kernel) is gp.ConstantKernel:
        return np.full((len(X), len(Z)), float(kernel.constant_value))
    if type(kernel) is gp.RBF:
        length = np.asarray(kernel.length_scale, dtype=np.float64)
        return gaussian(X / length, Z / length, 0.5)
    return np.asarray(kernel(X, Z), dtype=np.float64)


def _check_parts(kernel: gp.Kernel) -> None:
    for part in _parts(kernel):
        if isinstance(part, gp.WhiteKernel):
            raise InputError(
                f"{part!r} is noise, not a function of the rows: leave it out; the noise of labels is `strength` "
                "(divided by the loss weights c_k), given or learned."
            )
        if isinstance(part, gp.CompoundKernel):
            raise InputError("CompoundKernel is several kernels side by side; add or multiply them into one.")


def _parts(kernel: gp.Kernel) -> list[gp.Kernel]:
    if isinstance(kernel, gp.KernelOperator):
        return _parts(kernel.k1) + _parts(kernel.k2)
    return [kernel, *(_parts(kernel.kernel) if isinstance(kernel, gp.Exponentiation) else [])]


def _pairwise_inside(kernel: gp.Kernel) -> bool:
    """Whether a part may be indefinite."""
    for part in _parts(kernel):
        if isinstance(part, gp.ExpSineSquared):  # it is sure of one column only
            return True
        if isinstance(part, gp.PairwiseKernel) and part.metric not in SAFE:
            return True
        if isinstance(part, gp.Exponentiation) and not float(part.exponent).is_integer():
            return True
    return False
