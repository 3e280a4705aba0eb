"""`relatask init`: look at a table, find its tasks, write a commented configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relatask.cli import show
from relatask.cli.classes import encode_targets, looks_binary, looks_several, pair_in_words
from relatask.cli.config import TARGET_METRICS, RunConfig
from relatask.cli.extra import INSTALL, missing
from relatask.cli.files import refuse_existing, write_text
from relatask.cli.grid import tabular
from relatask.cli.init_network import network_lines, proposed, relative, say_of_network, scalar
from relatask.cli.loading import names_in
from relatask.cli.problem import Problem, make_problem, need, tell_reading
from relatask.notices import InputError

FEW = 5


def init(
    data: Path,
    targets: tuple[str, ...],
    *,
    by: str | None,
    output: Path | None,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Write a configuration for a table and show the tasks that it has."""
    from relatask.data import infer, read_table

    output = Path(f"{_stem(data)}.yaml") if output is None else output
    if output.suffix.lower() not in (".yaml", ".yml"):
        raise InputError(f"{output}: expected a configuration that ends in .yaml")
    if not dry_run:
        refuse_existing(output, overwrite)
    if not targets:
        raise InputError("--target: expected the column to predict, for example --target score")
    table = read_table(data)
    tell_reading(table, str(data))
    targets = names_in(targets, table.column_names)
    if by is not None and len(targets) > 1:
        raise InputError(
            f"--by {by} with {len(targets)} targets ({', '.join(targets)}): with --by each group is a task, "
            "so one target is expected. Give one --target, or leave --by out to make each target a task."
        )
    need(table, targets, str(data), "--target")
    need(table, (by,) if by else (), str(data), "--by")
    binary = tuple(name for name in targets if looks_binary(table, name))
    several = () if missing() else tuple(name for name in targets if looks_several(table, name))
    numeric, _ = encode_targets(table, binary, str(data), several=several)
    found = infer(numeric, targets, by)
    exclude = _not_inputs(found)
    network, reads = proposed(table, [column.name for column in found.columns], bool(several))
    exclude = {name: why for name, why in exclude.items() if network is None or name not in reads}
    holes = any(
        column.missing for column in found.columns if column.name not in exclude and column.role != "categorical"
    )
    config = _config(data, output, targets, by, exclude, holes and network is None, binary, several, network)
    problem = make_problem(table, config, str(data))
    rows = describe(problem)
    text = render(config, problem, exclude, reads)
    if not dry_run:
        write_text(output, text)
    if as_json:
        show.print_json(
            {
                "configuration": None if dry_run else str(output),
                "tasks": rows,
                "excluded": exclude,
                "model": config.model.kind,
                "leaks": [leak.what for leak in found.leaks],
            }
        )
    else:
        _show(data, output, problem, rows, exclude, table, by, text if dry_run else None)
        say_of_network(network, reads)
        for leak in found.leaks:
            show.say(f"{leak.code}: {leak.what}. If it is not known before: features.exclude", style="yellow")
    return 0


def describe(problem: Problem) -> list[dict[str, Any]]:
    """Return a row per task: labels, share missing, range, mean and standard deviation."""
    rows = []
    for position, name in enumerate(problem.names):
        y = problem.y[:, position] if problem.tasks is None else problem.y[problem.tasks == name]
        seen = y[~np.isnan(y)]
        rows.append(
            {
                "task": name,
                "kind": problem.kinds[position],
                "rows": len(y),
                "labels": len(seen),
                "missing": float(1 - len(seen) / len(y)),
                "low": float(seen.min()),
                "high": float(seen.max()),
                "mean": None if problem.kinds[position] == "multiclass" else float(seen.mean()),
                "sd": float(seen.std(ddof=1)) if len(seen) > 1 and problem.kinds[position] != "multiclass" else None,
                "values": len(np.unique(seen)),
                "classes": list(problem.classes.get(problem.targets[position if problem.tasks is None else 0], ())),
            }
        )
    return rows


