"""The picture of the page: gain over the best single-task model against labels a task."""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

LINES = {
    "HierarchicalPrior": ("#1f6fb2", "-"),
    "Ridge + Pairwise": ("#c2410c", "-"),
    "TraceNorm": ("#3f7d3a", "-"),
    "SharedSparsity": ("#7b5ea7", "-"),
    "pooled": ("#8a94a0", "--"),
    "pooled_slopes": ("#8a94a0", "-"),
}
TITLES = {"few-school": "School: students", "few-sarcos": "Sarcos: rows", "few-beijing": "Beijing: hours"}
LOW, HIGH = -20.0, 40.0


def draw(rows: list[dict[str, str]], path: Path) -> None:
    """A panel a data set; what lies below the axis is left out."""
    sets = list(dict.fromkeys(row["set"] for row in rows))
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(sets), sharey=True, squeeze=False)[0], sets, strict=True):
        ours = [row for row in rows if row["set"] == name]
        axes.axhline(0, color="#1d2733", linewidth=0.8)
        for method, (colour, style) in LINES.items():
            line = [row for row in ours if row["method"] == method]
            x = [int(row["rows"]) for row in line]
            y = [100 * float(row["gain"]) for row in line]
            if x:
                axes.plot(x, y, style, color=colour, marker="o", markersize=3.5, label=method.replace("_", " "))
        axes.set(xscale="log", title=TITLES[name], xlabel="training rows a task", ylim=(LOW, HIGH))
        ticks = sorted({int(row["rows"]) for row in ours})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("gain over the best single, points")
    figure.legend(*_labels(figure), loc="outside lower center", ncols=len(LINES), frameon=False, fontsize=8)
    with mpl.rc_context({"svg.hashsalt": "relatask", "svg.fonttype": "none"}):
        figure.savefig(os.fspath(path), metadata={"Date": None})


def _labels(figure: Figure) -> tuple[list[object], list[str]]:
    found: dict[str, object] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)
