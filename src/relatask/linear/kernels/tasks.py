"""Kernels between tasks: matrices, labelled frames, relations, a correlation, or one that is to be learned."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.input.labels import listed, object_array
from relatask.linear.kernels.features import PSD_TOLERANCE, check_semidefinite
from relatask.linear.path import open_strengths
from relatask.linear.solvers.family import family
from relatask.linear.sums.forms import Array
from relatask.notices import InputError
from relatask.relations import Relation, is_quadratic, parts
from relatask.relations.checks import symmetric

WORDS = ("independent", "pooled", "learned")


@dataclass(frozen=True, eq=False)
class TaskMatrix:
    """The kernel of the fitted tasks (t, t), and what is known of others.

    Attributes
    ----------
    matrix : (t, t) positive semidefinite.
    others : (m,) labels that were not fitted.
    cross : (m, t) their kernel with the fitted ones.
    own : (m,) their kernel with themselves.
    """

    matrix: Array
    others: NDArray
    cross: Array
    own: Array


def read_task_kernel(given: Any, tasks: NDArray) -> TaskMatrix | None:
    """The kernel between these tasks; None where it is to be learned.

    Raises
    ------
    InputError
        For another shape or other labels, NaN, a matrix that is not symmetric or not positive semidefinite, a relation
        whose precision has no inverse, a word or number that is unknown.
    """
    t = len(tasks)
    if isinstance(given, str):
        if given not in WORDS:
            raise InputError(f"task_kernel={given!r} is unknown; expected {_expected()}.")
        return None if given == "learned" else alone(np.eye(t) if given == "independent" else np.ones((t, t)))
    if isinstance(given, Real) and not isinstance(given, bool):
        rho = float(given)
        if not 0 <= rho <= 1:
            raise InputError(f"task_kernel={given!r} is not usable; a correlation between all tasks lies in [0, 1].")
        return alone((1 - rho) * np.eye(t) + rho)
    if isinstance(given, Relation):
        return alone(_of_relation(given, tasks))
    if hasattr(given, "loc") and hasattr(given, "columns"):
        return _of_frame(given, tasks)
    if given is None or not (isinstance(given, list | tuple | np.ndarray) or hasattr(given, "__array__")):
        raise InputError(f"task_kernel={given!r:.60} is not usable; expected {_expected()}.")
    matrix = symmetric("MultiTaskKernelRidge", "task_kernel", given)
    if len(matrix) != t:
        raise InputError(
            f"task_kernel has shape {matrix.shape}, but there are {t} tasks ({listed(tasks.tolist())}); give one row "
            "and one column per task in this order, or a DataFrame that names them."
        )
    return alone(_semidefinite(matrix))


def alone(matrix: Array) -> TaskMatrix:
    """A kernel of the fitted tasks only."""
    none = np.zeros((0, len(matrix)))
    return TaskMatrix(np.array(matrix), object_array([]), none, np.zeros(0))


def _of_frame(frame: Any, tasks: NDArray) -> TaskMatrix:
    """A labelled matrix: its labels are the tasks, in any order, and perhaps others."""
    rows, columns = list(frame.index), list(frame.columns)
    if len(set(rows)) < len(rows) or set(rows) != set(columns):
        raise InputError(
            f"task_kernel is a frame with rows {listed(rows)} and columns {listed(columns)}; expected every task once "
            "in both."
        )
    labels = tasks.tolist()
    missing = [label for label in labels if label not in set(rows)]
    if missing:
        raise InputError(f"task_kernel knows {listed(rows)}, but there are tasks {listed(missing)} too; add them.")
    order = labels + [label for label in rows if label not in set(labels)]
    whole = symmetric("MultiTaskKernelRidge", "task_kernel", frame.loc[order, order].to_numpy())
    whole, t = _semidefinite(whole), len(labels)
    return TaskMatrix(
        np.array(whole[:t, :t]), object_array(order[t:]), np.array(whole[t:, :t]), np.diagonal(whole)[t:].copy()
    )


def _of_relation(relation: Relation, tasks: NDArray) -> Array:
    """The inverse of a quadratic relation's precision."""
    name = " + ".join(type(part).__name__ for part in parts(relation))
    if not is_quadratic(relation):
        raise InputError(f"task_kernel={name}: not quadratic, so it has no kernel; expected {_expected()}.")
    if open_strengths(relation):
        raise InputError(f"task_kernel={name}: its strength is 'auto'; give a number: the estimator's own is chosen.")
    precision = family([relation.bind(tasks.tolist())], len(tasks)).member(0)
    values, basis = np.linalg.eigh(precision.dense())
    if values[0] <= PSD_TOLERANCE * max(values[-1], 0.0):
        raise InputError(
            f"task_kernel={name}: its precision is singular (smallest eigenvalue {values[0]:.6g}, largest "
            f"{values[-1]:.6g}), so it has no inverse; add a Ridge to it, or give the kernel itself."
        )
    return np.asarray((basis / values) @ basis.T)


def _semidefinite(matrix: Array) -> Array:
    values, basis = np.linalg.eigh(matrix)
    check_semidefinite(float(values[0]), float(values[-1]), "task_kernel")
    if values[-1] <= 0:
        raise InputError("task_kernel is zero, so every function is; expected positive entries on its diagonal.")
    return matrix if values[0] >= 0 else np.asarray((basis * np.maximum(values, 0.0)) @ basis.T)


def _expected() -> str:
    return (
        "a (t, t) matrix or DataFrame, a quadratic relation, 'independent', 'pooled', 'learned', or a correlation in "
        "[0, 1]"
    )
