"""The report: a run's record, and one self-contained page (and its Markdown twin) that shows it.

No model code and no scores computed here; matplotlib and jinja2 load when a page is rendered, not before.
"""

from __future__ import annotations

from relatask.report.markdown import render_markdown
from relatask.report.overall import overall_rows
from relatask.report.page import render_html
from relatask.report.parts import (
    Coefficients,
    Cost,
    DataFacts,
    Method,
    Overall,
    Strength,
    TaskCertainty,
    TaskRelation,
    TaskSupport,
    Teaching,
)
from relatask.report.record import RunRecord

__all__ = [
    "Coefficients",
    "Cost",
    "DataFacts",
    "Method",
    "Overall",
    "RunRecord",
    "Strength",
    "TaskCertainty",
    "TaskRelation",
    "TaskSupport",
    "Teaching",
    "overall_rows",
    "render_html",
    "render_markdown",
]
