"""School: what a fit costs, in passes over the rows; the objectives and times that MALSAR reached."""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import scipy

from benchmarks.linear.timing import best_seconds
from relatask.data import load
from relatask.linear import MultiTaskRegressor
from relatask.linear.statistics import grouped
from relatask.relations import (
    Chain,
    Graph,
    Pairwise,
    Proximal,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    TaskKernel,
    TaskPrecision,
    TraceForm,
    TraceNorm,
    parts,
)

# Least squares of MALSAR on the data as they are: sum of losses, no intercept, raw columns.
MALSAR: dict[str, Relation] = {
    "mean": Pairwise(10 / (2 * 139)),
    "mean_ridge": Pairwise(100 / (2 * 139)) + Ridge(2.0),
    "chain": Chain(10.0) + Ridge(2.0),
    "trace_100": TraceNorm(100.0),
    "l21_200": SharedSparsity(200.0),
    "lasso_100": Sparse(100.0),
    "tgl": Ridge(2.0) + Chain(10.0) + SharedSparsity(200.0),
}


@cache
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X (15362, 28), y, integer codes, rows shuffled."""
    school = load("school")
    codes = np.unique(school.tasks, return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(len(codes))
    return np.ascontiguousarray(school.X[order], dtype=float), np.asarray(school.y, float)[order], codes[order]


def similarity(t: int, seed: int = 1) -> np.ndarray:
    """A random sparse graph of about 4 edges a task, weights in (0, 1)."""
    rng = np.random.default_rng(seed)
    upper = np.triu(scipy.sparse.random_array((t, t), density=4 / t, rng=rng).toarray(), 1)
    return upper + upper.T


def relations(t: int) -> dict[str, Relation]:
    """Every relation at a middling strength, in standardised columns with free intercepts."""
    rng = np.random.default_rng(2)
    factor = rng.standard_normal((t, t)) / np.sqrt(t)
    kernel = factor @ factor.T + np.eye(t)
    return {
        "Ridge": Ridge(0.3),
        "Pairwise": Pairwise(0.01),
        "Pairwise + Ridge": Pairwise(0.01) + Ridge(0.1),
        "Chain": Chain(0.3),
        "Graph (sparse)": Graph(similarity(t), 0.1),
        "TaskPrecision": TaskPrecision(np.linalg.inv(kernel), 0.3),
        "TaskKernel": TaskKernel(kernel, 0.3),
        "TraceForm": TraceForm(kernel, 0.1),
        "TraceNorm": TraceNorm(1.0),
        "SharedSparsity": SharedSparsity(1.0),
        "Sparse": Sparse(0.1),
        "Graph + Sparse": Graph(similarity(t), 0.1) + Sparse(0.1),
        "Pairwise + TraceNorm": Pairwise(0.01) + TraceNorm(1.0),
    }


def costs() -> Iterator[str]:
    """Whole fits (checks, pass, standardisation, solve), as multiples of one pass from rows to statistics."""
    X, y, codes = rows()
    models = {name: MultiTaskRegressor(r) for name, r in relations(139).items()}
    works = {"pass": lambda: grouped(X, y, codes, 139)}
    works |= {name: (lambda m=m: m.fit(X, y, codes)) for name, m in models.items()}
    seconds = best_seconds(works)
    yield f"one pass from raw rows with integer codes to statistics: {1e3 * seconds['pass']:.1f} ms"
    yield ""
    yield "| relation | passes | ms | iterations | residual | kind |"
    yield "|---|---|---|---|---|---|"
    for name, model in models.items():
        certified = any(isinstance(part, Proximal) for part in parts(model.relation_))
        kind = "certified gap" if certified else "gradient"
        ratio, ms = seconds[name] / seconds["pass"], 1e3 * seconds[name]
        yield f"| {name} | {ratio:.1f} | {ms:.1f} | {model.n_iter_} | {model.residual_:.1e} | {kind} |"


def malsar(reference: Path | None) -> Iterator[str]:
    """Our objective and time beside those recorded for MALSAR under GNU Octave."""
    if reference is None or not reference.is_file():
        yield "skipped: the recorded results are not here; set RELATASK_REFERENCE to the folder of malsar_school.csv"
        return
    X, y, codes = rows()
    with reference.open(encoding="utf-8") as file:
        recorded = {row["case"]: row for row in csv.DictReader(file)}
    options = {"weighting": "sum", "intercept": "none", "standardize": False}
    models = {name: MultiTaskRegressor(r, **options) for name, r in MALSAR.items()}
    seconds = best_seconds({name: (lambda m=m: m.fit(X, y, codes)) for name, m in models.items()}, rounds=3)
    yield "| case | ours | MALSAR, 1e-9 | MALSAR, default | lower | seconds | x its default | x its 1e-9 | residual |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, model in models.items():
        row, s = recorded[name], seconds[name]
        tight, default = float(row["malsar_tight_objective"]), float(row["malsar_default_objective"])
        lower = "yes" if model.objective_ < min(tight, default) else "NO"
        yield (
            f"| {name} | {model.objective_:.2f} | {tight:.2f} | {default:.2f} | {lower} | {s:.4f} "
            f"| {float(row['malsar_default_seconds']) / s:.0f} | {float(row['malsar_tight_seconds']) / s:.0f} "
            f"| {model.residual_:.0e} |"
        )


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
        yield "## School: a fit in passes over the rows"
        yield ""
        yield from costs()
        yield ""
        yield "## School: objectives and times recorded for MALSAR"
        yield ""
        yield from malsar(reference_file())
