"""Nets: how the bodies and heads of several tasks share. One way of sharing, one file."""

from __future__ import annotations

from inspect import isabstract

from relatask.nets.hard import HardSharing
from relatask.nets.heads import Heads
from relatask.nets.model import Model

__all__ = ["HardSharing", "Heads", "Model", "registry"]


def registry() -> dict[str, type[Model]]:
    """Give every way of sharing that can be chosen by name: the exported, concrete ones.

    Examples
    --------
    >>> "HardSharing" in registry()
    True
    """
    found = {name: globals()[name] for name in __all__}
    return {
        name: kind
        for name, kind in found.items()
        if isinstance(kind, type) and issubclass(kind, Model) and not isabstract(kind)
    }
