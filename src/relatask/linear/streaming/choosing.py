"""Strengths chosen from sums alone, for rows that came in batches and are gone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from relatask.linear.choosing.choice import by_sums
from relatask.linear.choosing.grid import open_names
from relatask.linear.choosing.settings import Settings
from relatask.linear.learning import learned_squared
from relatask.linear.streaming.fitting import learned_from_batches
from relatask.notices import InputError
from relatask.relations import Relation, strengths, with_parameters


def learned_with_choice(
    plain_of: Callable[[Relation], Any],
    relation: Relation,
    settings: Settings,
    batches: Iterable[Any],
    progress: Callable[[int], object] | None,
) -> dict[str, Any]:
    """What a regressor learns from batches, its strengths chosen by "gcv" or "reml"; or by five folds of sums.

    Parameters
    ----------
    plain_of : function
        Gives a `MultiTaskRegressor` for a relation.
    relation : Relation
        Not yet bound to the tasks.
    settings : Settings
        How to choose.
    batches, progress
        As `fit_batches` has them.

    Raises
    ------
    InputError
        For a criterion that needs rows.
    """
    if not strengths(relation):
        return learned_from_batches(plain_of(relation), batches, progress)
    names = open_names(relation, settings.strengths)
    if settings.criterion not in ("gcv", "reml"):
        own = (settings.cv, settings.rule, settings.scoring, settings.strengths)
        if own != (None, "best", "overall", None):
            raise InputError(
                "fit_batches keeps sums and no rows: use cv='gcv' or 'reml', or leave cv, rule, scoring and strengths "
                "as they are for five folds of sums."
            )
        open_ = with_parameters(relation, **dict.fromkeys(names, "auto"))
        return learned_from_batches(plain_of(open_), batches, progress)
    with warnings.catch_warnings():
        # The first solve is there for its sums; what it would tell is told by the second.
        warnings.filterwarnings("ignore", "RT01")
        found = learned_from_batches(
            plain_of(with_parameters(relation, **dict.fromkeys(names, 1.0))), batches, progress
        )
    stats, tasks = found["_statistics"], found["tasks_"]
    plain = plain_of(relation)
    model = plain._model(stats, tasks)
    chosen, path = by_sums(stats, relation.bind(tasks.tolist()), names, model, settings)
    learned = learned_squared(stats, chosen, model, found.get("feature_names_in_"), None)
    return found | learned | {"path_": path, "_end": learned["_end"] if plain.warm_start else None}
