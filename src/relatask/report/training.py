"""How training went: words, tables and figures of a network's record."""

from __future__ import annotations

import numpy as np

from relatask.report.course import Course, Training
from relatask.report.figures.training import CHARTS, curves_figure, lines_figure
from relatask.report.record import RunRecord
from relatask.report.tables import Cell, Column, Table, columns_to_rows, numbers, text
from relatask.report.words import count, number

QUESTION = "How did training go?"
MOVED = 0.02
"""Weights that move by less, relative to their mean, are told in words only."""
MOST_GATES = 24


def training_words(record: RunRecord) -> list[str]:
    """What the curves say; empty where the run trained no network."""
    found = record.training
    if found is None:
        return []
    told = [_course(found)]
    told += [words for words in (_apart(found), _pull(found), _weights(found)) if words]
    return told


def _course(found: Training) -> str:
    size = ""
    if found.parameters:
        size = f" It has {found.parameters:,} numbers to learn"
        size += f", {found.shared:,} of them shared." if found.shared is not None else "."
    why = f" It ended there because {found.stopped}." if found.stopped else ""
    kept = "the last" if found.kept == found.epochs else f"epoch {found.kept}"
    return (
        f"“{found.method}”, fitted on all rows for predictions: {count(found.epochs, 'epoch')}, of which {kept} was "
        f"kept.{why}{size} The scores above are not from this fit, but from those on the splits' training rows."
    )


def _apart(found: Training) -> str:
    """Whether tasks would have stopped at different epochs (RT006)."""
    epochs = [row.epoch for row in found.best]
    if len(epochs) < 2:
        return ""
    first, last = min(found.best, key=lambda row: row.epoch), max(found.best, key=lambda row: row.epoch)
    if last.epoch == first.epoch:
        return f"All tasks are at their best at epoch {last.epoch}."
    if last.epoch - first.epoch <= 0.3 * found.epochs:
        return f"The tasks are at their best between epoch {first.epoch} and {last.epoch}."
    return (
        f"The tasks are at their best at different times: {first.task} at epoch {first.epoch}, {last.task} at "
        f"{last.epoch}. One kept epoch is a compromise between them."
    )


def _pull(found: Training) -> str:
    conflicts = [value for course in found.of("conflict") for value in course.values if value is not None]
    if not conflicts:
        return ""
    cosines = [value for course in found.of("cosine") for value in course.values if value is not None]
    return (
        f"In the steps that were looked at, {100 * float(np.mean(conflicts)):.0f}% of the pairs of tasks had gradients "
        f"that oppose each other; the median cosine was {number(float(np.median(cosines)), 2)}."
    )


def _weights(found: Training) -> str:
    weights = found.of("weight")
    if not weights or moving(weights):
        return ""
    said = ", ".join(f"{course.task} {number(_last(course), 2)}" for course in weights[:8])
    return f"The weights of the losses did not move: {said}{', ...' if len(weights) > 8 else ''}."


def moving(weights: tuple[Course, ...]) -> bool:
    """Whether any weight moved."""
    for course in weights:
        values = [value for value in course.values if value is not None]
        if values and max(values) - min(values) > MOVED * max(abs(float(np.mean(values))), 1e-12):
            return True
    return False


def _last(course: Course) -> float | None:
    return next((value for value in reversed(course.values) if value is not None), None)


def training_table(record: RunRecord) -> Table | None:
    """Per task: best epoch, what was explained then, labels seen in an epoch."""
    found = record.training
    if found is None or not (found.best or found.seen):
        return None
    best, seen = {row.task: row for row in found.best}, {row.task: row.labels for row in found.seen}
    tasks = list(dict.fromkeys([*best, *seen]))
    heads = [Column("Task", "text")]
    columns: list[list[Cell]] = [[text(task) for task in tasks]]
    if best:
        heads += [
            Column("Best epoch", note="on validation rows, from 1"),
            Column("Explained then (%)", note="share of the loss of the best constant answer that was gone"),
        ]
        columns += [
            numbers([best[task].epoch if task in best else None for task in tasks]),
            numbers([best[task].delta if task in best else None for task in tasks], scale=100),
        ]
    if seen:
        heads.append(Column("Labels per epoch", note="that training saw, the mean over its epochs"))
        columns.append(numbers([None if task not in seen else round(seen[task]) for task in tasks]))
    return Table(
        "training",
        "Per task: when it was at its best, and what it was fed.",
        tuple(heads),
        columns_to_rows(columns, tasks),
    )


def gates_table(record: RunRecord) -> Table | None:
    """What gates and mixing units were at the end."""
    found = record.training
    if found is None or not found.gates:
        return None
    names, values = [], []
    for gate in found.gates[:MOST_GATES]:
        for place, row in enumerate(gate.values[:12]):
            names.append(gate.name if len(gate.values) == 1 else f"{gate.name}, row {place + 1}")
            values.append("  ".join(number(value, 2) for value in row[:12]) + ("  ..." if len(row) > 12 else ""))
    return Table(
        "gates",
        "Gates and mixing units in the last pass of training: how much each takes of what is there.",
        (Column("Gate", "text"), Column("Values", "text")),
        columns_to_rows([[text(name) for name in names], [text(value) for value in values]]),
    )


def training_figures(
    record: RunRecord, index: dict[str, int], figures: dict[str, str], captions: dict[str, str]
) -> None:
    """Draw what there is: learning curves, weights, gradient shares, conflict."""
    found = record.training
    if found is None:
        return
    losses, deltas = found.of("loss", "train"), found.of("delta", "valid")
    dashed = " Dashed: the epoch that was kept."
    if 0 < len(losses) <= CHARTS and len(losses[0].at) > 1:
        captions["curves"] = (
            "Loss of each task over the epochs, on the rows that were learned from and on those held back to "
            "choose the epoch; each chart has its own scale. Dot: the task's best epoch." + dashed
        )
        figures["curves"] = curves_figure(found, index, label=f"Line charts: {captions['curves']}")
    elif deltas and len(deltas[0].at) > 1:
        captions["curves"] = "Share of each task's null loss that is gone, on validation rows." + dashed
        figures["curves"] = lines_figure(
            "figure-curves",
            deltas,
            index,
            label=f"Lines: {captions['curves']}",
            unit="explained",
            kept=found.kept,
            floor=0,
        )
    weights = found.of("weight")
    if weights and moving(weights):
        captions["weights"] = "Weight of each task's loss in the steps that were looked at." + dashed
        figures["weights"] = lines_figure(
            "figure-weights", weights, index, label=f"Lines: {captions['weights']}", unit="weight", kept=found.kept
        )
    shares = found.of("share")
    if shares:
        captions["shares"] = (
            "Share of each task in the sum of the norms of the tasks' gradients on shared parameters. One that owns "
            "most of it decides where the shared part goes." + dashed
        )
        figures["shares"] = lines_figure(
            "figure-shares", shares, index, label=f"Lines: {captions['shares']}", unit="share of norm", kept=found.kept
        )
    pull = (*found.of("cosine"), *found.of("conflict"))
    if pull:
        captions["pull"] = (
            "Median cosine between the gradients of two tasks on shared parameters, and the share of pairs in which it "
            "is negative: what helps one then hurts the other." + dashed
        )
        figures["pull"] = lines_figure(
            "figure-pull",
            pull,
            index,
            label=f"Lines: {captions['pull']}",
            unit="cosine; share of pairs",
            floor=0,
            kept=found.kept,
        )
