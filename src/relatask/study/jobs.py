"""The work of a study: which cells there are, what each depends on, and computing them, here or in other processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import joblib
import numpy as np

import relatask
from relatask.study.cells import Cell, code_of, fingerprint, package_code
from relatask.study.fitting import fit_cell, takes
from relatask.study.given import restricted, with_kinds
from relatask.study.problem import Problem, take
from relatask.study.splits import Split

FORMAT = 2
"""Of the files of cells; raise it when what a cell holds changes its meaning."""

CellName = tuple[str, str, int]
"""Split, method, seed."""


def cell_keys(
    data: Problem, encode: Any, methods: Mapping[str, Any], drawn: list[Split], wanted: list[CellName]
) -> dict[CellName, str]:
    """Hash what each cell depends on: data, encoding, model, rows of the split, seed, the version and the code."""
    ours = (FORMAT, relatask.__version__, package_code())
    labels = (data.y, data.kinds, data.classes)
    whole = fingerprint(*ours, data.X, labels, data.tasks, data.weight, encode, code_of(encode))
    of_method = {
        name: fingerprint(
            type(model).__qualname__,
            model,
            code_of(model),
            *([package_code(deep=True)] if hasattr(model, "twin") else []),
        )
        for name, model in methods.items()
    }
    of_split = {split.name: fingerprint(split.train, split.test) for split in drawn}
    return {
        (split, name, seed): fingerprint(whole, of_method[name], of_split[split], seed) for split, name, seed in wanted
    }


def computed(
    data: Problem, encode: Any, methods: Mapping[str, Any], drawn: list[Split], missing: list[CellName], n_jobs: int
) -> Iterator[Cell]:
    """Compute the missing cells, each as soon as it is done."""
    jobs = _jobs(data, encode, methods, drawn, missing)
    if n_jobs == 1 or len(missing) < 2:
        for job in jobs:
            yield fit_cell(*job)
        return
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        pool = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs")
        yield from pool(joblib.delayed(fit_cell)(*job) for job in jobs)


def _jobs(
    data: Problem, encode: Any, methods: Mapping[str, Any], drawn: list[Split], missing: list[CellName]
) -> Iterator[tuple[Any, ...]]:
    """Arguments of `fit_cell`, split by split, so that one split's rows are in memory at a time and encoded once."""
    for split in drawn:
        todo = [(name, seed) for split_name, name, seed in missing if split_name == split.name]
        if not todo:
            continue
        X_train, X_test = take(data.X, split.train), take(data.X, split.test)
        if encode is not None:
            encoder = deepcopy(encode)
            encoder.fit(X_train)
            X_train, X_test = encoder.transform(X_train), encoder.transform(X_test)
        y_test = data.y[split.test]
        if y_test.ndim == 2:
            y_test = np.where(data.counts(split.train) > 0, y_test, np.nan)
        tasks = (None, None) if data.tasks is None else (data.tasks[split.train], data.tasks[split.test])
        codes = np.zeros(len(y_test), dtype=np.int64) if y_test.ndim == 1 else None
        if data.codes is not None:
            codes = data.codes[split.test]
        weight = None if data.weight is None else data.weight[split.train]
        train, test = (X_train, data.y[split.train], tasks[0], weight), (X_test, y_test, tasks[1])
        kept = np.flatnonzero(data.counts(split.train))
        models = {name: methods[name] for name in dict(todo)}
        for name, model in models.items():
            # A model gets columns without their names, so its relation must know them before.
            if data.y.ndim == 2 or (len(kept) < data.n_tasks and takes(model, "fit", "tasks")):
                model = restricted(model, data.labels, kept)
            models[name] = with_kinds(model, data.labels, kept, data.codes is None)
        for name, seed in todo:
            yield name, split.name, seed, models[name], train, test, codes, split.test, data.kinds, data.sizes
