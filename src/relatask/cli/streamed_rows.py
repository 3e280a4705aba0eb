"""Rows of Parquet parts as a configuration names them: what can be streamed, inputs, labels, tasks, progress."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from relatask.cli import show
from relatask.cli.loading import Loaded
from relatask.cli.problem import check_categorical, input_columns, label_column, need
from relatask.cli.splitting import KFoldSplit, RandomSplit
from relatask.data.parts import Parts, parquet_parts, parquet_schema
from relatask.linear.input.labels import known_codes
from relatask.linear.streaming import arrow
from relatask.notices import InputError

LARGE = 2 << 30
"""A single Parquet file of more bytes is streamed too."""

PAUSE = 2.0
"""Seconds between plain lines of progress."""

ADVICE = "or write one table that fits in memory and give its file"


def is_streamed(path: Path) -> bool:
    """Return whether data are a folder of Parquet parts, or a Parquet file too large to be read at once."""
    if path.is_dir():
        return True
    return path.suffix.lower() in (".parquet", ".pq") and path.is_file() and path.stat().st_size > LARGE


def check_streamed(loaded: Loaded) -> None:
    """Raise for what a configuration asks that sums cannot answer."""
    config, split, features = loaded.config, loaded.config.data.split, loaded.config.features
    told = ""
    if config.kinds != ("regression",):
        told = (
            f"tasks of kind {', '.join(config.kinds)}: from Parquet parts only kind: regression (squared loss) is "
            "trained, because other losses need all rows; give a sample as one file"
        )
    elif not isinstance(split, RandomSplit | KFoldSplit):
        told = f"data.split.kind: {split.kind}: streamed rows are divided at random; write kind: random or kfold"
    elif isinstance(split, RandomSplit) and split.repeats < 2:
        told = "data.split.repeats: 1: streamed runs compare over splits; write 2 or more"
    elif features.impute != "none":
        told = (
            f"features.impute: {features.impute}: missing numbers are not filled while streaming; fill them where the "
            "parts are written, and write impute: none"
        )
    elif features.categorical not in ("auto", ()):
        told = "features.categorical: categories are not encoded while streaming; write them as columns of 0 and 1"
    if told:
        raise InputError(f"{loaded.file}: {told}, {ADVICE}.")


def open_parts(loaded: Loaded) -> tuple[Parts, list[str]]:
    """Look at every part; return them with the columns that are read, and the inputs among these."""
    config, source = loaded.config, str(loaded.data)
    schema = parquet_schema(loaded.data)
    features = input_columns(schema.names, config, source)
    check_categorical(schema.names, features, config, source)
    table = schema.empty_table()
    need(table, config.targets, source, "tasks")
    by = config.data.by
    if by is not None:
        need(table, (by,), source, "data.by")
        kind = table.schema.field(by).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InputError(
                f"{source}: data.by = {by!r} holds {kind}; tasks are whole numbers or text in Parquet parts."
            )
    for name in features:
        kind = table.schema.field(name).type
        if not any(test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)):
            raise InputError(
                f"{source}: the input {name!r} holds {kind}; streamed inputs are numbers: exclude it "
                f"(features.exclude), write it as columns of 0 and 1, {ADVICE}."
            )
    columns = [*features, *config.targets, *([] if by is None else [by])]
    return parquet_parts(loaded.data, columns), features


def rows_of(
    loaded: Loaded, batch: pa.RecordBatch, features: list[str], known: Any = None
) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Return inputs, labels (n,) or (n, t), and tasks; with `known` tasks X is an array and these are codes.

    Rows without a label are left out then, as they are where sums are made.
    """
    config, table, source = loaded.config, pa.Table.from_batches([batch]), str(loaded.data)
    y = np.column_stack([label_column(table, name, source) for name in config.targets])
    X: Any = batch.select(features)
    if config.data.by is None and len(config.targets) > 1:
        return X if known is None else arrow.matrix(X)[0], y, None
    if config.data.by is None:  # one task: its rows are dealt out as those of one among others
        y, kept = y[:, 0], ~np.isnan(y[:, 0])
        return (
            (X, y, None) if known is None else (arrow.matrix(X)[0][kept], y[kept], np.zeros(kept.sum(), dtype=np.intp))
        )
    tasks, y = arrow.array(batch.column(config.data.by)), y[:, 0]
    if tasks.dtype.kind == "O" and not batch.column(config.data.by).null_count:
        tasks = tasks.astype(str)
    if known is None:
        return X, y, tasks
    kept = ~np.isnan(y)
    return arrow.matrix(X)[0][kept], y[kept], known_codes(tasks[kept], int(kept.sum()), known)


def told(parts: Parts, what: str) -> Iterator[pa.RecordBatch]:
    """Yield every batch, and show on stderr how far reading is: a bar in a terminal, now and then a line elsewhere."""
    console, done, started = show.progress(), 0, time.perf_counter()

    def rate() -> str:
        return f"{done / max(time.perf_counter() - started, 1e-9):,.0f} rows/s"

    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=parts.n_rows, rate="")
            for batch in parts.batches():
                yield batch
                done += batch.num_rows
                bar.update(task, completed=done, rate=rate())
    else:
        said = started
        for batch in parts.batches():
            yield batch
            done += batch.num_rows
            if time.perf_counter() - said > PAUSE and done < parts.n_rows:
                said = time.perf_counter()
                show.note(f"{what}: {done:,} of {parts.n_rows:,} rows, {rate()}", style=None)
    show.note(f"{what}: {done:,} rows, {rate()}", style=None)
