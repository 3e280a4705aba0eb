"""Well-conditioned data: the method of multipliers, accelerated proximal gradient, and what "auto" takes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from benchmarks.linear.timing import best_seconds
from relatask.linear import MultiTaskRegressor
from relatask.relations import Relation, SharedSparsity, TraceNorm

CASES = ((20, 30, 500), (50, 50, 500), (100, 100, 300), (20, 200, 1_000))
"""(tasks, features, rows a task)."""
RELATIONS: tuple[Relation, ...] = (TraceNorm(0.05), TraceNorm(0.5), SharedSparsity(0.05), SharedSparsity(0.5))
SOLVERS = ("admm", "fista", "auto")


def data(t: int, d: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (t n, d) of independent normal entries, tasks of rank three that use a third of the features, codes."""
    rng = np.random.default_rng(0)
    X, codes = rng.standard_normal((t * n, d)), np.repeat(np.arange(t), n)
    W = rng.standard_normal((t, 3)) @ rng.standard_normal((3, d))
    W[:, d // 3 :] = 0
    return X, np.einsum("nd,nd->n", X, W[codes]) + 2 * rng.standard_normal(t * n), codes


def report() -> Iterator[str]:
    """CPU milliseconds of whole fits to a certified gap of 1e-6, iterations in brackets."""
    yield "## Well-conditioned Gaussian data: whole fits to a certified gap of 1e-6, ms (iterations)"
    yield ""
    yield "| data | relation | admm | fista | auto | auto / the better |"
    yield "|---" * 6 + "|"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for t, d, n in CASES:
            for relation in RELATIONS:
                yield _row(t, d, n, relation)


def _row(t: int, d: int, n: int, relation: Relation) -> str:
    X, y, codes = data(t, d, n)
    models = {solver: MultiTaskRegressor(relation, solver=solver) for solver in SOLVERS}
    seconds = best_seconds({s: (lambda m=m: m.fit(X, y, codes)) for s, m in models.items()}, rounds=4)
    assert all(model.residual_ <= 1e-6 for model in models.values())
    cells = " | ".join(f"{1e3 * seconds[s]:.1f} ({m.n_iter_})" for s, m in models.items())
    ratio = seconds["auto"] / min(seconds["admm"], seconds["fista"])
    return f"| t={t} d={d} n={n} | {type(relation).__name__}({relation.strength}) | {cells} | {ratio:.2f} |"
