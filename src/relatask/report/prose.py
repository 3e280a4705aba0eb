"""The report's sentences and lists of facts, for the page and its Markdown twin."""

from __future__ import annotations

import numpy as np

from relatask.measure.differences import Differences
from relatask.report.figures.coefficients import FEATURES
from relatask.report.figures.teaching import own_and_largest, values_of_teaching
from relatask.report.record import RunRecord
from relatask.report.words import METRICS, count, metric_title

QUESTIONS = {
    "help": "Did sharing help?",
    "lost": "Who lost?",
    "relation": "Which tasks pull together or apart?",
    "taught": "Who taught whom?",
    "sure": "How sure is it?",
    "shared": "What is shared?",
    "training": "How did training go?",
    "data": "What data was there?",
    "cost": "What did it cost?",
    "watch": "What to watch",
    "made": "How was this made?",
}

Facts = list[tuple[str, str]]


def asked(record: RunRecord) -> dict[str, str]:
    """The questions that the report answers: of a linear run those of linear models, of a network those it can."""
    left = {"training"} if record.training is None else set()
    if record.training is not None:
        silent = {
            "relation": record.relation is None,
            "taught": record.transfer is None and record.removal is None,
            "sure": not record.certainty,
            "shared": record.coefficients is None and not record.training.gates,
        }
        left = {name for name, absent in silent.items() if absent}
    return {name: question for name, question in QUESTIONS.items() if name not in left}


_WHAT = {
    "regression": "the prediction",
    "binary": "the log-odds of class 1",
    "count": "the log of the mean count",
    "multiclass": "the log weight of each class",
    "mixed": "the prediction (numbers), the log-odds of class 1 (classes), or the log of the mean count (counts)",
}


def headline(record: RunRecord) -> list[str]:
    """The few facts under the title."""
    data = record.data
    facts = [
        count(len(record.tasks), "task") if record.tasks else "",
        count(data.rows, "row"),
        count(data.features, "feature"),
        record.made,
        f"relatask {record.version}",
    ]
    return [fact for fact in facts if fact]


def lost_words(found: Differences) -> str:
    """The answer to "who lost?", in words."""
    lost = sorted((row for row in found.tasks if row.verdict == "hurt"), key=lambda row: row.difference)
    if not lost:
        return (
            "No task is worse with sharing than on its own, beyond noise. That is not proof of no harm: for tasks "
            "with few labels the intervals are wide."
        )
    names = ", ".join(row.task for row in lost[:5])
    more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
    verb, own = ("is", "its") if len(lost) == 1 else ("are", "their")
    return f"{count(len(lost), 'task')} {verb} worse with sharing than on {own} own, beyond noise: {names}{more}."


def taught_words(record: RunRecord) -> list[str]:
    """What the two matrices of teaching say and do not say, in words."""
    told = []
    if record.transfer is not None:
        own, largest = own_and_largest(record.transfer)
        told.append(
            "Whose labels make whose fitted values: with H the map from labels to fitted values, the share of task i "
            "that comes from task j is the squared size of H's block (i, j) over that of the whole row i. Tasks make "
            f"{100 * min(own):.0f}% to {100 * max(own):.0f}% of their own fitted values so counted; the largest share "
            f"from another is {100 * largest:.2g}%. Squares count a pull spread over many labels for little: many "
            "small shares can matter together. A share says who is heard, not whether it helps."
        )
    if record.removal is not None:
        found = values_of_teaching(record.removal)
        near = "exactly" if record.removal.how == "exact" else f"by {record.removal.how}"
        known = found[np.isfinite(found)]
        told.append(
            "What would be lost without a task: by how much the leave-one-out error of task i changes when the labels "
            f"of task j are removed, {near}, the strength and everything else kept. It rises in "
            f"{100 * float((known > 0).mean()):.0f}% of the pairs, most by {100 * float(known.max()):.2g}%, and falls "
            f"most by {100 * max(0.0, -float(known.min())):.2g}%. These are estimates from the training rows, without "
            "intervals: of many pairs some look helpful by chance."
        )
    return told


def shared_words(record: RunRecord) -> str:
    """What the coefficients are, in words."""
    found = record.coefficients
    if found is None:
        return ""
    per = "one standard deviation of the feature" if found.standardised else "one unit of the feature"
    unit = f" (in {record.unit})" if record.unit and record.kind == "regression" else ""
    left = len(found.features) - FEATURES
    return (
        f"Coefficients of “{record.titled(found.method)}”: the change of {_WHAT[record.kind]}{unit} for {per}. "
        "Where the spread over tasks is small against the mean, the tasks share the feature's effect."
        + (f" The figures show the {FEATURES} largest features; {left} more are in the table." if left > 0 else "")
    )


def data_facts(record: RunRecord) -> Facts:
    """The table that went in."""
    data = record.data
    facts = [
        ("Data", data.name),
        ("File", data.path or ""),
        ("Source", data.source or ""),
        ("Target", data.target),
        ("Labels", data.labels),
        ("Tasks", f"{len(record.tasks):,}" + (f", {data.tasks_are}" if data.tasks_are else "")),
        ("Rows", f"{data.rows:,}"),
        ("Features", f"{data.features:,}"),
        ("SHA-256", data.sha256 or ""),
    ]
    return [(name, value) for name, value in facts if value]


def how_made(record: RunRecord) -> Facts:
    """When, by what, on which rows."""
    facts = [("Made", record.made), ("relatask", record.version), ("Splits", record.splits)]
    found = record.comparison
    if found:
        facts.append(("Intervals", f"{100 * (1 - found.level):.0f}%, {found.how}"))
    said = dict(facts)
    facts += [(name, value) for name, value in record.environment.items() if name not in said]
    return [(name, value) for name, value in facts if value]


def definitions(record: RunRecord) -> Facts:
    """What each metric of this report is, and how verdicts are given."""
    named = dict.fromkeys([*(row.metric for row in record.overall), *(found.metric for found in record.differences)])
    facts = [(metric_title(name), METRICS[name][1]) for name in METRICS if name in named]
    if any(name.startswith(("explained", "r2", "d2")) for name in named):
        facts.append(
            (
                "A negative share",
                "Worse than predicting, for every test row of a task, the mean of that task's own test labels (for the "
                "global share: the mean of all test labels).",
            )
        )
    found = record.comparison
    if found:
        facts += [
            (
                "Gain",
                "The difference of two methods' scores on the same test rows; positive where the first is better.",
            ),
            (
                "Interval",
                "Over repeated splits: a t interval with Nadeau and Bengio's correction, because training sets overlap."
                if "split" in found.how
                else "By the bootstrap over test rows.",
            ),
            (
                "Verdict",
                f"Helped or hurt where q ≤ {found.level:g}, with q after Benjamini and Hochberg's correction over the "
                "tasks; else “no difference shown”, which is not a proof that there is none.",
            ),
        ]
    return facts
