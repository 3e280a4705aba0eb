"""What the runs share: settings from the command line, results row by row, a table at the end.

A run is a module with a frozen dataclass of settings, and these lines:

    settings, results = start("atis", Settings, quick={"seeds": (0,), "epochs": 1})
    for method in settings.methods:
        for seed in settings.seeds:
            results.run(method, seed, lambda: {("intent", "accuracy"): one(settings, method, seed)})
    results.show()

`python -m examples.runs.atis` goes on where it stopped: a (method, seed) that has its rows in
examples/runs/results/atis.csv is left out. `--quick` takes seconds and writes nothing, and neither do settings that
are not the run's own, unless `--results FILE` says where to.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import subprocess
import time
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
WHICH = ("methods", "seeds")
"""Settings that say which rows there are, and change none of them."""
S = TypeVar("S")


@dataclass(frozen=True)
class Row:
    """One number of a run; as a line of the file, in this order."""

    task: str
    method: str
    seed: int
    metric: str
    value: float
    seconds: float
    commit: str


COLUMNS = tuple(f.name for f in fields(Row))


@dataclass
class Results:
    """The rows of a run, in a file or, without one, in memory."""

    name: str
    path: Path | None = None
    held: list[Row] = field(default_factory=list)
    console: Console = field(default_factory=Console)

    def rows(self) -> list[Row]:
        """Every row there is; a line that was cut short by a kill is not one."""
        if self.path is None or not self.path.exists():
            return list(self.held)
        whole, _, _ = self.path.read_text(encoding="utf-8").rpartition("\n")
        found = []
        for line in csv.DictReader(io.StringIO(whole)):
            numbers = {"seed": int(line["seed"]), "value": float(line["value"]), "seconds": float(line["seconds"])}
            found.append(Row(**{**line, **numbers}))
        return found

    def done(self, method: str, seed: int) -> bool:
        """Whether this method has its rows of this seed."""
        return any(row.method == method and row.seed == seed for row in self.rows())

    def add(self, method: str, seed: int, values: Mapping[tuple[Any, str], float], seconds: float) -> None:
        """Append a method's rows of a seed by one write, all of them or none."""
        commit = code()
        made = [
            Row(str(task), method, seed, metric, float(value), round(seconds, 1), commit)
            for (task, metric), value in values.items()
        ]
        if self.path is None:
            self.held += made
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        out = csv.writer(text, lineterminator="\n")
        held = self.path.read_bytes() if self.path.exists() else b""
        if not held:
            out.writerow(COLUMNS)
        elif not held.endswith(b"\n"):  # a kill cut the last line short
            os.truncate(self.path, held.rfind(b"\n") + 1)
        out.writerows([f"{r.value:.6g}" if c == "value" else getattr(r, c) for c in COLUMNS] for r in made)
        place = os.open(self.path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)
        try:
            os.write(place, text.getvalue().encode())
        finally:
            os.close(place)

    def run(self, method: str, seed: int, make: Callable[[], Mapping[tuple[Any, str], float]]) -> None:
        """Make a method's numbers, {(task, metric): value}, and append them, unless they are there already."""
        if self.done(method, seed):
            return
        started = time.perf_counter()
        values = make()
        seconds = time.perf_counter() - started
        if self.done(method, seed):  # another process was quicker
            return
        self.add(method, seed, values, seconds)
        told = ", ".join(f"{task} {metric} {value:.4g}" for (task, metric), value in list(values.items())[:6])
        self.console.print(f"{self.name}: {method}, seed {seed}: {told} ({seconds:.0f} s)", highlight=False)

    def mean(self, method: str, task: str, metric: str) -> tuple[float, float, int]:
        """Mean over seeds, standard deviation (nan below two), and how many seeds."""
        found = [r.value for r in self.rows() if (r.method, r.task, r.metric) == (method, task, metric)]
        spread = float(np.std(found, ddof=1)) if len(found) > 1 else float("nan")
        return (float(np.mean(found)) if found else float("nan")), spread, len(found)

    def show(self, columns: Iterable[tuple[str, str]] | None = None, digits: int = 2) -> Table:
        """Print a line per method: mean (deviation over seeds) of each (task, metric), and seconds a seed."""
        rows = self.rows()
        wanted = list(dict.fromkeys((r.task, r.metric) for r in rows) if columns is None else columns)
        table = Table(title=self.name)
        for title in ("method", *(f"{task} {metric}" for task, metric in wanted), "seeds", "s a seed"):
            table.add_column(title, justify="left" if title == "method" else "right")
        for method in dict.fromkeys(r.method for r in rows):
            cells = []
            for task, metric in wanted:
                value, spread, n = self.mean(method, task, metric)
                cells.append("" if n == 0 else f"{value:.{digits}f}" + (f" ({spread:.{digits}f})" if n > 1 else ""))
            seeds = {r.seed: r.seconds for r in rows if r.method == method}
            table.add_row(method, *cells, str(len(seeds)), f"{np.mean(list(seeds.values())):.0f}")
        self.console.print(table)
        return table


def start(
    name: str, settings: type[S], *, quick: Mapping[str, Any] | None = None, argv: Sequence[str] | None = None
) -> tuple[S, Results]:
    """Read the command line; give the settings and where results go.

    Parameters
    ----------
    name : str
        Of the run: results are appended to examples/runs/results/NAME.csv.
    settings : dataclass
        Frozen, with a default for every field; each field is an option (``lr_heads`` is ``--lr-heads``): a number, a
        text, a bool (``--flag``, ``--no-flag``), a Path, ``X | None``, or a tuple of one of them (``--seeds 0 1 2``).
    quick : mapping, optional
        Which settings ``--quick`` changes, so that all of it runs in seconds.
    argv : sequence of str, optional
        In place of `sys.argv`.
    """
    plain = settings()
    parser = argparse.ArgumentParser(prog=f"python -m examples.runs.{name}")
    parser.add_argument("--quick", action="store_true", help="seconds, on little data; writes nothing")
    parser.add_argument("--results", type=Path, help="where rows are appended and looked for")
    hints = typing.get_type_hints(settings)
    for f in fields(settings):
        kind, default = hints[f.name], getattr(plain, f.name)
        told = {"default": argparse.SUPPRESS, "help": f"{default!r}".replace("%", "%%")}
        flag = f"--{f.name.replace('_', '-')}"
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, **told)
        elif typing.get_origin(kind) is tuple:
            parser.add_argument(flag, nargs="*", type=typing.get_args(kind)[0], **told)
        else:
            parser.add_argument(flag, type=_scalar(kind), **told)
    given = vars(parser.parse_args(argv))
    fast, path = given.pop("quick"), given.pop("results")
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    chosen = replace(plain, **((quick or {}) if fast else {}))
    chosen = replace(chosen, **given)
    other = [f.name for f in fields(settings) if f.name not in WHICH]
    if path is None and not fast and all(getattr(chosen, key) == getattr(plain, key) for key in other):
        path = RESULTS / f"{name}.csv"
    return chosen, Results(name, path)


def _scalar(kind: Any) -> Callable[[str], Any]:
    """The type of an option; of ``X | None`` it is X, and "none" is None."""
    if isinstance(kind, types.UnionType):
        (inner,) = (arg for arg in typing.get_args(kind) if arg is not types.NoneType)
        return lambda text: None if text.lower() == "none" else inner(text)
    return kind


def code() -> str:
    """Which commit the working tree is of."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(asked, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
