"""One comparison to rows of plain numbers, as the CSV files keep them."""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.guide.cases import Case
from relatask.linear import MultiTaskRegressor
from relatask.measure import ALL
from relatask.measure.intervals import benjamini_hochberg
from relatask.relations import Sparse
from relatask.study import Finished, Study, compare
from relatask.study.baselines import BASELINES, build_baselines

METHODS = (
    *("case", "method", "kind", "metric", "mean", "sd", "single", "gain", "low", "high", "q", "verdict"),
    *("helped", "hurt", "pooled", "beyond", "beyond_low", "beyond_high", "beyond_verdict", "seconds", "not_converged"),
)
SETS = ("case", "title", "how", "tasks", "features", "labels", "missing", "train", "single", "pooled", "seconds")
LEVEL = 0.05


def study_of(case: Case, folder: Path | None = None) -> Study:
    """Compare, beside the baselines and a third single-task model: the lasso of each task."""
    models = case.models
    metrics = list(dict.fromkeys([case.metric, "rmse"]))
    beside = build_baselines(tuple(BASELINES), models, case.tasks is not None)
    if case.lasso:
        beside["single_lasso"] = MultiTaskRegressor(Sparse("auto"), scale_targets=case.tasks is None)
    return compare(
        models,
        case.X,
        case.y,
        case.tasks,
        splits=case.splits,
        metrics=metrics,
        baselines=beside,
        encode=case.encode,
        folder=folder,
        n_jobs=len(os.sched_getaffinity(0)),
        progress=_told(case.name),
    )


def method_rows(case: Case, study: Study) -> list[dict[str, Any]]:
    """A row a method: score, gain over the best single-task model, gain over the best pooled one."""
    pooled = best_pooled(case, study)
    rows = []
    for told in study.summary([case.metric]):
        name = told["method"]
        found = study.differences(name, overall=case.metric)
        beyond = study.differences(name, pooled, overall=case.metric).overall
        rows.append(
            {"case": case.name, "method": name, "kind": "relation" if name in study.models else "baseline"}
            | {"metric": case.metric, "mean": told[case.metric]["mean"], "sd": told[case.metric]["sd"]}
            | {"single": study.single, "gain": found.overall.difference, "low": found.overall.low}
            | {"high": found.overall.high, "p": found.overall.p}
            | {"helped": found.count("helped"), "hurt": found.count("hurt"), "pooled": pooled}
            | {"beyond": beyond.difference, "beyond_low": beyond.low, "beyond_high": beyond.high, "beyond_p": beyond.p}
            | {"seconds": min(cost.fit_seconds for cost in study.costs if cost.method == name)}
            | {"not_converged": sum(note.method == name and note.code == "RT015" for note in study.notes)}
        )
    # Many methods are asked about at once: q over them, as over tasks.
    asked = (("gain", "p", "q", "verdict", study.single), ("beyond", "beyond_p", "beyond_q", "beyond_verdict", pooled))
    for gain, p, q, verdict, itself in asked:
        # The baseline itself is no question.
        corrected = benjamini_hochberg(np.array([row[p] if row["method"] != itself else np.nan for row in rows]))
        for row, value in zip(rows, corrected, strict=True):
            row[q] = float(value)
            shown = value <= LEVEL and row[gain] != 0
            row[verdict] = "no difference shown" if not shown else "better" if row[gain] > 0 else "worse"
    return rows


def best_pooled(case: Case, study: Study) -> str:
    """The better of the pooled baselines over all tasks."""
    sign = -1.0 if case.metric == "rmse" else 1.0
    means = {row["method"]: sign * row[case.metric]["mean"] for row in study.summary([case.metric])}
    return max((name for name in ("pooled", "pooled_slopes") if name in means), key=means.__getitem__)


def set_row(case: Case, study: Study) -> dict[str, Any]:
    """What was compared on."""
    y = np.asarray(case.y)
    table = study.scores.where(method=study.models[0], metric="rmse")
    train = int(np.median(table.n_train[table.task != ALL]))
    return {
        "case": case.name,
        "title": case.title,
        "how": case.how,
        "tasks": len(study.tasks),
        "features": case.X.shape[1],
        "labels": int((~np.isnan(y)).sum()),
        "missing": int(np.isnan(y).sum()),
        "train": train,
        "single": study.single,
        "pooled": best_pooled(case, study),
        "seconds": float(sum(cost.fit_seconds for cost in study.costs)),
    }


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows with numbers of five digits."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        out.writeheader()
        for row in rows:
            out.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})


def read(path: Path) -> list[dict[str, str]]:
    """Read them back, as text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _told(name: str) -> Any:
    started = time.perf_counter()

    def say(done: int, total: int, finished: Finished) -> None:
        if done % 20 == 0 or done == total:
            spent = time.perf_counter() - started
            print(f"{name}: {done}/{total} {spent:.0f} s ({finished.method})", file=sys.stderr, flush=True)

    return say
