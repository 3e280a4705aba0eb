"""Choosing strengths on School: what each criterion reaches on ten splits, and what it costs."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.linear.school import rows
from benchmarks.linear.timing import best_seconds
from relatask.data import load
from relatask.linear import MultiTaskRegressor, MultiTaskRegressorCV
from relatask.linear.choosing.leaving_out import generalised, leave_one_out, prepared
from relatask.linear.input import reading
from relatask.linear.losses.squared import Squared
from relatask.linear.path import Model, solve_path
from relatask.relations import Chain, HierarchicalPrior, Pairwise, Relation, Ridge
from relatask.study import splits

MODELS: dict[str, Callable[[str], MultiTaskRegressor | MultiTaskRegressorCV]] = {
    "`HierarchicalPrior`, no grid": lambda intercept: MultiTaskRegressor(HierarchicalPrior(), intercept=intercept),
    '`Pairwise`, "loo"': lambda intercept: MultiTaskRegressorCV(intercept=intercept, cv="loo"),
    '`Pairwise`, "loo", one standard error': lambda intercept: MultiTaskRegressorCV(
        intercept=intercept, cv="loo", rule="one_se"
    ),
    '`Pairwise`, "gcv"': lambda intercept: MultiTaskRegressorCV(intercept=intercept, cv="gcv"),
    '`Pairwise`, "reml"': lambda intercept: MultiTaskRegressorCV(intercept=intercept, cv="reml"),
    "`Pairwise`, 5 folds": lambda intercept: MultiTaskRegressorCV(intercept=intercept, cv=5),
    '`Pairwise + Ridge`, "loo"': lambda intercept: MultiTaskRegressorCV(
        Pairwise() + Ridge(), intercept=intercept, cv="loo"
    ),
    '`Pairwise + Ridge`, "reml"': lambda intercept: MultiTaskRegressorCV(
        Pairwise() + Ridge(), intercept=intercept, cv="reml"
    ),
}
REPEATS = 10


def reached() -> Iterator[str]:
    """Explained variance within schools on ten splits drawn within each school, and seconds a fit."""
    school = load("school")
    X, y, tasks = np.asarray(school.X, float), np.asarray(school.y, float), np.asarray(school.tasks)
    drawn = splits.random(repeats=REPEATS).draw(np.arange(len(y)), tasks, len(y))
    yield "| model | tied intercepts, % | free intercepts, % | seconds a fit (tied) |"
    yield "|---|---|---|---|"
    for name, make in MODELS.items():
        cells, seconds = [], 0.0
        for intercept in ("tied", "free"):
            scores = []
            for split in drawn:
                model, start = make(intercept), time.process_time()
                model.fit(X[split.train], y[split.train], tasks[split.train])
                seconds += (time.process_time() - start) / REPEATS if intercept == "tied" else 0.0
                scores.append(model.score(X[split.test], y[split.test], tasks[split.test]))
            cells.append(f"{100 * np.mean(scores):.2f} ± {100 * np.std(scores):.2f}")
        yield f"| {name} | {' | '.join(cells)} | {seconds:.2f} |"


def costs() -> Iterator[str]:
    """Whole paths by criterion, as multiples of one fit with a strength that is given."""
    X, y, codes = rows()
    design = reading.design(X, y, codes, None)[1]
    stats = design.statistics()
    yield "| relation | strengths | solutions / fit | + GCV / fit | + leave-one-out / fit | fit ms |"
    yield "|---|---|---|---|---|---|"
    relations: dict[str, Relation] = {"Pairwise": Pairwise(), "Chain": Chain()}
    for name, relation in relations.items():
        model = Model(Squared(), True, False, "auto", 1e-6, 10_000)
        for m in (25, 50):
            grid = [(s,) for s in np.geomspace(1e-5, 1e3, m)]

            def path(relation: Relation = relation, grid: list = grid, model: Model = model) -> None:
                solve_path(model.prepare(stats)[3], relation, ("strength",), grid, model)

            def gcv(relation: Relation = relation, grid: list = grid, model: Model = model) -> None:
                generalised(prepared(stats, relation, ("strength",), grid, model))

            def loo(relation: Relation = relation, grid: list = grid, model: Model = model) -> None:
                leave_one_out(design, prepared(stats, relation, ("strength",), grid, model))

            own = MultiTaskRegressor(relation)
            works = {"fit": lambda own=own: own.fit(X, y, codes), "path": path, "gcv": gcv, "loo": loo}
            seconds = best_seconds(works, rounds=5)
            ratios = " | ".join(f"{seconds[work] / seconds['fit']:.1f}" for work in ("path", "gcv", "loo"))
            yield f"| {name} | {m} | {ratios} | {1e3 * seconds['fit']:.1f} |"


def report() -> Iterator[str]:
    """Both tables."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield "## Choosing strengths on School"
        yield ""
        yield from reached()
        yield ""
        yield from costs()
