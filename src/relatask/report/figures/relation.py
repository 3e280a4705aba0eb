"""The relation between tasks: a clustered heat map with its dendrogram."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relatask.report.figures.canvas import INK, MUTED, NEGATIVE, POSITIVE, Heat, draw
from relatask.report.parts import TaskRelation
from relatask.report.words import number, places, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
NAMED = 60  # beyond, the rows are too thin for names
PRINTED = 12  # up to here every cell has its number


def matrix(relation: TaskRelation) -> Floats:
    """The relation as an array (t, t), NaN where a number is absent."""
    values = np.array(relation.values, dtype=float)
    return values.reshape(len(relation.tasks), len(relation.tasks))


def clustering(relation: TaskRelation) -> tuple[list[int], Floats]:
    """Order of the tasks that puts alike ones side by side, and the tree (linkage matrix) behind it.

    Returns
    -------
    order : list of int
        A permutation of the t tasks.
    tree : (t - 1, 4) array
        As `scipy.cluster.hierarchy.linkage`: average linkage of one minus the entry over its largest size.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering

    values = np.nan_to_num(matrix(relation))
    values = (values + values.T) / 2
    own = np.sqrt(np.abs(np.diag(values)))
    scale = np.outer(own, own) if own.all() else np.full(values.shape, np.abs(values).max() or 1.0)
    apart = np.clip(1 - values / scale, 0, None)[np.triu_indices(len(values), 1)]
    if len(values) < 2:
        return [0] * len(values), np.empty((0, 4))
    tree = linkage(apart, "average")
    if len(values) > 2:
        tree = optimal_leaf_ordering(tree, apart)
    return [int(leaf) for leaf in leaves_list(tree)], tree


def tint(values: Floats, limit: float, power: float = 1.0) -> Floats:
    """Colours (rows, columns, 4): hue says the sign, opacity the size; zero is clear, so the page shows through."""
    colours = np.zeros((*values.shape, 4))
    colours[..., :3] = np.where((np.nan_to_num(values) >= 0)[..., None], POSITIVE, NEGATIVE)
    colours[..., 3] = np.clip(np.abs(np.nan_to_num(values)) / (limit or 1), 0, 1) ** power
    return colours


def _brief(value: float, digits: int) -> str:
    """An entry for a small cell: two decimals at most, no zero before the point."""
    return re.sub(r"^(\D?)0\.", r"\1.", number(value, min(2, digits)))


def relation_figure(relation: TaskRelation, index: Mapping[str, int], *, label: str) -> str:
    """Draw the clustered heat map with its dendrogram at the left.

    Parameters
    ----------
    relation : TaskRelation
        Of t tasks.
    index : mapping of str to int
        The page's number of each task.
    label : str
        For those who cannot see the figure.

    Returns
    -------
    str
        An ``<svg>`` element; ``data-heat`` says where the cells lie, for the page's read-out.
    """
    from scipy.cluster.hierarchy import dendrogram

    values = matrix(relation)
    order, tree = clustering(relation)
    t = len(order)
    shown = values[np.ix_(order, order)]
    between = shown[~np.eye(t, dtype=bool)]
    limit = float(np.nanmax(np.abs(between), initial=0.0)) or 1.0
    power = 2.0 if len(between) and np.nanmedian(np.abs(between)) > limit / 2 else 1.0  # tells strong ones apart
    names = [short(relation.tasks[k], 24) for k in order]
    longest = max((len(name) for name in names), default=0) * 6.6 if t <= NAMED else 0
    side = 520 if t > NAMED else min(520, max(200, 30 * t))
    font = 12 if t <= 32 else 8
    digits = places(between.tolist())

    def paint(figure: Figure) -> Heat:
        left, axes, scale = figure.subplots(1, 3, width_ratios=[0.16 * 520, side, 12], squeeze=False)[0]
        axes.imshow(tint(shown, limit, power), interpolation="none", aspect="auto")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelsize=font)
        if t <= NAMED:
            axes.set_yticks(range(t), names)
            axes.yaxis.tick_right()
            for k, tick in zip(order, axes.get_yticklabels(), strict=True):
                tick.set_gid(f"t{index[relation.tasks[k]]}-name")
        else:
            axes.set_yticks([])
        axes.set_xticks([])
        if t <= PRINTED:
            for i in range(t):
                for j in range(t):
                    axes.text(j, i, _brief(shown[i, j], digits), ha="center", va="center", color=INK, size=10)
        if t > 1:
            lines = dendrogram(tree, no_plot=True)
            for across, down in zip(lines["dcoord"], lines["icoord"], strict=True):
                left.plot(across, np.array(down) / 10 - 0.5, color=MUTED, linewidth=1 if t <= NAMED else 0.6)
            left.set_xlim(float(tree[:, 2].max()) * 1.04 or 1.0, 0)
        left.set_ylim(t - 0.5, -0.5)
        left.set_axis_off()
        ramp = np.linspace(limit, -limit if relation.signed else 0, 101)[:, None]
        scale.imshow(
            tint(ramp, limit, power), aspect="auto", extent=(0, 1, float(ramp[-1, 0]), limit), interpolation="none"
        )
        scale.set_xticks([])
        scale.yaxis.tick_right()
        scale.set_ylim(float(ramp[-1, 0]), limit)
        ends = [limit, 0, -limit] if relation.signed else [limit, 0]
        scale.set_yticks(ends, [number(end, sign=relation.signed) for end in ends])
        scale.tick_params(labelcolor=MUTED)
        tasks = [index[relation.tasks[k]] for k in order]
        return Heat(axes, tasks, tasks, "relation")

    return draw("figure-relation", label, side + 8, paint, width=min(760, side + 120 + longest + 60))
