"""The page on kinds has each kind, with the metrics it has, the first one first."""

from __future__ import annotations

import re
from pathlib import Path

from relatask.kinds import registry

PAGE = (Path(__file__).parents[2] / "docs" / "kinds.md").read_text(encoding="utf-8")


def test_every_kind_has_its_row_and_its_metrics():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    names = [re.match(r"\| `(\w+)`", row)[1] for row in rows]
    kinds = list(registry().values())
    assert sorted(names) == sorted(kind.name for kind in kinds for _ in range(2))
    for kind in kinds:
        _, metrics = (row for row in rows if row.startswith(f"| `{kind.name}`"))
        assert re.findall(r"`(\w+)`", metrics)[1:] == list(kind.metrics)
