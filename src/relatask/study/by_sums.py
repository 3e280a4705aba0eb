"""A comparison of which only sums are left: models fitted on some parts of the rows, errors counted on the others."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

import relatask
from relatask.linear.path import predict_rows
from relatask.linear.streaming.collecting import FOLDS, Collector
from relatask.linear.streaming.fitting import learned_from_sums
from relatask.linear.sums.merging import merge
from relatask.linear.sums.statistics import Statistics
from relatask.measure import Note, Scores, Support
from relatask.measure.metrics import rows_of
from relatask.measure.moments import Moments
from relatask.notices import InputError
from relatask.study.cells import Cell, Cost
from relatask.study.problem import task_names
from relatask.study.study import Study

PARTS = 20
"""Parts that rows are dealt out to; the test rows of a split are some of them."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Side:
    """One split: its name, and which of the `PARTS` are for testing."""

    name: str
    test: npt.NDArray[np.bool_]


def random_sides(test: float, repeats: int, seed: int) -> list[Side]:
    """Repeated draws of parts, as near to the share `test` of rows as parts allow."""
    size = min(max(1, round(test * PARTS)), PARTS - 1)
    sides = []
    for repeat in range(repeats):
        mask = np.zeros(PARTS, dtype=bool)
        mask[np.random.default_rng(seed + repeat).permutation(PARTS)[:size]] = True
        sides.append(Side(f"random{seed + repeat}", mask))
    return sides


def fold_sides(k: int, repeats: int, seed: int) -> list[Side]:
    """Folds of whole parts, k <= `PARTS`."""
    if k > PARTS:
        raise InputError(f"data.split.k={k}: streamed rows are in {PARTS} parts, so that at most {PARTS} folds exist.")
    sides = []
    for repeat in range(repeats):
        fold = np.random.default_rng(seed + repeat).permutation(np.arange(PARTS) % k)
        sides += [Side(f"fold{repeat}-{f}", fold == f) for f in range(k)]
    return sides


@dataclass(frozen=True, eq=False)
class Summed:
    """What one pass over the rows leaves.

    Attributes
    ----------
    tasks : (t,) labels in their order.
    layout : "groups" or "columns".
    parts : statistics of each part.
    names : what fit learns of the columns, by attribute name.
    rows : how many.
    """

    tasks: npt.NDArray[Any]
    layout: str
    parts: tuple[Statistics, ...]
    names: dict[str, Any]
    rows: int

    def whole(self, chosen: npt.NDArray[np.bool_] | None = None) -> Statistics:
        """Of all rows, or of some parts."""
        kept = [part for p, part in enumerate(self.parts) if chosen is None or chosen[p]]
        return reduce(merge, kept)

    def fitted(self, model: Any, chosen: npt.NDArray[np.bool_] | None = None) -> Any:
        """A copy of the model, fitted on all rows, or on some parts; strengths are chosen by five folds of parts."""
        kept = [part for p, part in enumerate(self.parts) if chosen is None or chosen[p]]
        folds = [reduce(merge, kept[f::FOLDS]) for f in range(min(FOLDS, len(kept)))]
        copy = clone(model)
        return copy._stored(learned_from_sums(copy, self.tasks, self.layout, folds, dict(self.names)))


def collected(collector: Collector, names: Sequence[Any] | None) -> Summed:
    """What a collector of `PARTS` folds holds, once all rows are in.

    `names` are those of the columns of y, if these are the tasks.

    Raises
    ------
    InputError
        For tasks without labels, and as `Collector.finished`.
    """
    tasks, parts = collector.finished()
    layout = collector.layout if names is None else "columns"
    tasks = tasks if names is None else np.array(names)
    return Summed(tasks, layout, tuple(parts), collector.learned_names(), collector.rows)


