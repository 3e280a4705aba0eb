"""The parts of a run's record: small frozen values, each what one section of the report shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["main", "candidate", "baseline"]
Row = tuple[float | None, ...]


def grid(values: Any) -> tuple[Row, ...]:
    """A matrix (array or nested rows) as a tuple of tuples of floats, None where a number is not finite.

    Examples
    --------
    >>> grid([[1, float("nan")]])
    ((1.0, None),)
    """
    return tuple(tuple(_finite(value) for value in row) for row in values)


def words(values: Iterable[Any]) -> tuple[str, ...]:
    """Labels of any type as text."""
    return tuple(str(value) for value in values)


def _finite(value: Any) -> float | None:
    number = float("nan") if value is None else float(value)
    return number if abs(number) < float("inf") else None


@dataclass(frozen=True)
class DataFacts:
    """The table that went in.

    Parameters
    ----------
    name : str
        What the data are called, for example the file's name.
    rows, features : int
        Rows of the table; columns of X after encoding.
    target : str
        What is predicted, with its unit if known; for tasks that are columns, what they have in common.
    tasks_are : str
        For example ``"values of the column 'school'"`` or ``"columns"``.
    path, sha256, source : str or None
        Where it was read, the hash of its bytes, whence it comes.
    labels : str
        What labels are that are no plain numbers, for example ``"two classes, no (0) and yes (1)"``.
    """

    name: str
    rows: int
    features: int
    target: str = ""
    tasks_are: str = ""
    path: str | None = None
    sha256: str | None = None
    source: str | None = None
    labels: str = ""


@dataclass(frozen=True)
class TaskSupport:
    """How many labels a task has.

    Parameters
    ----------
    task : str
    train, test : int or float
        Observed labels in training and test rows, the mean over splits where there are several.
    missing : float or None
        Share of the task's rows without a label, in [0, 1].
    mean, sd : float or None
        Of the observed labels, in the target's unit.
    """

    task: str
    train: float
    test: float
    missing: float | None = None
    mean: float | None = None
    sd: float | None = None


@dataclass(frozen=True)
class Method:
    """A way to fit all tasks.

    Parameters
    ----------
    name : str
        As in the scores, for example ``"shared"`` or ``"single"``.
    description : str
        One line in words: what it shares and what it chose.
    role : {"main", "candidate", "baseline"}
        The one method that the report is about is ``"main"``.
    label : str
        What tables and figures call it; empty means `name`.
    """

    name: str
    description: str = ""
    role: Role = "candidate"
    label: str = ""

    @property
    def title(self) -> str:
        """`label`, or `name` where it is empty."""
        return self.label or self.name


@dataclass(frozen=True)
class Overall:
    """One method's score over all tasks: mean over splits, standard deviation over splits, how many splits."""

    method: str
    metric: str
    value: float | None
    sd: float | None = None
    splits: int | None = None


@dataclass(frozen=True)
class Coefficients:
    """What was learned: a weight per task and feature.

    Parameters
    ----------
    method : str
    tasks, features : sequence of str
        Of lengths t and d.
    values : array-like (t, d)
        Per standard deviation of the feature where `standardised`, else per unit; in the target's unit.
    standardised : bool
    """

    method: str
    tasks: tuple[str, ...]
    features: tuple[str, ...]
    values: tuple[Row, ...]
    standardised: bool = True

    def __post_init__(self) -> None:
        _freeze(self, tasks=words(self.tasks), features=words(self.features), values=grid(self.values))


@dataclass(frozen=True)
class TaskRelation:
    """A (t, t) matrix over tasks and what it means in words.

    Parameters
    ----------
    tasks : sequence of str
        Of length t.
    values : array-like (t, t)
        Symmetric.
    title : str
        For example ``"Correlation of the tasks' coefficients"``.
    meaning : str
        What a higher entry says, one or two sentences.
    signed : bool
        Whether zero is a natural middle (correlations, covariances): the colours then diverge from zero.
    learned : bool
        False where the relation was given by the user and not found in the data.
    """

    tasks: tuple[str, ...]
    values: tuple[Row, ...]
    title: str = "Correlation of the tasks' coefficients"
    meaning: str = "Positive: the two tasks use the features alike. Negative: they use them in opposite ways."
    signed: bool = True
    learned: bool = True

    def __post_init__(self) -> None:
        _freeze(self, tasks=words(self.tasks), values=grid(self.values))


@dataclass(frozen=True)
class Teaching:
    """What every task learns from every other: rows learn, columns teach.

    Parameters
    ----------
    tasks : sequence of str
        Of length t.
    values : array-like (t, t)
        Shares of a task's fitted values that each task's labels make, or by what share a task's leave-one-out error
        rises when another's labels are removed (absent on the diagonal).
    how : str
        How the numbers were found, for example ``"exact"`` or ``"one Newton step"``.
    """

    tasks: tuple[str, ...]
    values: tuple[Row, ...]
    how: str = "exact"

    def __post_init__(self) -> None:
        _freeze(self, tasks=words(self.tasks), values=grid(self.values))


@dataclass(frozen=True)
class TaskCertainty:
    """How sure the model is of a task, in the target's unit.

    Parameters
    ----------
    task : str
    labels : int
        Observed.
    freedom, noise : float or None
        Effective degrees of freedom; standard deviation of labels about their fitted values.
    half, narrow, wide : float or None
        Half a 90% prediction interval at the task's middle row, and at those that 5% and 95% of its rows lie below.
    sd : float or None
        Of the labels: what the noise would be without any input.
    held, tested : int or None
        Test labels that such intervals hold, and how many there are, in the first split.
    """

    task: str
    labels: int
    freedom: float | None
    noise: float | None
    half: float | None
    narrow: float | None
    wide: float | None
    sd: float | None = None
    held: int | None = None
    tested: int | None = None


@dataclass(frozen=True)
class Strength:
    """The strength that a method chose in one split; `part` names the relation, or the task if each has its own."""

    method: str
    split: str
    part: str
    value: float | None


@dataclass(frozen=True)
class Cost:
    """What a method took: mean seconds per fit (choice of strength included), iterations, certified residual.

    And by how many MB the process grew at most during a fit, where that was watched.
    """

    method: str
    seconds: float | None
    fits: int = 1
    iterations: float | None = None
    residual: float | None = None
    memory_mb: float | None = None


def _freeze(value: Any, **fields: Any) -> None:
    for name, item in fields.items():
        object.__setattr__(value, name, item)
