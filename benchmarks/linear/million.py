"""A model per user: up to a million tasks of 20 rows and 20 features, streamed; seconds in passes, and memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from relatask.linear import MultiTaskRegressor
from relatask.linear.sums.passes import grouped
from relatask.relations import HierarchicalPrior, Pairwise, Relation

FEATURES = ROWS = 20
TASKS = (10_000, 100_000, 1_000_000)
BATCH = 5_000
"""Tasks whose rows come in one batch."""


def relation(name: str, t: int) -> Relation:
    """The relation of that name; of a pull that suits t tasks."""
    return Pairwise(0.1 / t) if name == "Pairwise" else HierarchicalPrior(name)  # type: ignore[arg-type]


def batches(t: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows float32 of tasks whose coefficients have a mean and a covariance in common, some tasks at a time."""
    mean = np.random.default_rng(0).standard_normal(FEATURES)
    for first in range(0, t, BATCH):
        rng = np.random.default_rng([1, first])
        X = rng.standard_normal((BATCH * ROWS, FEATURES), dtype=np.float32)
        codes = np.repeat(np.arange(first, first + BATCH), ROWS)
        W = mean + 0.5 * rng.standard_normal((BATCH, FEATURES))
        y = np.einsum("knd,kd->kn", X.reshape(BATCH, ROWS, FEATURES), W).ravel()
        yield X, y + rng.standard_normal(len(y)), codes


def one(t: int, name: str) -> dict[str, float]:
    """Processor seconds of a streamed fit less those of drawing the rows, of one pass, and peak memory in GB."""
    some = next(batches(BATCH))
    rows = min(t, 100_000) // BATCH
    X = np.concatenate([some[0]] * rows)
    y, codes = np.concatenate([some[1]] * rows), np.repeat(np.arange(rows * BATCH), ROWS)
    MultiTaskRegressor(relation(name, BATCH)).fit(*some)  # compiles
    grouped(X, y, codes, rows * BATCH)
    start = time.process_time()
    grouped(X, y, codes, rows * BATCH)
    a_pass = (time.process_time() - start) * t / (rows * BATCH)
    del X, y, codes
    start = time.process_time()
    for _ in batches(t):
        pass
    drawing = time.process_time() - start
    start = time.process_time()
    model = MultiTaskRegressor(relation(name, t)).fit_batches(batches(t))
    seconds = time.process_time() - start - drawing
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    start = time.process_time()
    model.predict(some[0], some[2])
    predicting = (time.process_time() - start) * t / BATCH
    found = {"seconds": seconds, "a_pass": a_pass, "peak": peak, "predicting": predicting}
    return found | {"residual": model.residual_, "n_iter": model.n_iter_}


def report() -> Iterator[str]:
    """Each case in a fresh process."""
    yield "## Many small tasks: 20 rows and 20 features each, streamed by `fit_batches`"
    yield ""
    yield "| tasks | relation | fit s | one pass s | passes | predict s | peak GB | relative gradient or change |"
    yield "|---|---|---|---|---|---|---|---|"
    for t in TASKS:
        for name in ("Pairwise", "diagonal", "full"):
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.linear.million", str(t), name],
                check=True,
                capture_output=True,
                text=True,
            )
            f = json.loads(done.stdout)
            label = name if name == "Pairwise" else f"HierarchicalPrior, {name}"
            yield (
                f"| {t:,} | {label} | {f['seconds']:.1f} | {f['a_pass']:.2f} | {f['seconds'] / f['a_pass']:.1f} "
                f"| {f['predicting']:.1f} | {f['peak']:.2f} | {f['residual']:.0e} |"
            )


if __name__ == "__main__":
    print(json.dumps(one(int(sys.argv[1]), sys.argv[2])))
