"""Coded checks: what a person should know before believing a comparison, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from relatask.measure.differences import Differences
from relatask.measure.scores import ALL, Scores


@dataclass(frozen=True)
class Check:
    """One finding.

    Parameters
    ----------
    code : str
        A key of `relatask.notices.CODES`.
    task : str
        The task it is about, or `ALL`.
    message : str
        What was seen.
    remedy : str
        What to do.
    """

    code: str
    task: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Note:
    """A warning that was raised inside one cell of a study.

    Parameters
    ----------
    code : str
        The warning's code, or "" where it had none.
    method, split : str
        The cell.
    seed : int
        The cell.
    message : str
        What it said, without the code.
    """

    code: str
    method: str
    split: str
    seed: int
    message: str


@dataclass(frozen=True)
class Support:
    """How many labels a task has, and what the splits left of them.

    Parameters
    ----------
    task : str
        The task.
    n : int
        Observed labels.
    min_train, min_test : int
        Fewest labels on the training and on the test side of any split where the task was scored.
    absent : int
        Splits whose training rows hold no label of it: it is not scored there.
    untested : int
        Splits whose test rows hold no label of it.
    constant : bool
        Whether all its labels are equal.
    size : float
        Its largest label in absolute value: an error of a billionth of it is rounding.
    kind : str
        ``"regression"``, ``"binary"`` or ``"count"``.
    rarer : int, optional
        Of two classes, how many labels the rarer one has.
    """

    task: str
    n: int
    min_train: int
    min_test: int
    absent: int = 0
    untested: int = 0
    constant: bool = False
    size: float = 0.0
    kind: str = "regression"
    rarer: int | None = None


def check_negative_transfer(found: Differences) -> list[Check]:
    """RT001: tasks that a method makes worse than its baseline, beyond noise and corrected for many tasks.

    Parameters
    ----------
    found : Differences
        Of the method against the tasks fitted alone.
    """
    return [
        Check(
            "RT001",
            row.task,
            f"{found.method} is worse than {found.baseline} by {-row.difference:.3g} in {row.metric} "
            f"({row.baseline_value:.3g} alone, {row.value:.3g} shared; q = {row.q:.2g}).",
            "Give this task its own model, loosen what ties it to the others (a graph, a smaller strength), "
            "or look whether its labels mean the same as the others'.",
        )
        for row in found.tasks
        if row.verdict == "hurt"
    ]


def check_support(support: Iterable[Support], *, train: int = 5, test: int = 2) -> list[Check]:
    """RT005: tasks with fewer than `train` training or `test` test labels in a split, a constant target, a rare class.

    A class is rare that has fewer than `train` labels.
    """
    checks = []
    for task in support:
        said = []
        if task.n <= 1:
            said.append(f"it has {task.n} observed label{'s' if task.n != 1 else ''}")
        elif task.min_train < train or task.min_test < test:
            said.append(f"as few as {task.min_train} training and {task.min_test} test labels in a split")
        if task.constant and task.n > 1:
            what = {"regression": "r2", "binary": "explained deviance and auc"}.get(task.kind, "explained deviance")
            said.append(f"its labels are all equal, so that {what} {'are' if ' and ' in what else 'is'} not defined")
        elif task.rarer is not None and task.rarer < train:
            said.append(f"only {task.rarer} label{'s' if task.rarer != 1 else ''} of its rarer class")
        if task.absent:
            said.append(f"absent from the training rows of {task.absent} splits, and not scored there")
        if task.untested:
            said.append(f"without a test label in {task.untested} splits")
        if said:
            remedy = "Collect more labels, merge it with a like task, or read its row as an anecdote."
            checks.append(Check("RT005", task.task, f"{'; '.join(said)}.", remedy))
    return checks


def check_repeats(scores: Scores) -> list[Check]:
    """RT014: one split only, with however many seeds.

    One seed over several splits is no fault: the luck of the draw is then part of what differs between the splits.
    """
    checks = []
    if len(scores.splits) == 1:
        checks.append(
            Check(
                "RT014",
                ALL,
                "one split only: intervals cover the noise of the test rows, not that of the training rows.",
                "Compare over several splits (splits=10), and random models with several seeds.",
            )
        )
    return checks


def check_convergence(notes: Iterable[Note]) -> list[Check]:
    """RT015: methods whose solver stopped before its tolerance in some cell."""
    stopped: dict[str, list[Note]] = {}
    for note in notes:
        if note.code == "RT015":
            stopped.setdefault(note.method, []).append(note)
    return [
        Check(
            "RT015",
            ALL,
            f"{method}: the solver stopped before its tolerance in {len(cells)} cells ({cells[0].message})",
            "Raise max_iter, or loosen tol if the residual reported is small enough for you.",
        )
        for method, cells in stopped.items()
    ]


def check_task_matrix(
    matrix: npt.ArrayLike, kind: Literal["precision", "trace form", "kernel"], *, method: str = "the model"
) -> list[Check]:
    """RT016: a task matrix that is not positive semidefinite, or whose sign pushes the tasks apart.

    A positive entry of a precision (or of A in tr(W' A W)) penalises agreement; of a kernel it rewards it.

    Parameters
    ----------
    matrix : (t, t) array
        The symmetric matrix given.
    kind : {"precision", "trace form", "kernel"}
        What it stands for.
    method : str
        Whose it is, for the message.
    """
    values = np.asarray(matrix, dtype=float)
    checks = []
    eigenvalues = np.linalg.eigvalsh(values)
    if eigenvalues[0] < -1e-10 * max(eigenvalues[-1], 0.0) or eigenvalues[-1] < 0:
        checks.append(
            Check(
                "RT016",
                ALL,
                f"{method}: the {kind} is not positive semidefinite (smallest eigenvalue {eigenvalues[0]:.3g}): "
                "the objective has no minimum.",
                "Add jitter to the diagonal, or build the matrix as a Laplacian (Graph) or a covariance (TaskKernel).",
            )
        )
    between = values[np.triu_indices(len(values), 1)]
    apart = between < 0 if kind == "kernel" else between > 0
    if apart.sum() > (between != 0).sum() / 2:
        sign, remedy = ("negative", "Check the signs") if kind == "kernel" else ("positive", "Use Graph or TaskKernel")
        checks.append(
            Check(
                "RT016",
                ALL,
                f"{method}: {int(apart.sum())} of {len(between)} pairs have a {sign} entry in the {kind}, "
                "which pushes those tasks apart.",
                f"{remedy}, if the numbers say how alike two tasks are.",
            )
        )
    return checks
