"""One fit from statistics: solved on the columns that vary, reported in original units, its warnings told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from relatask.linear.features import priced, restored
from relatask.linear.input.labels import listed
from relatask.linear.many_tasks import solve_in_blocks, without_forms
from relatask.linear.open_columns import open_columns
from relatask.linear.path import Model
from relatask.linear.problem import Solution
from relatask.linear.solvers import solve
from relatask.linear.solvers.auto import Start
from relatask.linear.sums.forms import ROUNDING, Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import RelataskWarning, tell
from relatask.relations import Dirty, Relation, Split, Sum, parts


class NotConverged(RelataskWarning, ConvergenceWarning):
    """RT015: the solver stopped before its tolerance (also scikit-learn's ConvergenceWarning)."""


@dataclass(frozen=True, eq=False)
class End:
    """Where a fit ended, to begin the next one there: on which columns, under which parts, and the solver's state."""

    columns: tuple[int, ...]
    shape: tuple[int, int]
    kinds: tuple[tuple[str, bool], ...]
    start: Start


@dataclass(frozen=True, eq=False)
class Fitted:
    """Coefficients (t, d) and intercepts (t,) in original units, the solution, and where it ended.

    `fill` (d,) is what a feature is taken to be in rows of a task that lacks it. `relation` is the one fitted under,
    with what it learned of W, `components` the (t, d) matrices that the coefficients are the sum of, by name.
    """

    coef: Array
    intercept: Array
    solution: Solution
    end: End
    fill: Array
    relation: Relation
    components: dict[str, Array]


def fit_statistics(
    stats: Statistics, relation: Relation, model: Model, names: NDArray | None, end: End | None
) -> Fitted:
    """Fit under a relation whose strengths are numbers.

    Parameters
    ----------
    stats : Statistics
        Of the training rows.
    relation : Relation
        Bound to the tasks.
    model : Model
        Datafit, preparation and solver.
    names : (d,) array or None
        Names of the columns, for warnings.
    end : End or None
        Of an earlier fit; used where it was on the same tasks and columns, under parts of the same kinds.
    """
    solved = solve_in_blocks(stats, relation, model)
    # Very many tasks are solved some at a time; nothing is asked of their forms then.
    scaled, center, scale, bare = model.prepare(stats if solved is None else without_forms(stats))
    problem, rest = (bare, relation) if solved is not None else priced(bare, relation)
    # Columns that no datum sees are 0; at least one stays, because norms of an empty matrix are not defined.
    columns = np.flatnonzero(problem.forms.diagonal().any(0)) if solved is None else np.arange(problem.shape[1])
    columns = columns if len(columns) else np.zeros(1, dtype=np.intp)
    reduced = problem if len(columns) == problem.shape[1] else problem.restricted(columns)
    # A part of strength 0 has no place in a solver's state.
    kinds = tuple((type(part).__name__, part.vanishes) for part in parts(relation))
    here = (tuple(columns.tolist()), problem.shape, kinds)
    start = end.start if end is not None and (end.columns, end.shape, end.kinds) == here else None
    if solved is None:
        solved = solve(reduced, rest, solver=model.solver, tol=model.tol, max_iter=model.max_iter, start=start)
    solution, state = solved
    if solution.residual > model.tol:
        tell_unconverged(solution, model.tol)
    tell_idle(relation, problem.shape)
    if not model.standardize:
        _tell_scales(stats.spread)
    loose = open_columns(stats, problem, rest, model.datafit)
    if problem is not bare:  # unlabelled rows may tell what no datum does
        loose = loose[problem.forms.diagonal()[:, loose].max(0) <= bare.forms.diagonal()[:, loose].max(0)]
    if len(loose):
        _tell_open((loose if names is None else names[loose]).tolist())
    W = np.zeros(problem.shape)
    W[:, columns] = solution.W
    coef, intercept = model.coefficients(scaled, center, scale, W)
    pieces = {
        name: model.coefficients(scaled, center, scale, piece)[0]
        for name, piece in components_of(relation, solution, W, columns).items()
    }
    fill = model.fill(scaled, center, scale)
    found = None if solution.relation is None else solution.relation.placed(columns, problem.shape[1])
    learned = relation.given(W) if found is None else restored(relation, found)
    return Fitted(coef, intercept, solution, End(*here, state), fill, learned, pieces)


def tell_idle(relation: Relation, shape: tuple[int, int]) -> None:
    """RT018, once, for components that the strengths keep at zero, or that cost nothing and so take all of W."""
    told = []
    for part in parts(relation):
        name = type(part).__name__
        if isinstance(part, Split | Dirty) and part.vanishes:
            told.append(f"{name} has a strength of 0, so that it costs nothing and ties nothing")
        told += [f"{name}'s {what!r} is zero at these strengths, whatever the data" for what in part.idle(*shape)]
    if told:
        tell(RelataskWarning(f"{'; '.join(told)}. See the strengths in its documentation.", code="RT018"))


def components_of(relation: Relation, solution: Solution, W: Array, columns: NDArray[np.intp]) -> dict[str, Array]:
    """What W (t, d) is the sum of, by name; with the part's name before it where several parts have components."""
    found, solved = [], iter(solution.components)
    for part in parts(relation):
        pieces = None if not isinstance(part, Split) or part.vanishes else next(solved, None)
        if pieces is None or not isinstance(part, Split):
            found.append(part.components(W))
            continue
        whole = np.zeros((len(pieces), *W.shape))
        whole[:, :, columns] = pieces
        found.append(dict(zip(part.summands(), whole, strict=True)))
    if sum(1 for pieces in found if pieces) <= 1:
        return {name: piece for pieces in found for name, piece in pieces.items()}
    names = relation.names if isinstance(relation, Sum) else ("",)
    return {f"{owner}__{k}": v for owner, pieces in zip(names, found, strict=True) for k, v in pieces.items()}


def tell_unconverged(solution: Solution, tol: float) -> None:
    """RT015 for a solution that is not as near as `tol`."""
    kind = "duality gap" if solution.certified else "gradient norm"
    iterations = f"{solution.n_iter} iteration{'s' if solution.n_iter != 1 else ''}"
    told = (
        f"the {solution.solver} solver stopped after {iterations} at a relative {kind} of {solution.residual:.1e}, "
        f"above tol={tol:.1e}; "
    )
    if solution.solver == "direct" and solution.n_iter == 1:
        told += "rounding allows no better, because the relation is so much stronger than the data: lower its strength."
    else:
        told += "raise max_iter or tol."
    tell(NotConverged(told, code="RT015"))


def _tell_scales(spread: Array) -> None:
    """Forms are squares: a column this much smaller than another is rounding in their eigenvalues."""
    varying = spread[spread > 0]
    if len(varying) and np.square(varying.min()) < ROUNDING * len(spread) * np.square(varying.max()):
        told = (
            f"the columns' standard deviations reach from {varying.min():.1e} to {varying.max():.1e}, too far apart "
            "for the smallest to be fitted; use standardize=True, or other units."
        )
        tell(NotConverged(told, code="RT015"))


def _tell_open(columns: list[object]) -> None:
    one = len(columns) == 1
    told = (
        f"column{'' if one else 's'} {listed(columns)} {'is' if one else 'are'} constant within every task, so "
        f"{'its' if one else 'their'} coefficients are not determined; the smallest are taken."
    )
    tell(RelataskWarning(told, code="RT017"))
