"""The report as one self-contained HTML page: figures as inline SVG, data as JSON, nothing loaded from elsewhere."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from relatask.report.codec import encode
from relatask.report.drawings import CROWD, figures_and_captions
from relatask.report.figures.relation import NAMED
from relatask.report.prose import (
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
from relatask.report.results import gains_table, in_words, methods_table, tally, verdict_table
from relatask.report.training import gates_table, training_table, training_words
from relatask.report.words import SYMBOLS, TONES

TEMPLATES = Path(__file__).parent / "templates"


def render_html(record: RunRecord) -> str:
    """Render the report: one HTML page without any external reference, the same bytes for the same record.

    Parameters
    ----------
    record : RunRecord
        Names in it may hold any text: they are escaped.

    Returns
    -------
    str
        About 150 kB for 12 tasks.

    Examples
    --------
    >>> from relatask.report import DataFacts, Method
    >>> record = RunRecord("A <run>", "2026-01-01", "0.1.0", DataFacts("a.csv", 10, 2), (Method("m", role="main"),))
    >>> page = render_html(record)
    >>> "<title>A &lt;run&gt;</title>" in page
    True
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    record = record.settled()  # what is not finite is absent from here on
    found = record.comparison
    figures, captions = figures_and_captions(record)
    counted = tally(found) if found else {}
    return environment.get_template("page.html.jinja").render(
        record=record,
        index={task: i for i, task in enumerate(record.tasks)},
        questions=asked(record),
        facts=headline(record),
        verdict=in_words(record),
        tally=[
            {"verdict": verdict, "count": n, "symbol": SYMBOLS[verdict], "tone": TONES[verdict]}
            for verdict, n in counted.items()
        ],
        methods=methods_table(record),
        gains=gains_table(record),
        verdicts=verdict_table(record, found) if found else None,
        lost=lost_words(found) if found else "",
        pairs=pairs_table(record.relation) if record.relation else None,
        taught=taught_words(record),
        teaching=teaching_table(record),
        sure=certainty_words(record) or [SILENT],
        certainty=certainty_table(record),
        shared=shared_words(record),
        features=features_table(record.coefficients) if record.coefficients else None,
        training=training_words(record),
        trained=training_table(record),
        gates=gates_table(record),
        data=data_facts(record),
        support=support_table(record),
        costs=cost_table(record),
        checks=checks_table(record),
        strengths=strengths_table(record),
        made=how_made(record),
        definitions=definitions(record),
        figures=figures,
        captions=captions,
        css=(TEMPLATES / "style.css").read_text(encoding="utf-8").strip(),
        script=(TEMPLATES / "page.js").read_text(encoding="utf-8").strip(),
        embedded=embed({"tasks": record.tasks, "record": _read_out(record)}),
    )


def _read_out(record: RunRecord) -> RunRecord | None:
    """What the page can read cells of: the more tasks, the more is left to its tables, and to record.json beside it."""
    if len(record.tasks) > CROWD:
        return None
    record = replace(record, certainty=(), training=None)
    return record if len(record.tasks) <= NAMED else replace(record, transfer=None, removal=None)


def embed(value: Any) -> str:
    """JSON that is safe inside a ``<script>`` element, its numbers cut to five significant digits.

    Examples
    --------
    >>> embed({"a": "</script>", "b": 1 / 3})
    '{"a":"\\\\u003c/script\\\\u003e","b":0.33333}'
    """
    text = json.dumps(_rounded(encode(value)), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        near = float(f"{value:.5g}")
        return near if math.isfinite(near) else value
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
