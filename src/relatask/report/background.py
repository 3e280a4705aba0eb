"""The other tables: relations and features, data, cost, strengths, checks."""

from __future__ import annotations

import numpy as np

from relatask.measure.scores import ALL
from relatask.report.figures.coefficients import largest, values_of
from relatask.report.figures.relation import matrix
from relatask.report.figures.teaching import values_of_teaching
from relatask.report.parts import Coefficients, TaskRelation
from relatask.report.record import RunRecord
from relatask.report.tables import Cell, Column, Row, Table, columns_to_rows, numbers, text
from relatask.report.words import ABSENT, count, number, places, present, seconds

PAIRS = 5


def pairs_table(relation: TaskRelation) -> Table | None:
    """The pairs of tasks that are most and least alike; None with fewer than three tasks."""
    t = len(relation.tasks)
    if t < 3:
        return None
    values = matrix(relation)
    above, below = np.triu_indices(t, 1)
    entries = values[above, below]
    order = [int(k) for k in np.argsort(-entries, kind="stable") if np.isfinite(entries[k])]
    size = min(PAIRS, len(order) // 2)
    chosen = order[:size] + order[len(order) - size :]
    found = entries[order].tolist()
    apart = places([max(found) - min(found)]) - 1 if found else 0  # enough decimals to tell nearly equal ones apart
    digits = min(6, max(places(found), apart))
    said = ["closest"] * size + ["farthest"] * size
    return Table(
        "pairs",
        f"The {count(size, 'closest pair')} of tasks, and the {size} farthest apart.",
        (Column("Pair", "text"), Column("Task", "text"), Column("Task", "text"), Column("Entry")),
        columns_to_rows(
            [
                [text(word) for word in said],
                [text(relation.tasks[above[k]]) for k in chosen],
                [text(relation.tasks[below[k]]) for k in chosen],
                [Cell(number(entries[k], digits, sign=relation.signed), float(entries[k])) for k in chosen],
            ]
        ),
    )


def teaching_table(record: RunRecord) -> Table | None:
    """Per task: its own share, whom it hears most, who helps and who misleads it most, and what all lose without it."""
    transfer, removal = record.transfer, record.removal
    found = transfer or removal
    if found is None or len(found.tasks) < 2:
        return None
    tasks, t = found.tasks, len(found.tasks)
    heads, columns = [Column("Task", "text")], [[text(task) for task in tasks]]
    if transfer is not None:
        shares = values_of_teaching(transfer)
        heads += [Column("From its own (%)"), Column("Heard most", "text")]
        columns += [numbers(np.diagonal(shares).tolist(), scale=100), _best(shares, tasks, False)]
    if removal is not None:
        effects = values_of_teaching(removal)
        heads += [Column("Helped most by", "text"), Column("Misled most by", "text")]
        columns += [_best(effects, tasks, True), _best(-effects, tasks, True, flip=-1.0)]
        known = np.isfinite(effects)
        mean = np.where(known, effects, 0.0).sum(0) / np.maximum(known.sum(0), 1)
        heads.append(Column("Its worth to the others (%)", note="mean rise of the others' errors without its labels"))
        columns.append(numbers(mean.tolist(), sign=True, scale=100))
    return Table(
        "teaching",
        f"Of each of {count(t, 'task')}: whose labels it hears, and whose removal would change its error most, in %.",
        tuple(heads),
        columns_to_rows(columns, tasks),
    )


def _best(values: np.ndarray, tasks: tuple[str, ...], sign: bool, flip: float = 1.0) -> list[Cell]:
    """The largest entry of every row but the diagonal's, with its column's name; a dash where none is above zero."""
    between = np.where(np.eye(len(values), dtype=bool) | ~np.isfinite(values), -np.inf, values)
    best = between.argmax(1)
    top = between[np.arange(len(values)), best]
    digits = places((100 * top[top > 0]).tolist())
    return [
        Cell(f"{tasks[j]} ({number(100 * flip * size, digits, sign=sign)})", float(size)) if size > 0 else Cell(ABSENT)
        for j, size in zip(best.tolist(), top.tolist(), strict=True)
    ]


def features_table(coefficients: Coefficients) -> Table:
    """Per feature: mean over tasks, spread, extremes and with which tasks, and in how many tasks the sign agrees."""
    values, order = values_of(coefficients), largest(coefficients)
    values = values[:, order]
    mean, sd = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    low, high = np.nanargmin(values, axis=0), np.nanargmax(values, axis=0)
    places_of = range(len(order))
    agree = [int((np.sign(values[:, j]) == np.sign(mean[j])).sum()) for j in places_of]
    everything = numbers([*(mean[j] for j in places_of), *(sd[j] for j in places_of)], sign=True)
    digits = len(everything[0].text.partition(".")[2]) if everything else 2
    extreme = [
        [
            Cell(f"{number(values[k[j], j], digits, sign=True)} ({coefficients.tasks[k[j]]})", values[k[j], j])
            for j in places_of
        ]
        for k in (low, high)
    ]
    return Table(
        "features",
        "Coefficients over the tasks, the largest features first.",
        (
            Column("Feature", "text"),
            Column("Mean"),
            Column("sd over tasks"),
            Column("Lowest (task)", "text"),
            Column("Highest (task)", "text"),
            Column("Same sign", note="tasks whose coefficient has the sign of the mean"),
        ),
        columns_to_rows(
            [
                [text(coefficients.features[j]) for j in order],
                everything[: len(order)],
                [Cell(number(sd[j], digits), float(sd[j])) for j in places_of],
                *extreme,
                [Cell(f"{n} of {len(values)}", n) for n in agree],
            ]
        ),
    )


def support_table(record: RunRecord) -> Table:
    """Per task: labels, share missing, mean and spread of the target."""
    rows = record.support
    unit = f" ({record.unit})" if record.unit else ""
    mean = "Share of class 1" if record.kind == "binary" else f"Mean{unit}"
    return Table(
        "support",
        "Observed labels per task, and the target's mean and standard deviation"
        + (" (of two classes, 0 and 1).", ".")[record.kind in ("regression", "count")],
        (
            Column("Task", "text"),
            Column("Training labels"),
            Column("Test labels"),
            Column("Missing (%)"),
            Column(mean),
            Column(f"sd{unit}"),
        ),
        columns_to_rows(
            [
                [text(row.task) for row in rows],
                numbers([row.train for row in rows]),
                numbers([row.test for row in rows]),
                numbers([row.missing for row in rows], scale=100),
                numbers([row.mean for row in rows]),
                numbers([row.sd for row in rows]),
            ],
            [row.task for row in rows],
        ),
    )


def cost_table(record: RunRecord) -> Table:
    """Per method: seconds a fit, fits, iterations, and the residual that certifies the solution."""
    grown = present(row.memory_mb for row in record.costs)
    longest = max(present(row.seconds for row in record.costs), default=0.0)
    rows = []
    for row in record.costs:
        share = (row.seconds or 0.0) / longest if longest else None
        small = ABSENT if not present([row.residual]) else f"{row.residual:.0e}".replace("e-0", "e-").replace("-", "−")
        rows.append(
            Row(
                (
                    text(record.titled(row.method)),
                    Cell(seconds(row.seconds), row.seconds, bar=share),
                    Cell(number(row.fits, 0), row.fits),
                    Cell(number(row.iterations, 0), row.iterations),
                    Cell(small, row.residual),
                    *([Cell(number(row.memory_mb, 0), row.memory_mb)] if grown else []),
                ),
                strong=row.method == record.main.name,
            )
        )
    return Table(
        "costs",
        "Time of one fit, the choice of strengths included: mean over splits.",
        (
            Column("Method", "text"),
            Column("Time of a fit"),
            Column("Fits"),
            Column("Iterations", note="of a network: epochs"),
            Column("Residual", note="how far from the optimum, relative; zero at a solution"),
            *([Column("Memory (MB)", note="by how much the process grew during a fit, the most")] if grown else []),
        ),
        tuple(rows),
    )


def strengths_table(record: RunRecord) -> Table:
    """Per method and part: the strengths chosen, the median and the range over splits (and tasks, of many parts)."""
    groups: dict[tuple[str, str], list[float | None]] = {}
    parts = {
        method.name: {row.part for row in record.strengths if row.method == method.name} for method in record.methods
    }
    for row in record.strengths:
        part = row.part if len(parts.get(row.method, ())) <= 6 else f"{len(parts[row.method])} tasks, each its own"
        groups.setdefault((row.method, part), []).append(row.value)
    found = {key: present(values) for key, values in groups.items()}
    return Table(
        "strengths",
        "Strengths chosen on training rows: median and range.",
        (Column("Method", "text"), Column("Of", "text"), Column("Median"), Column("Lowest"), Column("Highest")),
        tuple(
            Row(
                (
                    text(record.titled(method)),
                    text(part),
                    *(
                        Cell(number(value), value)
                        for value in (
                            (float(np.median(values)), min(values), max(values)) if values else (None, None, None)
                        )
                    ),
                )
            )
            for (method, part), values in found.items()
        ),
    )


def checks_table(record: RunRecord) -> Table:
    """The coded findings, each with its remedy."""
    return Table(
        "checks",
        f"{count(len(record.checks), 'finding')}, each with what to do about it.",
        (Column("Code", "text"), Column("Task", "text"), Column("What was seen", "text"), Column("What to do", "text")),
        tuple(
            Row(
                (
                    text(check.code),
                    text("all tasks" if check.task == ALL else check.task),
                    text(check.message),
                    text(check.remedy),
                ),
            )
            for check in record.checks
        ),
    )
