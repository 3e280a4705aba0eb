"""How much a process grows while something runs, looked at from a thread beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAUSE = 0.02
_PAGES = Path("/proc/self/statm")


class Grown:
    """By how many MB the process grew at most; None where the system does not tell."""

    def __init__(self) -> None:
        self.mb: float | None = None


@contextmanager
def watched(wanted: bool = True) -> Iterator[Grown]:
    """Watch the resident memory of this process inside the block; a sample every 20 ms.

    Examples
    --------
    >>> with watched() as grown:
    ...     block = bytearray(50_000_000)
    >>> grown.mb is None or grown.mb > 40
    True
    """
    grown = Grown()
    if not wanted or not _PAGES.exists():
        yield grown
        return
    start, most, done = _resident(), [0.0], threading.Event()

    def look() -> None:
        while not done.wait(PAUSE):
            most[0] = max(most[0], _resident())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield grown
    finally:
        done.set()
        thread.join()
        grown.mb = max(most[0], _resident()) - start


def _resident() -> float:
    return int(_PAGES.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
