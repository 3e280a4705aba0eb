"""`relatask compare`: several relations on the same splits, against the same baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from relatask.cli import show
from relatask.cli.against_equal import beats_equal, equal_among
from relatask.cli.build import build_model, describe_splits, encoded_names, parse_methods
from relatask.cli.doctor import environment
from relatask.cli.files import check_folder, prepare, write_json, write_text
from relatask.cli.grid import tabular
from relatask.cli.loading import Loaded, load
from relatask.cli.outcome import header, points, points_interval, tell_checks
from relatask.cli.problem import Problem, read_problem, sha256
from relatask.cli.run import check_jobs, method_words, names_beside, run_study, same_run, write_predictions
from relatask.notices import InputError


def compare(
    config: Path,
    methods: str,
    overrides: Sequence[str],
    *,
    repeats: int | None,
    seeds: int,
    output: Path | None,
    resume: bool,
    overwrite: bool,
    jobs: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Compare; return 1 where a solver did not reach its tolerance."""
    if repeats is not None:
        overrides = [*overrides, f"data.split.repeats={repeats}"]
    check_jobs(jobs)
    loaded = load(config, overrides, output)
    variants = parse_methods(methods, loaded.config.model)
    taken = [name for name in variants if name in (*loaded.config.beside, "linear")]
    if taken:
        raise InputError(f"--methods: {taken[0]} is a baseline, and runs anyway.")
    if output is None and (resume or overwrite):
        raise InputError("--resume and --overwrite need --output FOLDER: without it a comparison keeps nothing.")
    if output is not None:
        check_folder(output, resume=resume, overwrite=overwrite, what="comparison")
        if resume:
            same_run(loaded)
    problem = read_problem(loaded)
    folder = loaded.file.parent
    models = {name: build_model(loaded.config, folder, problem.names, variant) for name, variant in variants.items()}
    features = encoded_names(loaded.config, problem)
    if dry_run:
        show.say(
            f"Dry run: would fit {', '.join(models)} and {', '.join(names_beside(loaded, problem))}; "
            f"{describe_splits(loaded.config, problem)}; and write {output or 'nothing'}."
        )
        return 0
    if output is not None:
        prepare(output, resume=resume, overwrite=overwrite, what="comparison")
        write_text(output / "config.resolved.yaml", loaded.resolved())
    base = None if loaded.config.network is None else build_model(loaded.config, folder, problem.names)
    study = run_study(loaded, problem, models, output, jobs, seeds, base)
    rows = [summary(study, name) for name in study.methods]
    equal, found = beats_equal(study, equal_among(variants))
    checks = [*study.checks(), *found]
    words = f"{in_words(study)} {equal}".strip()
    facts = {
        "metric": study.metric,
        "overall_metric": study.overall,
        "single": study.single,
        "splits": study.scores.splits,
        "methods": rows,
        "verdict": words,
        "checks": [vars(check) for check in checks],
    }
    if output is not None:
        words_of = method_words(loaded, []) | _network_words(loaded, variants)
        _write(output, loaded, problem, study, facts, features, tuple(checks), words_of)
    if as_json:
        show.print_json({"folder": None if output is None else str(output), **facts})
    else:
        _show(loaded, problem, study, rows, words)
        tell_checks(checks, 3)
        if output is not None:
            show.say(f"Report: {output / 'report.html'}")
    return 1 if any(check.code == "RT015" for check in study.checks()) else 0


def summary(study: Any, name: str) -> dict[str, Any]:
    """Return what the table says of one method."""
    row = study.summary([study.overall])[list(study.methods).index(name)]
    facts = {
        "method": name,
        "role": "baseline" if name in study.baselines else "model",
        "value": row[study.overall]["mean"],
        "sd": row[study.overall]["sd"],
        "fit_seconds": row["fit_seconds"],
        "memory_mb": max(
            (c.memory_mb for c in study.costs if c.method == name and c.memory_mb is not None), default=None
        ),
    }
    if name == study.single:
        return facts
    found, delta = study.differences(name), study.delta_m(name)
    return facts | {
        "difference": found.overall.difference,
        "low": found.overall.low,
        "high": found.overall.high,
        "verdict": found.overall.verdict,
        "delta_m": delta.value,
        "delta_m_low": delta.low,
        "delta_m_high": delta.high,
        "delta_m_without": list(delta.tasks_left_out),
        "helped": found.count("helped"),
        "hurt": found.count("hurt"),
        "no_difference_shown": found.count("no difference shown"),
    }


