"""The report's Markdown twin: the same words and tables, without the figures."""

from __future__ import annotations

import re

from relatask.report.background import (
    checks_table,
    cost_table,
    features_table,
    pairs_table,
    strengths_table,
    support_table,
    teaching_table,
)
from relatask.report.certainty import SILENT, certainty_table, certainty_words
from relatask.report.prose import (
    Facts,
    asked,
    data_facts,
    definitions,
    headline,
    how_made,
    lost_words,
    shared_words,
    taught_words,
)
from relatask.report.record import RunRecord
from relatask.report.results import gains_table, in_words, methods_table, verdict_table
from relatask.report.tables import Table
from relatask.report.training import gates_table, training_table, training_words


def render_markdown(record: RunRecord) -> str:
    """Render the report as Markdown (GitHub's dialect, for its tables).

    Parameters
    ----------
    record : RunRecord
        Names in it may hold any text: they are escaped.

    Returns
    -------
    str

    Examples
    --------
    >>> from relatask.report import DataFacts, Method
    >>> record = RunRecord("A run", "2026-01-01", "0.1.0", DataFacts("a.csv", 10, 2), (Method("m", role="main"),))
    >>> render_markdown(record).splitlines()[0]
    '# A run'
    """
    record = record.settled()  # what is not finite is absent from here on
    found, relation, coefficients = record.comparison, record.relation, record.coefficients
    given = "" if relation is None or relation.learned else " The relation was given, not learned from the data."
    sections: dict[str, list[str]] = {
        "help": [*map(plain, in_words(record)), _table(methods_table(record)), _table(gains_table(record))],
        "lost": [plain(lost_words(found)), _table(verdict_table(record, found))]
        if found
        else ["Nothing was compared task by task in this run."],
        "relation": [plain(f"{relation.title}. {relation.meaning}{given}"), _table(pairs_table(relation))]
        if relation
        else ["This run holds no relation between tasks."],
        "taught": [*map(plain, taught_words(record)), _table(teaching_table(record))]
        if record.transfer or record.removal
        else ["This run does not say who taught whom: it takes some tasks, not too many, and a closed form."],
        "sure": [*map(plain, certainty_words(record) or [SILENT]), _table(certainty_table(record))],
        "shared": [plain(shared_words(record)), _table(features_table(coefficients))]
        if coefficients
        else [_table(gates_table(record)) or "This run holds no coefficients."],
        "training": [*map(plain, training_words(record)), _table(training_table(record))],
        "data": [_facts(data_facts(record)), _table(support_table(record))],
        "cost": [_table(cost_table(record)) or "No times were kept."],
        "watch": [_table(checks_table(record)) or "Nothing: every check passed."],
        "made": [
            _facts(how_made(record)),
            _facts(definitions(record)),
            _table(strengths_table(record)),
            _code(record.configuration),
        ],
    }
    blocks = [f"# {plain(record.title)}", plain(" · ".join(headline(record)))]
    for name, question in asked(record).items():
        blocks += [f"## {question}", *sections[name]]
    return "\n\n".join(block for block in blocks if block) + "\n"


def plain(text: str) -> str:
    """Text on one line that Markdown shows as it is.

    Examples
    --------
    >>> plain("a|b <i> *c*")
    'a\\\\|b &lt;i> \\\\*c\\\\*'
    """
    text = re.sub(r"([\\`*_\[\]|~])", r"\\\1", " ".join(text.split()))
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _table(table: Table | None) -> str:
    if table is None or not table.rows:
        return ""
    head = [plain(column.title) for column in table.columns]
    rule = ["---:" if column.kind == "number" else "---" for column in table.columns]
    rows = [
        [f"**{plain(cell.text)}**" if row.strong and not i else plain(cell.text) for i, cell in enumerate(row.cells)]
        for row in table.rows
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]
    return "\n".join([plain(table.caption), "", *lines])


def _facts(facts: Facts) -> str:
    return "\n".join(f"- {plain(name)}: {plain(value)}" for name, value in facts)


def _code(text: str) -> str:
    if not text:
        return ""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"Configuration:\n\n{fence}yaml\n{text.rstrip()}\n{fence}"
