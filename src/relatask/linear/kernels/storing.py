"""Kernels and labelled matrices as a class name and parameters, and back: no pickle."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from relatask.linear.input.labels import listed
from relatask.linear.kernels.path import KernelPath
from relatask.notices import InputError

KINDS = ("gp kernel", "frame", "kernel path")


def plain_parts(value: Any) -> tuple[str, str, dict[str, Any]] | None:
    """One of `KINDS`, a name, and the parts that a value is made of; None for a value of another kind.

    Raises
    ------
    InputError
        For a Gaussian-process kernel that is not one of scikit-learn's own.
    """
    if type(value) is KernelPath:
        return "kernel path", "KernelPath", dict(vars(value))
    gp = sys.modules.get("sklearn.gaussian_process.kernels")
    if gp is not None and isinstance(value, gp.Kernel):
        name = type(value).__name__
        if getattr(gp, name, None) is not type(value):
            raise InputError(f"{name} is not one of scikit-learn's kernels, so a model that uses it cannot be saved.")
        return "gp kernel", name, value.get_params(deep=False)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        parts = {"index": list(value.index), "columns": list(value.columns)}
        return "frame", "DataFrame", {**parts, "values": value.to_numpy(dtype=np.float64)}
    return None


def rebuilt(kind: str, name: str, parts: dict[str, Any]) -> Any:
    """What `plain_parts` took apart.

    Raises
    ------
    InputError
        For a name that is not one of scikit-learn's kernels.
    """
    if kind == "kernel path":
        return KernelPath(**parts)
    if kind == "frame":
        import pandas

        return pandas.DataFrame(parts["values"], index=parts["index"], columns=parts["columns"])
    from sklearn.gaussian_process import kernels as gp

    found = getattr(gp, name, None)
    if not (isinstance(found, type) and issubclass(found, gp.Kernel)):
        known = [k for k, v in vars(gp).items() if isinstance(v, type) and issubclass(v, gp.Kernel)]
        raise InputError(f"the saved kernel {name!r} is unknown here; known are {listed(known, 30)}.")
    return found(**parts)