def in_words(study: Any) -> str:
    """Say whether anything beats single tasks beyond noise, and whether the best beats the next one."""
    better = [name for name in study.models if study.differences(name).overall.verdict == "helped"]
    worse = [name for name in study.models if study.differences(name).overall.verdict == "hurt"]
    sentences = []
    if better:
        sentences.append(f"Beyond noise, over all tasks, better than {study.single}: {', '.join(better)}.")
    else:
        beside = [name for name in study.baselines if name != study.single]
        simple = [name for name in beside if study.differences(name).overall.verdict == "helped"]
        what = "No method compared" if simple else "Nothing here"
        does = f"; of the baselines, {show.listed(simple)} did" if simple else ""
        sentences.append(f"{what} beats {study.single} beyond noise over all tasks{does}.")
    if worse:
        sentences.append(f"Worse than it: {', '.join(worse)}.")
    order = sorted(
        study.methods, key=lambda name: study.differences(name, study.single).overall.difference, reverse=True
    )
    best = order[0]
    equal = [name for name in order[1:] if study.differences(best, name).overall.verdict == "no difference shown"]
    said = f"The best mean is that of {best}"
    if equal:
        simple = [name for name in equal if name in study.baselines]
        said += f"; between it and {show.listed(equal)} no difference is shown"
        if simple and best not in study.baselines:
            said += f", and {simple[0]} is simpler"
    sentences.append(f"{said}.")
    return " ".join(sentences)


def _show(loaded: Loaded, problem: Problem, study: Any, rows: list[dict[str, Any]], words: str) -> None:
    grown = any(row["memory_mb"] is not None for row in rows)
    titles = (
        "method",
        header(study.overall),
        f"gain over {study.single}",
        "95% interval",
        "delta-m, %",
        "95% of delta-m",
        "helped",
        "hurt",
        "per fit",
        *(["memory"] if grown else []),
    )
    body = [
        (
            row["method"],
            points(row["value"], study.overall).removeprefix("+"),
            points(row["difference"], study.overall) if "difference" in row else "-",
            points_interval(row["low"], row["high"], study.overall) if "difference" in row else "-",
            show.signed(100 * row["delta_m"]) if "delta_m" in row else "-",
            show.interval(100 * row["delta_m_low"], 100 * row["delta_m_high"]) if "delta_m" in row else "-",
            row.get("helped", "-"),
            row.get("hurt", "-"),
            show.seconds(row["fit_seconds"]),
            *(["-" if row["memory_mb"] is None else f"{row['memory_mb']:.0f} MB"] if grown else []),
        )
        for row in sorted(rows, key=lambda row: -row.get("difference", 0))
    ]
    show.results().print(
        tabular(
            titles,
            body,
            drop=[*([9] if grown else []), 5, 8, 4, 7, 6, 3],
            title=describe_splits(loaded.config, problem),
        )
    )
    show.say(f"helped, hurt: of {show.plural(len(problem.names), 'task')}, by {study.metric}, against {study.single}.")
    without = list(dict.fromkeys(task for row in rows for task in row.get("delta_m_without", ())))
    if without:
        count = show.plural(len(without), "task")
        show.say(f"delta-m leaves out {count} without an error to reduce: {show.listed(without)}.")
    show.say(words)


def _network_words(loaded: Loaded, variants: dict[str, Any]) -> dict[str, str]:
    """Return a line on each variant of a network."""
    if loaded.config.network is None:
        return {}
    from relatask.cli.network import network_words

    return {name: network_words(loaded.config, model) for name, model in variants.items()}


def _write(
    output: Path,
    loaded: Loaded,
    problem: Problem,
    study: Any,
    facts: dict[str, Any],
    features: tuple[str, ...],
    checks: tuple[Any, ...],
    words: dict[str, str],
) -> None:
    from relatask.cli.record import make_record
    from relatask.cli.rerender import write_report

    study.scores.save(output / "scores.parquet")
    write_json(output / "comparison.json", facts)
    write_json(output / "env.json", environment())
    write_predictions(study, output)
    record = make_record(
        loaded,
        problem,
        study,
        study.models[0],
        words=words,
        features=features,
        digest=sha256(loaded.data),
        environment=environment(),
        checks=checks,
    )
    record.save(output / "record.json")
    write_report(output, record)
