"""The files of a network's run: the model, and how its training went, read for the report."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from relatask.cli.config import RunConfig
from relatask.cli.extra import need_deep
from relatask.report import Best, Course, Gate, Seen, Training
from relatask.report.parts import grid

POINTS = 120
"""Of a curve, at most; of longer ones the means of equal pieces."""
MANY = 40
"""Of more tasks, only the losses of validation rows are kept."""


def save_network(folder: Path, model: Any) -> None:
    """Write model.json and model.safetensors."""
    model.save(folder / "model")


def load_network(folder: Path, config: RunConfig) -> Any:
    """Return the fitted network of a run folder."""
    need_deep(str(folder))
    from relatask.train import estimators

    name = json.loads((folder / "model.json").read_text(encoding="utf-8")).get("class", "DeepMultiTask")
    kinds = ("DeepMultiTaskRegressor", "DeepMultiTaskClassifier")
    return getattr(estimators, name if name in kinds else "DeepMultiTask").load(folder / "model")


def look_in(model: Any, folder: Path) -> None:
    """Let a fitted network read pictures and sounds that lie beside a table in this folder."""
    for net in model.nets_:
        net.features.folder = str(folder)


def read_training(folder: Path, method: str, model: Any, tasks: Sequence[Any]) -> Training:
    """Return how the training of a fitted network went, from its logs.

    Parameters
    ----------
    folder : Path
        With the logs.
    method : str
        What tables call the network.
    model : estimator
        Fitted.
    tasks : sequence of t labels
        In order.
    """
    net = model.nets_[0]
    names = {str(task.name): str(label) for task, label in zip(net.tasks, tasks, strict=False)}
    history = [row for row in net.history if row["value"] is not None]
    weights, grams = (_lines(folder / f"{name}.jsonl") for name in ("weights", "grams"))
    few = len(names) <= MANY
    courses = [
        *(_of_history(history, "loss", "train", names) if few else ()),
        *_of_history(history, "loss", "valid", names),
        *_of_history(history, "delta", "valid", names),
        *(_of_weights(weights, names) if few else ()),
        *(_of_grams(grams, names, few)),
    ]
    own = {id(p) for task in net.model.tasks for p in net.model.task_parameters(task)}
    return Training(
        method,
        net.n_epochs,
        net.best_epoch + 1,
        parameters=sum(p.numel() for p in net.model.parameters()),
        shared=sum(p.numel() for p in net.model.parameters() if id(p) not in own),
        courses=tuple(courses),
        best=_best(history, names),
        seen=_seen(history, names),
        gates=_gates(_lines(folder / "gates.jsonl")),
    )


def cosines(folder: Path, tasks: Sequence[Any]) -> np.ndarray | None:
    """Return the (t, t) mean cosines between the tasks' gradients over the steps that were looked at, if any were."""
    names = [str(task) for task in tasks]
    sums, seen = np.zeros((2, len(names), len(names)))
    for line in _lines(folder / "grams.jsonl"):
        at = [names.index(str(task)) for task in line["tasks"] if str(task) in names]
        if len(at) == len(line["tasks"]):
            found = _cosine(np.array(line["gramian"], dtype=float))
            known = np.isfinite(found)
            sums[np.ix_(at, at)] += np.where(known, found, 0.0)
            seen[np.ix_(at, at)] += known
    return None if not seen.any() else np.divide(sums, seen, out=np.full_like(sums, np.nan), where=seen > 0)


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _of_history(
    history: Sequence[Mapping[str, Any]], metric: Any, split: Any, names: Mapping[str, str]
) -> list[Course]:
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in history:
        if row["metric"] == metric and row["split"] == split and row["task"] is not None:
            points[_name(row["task"], names)].append((row["epoch"] + 1.0, row["value"]))
    return [_course(metric, task, split, found) for task, found in points.items()]


