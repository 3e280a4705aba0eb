"""Who taught whom: heat maps of shares and of what removing a task does, rows learn and columns teach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relatask.report.figures.canvas import INK, MUTED, Heat, draw
from relatask.report.figures.relation import NAMED, PRINTED, _brief, tint
from relatask.report.parts import Teaching
from relatask.report.words import number, places, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
ABOVE = 14  # letters of a name above its column
MANY = 32  # of more tasks than this, one outlying pair does not wash out all others
OUTLYING = 0.995
"""Of many tasks' pairs, those above this quantile have the full colour."""


def values_of_teaching(found: Teaching) -> Floats:
    """The matrix as an array (t, t), NaN where a number is absent."""
    return np.array(found.values, dtype=float).reshape(len(found.tasks), len(found.tasks))


def own_and_largest(found: Teaching) -> tuple[list[float], float]:
    """Every task's share of its own fitted values, and the largest share of another."""
    values = values_of_teaching(found)
    others = values[~np.eye(len(values), dtype=bool)]
    return np.nan_to_num(np.diagonal(values)).tolist(), float(np.nanmax(others, initial=0.0))


def teaching_figure(
    found: Teaching, order: Sequence[int], index: Mapping[str, int], *, name: str, label: str, signed: bool
) -> str:
    """Draw one matrix, the diagonal left clear: what a task makes of itself would drown the rest.

    Parameters
    ----------
    found : Teaching
        Of t tasks.
    order : sequence of int
        Of the tasks, for rows and columns alike.
    index : mapping of str to int
        The page's number of each task.
    name : str
        Of the record's matrix: ``"transfer"`` or ``"removal"``.
    label : str
        For those who cannot see the figure.
    signed : bool
        Whether colours diverge from zero.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    t = len(order)
    shown = 100 * values_of_teaching(found)[np.ix_(order, order)]
    between = np.where(np.eye(t, dtype=bool), np.nan, shown)
    limit = full_colour(between)
    names = [short(found.tasks[k], 24) for k in order]
    longest = max((len(one) for one in names), default=0) * 6.6 if t <= NAMED else 0
    above = max((len(short(one, ABOVE)) for one in names), default=0) * 7.0 if t <= NAMED else 0
    side = 520 if t > NAMED else min(520, max(220, 34 * t))
    font = 12 if t <= 32 else 8
    digits = places(between[np.isfinite(between)].tolist())

    def paint(figure: Figure) -> Heat:
        axes, scale = figure.subplots(1, 2, width_ratios=[side, 12], squeeze=False)[0]
        axes.imshow(tint(between, limit), interpolation="none", aspect="auto")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelsize=font)
        axes.set_xlabel("teaches")
        axes.set_ylabel("learns")
        axes.set_xticks([])
        if t <= NAMED:
            axes.xaxis.tick_top()
            upright = 0 if above <= side / t else 90
            axes.set_xticks(range(t), [short(one, ABOVE) for one in names], rotation=upright)
            axes.tick_params(axis="x", labelcolor=INK)
            axes.set_yticks(range(t), names)
            for k, tick in zip(order, axes.get_yticklabels(), strict=True):
                tick.set_gid(f"t{index[found.tasks[k]]}-name")
        else:
            axes.set_yticks([])
        for i in range(t if t <= PRINTED else 0):
            for j in range(t):
                value = shown[i, j]
                told = "" if not np.isfinite(value) else number(value, 0) if i == j else _brief(value, digits)
                axes.text(j, i, told, ha="center", va="center", color=MUTED if i == j else INK, size=10)
        ramp = np.linspace(limit, -limit if signed else 0, 101)[:, None]
        low = float(ramp[-1, 0])
        scale.imshow(tint(ramp, limit), aspect="auto", extent=(0, 1, low, limit), interpolation="none")
        scale.set_xticks([])
        scale.yaxis.tick_right()
        scale.set_ylim(low, limit)
        ends = [limit, 0, -limit] if signed else [limit, 0]
        scale.set_yticks(ends, [f"{number(end, sign=signed)}%" for end in ends])
        scale.tick_params(labelcolor=MUTED)
        tasks = [index[found.tasks[k]] for k in order]
        return Heat(axes, tasks, tasks, name)

    return draw(f"figure-{name}", label, side + 30 + above, paint, width=min(760, side + 90 + longest))


def full_colour(between: Floats) -> float:
    """The size that has the full colour."""
    sizes = np.abs(between[np.isfinite(between)])
    if not len(sizes):
        return 1.0
    return float(np.quantile(sizes, OUTLYING) if len(between) > MANY else sizes.max()) or 1.0
