"""What removing a task's labels does to the others' leave-one-out errors, from blocks of the inverse alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relatask.linear.influence.inverses import Inverse, Ranked
from relatask.linear.sums.forms import ROUNDING, Array

FULL = 1e-10
"""A row of leverage above 1 less this is fitted whatever its label: nothing can be learned by leaving it out."""


@dataclass(frozen=True, eq=False)
class TaskRows:
    """One task's rows at the solution.

    Attributes
    ----------
    z : (n, q) in the task's own coordinates.
    slope, curvature : (n,) first and second derivatives of the rows' losses c_k s_i loss in the linear predictor.
    eta : (n,) linear predictor.
    weight : (n,) s_i.
    """

    z: Array
    slope: Array
    curvature: Array
    eta: Array
    weight: Array


@dataclass(frozen=True, eq=False)
class Removal:
    """Effects and what they are about.

    Attributes
    ----------
    effect : (t, t) by how much the error of task i (row) rises when the labels of task j (column) are removed;
        NaN on the diagonal.
    error : (t,) leave-one-out error with all labels, the rows' weighted mean.
    left_out : (t,) rows of leverage 1, which have no such error.
    """

    effect: Array
    error: Array
    left_out: NDArray[np.intp]


def removal(
    inverse: Inverse, forms: Array, level: Array, rows: Sequence[TaskRows], error: Callable[[Array], Array]
) -> Removal:
    """Leave-one-out errors of every task, with and without each other task's labels.

    Without task j the inverse is M + M_:j F (I - F' M_jj F)^-1 F' M_j:, G_j = F F'; relation, loss weights and
    standardisation stay. Where losses are quadratic this is exact, else it is one Newton step.

    Parameters
    ----------
    inverse : Inverse
        Of the curvature of loss and relation.
    forms : (t, q, q)
        Z_k' diag(curvature) Z_k.
    level : (t,)
        What a free intercept adds to z' M_kk z.
    rows : sequence of TaskRows
        One a task.
    error : callable
        Linear predictors (N,) of all rows, task after task -> their errors.
    """
    t = len(rows)
    task = np.repeat(np.arange(t), [len(own.z) for own in rows])
    diagonal = inverse.diagonal()
    spread = np.concatenate(
        [np.einsum("na,ab,nb->n", r.z, diagonal[k], r.z, optimize=True) + level[k] for k, r in enumerate(rows)]
    )
    slope, curvature, eta, weight = (
        np.concatenate([getattr(own, name) for own in rows]) for name in ("slope", "curvature", "eta", "weight")
    )
    seen = _through(inverse, rows)

    def errors(spread: Array, eta: Array, slope: Array) -> Array:
        """Leave-one-out errors (n,), NaN at leverage 1."""
        left = 1.0 - curvature * spread
        moved = eta + np.divide(spread * slope, left, out=np.zeros_like(left), where=left > FULL)
        return np.where(left > FULL, error(moved), np.nan)

    before = errors(spread, eta, slope)
    effect = np.full((t, t), np.nan)
    for j, own in enumerate(rows):
        F, pulled = _root(forms[j]), own.z.T @ own.slope
        inner = np.eye(F.shape[1]) - F.T @ diagonal[j] @ F
        values, vectors = np.linalg.eigh(inner)
        # What only this task tells of, no other task's rows see.
        half = vectors * np.sqrt(np.divide(1.0, values, out=np.zeros_like(values), where=values > FULL))
        along = np.linalg.lstsq(F, pulled, rcond=None)[0] if F.shape[1] else np.zeros(0)
        rest = pulled - F @ along
        step = half @ (half.T @ (along + F.T @ (diagonal[j] @ rest)))
        moves = seen(j, np.column_stack([F @ half, F @ step + rest]))
        more, shift = np.einsum("nr,nr->n", moves[:, :-1], moves[:, :-1]), moves[:, -1]
        after = errors(spread + more, eta + shift, slope + curvature * shift)
        both = np.isfinite(after) & np.isfinite(before)
        effect[:, j] = _means(np.where(both, after - np.where(both, before, 0.0), 0.0), weight * both, task, t)
        effect[j, j] = np.nan
    kept = np.isfinite(before)
    own_error = _means(np.where(kept, before, 0.0), weight * kept, task, t)
    return Removal(effect, own_error, np.bincount(task[~kept], minlength=t))


def _through(inverse: Inverse, rows: Sequence[TaskRows]) -> Callable[[int, Array], Array]:
    """Give (task j, V (q, k)) -> Z_i M_ij V of all tasks' rows, one below the other."""
    if isinstance(inverse, Ranked):
        # The rows are seen through the few coordinates that tasks have in common. Task j's own rows, which nobody
        # asks about, miss their own part.
        shared = np.concatenate([own.z @ inverse.side[k] for k, own in enumerate(rows)])
        return lambda j, V: shared @ (inverse.core @ (inverse.side[j].T @ V))

    if all(own.z is rows[0].z for own in rows):
        # The tasks share their rows: one product.
        z = rows[0].z

        def together(j: int, V: Array) -> Array:
            column = inverse.column(j, V).swapaxes(0, 1)
            return (
                (z @ column.reshape(z.shape[1], -1))
                .reshape(len(z), *column.shape[1:])
                .swapaxes(0, 1)
                .reshape(-1, column.shape[2])
            )

        return together

    def through(j: int, V: Array) -> Array:
        column = inverse.column(j, V)
        return np.concatenate([own.z @ column[k] for k, own in enumerate(rows)])

    return through


def _root(form: Array) -> Array:
    """F (q, r) with F F' = form."""
    values, vectors = np.linalg.eigh(form)
    kept = values > ROUNDING * len(values) * values.max(initial=0.0)
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def _means(values: Array, weight: Array, task: NDArray[np.intp], t: int) -> Array:
    total = np.bincount(task, weight, t)
    return np.divide(np.bincount(task, weight * values, t), total, out=np.full(t, np.nan), where=total > 0)
