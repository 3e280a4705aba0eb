"""`relatask check`: audit the data and the configuration, train nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from relatask.cli import show
from relatask.cli.audit import Audit, alone, audit
from relatask.cli.build import build_model, build_splits, describe_splits, make_encoder, method_name
from relatask.cli.classes import encode_targets, pair_in_words
from relatask.cli.files import check_folder, is_run
from relatask.cli.grid import tabular
from relatask.cli.loading import Loaded, load
from relatask.cli.problem import Problem, labelled, make_problem, tell_reading

MATRIX = 16


def check(config: Path, overrides: Sequence[str], *, as_json: bool) -> int:
    """Audit; return 1 where something should be looked at first."""
    from relatask.data import infer, read_table

    loaded = load(config, overrides)
    table = read_table(loaded.data)
    tell_reading(table, str(loaded.data))
    problem = make_problem(table, loaded.config, str(loaded.data))
    if not is_run(loaded.folder):
        check_folder(loaded.folder, resume=True, overwrite=False)
    encoder = make_encoder(loaded.config)
    X = encoder.fit_transform(problem.inputs)
    build_model(loaded.config, loaded.file.parent, problem.names)  # refuses what the relation cannot take
    splits = build_splits(loaded.config, problem).draw(*labelled(problem))
    table, _ = encode_targets(table, loaded.config.binary, str(loaded.data))
    leaks = infer(table, loaded.config.targets, loaded.config.data.by).leaks
    kept = {*problem.inputs.column_names, *problem.targets}
    leaks = tuple(leak for leak in leaks if leak.column in kept)
    found = audit(problem, X, encoder.feature_names_, splits, leaks)
    found.notes.extend(alone(problem, loaded.config, loaded.file.parent))
    cost = estimate(loaded, X.shape, len(problem.names), len(splits))
    if as_json:
        show.print_json(
            {
                "rows": problem.rows,
                "features": list(encoder.feature_names_),
                "dropped": encoder.dropped_,
                "support": found.support,
                "overlap": found.overlap,
                "cost": cost,
                "problems": [vars(item) for item in found.problems],
                "notes": [vars(item) for item in found.notes],
            }
        )
    else:
        _show(loaded, problem, encoder, splits, found, cost)
    return 1 if found.problems else 0


def estimate(loaded: Loaded, shape: tuple[int, int], n_tasks: int, n_splits: int) -> dict[str, Any]:
    """Return how many fits a training run makes, and roughly how long they take here.

    Counted: per split and method one pass over the rows for the sums (n d^2), and per strength and fold one solve
    (t d^3); timed: a matrix product on this machine. Added: what a fit and its scores cost per task, and the report.
    """
    n, d = shape
    automatic = any(relation.strength in (None, "auto") for relation in loaded.config.model.relation)
    methods = 1 + len(loaded.config.beside)
    solves = n_splits * ((126 if automatic else 1) + 126 * len(loaded.config.beside))
    operations = 2.0 * n * d**2 * n_splits * methods * 6 + solves * n_tasks * d**3
    steps = 0.0
    if loaded.config.kinds != ("regression",):  # Newton's steps, each a pass over the rows
        operations += 5 * solves * 2.0 * n * d**2
        steps = 3e-3 * solves
    square = np.ones((400, 400))
    square @ square
    start = time.perf_counter()
    for _ in range(3):
        square @ square
    rate = 3 * 2 * 400**3 / (time.perf_counter() - start)
    return {
        "methods": methods,
        "splits": n_splits,
        "fits": methods * n_splits,
        "solves": solves,
        "seconds": 10 * operations / rate + methods * n_splits * (0.02 + 2e-4 * n_tasks) + steps + 2.5 + 4e-3 * n_tasks,
        "memory_mb": 8e-6 * (n * d * 2 + n_tasks * d * min(d, max(1, n // n_tasks)) * 3),
    }


def _show(
    loaded: Loaded, problem: Problem, encoder: Any, splits: list[Any], found: Audit, cost: dict[str, Any]
) -> None:
    config = loaded.config
    tasks = show.plural(len(problem.names), "task")
    what = f"groups of {config.data.by}" if config.data.by else "columns"
    show.say(f"{loaded.data}: {problem.rows:,} rows, {len(encoder.feature_names_)} inputs, {tasks} ({what})")
    for target, pair in problem.classes.items():
        show.say(f"Two classes: {target} is {pair_in_words(pair)}.")
    show.say(f"Model: {method_name(config.model)}; baselines: {', '.join(config.beside)}")
    show.say(f"Splits: {describe_splits(config, problem)}")
    for name, why in encoder.dropped_.items():
        show.say(f"Left out: {name}, because {why}.")
    out = show.results()
    if found.overlap is not None and len(problem.names) <= MATRIX:
        names = [str(name) for name in problem.names]
        rows = [(name, *[int(n) for n in row]) for name, row in zip(names, found.overlap, strict=True)]
        out.print(tabular(("rows with both labels", *names), rows))
    out.print(_support_table(found))
    show.say(
        f"Cost: {cost['methods']} methods x {cost['splits']} splits = {show.plural(cost['fits'], 'fit')}, "
        f"{cost['solves']:,} solves; about {show.seconds(cost['seconds'])} here (within a factor of five), "
        f"{max(1, round(cost['memory_mb']))} MB for data and sums."
    )
    for item in found.notes:
        show.say(f"{item.code}: {item.message} {item.remedy}", style="dim")
    for item in found.problems:
        show.say(f"{item.code}: {item.message} {item.remedy}", style="yellow")
    if not found.problems:
        notes = f"; {show.plural(len(found.notes), 'note')}" if found.notes else ""
        show.say(f"No problems{notes}.", style="green")


def _support_table(found: Audit, most: int = 12) -> Any:
    rows = sorted(found.support, key=lambda row: (row["min_train"], row["labels"]))
    shown = rows if len(rows) <= most else rows[:most]
    title = "Labels per task" + (f" ({most} of {len(rows)}, fewest first)" if len(rows) > most else "")
    return tabular(
        ("task", "labels", "fewest in training", "fewest in test"),
        [(row["task"], row["labels"], row["min_train"], row["min_test"]) for row in shown],
        title=title,
    )