def task_table(rows: list[dict[str, Any]], most: int = 12) -> Any:
    """Return the table of tasks; with many tasks, those with the fewest and the most labels."""
    shown = sorted(rows, key=lambda row: row["labels"])
    dropped = max(0, len(rows) - most)
    shown = rows if not dropped else [*shown[: most // 2], *shown[-most // 2 :]]
    title = f"{show.plural(len(rows), 'task')}" + (f", the {most // 2} smallest and largest" if dropped else "")
    return tabular(
        ("task", "kind", "labels", "missing", "range", "mean", "sd"),
        [
            (
                str(row["task"]),
                "regression, 2 values" if row["values"] == 2 and row["kind"] == "regression" else row["kind"],
                row["labels"],
                f"{100 * row['missing']:.1f}%",
                (pair_in_words(row["classes"]) if len(row["classes"]) > 2 else " or ".join(map(str, row["classes"])))
                or f"{show.number(row['low'])} to {show.number(row['high'])}",
                row["mean"],
                row["sd"],
            )
            for row in shown
        ],
        title=title,
        left=2,
    )


def _show(
    data: Path,
    output: Path,
    problem: Problem,
    rows: list[dict[str, Any]],
    exclude: dict[str, str],
    table: pa.Table,
    by: str | None,
    text: str | None,
) -> None:
    show.say(f"{data}: {show.plural(problem.rows, 'row')}, {show.plural(problem.inputs.num_columns, 'input column')}")
    show.results().print(task_table(rows))
    for name, why in exclude.items():
        show.say(f"Left out of the inputs: {name} ({why}).")
    few = [row["task"] for row in rows if row["labels"] < FEW]
    if few:
        show.say(f"Fewer than {FEW} labels: {show.listed(few)}. They fit, and lean on the others.")
    if len(rows) == 1 and by is None:
        near = _groupings(table, {*problem.targets})
        hint = f" Columns that could name tasks: {show.listed(near)} (--by {near[0]})." if near else ""
        show.say(f"One task only: there is nothing to share. Give more targets, or --by COLUMN.{hint}")
    if text is not None:
        show.say("Dry run: nothing written. The configuration would be:\n")
        show.say(text)
        return
    show.say(f"Wrote {output}. Next: relatask check {output}, then relatask train {output}")


def _stem(data: Path) -> str:
    return data.name.split(".")[0] or "run"


def _not_inputs(found: Any) -> dict[str, str]:
    """Return columns that are no inputs for a linear model, and why."""
    words = {
        "id-like": "differs in most rows, like a name",
        "time": "dates; data.split: {kind: time, column: ...} can use them",
        "empty": "has no value",
        "other": "holds neither numbers nor text",
    }
    return {name: words.get(role, role) for name, role in found.left_out.items()}


def _groupings(table: pa.Table, taken: set[str]) -> list[str]:
    """Return columns whose values could be tasks: few different ones, each with several rows."""
    found = []
    for name in table.column_names:
        kind = table.schema.field(name).type
        if name not in taken and (pa.types.is_integer(kind) or pa.types.is_string(kind)):
            values = pc.count_distinct(table.column(name)).as_py()
            if 2 < values <= table.num_rows / 10:
                found.append(name)
    return found


def _config(
    data: Path,
    output: Path,
    targets: tuple[str, ...],
    by: str | None,
    exclude: dict[str, str],
    holes: bool,
    binary: tuple[str, ...],
    several: tuple[str, ...] = (),
    network: str | None = None,
) -> RunConfig:
    kinds = (
        dict.fromkeys(targets, "regression") | dict.fromkeys(binary, "binary") | dict.fromkeys(several, "multiclass")
    )
    first = "r2_mean_of_tasks" if by is None else "explained_variance_within"
    metrics = TARGET_METRICS | {"regression": (first, "rmse")}
    if len(set(kinds.values())) > 1:  # over all tasks there is the mean explained deviance only
        metrics = {"regression": ("d2", "rmse"), "binary": ("d2", "log_loss", "auc")}
        metrics["multiclass"] = ("d2", "log_loss", "error_rate")
    raw: dict[str, Any] = {
        "data": {"path": relative(data, output), "by": by},
        "features": {"exclude": tuple(exclude)},
        "tasks": {
            name: {"kind": kinds[name], "target": name, "primary": name == targets[0], "metrics": metrics[kinds[name]]}
            for name in targets
        },
        "output": {"folder": f"runs/{_stem(data)}"},
    }
    if holes:
        raw["features"]["impute"] = "median"
    if network is not None:
        raw["model"] = {"kind": network}
    return RunConfig.model_validate(raw)


def render(config: RunConfig, problem: Problem, exclude: dict[str, str], reads: dict[str, str] | None = None) -> str:
    """Return the configuration as commented YAML; `reads` are columns that only a network reads, and as what."""
    grouped = config.data.by is not None
    lines = [
        "# A run of relatask. Every key that is left out has a default: relatask schema",
        f"# Tasks: {show.plural(len(problem.names), 'group' if grouped else 'column')}; "
        f"{problem.rows:,} rows, {problem.inputs.num_columns} input columns.",
        "version: 1",
        "data:",
        f"  path: {scalar(config.data.path)}  # relative to this file",
    ]
    if grouped:
        lines.append(f"  by: {scalar(config.data.by)}  # each value of this column is a task")
    lines += [
        "  # kinds: random and kfold (drawn within each task if grouped), group and time (with column: ...)",
        f"  split: {{kind: random, test: 0.25, repeats: {10 if config.network is None else 3}, seed: 0}}",
        "features:",
        '  include: ["*"]  # every column but targets and the task column; patterns are allowed',
        f"  exclude: [{', '.join(scalar(name) for name in exclude)}]"
        + (f"  # {'; '.join(f'{name}: {why}' for name, why in exclude.items())}" if exclude else ""),
        "  categorical: auto  # text columns are categories; a list names columns of numbers that are, too",
    ]
    if config.network is None:
        holes = "some inputs are missing" if config.features.impute != "none" else "missing inputs are an error"
        lines.append(f"  impute: {config.features.impute}  # {holes}; median or mean, learned on training rows")
        lines.append("  standardize: true  # learned on training rows")
    lines.append("tasks:")
    for name, task in config.tasks.items():
        position = list(config.tasks).index(name)
        y = problem.y if problem.y.ndim == 1 else problem.y[:, position]
        seen = y[~np.isnan(y)]
        two = "; two values, fitted as a number" if len(np.unique(seen)) == 2 else ""
        held = f"{show.number(seen.min())} to {show.number(seen.max())}{two}"
        if task.kind == "binary":
            zero, one = problem.classes[config.target(name)]
            held = f"{zero} or {one}, {100 * seen.mean():.3g}% {one}"
        if task.kind == "multiclass":
            held = pair_in_words(problem.classes[config.target(name)])
        lines.append(
            f"  {scalar(name)}: {{kind: {task.kind}, target: {scalar(config.target(name))}, "
            f"metrics: [{', '.join(task.metrics)}], primary: {str(task.primary).lower()}}}"
            f"  # {len(seen):,} labels, {held}"
        )
    if config.network is not None:
        return "\n".join([*lines, *network_lines(config, reads or {})]) + "\n"
    pooled = ", pooled, pooled_slopes" if grouped else ", pooled" if len(config.kinds) == 1 else ""
    scaled = str(not grouped and config.kinds == ("regression",)).lower()
    lines += [
        "model:",
        "  kind: linear"
        + (f"  # a network would read {', '.join(reads)}: kind: text, with the extra {INSTALL}" if reads else ""),
        "  # what ties the tasks together: relatask methods. strength: a number, or auto (cross-validation)",
        "  relation: {name: Pairwise, strength: auto}",
        "  weighting: sample  # sum: every row counts 1; task: every task counts 1; sample: (tasks / rows) per row",
        "  intercept: free  # free, tied (under the relation), common, none",
        f"  scale_targets: {scaled}  # targets in units of their own spread, for the relation",
        "  solver: auto",
        "  tol: 1.0e-6",
        "# single: each task alone, inputs scaled (raw: as they are); the better one counts. pooled: one model.",
        f"baselines: [single, single_raw{pooled}]",
        "output:",
        f"  folder: {scalar(config.output.folder)}  # relative to this file",
    ]
    return "\n".join(lines) + "\n"
