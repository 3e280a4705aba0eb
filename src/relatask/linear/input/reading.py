"""What a person passes, read at the public door: frames and arrays, task columns, labels, weights."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.validation import validate_data

from relatask.given.frames import in_order, split_task_column, squares
from relatask.linear.input.blocks import with_blocks
from relatask.linear.input.design import Design, as_float, check_names, column_design, grouped_design, with_nan
from relatask.linear.input.labels import listed
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError, tell

__all__ = ["Probe", "canonical", "check_sums", "design", "features", "in_order", "split_task_column", "squares"]

TINY = 1e-140
"""Numbers below this have squares that are lost."""


class Probe(BaseEstimator):
    """Stands in for an estimator while scikit-learn looks at X, so that a fit that fails leaves no trace."""


def features(owner: Any, X: Any, *, reset: bool, missing: bool = False, sparse_too: bool = False) -> Any:
    """Give X (n, d) as float32 or float64, or CSR where it is sparse, checked by scikit-learn and in our words.

    Parameters
    ----------
    owner : estimator
        Learns the number and names of columns (`reset`), or knows them.
    X : array or frame
        What was passed.
    reset : bool
        Whether this is fit.
    missing : bool
        Whether NaN may stand in dense X.
    sparse_too : bool
        Whether X may be sparse.

    Raises
    ------
    InputError
        For NaN, infinity, sparse X where it may not be, columns that are not numbers, of one name, other ones than
        in fit.
    """
    if type(X).__module__.partition(".")[0] == "pyarrow":
        raise InputError(f"X is a pyarrow {type(X).__name__}, which only fit_batches takes; use X.to_pandas().")
    if hasattr(X, "columns"):
        check_names(X.columns, "X")
    if sparse.issparse(X) and not sparse_too:
        raise InputError("Sparse data was passed for X, but dense data is required; use X.toarray().")
    finite: Any = "allow-nan" if missing and not sparse.issparse(X) else True
    try:
        checked = validate_data(
            owner,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=(np.float64, np.float32),
            ensure_min_samples=1,
            ensure_all_finite=finite,
        )
        return canonical(checked) if sparse.issparse(checked) else checked
    except ValueError as error:
        raise InputError(_explained(X, str(error))) from error
    except TypeError as error:
        if not hasattr(X, "columns"):
            raise
        reason = str(error).split(". ")[0]
        raise InputError(
            f"X does not convert to float{_not_numbers(X)}: {reason}. Encode such columns first."
        ) from error


def canonical(X: Any) -> Any:
    """CSR with sorted columns and each place once, what was passed left as it is."""
    out = sparse.csr_array(X)
    if not out.has_canonical_format:
        out = out.copy() if np.shares_memory(out.data, X.data) else out
        out.sum_duplicates()
    return out


def check_sums(stats: Statistics) -> None:
    """Raise InputError where squares of the numbers overflow, or vanish."""
    for name, spread, means in (("X", stats.spread, stats.mean_x), ("y", stats.yy, stats.mean_y)):
        if not np.isfinite(spread).all():
            raise InputError(f"{name} holds numbers whose squares overflow (beyond about 1e150); give it other units.")
        if not spread.any() and 0 < np.abs(means).max() < TINY:
            raise InputError(f"{name} holds numbers whose squares vanish (below about 1e-150); give it other units.")


def design(
    X: Any, y: Any, tasks: Any, sample_weight: Any, names: NDArray | None = None, *, some: bool = False
) -> tuple[str, Design]:
    """Rows of "one" task, of "groups", or with a task a column ("columns").

    Where these are but `some` of the rows, a task may be without labels, and a column may be of no task here.

    Raises
    ------
    InputError
        For labels that cannot be used, or whose shape does not go with tasks; for NaN in X (d columns, of these
        `names`) that is not all that a task has of a column.
    """
    layout, found = _design(X, y, tasks, sample_weight, some)
    return layout, found if sparse.issparse(X) else with_blocks(found, layout, names, some=some)


def _design(X: Any, y: Any, tasks: Any, sample_weight: Any, some: bool) -> tuple[str, Design]:
    if y is None:
        raise InputError("requires y to be passed, but the target y is None.")
    names = list(y.columns) if hasattr(y, "columns") else None
    shape = tuple(y.shape) if names is not None else np.asarray(y).shape
    if len(shape) not in (1, 2) or shape[-1] == 0:
        raise InputError(f"y has shape {shape}; expected (n,), or (n, t) with a task a column.")
    if len(shape) == 2 and tasks is None and (shape[1] > 1 or names is not None):
        return "columns", column_design(X, y, names, sample_weight, some=some)
    if len(shape) == 2 and shape[1] > 1:
        raise InputError(f"y has shape {shape} and tasks are given too; pass y (n,) with tasks, or y (n, t) without.")
    if len(shape) == 2 and names is None:
        told = "A column-vector y was passed when a 1d array was expected; it is read as (n,)."
        tell(DataConversionWarning(told))
    return "one" if tasks is None else "groups", grouped_design(X, y, tasks, sample_weight, some=some)


def _explained(X: Any, message: str) -> str:
    """scikit-learn's message, and what to do about it."""
    message = message.split("\n")[0].rstrip() if "does not accept missing values" in message else message.rstrip()
    if "contains NaN" in message or "contains infinity" in message:
        place = _first_bad(X)
        return (
            f"{message.rstrip('.')}{place}. Impute or drop such values first; only labels (y) may be missing, and "
            f"columns that a whole task lacks (missing_features='block')."
        )
    if "could not convert" in message or ("dtype" in message and hasattr(X, "columns")):
        return f"X does not convert to float: {message.rstrip('.')}{_not_numbers(X)}. Encode such columns first."
    return message


def _first_bad(X: Any) -> str:
    if sparse.issparse(X):
        stored = int((~np.isfinite(cast(Any, X).tocsr().data)).sum())
        return f" ({stored} stored value{'s' if stored > 1 else ''})"
    values = with_nan(X)
    if values.ndim != 2:
        return ""
    bad = np.argwhere(~np.isfinite(values))
    if not len(bad):
        return ""
    row, column = bad[0].tolist()
    name = repr(list(X.columns)[column]) if hasattr(X, "columns") else str(column)
    return f" (first in row {row}, column {name}; {len(bad)} in all)"


def _not_numbers(X: Any) -> str:
    if not hasattr(X, "columns"):
        return ""
    bad = []
    for name in X.columns:
        try:
            as_float(X[name], str(name))
        except InputError:
            bad.append(name)
    return f" (columns {listed(bad)})" if bad else ""
