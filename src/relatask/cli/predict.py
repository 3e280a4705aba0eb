"""`relatask predict`: the predictions of a trained run for new rows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relatask.cli import show
from relatask.cli.explain import suggestion
from relatask.cli.files import refuse_existing
from relatask.cli.fitted import Fitted, load_fitted
from relatask.cli.loading import names_in
from relatask.cli.problem import task_column
from relatask.notices import InputError


def predict(
    run: Path,
    data: Path,
    output: Path,
    tasks: tuple[str, ...],
    *,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Predict every row for its own task, or for every target; write a table."""
    import pyarrow as pa

    from relatask.data import read_table, write_table

    fitted = load_fitted(run)
    if not dry_run:
        refuse_existing(output, overwrite)
    wanted = _wanted(fitted, tasks)
    table = read_table(data)
    start = time.perf_counter()
    found = predict_table(fitted, table, str(data), wanted)
    spent = time.perf_counter() - start
    columns: dict[str, Any] = {"row": pa.array(found.rows)}
    by = fitted.loaded.config.data.by
    if by is not None:
        columns[by if by != "row" else "task"] = pa.array(found.tasks)
    columns |= told(fitted, found.prediction, wanted)
    if not dry_run:
        write_table(pa.table(columns), output)
    facts = {
        "rows": len(found.rows),
        "tasks": len(wanted),
        "seconds": spent,
        "rows_per_second": len(found.rows) / spent if spent else None,
        "unknown_categories": found.unknown,
        "output": None if dry_run else str(output),
    }
    if as_json:
        show.print_json(facts)
        return 0
    if found.unknown:
        said = ", ".join(f"{name} ({count} rows)" for name, count in found.unknown.items())
        show.note(f"warning: values that training did not see, treated as none of the known: {said}", style="yellow")
    what = "Dry run: would write" if dry_run else "Wrote"
    rate = f"{facts['rows_per_second']:,.0f} rows per second" if spent else "at once"
    show.say(f"{what} {output}: {show.plural(len(found.rows), 'row')}, {show.plural(len(wanted), 'task')}, {rate}.")
    return 0


def told(fitted: Fitted, prediction: np.ndarray, wanted: tuple[Any, ...]) -> dict[str, Any]:
    """Return the columns that are written: numbers and mean counts; of classes the likeliest one, and chances.

    Of two classes the chance is that of the second, in order; of several there is one for each. The column's name ends
    in the class's.
    """
    import pyarrow as pa

    config = fitted.loaded.config
    grouped = config.data.by is not None
    columns: dict[str, Any] = {}
    for k, name in enumerate(config.tasks if grouped else wanted):
        values, title = prediction if grouped else prediction[:, k], "prediction" if grouped else str(name)
        chance = "chance of" if grouped else f"{title}, chance of"
        if config.tasks[name].kind == "multiclass":
            classes = fitted.classes[config.target(name)]
            columns[title] = pa.array([classes[place] for place in np.nanargmax(values, axis=1).tolist()])
            columns |= {f"{chance} {label}": pa.array(values[:, c]) for c, label in enumerate(classes)}
            continue
        values = values if values.ndim == 1 else values[:, 0]
        if config.tasks[name].kind != "binary":
            columns[title] = pa.array(values)
            continue
        zero, one = fitted.classes[config.target(name)]
        columns[title] = pa.array([one if value > 0.5 else zero for value in values.tolist()])
        columns[f"{chance} {one}"] = pa.array(values)
    return columns


@dataclass(frozen=True)
class Predictions:
    """Predicted rows: positions in the table, encoded inputs, tasks (groups), predictions (n,) or (n, tasks).

    What is predicted are numbers, chances of class 1, mean counts, by the kind of the task; where one has several
    classes, there is one more axis, of their chances. A network's inputs are columns of the table.
    """

    rows: np.ndarray
    inputs: Any
    tasks: np.ndarray | None
    prediction: np.ndarray
    unknown: dict[str, int]


def predict_table(fitted: Fitted, table: Any, source: str, wanted: tuple[Any, ...]) -> Predictions:
    """Predict the rows of a table for the wanted tasks; pictures and sounds that it names lie beside it."""
    if fitted.encoder is None:
        from relatask.cli.network_files import look_in

        look_in(fitted.model, Path(source).parent)
    by = fitted.loaded.config.data.by
    known = fitted.model.tasks_
    if by is None:
        X = _encode(fitted, table, source)
        prediction = np.asarray(fitted.expected(X))
        prediction = prediction.reshape(len(prediction), -1) if prediction.ndim < 3 else prediction
        position = {name: k for k, name in enumerate(fitted.loaded.config.tasks)}
        chosen = prediction[:, [position[name] for name in wanted]]
        return Predictions(np.arange(len(chosen)), X, None, chosen, _unknown(fitted, table))
    labels = task_column(table, by, source)
    if known.dtype.kind in "US" and labels.dtype.kind == "i":
        labels = labels.astype(str)
    foreign = [label for label in np.unique(labels).tolist() if label not in set(known.tolist())]
    if foreign:
        raise InputError(
            f"{source}: {by} = {show.listed(foreign)}: the run was not trained on "
            f"{'this task' if len(foreign) == 1 else 'these tasks'}; it knows {show.listed(known.tolist())}. "
            "Remove these rows, or train again with them."
        )
    rows = np.flatnonzero(np.isin(labels, np.asarray(wanted, dtype=labels.dtype)))
    if not len(rows):
        raise InputError(f"{source}: no row belongs to {show.listed(wanted)}.")
    kept = table.take(rows)
    X = _encode(fitted, kept, source)
    return Predictions(rows, X, labels[rows], fitted.expected(X, labels[rows]), _unknown(fitted, kept))


def _unknown(fitted: Fitted, table: Any) -> dict[str, int]:
    return {} if fitted.encoder is None else fitted.encoder.unknown(table)


def _encode(fitted: Fitted, table: Any, source: str) -> Any:
    """Return what the model takes: encoded rows, or for a network the columns that it was fitted on."""
    try:
        if fitted.encoder is None:
            from relatask.data.table import need_columns

            names = list(fitted.model.feature_names_in_)
            need_columns(table, names)
            return table.select(names)
        return fitted.encoder.transform(table)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def _wanted(fitted: Fitted, tasks: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the chosen tasks as the model knows them, all if none is named."""
    if fitted.loaded.config.data.by is None:
        known: dict[str, Any] = {name: name for name in fitted.loaded.config.tasks}
    else:
        known = {str(label): label for label in fitted.model.tasks_.tolist()}
    tasks = names_in(tasks, known)
    for name in tasks:
        if name not in known:
            raise InputError(f"--tasks: the run does not know the task {name!r}.{suggestion(name, known)}")
    return tuple(known[name] for name in tasks) if tasks else tuple(known.values())
