"""`relatask data`: the data sets that are known, where each was found, and one of them as a table."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from relatask.cli import show
from relatask.cli.files import refuse_existing
from relatask.cli.grid import tabular
from relatask.notices import InputError


def data(name: str | None, output: Path | None, *, overwrite: bool, dry_run: bool, as_json: bool) -> int:
    """List the data sets, describe one, or write one as a table."""
    if name is None:
        if output is not None:
            raise InputError("--output: expected the name of a data set before it; see: relatask data")
        return _list(as_json)
    if output is None:
        return _describe(name, as_json)
    return _export(name, output, overwrite, dry_run, as_json)


def _list(as_json: bool) -> int:
    from relatask.data import datasets

    entries = datasets()
    if as_json:
        show.print_json([_facts(entry) for entry in entries.values()])
        return 0
    rows = [(e.name, e.tasks, e.rows, e.where or "not here: downloaded on first use") for e in entries.values()]
    show.results().print(tabular(("name", "tasks", "found in", "rows"), [(a, b, d, c) for a, b, c, d in rows], left=3))
    show.say("One as a table: relatask data NAME --output FILE.csv")
    return 0


def _describe(name: str, as_json: bool) -> int:
    from relatask.data import datasets, load

    entries = datasets()
    if name not in entries:
        load(name)  # says which there are
    entry = entries[name]
    if as_json:
        show.print_json(_facts(entry))
        return 0
    show.say(entry.name, style="bold")
    for key, value in _facts(entry).items():
        if key != "name":
            show.say(f"  {key}: {show.number(value) if isinstance(value, int) else value or '-'}")
    show.say(f"As a table: relatask data {name} --output {name}.csv")
    return 0


def _export(name: str, output: Path, overwrite: bool, dry_run: bool, as_json: bool) -> int:
    from relatask.data import datasets, load, write_table

    if not dry_run:
        refuse_existing(output, overwrite)
    elif name in datasets() and datasets()[name].where is None:
        show.say(f"Dry run: would download {name}, and write {output}.")
        return 0
    with _download() as moved:
        dataset = load(name, progress=moved)
    table = dataset.to_table()
    if not dry_run:
        write_table(table, output)
    targets = ",".join(dataset.targets)
    by = f" --by {dataset.by}" if dataset.by else ""
    facts = {
        "name": name,
        "rows": table.num_rows,
        "columns": table.num_columns,
        "tasks": dataset.n_tasks,
        "targets": tuple(dataset.targets),
        "by": dataset.by or None,
        "source": dataset.source,
        "output": None if dry_run else str(output),
    }
    if as_json:
        show.print_json(facts)
        return 0
    size = f"{show.plural(table.num_rows, 'row')}, {table.num_columns} columns, {show.plural(dataset.n_tasks, 'task')}"
    if dry_run:
        show.say(f"Dry run: would write {output}: {size}.")
    else:
        show.say(f"Wrote {output}: {size}. Source: {dataset.source}")
        show.say(f"Next: relatask init {output} --target {targets}{by}")
    return 0


def _facts(entry: Any) -> dict[str, Any]:
    keys = [field.name for field in dataclasses.fields(entry) if field.name != "loader"]
    return {key: getattr(entry, key) for key in keys}


class _download:
    """A progress bar while files come from upstream; nothing is shown where they are here already."""

    def __enter__(self) -> Any:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        self.bar = Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=show.progress())
        self.tasks: dict[str, Any] = {}
        return self.moved

    def moved(self, path: str, done: int, total: int) -> None:
        if not self.tasks:
            self.bar.start()
        if path not in self.tasks:
            self.tasks[path] = self.bar.add_task(f"downloading {path}", total=total or None)
        self.bar.update(self.tasks[path], completed=done)

    def __exit__(self, *_: object) -> None:
        if self.tasks:
            self.bar.stop()
