"""Where a solve ended, for the next one to begin."""

from __future__ import annotations

from dataclasses import dataclass

from relatask.linear.solvers.admm import State
from relatask.linear.sums.forms import Array
from relatask.relations import Relation


@dataclass(frozen=True)
class Start:
    """Where an earlier solve ended.

    Attributes
    ----------
    W : (t, d).
    admm : what the method of multipliers ended with.
    relation : what was learned.
    alone : whether to begin nowhere else, though the problem is not convex: along a path of strengths.
    """

    W: Array
    admm: State | None = None
    relation: Relation | None = None
    alone: bool = False
