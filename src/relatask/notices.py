"""What the library says when something is wrong (errors) or worth knowing (coded warnings)."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

CODES: dict[str, str] = {
    "RT001": "a task is worse than its own single-task baseline beyond noise",
    "RT002": "one task owns more than 80% of the shared gradient norm",
    "RT003": "a task's loss weight collapsed",
    "RT005": "too few labels",
    "RT006": "the tasks' best epochs differ by more than 30%",
    "RT007": "batches without any label of a task",
    "RT008": "a target duplicates or leaks another",
    "RT009": "parameters without gradient",
    "RT011": "a dead expert",
    "RT012": "training and test rows differ in their label support",
    "RT013": "a loss or gradient is NaN or infinite",
    "RT014": "one seed or one split only",
    "RT015": "the solver stopped before its tolerance",
    "RT016": "the task matrix given is not positive semidefinite, or its sign pushes related tasks apart",
    "RT017": "the minimiser is not unique; the minimum-norm solution is returned",
    "RT018": "a part of the relation can take no part at these strengths",
    "RT019": "what is left after forgetting is not exactly what a new fit would give",
    "RT020": "a balancer's direction would make every task worse, and is turned round",
    "RT021": "a balancer that learns from the losses after the step is not shown them",
}


class InputError(ValueError):
    """Input that cannot be used: the message names what was given, what was expected and what to do."""


class RelataskWarning(UserWarning):
    """A coded warning.

    Parameters
    ----------
    message : str
        What was seen, and what to do.
    code : str
        One of `CODES`, for example ``"RT005"``.

    Examples
    --------
    >>> str(RelataskWarning("task 'a' has 1 label", code="RT005"))
    "RT005: task 'a' has 1 label"
    """

    def __init__(self, message: str, *, code: str) -> None:
        self.code = code
        super().__init__(f"{code}: {message}")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), str(self).removeprefix(f"{self.code}: "), self.code)


_HERE = str(Path(__file__).parent)


def tell(warning: Warning) -> None:
    """Warn, pointing at the first line outside this package: the caller's."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        level, frame = level + 1, frame.f_back
    warnings.warn(warning, stacklevel=level)


def _rebuild(kind: type[RelataskWarning], message: str, code: str) -> RelataskWarning:
    return kind(message, code=code)
