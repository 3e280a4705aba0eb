"""Parameters that reach into the kernels: `kernel__length_scale`, `task_kernel__strength`."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone
from sklearn.gaussian_process.kernels import Kernel

from relatask.notices import InputError
from relatask.relations import Relation, parameters, with_parameters


def nested_kernels(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a Gaussian-process kernel and of a relation, under the estimator's names."""
    kernel, relation = params["kernel"], params["task_kernel"]
    inner = kernel.get_params() if isinstance(kernel, Kernel) else {}
    own = parameters(relation) if isinstance(relation, Relation) else {}
    return {f"kernel__{k}": v for k, v in inner.items()} | {f"task_kernel__{k}": v for k, v in own.items()}


def resolved_kernels(given: dict[str, Any], own: dict[str, Any], owner: str) -> dict[str, Any]:
    """Parameters to set on the estimator itself, a kernel replaced where one of its own was given.

    Raises
    ------
    InputError
        For a name that neither the estimator nor its kernels have.
    """
    plain = {k: v for k, v in given.items() if "__" not in k}
    for name in plain:
        if name not in own:
            raise InputError(f"Invalid parameter {name!r} for estimator {owner}. Valid parameters are: {list(own)!r}.")
    for part in ("kernel", "task_kernel"):
        inner = {k.removeprefix(f"{part}__"): v for k, v in given.items() if k.startswith(f"{part}__")}
        if not inner:
            continue
        holder = plain.get(part, own[part])
        known = nested_kernels({"kernel": None, "task_kernel": None, part: holder})
        known = {k.removeprefix(f"{part}__"): v for k, v in known.items()}
        wrong = [name for name in inner if name not in known]
        if wrong:
            raise InputError(
                f"Invalid parameter '{part}__{wrong[0]}' for estimator {owner}: its {part} is {holder!r:.60}, with "
                f"the parameters {list(known)!r}."
            )
        changed = {k: v for k, v in inner.items() if known[k] is not v}
        if changed:
            plain[part] = (
                clone(holder).set_params(**changed) if part == "kernel" else with_parameters(holder, **changed)
            )
    unknown = [k for k in given if "__" in k and not k.startswith(("kernel__", "task_kernel__"))]
    if unknown:
        raise InputError(f"Invalid parameter {unknown[0]!r} for estimator {owner}.")
    return plain
