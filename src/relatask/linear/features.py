"""Relations that price features, such as `Manifold`: their forms join those of the data, the other parts stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from relatask.linear.input.labels import listed
from relatask.linear.problem import Columns, Problem
from relatask.linear.sums.added import added
from relatask.linear.sums.forms import Array
from relatask.notices import InputError
from relatask.relations import FeatureQuadratic, Relation, Ridge, Sum, parts


def prices_features(relation: Relation) -> bool:
    """Whether a part acts on features."""
    return any(isinstance(part, FeatureQuadratic) for part in parts(relation))


def taken_apart(relation: Relation, columns: Columns | None) -> tuple[Array | None, Relation]:
    """The form Q (p, p) of the parts that price features, in a problem's units, and the rest of the relation.

    Parameters
    ----------
    relation : Relation
        Strengths are numbers.
    columns : Columns or None
        Of the problem.

    Returns
    -------
    Q : None where no part prices anything
    rest : the parts that act on tasks; ``Ridge(0.0)`` where there are none

    Raises
    ------
    InputError
        For a part made for another number of features.
    """
    if not prices_features(relation):
        return None, relation
    rest = tuple(part for part in parts(relation) if not isinstance(part, FeatureQuadratic))
    total: Array | None = None
    for part in parts(relation):
        if isinstance(part, FeatureQuadratic) and not part.vanishes:
            Q = form_on(part, columns)
            total = Q if total is None else total + Q
    return total, (rest[0] if len(rest) == 1 else Sum(rest)) if rest else Ridge(0.0)


def check_names(relation: Relation, names: Any) -> None:
    """Raise InputError where a part was given other columns, or in another order, than X; None means unnamed."""
    for part in parts(relation):
        known = part.feature_names if isinstance(part, FeatureQuadratic) else None
        if names is None or known is None or known == tuple(names):
            continue
        wrong = [name for name in known if name not in set(names)]
        told = f"columns that X does not have: {listed(wrong)}" if wrong else "the columns of X in another order"
        raise InputError(
            f"{type(part).__name__} was given rows with {told}; give it rows with the columns of X, in the same order."
        )


def form_on(part: FeatureQuadratic, columns: Columns | None) -> Array:
    """Q (p, p) on a problem's columns, in their units; 0 for columns that are no features."""
    if columns is None:
        raise ValueError("the problem does not say which features its columns are")
    if part.n_features != columns.n_features:
        raise InputError(
            f"{type(part).__name__} was given rows of {part.n_features} features, but X has {columns.n_features}; "
            "give it rows with the columns of X, in the same order."
        )
    seen = columns.place >= 0
    place = columns.place[seen]
    Q = np.zeros((len(seen), len(seen)))
    scale = columns.scale[seen]
    Q[np.ix_(seen, seen)] = part.form()[np.ix_(place, place)] / np.multiply.outer(scale, scale)
    return Q


def priced(problem: Problem, relation: Relation) -> tuple[Problem, Relation]:
    """The problem whose data hold what the relation says of features, and the rest of the relation.

    Examples
    --------
    >>> from relatask.relations import Manifold, Pairwise
    >>> from relatask.linear.sums.forms import Bucket, Forms
    >>> gram = Bucket(np.arange(2), np.ones(2), gram=np.eye(1)[None])
    >>> columns = Columns(np.array([0]), np.array([2.0]), 1)
    >>> problem = Problem(Forms((gram,), 2, 1), np.ones((2, 1)), 0.0, columns=columns)
    >>> more, rest = priced(problem, Pairwise(1.0) + Manifold([[0.0], [1.0]], 4.0, n_neighbors=1))
    >>> more.forms.diagonal().ravel(), rest
    (array([2., 2.]), Pairwise(strength=1.0))
    """
    Q, rest = taken_apart(relation, problem.columns)
    return (problem if Q is None else replace(problem, forms=added(problem.forms, Q))), rest


def restored(relation: Relation, rest: Relation) -> Relation:
    """The relation with the parts that act on tasks replaced by those of `rest`, in their places."""
    if not prices_features(relation):
        return rest
    found = iter(parts(rest))
    kept = [part if isinstance(part, FeatureQuadratic) else next(found) for part in parts(relation)]
    return kept[0] if len(kept) == 1 else Sum(tuple(kept))


def alike(relations: Sequence[Relation]) -> list[list[int]]:
    """Positions of relations that price features alike, group by group; they differ in their strengths only."""
    groups: dict[tuple[float, ...], list[int]] = {}
    for place, relation in enumerate(relations):
        key = tuple(
            float(getattr(part, name))
            for part in parts(relation)
            if isinstance(part, FeatureQuadratic)
            for name in part.strengths
        )
        groups.setdefault(key, []).append(place)
    return list(groups.values())


def reach_on(
    part: Relation, name: str, correlation: Array, curvature: float, columns: Columns | None
) -> tuple[float, float]:
    """The reach of a part's strength; of one that prices features, in the problem's units."""
    if not isinstance(part, FeatureQuadratic) or columns is None:
        return part.reach(name, correlation, curvature)
    own = form_on(replace(part, **{name: 1.0}), columns).diagonal()[columns.place >= 0].mean()
    raw = replace(part, **{name: 1.0}).form().diagonal().mean()
    return part.reach(name, correlation, curvature * float(raw / own) if own > 0 and raw > 0 else curvature)
