"""A path of 50 strengths, in fits."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from benchmarks.linear.school import relations, rows
from benchmarks.linear.timing import best_seconds
from relatask.linear import MultiTaskRegressor
from relatask.linear.losses.squared import Squared
from relatask.linear.path import Model, solve_path
from relatask.linear.sums.passes import columns, grouped
from relatask.relations import Relation, parameters, with_parameters

STRENGTHS = 50


def grid(relation: Relation) -> tuple[list[str], list[tuple[float, ...]]]:
    """Every strength of the relation from 1/100 to 100 times its own, all together."""
    names = [k for k in parameters(relation) if k.endswith("strength")]
    own = [parameters(relation)[k] for k in names]
    return names, [tuple(s * f for s in own) for f in np.geomspace(1e-2, 1e2, STRENGTHS)]


def report() -> Iterator[str]:
    """School for every relation, and tasks that share X."""
    yield "## A path of 50 strengths, in fits"
    yield ""
    yield "| data | relation | path / fit | fit ms | path ms |"
    yield "|---|---|---|---|---|"
    X, y, codes = rows()
    stats = grouped(X, y, codes, 139)
    model = Model(Squared(), True, False, "auto", 1e-6, 10_000)
    for name, relation in relations(139).items():
        yield _row("School", name, relation, model, stats, lambda m: m.fit(X, y, codes))
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((2_000, 100))
    Y = shared @ rng.standard_normal((100, 50)) + rng.standard_normal((2_000, 50))
    stats = columns(shared, Y)
    for name, relation in relations(50).items():
        if "Graph + " not in name:
            yield _row("shared X", name, relation, model, stats, lambda m: m.fit(shared, Y))


def _row(data: str, name: str, relation: Relation, model: Model, stats, fit) -> str:
    names, candidates = grid(relation)
    estimator = MultiTaskRegressor(relation)

    def path() -> None:
        problem = model.prepare(stats)[3]
        solve_path(problem, with_parameters(relation), names, candidates, model)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = best_seconds({"fit": lambda: fit(estimator), "path": path}, rounds=3)
    ratio = seconds["path"] / seconds["fit"]
    return f"| {data} | {name} | {ratio:.1f} | {1e3 * seconds['fit']:.1f} | {1e3 * seconds['path']:.0f} |"
