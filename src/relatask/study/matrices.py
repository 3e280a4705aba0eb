"""Task matrices that models were given, for the check that asks whether their sign is meant (RT016)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from relatask.relations import Relation, TaskKernel, TaskPrecision, TraceForm, parts

Kind = Literal["precision", "trace form", "kernel"]


def given_matrices(models: Mapping[str, Any]) -> tuple[tuple[str, Kind, Any], ...]:
    """(method, kind, matrix) of every relation among the models' parameters that holds a task matrix."""
    found: list[tuple[str, Kind, Any]] = []
    for name, model in models.items():
        values = model.get_params(deep=True).values() if hasattr(model, "get_params") else ()
        for relation in (value for value in values if isinstance(value, Relation)):
            for part in parts(relation):
                if isinstance(part, TaskPrecision):
                    found.append((str(name), "precision", np.asarray(part.K)))
                elif isinstance(part, TraceForm):
                    found.append((str(name), "trace form", np.asarray(part.A)))
                elif isinstance(part, TaskKernel):
                    found.append((str(name), "kernel", np.asarray(part.K)))
    return tuple(found)
