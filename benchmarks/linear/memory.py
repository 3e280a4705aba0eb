"""Peak memory of a fit, against the data and t d min(d, n_k)."""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Iterator

import numpy as np

from relatask.linear import MultiTaskRegressor
from relatask.relations import Chain, Pairwise, Ridge, SharedSparsity

CASES = {
    # name: tasks, features, rows a task
    "many rows": (50, 40, 2_000),
    "few rows a task": (100, 500, 60),
    "School-like": (139, 28, 110),
}


def report() -> Iterator[str]:
    """Peak of what a fit allocates beyond the data it is given."""
    yield "## Memory of a fit beyond the data, in units of t d min(d, n_k) numbers"
    yield ""
    yield "| case | relation | data MB | t d min(d, n_k) MB | peak beyond data MB | ratio |"
    yield "|---|---|---|---|---|---|"
    rng = np.random.default_rng(0)
    for case, (t, d, n) in CASES.items():
        X, y = rng.standard_normal((t * n, d)), rng.standard_normal(t * n)
        codes = rng.permutation(np.repeat(np.arange(t), n))
        unit = 8 * t * d * min(d, n)
        for relation in (Ridge(1.0), Pairwise(0.1), Chain(1.0), SharedSparsity(0.1)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tracemalloc.start()
                MultiTaskRegressor(relation, max_iter=200).fit(X, y, codes)
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
            yield (
                f"| {case} | {type(relation).__name__} | {X.nbytes / 1e6:.0f} | {unit / 1e6:.1f} "
                f"| {peak / 1e6:.1f} | {peak / unit:.1f} |"
            )