def _of_weights(lines: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[Course]:
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for at, line in _spread(lines):
        for task, value in line["weights"].items():
            points[_name(task, names)].append((at, value))
    return [_course("weight", task, "", found) for task, found in points.items()]


def _of_grams(lines: Sequence[Mapping[str, Any]], names: Mapping[str, str], few: bool) -> list[Course]:
    """Shares of the norms, the median cosine, the share of pairs that oppose each other."""
    shares: dict[str, list[tuple[float, float]]] = defaultdict(list)
    pull: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for at, line in _spread(lines):
        gramian = np.array(line["gramian"], dtype=float)
        norms = np.sqrt(np.maximum(np.diagonal(gramian), 0.0))
        for task, norm in zip(line["tasks"], norms, strict=True) if norms.sum() > 0 else ():
            shares[_name(task, names)].append((at, float(norm / norms.sum())))
        between = _cosine(gramian)[np.triu_indices(len(norms), 1)]
        between = between[np.isfinite(between)]
        if len(between):
            pull["cosine"].append((at, float(np.median(between))))
            pull["conflict"].append((at, float((between < 0).mean())))
    found = [_course("share", task, "", values) for task, values in shares.items()] if few else []
    return found + [_course(of, "", "", values) for of, values in pull.items()]


def _spread(lines: Sequence[Mapping[str, Any]]) -> list[tuple[float, Mapping[str, Any]]]:
    """Each line with its epoch, as a number that grows within an epoch; steps of one epoch share it evenly."""
    per: dict[int, list[int]] = defaultdict(list)
    for place, line in enumerate(lines):
        per[line["epoch"]].append(place)
    return [
        (epoch + (k + 0.5) / len(places) + 0.5, lines[place])
        for epoch, places in sorted(per.items())
        for k, place in enumerate(places)
    ]


def _cosine(gramian: np.ndarray) -> np.ndarray:
    norms = np.sqrt(np.maximum(np.diagonal(gramian), 0.0))
    norms = np.where(norms > 0, norms, np.nan)
    return np.clip(gramian / np.outer(norms, norms), -1, 1)


def _course(of: Any, task: str, split: Any, points: Sequence[tuple[float, float]]) -> Course:
    pieces = np.array_split(np.arange(len(points)), min(len(points), POINTS))
    at = [float(np.mean([points[k][0] for k in piece])) for piece in pieces]
    values = [float(f"{statistics.fmean(points[k][1] for k in piece):.5g}") for piece in pieces]
    return Course(of, task, split, tuple(at), tuple(values))


def _name(task: Any, names: Mapping[str, str]) -> str:
    return names.get(str(task), str(task))


def _best(history: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> tuple[Best, ...]:
    found: dict[str, Best] = {}
    for row in history:
        if row["metric"] == "delta" and row["split"] == "valid" and row["task"] is not None:
            task = _name(row["task"], names)
            if task not in found or row["value"] > (found[task].delta or -np.inf):
                found[task] = Best(task, row["epoch"] + 1, row["value"])
    return tuple(found.values())


def _seen(history: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> tuple[Seen, ...]:
    counts: dict[str, list[float]] = defaultdict(list)
    for row in history:
        if row["metric"] == "loss" and row["split"] == "train" and row["task"] is not None and row["n"] is not None:
            counts[_name(row["task"], names)].append(row["n"])
    return tuple(Seen(task, statistics.fmean(values)) for task, values in counts.items())


def _gates(lines: Sequence[Mapping[str, Any]]) -> tuple[Gate, ...]:
    """The gates of the last epoch; of more than two axes the mean over the first ones."""
    last = lines[-1]["epoch"] if lines else None
    found = []
    for line in lines:
        values = np.array(line["value"], dtype=float)
        if line["epoch"] == last and values.size:
            values = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values.reshape(1, -1)
            found.append(Gate(str(line["gate"]), grid(values[:12, :12].round(4))))
    return tuple(found)
