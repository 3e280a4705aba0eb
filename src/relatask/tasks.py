"""The words for tasks: what a task is, which kinds there are, how a metric points."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

from relatask.notices import InputError

Kind = Literal["regression", "binary", "multiclass", "multilabel", "count"]
Better = Literal["higher", "lower"]

KINDS: dict[str, str] = {
    "regression": "a number per row",
    "binary": "one of two classes per row",
    "multiclass": "one of several classes per row",
    "multilabel": "any subset of several classes per row",
    "count": "a nonnegative integer per row",
}


@dataclass(frozen=True)
class Metric:
    """A score that knows which direction is better.

    Parameters
    ----------
    name : str
        The name under which `relatask.measure` computes it, for example ``"rmse"``.
    better : {"higher", "lower"}
        The direction of improvement.
    error : bool
        Whether it is an error that is zero at a perfect prediction and never negative (delta-m uses only these).
    share : bool
        Whether it is a share of variance, told in percent.

    Examples
    --------
    >>> Metric("rmse", better="lower", error=True).sign
    -1
    """

    name: str
    better: Better
    error: bool = False
    share: bool = False

    @property
    def sign(self) -> int:
        """+1 where higher is better, -1 where lower is."""
        return 1 if self.better == "higher" else -1


@dataclass(frozen=True)
class Task:
    """One learning problem among related ones.

    Parameters
    ----------
    name : Hashable
        Its label: the name of a target column, or the value of the grouping column.
    kind : str
        One of `KINDS`.
    metrics : tuple of str
        Names of metrics; empty means the kind's defaults.
    weight : float
        Multiplies the task's loss, after the weighting of the model.

    Raises
    ------
    InputError
        For an unknown kind or a weight that is negative.

    Examples
    --------
    >>> Task("price").kind
    'regression'
    """

    name: Hashable
    kind: str = "regression"
    metrics: tuple[str, ...] = ()
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"task {self.name!r}: kind {self.kind!r} is unknown; expected one of {', '.join(KINDS)}.")
        if not self.weight >= 0:
            raise InputError(f"task {self.name!r}: weight {self.weight!r} must be a number >= 0.")
