"""A relation's strengths, chosen: by leave-one-out, generalised cross-validation, marginal likelihood or folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relatask.linear.choosing.errors import Errors, chosen_place, joined
from relatask.linear.choosing.folds import FOLDS, FoldErrors, held_out_errors, reach_under, sides_of
from relatask.linear.choosing.grid import Grid, Reach, finer, grid, open_names
from relatask.linear.choosing.leaving_out import Prepared, generalised, leave_one_out, prepared
from relatask.linear.choosing.pairs import edges_weighed
from relatask.linear.choosing.reml import WIDEST, maximised
from relatask.linear.choosing.settings import Settings, check_closed, has_closed_form
from relatask.linear.input.design import Design
from relatask.linear.path import Model, Path
from relatask.linear.solvers.selected import densest, is_quick
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError
from relatask.relations import Relation, strengths, with_parameters

WIDE = 1_500
"""Up to this order matrices without a structure are inverted unasked."""


@dataclass(frozen=True, eq=False)
class Road:
    """What is fitted, and on what.

    Attributes
    ----------
    design : the rows.
    kept : (n,) which of the rows that were passed they are.
    groups : of the rows that were passed, or None.
    count : (t,) labels.
    unit : (t,) what a task's errors are divided by where tasks count alike; NaN for tasks that are not to count.
    reach : of strengths.
    fold_errors : errors on held-out rows.
    stats, model : under squared loss; else None.
    """

    design: Design
    kept: NDArray[np.bool_]
    groups: Any
    count: NDArray[np.intp]
    unit: Array
    reach: Reach
    fold_errors: FoldErrors
    stats: Statistics | None = None
    model: Model | None = None


def chosen(road: Road, relation: Relation, settings: Settings) -> tuple[Relation, Path | None]:
    """Fill in a relation's strengths; a relation without strengths stays as it is.

    Parameters
    ----------
    road : Road
        What is fitted.
    relation : Relation
        Bound to the tasks.
    settings : Settings
        How to choose.

    Returns
    -------
    relation : with numbers.
    path : what was tried; None where there was nothing to choose.

    Raises
    ------
    InputError
        For a criterion that this model does not have, strengths that cannot be used, folds that hold nothing out.
    """
    if not strengths(relation):
        return relation, None
    criterion = settings.criterion
    if criterion is not None:
        check_closed(criterion, relation, road.model is not None)
    names = open_names(relation, settings.strengths)
    if criterion in ("gcv", "reml") and road.stats is not None and road.model is not None:
        return by_sums(road.stats, relation, names, road.model, settings)
    tried = grid(relation, names, road.reach, settings.strengths)
    asked = criterion == "loo"
    if asked or (settings.cv is None and has_closed_form(relation)):
        found = _by_leaving_out(road, relation, tried, settings, asked)
        if found is not None:
            return found
    sides = sides_of(FOLDS if settings.cv is None else settings.cv, road.design, road.kept, road.groups)
    folds = held_out_errors(road.design, road.count, sides, road.fold_errors, tried)
    if folds is None and settings.cv is not None and not isinstance(settings.cv, int | np.integer):
        raise InputError(f"cv={settings.cv!r:.60} holds out no label that could be judged; give other folds.")
    return _filled(relation, tried, _judged(folds, tried, road, settings, "folds", 0))


def by_sums(
    stats: Statistics, relation: Relation, names: tuple[str, ...], model: Model, settings: Settings
) -> tuple[Relation, Path]:
    """Fill in strengths by what needs no rows: "gcv" or "reml".

    Parameters
    ----------
    stats : Statistics
        Of the training rows.
    relation : Relation
        Bound to the tasks.
    names : tuple of str
        The strengths to choose.
    model : Model
        The rest.
    settings : Settings
        How to choose.
    """
    assert settings.criterion is not None
    check_closed(settings.criterion, relation, True)
    if settings.criterion == "reml":
        search = edges_weighed if settings.pairs else maximised
        return search(stats, relation, names, model)
    tried = grid(relation, names, reach_under(model, stats), settings.strengths)
    here = prepared(stats, relation, tried.names, tried.candidates, model)
    _check_size(here, "gcv")
    criterion, _ = generalised(here)
    best = chosen_place(criterion, None, tried.array)
    if settings.strengths is None and len(names) == 2:
        more = finer(tried, best)
        again, _ = generalised(prepared(stats, relation, more.names, more.candidates, model))
        criterion = np.concatenate([criterion, again[1:]])
        tried = Grid(tried.names, tried.candidates + more.candidates[1:])
        best = chosen_place(criterion, None, tried.array)
    return _filled(relation, tried, Path(tried.names, tried.array, criterion, best, None, None, 0, "gcv"))


def _by_leaving_out(
    road: Road, relation: Relation, tried: Grid, settings: Settings, asked: bool
) -> tuple[Relation, Path] | None:
    """Exact leave-one-out; None where it was not asked for, and costs too much or can judge no label."""
    if road.stats is None or road.model is None:
        return None
    here = prepared(road.stats, relation, tried.names, tried.candidates, road.model)
    if asked:
        _check_size(here, "loo")
    elif _size(here) > WIDE:
        return None
    found = leave_one_out(road.design, here)
    if found.weight.sum() == 0:
        if not asked:
            return None
        cause = "at strength 0" if not tried.array.all() and len(tried.candidates) > 1 else "at these strengths"
        raise InputError(
            f"cv='loo': {cause} every label fits itself, so that none can be judged; "
            + ("leave 0 out." if cause == "at strength 0" else "add a Ridge to the relation, or use folds, as cv=5.")
        )
    path = _judged(found, tried, road, settings, "loo", found.left_out)
    if settings.strengths is None and len(tried.names) == 2:
        more = finer(tried, chosen_place(path.errors, None, tried.array))
        there = prepared(road.stats, relation, more.names, more.candidates, road.model)
        found = joined(found, leave_one_out(road.design, there))
        tried = Grid(tried.names, tried.candidates + more.candidates[1:])
        path = _judged(found, tried, road, settings, "loo", found.left_out)
    return _filled(relation, tried, path)


def best_per_task(path: Path) -> Array | None:
    """(t, q) strengths that would have been best for each task alone; NaN for tasks that were not judged."""
    if path.task_errors is None:
        return None
    out = np.full((path.task_errors.shape[1], len(path.names)), np.nan)
    for k, errors in enumerate(path.task_errors.T):
        if np.isfinite(errors).any():
            out[k] = path.strengths[chosen_place(errors, None, path.strengths)]
    return out


def _judged(found: Errors | None, tried: Grid, road: Road, settings: Settings, criterion: str, left_out: int) -> Path:
    """The path that errors make."""
    last = len(tried.candidates) - 1
    if found is None or not np.isfinite(found.overall()[0]).any():
        # Nothing can be held out, and the strongest relation is the safe choice.
        nothing = np.full(last + 1, np.nan)
        return Path(tried.names, tried.array, nothing, last, None, None, left_out, criterion)
    mean, spread = found.overall()
    if settings.scoring == "task":
        mean, spread = found.mean_of_tasks(road.unit)
        if not np.isfinite(mean).any():
            raise InputError("scoring='task' needs a task whose labels vary; use scoring='overall'.")
    best = chosen_place(mean, spread if settings.rule == "one_se" else None, tried.array)
    return Path(tried.names, tried.array, mean, best, spread, found.by_task(), left_out, criterion)


def _filled(relation: Relation, tried: Grid, path: Path) -> tuple[Relation, Path]:
    return with_parameters(relation, **dict(zip(tried.names, tried.candidates[path.best], strict=True))), path


def _size(here: Prepared) -> int:
    """The order of the largest matrix that has to be inverted; 0 where structure helps."""
    group = here.groups[-1]
    quick = is_quick(group.problem.forms, group.family)
    return 0 if quick else densest(group.family, group.problem.shape[1])


def _check_size(here: Prepared, criterion: str) -> None:
    if (size := _size(here)) > WIDEST:
        raise InputError(
            f"cv={criterion!r} would invert a matrix of order {size} under this relation (at most {WIDEST}); use a "
            "number of folds, such as cv=5."
        )
