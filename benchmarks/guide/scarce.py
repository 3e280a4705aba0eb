"""Few labels a task: the same test rows, ever more training rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.guide import menu
from benchmarks.guide.cases import MEAN_R2, WITHIN, Case, weather
from relatask.data import TableEncoder, load
from relatask.study import splits

COLUMNS = ("set", "rows", "method", "metric", "mean", "sd", "single", "gain", "low", "high", "q", "verdict")
REPEATS = 5
SIZES = {"school": (10, 20, 40, 80), "sarcos": (20, 40, 80, 160), "beijing": (20, 40, 80, 160)}
TEST = {"school": 20, "sarcos": 200, "beijing": 100}


@dataclass(frozen=True, eq=False)
class Scarce:
    """A data set of which any number of rows a task can be given."""

    title: str
    X: Any
    y: Any
    tasks: Any
    metric: str
    models: dict[str, Any]
    before: Any = None
    encode: TableEncoder | None = None

    def case(self, name: str, size: int) -> Case:
        """`size` training rows a task (of the columns: rows with all labels), the same test rows for every size."""
        pairs = [self._draw(name, size, repeat) for repeat in range(REPEATS)]
        how = f"{size} rows a task train, {TEST[name]} test, {REPEATS} draws"
        way = splits.given(pairs)
        return Case(
            f"{name}-{size}", self.title, how, self.X, self.y, self.tasks, way, self.metric, self.models, self.encode
        )

    def _draw(self, name: str, size: int, repeat: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(repeat)
        codes = np.zeros(len(self.y), int) if self.tasks is None else np.unique(self.tasks, return_inverse=True)[1]
        train, test = [], []
        for task in range(codes.max() + 1):
            mine = np.flatnonzero(codes == task)
            if self.before is None:
                mine = rng.permutation(mine)
                test.append(mine[: TEST[name]])
                train.append(mine[TEST[name] :][:size])
            else:  # training rows lie in the past of the test rows
                past, later = mine[self.before[mine]], mine[~self.before[mine]]
                test.append(rng.choice(later, TEST[name], replace=False))
                train.append(rng.permutation(past)[:size])
        return np.concatenate(train), np.concatenate(test)


def school() -> Scarce:
    """The schools that have enough students."""
    data = load("school")
    names, count = np.unique(data.tasks, return_counts=True)
    kept = np.isin(data.tasks, names[count >= max(SIZES["school"]) + TEST["school"]])
    X, y, tasks = data.X[kept], data.y[kept], data.tasks[kept]
    title = f"School, the {len(np.unique(tasks))} schools of {max(SIZES['school']) + TEST['school']} students or more"
    return Scarce(title, X, y, tasks, WITHIN, menu.models(menu.quick(), columns=False))


def sarcos() -> Scarce:
    """Seven torques."""
    data = load("sarcos")
    return Scarce("Sarcos", data.X, data.y, None, MEAN_R2, menu.models(menu.quick(), columns=True))


def beijing() -> Scarce:
    """Twelve stations: hours of the first two years train, of the others test."""
    data = load("beijing_air")
    keep = ~np.isnan(data.y) & (np.arange(len(data.y)) % 6 == 0)
    X, hours = weather(data, keep)
    before = hours < np.median(hours)
    title = "Beijing, PM2.5 at twelve stations, the last two years from hours of the first two"
    models = menu.models(menu.quick(), columns=False)
    return Scarce(title, X, data.y[keep], data.tasks[keep], WITHIN, models, before, TableEncoder())


SCARCE: dict[str, Callable[[], Scarce]] = {"school": school, "sarcos": sarcos, "beijing": beijing}
SCARCE_NAMES = tuple(f"few-{name}" for name in SCARCE)
