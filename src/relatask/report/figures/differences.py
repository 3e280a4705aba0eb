"""The difference that sharing made, task by task: a dot and its interval, the worst first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from relatask.measure.differences import Difference
from relatask.report.figures.canvas import HELPED, HURT, INK, MUTED, RULE, SAME, SOFT, draw
from relatask.report.words import interval, number, places, present, probability, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 40  # up to here every task has its name; beyond, the extremes only
EXTREMES = 6
_LOOK = {"helped": ("o", HELPED, HELPED), "hurt": ("D", HURT, HURT), "no difference shown": ("o", SAME, "none")}


def differences_figure(
    rows: Sequence[Difference],
    everything: Difference | None,
    index: Mapping[str, int],
    *,
    label: str,
    unit: str,
    scale: float = 1.0,
) -> str:
    """Draw the differences of one method against one baseline.

    Parameters
    ----------
    rows : sequence of Difference
        One per task, in the order of the rows from the top.
    everything : Difference or None
        The difference over all tasks, drawn above them.
    index : mapping of str to int
        The page's number of each task.
    label : str
        For those who cannot see the figure.
    unit : str
        What the horizontal axis counts.
    scale : float
        Multiplies the numbers (100 for shares).

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    rows = [row for row in rows if math.isfinite(row.difference)]
    many = len(rows) > NAMED
    named = [not many or i < EXTREMES or i >= len(rows) - EXTREMES for i in range(len(rows))]
    pitch = np.array([19.0 if name else 4.0 for name in named])
    y = np.cumsum(pitch) - pitch / 2
    top = -26.0 if everything is not None else -6.0
    bottom = float(pitch.sum()) + 6
    limit = _limit(rows, everything) * scale

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.set_xlim(-limit[0], limit[1])
        axes.set_ylim(bottom, top)
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.axvline(0, color=INK, linewidth=1.2, zorder=1.5)
        for i, row in enumerate(rows):
            _row(axes, row, y[i], pitch[i], scale, limit, f"t{index[row.task]}" if row.task in index else "")
        if everything is not None:
            _row(axes, everything, -15.0, 0.0, scale, limit, "")
            axes.axhline(-4.0, color=RULE, linewidth=0.8)
        names = [(y[i], short(row.task), row.task) for i, row in enumerate(rows) if named[i]]
        if everything is not None:
            names.insert(0, (-15.0, "all tasks", ""))
        axes.set_yticks([at for at, _, _ in names], [text for _, text, _ in names])
        for tick, (_, _, task) in zip(axes.get_yticklabels(), names, strict=True):
            if task in index:
                tick.set_gid(f"t{index[task]}-name")
            elif not task:
                tick.set_fontweight("bold")
        if many:
            between = len(rows) - 2 * EXTREMES
            middle = float(np.mean(y[EXTREMES:-EXTREMES]))
            axes.annotate(
                f"{between} tasks between",
                (0, middle),
                xycoords=("axes fraction", "data"),
                xytext=(-6, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                color=MUTED,
            )
        axes.set_xlabel(f"gain in {unit}, with its 95% interval")
        style = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom", "color": MUTED}
        zero = limit[0] / (limit[0] + limit[1])
        axes.annotate("◂ sharing costs", (zero, 1), xytext=(-8, 4), ha="right", **style)  # type: ignore[arg-type]
        axes.annotate("sharing helps ▸", (zero, 1), xytext=(8, 4), ha="left", **style)  # type: ignore[arg-type]

    digits = places([row.difference * scale for row in rows])
    tips = {index[row.task]: _tip(row, scale, digits) for row in rows if row.task in index}
    return draw("figure-differences", label, bottom - top + 70, paint, tips)


def _row(
    axes: Axes,
    row: Difference,
    y: float,
    pitch: float,
    scale: float,
    limit: np.ndarray,
    task: str,
) -> None:
    marker, edge, face = _LOOK.get(row.verdict, _LOOK["no difference shown"])
    small = 0 < pitch < 10
    gid = (lambda part: f"{task}-{part}") if task else (lambda part: None)
    if task:  # catches the pointer over the whole row; visible when its task is highlighted
        axes.axhline(y, color=SOFT, linewidth=pitch, gid=gid("band"), zorder=0.5, solid_capstyle="butt")
    if math.isfinite(row.low) and math.isfinite(row.high):
        low, high = max(row.low * scale, -limit[0]), min(row.high * scale, limit[1])
        axes.plot([low, high], [y, y], color=edge, linewidth=1.1 if small else 2, gid=gid("line"), zorder=2)
        for cut, at, arrow in ((row.low * scale < low, low, "<"), (row.high * scale > high, high, ">")):
            if cut:
                axes.plot([at], [y], marker=arrow, markersize=3 if small else 5, color=edge, clip_on=False, zorder=2.5)
    at = float(np.clip(row.difference * scale, -limit[0], limit[1]))
    axes.plot(
        [at],
        [y],
        linestyle="",
        marker=marker if task else "s",
        markersize=3.4 if small else 6.5,
        markeredgecolor=edge,
        markerfacecolor=face,
        markeredgewidth=1 if small else 1.6,
        gid=gid("dot"),
        zorder=3,
        clip_on=False,
    )


def _limit(rows: Sequence[Difference], everything: Difference | None) -> np.ndarray:
    """How far the axis goes below and above zero: all dots, and nearly all intervals (a wild one is cut)."""
    shown = [*rows, everything] if everything is not None else list(rows)
    dots, lows, highs = (
        np.array(present(getattr(row, name) for row in shown) or [0.0]) for name in ("difference", "low", "high")
    )
    reach = 2.5 * float(np.percentile(np.abs(np.concatenate([lows, highs])), 75)) + 1e-12
    below = max(-float(dots.min()), min(-float(lows.min()), reach), 0.0)
    above = max(float(dots.max()), min(float(highs.max()), reach), 0.0)
    room = 0.05 * (below + above) + 1e-9
    return np.array([max(below, 0.12 * above) + room, max(above, 0.12 * below) + room])


def _tip(row: Difference, scale: float, digits: int) -> str:
    around = interval(row.low * scale, row.high * scale, digits)
    middle = number(row.difference * scale, digits, sign=True)
    return f"{row.task}: {middle} ({around}), {row.verdict}, q {probability(row.q)}"
