"""All figures of a record with their captions, each caption saying what the eye should look for."""

from __future__ import annotations

import math

import numpy as np

from relatask.report.figures.certainty import certainty_figure
from relatask.report.figures.coefficients import SINGLY, largest, shared_figure, tasks_figure
from relatask.report.figures.differences import NAMED, differences_figure
from relatask.report.figures.relation import clustering, matrix, relation_figure
from relatask.report.figures.support import support_figure
from relatask.report.figures.teaching import MANY, teaching_figure
from relatask.report.record import RunRecord
from relatask.report.results import titled
from relatask.report.training import training_figures
from relatask.report.words import count, metric_scale, number, present

Drawn = dict[str, str]
NAMES = (
    *("differences", "relation", "transfer", "removal", "certainty", "shared", "tasks", "support"),
    *("curves", "weights", "shares", "pull"),
)
"""Figures that a page may have."""
CROWD = 150
"""Of more tasks than this, figures with a mark per task show the two ends, and heat maps have no read-out."""
END = 20
"""How many tasks an end has."""

SHARES = (
    "Shares of a task's fitted values (row) that another's labels make (column), in percent; the diagonal, what comes "
    "from its own, is left clear."
)
EFFECTS = (
    "By how many percent the leave-one-out error of the task in the row rises when the labels of the task in the "
    "column are removed. Blue: the column helps the row. Orange: it misleads it."
)


def figures_and_captions(record: RunRecord) -> tuple[Drawn, Drawn]:
    """SVG elements and captions by name; a figure whose data the record lacks is the empty string."""
    figures: Drawn = dict.fromkeys(NAMES, "")
    captions: Drawn = {}
    index = {task: i for i, task in enumerate(record.tasks)}
    for draw in (_differences, _relation, _teaching, _certainty, _coefficients, _support, training_figures):
        draw(record, index, figures, captions)
    return figures, captions


def _differences(record: RunRecord, index: dict[str, int], figures: Drawn, captions: Drawn) -> None:
    found = record.comparison
    if found is None or not any(math.isfinite(row.difference) for row in found.tasks):
        return
    rows = sorted(found.tasks, key=lambda row: (not math.isfinite(row.difference), row.difference, row.task))
    rows = [row for row in rows if math.isfinite(row.difference)]
    every = len(rows)
    rows = rows if every <= CROWD else [*rows[:END], *rows[-END:]]
    scale, metric = metric_scale(found.metric), titled(record, found.metric)
    comparable = metric_scale(found.overall.metric) == scale and math.isfinite(found.overall.difference)
    captions["differences"] = (
        f"Gain of “{record.titled(found.method)}” over “{record.titled(found.baseline)}” in {metric}, per task, with "
        "95% intervals, the worst at the top. Filled circle: helped. Diamond: hurt. Open circle: no difference shown. "
        "Intervals that leave the frame end in an arrow. "
        + ("Every task is in the table below; point at a row to see which it is." if len(rows) > NAMED else "")
        + (f"Shown: the {END} lowest and {END} highest of {every} tasks, all in the table." if every > CROWD else "")
    ).strip()
    figures["differences"] = differences_figure(
        rows,
        found.overall if comparable else None,
        index,
        label=f"Dot plot: {captions['differences']}",
        unit=metric,
        scale=scale,
    )


def _relation(record: RunRecord, index: dict[str, int], figures: Drawn, captions: Drawn) -> None:
    if record.relation is None or not record.relation.tasks:
        return
    signed = record.relation.signed
    colours = "Blue: positive; orange: negative; clear: zero." if signed else "The stronger the blue, the higher."
    between = (values := matrix(record.relation))[~np.eye(len(values), dtype=bool)]
    between = between[np.isfinite(between)]
    low, middle, high = np.quantile(between, [0, 0.5, 1]).tolist() if len(between) else (None, None, None)
    captions["relation"] = (
        f"{record.relation.title}, {count(len(record.relation.tasks), 'task')} ordered so that alike ones stand side "
        f"by side; the tree joins the closest first. {colours} Between two tasks it goes from {number(low)} to "
        f"{number(high)}, with a median of {number(middle)}."
    )
    figures["relation"] = relation_figure(record.relation, index, label=f"Heat map: {captions['relation']}")


