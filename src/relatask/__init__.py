"""relatask: learn related tasks together, and see task by task whether sharing helped.

Public names are resolved on first use, so that importing the package loads neither torch, matplotlib, numba nor
scikit-learn.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Task": "relatask.tasks",
    "Metric": "relatask.tasks",
    "InputError": "relatask.notices",
    "RelataskWarning": "relatask.notices",
    "DeepMultiTask": "relatask.train.estimators",
    "DeepMultiTaskClassifier": "relatask.train.estimators",
    "DeepMultiTaskRegressor": "relatask.train.estimators",
    "MultiTaskClassifier": "relatask.linear",
    "MultiTaskClassifierCV": "relatask.linear",
    "MultiTaskKernelRidge": "relatask.linear",
    "MultiTaskLinear": "relatask.linear",
    "MultiTaskRegressor": "relatask.linear",
    "MultiTaskRegressorCV": "relatask.linear",
    "PooledRegressor": "relatask.linear",
    "Scores": "relatask.measure",
    "compare": "relatask.study",
    "load": "relatask.data",
}
_ROOMS = ("relations", "balance", "kinds", "nets", "train", "linear", "measure", "study", "data", "report")

__all__ = [*_HOMES, *_ROOMS, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"relatask.{name}")
    raise AttributeError(f"module 'relatask' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
