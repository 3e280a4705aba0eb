"""The tables of results: methods over all tasks, the gain over each baseline, and the verdict task by task."""

from __future__ import annotations

import math

from relatask.measure.differences import Differences
from relatask.report.record import RunRecord
from relatask.report.tables import Cell, Column, Row, Table, columns_to_rows, numbers, text
from relatask.report.words import (
    ABSENT,
    SYMBOLS,
    TONES,
    interval,
    metric_scale,
    metric_title,
    number,
    places,
    present,
    probability,
    spread,
)

_ORDER = (
    "explained_variance_within",
    "explained_variance_global",
    "d2_within",
    "log_loss",
    "auc_mean_of_tasks",
    "error_rate",
    "poisson_deviance",
    "rmse",
    "mae",
)


def titled(record: RunRecord, metric: str) -> str:
    """A metric's title with its unit."""
    return metric_title(metric, unit=record.unit)


def methods_table(record: RunRecord) -> Table:
    """Every method over all tasks: its scores with their standard deviation over splits."""
    given = dict.fromkeys(row.metric for row in record.overall)
    metrics = [m for m in _ORDER if m in given] or list(given)
    columns: list[list[Cell]] = [[text(method.title) for method in record.methods]]
    for metric in metrics:
        found = {row.method: row for row in record.overall if row.metric == metric}
        scale = metric_scale(metric)
        digits = _decimals([row.value for row in found.values()], [row.sd for row in found.values()], scale)
        column = []
        for method in record.methods:
            row = found.get(method.name)
            value = None if row is None or not present([row.value]) else (row.value or 0.0) * scale
            sd = None if row is None or not present([row.sd]) else (row.sd or 0.0) * scale
            column.append(Cell(spread(value, sd, digits), value))
        columns.append(column)
    columns.append([text(method.description) for method in record.methods])
    return Table(
        "methods",
        "Scores on test rows, over all tasks: mean ± standard deviation over splits.",
        (Column("Method", "text"), *(Column(titled(record, m)) for m in metrics), Column("What it is", "text")),
        columns_to_rows(columns, strong=[method.role == "main" for method in record.methods]),
    )


def _decimals(values: list[float | None], sds: list[float | None], scale: float) -> int:
    """Three significant digits of the values; one more decimal where the sds would else read 0."""
    digits = places([value * scale for value in present(values)])
    return max(digits, min(digits + 1, places([sd * scale for sd in present(sds)]) - 2))


def gains_table(record: RunRecord) -> Table:
    """The main method against every baseline: the difference over all tasks, and how many tasks gained or lost."""
    metrics = {found.overall.metric for found in record.differences}
    one = len(metrics) == 1  # then the caption names it, and no column
    rows = []
    for found in record.differences:
        scale = metric_scale(found.overall.metric)
        row = found.overall
        like = [other.overall for other in record.differences if other.overall.metric == row.metric]
        digits = places([other.difference * scale for other in like])
        rows.append(
            Row(
                (
                    text(record.titled(found.baseline)),
                    *([] if one else [text(titled(record, row.metric))]),
                    Cell(number(row.difference * scale, digits, sign=True), row.difference),
                    Cell(interval(row.low * scale, row.high * scale, digits), row.low),
                    *(Cell(str(n), n) for n in tally(found).values()),
                )
            )
        )
    return Table(
        "gains",
        f"What “{record.main.title}” gains over each baseline, over all tasks"
        + (f", in {titled(record, next(iter(metrics)))}" if one else "")
        + "; and how many tasks it helped or hurt.",
        (
            Column("Against", "text"),
            *([] if one else [Column("Metric", "text")]),
            Column("Gain", note="positive: the shared model is better"),
            Column("95% interval"),
            *(Column(f"{symbol} {verdict}") for verdict, symbol in SYMBOLS.items()),
        ),
        tuple(rows),
    )


def tally(found: Differences) -> dict[str, int]:
    """How many tasks have each verdict, the words in the order of the report."""
    return {verdict: sum(row.verdict == verdict for row in found.tasks) for verdict in SYMBOLS}


def verdict_table(record: RunRecord, found: Differences) -> Table:
    """Task by task, the worst first: labels, both scores, the gain with its interval, q, and the verdict in words."""
    rows = sorted(found.tasks, key=lambda row: (not math.isfinite(row.difference), row.difference, row.task))
    labels = {row.task: row.train + row.test for row in record.support}
    scale = metric_scale(found.metric)
    digits = places([row.baseline_value * scale for row in rows])
    fine = max(digits, places([row.difference * scale for row in rows]))
    columns = [
        [text(row.task) for row in rows],
        numbers([labels.get(row.task) for row in rows]),
        [Cell(number(row.baseline_value * scale, digits), row.baseline_value) for row in rows],
        [Cell(number(row.value * scale, digits), row.value) for row in rows],
        [Cell(number(row.difference * scale, fine, sign=True), row.difference) for row in rows],
        [Cell(interval(row.low * scale, row.high * scale, fine), row.low) for row in rows],
        [Cell(probability(row.q), row.q) for row in rows],
        [Cell(f"{SYMBOLS[row.verdict]} {row.verdict}", -_rank(row.verdict), TONES[row.verdict]) for row in rows],
    ]
    metric = titled(record, found.metric)
    return Table(
        "verdicts",
        f"“{record.titled(found.method)}” against “{record.titled(found.baseline)}”, task by task, by {metric}; "
        "the worst first. A positive gain: sharing is better.",
        (
            Column("Task", "text"),
            Column("Labels", note="observed labels, training and test"),
            Column(record.titled(found.baseline)),
            Column(record.titled(found.method)),
            Column("Gain"),
            Column("95% interval"),
            Column("q", note="p value after Benjamini and Hochberg's correction over the tasks"),
            Column("Verdict", "text"),
        ),
        columns_to_rows(columns, [row.task for row in rows]),
    )


def _rank(verdict: str) -> int:
    return {"hurt": 2, "no difference shown": 1}.get(verdict, 0)


def in_words(record: RunRecord) -> tuple[str, ...]:
    """The answer to "did sharing help?": the record's own paragraphs, or a count where it has none."""
    found = record.comparison
    if record.verdict or found is None:
        return record.verdict or ("Nothing was compared: this run has no baseline.",)
    row, scale = found.overall, metric_scale(found.overall.metric)
    digits = places([row.difference * scale])
    gain = number(row.difference * scale, digits, sign=True)
    around = interval(row.low * scale, row.high * scale, digits)
    within = f" (95% interval {around})" if around != ABSENT else ""
    counted = tally(found)
    return (
        f"Against “{record.titled(found.baseline)}”, “{record.main.title}” gains {gain} in "
        f"{titled(record, row.metric)} over all tasks{within}. It helped {counted['helped']} of {len(found.tasks)} "
        f"tasks and hurt {counted['hurt']}; for {counted['no difference shown']} no difference is shown.",
    )
