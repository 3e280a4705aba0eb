"""What `relatask compare` says in a sentence is what its table shows, of baselines too."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from relatask.cli.compare import in_words


class Found:
    """A study of one model, single tasks and linear models, with given gains over single."""

    single, models, baselines, methods = "single", ("hard",), ("single", "linear"), ("hard", "single", "linear")

    def __init__(self, **gains: str) -> None:
        self.gains = gains

    def differences(self, name: str, against: str = "single") -> Any:
        verdict = self.gains.get(name, "no difference shown")
        gain = {"helped": 1.0, "hurt": -1.0}.get(verdict, 0.0)
        return SimpleNamespace(overall=SimpleNamespace(verdict=verdict, difference=gain))


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ({}, "Nothing here beats single beyond noise over all tasks."),
        ({"linear": "helped"}, "No method compared beats single beyond noise over all tasks; of the baselines, linear"),
        ({"hard": "helped"}, "Beyond noise, over all tasks, better than single: hard."),
    ],
)
def test_a_baseline_that_beats_single_is_told(gains: dict[str, str], said: str) -> None:
    assert in_words(Found(**gains)).startswith(said)
