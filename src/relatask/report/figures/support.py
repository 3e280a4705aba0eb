"""How many labels each task has, in training and test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from relatask.report.figures.canvas import ACCENT, RULE, SAME, SOFT, draw
from relatask.report.parts import TaskSupport
from relatask.report.words import number, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 40


def support_figure(rows: Sequence[TaskSupport], index: Mapping[str, int], *, label: str) -> str:
    """Draw a bar per task, the most labels first: names where there is room, else a profile."""
    rows = sorted(rows, key=lambda row: -(row.train + row.test))
    many = len(rows) > NAMED
    pitch = 2.6 if many else 19.0
    y = pitch * (np.arange(len(rows)) + 0.5)
    train, test = np.array([row.train for row in rows]), np.array([row.test for row in rows])

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.set_ylim(pitch * len(rows) + 4, -4)
        axes.set_xlim(0, 1.04 * float((train + test).max(initial=1.0)))
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        thick = pitch * (0.75 if many else 0.6)
        for i, row in enumerate(rows):
            gid = f"t{index[row.task]}"
            axes.axhline(y[i], color=SOFT, linewidth=pitch, gid=f"{gid}-band", zorder=0.5)
        axes.barh(y, train, thick, color=ACCENT, alpha=0.8, label="training rows")
        axes.barh(y, test, thick, left=train, color=SAME, alpha=0.6, label="test rows")
        if many:
            axes.set_yticks([])
            axes.set_ylabel(f"{len(rows)} tasks, the most labels first")
        else:
            axes.set_yticks(y, [short(row.task) for row in rows])
            for row, tick in zip(rows, axes.get_yticklabels(), strict=True):
                tick.set_gid(f"t{index[row.task]}-name")
        axes.set_xlabel("observed labels")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderaxespad=0.2)

    tips = {
        index[row.task]: f"{row.task}: {number(row.train)} training, {number(row.test)} test labels" for row in rows
    }
    return draw("figure-support", label, pitch * len(rows) + 80, paint, tips)
