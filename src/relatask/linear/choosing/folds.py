"""Cross-validation: labels held out by folds within tasks, or by any splitter, under models along a path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import TimeSeriesSplit

from relatask.linear.choosing.errors import Folded, chosen_place, stacked
from relatask.linear.choosing.grid import Grid, Reach, grid
from relatask.linear.input.design import Design
from relatask.linear.input.folds import within_task_folds
from relatask.linear.input.labels import listed
from relatask.linear.path import Model, Path, open_strengths, predict_rows, reach_of, solve_path
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError, RelataskWarning, tell
from relatask.relations import Relation, with_parameters

FOLDS = 5

FoldErrors = Callable[[Design, Design, Sequence[str], Sequence[tuple[float, ...]]], tuple[Array, Array]]
"""Training rows, held-out rows, names and values of strengths -> errors (m, t), and the labels' weights (t,)."""

Sides = list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]
"""(n,) masks of training and held-out rows, one pair a fold."""


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
    reach = reach_under(model, stats)
    return cross_validated(design, stats.count, relation, reach, partial(fold_errors, relation, model), seed)


def reach_under(model: Model, stats: Statistics) -> Reach:
    """How far strengths reach for these statistics."""
    problem = model.prepare(stats)[3]
    curvature = float(problem.forms.diagonal().mean()) or 1.0
    return partial(reach_of, correlations=[problem.cross], curvature=curvature, columns=problem.columns)


def cross_validated(
    design: Design,
    count: NDArray[np.intp],
    relation: Relation,
    reach: Reach,
    errors_of: FoldErrors,
    seed: int = 0,
) -> tuple[Relation, Path]:
    """Fill the relation's open strengths: a grid over their reach, folds within tasks, the least error.

    `count` holds each task's labels.
    """
    tried = grid(relation, open_strengths(relation), reach)
    sides = [(~held, held) for held in within_task_folds(design, FOLDS, seed)]
    found = held_out_errors(design, count, sides, errors_of, tried)
    if found is None:
        # One row a task: nothing can be held out, and the strongest relation is the safe choice.
        mean, spread, each, best = np.full(len(tried.candidates), np.nan), None, None, len(tried.candidates) - 1
    else:
        mean, spread = found.overall()
        each, best = found.by_task(), chosen_place(mean, None, tried.array)
    chosen = dict(zip(tried.names, tried.candidates[best], strict=True))
    return with_parameters(relation, **chosen), Path(tried.names, tried.array, mean, best, spread, each)


def held_out_errors(
    design: Design, count: NDArray[np.intp], sides: Sides, errors_of: FoldErrors, tried: Grid
) -> Folded | None:
    """Errors of all candidates on what each fold holds out; None where no fold holds anything out.

    A task without a label on the training side is left out of the fold.
    """
    folds = []
    left_out = np.zeros(design.n_tasks, dtype=bool)
    for training, held_out in sides:
        train = design.rows(np.flatnonzero(training))
        absent = ~_trained(train)
        left_out |= absent
        test = _without(design.rows(np.flatnonzero(held_out)), absent)
        if training.any() and _trained(test).any():
            folds.append(errors_of(train, test, tried.names, tried.candidates))
    # A task of one label was named already.
    if (left_out & (count > 1)).any():
        few = listed(design.tasks[left_out & (count > 1)].tolist())
        told = f"tasks {few} have all their labels in one fold, and were left out of it when the strength was chosen."
        tell(RelataskWarning(told, code="RT005"))
    return stacked(folds) if folds else None


