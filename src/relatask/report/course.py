"""The parts of a record that tell how a network's training went: curves, weights, gradients, gates, labels seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from relatask.report.parts import Row, _freeze, grid

Of = Literal["loss", "delta", "weight", "share", "cosine", "conflict"]


@dataclass(frozen=True)
class Course:
    """One number over training.

    Parameters
    ----------
    of : {"loss", "delta", "weight", "share", "cosine", "conflict"}
        Loss; gain over the best constant answer; weight of the loss; share of the tasks' gradient norms; median cosine
        between two tasks' gradients; share of the pairs whose gradients oppose each other.
    task : str
        Whose; empty where it is of all tasks.
    split : {"train", "valid", ""}
        On which rows.
    at : tuple of float
        Epochs, from 1.
    values : tuple of float or None
        As many.
    """

    of: Of
    task: str
    split: Literal["train", "valid", ""]
    at: tuple[float, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Gate:
    """How a net shared at the end of training: what a gate, or units that mix, were in the last pass.

    Parameters
    ----------
    name : str
        As the net calls it.
    values : array-like (r, c)
        A row for each row of the gate (one for a plain vector).
    """

    name: str
    values: tuple[Row, ...]

    def __post_init__(self) -> None:
        _freeze(self, values=grid(self.values))


@dataclass(frozen=True)
class Best:
    """The epoch, from 1, in which a task did best on validation rows, and what share of its null loss was gone then."""

    task: str
    epoch: int
    delta: float | None = None


@dataclass(frozen=True)
class Seen:
    """Labels of a task that training saw in an epoch, the mean over epochs."""

    task: str
    labels: float


@dataclass(frozen=True)
class Training:
    """How the training of the network on all rows went.

    Parameters
    ----------
    method : str
        Which.
    epochs : int
        Trained.
    kept : int
        The epoch, from 1, whose weights are kept.
    stopped : str
        Why training ended before its last epoch; empty if it did not.
    parameters, shared : int or None
        Numbers that are learned, and how many of them belong to no task alone.
    courses : tuple of Course
    best : tuple of Best
    seen : tuple of Seen
    gates : tuple of Gate
    """

    method: str
    epochs: int
    kept: int
    stopped: str = ""
    parameters: int | None = None
    shared: int | None = None
    courses: tuple[Course, ...] = ()
    best: tuple[Best, ...] = ()
    seen: tuple[Seen, ...] = ()
    gates: tuple[Gate, ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task that is named."""
        named = [row.task for rows in (self.courses, self.best, self.seen) for row in rows]
        return tuple(dict.fromkeys(name for name in named if name))

    def of(self, what: str, split: str = "") -> tuple[Course, ...]:
        """The courses of one kind of number."""
        return tuple(course for course in self.courses if course.of == what and course.split == split)
