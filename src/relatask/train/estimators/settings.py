"""An estimator's parameters, checked before anything is read or trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from relatask.data.features import TableFeatures
from relatask.notices import InputError
from relatask.relations import Relation
from relatask.train.estimators.sharing import check_names
from relatask.train.estimators.thresholds import check_threshold
from relatask.train.estimators.training import chosen_balancer


def checked(settings: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters back, all of them usable.

    Raises
    ------
    InputError
        For the first that is not, with what is expected.
    """
    check_names(settings)
    chosen_balancer(settings["balance"])
    if "threshold" in settings:
        check_threshold(settings["threshold"])
    features, relation = settings["features"], settings["relation"]
    if features is not None and not isinstance(features, TableFeatures):
        raise InputError(f"features={features!r:.60}; expected a TableFeatures, or None.")
    if relation is not None and not isinstance(relation, Relation):
        raise InputError(f"relation={relation!r:.60} is not a relation; expected one of relatask.relations, or None.")
    for name, usable, told in _RULES:
        if not usable(settings[name]):
            raise InputError(f"{name}={settings[name]!r:.60} is not usable; expected {told}.")
    return settings


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _widths(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_whole(width) and width >= 1 for width in value)


_RULES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("hidden", _widths, "widths of layers, such as (128, 64)"),
    ("epochs", lambda v: _whole(v) and v >= 1, "a whole number >= 1"),
    ("patience", lambda v: _whole(v) and v >= 1, "a whole number >= 1"),
    ("random_state", lambda v: _whole(v) and v >= 0, "a whole number >= 0"),
    ("batch_size", lambda v: v == "auto" if isinstance(v, str) else _whole(v) and v >= 1, "'auto' or a number >= 1"),
    ("lr", lambda v: _number(v) and v > 0, "a number > 0"),
    ("weight_decay", lambda v: _number(v) and v >= 0, "a number >= 0"),
    ("dropout", lambda v: _number(v) and 0 <= v < 1, "a share in [0, 1)"),
    ("validation_fraction", lambda v: _number(v) and 0 <= v < 1, "a share in [0, 1)"),
)