def _teaching(record: RunRecord, index: dict[str, int], figures: Drawn, captions: Drawn) -> None:
    alike = record.relation
    for name, found in (("transfer", record.transfer), ("removal", record.removal)):
        if found is None or not 1 < len(found.tasks) <= CROWD:
            continue  # of a crowd the table says it
        order = list(range(len(found.tasks)))
        if alike is not None and set(alike.tasks) == set(found.tasks):
            order = [found.tasks.index(alike.tasks[k]) for k in clustering(alike)[0]]
        said = SHARES if name == "transfer" else EFFECTS
        if len(found.tasks) > MANY:
            said += " The strongest 0.5% of the pairs have the full colour alike."
        captions[name] = said + (" Tasks stand in the order of the relation above." if alike is not None else "")
        figures[name] = teaching_figure(
            found, order, index, name=name, label=f"Heat map: {captions[name]}", signed=name == "removal"
        )


def _certainty(record: RunRecord, index: dict[str, int], figures: Drawn, captions: Drawn) -> None:
    rows = sorted((row for row in record.certainty if present([row.half])), key=lambda row: (row.half or 0.0, row.task))
    if not rows:
        return
    every, relative = len(rows), record.data.tasks_are == "columns" and len(rows) > 1
    rows = rows if every <= CROWD else [*rows[:END], *rows[-END:]]
    unit = "half-width of a 90% interval" + (f", {record.unit}" if record.unit else "")
    captions["certainty"] = (
        "How far to either side of its prediction a 90% interval reaches"
        + (", each task measured by how far it would reach without any input" if relative else "")
        + ". Dot: the task's middle row. Bar: from its surest to its least sure rows (5% and 95%). Upright tick: "
        "without any input, 1.64 standard deviations of the task's labels."
        + (f" Shown: the {END} narrowest and {END} widest of {every} tasks, all in the table." if every > CROWD else "")
    )
    figures["certainty"] = certainty_figure(
        rows,
        index,
        label=f"Dot plot: {captions['certainty']}",
        unit=f"{unit}, without any input = 1" if relative else unit,
        relative=relative,
    )


def _coefficients(record: RunRecord, index: dict[str, int], figures: Drawn, captions: Drawn) -> None:
    found = record.coefficients
    if found is None or not largest(found):
        return
    order = list(found.tasks)
    if record.relation is not None:
        order = [record.relation.tasks[k] for k in clustering(record.relation)[0]]
    marks = "small ticks: the tasks" if len(found.tasks) <= SINGLY else "thin line: from the lowest to the highest task"
    per = "standard deviation" if found.standardised else "unit"
    captions["shared"] = f"Dot: mean over tasks; thick line: one standard deviation over tasks; {marks}."
    captions["tasks"] = (
        "Every task's coefficients, a row per task"
        + (" in the order of the relation above" if record.relation is not None else "")
        + ". Blue: positive; orange: negative; clear: zero."
    )
    unit = f"coefficient, in {record.unit} per {per} of the feature" if record.unit else f"coefficient, per {per}"
    figures["shared"] = shared_figure(found, label=f"Coefficients per feature. {captions['shared']}", unit=unit)
    figures["tasks"] = tasks_figure(found, order, index, label=f"Heat map: {captions['tasks']}")


def _support(record: RunRecord, index: dict[str, int], figures: Drawn, captions: Drawn) -> None:
    if not record.support:
        return
    rows = sorted(record.support, key=lambda row: -(row.train + row.test))
    captions["support"] = "Observed labels per task in training and test rows, the mean over splits."
    if len(rows) > CROWD:
        captions["support"] += f" Shown are the {END} tasks with the most and the {END} with the fewest labels."
        rows = [*rows[:END], *rows[-END:]]
    figures["support"] = support_figure(rows, index, label=f"Bar chart: {captions['support']}")
