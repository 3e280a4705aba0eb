"""Print the tables: `python -m benchmarks.train`, or some of them: loop, experts, heads."""

from __future__ import annotations

import importlib
import sys

ROOMS = ("loop", "experts", "heads")


def main() -> None:
    """Run the rooms named, or all."""
    asked = sys.argv[1:] or list(ROOMS)
    for name in asked:
        if name not in ROOMS:
            raise SystemExit(f"{name!r} is unknown; expected some of {', '.join(ROOMS)}")
    sys.argv[1:] = []
    for name in asked:
        importlib.import_module(f"benchmarks.train.{name}").main()
        print()


main()
