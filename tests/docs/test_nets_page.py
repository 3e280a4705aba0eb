"""The page of nets names every way of sharing there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from relatask.nets import registry

PAGE = Path(__file__).parents[2] / "docs" / "nets.md"


def test_every_way_of_sharing_stands_on_its_page():
    section = PAGE.read_text(encoding="utf-8").split("## Which there are")[1].split("Where sharing goes")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(registry())
