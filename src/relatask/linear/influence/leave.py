"""`leave_task_out` of a fitted model: which way it goes, and what it stores."""

from __future__ import annotations

from typing import Any

import numpy as np

from relatask.linear.influence.attributes import check_linear, setting
from relatask.linear.influence.removal import removal
from relatask.linear.influence.training import check_same, squared_rows, training_design
from relatask.linear.sums.forms import Array
from relatask.notices import InputError

WAYS = ("auto", "refit")


def leave_task_out(model: Any, X: Any, y: Any, tasks: Any, sample_weight: Any, method: str) -> Array:
    """What removing each task's labels does to the others; stored as `leave_task_out_`, and how it was found."""
    if method not in WAYS:
        raise InputError(f"method={method!r} is unknown; expected one of {', '.join(map(repr, WAYS))}.")
    check_linear(model, "leave_task_out")
    design = training_design(model, X, y, tasks, sample_weight)
    check_same(design, model._statistics)
    known = setting(model, "leave_task_out")
    found = removal(known.inverse, known.forms, known.level, squared_rows(known, design))
    model.leave_task_out_ = found.effect
    model.leave_one_out_ = found.error
    model.leave_task_out_method_ = "exact"
    return np.asarray(found.effect)
