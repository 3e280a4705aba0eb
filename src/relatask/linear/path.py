"""Choosing strengths: a grid below the null strength, folds within tasks, pooled squared error."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from relatask.linear.features import alike, priced, reach_on
from relatask.linear.input.blocks import measured_from
from relatask.linear.input.design import Design
from relatask.linear.input.folds import within_task_folds
from relatask.linear.input.labels import listed
from relatask.linear.input.targets import divided_targets
from relatask.linear.losses.squared import Squared, pooled
from relatask.linear.problem import Columns, Problem
from relatask.linear.solvers import solve
from relatask.linear.solvers.auto import Start
from relatask.linear.solvers.direct import direct
from relatask.linear.solvers.family import family
from relatask.linear.sums.forms import Array
from relatask.linear.sums.sparse_rows import sparse_row_products
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError, RelataskWarning, tell
from relatask.relations import Relation, is_quadratic, strengths, with_parameters

GRID = 25
GRID_OF_TWO = 9
FOLDS = 5
PATH_TOL = 5e-5
"""Norms along a path are solved to this gap: it chooses a strength, which is then fitted to the model's own."""
CHUNK = 4e7
"""Numbers held at once by the factors of a path."""


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
    errors : (m,) mean squared error over all held-out labels, each weighted as in the loss's `sample_weight`.
    best : position of the chosen row.
    """

    names: tuple[str, ...]
    strengths: Array
    errors: Array
    best: int


def open_strengths(relation: Relation) -> tuple[str, ...]:
    """Names, as `strengths` gives them, of strengths that are "auto"."""
    return tuple(k for k, v in strengths(relation).items() if isinstance(v, str) and v == "auto")


def choose(design: Design, stats: Statistics, relation: Relation, model: Model, seed: int = 0) -> tuple[Relation, Path]:
    """Fill the relation's open strengths by cross-validation within tasks.

    Parameters
    ----------
    design : Design
        The training rows.
    stats : Statistics
        Theirs.
    relation : Relation
        Bound to the tasks, with strengths "auto".
    model : Model
        The rest.
    seed : int
        Of the folds.

    Returns
    -------
    relation : with numbers.
    path : what was tried.
    """
    problem = model.prepare(stats)[3]
    curvature = float(problem.forms.diagonal().mean()) or 1.0

    def fold_errors(
        train: Design, test: Design, names: Sequence[str], candidates: Sequence[tuple[float, ...]]
    ) -> tuple[Array, float]:
        return _fold_errors(train, test, relation, names, candidates, model)

    reach = partial(reach_of, correlations=[problem.cross], curvature=curvature, columns=problem.columns)
    return cross_validated(design, stats.count, relation, reach, fold_errors, seed)


FoldErrors = Callable[[Design, Design, Sequence[str], Sequence[tuple[float, ...]]], tuple[Array, float]]
"""Training rows, held-out rows, names and values of strengths -> errors, one per candidate, and the labels' weight."""


