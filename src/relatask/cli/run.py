"""`relatask train`: fit the model and its baselines over the splits, write the run folder, tell the outcome."""

from __future__ import annotations

import dataclasses
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relatask.cli import show
from relatask.cli.build import (
    build_model,
    build_splits,
    describe_splits,
    encoded_names,
    make_encoder,
    method_name,
    study_kind,
)
from relatask.cli.doctor import environment
from relatask.cli.files import LINEAR_ONLY, NETWORK_ONLY, OURS, check_folder, is_run, prepare, write_json, write_text
from relatask.cli.fitted import save_fitted
from relatask.cli.live import LiveTable
from relatask.cli.loading import Loaded, differing, load
from relatask.cli.outcome import as_json as outcome_json
from relatask.cli.outcome import tell
from relatask.cli.problem import Problem, read_problem, sha256
from relatask.cli.seen import fingerprints, sketch
from relatask.cli.streamed_rows import is_streamed
from relatask.notices import InputError, RelataskWarning

TOLD = ("RT001", "RT005", "RT014", "RT015", "RT016", "RT017")
"""Codes that the checks tell, with the names of tasks and inputs."""


def train(
    config: Path,
    overrides: Sequence[str],
    output: Path | None,
    *,
    resume: bool,
    overwrite: bool,
    jobs: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Train as the configuration says; return 1 where a solver did not reach its tolerance."""
    loaded = load(config, overrides, output)
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude each other: go on with the run, or start it again.")
    check_jobs(jobs)
    if is_streamed(loaded.data):
        from relatask.cli.streaming import train_streamed

        if jobs != 1:
            show.note(f"--jobs {jobs} makes no difference here: rows are streamed, and fits take sums only.")
        return train_streamed(loaded, resume=resume, overwrite=overwrite, dry_run=dry_run, as_json=as_json)
    folder = loaded.folder
    check_folder(folder, resume=resume, overwrite=overwrite)
    if resume:
        same_run(loaded)
    problem = read_problem(loaded)
    main = method_name(loaded.config.model)
    model = build_model(loaded.config, loaded.file.parent, problem.names)
    features = encoded_names(loaded.config, problem)
    if dry_run:
        _plan(loaded, problem, main, features)
        return 0
    prepare(folder, resume=resume, overwrite=overwrite)
    digest = sha256(loaded.data)
    write_text(folder / "config.resolved.yaml", loaded.resolved())
    write_json(folder / "env.json", environment(deep=loaded.config.network is not None))
    write_json(folder / "data.json", describe_data(loaded, problem, features, digest))
    study = run_study(loaded, problem, {main: model}, folder, jobs, base=model)
    try:
        done = finish
        if loaded.config.network is not None:
            from relatask.cli.network_run import finish_network as done
        checks = done(loaded, problem, study, main, model, digest)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"every fit is done and kept, the report is not. To go on: {_again()}") from None
    if as_json:
        facts = outcome_json(study, main, loaded.config.metrics, checks)
        show.print_json({"folder": str(folder), "report": str(folder / "report.html"), **facts})
    else:
        tell(study, main, loaded.config.metrics, checks)
        show.say(f"Report: {folder / 'report.html'}")
    return 1 if any(check.code == "RT015" for check in checks) else 0


def check_jobs(jobs: int) -> None:
    """Refuse a number of processes that means nothing."""
    if jobs < 1 and jobs != -1:
        raise InputError(f"--jobs {jobs}: expected a number of processes, or -1 for one per core.")


def run_study(
    loaded: Loaded,
    problem: Problem,
    models: dict[str, Any],
    folder: Path | None,
    jobs: int,
    seeds: int = 1,
    base: Any = None,
) -> Any:
    """Fit every method on every split, shown live; an interrupted run says how to go on.

    Beside networks run the twins of `base`, the network that the configuration describes.
    """
    from relatask.measure.catalogue import task_metric
    from relatask.study import compare

    metric, overall = loaded.config.judged
    if len(problem.names) == 1:  # one question, so one metric: two could give two answers
        metric = task_metric(overall)
    baselines: Any = loaded.config.beside
    if loaded.config.network is not None:
        from relatask.cli.network import beside

        baselines = beside(loaded.config, problem, base)
    live = LiveTable(next(iter(models)), problem.names, metric, overall)
    try:
        with live, coded_warnings():
            study = compare(
                models,
                problem.inputs,
                problem.labels,
                problem.tasks,
                splits=build_splits(loaded.config, problem),
                seeds=seeds,
                baselines=baselines,
                encode=make_encoder(loaded.config),
                folder=folder,
                n_jobs=jobs,
                progress=live,
                kind=study_kind(loaded.config, problem.names),
            )
    except KeyboardInterrupt:
        kept = f"{show.plural(live.done, 'fit')} of {live.total or '?'} done"
        if folder is None:
            raise KeyboardInterrupt(f"{kept}, none kept (give --output FOLDER to keep them).") from None
        raise KeyboardInterrupt(f"{kept} and kept. To go on: {_again()}") from None
    # What the configuration asks for is what the verdict is about.
    return dataclasses.replace(study, settings={**study.settings, "metric": metric, "overall": overall})


@contextmanager
def coded_warnings() -> Iterator[None]:
    """Keep coded warnings to the end, below the live table; what the checks tell anyway is not said twice."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        message = warning.message
        if isinstance(message, RelataskWarning) and message.code not in TOLD:
            warnings.warn_explicit(message, type(message), warning.filename, warning.lineno)


def finish(loaded: Loaded, problem: Problem, study: Any, main: str, model: Any, digest: str) -> tuple[Any, ...]:
    """Fit on all rows, and write everything that a run folder holds; return what a person should know."""
    from relatask.cli.audit import alone, undetermined
    from relatask.cli.certainty import certainty
    from relatask.cli.record import make_record
    from relatask.cli.rerender import write_report
    from relatask.cli.teaching import taught
    from relatask.study.baselines import build_baselines

    folder = loaded.folder
    study.scores.save(folder / "scores.parquet")
    write_predictions(study, folder)
    encoder = make_encoder(loaded.config)
    X = encoder.fit_transform(problem.inputs)
    facts = describe_data(loaded, problem, encoder.feature_names_, digest)
    write_json(folder / "data.json", {**facts, "seen": sketch(fingerprints(X, problem.y, problem.tasks))})
    kinds = dict(zip(problem.names, problem.kinds, strict=True))
    single = build_baselines([study.single], {main: model}, problem.tasks is not None, kinds)[study.single]
    with coded_warnings():
        model.fit(X, problem.labels, tasks=problem.tasks)
        single.fit(X, problem.labels, tasks=problem.tasks)
    save_fitted(folder, model, encoder)
    (folder / "baseline").mkdir(exist_ok=True)
    save_fitted(folder / "baseline", single)
    checks = (
        *study.checks(),
        *undetermined(problem, X, encoder.feature_names_),
        *alone(problem, loaded.config, loaded.file.parent),
    )
    record = make_record(
        loaded,
        problem,
        study,
        main,
        checks=checks,
        words=method_words(loaded, [main]),
        features=encoder.feature_names_,
        digest=digest,
        environment=environment(),
        model=model,
        scale=getattr(model, "scale_", None) if hasattr(model, "scale_") else X.std(0),
        taught=taught(model, problem, X),
        certainty=certainty(model, loaded, problem, X),
    )
    record.save(folder / "record.json")
    write_report(folder, record)
    return checks


def write_predictions(study: Any, folder: Path) -> None:
    """Write the predictions of test rows, a file per method."""
    import re

    from relatask.data import write_table

    (folder / "predictions").mkdir(exist_ok=True)
    for name in study.methods:
        file = re.sub(r"[^\w.+-]+", "_", name).strip("_")
        write_table(study.predictions(name), folder / "predictions" / f"{file}.parquet")


def method_words(loaded: Loaded, mains: Sequence[str]) -> dict[str, str]:
    """Return a line on each method."""
    from relatask.cli.build import relation_class
    from relatask.study import BASELINES

    network = loaded.config.network
    if network is not None:
        from relatask.cli.network import method_words as network_lines

        return network_lines(loaded.config, network, mains)
    model = loaded.config.linear
    formula = " + ".join(relation_class(relation.name).formula for relation in model.relation)
    kinds = loaded.config.kinds
    ridge = (
        {"binary": "logistic ridge", "count": "Poisson ridge"}.get(kinds[0], "ridge") if len(kinds) == 1 else "ridge"
    )
    words = {name: baseline.words.replace("ridge", ridge) for name, baseline in BASELINES.items()}
    return {**words, **dict.fromkeys(mains, f"{formula}; {model.intercept} intercepts")}


def describe_data(loaded: Loaded, problem: Problem, features: Sequence[str], digest: str) -> dict[str, Any]:
    """Return what data.json holds: hash, schema, label support."""
    from relatask.cli.init import describe

    return {
        "path": str(loaded.data.resolve()),
        "sha256": digest,
        "rows": problem.rows,
        "inputs": {field.name: str(field.type) for field in problem.inputs.schema},
        "features": list(features),
        "targets": list(problem.targets),
        "by": loaded.config.data.by,
        "classes": {name: list(values) for name, values in problem.classes.items()},
        "tasks": describe(problem),
    }


def same_run(loaded: Loaded) -> None:
    """Refuse to go on with a run that another configuration began."""
    if not is_run(loaded.folder):
        return
    before = load(loaded.folder / OURS[0])
    changed = differing(before, loaded)
    if changed:
        key, old, new = changed[0]
        raise InputError(
            f"{loaded.folder} was begun with another configuration ({key}: {old!r} then, {new!r} now). "
            "Go on with the same one, or give --overwrite, or another folder: --output FOLDER"
        )


def names_beside(loaded: Loaded, problem: Problem) -> list[str]:
    """Return what runs beside the model."""
    if loaded.config.network is None:
        return list(loaded.config.beside)
    from relatask.cli.network import linear_beside

    return [*loaded.config.beside, *(["linear"] if linear_beside(loaded.config, problem) is not None else [])]


def _plan(loaded: Loaded, problem: Problem, main: str, features: Sequence[str]) -> None:
    files = [name for name in OURS if name != "comparison.json"]
    there = NETWORK_ONLY if loaded.config.network is None else LINEAR_ONLY
    show.say(
        f"Dry run: would fit {main} and {', '.join(names_beside(loaded, problem))} on {problem.rows:,} rows, "
        f"{len(features)} inputs, {show.plural(len(problem.names), 'task')}; "
        f"{describe_splits(loaded.config, problem)}; "
        f"and write {loaded.folder}: {', '.join(name for name in files if name not in there)}."
    )


def _again() -> str:
    """Return the command that goes on with this one."""
    words = [word for word in sys.argv[1:] if word not in ("--overwrite", "--resume")]
    return shlex.join(["relatask", *words, "--resume"])
