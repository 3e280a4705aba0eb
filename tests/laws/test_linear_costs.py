"""What a fit costs, counted: readings of the rows, memory, modules."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest

from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.linear.input.design import Design
from relatask.linear.solvers.family import Family
from relatask.relations import Chain, Diagonal, Graph, Pairwise, Relation, Ridge, Sparse, TraceNorm

RELATIONS = [Ridge(0.1), Pairwise(0.1), Chain(0.1), Graph([(0, 1), (1, 2), (2, 0)], 0.1), TraceNorm(0.1)]


class Counted(np.ndarray):
    """Rows that count how many of their numbers are taken or computed with."""

    read = 0

    def take(self, *args: Any, **more: Any) -> np.ndarray:
        out = np.asarray(self).take(*args, **more)
        Counted.read += out.size
        return out

    def __getitem__(self, index: Any) -> np.ndarray:
        out = np.asarray(self)[index]
        Counted.read += out.size
        return out

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **more: Any) -> Any:
        Counted.read += self.size
        return getattr(ufunc, method)(*(np.asarray(i) if isinstance(i, Counted) else i for i in inputs), **more)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        Counted.read += self.size
        plain = [np.asarray(a) if isinstance(a, Counted) else a for a in args]
        return function(*plain, **kwargs)


def rows(n: int, d: int, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    return X, X[:, 0] + rng.normal(size=n), rng.integers(0, t, size=n)


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda r: type(r).__name__)
def test_a_fit_reads_the_rows_of_groups_once(relation: Relation, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, tasks = rows(600, 5, 3)
    statistics = Design.statistics

    def counted(design: Design) -> Any:
        Counted.read = 0
        own = Design(design.X.view(Counted), design.y, design.codes, design.tasks, design.weights)
        out = statistics(own)
        assert Counted.read == X.size
        Counted.read = -1  # a second look at the rows would not come from here
        return out

    monkeypatch.setattr(Design, "statistics", counted)
    monkeypatch.setattr(Design, "rows", lambda *_: pytest.fail("rows were taken again"))
    MultiTaskRegressor(relation).fit(X, y, tasks)
    assert Counted.read == -1
    PooledRegressor(0.1).fit(X, y, tasks)


def test_a_chosen_strength_reads_the_rows_once_per_fold_and_once_more() -> None:
    X, y, tasks = rows(600, 5, 3)
    calls = []
    original = Design.statistics
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Design, "statistics", lambda self: calls.append(len(self.X)) or original(self))
        MultiTaskRegressor(Pairwise("auto")).fit(X, y, tasks)
    assert len(calls) == 6
    assert sum(calls) == pytest.approx(600 + 4 * 600, abs=5)


def peak(fit: Any) -> int:
    """Bytes allocated at the most while fitting."""
    fit()  # what is imported or cached on first use is no part of it
    tracemalloc.start()
    try:
        fit()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("relation", [*RELATIONS, Sparse(0.1) + Ridge(0.1)], ids=lambda r: type(r).__name__)
def test_memory_where_tasks_have_far_fewer_rows_than_columns(relation: Relation) -> None:
    t, d, size = 60, 400, 8
    rng = np.random.default_rng(1)
    X, tasks = rng.normal(size=(t * size, d)), np.repeat(np.arange(t), size)
    y = X[:, 0] + rng.normal(size=t * size)
    if isinstance(relation, Graph):
        relation = Graph([(k, (k + 1) % t) for k in range(t)], 0.1)
    model = MultiTaskRegressor(relation, tol=1e-3)
    bound = X.nbytes + 8 * t * d * size
    # A Gram for every task would be 25 times as much; a fit holds a few copies of the rows.
    assert 8 * t * d * d == 25 * bound
    assert peak(lambda: model.fit(X, y, tasks)) < 6 * bound


def test_memory_where_tasks_have_many_rows() -> None:
    X, y, tasks = rows(100_000, 10, 5)
    model = MultiTaskRegressor(Pairwise(0.1))
    # One task's rows at a time are copied, and the task of every row is sorted.
    assert peak(lambda: model.fit(X, y, tasks)) < 1.5 * X.nbytes


@pytest.mark.filterwarnings("ignore:RT017")
@pytest.mark.parametrize("relation", [*RELATIONS, Ridge(0.1) + Pairwise(1e-6)], ids=lambda r: type(r).__name__)
def test_many_tasks_never_make_a_square_matrix_of_tasks(relation: Relation) -> None:
    t = 4_000
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(t), 3)
    X = np.column_stack([rng.normal(size=(3 * t, 2)), np.repeat(rng.normal(size=t), 3)])
    y = X.sum(1) + rng.normal(size=3 * t)
    if isinstance(relation, Graph):
        relation = Graph([(k, (k + 1) % t) for k in range(t)], 0.1)
    model = MultiTaskRegressor(relation, tol=1e-4)
    assert peak(lambda: model.fit(X, y, tasks)) < 8e6 < 8 * t * t / 10
    assert model.residual_ <= 1e-4


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda r: type(r).__name__)
def test_columns_take_their_statistics_once(relation: Relation, monkeypatch: pytest.MonkeyPatch) -> None:
    X, _, _ = rows(60, 4, 3)
    Y = np.random.default_rng(1).normal(size=(60, 3))
    calls = []
    original = Design.statistics
    monkeypatch.setattr(Design, "statistics", lambda self: calls.append(len(self.X)) or original(self))
    MultiTaskRegressor(relation).fit(X, Y)
    assert calls == [60]


@pytest.mark.parametrize("module", ["relatask.linear", "relatask.relations"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = f"import {module}, sys; print([m for m in ('torch', 'numba', 'matplotlib') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_fitting_loads_nothing_heavy() -> None:
    code = (
        "import sys, numpy as np; from relatask.linear import MultiTaskRegressor; from relatask.relations import *\n"
        "MultiTaskRegressor(TraceNorm(.1)).fit(np.eye(3), np.eye(3)).predict(np.eye(3))\n"
        "print([m for m in ('torch', 'numba', 'matplotlib') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("holes", [False, True])
def test_columns_do_not_copy_the_data_whole(holes: bool) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(400_000, 20)), rng.normal(size=(400_000, 3))
    if holes:
        Y[rng.random(Y.shape) < 0.2] = np.nan
    tracemalloc.start()
    try:
        MultiTaskRegressor(Ridge(1.0)).fit(X, Y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * (X.nbytes + Y.nbytes)


class Asked(Diagonal):
    """A precision that counts the columns that it is applied to."""

    columns = 0

    def apply(self, W: np.ndarray) -> np.ndarray:
        Asked.columns += W.shape[1]
        return super().apply(W)


def test_precisions_of_a_path_are_applied_to_their_own_columns_only() -> None:
    rng = np.random.default_rng(0)
    units = [Asked(row) for row in rng.uniform(1.0, 2.0, size=(6, 3))]
    W = rng.normal(size=(3, 6, 2))
    Asked.columns = 0
    found = Family(tuple(units), np.eye(6)).apply(W)
    assert Asked.columns == 6 * 2  # not 6 * 6 * 2
    assert np.allclose(found, np.stack([units[s].apply(W[:, s]) for s in range(6)], axis=1), rtol=1e-14)
