"""Features that some tasks do not have at all (tasks from several sources): the data say nothing about them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.linear.sums.forms import Array
from relatask.notices import InputError

if TYPE_CHECKING:
    from relatask.linear.input.design import Design


def with_blocks(design: Design, layout: str, names: NDArray | None, *, some: bool = False) -> Design:
    """Find the columns that are NaN in all rows of a task; their entries become 0, for `without` to leave out.

    Raises
    ------
    InputError
        For NaN in some rows of a task only, in a column that no task has (unless these are but `some` rows), or where
        tasks are not groups of rows.
    """
    X, codes = design.X, design.codes
    holes = np.isnan(X)
    if not holes.any():
        return design
    if layout != "groups" or codes is None:
        row, column = np.argwhere(holes)[0].tolist()
        raise InputError(
            f"X has NaN (first in row {row}, column {_name(names, column)}; {int(holes.sum())} in all), but "
            f"missing_features='block' is for rows that are grouped by task: impute or drop such values."
        )
    count = np.bincount(codes, minlength=design.n_tasks)
    touched = np.flatnonzero(holes.any(0))
    missing = np.zeros((design.n_tasks, X.shape[1]), dtype=np.intp)
    for j in touched.tolist():
        missing[:, j] = np.bincount(codes[holes[:, j]], minlength=design.n_tasks)
    partial = (missing > 0) & (missing < count[:, None])
    if partial.any():
        k, j = np.argwhere(partial)[0].tolist()
        more = f" ({int(partial.sum())} such pairs of task and column)" if partial.sum() > 1 else ""
        raise InputError(
            f"task {design.tasks.tolist()[k]!r} has NaN in {missing[k, j]} of its {count[k]} rows in column "
            f"{_name(names, j)}{more}; a task has a feature in all of its rows or in none: impute these values, or "
            f"leave the column or the rows out."
        )
    absent = missing > 0
    nowhere = np.flatnonzero(absent.all(0))
    if len(nowhere) and not some:
        told = ", ".join(_name(names, j) for j in nowhere.tolist()[:6])
        raise InputError(f"X holds NaN only in column {told}: no task has it; leave it out.")
    return replace(design, X=np.where(holes, X.dtype.type(0), X), absent=absent)


def filled(
    X: Any, codes: NDArray[np.intp] | None, absent: NDArray[np.bool_] | None, fill: Array, tasks: NDArray
) -> Any:
    """Rows to predict, NaN replaced by (d,) `fill` where the row's task lacked the column in fit.

    Raises
    ------
    InputError
        For NaN elsewhere.
    """
    if sparse.issparse(X) or not (holes := np.isnan(X)).any():
        return X
    if codes is not None and absent is not None:  # tasks that fit has not seen lack nothing
        absent = np.vstack([absent, np.zeros((1, X.shape[1]), dtype=bool)])[np.minimum(codes, len(absent))]
    wrong = holes if codes is None or absent is None else holes & ~absent
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        seen = codes is not None and codes[row] < len(tasks)
        whose = f" of task {tasks.tolist()[codes[row]]!r}, which has this feature" if seen and codes is not None else ""
        raise InputError(
            f"X has NaN in row {row}, column {column}{whose} ({int(wrong.sum())} such values); only features that a "
            f"task lacked in fit may be missing: impute these values."
        )
    return np.where(holes, fill, X)


def _name(names: NDArray | None, j: int) -> str:
    return str(j) if names is None else repr(str(names[j]))
