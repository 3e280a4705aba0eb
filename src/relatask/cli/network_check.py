"""What `relatask check` says of a network: what it reads the columns as, and what training costs, by a try."""

from __future__ import annotations

import time
import warnings
from copy import deepcopy
from typing import Any

import numpy as np

from relatask.cli import show
from relatask.cli.check import Inputs
from relatask.cli.loading import Loaded
from relatask.cli.network import build_features, inputs_by_role, linear_beside, read_names
from relatask.cli.problem import Columns, Problem

TRIED = 512
"""Rows that one epoch is tried on."""


def network_inputs(loaded: Loaded, problem: Problem, model: Any, n_splits: int) -> Inputs:
    """Return the columns that a network reads, as what, and roughly what a training run takes here.

    Parameters
    ----------
    loaded, problem
        The configuration and the data.
    model : estimator
        The unfitted network.
    n_splits : int
        How many splits there are.

    Raises
    ------
    InputError
        For columns that the network cannot read.
    """
    network = loaded.config.network
    assert network is not None
    read_names(loaded.config, problem)
    columns = inputs_by_role(loaded.config, problem)
    features = build_features(loaded.config, loaded.file.parent, network).fit(problem.inputs)
    roles = {name: role for name, role in features.roles_.items() if role != "drop"}
    if network.kind == "mlp":
        left = {n: "kind: mlp reads numbers and categories only" for n in roles if n not in _numbers(columns)}
    else:
        left = {}
    roles = {name: role for name, role in roles.items() if name not in left}
    seconds = _try(model, problem)
    nets = 1 + (len(problem.names) if "single" in loaded.config.beside else 0)
    nets += "pooled" in loaded.config.beside
    epochs = network.epochs * nets * n_splits
    cost = {
        "methods": 1 + len(loaded.config.beside) + (linear_beside(loaded.config, problem) is not None),
        "splits": n_splits,
        "epochs": epochs,
        "seconds_per_epoch": seconds,
        "seconds": seconds * (epochs + 2 * network.epochs),
    }
    told = (
        f"Cost: {nets} networks x {n_splits} splits x {network.epochs} epochs at most = {epochs:,} epochs of about "
        f"{show.seconds(seconds)}; at most about {show.seconds(cost['seconds'])} here (within a factor of three; early "
        "stopping saves some), and the linear models beside."
    )
    return Inputs(tuple(roles), {**features.dropped_, **left}, cost, told, roles)


def _numbers(columns: dict[str, list[str]]) -> list[str]:
    return [*columns["numeric"], *columns["categorical"]]


def _try(model: Any, problem: Problem) -> float:
    """Seconds of an epoch over all rows, from one over a few of them."""
    seen = ~np.isnan(problem.y)
    rows = np.flatnonzero(seen if seen.ndim == 1 else seen.any(1))
    rows = np.random.default_rng(0).permutation(rows)[:TRIED]
    y = problem.y[rows]
    kept = np.ones(1, dtype=bool) if y.ndim == 1 else (~np.isnan(y)).sum(0) > 1
    if not kept.all():
        return float("nan")
    labels = y if problem.tasks is not None else Columns(y, problem.names)
    tasks = None if problem.tasks is None else problem.tasks[rows]
    inputs, one = problem.inputs.take(rows), deepcopy(model)
    spent = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for epochs in (1, 1, 3):  # the first fit also imports and warms up, and is not counted
            one.set_params(epochs=epochs, validation_fraction=0.0)
            start = time.perf_counter()
            one.fit(inputs, labels, tasks=tasks)
            spent.append(time.perf_counter() - start)
    return max((spent[2] - spent[1]) / 2, spent[2] / 12) * problem.rows / len(rows)
