"""CPU seconds of pieces of work that take turns in one process, so that a noisy machine slows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any


def best_seconds(works: Mapping[str, Callable[[], Any]], rounds: int = 7) -> dict[str, float]:
    """The least processor time of each piece of work over some rounds in which all take turns; one round warms up."""
    best = dict.fromkeys(works, float("inf"))
    for round_ in range(rounds + 1):
        for name, work in works.items():
            start = time.process_time()
            work()
            if round_:
                best[name] = min(best[name], time.process_time() - start)
    return best
