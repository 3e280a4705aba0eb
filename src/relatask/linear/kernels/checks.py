"""The parameters of a kernel model, checked at the public door."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.gaussian_process.kernels import Kernel

from relatask.linear.kernels.features import FeatureKernel, read_kernel
from relatask.linear.kernels.fit import Settings
from relatask.linear.kernels.path import CRITERIA
from relatask.linear.kernels.solving import SOLVERS
from relatask.linear.multitask import WEIGHTINGS
from relatask.notices import InputError

CHOICES = {
    "weighting": WEIGHTINGS,
    "intercept": ("free", "none"),
    "solver": SOLVERS,
    "criterion": CRITERIA,
    "noise": ("task", "common"),
}


def settings_of(model: Any) -> Settings:
    """The parameters of an estimator, checked.

    Raises
    ------
    InputError
        For a value that cannot be used, and for values that contradict each other.
    """
    for name, allowed in CHOICES.items():
        value = getattr(model, name)
        if not isinstance(value, str) or value not in allowed:
            raise InputError(f"{name}={value!r} is unknown; expected one of {', '.join(map(repr, allowed))}.")
    for name in ("optimize_kernel", "standardize"):
        if not isinstance(getattr(model, name), bool | np.bool_):
            raise InputError(f"{name}={getattr(model, name)!r} is not usable; expected True or False.")
    if not (isinstance(model.tol, Real) and 0 < float(model.tol) < 1):
        raise InputError(f"tol={model.tol!r} is not usable; expected a number between 0 and 1.")
    for name, least in (("max_iter", 1), ("rank", 1), ("learn_labels", 10), ("n_starts", 1), ("random_state", 0)):
        _whole(name, getattr(model, name), least)
    if model.landmarks is not None:
        _whole("landmarks", model.landmarks, 1)
    strength, amplitude = _positive(model, "strength"), _positive(model, "amplitude")
    _positive(model, "max_memory")
    kernel = read_kernel(model.kernel, model.kernel_params)
    learns = model.optimize_kernel or (isinstance(model.task_kernel, str) and model.task_kernel == "learned")
    if learns:
        _check_learning(model, kernel)
    return Settings(
        strength, amplitude, model.intercept == "free", model.noise == "task", model.weighting,
        bool(model.standardize), model.criterion, bool(model.optimize_kernel), int(model.rank), model.solver,
        float(model.tol), int(model.max_iter), model.landmarks, float(model.max_memory), int(model.learn_labels),
        int(model.n_starts), int(model.random_state),
    )  # fmt: skip


def _check_learning(model: Any, kernel: FeatureKernel) -> None:
    for name in ("strength", "amplitude"):
        if getattr(model, name) != "auto":
            raise InputError(
                f"{name}={getattr(model, name)!r} is given, but it is learned together with the kernels; leave "
                f"{name}='auto', or give the kernels."
            )
    if model.optimize_kernel and not isinstance(kernel.kind, Kernel):
        raise InputError(
            f"optimize_kernel=True needs a kernel of sklearn.gaussian_process.kernels, such as RBF(1.0); "
            f"kernel={kernel.kind!r:.60} has no parameters to learn."
        )
    if model.optimize_kernel and not len(kernel.kind.theta):
        raise InputError(f"optimize_kernel=True, but all parameters of {kernel.kind!r} are fixed.")


def _positive(model: Any, name: str) -> float | None:
    value = getattr(model, name)
    if isinstance(value, str) and value == "auto" and name != "max_memory":
        return None
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < np.inf:
        auto = "" if name == "max_memory" else ", or 'auto'"
        raise InputError(f"{name}={value!r} is not usable; expected a finite number > 0{auto}.")
    return float(value)


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name}={value!r} is not usable; expected a whole number >= {least}.")
