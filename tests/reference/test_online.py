"""Rows that come and go: what is learned from sums is what fit learns from all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from online_cases import check_equal, rows
from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.notices import InputError, RelataskWarning
from relatask.relations import (
    Chain,
    Graph,
    HierarchicalPrior,
    LearnedCovariance,
    Pairwise,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    TaskDescriptors,
    TaskKernel,
    TraceNorm,
)

RELATIONS: list[Relation] = [
    Pairwise(0.1),
    Ridge(0.1),
    Chain(0.2, order=("c", "a", "d", "b")),
    Graph([("a", "b"), ("b", "c", 0.5), ("c", "d"), ("a", "d")], 0.3),
    TaskKernel(np.eye(4) + 0.5, 0.2),
    TaskDescriptors({"a": [1.0], "b": [2.0], "c": [0.5], "d": [1.5]}, 0.5),
    TraceNorm(1.0),
    SharedSparsity(0.5) + Ridge(0.1),
    Sparse(0.1) + Pairwise(0.01),
    LearnedCovariance(0.1, 0.1),
    HierarchicalPrior(),
]
INTERCEPTS = ("free", "tied", "common", "none")


# The search for a prior goes as far as rounding allows, and says so.
@pytest.mark.filterwarnings("ignore:RT015. the search for the prior:UserWarning")
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("relation", RELATIONS, ids=lambda r: type(getattr(r, "parts", (r,))[0]).__name__)
def test_partial_fits_and_forgetting_equal_fit(relation: Relation, intercept: str) -> None:
    X, y, tasks = rows()
    for standardize in (True, False):
        prior = isinstance(relation, HierarchicalPrior)
        settings: dict[str, Any] = {"intercept": intercept, "standardize": standardize}
        settings |= {"tol": 1e-12} if prior else {"tol": 1e-10, "weighting": "task"}
        model = MultiTaskRegressor(relation, **settings)
        for part in (slice(0, 40), slice(40, 45), slice(45, 100)):
            model.partial_fit(X[part], y[part], tasks[part])
        check_equal(model, MultiTaskRegressor(relation, **settings).fit(X, y, tasks))
        model.forget(X[10:50], y[10:50], tasks[10:50])
        left = np.r_[0:10, 50:100]
        check_equal(model, MultiTaskRegressor(relation, **settings).fit(X[left], y[left], tasks[left]))


@pytest.mark.parametrize("intercept", ["common", "free", "none"])
def test_pooled_models_go_on_too(intercept: str) -> None:
    X, y, tasks = rows()
    model = PooledRegressor(0.1, intercept=intercept).fit(X[:50], y[:50], tasks[:50])
    check_equal(
        model.partial_fit(X[50:], y[50:], tasks[50:]), PooledRegressor(0.1, intercept=intercept).fit(X, y, tasks)
    )
    assert len(model.drift_) == 4
    kept = tasks != "c"
    check_equal(model.remove_task("c"), PooledRegressor(0.1, intercept=intercept).fit(X[kept], y[kept], tasks[kept]))


@pytest.mark.parametrize("relation", [Pairwise(0.1), SharedSparsity(0.5), HierarchicalPrior()])
@pytest.mark.parametrize("holes", [False, True])
def test_columns_go_on(relation: Relation, holes: bool) -> None:
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(60, 3)) + 2.0, rng.normal(size=(60, 4))
    weights = None if isinstance(relation, HierarchicalPrior) else rng.uniform(0.5, 2.0, 60)
    if holes:
        Y[rng.random(Y.shape) < 0.3] = np.nan
        Y[30:, 2] = np.nan  # a batch without labels of one task
    model = MultiTaskRegressor(relation, tol=1e-10)
    for part in (slice(0, 30), slice(30, 60)):
        model.partial_fit(X[part], Y[part], sample_weight=None if weights is None else weights[part])
    check_equal(model, MultiTaskRegressor(relation, tol=1e-10).fit(X, Y, sample_weight=weights))
    assert (model._statistics.forms.shared is not None) == (not holes)
    model.forget(X[:20], Y[:20], sample_weight=None if weights is None else weights[:20])
    rest = None if weights is None else weights[20:]
    check_equal(model, MultiTaskRegressor(relation, tol=1e-10).fit(X[20:], Y[20:], sample_weight=rest))


def test_one_task_without_labels_goes_on() -> None:
    X, y, _ = rows()
    check_equal(MultiTaskRegressor().fit(X[:50], y[:50]).partial_fit(X[50:], y[50:]), MultiTaskRegressor().fit(X, y))
    with pytest.raises(
        InputError, match=r"was fitted on y \(n,\) without tasks, these rows come as y \(n,\) with tasks"
    ):
        MultiTaskRegressor().fit(X, y).partial_fit(X, y, ["a"] * 100)
    with pytest.raises(InputError, match="fit it with tasks to add one"):
        MultiTaskRegressor().fit(X, y).add_task("a")


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "bb", "ccc", "dddd"],
        [3, -1, 7, 10**9],
        [0.5, 1.0, 2.0, -3.0],
        [1, "1", 2.5, "two"],
        [("a", 1), ("b",), 2, 3],
    ],
    ids=str,
)
def test_new_tasks_come_in_between(labels: list[Any]) -> None:
    X, y, tasks = rows()
    named = [labels["abcd".index(task)] for task in tasks]
    first = [i for i in range(100) if tasks[i] in "bd"]
    rest = [i for i in range(100) if tasks[i] in "ac" or i in first[:5]]
    first = first[5:]
    model = MultiTaskRegressor().fit(X[first], y[first], [named[i] for i in first])
    model.partial_fit(X[rest], y[rest], [named[i] for i in rest])
    check_equal(model, MultiTaskRegressor().fit(X, y, named))
    assert set(model.drift_.tasks.tolist()) == {labels[1], labels[3]}


def test_sparse_rows_and_many_features_go_on() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 150)) * (rng.random((60, 150)) < 0.2)
    y, tasks = rng.normal(size=60), rng.integers(0, 4, 60)
    for rows_of in (sparse.csr_array, np.asarray):
        model = MultiTaskRegressor(Pairwise(0.1) + Ridge(0.1)).fit(rows_of(X[:30]), y[:30], tasks[:30])
        model.partial_fit(rows_of(X[30:]), y[30:], tasks[30:])
        check_equal(model, MultiTaskRegressor(Pairwise(0.1) + Ridge(0.1)).fit(X, y, tasks))


def test_missing_labels_weights_scaled_targets_and_task_weights() -> None:
    X, y, tasks = rows()
    y[::7] = np.nan
    y[50:][tasks[50:] == "b"] = np.nan  # a known task without labels in a batch
    weights = np.random.default_rng(0).integers(0, 3, 100).astype(float)
    model = MultiTaskRegressor(scale_targets=True, task_weight={"a": 2.0})
    for part in (slice(0, 50), slice(50, 100)):
        model.partial_fit(X[part], y[part], tasks[part], weights[part])
    check_equal(model, MultiTaskRegressor(scale_targets=True, task_weight={"a": 2.0}).fit(X, y, tasks, weights))


def test_frames_by_name_and_by_task_column() -> None:
    pandas = pytest.importorskip("pandas")
    X, y, tasks = rows()
    frame = pandas.DataFrame(X, columns=["x", "y", "z"]).assign(where=tasks)
    model = MultiTaskRegressor(task_column="where").fit(frame[:50], y[:50]).partial_fit(frame[50:], y[50:])
    check_equal(model, MultiTaskRegressor(task_column="where").fit(frame, y))
    with pytest.raises(InputError, match="feature names"):
        model.partial_fit(frame.rename(columns={"x": "other"}), y)
    columns = pandas.DataFrame({"left": y, "right": -y})
    model = MultiTaskRegressor().fit(X[:50], columns[:50]).partial_fit(X[50:], columns[["right", "left"]][50:])
    check_equal(model, MultiTaskRegressor().fit(X, columns))


def test_strengths_stay_as_the_first_fit_chose_them() -> None:
    X, y, tasks = rows()
    model = MultiTaskRegressor(Pairwise("auto") + Ridge(0.1)).fit(X[:60], y[:60], tasks[:60])
    chosen, path = model.strengths_["Pairwise__strength"], model.path_
    model.partial_fit(X[60:], y[60:], tasks[60:])
    assert model.strengths_ == {"Pairwise__strength": chosen, "Ridge__strength": 0.1}
    assert model.path_ is path
    check_equal(model, MultiTaskRegressor(Pairwise(chosen) + Ridge(0.1)).fit(X, y, tasks))
    with pytest.raises(InputError, match=r"'auto', and the last fit chose those of another relation"):
        model.set_params(relation=Pairwise("auto")).partial_fit(X, y, tasks)
    # A number is no choice: another relation is solved under from the same sums.
    check_equal(
        model.set_params(relation=Ridge(0.3)).partial_fit(X[:1], y[:1], tasks[:1]).forget(X[:1], y[:1], tasks[:1]),
        MultiTaskRegressor(Ridge(0.3)).fit(X, y, tasks),
    )


def test_a_strength_that_was_not_chosen_for_this_relation_is_not_taken() -> None:
    X, y, tasks = rows()
    model = MultiTaskRegressor(Pairwise("auto")).fit(X[:60], y[:60], tasks[:60])
    with pytest.raises(InputError, match=r"the last fit chose those of another relation \('Pairwise'\)"):
        model.set_params(relation=Ridge("auto")).partial_fit(X[60:], y[60:], tasks[60:])
    model.set_params(relation=Ridge(0.3)).partial_fit(X[60:], y[60:], tasks[60:])
    assert model.path_ is None
    with pytest.raises(InputError, match=r"the last fit was given numbers; choosing needs rows"):
        model.set_params(relation=Ridge("auto")).partial_fit(X[:1], y[:1], tasks[:1])


def test_nothing_of_an_earlier_prior_stays() -> None:
    X, y, tasks = rows()
    model = MultiTaskRegressor(HierarchicalPrior()).fit(X[:60], y[:60], tasks[:60])
    assert hasattr(model, "prior_mean_")
    relation = TaskDescriptors(dict(zip("abcdef", np.eye(6), strict=True)), 0.1, 0.1)
    model.set_params(relation=relation).partial_fit(X[60:], y[60:], tasks[60:])
    other = MultiTaskRegressor(relation).fit(X, y, tasks)
    check_equal(model, other)
    assert set(vars(model)) == set(vars(other))
    np.testing.assert_allclose(model.predict(X[:2], ["e", "f"]), other.predict(X[:2], ["e", "f"]), rtol=1e-8)


def test_warm_starts_take_fewer_iterations() -> None:
    X, y, tasks = rows(400)
    model = MultiTaskRegressor(TraceNorm(1.0), warm_start=True, tol=1e-9).fit(X[:398], y[:398], tasks[:398])
    cold = MultiTaskRegressor(TraceNorm(1.0), tol=1e-9).fit(X, y, tasks)
    model.partial_fit(X[398:], y[398:], tasks[398:])
    assert model.n_iter_ < cold.n_iter_
    check_equal(model, cold, rtol=1e-4)


def test_features_that_tasks_lack_stay_lacking() -> None:
    X, y, tasks = rows()
    X[tasks == "b", 1] = np.nan
    model = MultiTaskRegressor(missing_features="block").fit(X[:50], y[:50], tasks[:50])
    # A batch of task b alone has a column of NaN.
    late = np.flatnonzero(tasks == "b")[-3:]
    others = np.setdiff1d(np.arange(50, 100), late)
    model.partial_fit(X[others], y[others], tasks[others]).partial_fit(X[late], y[late], tasks[late])
    whole = MultiTaskRegressor(missing_features="block").fit(X, y, tasks)
    check_equal(model, whole)
    np.testing.assert_array_equal(model.absent_, whole.absent_)
    with pytest.raises(InputError, match="task 'b' lacked column 1 before and has it now"):
        model.partial_fit(np.zeros((1, 3)), [1.0], ["b"])
    with pytest.raises(InputError, match="task 'a' lacked column 0 now and has it before"):
        model.partial_fit([[np.nan, 0.0, 0.0]], [1.0], ["a"])
    check_equal(
        model.forget(X[:30], y[:30], tasks[:30]),
        MultiTaskRegressor(missing_features="block").fit(X[30:], y[30:], tasks[30:]),
    )


def test_what_cannot_be_learned_from_is_refused() -> None:
    X, y, tasks = rows()
    model = MultiTaskRegressor().fit(X, y, tasks)
    with pytest.raises(InputError, match="3 features"):
        model.partial_fit(X[:, :2], y, tasks)
    with pytest.raises(InputError, match="contains NaN"):
        model.partial_fit(np.full((1, 3), np.nan), [1.0], ["a"])
    with pytest.raises(InputError, match="y has no label"):
        model.partial_fit(X[:1], [np.nan], ["a"])
    with pytest.raises(InputError, match="new task 'e' without labels"):
        model.partial_fit(X[:2], [1.0, np.nan], ["a", "e"])
    with pytest.raises(InputError, match="these rows come as"):
        model.partial_fit(X, y)
    with pytest.raises(InputError, match=r"y has 2 columns, but the model has the 3 tasks 0, 1, 2"):
        MultiTaskRegressor().fit(X, np.column_stack([y, y, -y])).partial_fit(X, np.column_stack([y, y]))
    with pytest.raises(InputError, match=r"loss='huber' .* fit again on all of them"):
        MultiTaskRegressor(loss="huber").fit(X, y, tasks).partial_fit(X, y, tasks)
    with pytest.raises(InputError, match="keeps no statistics"):
        MultiTaskRegressor(loss="huber").fit(X, y, tasks).set_params(loss="squared").partial_fit(X, y, tasks)
    with pytest.raises(InputError, match="were not tracked"):
        model.set_params(track_rows=True).partial_fit(X, y, tasks)
    with pytest.raises(InputError, match="'e'"):
        MultiTaskRegressor(Chain(1.0, order=tuple("abcd"))).fit(X, y, tasks).partial_fit(X[:2], y[:2], ["e", "e"])
    with pytest.raises(InputError, match="'e'"):
        MultiTaskRegressor(RELATIONS[5]).fit(X, y, tasks).partial_fit(X[:2], y[:2], ["e", "e"])


def test_a_relation_that_knows_the_new_task() -> None:
    X, y, tasks = rows()
    three = tasks != "d"
    described = MultiTaskRegressor(RELATIONS[5]).fit(X[three], y[three], tasks[three])
    check_equal(
        described.partial_fit(X[~three], y[~three], tasks[~three]), MultiTaskRegressor(RELATIONS[5]).fit(X, y, tasks)
    )
    chain = MultiTaskRegressor(Chain(0.2, order=("c", "a", "b"))).fit(X[three], y[three], tasks[three])
    chain.set_params(relation__order=("c", "a", "d", "b")).partial_fit(X[~three], y[~three], tasks[~three])
    check_equal(chain, MultiTaskRegressor(RELATIONS[2]).fit(X, y, tasks))


def test_few_labels_are_told_of_the_tasks_that_come() -> None:
    X, y, tasks = rows()
    with pytest.warns(RelataskWarning, match="RT005: tasks with one label only: 'e'"):
        MultiTaskRegressor().fit(X, y, tasks).partial_fit(X[:1], y[:1], ["e"])


@pytest.mark.parametrize("name", [np.array([1, 2]), [1], None, float("nan"), pd.NA])
def test_names_that_are_no_labels(name: Any) -> None:
    model = MultiTaskRegressor().fit(*rows())
    for change in (model.add_task, model.remove_task):
        with pytest.raises(InputError, match="is not usable; give the task's label"):
            change(name)
    with pytest.raises(InputError, match="X=5 is not usable; give the task's rows"):
        model.add_task("e", 5, [1.0])


def test_what_goes_on_was_fitted_before() -> None:
    for change in (lambda m: m.forget(*rows()), lambda m: m.add_task("a"), lambda m: m.remove_task("a")):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            change(MultiTaskRegressor())


def test_a_task_in_its_own_unit_is_not_forgotten_whole() -> None:
    X, y, tasks = rows()
    model = MultiTaskRegressor(scale_targets=True).fit(X, y, tasks)
    own = tasks == "b"
    with pytest.raises(InputError, match=r"no rows would be left of task 'b', and .* use remove_task"):
        model.forget(X[own], y[own], tasks[own])
    check_equal(model.remove_task("b"), MultiTaskRegressor(scale_targets=True).fit(X[~own], y[~own], tasks[~own]))
