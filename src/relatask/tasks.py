"""The words for tasks: what a task is, which kinds there are, how a metric points."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal

from relatask.notices import InputError

Kind = Literal[
    "regression",
    "binary",
    "multiclass",
    "multilabel",
    "ordinal",
    "count",
    "tagging",
    "detection",
    "segmentation",
    "similarity",
]
Better = Literal["higher", "lower"]

KINDS: dict[str, str] = {
    "regression": "a number per row",
    "binary": "one of two classes per row",
    "multiclass": "one of several classes per row",
    "multilabel": "any subset of several classes per row",
    "ordinal": "one of several classes in order per row",
    "count": "a nonnegative integer per row",
    "tagging": "a tag per token of a sequence",
    "detection": "boxes and their classes per picture",
    "segmentation": "a class per pixel",
    "similarity": "how alike the two halves of a pair are",
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
    classes : int, optional
        How many classes or tags there are; kinds that have none ignore it. None takes as many as `class_names`, or
        what the labels tell (`relatask.kinds.resolved`).
    class_names : tuple of str, optional
        Their names, in order; tagging reads entities from them (``"B-city"``).
    loss : callable, optional
        ``loss(output, target) -> (n,)``, one number a row, not reduced; None for the kind's own. It never sees a row
        without a label.
    where : (task, value), optional
        The label counts only in rows in which the label of another task is there and is this value.
    class_weight : tuple of float, optional
        A weight for every class (of binary tasks: of 0 and of 1), by which the row's loss is multiplied. For
        multilabel tasks, the weight of each class's positive labels.
    label_smoothing : float
        In [0, 1): the share of a class's weight that is spread over all classes.
    null_loss : float, optional
        The loss of the best constant answer on the training labels, by which losses are divided so that tasks of
        different scale start alike; `relatask.train.fit` fills it in. None divides by nothing.

    Raises
    ------
    InputError
        For an unknown kind, or numbers out of range.

    Examples
    --------
    >>> Task("price").kind
    'regression'
    >>> Task("spend", where=("conversion", 1)).where
    ('conversion', 1)
    """

    name: Hashable
    kind: str = "regression"
    metrics: tuple[str, ...] = ()
    weight: float = 1.0
    classes: int | None = None
    class_names: tuple[str, ...] | None = None
    loss: Callable[[Any, Any], Any] | None = None
    where: tuple[Hashable, Any] | None = None
    class_weight: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    null_loss: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"task {self.name!r}: kind {self.kind!r} is unknown; expected one of {', '.join(KINDS)}.")
        if not 0 <= self.weight < math.inf:
            raise InputError(f"task {self.name!r}: weight {self.weight!r} must be a finite number >= 0.")
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"task {self.name!r}: label_smoothing {self.label_smoothing!r} must lie in [0, 1).")
        if self.where is not None and (not isinstance(self.where, tuple) or len(self.where) != 2):
            raise InputError(f"task {self.name!r}: where={self.where!r} must be (other task, value).")
        if self.where is not None and self.where[0] == self.name:
            raise InputError(f"task {self.name!r}: where={self.where!r} names the task itself; name another one.")
        if self.class_names is not None:
            object.__setattr__(self, "class_names", tuple(self.class_names))
            if self.classes is None:
                object.__setattr__(self, "classes", len(self.class_names))
        if self.classes is not None and self.classes < 1:
            raise InputError(f"task {self.name!r}: classes={self.classes!r} must be a whole number >= 1.")
        if self.class_names is not None and len(self.class_names) != self.classes:
            raise InputError(f"task {self.name!r}: {len(self.class_names)} class_names for {self.classes} classes.")
        if self.class_weight is not None:
            self._check_class_weight(self.class_weight)

    def _check_class_weight(self, weight: tuple[float, ...]) -> None:
        object.__setattr__(self, "class_weight", tuple(float(value) for value in weight))
        if not all(0 <= value < math.inf for value in weight):
            raise InputError(f"task {self.name!r}: class_weight={weight!r} must be finite numbers >= 0.")
        expected = 2 if self.kind == "binary" else self.classes
        if expected is not None and len(weight) != expected:
            raise InputError(f"task {self.name!r}: {len(weight)} class weights for {expected} classes; give as many.")
