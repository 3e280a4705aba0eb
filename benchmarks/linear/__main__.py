"""Print the benchmark tables: `python -m benchmarks.linear`, or some of them, by the names in ROOMS."""

from __future__ import annotations

import platform
import sys

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.linear import (
    components,
    gaussian,
    kernels,
    logistic,
    malsar,
    memory,
    million,
    own_x,
    paths,
    scale,
    school,
    shared_x,
    streaming,
    strengths,
    unlabelled,
)

ROOMS = {
    "school": school.report,
    "malsar": malsar.report,
    "components": components.report,
    "gaussian": gaussian.report,
    "paths": paths.report,
    "strengths": strengths.report,
    "memory": memory.report,
    "shared_x": shared_x.report,
    "own_x": own_x.report,
    "scale": scale.report,
    "logistic": logistic.report,
    "kernels": kernels.report,
    "unlabelled": unlabelled.report,
    "streaming": streaming.report,
    "million": million.report,
}


def main() -> None:
    """Run the rooms named, or all, on one thread."""
    print(f"Python {platform.python_version()}, numpy {np.__version__}, one thread; ratios are of one process.\n")
    with threadpool_limits(1):
        for name in sys.argv[1:] or ROOMS:
            for line in ROOMS[name]():
                print(line, flush=True)
            print()


main()
