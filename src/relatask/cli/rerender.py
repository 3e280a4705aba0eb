"""`relatask report`: the pages of runs, rendered again from their record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from relatask.cli import show
from relatask.cli.files import write_text
from relatask.notices import InputError


def report(runs: tuple[Path, ...], *, dry_run: bool) -> int:
    """Render the page and its Markdown twin of each run."""
    if not runs:
        raise InputError("relatask report: expected at least one run folder.")
    records = [(folder, load_record(folder)) for folder in runs]  # all of them, before anything is written
    for folder, record in records:
        if dry_run:
            show.say(f"Dry run: would write {folder / 'report.html'} and {folder / 'report.md'}")
            continue
        write_report(folder, record)
        show.say(f"Report: {folder / 'report.html'}")
    return 0


def load_record(folder: Path) -> Any:
    """Return the record of a run folder."""
    from relatask.report import RunRecord

    path = folder / "record.json"
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such run folder.")
    if not path.is_file():
        raise InputError(
            f"{folder}: there is no record.json; expected the folder of a finished run "
            "(relatask train CONFIG --resume finishes one)."
        )
    return RunRecord.load(path)


def write_report(folder: Path, record: Any) -> None:
    """Render and write report.html and report.md."""
    from relatask.report import render_html, render_markdown

    html, markdown = render_html(record), render_markdown(record)
    write_text(folder / "report.html", html)
    write_text(folder / "report.md", markdown)
