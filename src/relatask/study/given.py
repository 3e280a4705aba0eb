"""Relations among the parameters of models: left with the tasks that a split has; their matrices, for a check."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import sklearn

from relatask.relations import Relation, TaskKernel, TaskPrecision, TraceForm, parts

Kind = Literal["precision", "trace form", "kernel"]


def given_relations(model: Any) -> dict[str, Relation]:
    """Relations by the names of the parameters that hold them, nested ones included."""
    values = model.get_params(deep=True) if hasattr(model, "get_params") else {}
    return {name: value for name, value in values.items() if isinstance(value, Relation)}


def restricted(model: Any, tasks: Sequence[Hashable], kept: npt.NDArray[np.int64]) -> Any:
    """Give a copy of a model whose relations are bound to all tasks, and then left with some of them.

    Parameters
    ----------
    model : Model
        Unfitted; itself, if no parameter of it is a relation.
    tasks : sequence of t labels
        All tasks, in order.
    kept : int array
        Positions of those that have training labels, ascending.
    """
    found = given_relations(model)
    if not found:
        return model
    copy = sklearn.base.clone(model, safe=False)
    return copy.set_params(**{name: relation.bind(tasks).among(kept.tolist()) for name, relation in found.items()})


def with_kinds(model: Any, tasks: Sequence[Hashable], kept: npt.NDArray[np.int64], columns: bool) -> Any:
    """Give a copy of a model whose {task: kind} is left with some tasks; as a list, where it will not see their names.

    Parameters
    ----------
    model : Model
        Unfitted; itself, if no parameter of it is a mapping called `kinds`.
    tasks : sequence of t labels
        All tasks, in order.
    kept : int array
        Positions of those that have training labels, ascending.
    columns : bool
        Whether the tasks are columns of y.
    """
    values = model.get_params(deep=True) if hasattr(model, "get_params") else {}
    there = [tasks[k] for k in kept.tolist()]
    found: dict[str, Any] = {}
    for name, kinds in values.items():
        if name.split("__")[-1] == "kinds" and isinstance(kinds, Mapping) and all(task in kinds for task in there):
            found[name] = [kinds[task] for task in there] if columns else {task: kinds[task] for task in there}
    return sklearn.base.clone(model, safe=False).set_params(**found) if found else model


def given_matrices(models: Mapping[str, Any]) -> tuple[tuple[str, Kind, Any], ...]:
    """(method, kind, matrix) of every relation among the models' parameters that holds a task matrix (RT016)."""
    found: list[tuple[str, Kind, Any]] = []
    for name, model in models.items():
        for relation in given_relations(model).values():
            for part in parts(relation):
                if isinstance(part, TaskPrecision):
                    found.append((str(name), "precision", np.asarray(part.K)))
                elif isinstance(part, TraceForm):
                    found.append((str(name), "trace form", np.asarray(part.A)))
                elif isinstance(part, TaskKernel):
                    found.append((str(name), "kernel", np.asarray(part.K)))
    return tuple(found)
