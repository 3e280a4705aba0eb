"""`Answers`: what rows were answered, by task or each for its own; answers of tasks put where their rows are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """What rows were answered: by task where all are for every task, else each row for its own (`codes`).

    Attributes
    ----------
    values : t times (n,) or (n, C), or once where each row has its own task.
    codes : (n,) or None
    """

    values: list[Floats]
    codes: NDArray[np.intp] | None


def picked(values: list[Floats], codes: NDArray[np.intp]) -> Floats:
    """Each row's own task's answers, of tasks that were columns."""
    return scattered([found[codes == k] for k, found in enumerate(values)], codes)


def scattered(parts: list[Floats], codes: NDArray[np.intp]) -> Floats:
    """Answers of each task's rows put where the rows are."""
    width = max(part.shape[1] if part.ndim == 2 else 0 for part in parts)
    out = np.zeros((len(codes), width) if width else len(codes))
    for k, part in enumerate(parts):
        own = codes == k
        if width and len(part):
            whole = part.reshape(len(part), -1)
            out[own, : whole.shape[1]] = whole
        elif len(part):
            out[own] = part
    return out
