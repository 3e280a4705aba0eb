"""School: what a fit costs, in passes over the rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache

import numpy as np
import scipy

from benchmarks.linear.timing import best_seconds
from relatask.data import load
from relatask.linear import MultiTaskRegressor
from relatask.linear.sums.passes import grouped
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


def report() -> Iterator[str]:
    """The table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield "## School: a fit in passes over the rows"
        yield ""
        yield from costs()
