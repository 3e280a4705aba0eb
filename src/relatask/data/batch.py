"""What one step of training sees: parts, each with inputs and the labels of the tasks that share them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class Part:
    """Inputs, and the labels of every task that shares them.

    Parameters
    ----------
    x : tensor with n rows, or mapping from modality to such
        Inputs.
    y : mapping from task to target
        n labels of each task: NaN (floats), -100 (integers) or None (lists) where missing.
    weight : tensor (n,), optional
        Weights of the rows.
    index : tensor (n,), optional
        Positions of the rows in their data.
    """

    x: Any
    y: Mapping[Hashable, Any] = field(default_factory=dict)
    weight: Any = None
    index: Any = None


Batch = tuple[Part, ...]
"""Shared inputs: one part with all targets. Separate inputs: a part a task."""
