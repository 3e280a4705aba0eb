"""What can be seen in the data before anything is trained: support, leaks between targets, what is not determined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relatask.cli.config import RunConfig
from relatask.cli.problem import Problem
from relatask.cli.show import listed, plural
from relatask.measure import ALL, Check

Floats = npt.NDArray[np.float64]
FEW = 5
UNITS = 5
"""Targets whose standard deviations differ by this factor are said to have different units."""


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Parameters
    ----------
    support : list of dict
        A row per task: labels, and the fewest training and test labels of any split.
    overlap : (t, t) int array or None
        Rows in which both targets have a label; None where tasks are groups.
    problems : list of Check
        What should be looked at before training.
    notes : list of Check
        What is worth knowing.
    """

    support: list[dict[str, Any]]
    overlap: npt.NDArray[np.int64] | None
    problems: list[Check]
    notes: list[Check]


def audit(
    problem: Problem, X: Floats | None, features: tuple[str, ...], splits: list[Any], leaks: Sequence[Any]
) -> Audit:
    """Look at labels, splits and inputs; X (n, d) is encoded (None: raw), `leaks` what `relatask.data.infer` found."""
    seen = ~np.isnan(problem.y)
    support = _support(problem, seen, splits)
    flat, everywhere = _constant(problem)
    problems = [*_few(support), *_rare(problem), *_absent(support, len(splits)), *_leaks(leaks, problem.targets)]
    problems += flat if everywhere else []
    notes = [*([] if everywhere else flat)]
    if X is not None:  # a network brings targets to one scale, and has no coefficients
        notes += [*undetermined(problem, X, features), *_units(problem)]
    if len(splits) == 1:
        notes.append(
            Check(
                "RT014", ALL, "one split only: intervals cover the noise of its test rows alone.", "Use more repeats."
            )
        )
    overlap = None if problem.tasks is not None else seen.T.astype(np.int64) @ seen.astype(np.int64)
    return Audit(support, overlap, problems, notes)


def _support(problem: Problem, seen: npt.NDArray[np.bool_], splits: list[Any]) -> list[dict[str, Any]]:
    counts = _counter(problem, seen)
    everything = counts(np.arange(problem.rows))
    train = np.array([counts(split.train) for split in splits])
    test = np.array([counts(split.test) for split in splits])
    return [
        {
            "task": str(name),
            "labels": int(everything[k]),
            "min_train": int(train[:, k].min()),
            "min_test": int(test[:, k].min()),
            "without_train": int((train[:, k] == 0).sum()),
            "without_test": int((test[:, k] == 0).sum()),
        }
        for k, name in enumerate(problem.names)
    ]


def _counter(problem: Problem, seen: npt.NDArray[np.bool_]) -> Any:
    """Return a function from rows to the number of labels per task."""
    if problem.tasks is None:
        return lambda rows: seen[rows].sum(0)
    codes = np.unique(problem.tasks, return_inverse=True)[1]
    return lambda rows: np.bincount(codes[rows][seen[rows]], minlength=len(problem.names))


def _few(support: list[dict[str, Any]]) -> list[Check]:
    few = [row for row in support if 0 < row["min_train"] < FEW or row["labels"] < FEW]
    if not few:
        return []
    worst = min(few, key=lambda row: row["min_train"])
    names = listed([row["task"] for row in few])
    message = (
        f"{plural(len(few), 'task')} with fewer than {FEW} training labels in a split ({names}); "
        f"the fewest are {worst['min_train']}, of {worst['task']}."
    )
    remedy = "They fit and lean on the others; their own verdict will hardly be shown. Collect labels, or merge tasks."
    return [Check("RT005", few[0]["task"] if len(few) == 1 else ALL, message, remedy)]


def _rare(problem: Problem) -> list[Check]:
    """RT005: tasks that have both classes, and fewer than `FEW` labels of one."""
    found = {}
    for k, (name, kind) in enumerate(zip(problem.names, problem.kinds, strict=True)):
        y = problem.y[:, k] if problem.tasks is None else problem.y[problem.tasks == name]
        rarer = int(min((y == 0).sum(), (y == 1).sum()))
        if kind == "binary" and 0 < rarer < FEW:
            found[name] = rarer
    if not found:
        return []
    worst = min(found, key=lambda name: found[name])
    message = (
        f"{plural(len(found), 'task')} with fewer than {FEW} labels of the rarer class ({listed(list(found))}); "
        f"the fewest are {found[worst]}, of {worst}."
    )
    remedy = "Splits may leave such a task one class to train or to test on. Collect labels, or merge tasks."
    return [Check("RT005", str(worst) if len(found) == 1 else ALL, message, remedy)]


