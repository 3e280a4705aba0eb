"""Compute the guide's figures: `python -m benchmarks.guide`, all, some by name, or `page` for the page alone."""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks.guide import page, scarce
from benchmarks.guide.cases import CASES
from benchmarks.guide.record import METHODS, SETS, method_rows, read, set_row, study_of, write
from relatask import RelataskWarning

ROOT = Path(__file__).parents[2]
CELLS = ROOT / "build" / "guide"


def main() -> None:
    """Run what was asked for; rows of the others stay as they are."""
    asked = sys.argv[1:] or [*CASES, *scarce.SCARCE_NAMES]
    page.TABLES.mkdir(exist_ok=True)
    warnings.simplefilter("ignore", RelataskWarning)  # counted, per method, in the tables
    for name in asked:
        started = time.perf_counter()
        if name in CASES:
            case = CASES[name]()
            study = study_of(case, CELLS / name.replace("/", "-"))
            keep("methods.csv", METHODS, "case", name, method_rows(case, study))
            keep("sets.csv", SETS, "case", name, [set_row(case, study)])
        elif name in scarce.SCARCE_NAMES:
            few = scarce.SCARCE[name.removeprefix("few-")]()
            rows: list[dict[str, Any]] = []
            for size in scarce.SIZES[name.removeprefix("few-")]:
                case = few.case(name.removeprefix("few-"), size)
                found = method_rows(case, study_of(case, CELLS / f"few-{case.name}"))
                rows += [row | {"set": name, "rows": size} for row in found]
            keep("labels.csv", scarce.COLUMNS, "set", name, rows)
        elif name != "page":
            raise SystemExit(f"{name!r} is unknown; expected some of {', '.join([*CASES, *scarce.SCARCE_NAMES])}, page")
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    page.write_page()


def keep(file: str, columns: tuple[str, ...], key: str, name: str, rows: list[dict[str, Any]]) -> None:
    """Write rows in place of those of that name."""
    path = page.TABLES / file
    known = read(path) if path.exists() else []
    order = [*CASES, *scarce.SCARCE_NAMES]
    both = [*(row for row in known if row[key] != name), *rows]
    write(path, columns, sorted(both, key=lambda row: order.index(row[key])))


main()
