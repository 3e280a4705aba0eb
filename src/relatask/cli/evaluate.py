"""`relatask evaluate`: the scores of a trained run on new labelled rows, with bootstrap intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from relatask.cli import show
from relatask.cli.build import kinds_of
from relatask.cli.classes import encode_targets
from relatask.cli.fitted import load_fitted
from relatask.cli.grid import tabular
from relatask.cli.outcome import share
from relatask.cli.predict import predict_table
from relatask.cli.problem import label_column, need
from relatask.cli.seen import fingerprints, raw_fingerprints, share_seen
from relatask.notices import InputError

MANY = 40
FEW_SEEN = 0.02
"""Rows of few different values may equal a training row by chance: so many are not told."""


def evaluate(run: Path, data: Path, *, bootstrap: int, seed: int, as_json: bool) -> int:
    """Score every task of a run on the rows of a table."""
    from relatask.data import read_table
    from relatask.measure import bootstrap_scores
    from relatask.measure.catalogue import suits, task_metric

    if bootstrap < 2:
        raise InputError(f"--bootstrap {bootstrap}: expected at least 2 samples.")
    fitted = load_fitted(run)
    config = fitted.loaded.config
    table = read_table(data)
    need(table, config.targets, str(data), "a target of the run")
    table, _ = encode_targets(table, config.binary, str(data), fitted.classes, config.several)
    names = tuple(config.tasks) if config.data.by is None else tuple(fitted.model.tasks_.tolist())
    found = predict_table(fitted, table, str(data), names)
    labels = np.column_stack([label_column(table, name, str(data)) for name in config.targets])
    y = labels if found.tasks is None else labels[found.rows, 0]
    if np.isnan(y).all():
        raise InputError(f"{data}: no row has a label in {', '.join(config.targets)}; there is nothing to score.")
    codes = None if found.tasks is None else np.searchsorted(fitted.model.tasks_, found.tasks)
    wanted = list(dict.fromkeys([*config.metrics, *(task_metric(metric) for metric in config.metrics)]))
    kinds = [*kinds_of(config, names).values()]
    wanted = [metric for metric in wanted if suits(metric, config.kinds)]
    rows = bootstrap_scores(y, found.prediction, codes, names, wanted, kinds=kinds, repeats=bootstrap, seed=seed)
    for row in rows:
        del row["n_train"]
    prints = fingerprints if fitted.encoder is not None else raw_fingerprints
    seen = share_seen(run, prints(found.inputs, y, found.tasks))
    if seen > FEW_SEEN:
        share_said = "the rows" if seen == 1 else f"about {max(100 * seen, 1):.0f}% of the rows"
        show.note(
            f"warning: {share_said} of {data} are rows that the run was trained on (equal inputs, task and target): "
            "these scores flatter it.",
            style="yellow",
        )
    if as_json:
        facts = {"run": str(run), "data": str(data), "bootstrap": bootstrap, "seen_in_training": seen}
        show.print_json({**facts, "scores": rows})
    else:
        _show(run, data, rows, bootstrap)
    return 0


def _show(run: Path, data: Path, rows: list[dict[str, Any]], samples: int) -> None:
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    cells = {(row["task"], row["metric"]): row for row in rows}
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    shown = tasks if len(tasks) <= MANY else [*tasks[: MANY - 1], tasks[-1]]
    columns = ["task", "labels"]
    columns += [f"{metric}{', %' if share(metric) else ''} [95%]" for metric in metrics]
    body = [
        (task, next(row["n"] for row in rows if row["task"] == task), *[_cell(cells.get((task, m))) for m in metrics])
        for task in shown
    ]
    show.results().print(tabular(columns, body, title=f"{run} on {data}"))
    if len(shown) < len(tasks):
        show.say(f"{len(tasks) - len(shown)} more tasks: --json prints them all.")
    show.say(f"Intervals: {samples} bootstrap samples of the rows, the model held fixed.")


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    factor = 100 if share(row["metric"]) else 1
    value = show.number(factor * row["value"])
    if np.isnan(row["low"]):
        return value
    return f"{value} [{show.number(factor * row['low'], 3)}, {show.number(factor * row['high'], 3)}]"
