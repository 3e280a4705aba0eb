"""Which strengths are tried: a grid over their reach, or what a person gave."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from relatask.linear.input.labels import listed
from relatask.linear.path import open_strengths
from relatask.notices import InputError
from relatask.relations import Relation, strengths

GRID = 25
GRID_OF_TWO = 9

Reach = Callable[[Relation, str], tuple[float, float]]
"""A part of a relation and the name of its strength -> the lowest and the highest value worth trying."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Names of strengths, and every combination (m) of their values, the weakest first and the strongest last."""

    names: tuple[str, ...]
    candidates: list[tuple[float, ...]]

    @property
    def array(self) -> np.ndarray:
        """(m, q)."""
        return np.array(self.candidates)


def open_names(relation: Relation, given: Any = None) -> tuple[str, ...]:
    """The strengths to choose: those that are "auto" and those that are given values; all of them, where none is.

    Raises
    ------
    InputError
        For values of a strength that the relation does not have.
    """
    known = tuple(strengths(relation))
    asked = tuple(given) if isinstance(given, Mapping) else ()
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise InputError(f"strengths names {listed(unknown)}; {type(relation).__name__} has {listed(list(known))}.")
    auto = open_strengths(relation)
    return tuple(name for name in known if name in asked or name in auto) or known


def grid(relation: Relation, names: tuple[str, ...], reach: Reach, given: Any = None) -> Grid:
    """Every combination of values of at most two strengths.

    Parameters
    ----------
    relation : Relation
        Bound to the tasks.
    names : tuple of str
        The strengths to choose.
    reach : function
        The lowest and highest value of a strength of a part.
    given : sequence of numbers, mapping from names to sequences, or None
        Values to try.

    Raises
    ------
    InputError
        For more than two strengths without given values, for values that cannot be used.
    """
    own = checked(names, given)
    free = [name for name in names if name not in own]
    if len(names) > 2 and free:
        raise InputError(
            f"{len(names)} strengths are 'auto' ({', '.join(names)}); at most two can be chosen at once: make two "
            "of them 'auto' and the others numbers, or name values for each by strengths= (cv='reml' takes any number)."
        )
    points = GRID if len(names) == 1 else GRID_OF_TWO
    for name in free:
        part_name, _, field = name.rpartition("__")
        part: Relation = relation.part(part_name) if part_name else relation  # type: ignore[attr-defined]
        own[name] = np.geomspace(*reach(part, field), points).tolist()
    return Grid(names, list(itertools.product(*(own[name] for name in names))))


def finer(tried: Grid, best: int) -> Grid:
    """As many values again between the neighbours of the best ones; before them the weakest of all.

    Parameters
    ----------
    tried : Grid
        An automatic grid of two strengths.
    best : int
        Place of the best candidate.
    """
    axes = []
    for column, value in zip(tried.array.T, tried.candidates[best], strict=True):
        values = np.unique(column)
        place = int(np.searchsorted(values, value))
        low, high = values[max(0, place - 1)], values[min(len(values) - 1, place + 1)]
        axes.append(np.geomspace(low, high, GRID_OF_TWO).tolist())
    return Grid(tried.names, [tried.candidates[0], *itertools.product(*axes)])


def checked(names: tuple[str, ...], given: Any) -> dict[str, list[float]]:
    """Values by name, ascending, each once.

    Raises
    ------
    InputError
        For a plain sequence where several strengths are open, an empty one, values that are no numbers >= 0.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        if len(names) != 1:
            raise InputError(
                f"strengths={given!r:.60} are values of one strength, but {len(names)} are open ({', '.join(names)}); "
                "give a mapping from names to values."
            )
        given = {names[0]: given}
    found = {}
    for name, values in given.items():
        if isinstance(values, str) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
            raise InputError(f"strengths of {name!r} are {values!r:.60}; expected a sequence of numbers >= 0.")
        listing = list(values)
        if not listing:
            raise InputError(f"strengths of {name!r} are empty; give at least one number >= 0, or None for a grid.")
        for value in listing:
            if not _usable(value):
                raise InputError(f"strengths of {name!r} hold {value!r}; expected finite numbers >= 0.")
        found[name] = sorted({float(value) for value in listing})
    return found


def _usable(value: Any) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return 0 <= float(value) < np.inf
    except OverflowError:  # a whole number beyond all floats
        return False
