"""What a relation accepts: strengths, symmetric matrices and the arrays W it is evaluated at."""

from __future__ import annotations

import math
import weakref
from numbers import Real
from typing import Any, Literal, cast

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj, to_device
from scipy import sparse

from relatask.notices import InputError

Array = Any
"""An array of any namespace that follows the array API: numpy, torch, ..."""

Strength = float | Literal["auto"]

PSD_TOLERANCE = 1e-10
"""A matrix is positive semidefinite when its smallest eigenvalue is >= -PSD_TOLERANCE times its largest."""

# Matrices that have passed their checks, by identity, so that `replace(relation, strength=s)` along a path of
# strengths does not decompose the same read-only matrix again and again.
_passed: weakref.WeakValueDictionary[tuple[str, int], np.ndarray] = weakref.WeakValueDictionary()
_spectra: dict[int, tuple[np.ndarray, np.ndarray]] = {}


def check_strength(owner: str, strength: Any, name: str = "strength") -> Strength:
    """Give back a strength as a float >= 0, or "auto"; raise InputError for anything else."""
    if isinstance(strength, str) and strength == "auto":
        return "auto"
    is_number = isinstance(strength, Real) and not isinstance(strength, bool)
    if is_number and math.isfinite(strength) and strength >= 0:
        return float(strength)
    raise InputError(
        f"{owner}: {name}={strength!r} is not usable; expected a finite number >= 0, or 'auto' to let "
        f"an estimator choose it."
    )


def chosen(owner: str, strength: Strength, name: str = "strength") -> float:
    """Give back the strength as a number; raise InputError while it is still "auto"."""
    if strength == "auto":
        raise InputError(
            f"{owner}: {name}='auto' has no value yet; an estimator such as MultiTaskRegressor chooses it in fit. "
            f"To evaluate the relation yourself, give a number, for example {owner}({name}=1.0)."
        )
    return float(strength)


def read_w(W: Any, n_tasks: int | None = None, owner: str = "relation") -> tuple[Array, Any]:
    """Give back W as a floating (t, d) array, and its namespace.

    Parameters
    ----------
    W : array of shape (t, d)
        numpy, torch, ...; nested lists and integers become float64.
    n_tasks : int, optional
        The number of tasks that the relation was made for.
    owner : str
        Whose error it is.

    Raises
    ------
    InputError
        If W is not two-dimensional, or has another number of tasks.
    """
    W = W if is_array_api_obj(W) else np.asarray(W, dtype=float)
    xp = array_namespace(W)
    if W.ndim != 2:
        raise InputError(
            f"{owner}: W has shape {tuple(W.shape)}; expected (tasks, parameters), one row per task, tasks first."
        )
    if n_tasks is not None and W.shape[0] != n_tasks:
        raise InputError(
            f"{owner}: W has {W.shape[0]} rows, but the relation was made for {n_tasks} tasks; "
            f"give one row per task, or make the relation anew for these tasks."
        )
    if not xp.isdtype(W.dtype, "real floating"):
        W = xp.astype(W, xp.float64)
    return W, xp


def detached(W: Array) -> Array:
    """Give W without its gradient's history; a numpy array as it is."""
    return W.detach() if hasattr(W, "detach") else W


def plain(W: Any, owner: str = "relation") -> np.ndarray:
    """Give W (t, d) as a float64 numpy array, from any namespace and device, without its gradient's history."""
    return np.asarray(to_device(detached(read_w(W, owner=owner)[0]), "cpu"), dtype=np.float64)


def like(values: np.ndarray, W: Array, xp: Any, *, integer: bool = False) -> Array:
    """Bring a constant of the relation to W's namespace, device and (unless it is an index) dtype."""
    # A fresh copy: torch warns when it is handed memory it may not write, and ours is read-only.
    return xp.asarray(np.array(values), dtype=xp.int64 if integer else W.dtype, device=device(W))


def symmetric(owner: str, name: str, matrix: Any) -> np.ndarray:
    """Give back a read-only float64 copy of a square, finite, symmetric matrix."""
    if _is_passed("symmetric", matrix):
        return matrix
    if hasattr(matrix, "index") and hasattr(matrix, "loc") and list(matrix.index) != list(range(len(matrix))):
        raise InputError(
            f"{owner}: {name} is a frame whose rows have labels ({', '.join(map(repr, list(matrix.index)[:3]))}, ...), "
            f"but a matrix is read by position; give {name}.loc[tasks, tasks].to_numpy(), the tasks in their order "
            "(sorted, for groups)."
        )
    try:
        dense = np.array(_filled(matrix), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{owner}: {name} could not be read as a matrix of numbers ({error}).") from error
    check_square(owner, name, dense.shape)
    if not np.isfinite(dense).all():
        raise InputError(f"{owner}: {name} contains NaN or infinity; expected finite numbers.")
    difference = np.abs(dense - dense.T)
    if difference.max() > PSD_TOLERANCE * np.abs(dense).max():
        i, j = np.unravel_index(int(difference.argmax()), dense.shape)
        raise InputError(
            f"{owner}: {name} is not symmetric: {name}[{i}, {j}] = {dense[i, j]:.6g} but {name}[{j}, {i}] = "
            f"{dense[j, i]:.6g}; give the same value both ways, for example ({name} + {name}.T) / 2."
        )
    dense = (dense + dense.T) / 2
    dense.flags.writeable = False
    _passed["symmetric", id(dense)] = dense
    return dense


def positive_semidefinite(owner: str, name: str, matrix: Any) -> np.ndarray:
    """Give back a read-only float64 copy of a symmetric positive semidefinite matrix."""
    if _is_passed("psd", matrix):
        return matrix
    dense = symmetric(owner, name, matrix)
    eigenvalues = np.linalg.eigvalsh(dense)
    if eigenvalues[0] < -PSD_TOLERANCE * max(eigenvalues[-1], 0.0):
        raise InputError(
            f"{owner}: {name} is not positive semidefinite: its smallest eigenvalue is {eigenvalues[0]:.6g} (largest "
            f"{eigenvalues[-1]:.6g}), so the objective would have no minimum. Expected no negative eigenvalue; "
            f"if {name} holds similarities, Graph({name}) uses them as edge weights without this requirement."
        )
    _passed["psd", id(dense)] = dense
    return dense


def spectrum(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give eigenvalues (ascending) and eigenvectors of a checked matrix, decomposed once in its life."""
    key = id(matrix)
    if key not in _spectra:
        _spectra[key] = np.linalg.eigh(matrix)
        weakref.finalize(matrix, _spectra.pop, key, None)
    return _spectra[key]


def check_square(owner: str, name: str, shape: tuple[int, ...]) -> None:
    """Raise InputError unless the shape is (t, t) with t >= 1."""
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise InputError(f"{owner}: {name} has shape {shape}; expected a square (tasks, tasks) matrix.")


def check_size(owner: str, name: str, size: int, n_tasks: int) -> None:
    """Raise InputError unless a (size, size) matrix fits the number of tasks."""
    if size != n_tasks:
        raise InputError(
            f"{owner}: {name} is {size} x {size}, but there are {n_tasks} tasks; "
            f"expected one row and one column per task, in the order of the tasks."
        )


def _filled(matrix: Any) -> Any:
    return cast(Any, matrix).toarray() if sparse.issparse(matrix) else matrix


def _is_passed(check: str, matrix: Any) -> bool:
    return isinstance(matrix, np.ndarray) and not matrix.flags.writeable and _passed.get((check, id(matrix))) is matrix
