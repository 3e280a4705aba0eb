"""How the outcome of a study is told on stdout: overall, per task, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from relatask.cli import show
from relatask.cli.grid import tabular
from relatask.measure import ALL, METRICS, WORDS

MANY = 12


def overall_table(study: Any, main: str, metrics: tuple[str, ...]) -> Any:
    """Return a row per method: scores over all tasks, the difference from single tasks, the time of a fit."""
    shown = [metric for metric in metrics if metric in study.scores.where(task=ALL).metrics]
    if study.overall not in shown:
        shown = [study.overall, *shown]
    rows = []
    for row in study.summary(shown):
        name = row["method"]
        against = None if name == study.single else study.differences(name).overall
        rows.append(
            (
                f"{name} (the model)" if name == main else name,
                *[_mean_sd(row[metric], metric) for metric in shown],
                "-" if against is None else points(against.difference, against.metric),
                "-" if against is None else points_interval(against.low, against.high, against.metric),
                show.seconds(row["fit_seconds"]),
            )
        )
    gain = f"gain over {study.single}"
    last = len(shown) + 3
    return tabular(
        ("over all tasks", *[header(metric) for metric in shown], gain, "95% interval", "per fit"),
        rows,
        drop=[last, *range(len(shown), 1, -1), last - 1],
        title=f"Mean over {show.plural(len(study.scores.splits), 'split')} (sd)",
    )


def task_table(found: Any) -> Any:
    """Return a row per task; with many tasks, those that lose and gain most."""
    rows = sorted(found.tasks, key=lambda row: -row.difference if row.difference == row.difference else 0)
    shown = rows if len(rows) <= MANY else [*rows[: MANY // 2], *rows[-MANY // 2 :]]
    title = f"{WORDS[found.metric]}, {found.method} against {found.baseline}"
    if len(rows) > MANY:
        title += f": the {MANY // 2} of {len(rows)} tasks that gain most and least"
    return tabular(
        ("task", found.baseline, found.method, "gain", "95% interval", "q", "verdict"),
        [
            (
                row.task,
                row.baseline_value,
                row.value,
                show.signed(row.difference),
                show.interval(row.low, row.high),
                show.number(row.q, 2),
                show.verdict(row.verdict),
            )
            for row in shown
        ],
        drop=[5, 4, 1, 2],
        title=title,
    )


def tell(study: Any, main: str, metrics: tuple[str, ...], checks: Sequence[Any]) -> None:
    """Print tables, the verdict in words, and the checks."""
    out = show.results()
    out.print(overall_table(study, main, metrics))
    out.print(task_table(study.differences(main)))
    for paragraph in study.verdict(main).split("\n\n"):
        show.say(paragraph)
    tell_checks(checks)


def tell_checks(checks: Sequence[Any], most: int = 6) -> None:
    """Print the coded checks, the first ones of each code."""
    by_code: dict[str, list[Any]] = {}
    for check in checks:
        by_code.setdefault(check.code, []).append(check)
    for code, found in by_code.items():
        for check in found[:most]:
            about = "" if check.task == ALL else f"{check.task}: "
            show.say(f"{code} {about}{check.message} {check.remedy}", style="yellow")
        if len(found) > most:
            show.say(f"{code} and {len(found) - most} more tasks; all are in the report.", style="yellow")


def as_json(study: Any, main: str, metrics: tuple[str, ...], checks: Sequence[Any]) -> dict[str, Any]:
    """Return the outcome as plain values."""
    found = study.differences(main)
    return {
        "model": main,
        "single": study.single,
        "metric": study.metric,
        "overall_metric": study.overall,
        "overall": study.summary(list(metrics)),
        "differences": [
            study.differences(main, name).overall.__dict__ | {"baseline": name} for name in study.baselines
        ],
        "tasks": [row.__dict__ for row in found.tasks],
        "verdict": study.verdict(main),
        "checks": [vars(check) for check in checks],
    }


def points(value: float, metric: str) -> str:
    """Return a difference: of shares in points of 100."""
    return show.signed(100 * value) if share(metric) else show.signed(value)


def points_interval(low: float, high: float, metric: str) -> str:
    """Return the interval of such a difference."""
    factor = 100 if share(metric) else 1
    return show.interval(factor * low, factor * high)


def share(metric: str) -> bool:
    """Return whether a metric is a share, shown in percent."""
    return METRICS[metric].share


def header(metric: str) -> str:
    """Return what a column of a metric over all tasks is called."""
    name = metric.replace("d2", "explained deviance").replace("_", " ")
    return f"{name}{', %' if share(metric) else ''}"


def _mean_sd(value: dict[str, float], metric: str) -> str:
    factor = 100 if share(metric) else 1
    mean, sd = factor * value["mean"], factor * value["sd"]
    return show.number(mean) + (f" ({show.number(sd, 2)})" if sd == sd else "")
