"""Figures of a training: a small chart a task, and lines of several tasks in one chart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from relatask.report.course import Course, Training
from relatask.report.figures.canvas import ACCENT, INK, MUTED, RULE, SAME, draw
from relatask.report.words import number, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHARTS = 12
"""Of more tasks, the learning curves are lines in one chart."""
ACROSS = 3
NAMED = 10
"""Lines with their name at the end; of more, only the pointer tells."""
HIGH = 150.0


def curves_figure(training: Training, index: Mapping[str, int], *, label: str) -> str:
    """Draw losses on training and validation rows, a chart a task, with the task's best epoch and the kept one."""
    tasks = [course.task for course in training.of("loss", "train")]
    down = math.ceil(len(tasks) / ACROSS)
    across = min(ACROSS, len(tasks))

    def paint(figure: Figure) -> None:
        charts = figure.subplots(down, across, squeeze=False, sharex=True)
        best = {row.task: row.epoch for row in training.best}
        for place in range(down * across):
            axes = charts[place // across][place % across]
            if place >= len(tasks):
                axes.set_visible(False)
                continue
            _curve(axes, training, tasks[place], index, best.get(tasks[place]), place == 0)
            if place + across >= len(tasks):
                axes.set_xlabel("epoch")
                axes.tick_params(labelbottom=True)

    return draw("figure-curves", label, down * HIGH + 40, paint, width=640 if across > 1 else 420)


def _curve(axes: Axes, training: Training, task: str, index: Mapping[str, int], best: int | None, legend: bool) -> None:
    gid = f"t{index[task]}" if task in index else None
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.axvline(training.kept, color=MUTED, linewidth=0.9, linestyle=(0, (3, 3)))
    for split, colour, width in (("train", SAME, 1.2), ("valid", ACCENT, 1.8)):
        for course in training.of("loss", split):
            if course.task == task:
                line = f"{gid}-{split}" if gid else None
                axes.plot(*_points(course), color=colour, linewidth=width, gid=line, label=_SPLITS[split])
                if split == "valid" and best is not None and len(course.at):
                    near = int(np.argmin(np.abs(np.array(course.at) - best)))
                    value = course.values[near]
                    if value is not None:
                        dot = f"{gid}-dot" if gid else None
                        axes.plot([course.at[near]], [value], "o", markersize=5.5, color=ACCENT, gid=dot, label="best")
    axes.set_title(short(task, 26), fontsize=12, loc="left", color=INK)
    axes.locator_params(axis="y", nbins=4)
    axes.locator_params(axis="x", integer=True, nbins=5)
    axes.tick_params(axis="y", labelcolor=MUTED)
    if legend:
        axes.legend(loc="best", frameon=False, fontsize=10)


_SPLITS = {"train": "training", "valid": "validation"}


def lines_figure(
    name: str,
    courses: Sequence[Course],
    index: Mapping[str, int],
    *,
    label: str,
    unit: str,
    kept: int | None = None,
    floor: float | None = None,
) -> str:
    """Draw several numbers over the epochs in one chart.

    Parameters
    ----------
    name : str
        Of the figure.
    courses : sequence of Course
        The lines; where `task` is empty, `split` or `of` names them.
    index : mapping of str to int
        The page's number of each task.
    label, unit : str
        For those who cannot see the figure; what the upright axis counts.
    kept : int, optional
        The epoch whose weights are kept.
    floor : float, optional
        A level to draw a line at.
    """
    many = len(courses) > NAMED

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        if floor is not None:
            axes.axhline(floor, color=INK, linewidth=1)
        if kept is not None:
            axes.axvline(kept, color=MUTED, linewidth=0.9, linestyle=(0, (3, 3)))
        ends: list[tuple[float, float, str, str]] = []
        for k, course in enumerate(courses):
            at, values = _points(course)
            gid = f"t{index[course.task]}" if course.task in index else ""
            style: dict[str, Any] = {"color": ACCENT, "linewidth": 1.8, "linestyle": _DASHES[k % len(_DASHES)]}
            if many:
                style |= {"color": SAME, "linewidth": 1.0, "linestyle": "-"}
            axes.plot(at, values, gid=f"{gid}-line" if gid else None, marker="" if len(at) > 1 else "o", **style)
            defined = [(a, v) for a, v in zip(at, values, strict=True) if math.isfinite(v)]
            if defined:
                ends.append((*defined[-1], course.task or _NAMES.get(course.of, course.of), gid))
        axes.set_xlabel("epoch")
        axes.set_ylabel(unit)
        axes.tick_params(axis="y", labelcolor=MUTED)
        axes.locator_params(axis="x", integer=True)
        if ends:
            axes.set_xlim(right=max(end[0] for end in ends))
        if not many:
            _names(axes, ends)

    tips = {index[course.task]: _tip(course) for course in courses if course.task in index}
    return draw(name, label, 240, paint, tips)


_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 2)), (0, (6, 2, 2, 2)), (0, (1, 3)))
_NAMES = {"cosine": "median cosine", "conflict": "pairs that oppose"}


def _names(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write names at the ends of lines, moved apart where they would lie on each other."""
    if not ends:
        return
    low, high = axes.get_ylim()
    gap = 0.075 * (high - low)
    placed: list[float] = []
    for x, y, text, gid in sorted(ends, key=lambda end: end[1]):
        at = max(y, placed[-1] + gap) if placed else y
        placed.append(at)
        note = axes.annotate(
            short(text, 22), (x, at), xytext=(6, 0), textcoords="offset points", va="center", fontsize=11, color=INK
        )
        note.set_gid(f"{gid}-name" if gid else None)
    axes.set_ylim(low, max(high, placed[-1] + gap / 2))


def _points(course: Course) -> tuple[list[float], list[float]]:
    return list(course.at), [float("nan") if value is None else value for value in course.values]


def _tip(course: Course) -> str:
    known = [value for value in course.values if value is not None]
    return f"{course.task}: {number(known[0])} at first, {number(known[-1])} at last" if known else course.task
