"""What is shared: each feature's mean coefficient with its spread over the tasks, and every task's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relatask.report.figures.canvas import ACCENT, INK, MUTED, RULE, SAME, Heat, draw
from relatask.report.figures.relation import NAMED, tint
from relatask.report.parts import Coefficients
from relatask.report.words import number, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
FEATURES = 30  # at most so many are drawn, the largest first
SINGLY = 30  # up to so many tasks have a tick each; of more, the range is drawn


def values_of(coefficients: Coefficients) -> Floats:
    """The coefficients as an array (t, d), NaN where a number is absent."""
    shape = (len(coefficients.tasks), len(coefficients.features))
    return np.array(coefficients.values, dtype=float).reshape(shape)


def largest(coefficients: Coefficients) -> list[int]:
    """Positions of the features that have a number, by their sum of squares over the tasks, the largest first."""
    values = values_of(coefficients)
    size = np.nansum(values**2, axis=0)
    return [int(j) for j in np.argsort(-size, kind="stable") if np.isfinite(values[:, j]).any()]


def shared_figure(coefficients: Coefficients, *, label: str, unit: str) -> str:
    """Draw, per feature, the mean over tasks, its spread (one standard deviation), and the tasks or their range."""
    chosen = largest(coefficients)[:FEATURES]
    values = values_of(coefficients)[:, chosen]
    mean, sd = np.nanmean(values, axis=0), np.nanstd(values, axis=0)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        y = np.arange(len(chosen))
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.axvline(0, color=INK, linewidth=1.2, zorder=1.5)
        if len(values) <= SINGLY:
            ticks = np.broadcast_to(y[:, None], values.T.shape)
            axes.plot(values.T, ticks, "|", markersize=9, color=SAME, alpha=0.75, zorder=1.8)
        for j in y:
            if len(values) > SINGLY:
                axes.plot(
                    [np.nanmin(values[:, j]), np.nanmax(values[:, j])], [j, j], color=SAME, linewidth=1, zorder=1.8
                )
            axes.plot([mean[j] - sd[j], mean[j] + sd[j]], [j, j], color=ACCENT, linewidth=2.4, zorder=2)
        axes.plot(mean, y, linestyle="", marker="o", markersize=7, color=ACCENT, zorder=3)
        axes.set_yticks(y, [short(coefficients.features[j]) for j in chosen])
        axes.set_ylim(len(chosen) - 0.4, -0.6)
        axes.set_xlabel(unit)

    return draw("figure-shared", label, 22 * len(chosen) + 56, paint)


def tasks_figure(coefficients: Coefficients, order: Sequence[str], index: Mapping[str, int], *, label: str) -> str:
    """Draw every task's coefficients as a heat map: a row per task in the given order, a column per feature."""
    chosen = largest(coefficients)[:FEATURES]
    place = {task: i for i, task in enumerate(coefficients.tasks)}
    rows = [place[task] for task in order if task in place]
    rows += [i for i in range(len(place)) if i not in set(rows)]
    values = values_of(coefficients)[np.ix_(rows, chosen)]
    limit = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    tasks = [index[coefficients.tasks[i]] for i in rows]
    t = len(rows)
    height = 24 * t if t <= 20 else max(420, min(560, 12 * t)) if t <= NAMED else 4 * min(t, 200)

    def paint(figure: Figure) -> Heat:
        axes, scale = figure.subplots(1, 2, width_ratios=[480, 10], squeeze=False)[0]
        axes.imshow(tint(values, limit), interpolation="none", aspect="auto")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xticks(range(len(chosen)), [short(coefficients.features[j], 22) for j in chosen], rotation=90)
        axes.xaxis.tick_top()
        axes.tick_params(axis="x", labelcolor=INK, labelsize=11)
        if t <= NAMED:
            axes.set_yticks(range(t), [short(coefficients.tasks[i], 26) for i in rows], size=12 if t <= 32 else 8)
            for task, tick in zip(tasks, axes.get_yticklabels(), strict=True):
                tick.set_gid(f"t{task}-name")
        else:
            axes.set_yticks([])
            axes.set_ylabel(f"{t} tasks")
        ramp = np.linspace(limit, -limit, 101)[:, None]
        scale.imshow(tint(ramp, limit), aspect="auto", extent=(0, 1, -limit, limit), interpolation="none")
        scale.set_xticks([])
        scale.yaxis.tick_right()
        scale.set_yticks([limit, 0, -limit], [number(end, sign=True) for end in (limit, 0, -limit)])
        scale.tick_params(labelcolor=MUTED)
        return Heat(axes, tasks, chosen, "coefficients")

    longest = max((len(short(coefficients.features[j], 22)) for j in chosen), default=0)
    return draw("figure-tasks", label, height + 6.5 * longest + 24, paint, width=760)
