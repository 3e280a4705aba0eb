"""Strengths by restricted maximum likelihood: several at once, by their gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from relatask.linear.choosing.evidence import Evidence, Point, any_graph, on_what_is_seen, structure_of
from relatask.linear.fitting import NotConverged
from relatask.linear.path import Model, Path
from relatask.linear.solvers.family import Family, family
from relatask.linear.solvers.selected import densest
from relatask.linear.sums.forms import Array
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError, tell
from relatask.relations import Quadratic, Relation, parts, with_parameters

FAR = np.log(1e6)
"""Logarithms of strengths stay within this of where the search began."""

TRIED = np.log([1e-4, 1e-2, 1.0, 1e2, 1e4])
"""Beginnings, all strengths together, about those at which a relation weighs as much as the data."""

STEPS = 200

WIDEST = 6_000
"""Up to this order matrices without a structure are inverted."""


@dataclass(frozen=True, eq=False)
class Search:
    """Where a search ended: logarithms x, all points it tried and their values, and whether it came to rest."""

    x: Array
    points: Array
    values: Array
    converged: bool


def maximised(stats: Statistics, relation: Relation, names: tuple[str, ...], model: Model) -> tuple[Relation, Path]:
    """Fill in strengths by restricted maximum likelihood.

    Parameters
    ----------
    stats : Statistics
        Of the training rows.
    relation : Relation
        Bound to the tasks, quadratic.
    names : tuple of str
        The strengths to choose.
    model : Model
        Datafit, preparation.

    Raises
    ------
    InputError
        For a relation whose strengths do not multiply it, and for too few labels.
    """
    start = np.log([natural(relation, name, stats, model) for name in names])
    fixed = with_parameters(relation, **dict.fromkeys(names, 1.0))
    given = evidence(stats, fixed, model)
    check_order(given, family([fixed], stats.n_tasks), quick=True)
    free = _free(fixed, names)
    rest = family([fixed], stats.n_tasks).strengths[:, 0]

    def at(x: Array) -> Point:
        theta = rest.copy()
        theta[free] = np.exp(x)
        point = given.at(theta)
        return Point(point.value, point.slope[free] * theta[free], point.noise)

    try:
        found = searched(at, start, [start + shift for shift in TRIED])
    except ZeroDivisionError:
        raise InputError(
            f"cv='reml' has {int(stats.count.sum())} labels for as many coefficients or more that no prior holds; add "
            "a Ridge to the relation, or use cv='loo'."
        ) from None
    tell_stopped(found)
    chosen = np.exp(found.x)
    best = int(np.flatnonzero((found.points == found.x).all(1))[0])
    path = Path(names, np.exp(found.points), found.values, best, criterion="reml")
    return with_parameters(relation, **dict(zip(names, chosen.tolist(), strict=True))), path


def evidence(stats: Statistics, relation: Relation, model: Model) -> Evidence:
    """The restricted likelihood of a model, as a function of the strengths of its quadratic parts."""
    scaled, _, _, problem = model.prepare(stats)
    units = family([relation], stats.n_tasks).units
    columns = np.flatnonzero(problem.forms.diagonal().any(0))
    problem = problem.restricted(columns if len(columns) else np.zeros(1, dtype=np.intp))
    flat = int((scaled.weight > 0).sum()) if model.datafit.intercept == "free" else 0
    return Evidence(on_what_is_seen(problem), units, int(stats.count.sum()), flat, model.max_iter)


def check_order(given: Evidence, members: Family, quick: bool) -> None:
    """Raise InputError where a matrix would have to be inverted that is too large.

    Parameters
    ----------
    given : Evidence
        The likelihood.
    members : Family
        One precision.
    quick : bool
        Whether structures that need no such matrix are used.
    """
    forms = given.problem.forms
    size = 0 if quick and structure_of(forms, members) is not any_graph else densest(members, forms.n_features)
    if size > WIDEST:
        raise InputError(
            f"cv='reml' would invert a matrix of order {size} under this relation (at most {WIDEST}); use a number of "
            "folds, such as cv=5."
        )


def searched(at: Callable[[Array], Point], center: Array, starts: list[Array]) -> Search:
    """Lower a function of x from the best of some points, by L-BFGS within bounds about the center.

    Parameters
    ----------
    at : function
        Value and slope.
    center : (q,) array
        Middle of the bounds.
    starts : list of (q,) arrays
        Where to look first.
    """
    points: list[Array] = []
    values: list[float] = []

    def objective(x: Array) -> tuple[float, Array]:
        point = at(x)
        points.append(x.copy())
        values.append(point.value)
        return point.value, point.slope

    for start in starts:
        objective(start)
    bounds = np.stack([center - FAR, center + FAR], axis=1)
    first = points[int(np.argmin(values))]
    end = minimize(  # type: ignore[call-overload]
        objective,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": STEPS, "ftol": 1e-14, "gtol": 1e-6},
    )
    best = int(np.argmin(values))
    return Search(points[best], np.array(points), np.array(values), bool(end.nit < STEPS))


def tell_stopped(found: Search) -> None:
    """RT015 where a search did not come to rest."""
    if not found.converged:
        told = f"the search for strengths stopped after {STEPS} steps; they may not be the likeliest ones."
        tell(NotConverged(told, code="RT015"))


def natural(relation: Relation, name: str, stats: Statistics, model: Model) -> float:
    """The strength at which P's diagonal equals the data's."""
    problem = model.prepare(stats)[3]
    part_name, _, field = name.rpartition("__")
    part: Relation = relation.part(part_name) if part_name else relation  # type: ignore[attr-defined]
    low, high = part.reach(field, problem.cross, float(problem.forms.diagonal().mean()) or 1.0)
    return float(np.sqrt(low * high))


def _free(relation: Relation, names: tuple[str, ...]) -> list[int]:
    """Places of the units whose strengths are free."""
    found, place = [], 0
    labels = relation.names if hasattr(relation, "names") else ("",)
    for label, part in zip(labels, parts(relation), strict=True):
        terms = [q for q in part.terms() if isinstance(q, Quadratic)]
        prefix = f"{label}__" if label else ""
        own = [name for name in names if name.startswith(prefix) and name[len(prefix) :] in part.strengths]
        if own and (terms != [part] or part.strengths != ("strength",)):
            raise InputError(
                f"cv='reml' takes relations that one strength multiplies; {type(part).__name__} has "
                f"{', '.join(part.strengths)}: use cv='loo' with strengths={{name: values}}."
            )
        if own:
            found.append(place)
        place += len(terms)
    return found
