"""School: every case recorded for MALSAR under GNU Octave, beside the same case here; and relations it has not."""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.linear.school import rows, similarity
from benchmarks.linear.timing import best_seconds
from relatask.linear import MultiTaskRegressor
from relatask.linear.sums.passes import grouped
from relatask.relations import (
    CappedSparse,
    Chain,
    Clustered,
    Dirty,
    FusedSparse,
    Graph,
    HierarchicalPrior,
    LearnedCovariance,
    Pairwise,
    Relation,
    Ridge,
    RobustLowRank,
    RobustSparse,
    SharedSparsity,
    Sparse,
    SparseLowRank,
    TraceNorm,
)

PLAIN: dict[str, Any] = {"weighting": "sum", "intercept": "none", "standardize": False}
"""The data as they are: sum of losses, raw columns, no intercept."""


@dataclass(frozen=True)
class Case:
    """A relation here, and by what its objective is multiplied to be in the recorded row's convention."""

    relation: Relation
    factor: float = 1.0


CASES = {
    "mean": Case(Pairwise(10 / (2 * 139))),
    "mean_ridge": Case(Pairwise(100 / (2 * 139)) + Ridge(2.0)),
    "chain": Case(Chain(10.0) + Ridge(2.0)),
    "trace_100": Case(TraceNorm(100.0)),
    "l21_200": Case(SharedSparsity(200.0)),
    "lasso_100": Case(Sparse(100.0)),
    "tgl": Case(Ridge(2.0) + Chain(10.0) + SharedSparsity(200.0)),
    "cmtl": Case(Clustered(5, 10.0, 1.0)),
    # Their sums of squares have no 1/2: half the strengths, and twice the objective.
    "dirty": Case(Dirty(1000.0, 100.0), 2.0),
    "rmtl": Case(RobustLowRank(250.0, 100.0), 2.0),
}


def more() -> dict[str, tuple[Relation, dict[str, Any], float | None]]:
    """Relations without a recorded row: how they are fitted, and the goal in seconds where there is one."""
    t = 139
    return {
        "LearnedCovariance (MTRL)": (LearnedCovariance(20.0, 1.0), PLAIN, None),
        "RobustSparse": (RobustSparse(250.0, 100.0), PLAIN, None),
        "SparseLowRank": (SparseLowRank(100.0, 60.0), PLAIN, None),
        "FusedSparse": (FusedSparse(50.0, 20.0, 100.0), PLAIN, None),
        "CappedSparse": (CappedSparse(100.0, 30.0), PLAIN, None),
        "Graph + Sparse": (Graph(similarity(t), 1.0) + Sparse(100.0), PLAIN, 0.3),
        "Graph + Sparse, standardised": (Graph(similarity(t), 0.1) + Sparse(0.1), {}, 0.3),
        "HierarchicalPrior, tied intercepts": (HierarchicalPrior(), {"intercept": "tied"}, 0.5),
        "HierarchicalPrior": (HierarchicalPrior(), {}, 0.5),
    }


def recorded(file: Path | None) -> dict[str, dict[str, str]]:
    """The recorded rows by case; none where the file is not here."""
    if file is None or not file.is_file():
        return {}
    with file.open(encoding="utf-8") as lines:
        return {row["case"]: row for row in csv.DictReader(lines)}


def reference_file() -> Path | None:
    """The recorded results, beside the public data or where RELATASK_REFERENCE says."""
    if folder := os.environ.get("RELATASK_REFERENCE"):
        return Path(folder) / "malsar_school.csv"
    if data := os.environ.get("RELATASK_DATA"):
        return Path(data).parent / "reference" / "malsar_school.csv"
    return None


def report() -> Iterator[str]:
    """Both tables."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield "## School: objectives and times recorded for MALSAR"
        yield ""
        yield from recorded_cases()
        yield ""
        yield "## School: relations without a recorded row"
        yield ""
        yield from other_cases()


def recorded_cases() -> Iterator[str]:
    """Our objective, certificate and CPU seconds beside its objectives and wall seconds on other cores."""
    X, y, codes = rows()
    theirs = recorded(reference_file())
    if not theirs:
        yield "The recorded results are not here (RELATASK_REFERENCE names their folder): ours alone."
        yield ""
    models = {name: MultiTaskRegressor(case.relation, **PLAIN) for name, case in CASES.items()}
    works = {"pass": lambda: grouped(X, y, codes, 139)}
    works |= {name: (lambda m=m: m.fit(X, y, codes)) for name, m in models.items()}
    seconds = best_seconds(works, rounds=3)
    yield (
        "| case | ours | certificate | iterations | seconds | passes | MALSAR, default | lower by | its seconds / ours "
        "| MALSAR, 1e-9 | lower by | its seconds / ours |"
    )
    yield "|---" * 12 + "|"
    for name, model in models.items():
        ours, s = CASES[name].factor * model.objective_, seconds[name]
        line = f"| {name} | {ours:.1f} | {model.residual_:.0e} | {model.n_iter_} | {s:.4f} | {s / seconds['pass']:.1f} "
        for kind in ("default", "tight"):
            if row := theirs.get(name):
                value, time = float(row[f"malsar_{kind}_objective"]), float(row[f"malsar_{kind}_seconds"])
                line += f"| {value:.1f} | {1 - ours / value:.3%} | {time / s:.0f} "
            else:
                line += "| | | "
        yield line + "|"


def other_cases() -> Iterator[str]:
    """Objective, residual and CPU seconds."""
    X, y, codes = rows()
    cases = more()
    models = {name: MultiTaskRegressor(relation, **options) for name, (relation, options, _) in cases.items()}
    works = {"pass": lambda: grouped(X, y, codes, 139)}
    works |= {name: (lambda m=m: m.fit(X, y, codes)) for name, m in models.items()}
    seconds = best_seconds(works, rounds=2)
    yield "| relation | objective | residual | iterations | seconds | goal | passes |"
    yield "|---" * 7 + "|"
    for name, model in models.items():
        goal = cases[name][2]
        objective = np.nan if model.objective_ is None else model.objective_
        yield (
            f"| {name} | {objective:.2f} | {model.residual_:.0e} | {model.n_iter_} | {seconds[name]:.3f} "
            f"| {'' if goal is None else goal} | {seconds[name] / seconds['pass']:.1f} |"
        )