def sides_of(cv: Any, design: Design, kept: NDArray[np.bool_], groups: Any, seed: int = 0) -> Sides:
    """Folds by a number of them (within tasks), a splitter of scikit-learn, or pairs of positions of rows.

    `TimeSeriesSplit` cuts the rows of each task in the order in which they stand; of a task with too few rows for it
    nothing is held out. Other splitters see all rows that have a label, their labels, and `groups`.

    Parameters
    ----------
    cv : int, splitter or iterable of pairs
        As an estimator was given it.
    design : Design
        Rows that have a label.
    kept : (n,)
        Which of the rows that were passed these are.
    groups : (n,) array or None
        Of the rows that were passed.
    seed : int
        Of the folds within tasks.

    Raises
    ------
    InputError
        For groups that are missing or of another length, and folds that cannot be used.
    """
    n = len(design.y)
    if isinstance(cv, int | np.integer):
        return [(~held, held) for held in within_task_folds(design, int(cv), seed)]
    if not hasattr(cv, "split"):
        return _given(cv, kept)
    if isinstance(cv, TimeSeriesSplit) and design.codes is not None:
        return _in_time(cv, design.codes, design.n_tasks)
    own = None
    if groups is not None:
        own = _array(groups, "groups")
        if own.shape != kept.shape:
            raise InputError(f"groups has shape {own.shape}, but X has {len(kept)} rows; give one group per row.")
        own = own[kept]
    try:
        pairs = list(cv.split(np.zeros((n, 1)), None if design.codes is None else design.y, own))
    except (ValueError, TypeError) as error:
        hint = "" if groups is not None else "; groups are passed as fit(..., groups=)"
        raise InputError(f"cv={cv!r:.60} cannot split {n} rows: {error}{hint}.") from error
    return [(_mask(train, n), _mask(test, n)) for train, test in pairs]


def _given(cv: Iterable[Any], kept: NDArray[np.bool_]) -> Sides:
    """Pairs of positions (or masks) of training and held-out rows, as they were passed."""
    n = len(kept)
    found = []
    for pair in cv:
        if not hasattr(pair, "__len__") or len(pair) != 2:
            raise InputError(f"cv holds {pair!r:.60}; expected pairs (training rows, held-out rows).")
        train, test = (_mask(_array(side, "cv"), n) for side in pair)
        found.append((train[kept], test[kept]))
    return found


def _array(values: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:  # lists of different lengths
        raise InputError(f"{name} holds {values!r:.60}; expected one value for each row, not lists.") from None


def _mask(rows: NDArray[Any], n: int) -> NDArray[np.bool_]:
    if rows.dtype.kind == "b" and rows.shape == (n,):
        return rows
    if rows.dtype.kind not in "iu" or (rows.size and (rows.min() < -n or rows.max() >= n)):
        raise InputError(f"cv holds rows {rows!r:.60}; expected positions below {n}, or masks of {n} rows.")
    mask = np.zeros(n, dtype=bool)
    mask[rows] = True
    return mask


def _in_time(cv: TimeSeriesSplit, codes: NDArray[np.intp], t: int) -> Sides:
    """The rows of each task, in their order, cut as the splitter cuts one series."""
    folds = cv.get_n_splits()
    train, test = np.zeros((2, folds, len(codes)), dtype=bool)
    for k in range(t):
        own = np.flatnonzero(codes == k)
        try:
            pairs = list(cv.split(own))
        except ValueError:
            train[:, own] = True
            continue
        for fold, (before, after) in enumerate(pairs):
            train[fold, own[before]] = True
            test[fold, own[after]] = True
    return list(zip(train, test, strict=True))


def fold_errors(
    relation: Relation,
    model: Model,
    train: Design,
    test: Design,
    names: Sequence[str],
    candidates: Sequence[tuple[float, ...]],
) -> tuple[Array, Array]:
    """Sums of squared errors on the held-out labels, (m, t), and the labels' weights (t,)."""
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
    errors = np.empty((len(candidates), test.n_tasks))
    for m, W in enumerate(solve_path(problem, relation, names, candidates, model)):
        coef, intercept = model.coefficients(stats, center, scale, W)
        residual = (y - predict_rows(X, test.codes, coef, intercept)) / unit
        errors[m] = by_task(weights * np.square(residual), test.codes, test.n_tasks)
    return errors, by_task(weights, test.codes, test.n_tasks)


def by_task(values: Array, codes: NDArray[np.intp] | None, t: int) -> Array:
    """(t,) sums of values (n,) over each task's rows, or of (n, t) over rows."""
    return values.sum(0) if codes is None else np.bincount(codes, values, minlength=t).astype(np.float64)


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
