"""The report: a run's record, and one self-contained page (and its Markdown twin) that shows it.

No model code and no scores computed here; matplotlib and jinja2 load when a page is rendered, not before.
"""

from __future__ import annotations

from relatask.report.course import Best, Course, Gate, Seen, Training
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
    "Best",
    "Coefficients",
    "Cost",
    "Course",
    "DataFacts",
    "Gate",
    "Method",
    "Overall",
    "RunRecord",
    "Seen",
    "Strength",
    "TaskCertainty",
    "TaskRelation",
    "TaskSupport",
    "Teaching",
    "Training",
    "overall_rows",
    "render_html",
    "render_markdown",
]
