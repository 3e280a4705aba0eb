"""The command `relatask`: one small function per command; each imports what it needs when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

import relatask
from relatask.notices import InputError

HELP = """Learn related tasks together, and see task by task whether sharing helped.

Start with a table (CSV or Parquet): `relatask init TABLE --target COLUMN` writes a configuration, `relatask check`
audits it, `relatask train` fits the shared model and its baselines and writes a report."""

app = App(
    name="relatask",
    help=HELP,
    version=relatask.__version__,
    help_format="markdown",
    help_epilogue="Exit codes: 0 done, 1 ran and found a problem, 2 could not run, 130 interrupted. "
    "Results go to stdout, progress to stderr.",
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,
)

Config = Annotated[Path, Parameter(help="The configuration (.yaml or .toml).")]
Run = Annotated[Path, Parameter(help="The run folder, as `relatask train` wrote it.")]
Override = Annotated[
    tuple[str, ...],
    Parameter(
        name=("--override", "-o"), help="Change the configuration: -o model.relation.name=TraceNorm. Repeatable."
    ),
]
Json = Annotated[bool, Parameter(name="--json", help="Print the result as JSON.")]
DryRun = Annotated[bool, Parameter(help="Say what would be done; write nothing.")]
Overwrite = Annotated[bool, Parameter(help="Replace what is there.")]
Jobs = Annotated[int, Parameter(name=("--jobs", "-j"), help="Processes; -1 for one per core.")]
TableFile = Annotated[Path, Parameter(help="A CSV, TSV or Parquet file with the columns that the run was trained on.")]


@app.command(sort_key=1)
def init(
    data: Annotated[Path, Parameter(help="A CSV, TSV or Parquet file.")],
    /,
    *,
    target: Annotated[tuple[str, ...], Parameter(name=("--target", "-t"), help="Column(s) to predict: -t price,sold")],
    by: Annotated[
        str | None, Parameter(help="The column whose values are the tasks. Without it each target is one.")
    ] = None,
    output: Annotated[
        Path | None, Parameter(help="The configuration to write; default: the table's name + .yaml.")
    ] = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Look at a table, find its tasks, and write a commented configuration."""
    from relatask.cli.init import init

    return init(data, target, by=by, output=output, overwrite=overwrite, dry_run=dry_run, as_json=json)


@app.command(sort_key=2)
def check(config: Config, /, *, override: Override = (), json: Json = False) -> int:
    """Audit the data and the configuration; train nothing. Exit 1 where something was found."""
    from relatask.cli.check import check

    return check(config, override, as_json=json)


