"""What is seen while a net trains, on stderr: a table with a row a task in a terminal, else a line an epoch."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from relatask.train.run import Run

PAUSE = 0.25
"""Seconds between looks at the running epoch, at least."""
MANY = 40
"""More tasks than this are not shown one by one: the worst are."""


class LiveTable:
    """Shows a training: each task's losses, its improvement over the best constant answer, its best epoch."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = Console(stderr=True) if console is None else console
        self.live = Live(console=self.console, refresh_per_second=4, transient=True)
        self.looked = 0.0
        self.started = 0.0

    def on_start(self, run: Run) -> None:
        """Begin."""
        self.started = time.perf_counter()
        if self.console.is_terminal:
            self.live.start()

    def on_step(self, run: Run) -> None:
        """Show where the epoch is, now and then."""
        if self.console.is_terminal and time.perf_counter() - self.looked > PAUSE:
            self.looked = time.perf_counter()
            self.live.update(self.picture(run))

    def on_epoch(self, run: Run) -> None:
        """Show the epoch."""
        if self.console.is_terminal:
            self.live.update(self.picture(run))
        else:
            self.console.print(self.line(run), highlight=False, markup=False, soft_wrap=True)

    def on_end(self, run: Run) -> None:
        """Leave the table as it ended."""
        if self.console.is_terminal:
            self.live.stop()
            self.console.print(self.picture(run))
        if run.stopped:
            self.console.print(f"stopped: {run.stopped}", highlight=False)

    def line(self, run: Run) -> str:
        """Give an epoch as a line."""
        rows = _of_epoch(run, run.epoch)
        told = []
        for task in run.tasks[:MANY]:
            trained, valid = rows.get(("train", "loss", task.name)), rows.get(("valid", "loss", task.name))
            told.append(f"{task.name} {_number(trained)}" + ("" if valid is None else f" (valid {_number(valid)})"))
        watched = "" if run.watch.value is None else f"; {_monitor(run)} {_number(run.watch.value)}"
        return f"epoch {run.epoch + 1}/{run.epochs}, step {run.steps}: {', '.join(told)}{watched}"

    def picture(self, run: Run) -> Group:
        """Give what the terminal shows now."""
        last = max((row["epoch"] for row in run.history), default=0)
        rows = _of_epoch(run, last)
        table = Table(box=None, pad_edge=False)
        for column in ("task", "train loss", "valid loss", "better than constant", "best epoch"):
            table.add_column(column, justify="left" if column == "task" else "right")
        names = [task.name for task in run.tasks]
        if len(names) > MANY:
            names = sorted(names, key=lambda name: rows.get(("valid", "delta", name), 0.0))[:MANY]
        for name in names:
            delta, best = rows.get(("valid", "delta", name)), run.watch.best_epoch.get(name)
            table.add_row(
                str(name),
                _number(rows.get(("train", "loss", name))),
                _number(rows.get(("valid", "loss", name))),
                "" if delta is None else f"{delta:.1%}",
                "" if best is None else str(best + 1),
            )
        spent = time.perf_counter() - self.started
        watched = "" if run.watch.value is None else f"; {_monitor(run)} {_number(run.watch.value)}"
        head = f"epoch {min(run.epoch + 1, run.epochs)} of {run.epochs}, step {run.steps}, {spent:.0f} s{watched}"
        more = "" if len(run.tasks) <= MANY else f"the {MANY} of {len(run.tasks)} tasks that do worst"
        return Group(Text(head, style="dim"), table, Text(more, style="dim"))


def _of_epoch(run: Run, epoch: int) -> dict[tuple[str, str, Any], float]:
    found = {}
    for row in reversed(run.history):
        if row["epoch"] != epoch:
            break
        found[row["split"], row["metric"], row["task"]] = row["value"]
    return found


def _monitor(run: Run) -> str:
    return run.watch.monitor if isinstance(run.watch.monitor, str) else "monitor"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
