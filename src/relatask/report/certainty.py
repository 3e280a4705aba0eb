"""How sure is it: the words and the table, for the page and its Markdown twin."""

from __future__ import annotations

from relatask.report.record import RunRecord
from relatask.report.tables import Cell, Column, Table, columns_to_rows, numbers, text
from relatask.report.words import count, number, present

SILENT = (
    "This run does not say how sure it is: it takes squared loss, a quadratic relation or a prior, and not too many "
    "tasks."
)


def certainty_words(record: RunRecord) -> list[str]:
    """What the intervals say and do not say; empty where the run has none."""
    rows = record.certainty
    if not rows:
        return []
    freedom, labels = sum(present(row.freedom for row in rows)), sum(row.labels for row in rows)
    many = len(rows) > 1
    told = [
        f"The model spends {number(freedom)} effective degrees of freedom on {count(labels, 'label')}"
        + (f" of {count(len(rows), 'task')}" if many else "")
        + ": one is a coefficient that is free to follow the labels, less is one that the relation holds. An interval "
        "that is to hold 90% of new labels reaches to either side of the prediction by the noise, which more labels do "
        "not take away, and by what is not known of the coefficients, which they do."
    ]
    if many:
        told.append(
            "Intervals hold their share on average over the tasks, not in each: in a task that is unlike the others "
            "they hold less, in others more. They take each task's noise pooled towards the tasks' common one as "
            "far as their differences may be chance, so intervals can be alike where the tasks' own noise is not."
        )
    tested = sum(row.tested or 0 for row in rows)
    if tested:
        held = sum(row.held or 0 for row in rows)
        told.append(
            f"Put to the test on the first split: fitted on its training rows, intervals of 90% hold {held:,} of "
            f"{count(tested, 'test label')}, {100 * held / tested:.0f}%. "
            + (
                "Of a single task these are few labels, and its share is rough."
                if many
                else "One split's labels are few, and the share is rough."
            )
        )
    return told


def certainty_table(record: RunRecord) -> Table | None:
    """Per task: labels, degrees of freedom, noise, half of an interval, and what of the test labels it held."""
    rows = record.certainty
    if not rows:
        return None
    unit = f" ({record.unit})" if record.unit else ""
    heads = [
        Column("Task", "text"),
        Column("Labels"),
        Column("Degrees of freedom", note="effective: the trace of the task's block of the map from labels to fits"),
        Column(f"Noise, sd{unit}", note="of a label about its fitted value, in the target's unit"),
        Column(f"90% interval: ±{unit}", note="half the width of the interval of the task's middle row"),
    ]
    columns = [
        [text(row.task) for row in rows],
        numbers([row.labels for row in rows]),
        numbers([row.freedom for row in rows]),
        numbers([row.noise for row in rows]),
        numbers([row.half for row in rows]),
    ]
    if any(row.tested for row in rows):
        heads.append(Column("Test labels held", note="by intervals of 90%, in the first split"))
        columns.append(
            [
                Cell(f"{row.held} of {row.tested}", (row.held or 0) / row.tested) if row.tested else Cell("–")
                for row in rows
            ]
        )
    return Table(
        "certainty",
        f"How sure the model is of {'each task' if len(rows) > 1 else 'its predictions'}, fitted on all rows.",
        tuple(heads),
        columns_to_rows(columns, [row.task for row in rows]),
    )
