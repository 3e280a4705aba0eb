"""How hard the tests try: quick by default; with RELATASK_THOROUGH=1, which `make test-thorough` sets, in full."""

from __future__ import annotations

import os

from hypothesis import settings

THOROUGH = os.environ.get("RELATASK_THOROUGH", "0") not in ("", "0")


def examples(quick: int, thorough: int) -> settings:
    """So many draws of a law. No deadline: machines differ, and what is slow is seen elsewhere."""
    return settings(max_examples=thorough if THOROUGH else quick, deadline=None)
