"""More rows than memory: 50 float32 features in Parquet parts, fitted in batches; seconds, rows per second, memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relatask.linear import MultiTaskRegressor
from relatask.linear.streaming import parquet_batches
from relatask.relations import Pairwise

ROWS = (1_000_000, 3_000_000, 10_000_000)
PART = 500_000
FEATURES, TASKS = 50, 8


def write(folder: Path, rows: int) -> None:
    """Write parts of half a million rows."""
    mean = np.random.default_rng(0).standard_normal(FEATURES)
    for number in range(rows // PART):
        rng = np.random.default_rng([2, number])
        X = rng.standard_normal((PART, FEATURES), dtype=np.float32)
        tasks = rng.integers(0, TASKS, PART)
        y = X @ mean + 0.3 * X[:, 0] * tasks + rng.standard_normal(PART)
        columns = {f"x{j}": X[:, j] for j in range(FEATURES)} | {"task": tasks, "y": y.astype(np.float32)}
        pq.write_table(pa.table(columns), folder / f"part-{number:03d}.parquet", compression="none")


def one(folder: str) -> dict[str, float]:
    """Seconds of the wall and of the processor, and the peak of a fresh process, in MB."""
    wall, processor = time.perf_counter(), time.process_time()
    model = MultiTaskRegressor(Pairwise(0.01)).fit_batches(parquet_batches(folder, "y", tasks="task"))
    found = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return found | {"peak": peak, "rows": float(model.n_labels_.sum())}


def report() -> Iterator[str]:
    """Parts are written to a temporary folder, and deleted."""
    yield f"## More rows than memory: {FEATURES} float32 features, {TASKS} tasks, Parquet parts, `fit_batches`"
    yield ""
    yield "| rows | files MB | wall s | processor s | rows per processor second | peak MB |"
    yield "|---|---|---|---|---|---|"
    for rows in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), rows)
            size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
            command = [sys.executable, "-m", "benchmarks.linear.streaming", folder]
            f = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        yield (
            f"| {rows:,} | {size:.0f} | {f['wall']:.1f} | {f['processor']:.1f} | {rows / f['processor']:,.0f} "
            f"| {f['peak']:.0f} |"
        )


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1])))
