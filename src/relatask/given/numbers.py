"""Labels and weights as numbers: what a person passes for y and sample_weight, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.given.labels import listed
from relatask.notices import InputError

Array = NDArray[np.float64]


def as_float(values: Any, name: str) -> Array:
    """Labels as a new float64 array (None and NaN are missing labels).

    Raises
    ------
    InputError
        If they do not convert to numbers, or one is infinite.
    """
    array = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    if array.dtype.kind == "c":
        raise InputError(f"Complex data not supported: {name} has dtype {array.dtype}; give real numbers.")
    if array.dtype.kind in "mM":
        raise InputError(f"{name} has dtype {array.dtype}; give numbers, such as days since a date.")
    try:
        out = with_nan(values) if array.dtype.kind == "O" else array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} has dtype {array.dtype} and does not convert to float: {error}.") from error
    if np.isinf(out).any():
        place = np.argwhere(np.isinf(out))[0].tolist()
        raise InputError(f"{name} contains infinity at row {place[0]}; expected numbers, or NaN for a missing label.")
    return out


def with_nan(values: Any) -> Array:
    """Values as float64, what is missing as NaN: pandas' own NA, too."""
    if hasattr(values, "iloc"):
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(values).astype(np.float64)


def as_weights(values: Any, n: int, tasks: NDArray | None = None, *, some: bool = False) -> Array | None:
    """Weights (n,), or with `tasks` (n, t) one per label, or None where all are 1.

    Raises
    ------
    InputError
        For another length, a negative or infinite weight, or none that is positive (unless these are but `some` rows).
    """
    if values is None:
        return None
    weights = as_float(values, "sample_weight")
    if weights.ndim == 0:
        weights = np.full(n, float(weights))
    if weights.ndim == 2 and tasks is not None and len(tasks) > 1:
        if weights.shape != (n, len(tasks)):
            told = f"expected (n,) or ({n}, {len(tasks)}), one weight per row or per label"
            raise InputError(f"sample_weight has shape {weights.shape}; {told}.")
        if hasattr(values, "columns") and list(values.columns) != tasks.tolist():
            told = f"the columns {listed(list(values.columns))}; expected the tasks in order, {listed(tasks.tolist())}"
            raise InputError(f"sample_weight has {told}.")
    elif weights.shape != (n,):
        raise InputError(f"sample_weight has shape {weights.shape}, but X has {n} rows; give one weight per row.")
    if np.isnan(weights).any() or (weights < 0).any():
        raise InputError("sample_weight holds NaN or a negative number; expected finite weights >= 0.")
    if not some and not (weights > 0).any():
        raise InputError("sample_weight is zero everywhere; at least one row must count.")
    if weights.ndim == 2 and (weights == weights[:, :1]).all():
        weights = weights[:, 0]
    return None if (weights == 1).all() else weights


def each_label(values: Any, shape: tuple[int, ...], tasks: NDArray) -> Array:
    """Weights in the shape of the labels, (n,) or (n, t), from those of rows or of labels; 1 where none are given.

    Raises
    ------
    InputError
        As `as_weights`.
    """
    weights = as_weights(values, shape[0], tasks if len(shape) == 2 else None)
    if weights is None:
        return np.ones(shape)
    return np.array(np.broadcast_to(weights[:, None] if weights.ndim < len(shape) else weights, shape))


def same_length(X: Any, y: Array, name: str) -> None:
    """Raise InputError unless X and y have one row each."""
    if X.shape[0] != len(y):
        raise InputError(
            f"X has {X.shape[0]} rows, but {name} has {len(y)}; give one label, or one row of labels, per row."
        )


def check_names(names: Any, what: str) -> None:
    """Raise InputError naming what stands twice."""
    values = list(names)
    if len(set(values)) < len(values):
        double = sorted({str(v) for v in values if values.count(v) > 1})
        raise InputError(f"{what} has several columns named {listed(double)}; rename them so that names are unique.")
