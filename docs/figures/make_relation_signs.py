"""Draw the two figures of docs/relations.md:  python docs/figures/make_relation_signs.py [folder]"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from relatask.relations import Graph, Quadratic, Relation, TaskKernel, TaskPrecision

SIMILAR = [[1.0, 0.8], [0.8, 1.0]]
ARTICLE_A = np.array([[1.0, 0.8, 0.2], [0.8, 1.0, 0.5], [0.2, 0.5, 1.0]])
INK, BLUE, RED, GREY = "#1d2733", "#1f6fb2", "#c2410c", "#8a94a0"


def landscape(axes: Axes, relation: Quadratic, title: str, says: str, colour: str) -> None:
    """The penalty as contours over (w_1, w_2), and where it takes the tasks as its strength grows."""
    grid = np.linspace(-2.2, 2.2, 61)
    values = np.array([[float(relation([[a], [b]])) for a in grid] for b in grid])
    axes.contour(grid, grid, values, levels=np.array([0.05, 0.3, 0.8, 1.6, 2.8, 4.5]), colors=GREY, linewidths=0.8)
    axes.plot(grid, grid, color=GREY, linewidth=0.8, linestyle=":")
    start = np.array([[1.9], [0.5]])
    path = np.hstack([start, *(relation.prox(start, step) for step in np.geomspace(1e-2, 30, 60))])
    axes.plot(*path, color=colour, linewidth=2.2)
    axes.annotate("", path[:, -1], path[:, -4], arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.2})
    axes.plot(*start, "o", color=INK, markersize=6)
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axes.text(2.14, 0.3, "least\nsquares", color=INK, fontsize=8, ha="right", va="top", bbox=paper, zorder=1)
    axes.text(1.3, 1.75, "$w_1 = w_2$", color=GREY, fontsize=8, ha="right", bbox=paper)
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.set_xlabel(f"$w_1$\n{says}", color=INK, fontsize=9)
    axes.set_ylabel("$w_2$", color=INK, fontsize=9)
    axes.set(aspect="equal", xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), xticks=[-2, 0, 2], yticks=[-2, 0, 2])


def signs() -> Figure:
    """The same matrix read as a precision, as a kernel, and as a graph."""
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    landscape(left, TaskPrecision(SIMILAR), "TaskPrecision([[1, .8], [.8, 1]])", "pushed apart", RED)
    landscape(middle, TaskKernel(SIMILAR), "TaskKernel([[1, .8], [.8, 1]])", "pulled together", BLUE)
    landscape(right, Graph(SIMILAR), "Graph([[1, .8], [.8, 1]])", "pulled together, to the mean", BLUE)
    return figure


def heat(axes: Axes, matrix: np.ndarray, title: str, says: str) -> None:
    """A matrix with its entries: blue pulls together, red pushes apart; the diagonal is left grey."""
    axes.set(xlim=(-0.5, 2.5), ylim=(2.5, -0.5), xticks=range(3), yticks=range(3), aspect="equal")
    axes.set_xticklabels(["1", "2", "3"])
    axes.set_yticklabels(["1", "2", "3"])
    for i, j in np.ndindex(3, 3):
        strength = 0.0 if i == j else -matrix[i, j] / np.abs(matrix - np.diag(np.diag(matrix))).max()
        colour = mpl.colors.to_rgba(BLUE if strength > 0 else RED, 0.15 + 0.65 * abs(strength)) if i != j else "#eceff2"
        axes.fill([j - 0.5, j + 0.5, j + 0.5, j - 0.5], [i - 0.5, i - 0.5, i + 0.5, i + 0.5], color=colour, lw=0)
        axes.text(j, i, f"{matrix[i, j]:+.2f}", ha="center", va="center", color=INK, fontsize=11)
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.set_xlabel(says, color=INK, fontsize=9)


def precision_of(relation: Relation) -> np.ndarray:
    """The (t, t) matrix P in R(W) = 1/2 tr(W' P W)."""
    assert isinstance(relation, Quadratic)
    return relation.precision(len(ARTICLE_A)).dense()


def matrices() -> Figure:
    """What article A's matrix does in the three readings: the precisions that the penalty really has."""
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    heat(
        left, precision_of(TaskPrecision(ARTICLE_A)), "P of TaskPrecision(A): A itself", "all three pairs pushed apart"
    )
    heat(middle, precision_of(TaskKernel(ARTICLE_A)), "P of TaskKernel(A): A$^{-1}$", "1 and 3 pushed apart, given 2")
    heat(right, precision_of(Graph(ARTICLE_A, 0.25)), "P of Graph(A, 1/4): D - A", "all pairs pulled together")
    return figure


def main(folder: Path) -> None:
    """Write both figures as SVG, the same bytes for the same versions."""
    with mpl.rc_context({"svg.hashsalt": "relatask", "svg.fonttype": "path", "font.family": "DejaVu Sans"}):
        for name, figure in {"relation_signs": signs(), "article_a_matrices": matrices()}.items():
            for axes in figure.axes:
                axes.tick_params(colors=INK, labelsize=8)
                axes.spines[:].set_color("#c9d0d8")
            figure.savefig(folder / f"{name}.svg", facecolor="white", metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
