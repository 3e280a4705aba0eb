"""How strengths are to be chosen, checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from relatask.notices import InputError
from relatask.relations import FeatureQuadratic, Relation, is_quadratic, parts

CLOSED = ("loo", "gcv", "reml")
"""Criteria that need no refits; for quadratic relations under squared loss."""

RULES = ("best", "one_se")
SCORINGS = ("overall", "task")


@dataclass(frozen=True, eq=False)
class Settings:
    """An estimator's own words.

    Attributes
    ----------
    strengths : sequence of numbers, mapping from names to sequences, or None for a grid.
    cv : "loo", "gcv", "reml", a number of folds, a splitter, pairs of rows, or None for the best there is.
    rule : "best" or "one_se".
    scoring : "overall" or "task".
    pairs : whether the edges of a graph have weights of their own to choose.
    """

    strengths: Any
    cv: Any
    rule: str
    scoring: str
    pairs: bool = False

    def check(self) -> None:
        """Raise InputError for words that mean nothing, alone or together."""
        for name, allowed in (("rule", RULES), ("scoring", SCORINGS)):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in allowed:
                raise InputError(f"{name}={value!r} is unknown; expected one of {', '.join(map(repr, allowed))}.")
        if not isinstance(self.pairs, bool | np.bool_):
            raise InputError(f"pairs={self.pairs!r} is not usable; expected True or False.")
        cv = self.cv
        known = cv is None or (isinstance(cv, str) and cv in CLOSED)
        if isinstance(cv, int | np.integer) and not isinstance(cv, bool):
            if cv < 2:
                raise InputError(f"cv={cv!r} is not usable; expected at least 2 folds.")
            known = True
        elif not isinstance(cv, str) and (hasattr(cv, "split") or isinstance(cv, Iterable)):
            known = True
        if not known:
            raise InputError(
                f"cv={cv!r} is unknown; expected 'loo', 'gcv', 'reml', a number of folds, a splitter of scikit-learn, "
                "pairs of rows, or None."
            )
        if self.criterion in ("gcv", "reml") and (self.rule != "best" or self.scoring != "overall"):
            raise InputError(
                f"cv={self.criterion!r} has one number for all labels: use rule='best' and scoring='overall', or "
                "cv='loo'."
            )
        if self.criterion == "reml" and self.strengths is not None:
            raise InputError("cv='reml' searches strengths by gradients, without a grid; leave strengths=None.")
        if self.pairs and cv not in (None, "reml"):
            raise InputError(f"pairs=True chooses by marginal likelihood: use cv='reml' or None, not {cv!r:.60}.")

    @property
    def criterion(self) -> str | None:
        """The closed form that was asked for, if one was."""
        if self.pairs:
            return "reml"
        return self.cv if isinstance(self.cv, str) else None


def check_closed(criterion: str, relation: Relation, squared: bool) -> None:
    """Raise InputError where a closed form is asked for that does not exist."""
    if not squared:
        raise InputError(f"cv={criterion!r} is for the squared loss; use a number of folds, such as cv=5.")
    wrong = [type(part).__name__ for part in parts(relation) if not has_closed_form(part)]
    if wrong:
        raise InputError(
            f"cv={criterion!r} is for quadratic relations, and {wrong[0]} is none; use a number of folds, such as cv=5."
        )
    on_features = [type(part).__name__ for part in parts(relation) if isinstance(part, FeatureQuadratic)]
    if criterion != "loo" and on_features:
        raise InputError(f"cv={criterion!r} does not take {on_features[0]}; use cv='loo'.")


def has_closed_form(relation: Relation) -> bool:
    """Whether predictions are linear in the labels under every part."""
    return all(isinstance(part, FeatureQuadratic) or is_quadratic(part) for part in parts(relation))