def _constant(problem: Problem) -> tuple[list[Check], bool]:
    """RT005: tasks whose labels are all equal; and whether that is so in every task."""
    names = []
    for k, name in enumerate(problem.names):
        y = problem.y[:, k] if problem.tasks is None else problem.y[problem.tasks == name]
        seen = y[~np.isnan(y)]
        if len(seen) > 1 and (seen == seen[0]).all():
            names.append(name)
    if not names:
        return [], False
    everywhere = len(names) == len(problem.names)
    which = "every task" if everywhere else f"{plural(len(names), 'task')} ({listed(names)})"
    message = f"the labels are constant in {which}: no input can explain them, and explained shares are undefined."
    remedy = "Choose another target." if everywhere else "Look whether that is meant; else leave these rows out."
    return [Check("RT005", str(names[0]) if len(names) == 1 else ALL, message, remedy)], everywhere


_FITS = {"regression": "least squares", "binary": "logistic regression", "count": "Poisson regression"}


def alone(problem: Problem, config: RunConfig, folder: Path) -> list[Check]:
    """Say of a single task that there is nothing to share, and what is fitted then."""
    if len(problem.names) > 1:
        return []
    from relatask.cli.build import build_relation, has_strength, method_name, relation_class

    if config.network is not None:
        message = f"one task only ({listed(problem.names)}), so there is nothing to share."
        return [Check("note", ALL, message, "Name more targets, or data.by: the column whose values are the tasks.")]
    relations = [
        relation.model_copy(update={"strength": 1.0}) if has_strength(relation_class(relation.name)) else relation
        for relation in config.model.relation
    ]
    free = float(build_relation(relations, folder, problem.names).value(np.ones((1, 1)))) == 0
    fitted = (
        f"holds nothing back in one task: the fit is {_FITS[config.kinds[0]]} without a penalty"
        if free
        else "is a penalty on the coefficients of this task alone"
    )
    return [
        Check(
            "note",
            ALL,
            f"one task only ({listed(problem.names)}), so there is nothing to share; "
            f"{method_name(config.model)} {fitted}.",
            "Name more targets, or data.by: the column whose values are the tasks. For one task: relation: Ridge.",
        )
    ]


def _absent(support: list[dict[str, Any]], n_splits: int) -> list[Check]:
    checks = []
    for side, words in (("without_train", "training"), ("without_test", "test")):
        absent = [row for row in support if row[side]]
        if absent:
            most = max(row[side] for row in absent)
            checks.append(
                Check(
                    "RT012",
                    ALL,
                    f"{plural(len(absent), 'task')} without any {words} label in up to {most} of {n_splits} splits: "
                    f"{listed([row['task'] for row in absent])}.",
                    "Such a task is not scored in that split. Use data.split kind: random or kfold, or a larger share.",
                )
            )
    return checks


def _leaks(found: Sequence[Any], targets: Sequence[str]) -> list[Check]:
    """RT008: two targets that say the same, or an input that gives a target away."""
    checks = []
    for leak in found:
        if leak.column in targets:
            remedy = "Keep one of the two: what they share is no evidence that sharing helps."
        else:
            remedy = f"If it is not known before the target: features.exclude: [{leak.column}]"
        checks.append(Check(leak.code, leak.target, f"{leak.what}.", remedy))
    return checks


def _units(problem: Problem) -> list[Check]:
    """Say where targets have so different units that tying their coefficients means little."""
    if problem.tasks is not None or len(problem.names) < 2 or set(problem.kinds) != {"regression"}:
        return []
    sd = np.nanstd(problem.y, axis=0)
    small, large = int(sd.argmin()), int(sd.argmax())
    if not sd[small] or sd[large] < UNITS * sd[small]:
        return []
    message = (
        f"targets differ in scale: the sd of {problem.names[large]} is {sd[large] / sd[small]:,.0f} times that of "
        f"{problem.names[small]}; the relation, and the choice of its strength, compare them in their own units."
    )
    return [Check("note", ALL, message, "Bring the targets to a common scale first, for example standard deviations.")]


def undetermined(problem: Problem, X: Floats, features: tuple[str, ...]) -> list[Check]:
    """RT017: columns whose own coefficient the data do not determine."""
    low, high = X.min(0), X.max(0)
    constant = [name for name, a, b in zip(features, low, high, strict=True) if a == b]
    notes = []
    if constant:
        message = f"{plural(len(constant), 'input')} constant in all rows: {listed(constant)}."
        notes.append(Check("RT017", ALL, message, "It teaches nothing; features.exclude removes it."))
    if problem.tasks is not None:
        codes = np.unique(problem.tasks, return_inverse=True)[1]
        least = np.full((len(problem.names), X.shape[1]), np.inf)
        most = -least
        np.minimum.at(least, codes, X)
        np.maximum.at(most, codes, X)
        within = [name for j, name in enumerate(features) if (least[:, j] == most[:, j]).all() and name not in constant]
        if within:
            notes.append(
                Check(
                    "RT017",
                    ALL,
                    f"{plural(len(within), 'input')} constant within every task: {listed(within, 8)}.",
                    "With free intercepts their coefficients are not determined, and are given as small as can be; "
                    "intercept: tied or common lets them explain differences between tasks.",
                )
            )
    return notes
