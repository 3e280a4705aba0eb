"""Whether anything beats equal weights (RT010): what `relatask compare` says of networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relatask.cli import show
from relatask.cli.models import NetworkConfig
from relatask.cli.network import plain
from relatask.measure import ALL, Check


def equal_among(variants: Mapping[str, Any]) -> str | None:
    """Return the method with equal weights that the others vary, if there is one: hard sharing before others."""
    found = [
        name
        for name, model in variants.items()
        if isinstance(model, NetworkConfig) and plain(model.balance.method) == "equal" and not model.relation
    ]
    return min(found, key=lambda name: plain(variants[name].sharing) != "hard", default=None)


def beats_equal(study: Any, equal: str | None) -> tuple[str, list[Check]]:
    """Say whether anything beats equal weights beyond noise, and check what does not (RT010).

    Parameters
    ----------
    study : Study
        What the comparison found.
    equal : str or None
        The method with equal weights; None where it is not among them.
    """
    others = [name for name in study.models if name != equal]
    if equal is None or not others:
        return "", []
    verdicts = {name: study.differences(name, equal).overall for name in others}
    better = [name for name, row in verdicts.items() if row.verdict == "helped"]
    worse = [name for name, row in verdicts.items() if row.verdict == "hurt"]
    if better:
        said = f"Better than equal weights ({equal}) beyond noise, over all tasks: {show.listed(better)}."
    else:
        said = f"Nothing here beats equal weights ({equal}) beyond noise over all tasks."
    if worse:
        said += f" Worse than them: {show.listed(worse)}."
    checks = [
        Check(
            "RT010",
            ALL,
            f"{name} is {'worse than' if name in worse else 'not shown to be better than'} equal weights ({equal}).",
            f"It has nothing to show for its cost here: take {equal}, or more splits and seeds to see a difference.",
        )
        for name in others
        if name not in better
    ]
    return said, checks
