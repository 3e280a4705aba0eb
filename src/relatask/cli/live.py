"""What is seen while a study runs: a live table in a terminal, a plain line per fit elsewhere."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.text import Text

from relatask.cli import show
from relatask.cli.grid import tabular
from relatask.measure import ALL, METRICS

MANY = 12
PAUSE = 1.0
"""Seconds between plain lines at least."""


class LiveTable:
    """Progress of a study: called for each cell that is finished.

    With few tasks the table has a row per task and a column per method; with many, a row per method, and a line that
    names the tasks which gain and lose most so far.
    """

    def __init__(self, main: str, tasks: tuple[Any, ...], metric: str, overall: str) -> None:
        self.main, self.tasks, self.metric, self.overall = main, [str(task) for task in tasks], metric, overall
        self.values: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.done, self.total, self.reused = 0, 0, 0
        self.started = time.perf_counter()
        self.said = 0.0
        self.console = show.progress()
        self.live = Live(console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self) -> LiveTable:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def __call__(self, done: int, total: int, finished: Any) -> None:
        """Take in a finished cell, and show it."""
        self.done, self.total = done, total
        self.reused += finished.reused
        scores = finished.scores
        for task, metric, value in zip(scores.task, scores.metric, scores.value, strict=True):
            if metric == (self.overall if task == ALL else self.metric):
                self.values[finished.method, task].append(float(value))
        self.seconds[finished.method].append(finished.cost.fit_seconds)
        if self.console.is_terminal:
            self.live.update(self.picture())
        elif done == total or time.perf_counter() - self.said > PAUSE:
            self.said = time.perf_counter()
            value = self.values[finished.method, ALL][-1:]
            said = f"{self.overall} {show.number(value[0])}, " if value else ""
            how = "kept from before" if finished.reused else show.seconds(finished.cost.fit_seconds)
            show.note(f"{done}/{total} {finished.method} on {finished.split}: {said}{how}", style=None)

    def picture(self) -> Group:
        """Return what the terminal shows now."""
        few = len(self.tasks) <= MANY
        left = (time.perf_counter() - self.started) / max(self.done - self.reused, 1) * (self.total - self.done)
        head = Text(f"{self.done} of {show.plural(self.total, 'fit')}; about {show.seconds(left)} left", style="dim")
        return Group(head, self._by_task() if few else self._by_method(), Text("" if few else self._extremes()))

    def _methods(self) -> list[str]:
        return sorted(self.seconds, key=lambda name: (name != self.main, name))

    def _mean(self, method: str, task: str) -> float | None:
        values = [value for value in self.values.get((method, task), ()) if value == value]
        return sum(values) / len(values) if values else None

    def _by_task(self) -> Any:
        methods = self._methods()
        rows = [(task, *[self._mean(method, task) for method in methods]) for task in self.tasks]
        rows.append((f"all: {self.overall}", *[self._mean(method, ALL) for method in methods]))
        return tabular((f"{self.metric} so far", *methods), rows, console=self.console)

    def _by_method(self) -> Any:
        rows = [
            (
                name,
                len(self.seconds[name]),
                self._mean(name, ALL),
                show.seconds(sum(self.seconds[name]) / len(self.seconds[name])),
            )
            for name in self._methods()
        ]
        return tabular(
            ("method", "splits", f"{self.overall} so far", "per fit"), rows, drop=(1, 3), console=self.console
        )

    def _extremes(self) -> str:
        sign = METRICS[self.metric].sign
        gains = {}
        for task in self.tasks:
            ours, alone = self._mean(self.main, task), self._mean("single", task)
            if ours is not None and alone is not None:
                gains[task] = sign * (ours - alone)
        if not gains:
            return ""
        order = sorted(gains, key=lambda task: gains[task])
        worst, best = order[:3], order[:-4:-1]
        return (
            f"{self.metric}, against each alone: most gained {_named(best, gains)}; least gained {_named(worst, gains)}"
        )


def _named(tasks: list[str], gains: dict[str, float]) -> str:
    return ", ".join(f"{task} ({show.signed(gains[task])})" for task in tasks)
