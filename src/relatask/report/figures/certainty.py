"""How far intervals reach, task by task: a dot, a bar over the task's rows, and how far without any input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from relatask.report.figures.canvas import ACCENT, MUTED, RULE, SOFT, draw
from relatask.report.parts import TaskCertainty
from relatask.report.words import number, places, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 40
GAUSSIAN = 1.6449
"""Half a 90% interval, in standard deviations."""


def drawn(row: TaskCertainty, relative: bool) -> tuple[float, float, float, float]:
    """Dot, both ends of the bar, and the reach without inputs; NaN where there is none."""
    nan = float("nan")
    alone = nan if row.sd is None else GAUSSIAN * row.sd
    found = [nan if value is None else value for value in (row.half, row.narrow, row.wide)]
    if relative:
        unit = alone if alone > 0 else nan
        return found[0] / unit, found[1] / unit, found[2] / unit, 1.0
    return found[0], found[1], found[2], alone


def certainty_figure(
    rows: Sequence[TaskCertainty], index: Mapping[str, int], *, label: str, unit: str, relative: bool
) -> str:
    """Draw the half-width of 90% intervals, the narrowest on top: names where there is room, else a profile.

    Parameters
    ----------
    rows : sequence of TaskCertainty
        Those to show, at least one.
    index : mapping of str to int
        The page's number of each task.
    label : str
        For those who cannot see the figure.
    unit : str
        What the horizontal axis counts.
    relative : bool
        Whether each task is measured by its own labels' spread, as tasks of different units must be.
    """
    at = np.array([drawn(row, relative) for row in rows])
    order = np.argsort(at[:, 0], kind="stable")
    rows, at = [rows[k] for k in order], at[order]
    many = len(rows) > NAMED
    pitch = 4.6 if many else 19.0
    y = pitch * (np.arange(len(rows)) + 0.5)
    top = 1.06 * float(np.nanmax(at, initial=0.0)) or 1.0

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.set_ylim(pitch * len(rows) + 4, -4)
        axes.set_xlim(0, top)
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        for i, row in enumerate(rows):
            axes.axhline(y[i], color=SOFT, linewidth=pitch, gid=f"t{index[row.task]}-band", zorder=0.5)
        axes.hlines(y, at[:, 1], at[:, 2], color=ACCENT, linewidth=1.4 if many else 3, alpha=0.6, zorder=2)
        dots: dict[str, Any] = {"linestyle": "", "clip_on": False, "zorder": 3}
        size = 3.2 if many else 6.5
        axes.plot(at[:, 0], y, marker="o", markersize=size, color=ACCENT, label="with the model", **dots)
        axes.plot(at[:, 3], y, marker="|", markersize=4 if many else 11, color=MUTED, label="without any input", **dots)
        if many:
            axes.set_yticks([])
            axes.set_ylabel(f"{len(rows)} tasks, the narrowest on top")
        else:
            axes.set_yticks(y, [short(row.task) for row in rows])
            for row, tick in zip(rows, axes.get_yticklabels(), strict=True):
                tick.set_gid(f"t{index[row.task]}-name")
        axes.set_xlabel(unit)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2)

    digits = places([row.half for row in rows])
    tips = {
        index[row.task]: f"{row.task}: ± {number(row.half, digits)} with {number(row.freedom)} degrees of freedom"
        for row in rows
    }
    return draw("figure-certainty", label, pitch * len(rows) + 84, paint, tips)
