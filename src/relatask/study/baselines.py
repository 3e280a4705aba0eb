"""The baselines that every comparison runs: each task alone, one pooled model, pooled slopes with own intercepts."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relatask.notices import InputError


@dataclass(frozen=True)
class Baseline:
    """A baseline in words, and whether it fits each task alone."""

    words: str
    alone: bool = False


BASELINES: dict[str, Baseline] = {
    "single": Baseline("each task alone: ridge on scaled columns, its strength chosen on training rows", alone=True),
    "single_raw": Baseline(
        "each task alone: ridge on the columns as they are, its strength chosen on training rows", alone=True
    ),
    "pooled": Baseline("one ridge model for all tasks"),
    "pooled_slopes": Baseline("common slopes with own intercepts: one ridge model, and a level for each task"),
}
"""Every baseline by name."""

DEFAULT = tuple(BASELINES)
"""All of them: the verdict compares with the better single-task model, so both scalings of it run."""


def is_single(name: str) -> bool:
    """Whether a baseline fits each task alone: as `BASELINES` says; one of the user's own, if named "single...".

    Examples
    --------
    >>> is_single("single_raw"), is_single("single_forest"), is_single("pooled")
    (True, True, False)
    """
    return BASELINES[name].alone if name in BASELINES else name.startswith("single")


def build_baselines(
    wanted: Sequence[str] | Mapping[str, Any],
    models: Mapping[str, Any],
    grouped: bool,
    kinds: Mapping[Hashable, str] | None = None,
) -> dict[str, Any]:
    """Build the baselines, with the weighting and scaling of the first multi-task model among the models.

    Parameters
    ----------
    wanted : sequence of str, or {name: model}
        Names in `BASELINES`, or models of one's own (a name that starts with "single" fits each task alone).
    models : {name: model}
        The models compared. One that has a baseline's name takes its place.
    grouped : bool
        Whether tasks are groups of rows; pooled slopes with own intercepts exist only then.
    kinds : {task: kind}, optional
        None means that all are numbers. Of two classes, or counts, every baseline is the generalised linear model with
        the same ridge; pooled ones exist where all tasks are of one kind.

    Raises
    ------
    InputError
        For an unknown name.
    """
    if isinstance(wanted, Mapping):
        return {str(name): model for name, model in wanted.items() if str(name) not in models}
    if not isinstance(wanted, Collection):
        raise InputError(
            f"baselines={wanted!r:.60} is not usable; expected names among {', '.join(BASELINES)}, or {{name: model}}; "
            "() switches them off."
        )
    unknown = [name for name in wanted if name not in BASELINES]
    if unknown or isinstance(wanted, str):
        given = wanted if isinstance(wanted, str) else unknown
        raise InputError(f"unknown baselines {given!r}; expected a sequence of {', '.join(BASELINES)}.")
    names = [name for name in wanted if name not in models and (grouped or name != "pooled_slopes")]
    of = {} if kinds is None else dict(kinds)
    if set(of.values()) <= {"regression"}:
        return {name: _build(name, models) for name in names}
    if len(set(of.values())) > 1 or "multiclass" in of.values():
        names = [name for name in names if BASELINES[name].alone]
    return {name: _build_of_kinds(name, models, of) for name in names}


def _build_of_kinds(name: str, models: Mapping[str, Any], kinds: dict[Hashable, str]) -> Any:
    from relatask.linear import MultiTaskClassifier, MultiTaskLinear
    from relatask.linear.pooled_linear import PooledLinear
    from relatask.relations import Ridge

    like = next((model for model in models.values() if isinstance(model, MultiTaskClassifier | MultiTaskLinear)), None)
    same: dict[str, Any] = {"weighting": like.weighting, "standardize": like.standardize} if like is not None else {}
    kind = next(iter(kinds.values()))
    if not BASELINES[name].alone:
        return PooledLinear(kind, "auto", intercept="common" if name == "pooled" else "free", **same)
    same |= {"standardize": False} if name == "single_raw" else {}
    if set(kinds.values()) in ({"binary"}, {"multiclass"}):
        return MultiTaskClassifier(Ridge("auto"), **same)
    if "multiclass" in kinds.values():
        from relatask.study.by_kind import LinearByKind

        return LinearByKind(kinds, related=False, **same)
    return MultiTaskLinear(kinds, Ridge("auto"), **same)


def _build(name: str, models: Mapping[str, Any]) -> Any:
    from relatask.linear import MultiTaskRegressor, PooledRegressor
    from relatask.relations import Ridge

    like = next((model for model in models.values() if isinstance(model, MultiTaskRegressor)), None)
    same: dict[str, Any] = {"weighting": like.weighting, "standardize": like.standardize} if like is not None else {}
    # One strength for all single tasks: chosen in the units in which the model's own is.
    alone = same if like is None else same | {"scale_targets": like.scale_targets}
    if name == "single":
        return MultiTaskRegressor(Ridge("auto"), **alone)
    if name == "single_raw":
        return MultiTaskRegressor(Ridge("auto"), **(alone | {"standardize": False}))
    return PooledRegressor("auto", intercept="common" if name == "pooled" else "free", **same)