@app.command(sort_key=3)
def train(
    config: Config,
    /,
    *,
    override: Override = (),
    output: Annotated[Path | None, Parameter(help="The run folder, instead of the configuration's.")] = None,
    resume: Annotated[bool, Parameter(help="Go on where an interrupted run stopped.")] = False,
    overwrite: Overwrite = False,
    jobs: Jobs = 1,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Fit the shared model and its baselines over the splits; write a run folder with a report."""
    from relatask.cli.run import train

    return train(config, override, output, resume=resume, overwrite=overwrite, jobs=jobs, dry_run=dry_run, as_json=json)


@app.command(sort_key=4)
def compare(
    config: Config,
    /,
    *,
    methods: Annotated[
        tuple[str, ...],
        Parameter(
            name=("--methods", "-m"),
            help="Relations to compare: Pairwise,TraceNorm,Pairwise(intercept=tied). Of networks ways of sharing, "
            "balancers and relations: equal,pcgrad,mmoe,mmoe+pcgrad,Graph(strength=0.1)",
        ),
    ],
    override: Override = (),
    repeats: Annotated[int | None, Parameter(help="Repeats of the split, instead of the configuration's.")] = None,
    seeds: Annotated[int, Parameter(help="Seeds of networks; linear models do not depend on them.")] = 1,
    output: Annotated[Path | None, Parameter(help="A folder for scores, report and finished cells.")] = None,
    resume: Annotated[bool, Parameter(help="Go on where an interrupted comparison stopped (with --output).")] = False,
    overwrite: Overwrite = False,
    jobs: Jobs = 1,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Compare methods on the same splits, with the same budget, against the baselines."""
    from relatask.cli.compare import compare

    return compare(
        config,
        ",".join(methods),
        override,
        repeats=repeats,
        seeds=seeds,
        output=output,
        resume=resume,
        overwrite=overwrite,
        jobs=jobs,
        dry_run=dry_run,
        as_json=json,
    )


@app.command(sort_key=5)
def evaluate(
    run: Run,
    /,
    *,
    data: TableFile,
    bootstrap: Annotated[int, Parameter(help="Bootstrap samples behind each 95% interval.")] = 1000,
    seed: Annotated[int, Parameter(help="Seed of the bootstrap.")] = 0,
    json: Json = False,
) -> int:
    """Score a trained run on new labelled rows, per task, with bootstrap intervals."""
    from relatask.cli.evaluate import evaluate

    return evaluate(run, data, bootstrap=bootstrap, seed=seed, as_json=json)


@app.command(sort_key=6)
def predict(
    run: Run,
    /,
    *,
    data: TableFile,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="The predictions: .parquet, .csv or .tsv.")],
    tasks: Annotated[tuple[str, ...], Parameter(help="Only these tasks: a,b")] = (),
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Predict new rows with a trained run."""
    from relatask.cli.predict import predict

    return predict(run, data, output, tasks, overwrite=overwrite, dry_run=dry_run, as_json=json)


@app.command(sort_key=7)
def report(runs: Annotated[tuple[Path, ...], Parameter(help="Run folders.")], /, *, dry_run: DryRun = False) -> int:
    """Render the pages of runs again, from their record."""
    from relatask.cli.rerender import report

    return report(runs, dry_run=dry_run)


@app.command(sort_key=8)
def methods(
    name: Annotated[str | None, Parameter(help="One of them, in full; or one group: balancers.")] = None,
    /,
    *,
    json: Json = False,
) -> int:
    """List relations, balancers, ways of sharing, kinds, baselines and metrics: formula, cost, source."""
    from relatask.cli.catalogue import methods

    return methods(name, as_json=json)


@app.command(sort_key=9)
def data(
    name: Annotated[str | None, Parameter(help="A data set.")] = None,
    /,
    *,
    output: Annotated[
        Path | None, Parameter(name=("--output", "-o"), help="Write it as .csv, .tsv or .parquet.")
    ] = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """List known data sets and where each was found, or export one as a table."""
    from relatask.cli.datasets import data

    return data(name, output, overwrite=overwrite, dry_run=dry_run, as_json=json)


@app.command(sort_key=10)
def schema() -> int:
    """Print the JSON schema of the configuration."""
    from relatask.cli.catalogue import schema

    return schema()


@app.command(sort_key=11)
def doctor(*, json: Json = False) -> int:
    """Look at the environment and fit a tiny problem."""
    from relatask.cli.doctor import doctor

    return doctor(as_json=json)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what a person did wrong is one message on stderr, no traceback."""
    from relatask.cli.show import complain, plain_warnings

    try:
        with plain_warnings():
            code = app(
                list(sys.argv[1:] if arguments is None else arguments),
                exit_on_error=False,
                print_error=False,
                result_action="return_value",
            )
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:  # the reader of stdout has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as error:
        complain("interrupted" + (f": {error}" if str(error) else "."))
        return 130
    except CycloptsError as error:
        complain(f"{_words(error)} See: relatask --help")
        return 2
    except (InputError, OSError, MemoryError) as error:
        if os.environ.get("RELATASK_TRACEBACK"):
            raise
        complain(_plain(error))
        return 2
    except Exception as error:
        if os.environ.get("RELATASK_TRACEBACK"):
            raise
        complain(f"this should not happen: {type(error).__name__}: {error}\n  RELATASK_TRACEBACK=1 shows where.")
        return 2


def main() -> None:
    """Run the command and leave with its exit code."""
    sys.exit(run())


def _plain(error: BaseException) -> str:
    """Return an error's message; the system's own as 'file: what is wrong'."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _words(error: CycloptsError) -> str:
    text = " ".join(str(error).split())
    return text if text.endswith((".", "?")) else f"{text}."


__all__ = ["app", "main", "run"]
