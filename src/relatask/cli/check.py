"""`relatask check`: audit the data and the configuration, train nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from relatask.cli.run import names_beside

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
    model = build_model(loaded.config, loaded.file.parent, problem.names)  # refuses what the relation cannot take
    encoder, X = None, None
    if loaded.config.network is None:
        encoder = make_encoder(loaded.config)
        X = encoder.fit_transform(problem.inputs)
    splits = build_splits(loaded.config, problem).draw(*labelled(problem))
    table, _ = encode_targets(table, loaded.config.binary, str(loaded.data), several=loaded.config.several)
    leaks = infer(table, loaded.config.targets, loaded.config.data.by).leaks
    kept = {*problem.inputs.column_names, *problem.targets}
    leaks = tuple(leak for leak in leaks if leak.column in kept)
    found = audit(problem, X, encoder.feature_names_ if encoder else (), splits, leaks)
    found.notes.extend(alone(problem, loaded.config, loaded.file.parent))
    if encoder is None or X is None:
        from relatask.cli.network_check import network_inputs

        inputs = network_inputs(loaded, problem, model, len(splits))
    else:
        cost = estimate(loaded, X.shape, len(problem.names), len(splits))
        inputs = Inputs(encoder.feature_names_, encoder.dropped_, cost, cost_words(cost))
    if as_json:
        show.print_json(
            {
                "rows": problem.rows,
                "features": list(inputs.names),
                "dropped": inputs.dropped,
                "support": found.support,
                "overlap": found.overlap,
                "cost": inputs.cost,
                "problems": [vars(item) for item in found.problems],
                "notes": [vars(item) for item in found.notes],
            }
        )
    else:
        _show(loaded, problem, inputs, found)
    return 1 if found.problems else 0


@dataclass(frozen=True)
class Inputs:
    """What a model takes, and what training it costs.

    Parameters
    ----------
    names : tuple of str
        Encoded inputs, or a network's columns.
    dropped : dict of str to str
        Columns left out, and why.
    cost : dict
        For machines.
    told : str
        The same in words.
    roles : dict of str to str
        What a network reads its columns as.
    """

    names: tuple[str, ...]
    dropped: dict[str, str]
    cost: dict[str, Any]
    told: str
    roles: dict[str, str] = field(default_factory=dict)


def cost_words(cost: dict[str, Any]) -> str:
    """Say what training linear models costs."""
    return (
        f"Cost: {cost['methods']} methods x {cost['splits']} splits = {show.plural(cost['fits'], 'fit')}, "
        f"{cost['solves']:,} solves; about {show.seconds(cost['seconds'])} here (within a factor of five), "
        f"{max(1, round(cost['memory_mb']))} MB for data and sums."
    )


def estimate(loaded: Loaded, shape: tuple[int, int], n_tasks: int, n_splits: int) -> dict[str, Any]:
    """Return how many fits a training run makes, and roughly how long they take here.

    Counted: per split and method one pass over the rows for the sums (n d^2), and per strength and fold one solve
    (t d^3); timed: a matrix product on this machine. Added: what a fit and its scores cost per task, and the report.
    """
    n, d = shape
    automatic = any(relation.strength in (None, "auto") for relation in loaded.config.linear.relation)
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


def _show(loaded: Loaded, problem: Problem, inputs: Inputs, found: Audit) -> None:
    config = loaded.config
    tasks = show.plural(len(problem.names), "task")
    what = f"groups of {config.data.by}" if config.data.by else "columns"
    show.say(f"{loaded.data}: {problem.rows:,} rows, {len(inputs.names)} inputs, {tasks} ({what})")
    for target, pair in problem.classes.items():
        show.say(f"{'Two' if len(pair) == 2 else len(pair)} classes: {target} is {pair_in_words(pair)}.")
    show.say(f"Model: {_model(loaded)}; baselines: {', '.join(names_beside(loaded, problem))}")
    if inputs.roles:
        by_role = {role: [n for n, r in inputs.roles.items() if r == role] for role in inputs.roles.values()}
        show.say("Read as " + "; ".join(f"{role}: {show.listed(names)}" for role, names in by_role.items()) + ".")
    show.say(f"Splits: {describe_splits(config, problem)}")
    for name, why in inputs.dropped.items():
        show.say(f"Left out: {name}, because {why}.")
    out = show.results()
    if found.overlap is not None and len(problem.names) <= MATRIX:
        names = [str(name) for name in problem.names]
        rows = [(name, *[int(n) for n in row]) for name, row in zip(names, found.overlap, strict=True)]
        out.print(tabular(("rows with both labels", *names), rows))
    out.print(_support_table(found))
    show.say(inputs.told)
    for item in found.notes:
        show.say(f"{item.code}: {item.message} {item.remedy}", style="dim")
    for item in found.problems:
        show.say(f"{item.code}: {item.message} {item.remedy}", style="yellow")
    if not found.problems:
        notes = f"; {show.plural(len(found.notes), 'note')}" if found.notes else ""
        show.say(f"No problems{notes}.", style="green")


def _model(loaded: Loaded) -> str:
    network = loaded.config.network
    if network is None:
        return method_name(loaded.config.model)
    from relatask.cli.network import network_words

    return network_words(loaded.config, network)


def _support_table(found: Audit, most: int = 12) -> Any:
    rows = sorted(found.support, key=lambda row: (row["min_train"], row["labels"]))
    shown = rows if len(rows) <= most else rows[:most]
    title = "Labels per task" + (f" ({most} of {len(rows)}, fewest first)" if len(rows) > most else "")
    return tabular(
        ("task", "labels", "fewest in training", "fewest in test"),
        [(row["task"], row["labels"], row["min_train"], row["min_test"]) for row in shown],
        title=title,
    )
