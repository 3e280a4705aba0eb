"""Relations of W as a sum of components, where tasks have fewer rows than features."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from benchmarks.linear.timing import best_seconds
from relatask.linear import MultiTaskRegressor
from relatask.linear.sums.passes import grouped
from relatask.relations import Dirty, Relation, RobustLowRank, RobustSparse

CASES = ((10, 200, 50), (20, 500, 100), (10, 1_000, 50))
"""(tasks, features, rows a task)."""


def data(t: int, d: int, n: int, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (t n, d), labels, codes: a tenth of the features (or four directions) shared, and what tasks have alone."""
    rng = np.random.default_rng(0)
    X, codes = rng.standard_normal((t * n, d)), np.repeat(np.arange(t), n)
    W = np.zeros((t, d))
    if kind == "directions":
        W = rng.standard_normal((t, 4)) @ rng.standard_normal((4, d)) / 2
    else:
        W[:, : d // 10] = rng.standard_normal((t, d // 10))
    if kind == "entries":
        W += (rng.random((t, d)) < 0.02) * rng.standard_normal((t, d)) * 2
    else:
        W[: t // 10] = rng.standard_normal((t // 10, d))
    signal = np.einsum("nd,nd->n", X, W[codes])
    return X, signal + rng.standard_normal(t * n) * signal.std() / 3, codes


def relations(t: int, cross: np.ndarray) -> dict[str, tuple[str, Relation]]:
    """Each with strengths in a fixed proportion to where its components vanish; and the data that it is for."""
    column, entry = np.linalg.norm(cross, 1, axis=0).max(), np.abs(cross).max()
    feature, task = np.linalg.norm(cross, axis=0).max(), np.linalg.norm(cross, axis=1).max()
    trace = np.linalg.norm(cross, 2)
    return {
        "Dirty": ("entries", Dirty(column / 8, entry / 5)),
        "RobustSparse": ("features", RobustSparse(feature / 8, task / 8)),
        "RobustLowRank": ("directions", RobustLowRank(trace / 8, task / 6)),
    }


def report() -> Iterator[str]:
    """CPU seconds to a certified relative gap of 1e-6."""
    yield "## W as a sum of components, fewer rows than features: to a certified relative gap of 1e-6"
    yield ""
    yield "| data | relation | seconds | passes | iterations | gap |"
    yield "|---" * 6 + "|"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for t, d, n in CASES:
            for name in relations(t, np.ones((t, d))):
                yield _row(t, d, n, name)


def _row(t: int, d: int, n: int, name: str) -> str:
    kind, _ = relations(t, np.ones((t, d)))[name]
    X, y, codes = data(t, d, n, kind)
    cross = np.stack([X[codes == k].T @ y[codes == k] for k in range(t)])
    model = MultiTaskRegressor(
        relations(t, cross)[name][1], weighting="sum", intercept="none", standardize=False, max_iter=20_000
    )
    works = {"pass": lambda: grouped(X, y, codes, t), "fit": lambda: model.fit(X, y, codes)}
    seconds = best_seconds(works, rounds=2)
    return (
        f"| t={t} d={d} n={n} | {name} | {seconds['fit']:.3f} | {seconds['fit'] / seconds['pass']:.1f} "
        f"| {model.n_iter_} | {model.residual_:.0e} |"
    )
