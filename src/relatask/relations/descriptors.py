"""Tasks described by covariates: their coefficients follow the description, and so do those of tasks never seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from relatask.notices import InputError
from relatask.relations.checks import Array, Strength, check_strength, chosen, like, read_w
from relatask.relations.graphs import Positions, quoted
from relatask.relations.precision import Diagonal, LowRank, Precision
from relatask.relations.relation import Quadratic, around

RANK = 1e-12
"""Singular values of Z below this share of the largest are zero."""


@dataclass(frozen=True, eq=False)
class TaskDescriptors(Quadratic):
    """A task's coefficients follow from what describes it, up to a deviation of its own: W = Z B + V.

    ``R(W) = min over B of strength/2 ||W - Z B||_F^2 + ridge/2 ||B||_F^2``,
    precision ``P = (I/strength + Z Z'/ridge)^-1``

    A two-level model: a row z of descriptors predicts the coefficients z B of a task without data. B has no intercept:
    give Z a column of ones for a part that all tasks have in common.

    Parameters
    ----------
    Z : (t, c) array; frame with the tasks as index; mapping of tasks to (c,) covariates
        Descriptors of the tasks: by position, or by label. By label they may name more tasks than are fitted; for
        these an estimator predicts. Standardised or not is up to you: the ridge sees them as they are.
    strength : float >= 0 or "auto"
        How near to Z B the tasks are kept; 0 leaves them apart, and R = 0.
    ridge : float >= 0 or "auto"
        Price of B; 0 leaves it free, the one of least norm is then taken.
    labels : sequence of task labels, optional
        Of the rows of Z, where it is an array that is to be read by label.
    rows : optional
        Set by `bind`: the rows of the fitted tasks.

    Raises
    ------
    InputError
        For descriptors that are no numbers, or of another shape; labels given twice; in `bind` for a wrong number of
        rows or a task without a description; in `extrapolate` for one that Z does not name, or at strength 0.

    References
    ----------
    Gelman, Hill: Data analysis using regression and multilevel/hierarchical models, 2007, section 13.1. As a kernel of
    tasks: Bonilla, Agakov, Williams: Kernel multi-task learning using task-specific features, 2007, AISTATS.

    Examples
    --------
    >>> relation = TaskDescriptors({"a": [1.0, 0.0], "b": [1.0, 1.0], "new": [1.0, 2.0]}, 1.0, ridge=0.0)
    >>> bound = relation.bind(["a", "b"])
    >>> bound.extrapolate(np.array([[1.0], [3.0]]), ["new"]).round(6)
    array([[5.]])
    """

    Z: Any
    strength: Strength = 1.0
    ridge: Strength = 1.0
    labels: tuple[Hashable, ...] | Sequence[Hashable] | None = None
    rows: Positions | None = field(default=None, repr=False)

    formula: ClassVar[str] = "min over B of strength/2 ||W - Z B||_F^2 + ridge/2 ||B||_F^2"
    source: ClassVar[str] = "Gelman, Hill 2007, Multilevel models; Bonilla, Agakov, Williams 2007"
    strengths: ClassVar[tuple[str, ...]] = ("strength", "ridge")

    def __post_init__(self) -> None:
        """Check the strengths and read the descriptors."""
        for name in self.strengths:
            object.__setattr__(self, name, check_strength("TaskDescriptors", getattr(self, name), name))
        Z, labels = _read(self.Z, self.labels)
        object.__setattr__(self, "Z", Z)
        object.__setattr__(self, "labels", labels)

    def value(self, W: Array) -> Array:
        """Give the least cost over B; W is (t, d)."""
        W, xp = read_w(W, len(self._own), "TaskDescriptors")
        strength, ridge = self._strengths()
        if self.vanishes:
            return xp.sum(W * 0)
        basis, singular = self._span
        U = like(basis, W, xp)
        along = U.T @ W
        rest = W - U @ along
        total = strength * singular**2 + ridge
        price = np.divide(strength * ridge, total, out=np.zeros_like(total), where=total > 0)
        return strength / 2 * xp.sum(rest * rest) + xp.sum(like(price[:, None], W, xp) * along * along) / 2

    def precision(self, n_tasks: int) -> Precision:
        """Give (I/strength + Z Z'/ridge)^-1: a multiple of the identity and a few vectors."""
        self._check_size(n_tasks)
        strength, ridge = self._strengths()
        if self.vanishes:
            return Diagonal(np.zeros(n_tasks))
        basis, singular = self._span
        total = strength * singular**2 + ridge
        weights = np.divide(strength**2 * singular**2, total, out=np.zeros_like(total), where=total > 0)
        return LowRank(np.full(n_tasks, strength), basis, -weights)

    def extrapolate(self, W: np.ndarray, tasks: Sequence[Hashable]) -> np.ndarray:
        """Give Z B for other tasks, B the best for the fitted W: coefficients (len(tasks), d)."""
        strength, ridge = self._strengths()
        if self.labels is None:
            raise InputError(
                f"unknown task {quoted(tasks)}: TaskDescriptors was given descriptors by position, which name "
                "no other task; give a frame or a mapping whose labels name them too."
            )
        place = {label: row for row, label in enumerate(self.labels)}
        absent = [task for task in tasks if task not in place]
        if absent:
            raise InputError(
                f"unknown task {quoted(absent)}: TaskDescriptors has no description of it; its labels are "
                f"{quoted(self.labels)}."
            )
        if strength == 0:
            raise InputError("TaskDescriptors: at strength=0 nothing is learned of other tasks; give a positive one.")
        U, singular, Vt = np.linalg.svd(self._own, full_matrices=False)
        some = singular > RANK * singular.max(initial=0.0)
        shrunk = strength * singular[some] / (strength * singular[some] ** 2 + ridge)
        B = Vt[some].T @ (shrunk[:, None] * (U[:, some].T @ W))
        return np.asarray(self.Z[[place[task] for task in tasks]] @ B)

    def bind(self, tasks: Sequence[Hashable]) -> TaskDescriptors:
        """Give the relation for these tasks: labels are found, a number of rows is checked."""
        if self.labels is None or self.rows is not None:
            self._check_size(len(tasks))
            return self
        place = {label: row for row, label in enumerate(self.labels)}
        absent = [task for task in tasks if task not in place]
        if absent:
            raise InputError(
                f"TaskDescriptors: no description of {quoted(absent)}; the labels of Z are "
                f"{quoted(self.labels)}. Give one row per task."
            )
        return replace(self, rows=Positions(place[task] for task in tasks))

    def among(self, kept: Sequence[int]) -> TaskDescriptors:
        """Give the relation of some tasks, the others free: their own rows of Z."""
        if self.labels is None:
            return replace(self, Z=self.Z[list(kept)])
        every = self.rows if self.rows is not None else tuple(range(len(self.Z)))
        return replace(self, rows=Positions(every[k] for k in kept))

    def reach(self, name: str, correlation: np.ndarray, curvature: float) -> tuple[float, float]:
        """Give four decades around the data's curvature; for the ridge, times the size of Z's columns."""
        if name == "strength":
            return around(curvature)
        size = float(np.sum(np.square(self._own))) / self._own.shape[1]
        return around(curvature * size if size > 0 else curvature)

    @property
    def vanishes(self) -> bool:
        """Whether R is zero everywhere: V is free, or Z B is and can be any W."""
        return self.strength == 0 or (self.ridge == 0 and len(self._span[1]) == len(self._own))

    @classmethod
    def example(cls, n_tasks: int) -> Self:
        """Give a common part and a trend over the tasks, at strength 0.5 and ridge 0.1."""
        return cls(np.column_stack([np.ones(n_tasks), np.arange(n_tasks) / max(n_tasks, 1)]), 0.5, 0.1)

    def _strengths(self) -> tuple[float, float]:
        return chosen("TaskDescriptors", self.strength), chosen("TaskDescriptors", self.ridge, "ridge")

    @cached_property
    def _own(self) -> np.ndarray:
        """Descriptors (t, c) of the fitted tasks."""
        return self.Z if self.rows is None else self.Z[list(self.rows)]

    @cached_property
    def _span(self) -> tuple[np.ndarray, np.ndarray]:
        """An orthonormal basis (t, r) of Z's columns, and the singular values."""
        U, singular, _ = np.linalg.svd(self._own, full_matrices=False)
        some = singular > RANK * singular.max(initial=0.0)
        return U[:, some], singular[some]

    def _check_size(self, n_tasks: int) -> None:
        if len(self._own) != n_tasks:
            raise InputError(
                f"TaskDescriptors: Z has {len(self._own)} rows, but there are {n_tasks} tasks; give one row of "
                "descriptors per task, in the order of the tasks, or a frame or mapping by label."
            )


def _read(Z: Any, labels: Any) -> tuple[np.ndarray, tuple[Hashable, ...] | None]:
    """Give descriptors (m, c) read-only, and the labels of their rows or None."""
    if isinstance(Z, Mapping):
        labels, Z = list(Z) if labels is None else labels, [np.atleast_1d(row) for row in Z.values()]
    elif hasattr(Z, "index") and hasattr(Z, "loc"):
        labels, Z = Z.index.tolist() if labels is None else labels, Z.to_numpy()
    try:
        matrix = np.array(Z, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"TaskDescriptors: Z could not be read as rows of numbers, all of one length ({error})."
        ) from error
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(
            f"TaskDescriptors: Z has shape {matrix.shape}; expected (tasks, covariates), one row per task."
        )
    if not np.isfinite(matrix).all():
        raise InputError("TaskDescriptors: Z contains NaN or infinity; expected finite descriptors.")
    matrix.flags.writeable = False
    if labels is None:
        return matrix, None
    labels = tuple(labels.tolist() if isinstance(labels, np.ndarray) else labels)
    if len(labels) != len(matrix):
        raise InputError(f"TaskDescriptors: Z has {len(matrix)} rows, but {len(labels)} labels; give one per row.")
    twice = [label for label, count in Counter(labels).items() if count > 1]
    if twice:
        raise InputError(f"TaskDescriptors: Z describes {quoted(twice)} more than once; give one row per task.")
    return matrix, labels