def cross_validated(
    design: Design,
    count: NDArray[np.intp],
    relation: Relation,
    reach: Callable[[Relation, str], tuple[float, float]],
    fold_errors: FoldErrors,
    seed: int = 0,
) -> tuple[Relation, Path]:
    """Fill the relation's open strengths: a grid over their reach, folds within tasks, the least error.

    `count` holds each task's labels; `reach` gives the lowest and highest value of a strength of a part.
    """
    names = open_strengths(relation)
    if len(names) > 2:
        raise InputError(f"{len(names)} strengths are 'auto' ({', '.join(names)}); at most two can be chosen at once.")
    points = GRID if len(names) == 1 else GRID_OF_TWO
    grids = []
    for name in names:
        part_name, _, field = name.rpartition("__")
        part: Relation = relation.part(part_name) if part_name else relation  # type: ignore[attr-defined]
        low, high = reach(part, field)
        grids.append(np.geomspace(low, high, points).tolist())
    candidates = list(itertools.product(*grids))
    sse, total = np.zeros(len(candidates)), 0.0
    left_out = np.zeros(design.n_tasks, dtype=bool)
    for held_out in within_task_folds(design, FOLDS, seed):
        train = design.rows(np.flatnonzero(~held_out))
        absent = ~_trained(train)
        left_out |= absent
        test = _without(design.rows(np.flatnonzero(held_out)), absent)
        if not test.X.shape[0]:
            continue
        errors, weight = fold_errors(train, test, names, candidates)
        sse += errors
        total += weight
    # A task of one label was named already.
    if (left_out & (count > 1)).any():
        few = listed(design.tasks[left_out & (count > 1)].tolist())
        told = f"tasks {few} have all their labels in one fold, and were left out of it when the strength was chosen."
        tell(RelataskWarning(told, code="RT005"))
    if total == 0:
        # One row a task: nothing can be held out, and the strongest relation is the safe choice.
        errors, best = np.full(len(candidates), np.nan), len(candidates) - 1
    else:
        errors = sse / total
        # Among equal errors the strongest: grids ascend.
        best = int(np.flatnonzero(errors <= errors.min() * (1 + 1e-12))[-1])
    chosen = dict(zip(names, candidates[best], strict=True))
    return with_parameters(relation, **chosen), Path(names, np.array(candidates), errors, best)


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
        for place, W in zip(group, _solve_alike(data, rest, model), strict=True):
            found[place] = W
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


def _fold_errors(
    train: Design,
    test: Design,
    relation: Relation,
    names: Sequence[str],
    candidates: Sequence[tuple[float, ...]],
    model: Model,
) -> tuple[Array, float]:
    """Sums of squared errors on the held-out labels, one per candidate, and the labels' weight."""
    stats, center, scale, problem = model.prepare(train.statistics())
    weights = np.ones(len(test.y)) if test.weights is None else test.weights
    weights = weights[:, None] if test.codes is None and weights.ndim == 1 else weights
    weights = np.where(np.isnan(test.y), 0.0, weights)
    y = np.where(np.isnan(test.y), 0.0, test.y)
    # Errors are in units of the targets as they are fitted.
    unit = np.ones(1) if model.target_scale is None else model.target_scale
    unit = unit if test.codes is None else np.broadcast_to(unit, test.n_tasks)[test.codes]
    X = test.X
    if test.absent is not None and test.codes is not None:
        X = np.where(test.absent[test.codes], model.fill(stats, center, scale), X)
    errors = np.empty(len(candidates))
    for m, W in enumerate(solve_path(problem, relation, names, candidates, model)):
        coef, intercept = model.coefficients(stats, center, scale, W)
        residual = (y - predict_rows(X, test.codes, coef, intercept)) / unit
        errors[m] = np.vdot(weights, np.square(residual))
    return errors, float(weights.sum())


def predict_rows(X: Any, codes: NDArray[np.intp] | None, coef: Array, intercept: Array) -> Array:
    """Predictions (n,) of each row's own task, or (n, t) of all tasks where `codes` is None."""
    if codes is None:
        return np.asarray(X @ coef.T + intercept)
    if sparse.issparse(X):
        return sparse_row_products(X, coef, codes) + intercept[codes]
    return np.einsum("nd,nd->n", X, coef[codes]) + intercept[codes]


def _trained(train: Design) -> NDArray[np.bool_]:
    """(t,) whether each task has a label among these rows."""
    if train.codes is None:
        return np.asarray(~np.isnan(train.y).all(0))
    return np.bincount(train.codes, minlength=train.n_tasks) > 0


def _without(test: Design, absent: NDArray[np.bool_]) -> Design:
    """Rows (or labels) without those of some tasks."""
    if not absent.any():
        return test
    if test.codes is None:
        return replace(test, y=np.where(absent, np.nan, test.y))
    return test.rows(np.flatnonzero(~absent[test.codes]))


__all__ = ["Model", "Path", "choose", "open_strengths", "predict_rows", "solve_path", "within_task_folds"]
