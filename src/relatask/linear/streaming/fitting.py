"""Fitting from batches of rows, or from statistics that came from elsewhere: the ordinary solve of their sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

from numpy.typing import NDArray

from relatask.linear.features import check_names
from relatask.linear.input.design import warn_about_labels
from relatask.linear.learning import described, learned_squared, learned_under_prior
from relatask.linear.losses.named import chosen_loss
from relatask.linear.path import open_strengths
from relatask.linear.streaming.collecting import FOLDS, Collector, tell_empty
from relatask.linear.streaming.strengths import choose_by_sums
from relatask.linear.sums.merging import merge
from relatask.linear.sums.statistics import Statistics
from relatask.notices import InputError
from relatask.relations import HierarchicalPrior


def learned_from_batches(
    model: Any, batches: Iterable[Any], progress: Callable[[int], object] | None
) -> dict[str, Any]:
    """What a regressor learns from batches, by attribute name.

    Raises
    ------
    InputError
        As `LinearMultiTask.fit_batches`.
    """
    collected = collector(model)
    if isinstance(batches, str | bytes) or not hasattr(batches, "__iter__"):
        raise InputError(f"batches={batches!r:.60} is not usable; give an iterable of (X, y) or (X, y, tasks).")
    for number, batch in enumerate(batches, 1):
        if not isinstance(batch, tuple | list) or not 2 <= len(batch) <= 4:
            given = f"{type(batch).__name__}{f' of {len(batch)}' if isinstance(batch, tuple | list) else ''}"
            raise InputError(
                f"batch {number} is a {given}; expected (X, y), (X, y, tasks) or (X, y, tasks, sample_weight)."
            )
        collected.add(*batch)
        if progress is not None:
            progress(collected.rows)
    tasks, folds = collected.finished()
    return learned_from_sums(model, tasks, collected.layout, folds, collected.learned_names())


def collector(model: Any) -> Collector:
    """An empty collector for a regressor: with folds where it has a strength to choose.

    Raises
    ------
    InputError
        For a loss that has no sums, and settings that need rows.
    """
    model._check_parameters()
    loss = getattr(model, "loss", "squared")
    if chosen_loss(loss) is not None:
        raise InputError(
            f"loss={loss!r} has no sums that stand for the rows; batches take loss='squared' only: fit on rows that "
            f"fit in memory, a sample for example."
        )
    if getattr(model, "track_rows", False):
        raise InputError("track_rows=True keeps something of every row, which batches do not; set it to False.")
    return Collector(model, FOLDS if open_strengths(model._relation()) else 1)


def learned_from_sums(
    model: Any, tasks: NDArray, layout: str, folds: Sequence[Statistics], names: dict[str, Any]
) -> dict[str, Any]:
    """What a regressor learns from the statistics of folds (or of one, all rows), by attribute name."""
    stats = reduce(merge, folds)
    warn_about_labels(tasks, stats.count, stats.yy, stats.mean_y)
    relation = model._relation()
    if not model._pooled:
        relation = relation.bind(tasks.tolist())
    columns = names.get("feature_names_in_")
    check_names(relation, columns)
    setting = model._model(stats, tasks)
    found = names | described(stats, tasks, layout, setting)
    if isinstance(relation, HierarchicalPrior):
        return found | learned_under_prior(dict(vars(model)), stats, relation, setting)
    path = None
    if open_strengths(relation):
        relation, path = choose_by_sums(folds, stats, relation, setting)
    learned = learned_squared(stats, relation, setting, columns, None)
    end = learned["_end"] if model.warm_start else None
    return found | learned | {"path_": path, "_end": end}


__all__ = ["collector", "learned_from_batches", "learned_from_sums", "tell_empty"]