class Trial:
    """Every method fitted on every split, and its errors on the split's test rows."""

    def __init__(self, summed: Summed, models: Mapping[str, Any], sides: Sequence[Side]) -> None:
        self.summed, self.sides = summed, tuple(sides)
        self.methods = tuple(models)
        self.test = {side.name: summed.whole(side.test) for side in sides}
        self.train_count = {side.name: summed.whole(~side.test).count for side in sides}
        for side in sides:
            self._check(side)
        self.fitted: dict[tuple[str, str], Any] = {}
        self.costs: dict[tuple[str, str], Cost] = {}
        self.notes: dict[tuple[str, str], tuple[Note, ...]] = {}
        t = len(summed.tasks)
        self.squared = {(m, side.name): np.zeros(t) for m in models for side in sides}
        self.absolute = {(m, side.name): np.zeros(t) for m in models for side in sides}
        for side in sides:
            for method, model in models.items():
                self._fit(method, model, side)

    def add(self, X: npt.NDArray[Any], y: Floats, codes: Ints | None, part: Ints) -> None:
        """Count the errors on some rows, each of which lies in a part; y (n,) with codes, or (n, t)."""
        for side in self.sides:
            held = side.test[part]
            if not held.any():
                continue
            own = None if codes is None else codes[held]
            for method in self.methods:
                model = self.fitted[method, side.name]
                residual = y[held] - predict_rows(X[held], own, model.coef_, model.intercept_)
                for sums, values in ((self.squared, residual**2), (self.absolute, np.abs(residual))):
                    if own is None:
                        sums[method, side.name] += np.nansum(values, axis=0)
                    else:
                        sums[method, side.name] += np.bincount(own, values, minlength=len(self.summed.tasks))

    def study(self, models: Sequence[str], settings: Mapping[str, Any], metrics: Sequence[str]) -> Study:
        """The outcome, as `relatask.study.compare` gives it, but for predictions, which are not kept."""
        names = task_names(tuple(self.summed.tasks.tolist()))
        rows = []
        for side in self.sides:
            test, train = self.test[side.name], self.train_count[side.name]
            flat = test.yy <= 1e-24 * test.count * np.square(test.mean_y)
            for method in self.methods:
                of = method, side.name
                spread = np.where(flat, 0.0, test.yy)
                m = Moments(test.count, self.squared[of], self.absolute[of], spread, test.mean_y)
                facts = {"method": method, "split": side.name, "seed": 0}
                rows += [row | facts for row in rows_of(m, names, metrics, train)]
        nothing = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
        cells = tuple(
            Cell(method, side.name, 0, *nothing, self.costs[method, side.name], self.notes[method, side.name])
            for side in self.sides
            for method in self.methods
        )
        facts = {
            "models": {name: name for name in models},
            "seeds": 1,
            "metrics": list(metrics),
            "kinds": ["regression"] * len(names),
            "classes": None,
            "grouped": self.summed.layout == "groups",
            "rows": self.summed.rows,
            "tasks": len(names),
            "version": relatask.__version__,
        }
        beside = tuple(name for name in self.methods if name not in models)
        tasks = tuple(self.summed.tasks.tolist())
        return Study(
            Scores.of(rows), cells, self._support(names), tasks, tuple(models), beside, (), facts | dict(settings)
        )

    def _fit(self, method: str, model: Any, side: Side) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            started = time.perf_counter()
            found = self.summed.fitted(model, ~side.test)
            seconds = time.perf_counter() - started
        self.fitted[method, side.name] = found
        strengths = {str(name): float(value) for name, value in found.strengths_.items()}
        ended = int(np.max(found.n_iter_)), float(np.max(found.residual_)), strengths
        self.costs[method, side.name] = Cost(method, side.name, 0, seconds, 0.0, *ended)
        told = []
        for warning in caught:
            code = str(getattr(warning.message, "code", ""))
            text = str(warning.message).removeprefix(f"{code}: ") if code else str(warning.message)
            told.append(Note(code, method, side.name, 0, text))
        self.notes[method, side.name] = tuple(dict.fromkeys(told))

    def _check(self, side: Side) -> None:
        empty = self.train_count[side.name] == 0
        if empty.any():
            few = self.summed.tasks[empty].tolist()
            shown = ", ".join(map(repr, few[:6])) + (f", ... ({len(few)} in all)" if len(few) > 6 else "")
            raise InputError(
                f"split {side.name}: no label to train on is left of task{'s' if len(few) > 1 else ''} {shown}; "
                "streamed rows need every task on both sides: leave out tasks of so few labels, or test on a smaller "
                "share."
            )

    def _support(self, names: Sequence[str]) -> tuple[Support, ...]:
        whole = self.summed.whole()
        train, test = np.stack(list(self.train_count.values())), np.stack([s.count for s in self.test.values()])
        constant = whole.yy <= 1e-24 * whole.count * np.square(whole.mean_y)
        size = np.abs(whole.mean_y) + np.sqrt(whole.yy / np.maximum(whole.weight, 1))
        scored = np.where(test > 0, train, np.iinfo(np.int64).max).min(0), np.where(test > 0, test, 2**62).min(0)
        some = np.asarray((test > 0).any(0))
        return tuple(
            Support(
                name,
                int(whole.count[k]),
                int(scored[0][k]) if some[k] else 0,
                int(scored[1][k]) if some[k] else 0,
                untested=int((test[:, k] == 0).sum()),
                constant=bool(constant[k]),
                size=float(size[k]),
            )
            for k, name in enumerate(names)
        )
