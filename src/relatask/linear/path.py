"""Models along a path of strengths: quadratic ones at once, others from strong to weak, warm-started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.linear.features import alike, priced, reach_on
from relatask.linear.input.targets import divided_targets
from relatask.linear.losses.squared import Squared, pooled
from relatask.linear.problem import Columns, Problem
from relatask.linear.solvers import solve
from relatask.linear.solvers.auto import Start
from relatask.linear.solvers.direct import direct
from relatask.linear.solvers.family import family
from relatask.linear.sums.absent import measured_from
from relatask.linear.sums.forms import Array
from relatask.linear.sums.sparse_rows import sparse_row_products
from relatask.linear.sums.statistics import Statistics
from relatask.relations import Relation, is_quadratic, strengths, with_parameters

PATH_TOL = 5e-5
"""Norms along a path are solved to this gap: it chooses a strength, which is then fitted to the model's own."""
CHUNK = 4e7
"""Numbers held at once by the factors of a path."""
ROWS = 1 << 16
"""Rows that are predicted at a time, each with its own task's coefficients beside it."""


@dataclass(frozen=True, eq=False)
class Model:
    """What is fitted, apart from the strengths: datafit, preparation, solver."""

    datafit: Squared
    standardize: bool
    pooled: bool
    solver: str
    tol: float
    max_iter: int
    target_scale: Array | None = None

    def prepare(self, stats: Statistics) -> tuple[Statistics, Array, Array, Problem]:
        """Scaled statistics, the center and the scale (d,) of the columns, and the problem."""
        stats = stats if self.target_scale is None else divided_targets(stats, self.target_scale)
        d = stats.n_features
        scale = np.where(stats.spread > 0, stats.spread, 1.0) if self.standardize else np.ones(d)
        scaled = stats.scaled(scale)
        center = scaled.center if self.standardize and self.datafit.intercept in ("tied", "common") else np.zeros(d)
        # A feature that a task lacks is where the others are measured from, and says nothing.
        scaled = measured_from(scaled, scaled.center if self.datafit.intercept == "free" else center)
        problem = self.datafit.problem(scaled, center)
        problem = pooled(problem) if self.pooled else problem
        return scaled, center, scale, replace(problem, columns=Columns.scaled(scale, problem.shape[1]))

    def coefficients(self, stats: Statistics, center: Array, scale: Array, W: Array) -> tuple[Array, Array]:
        """Coefficients (t, d) and intercepts (t,) in original units; `stats` are the scaled ones."""
        if self.pooled:
            W = np.repeat(W, stats.n_tasks, axis=0)
        coef, intercept = self.datafit.intercepts(stats, center, W)
        if self.target_scale is not None:
            return coef / scale * self.target_scale[:, None], intercept * self.target_scale
        return coef / scale, intercept

    def fill(self, stats: Statistics, center: Array, scale: Array) -> Array:
        """(d,) what a feature is taken to be in rows of tasks that lack it; `stats` are the scaled ones."""
        return (stats.center if self.datafit.intercept == "free" else center) * scale


@dataclass(frozen=True, eq=False)
class Path:
    """The strengths that were tried.

    Attributes
    ----------
    names : the parts whose strength was open.
    strengths : (m, len(names)).
    errors : (m,) mean squared error over all held-out labels, each weighted as in the loss's `sample_weight`; or what
        else was lowered.
    best : position of the chosen row.
    standard_errors : (m,) of the errors, or None where they have none.
    task_errors : (m, t) mean errors of each task's own labels, NaN where none was judged; or None.
    left_out : how many labels could not be judged.
    criterion : "folds", "loo", "gcv" or "reml".
    """

    names: tuple[str, ...]
    strengths: Array
    errors: Array
    best: int
    standard_errors: Array | None = None
    task_errors: Array | None = None
    left_out: int = 0
    criterion: str = "folds"


def open_strengths(relation: Relation) -> tuple[str, ...]:
    """Names, as `strengths` gives them, of strengths that are "auto"."""
    return tuple(k for k, v in strengths(relation).items() if isinstance(v, str) and v == "auto")


def reach_of(
    part: Relation, name: str, correlations: Sequence[Array], curvature: float, columns: Columns | None = None
) -> tuple[float, float]:
    """The reach of a strength that suits all of several correlations (t, d): one, or one for each class."""
    reaches = [reach_on(part, name, Z, curvature, columns) for Z in correlations]
    return max(low for low, _ in reaches), max(high for _, high in reaches)


def solve_path(
    problem: Problem, relation: Relation, names: Sequence[str], candidates: Sequence[tuple[float, ...]], model: Model
) -> list[Array]:
    """W (t, d) for every candidate strength; quadratic paths at once, others from strong to weak, warm-started."""
    relations = [with_parameters(relation, **dict(zip(names, c, strict=True))) for c in candidates]
    found: list[Array] = [np.empty(0)] * len(relations)
    for group in alike(relations):
        data = priced(problem, relations[group[0]])[0]
        rest = [priced(problem, relations[place])[1] for place in group]
        # Columns that no datum sees are 0.
        seen = np.flatnonzero(data.forms.diagonal().any(0))
        some = len(seen) and len(seen) < problem.shape[1]
        for place, W in zip(group, _solve_alike(data.restricted(seen) if some else data, rest, model), strict=True):
            found[place] = W
            if some:
                found[place] = np.zeros(problem.shape)
                found[place][:, seen] = W
    return found


def _solve_alike(problem: Problem, relations: Sequence[Relation], model: Model) -> list[Array]:
    """The same under relations on tasks alone."""
    if is_quadratic(relations[0]):
        t, d = problem.shape
        whole = family(relations, t)
        size = max(1, int(CHUNK // (t * d * d)))
        out: list[Array] = []
        for first in range(0, len(relations), size):
            part = whole.some(slice(first, first + size))
            W, _, _ = direct(problem, part, tol=model.tol, max_iter=model.max_iter)
            out.extend(W[:, s] for s in range(len(part)))
        return out
    start: Start | None = None
    found: list[Array] = []
    for r in reversed(relations):
        solution, start = solve(
            problem, r, solver=model.solver, tol=max(model.tol, PATH_TOL), max_iter=model.max_iter, start=start
        )
        found.append(solution.W)
        start = replace(start, alone=True)
    return found[::-1]


def predict_rows(X: Any, codes: NDArray[np.intp] | None, coef: Array, intercept: Array) -> Array:
    """Predictions (n,) of each row's own task, or (n, t) of all tasks where `codes` is None."""
    if codes is None:
        return np.asarray(X @ coef.T + intercept)
    if sparse.issparse(X):
        return sparse_row_products(X, coef, codes) + intercept[codes]
    out = np.empty(len(codes))
    for a in range(0, len(codes), ROWS):
        own = codes[a : a + ROWS]
        out[a : a + ROWS] = np.einsum("nd,nd->n", X[a : a + ROWS], coef[own]) + intercept[own]
    return out


__all__ = ["Model", "Path", "open_strengths", "predict_rows", "reach_of", "solve_path"]
