"""What the extra relatask[deep] brings: whether it is installed, and what is said where it is not."""

from __future__ import annotations

import importlib.util

from relatask.notices import InputError

DEEP = ("torch", "lightning_fabric", "torchmetrics", "safetensors")
"""Modules of the extra."""
INSTALL = 'pip install "relatask[deep]"'


def missing() -> list[str]:
    """Return the modules of the extra that are not installed; nothing is imported for that."""
    return [name for name in DEEP if not _there(name)]


def need_deep(what: str) -> None:
    """Raise where a part of the extra is not installed.

    Raises
    ------
    InputError
        Naming the extra.
    """
    absent = missing()
    if absent:
        raise InputError(f"{what} needs {', '.join(absent)}, which is not installed here: {INSTALL}")


def _there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
