"""Quadratic relations at scale: what a fit costs in seconds and in passes, where tasks are many or wide."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.linear.school import relations as school_relations
from benchmarks.linear.school import rows, similarity
from relatask.linear import MultiTaskRegressor
from relatask.linear.sums.passes import grouped
from relatask.relations import Chain, Graph, Pairwise, Quadratic, Relation, TaskPrecision, parts

CASES = {
    # (tasks, features, rows a task): goals in seconds for the mean, the chain and the graph
    (1_000, 100, 150): (0.6, 0.6, 2.0),
    (100, 500, 200): (1.0, 2.0, 3.0),
}
ROUNDS = 3


def data(t: int, d: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (t n, d) of tasks whose coefficients share a mean, labels, integer codes."""
    rng = np.random.default_rng(0)
    X, codes = rng.standard_normal((t * n, d)), np.repeat(np.arange(t), n)
    W = rng.standard_normal(d) + 0.5 * rng.standard_normal((t, d))
    return X, np.einsum("nd,nd->n", X, W[codes]) + rng.standard_normal(t * n), codes


def singular(t: int, rank: int, smallest: float) -> TaskPrecision:
    """A random precision of some rank, its eigenvalues down to `smallest` of the largest."""
    factor = np.random.default_rng(3).standard_normal((t, rank))
    return TaskPrecision((factor * np.geomspace(1.0, smallest, rank)) @ factor.T / rank, 0.3)


def cpu_seconds(work: Callable[[], Any]) -> float:
    """The least processor time of some rounds, after one that warms up."""
    best = float("inf")
    for round_ in range(ROUNDS + 1):
        start = time.process_time()
        work()
        if round_:
            best = min(best, time.process_time() - start)
    return best


def report() -> Iterator[str]:
    """The six cases that have goals, and School's quadratics."""
    yield "## Quadratic relations at scale: whole fits, seconds of processor time"
    yield ""
    yield "| data | relation | seconds | goal | passes | iterations | relative gradient |"
    yield "|---|---|---|---|---|---|---|"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for (t, d, n), goals in CASES.items():
            names = ("mean", "chain", "graph")
            own: tuple[Relation, ...] = (Pairwise(0.01), Chain(0.3), Graph(similarity(t), 0.1))
            yield from _rows(f"t={t} d={d} n={n}", data(t, d, n), dict(zip(names, own, strict=True)), goals)
        quadratic = {k: r for k, r in school_relations(139).items() if all(isinstance(p, Quadratic) for p in parts(r))}
        quadratic |= {
            "precision of rank 10": singular(139, 10, 1.0),
            "precision of rank 40": singular(139, 40, 1.0),
            "precision of rank 100, 1e-5": singular(139, 100, 1e-5),
        }
        yield from _rows("School", rows(), quadratic, (), standardize=True)
        yield from _rows("School, raw columns", rows(), quadratic, (), standardize=False)


def _rows(
    name: str,
    table: tuple[np.ndarray, np.ndarray, np.ndarray],
    relations: dict[str, Relation],
    goals: tuple[float, ...],
    standardize: bool = True,
) -> Iterator[str]:
    X, y, codes = table
    one = cpu_seconds(lambda: grouped(X, y, codes, int(codes.max()) + 1))
    yield f"| {name} | (one pass) | {one:.3f} | | 1 | | |"
    for place, (label, relation) in enumerate(relations.items()):
        model = MultiTaskRegressor(relation, standardize=standardize)
        seconds = cpu_seconds(lambda m=model: m.fit(X, y, codes))
        goal = goals[place] if goals else ""
        yield (
            f"| {name} | {label} | {seconds:.3f} | {goal} | {seconds / one:.1f} | {model.n_iter_} "
            f"| {model.residual_:.1e} |"
        )
