"""Rows taken out again: what was never added is told, and where digits are lost."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse

from online_cases import check_equal, rows
from relatask.linear import MultiTaskRegressor
from relatask.notices import InputError, RelataskWarning
from relatask.relations import Pairwise, Ridge


def test_forgetting_what_was_never_added() -> None:
    X, y, tasks = rows()
    model = MultiTaskRegressor().fit(X, y, tasks)
    with pytest.raises(InputError, match=r"task 'a' has \d+ labels, and \d+ were to be forgotten"):
        model.forget(np.vstack([X, X]), np.append(y, y), np.append(tasks, tasks))
    with pytest.raises(InputError, match=r"task 'a': .* not positive semidefinite"):
        model.forget(100 * X[tasks == "a"][:3], y[tasks == "a"][:3], ["a"] * 3)
    with pytest.raises(InputError, match="unknown task 'e'"):
        model.forget(X[:1], y[:1], ["e"])
    with pytest.raises(InputError, match="all the rows there are"):
        model.forget(X, y, tasks)
    check_equal(model, MultiTaskRegressor().fit(X, y, tasks))


def test_tracked_rows_are_told_by_number() -> None:
    X, y, tasks = rows()
    y[3] = np.nan
    model = MultiTaskRegressor(track_rows=True).fit(X[:50], y[:50], tasks[:50]).partial_fit(X[50:], y[50:], tasks[50:])
    assert len(model._seen.marks) == 99
    changed = y.copy()
    changed[[7, 60]] += 1e-9
    with pytest.raises(InputError, match=r"row 7 \(task '.'\), row 60 \(task '.'\) were never added"):
        model.forget(X, changed, tasks)
    with pytest.raises(InputError, match=r"row 1 \(task '.'\) was never added"):
        model.forget(X[[5, 5]], y[[5, 5]], tasks[[5, 5]])
    with pytest.raises(InputError, match="was never added"):
        model.forget(X[[5]], y[[5]], tasks[[5]], sample_weight=[2.0])
    model.forget(sparse.csr_array(X[[8, 5]]), y[[8, 5]], tasks[[8, 5]])
    with pytest.raises(InputError, match=r"row 0 .* was never added"):
        model.forget(X[[5]], y[[5]], tasks[[5]])
    model.remove_task("a")
    assert (np.diff(model._seen.ends, prepend=0) == model.n_labels_).all()
    columns = MultiTaskRegressor(track_rows=True).fit(X, np.column_stack([y, -y]))
    columns.forget(X[:4], np.column_stack([y, -y])[:4])
    with pytest.raises(InputError, match=r"row 0 \(task 0\), row 0 \(task 1\) were never added"):
        columns.forget(X[:1], np.column_stack([y, -y])[:1])


def test_lost_digits_are_told() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), rng.normal(size=60)
    X[:50] *= 1e5
    model = MultiTaskRegressor(Ridge(0.1)).fit(X, y, ["a"] * 60)
    with pytest.warns(RelataskWarning, match=r"RT019: what is left of task 'a' .* fit again"):
        model.forget(X[:50], y[:50], ["a"] * 50)
    exact = MultiTaskRegressor(Ridge(0.1)).fit(X[:50] / 1e5, y[:50], ["a"] * 50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exact.forget(X[:10] / 1e5, y[:10], ["a"] * 10)
    check_equal(exact, MultiTaskRegressor(Ridge(0.1)).fit(X[10:50] / 1e5, y[10:50], ["a"] * 40))


def test_one_wrong_number_takes_digits_with_it_and_a_rare_one_does_not() -> None:
    X, y, tasks = rows()
    X[3, 1], X[:, 2] = 1e10, 0.0
    X[[5, 6], 2] = 1.0  # only these two: what is left does not vary
    with pytest.warns(RelataskWarning, match="RT019"):
        MultiTaskRegressor().fit(X, y, tasks).forget(X[[3]], y[[3]], tasks[[3]])
    X[3, 1], y[3] = 0.0, 1e10
    with pytest.warns(RelataskWarning, match="RT019"):
        MultiTaskRegressor().fit(X, y, tasks).forget(X[[3]], y[[3]], tasks[[3]])
    y[3] = 0.0
    X[7, 2] = 1.0
    if tasks[7] in tasks[[5, 6]]:
        X[7, 2] = 0.0
        X[np.flatnonzero(~np.isin(tasks, tasks[[5, 6]]))[0], 2] = 1.0
    model = MultiTaskRegressor(Pairwise(0.1) + Ridge(0.1)).fit(X, y, tasks).forget(X[5:7], y[5:7], tasks[5:7])
    left = np.r_[0:5, 7:100]
    check_equal(model, MultiTaskRegressor(Pairwise(0.1) + Ridge(0.1)).fit(X[left], y[left], tasks[left]))


def test_where_no_digits_are_told_lost_eight_are_right() -> None:
    told, errors = 0, []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        m = int(rng.integers(1, 35))
        X = rng.normal(size=(40, 3)) + rng.normal(size=3)
        X[:, 2] = X[:, 1] + 10.0 ** rng.uniform(-4, 0) * X[:, 2]  # nearly one column
        X[:m] *= 10.0 ** rng.uniform(0, 4)  # what is forgotten was large
        y = X.sum(1) + rng.normal(size=40)
        model = MultiTaskRegressor(Ridge(0.0)).fit(X, y)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.forget(X[:m], y[:m])
        if caught:
            assert {w.message.code for w in caught} == {"RT019"}  # type: ignore[union-attr]
            told += 1
            continue
        fresh = MultiTaskRegressor(Ridge(0.0)).fit(X[m:], y[m:])
        errors.append(np.abs(model.coef_ - fresh.coef_).max() / np.abs(fresh.coef_).max())
    assert max(errors) < 1e-8
    assert min(told, len(errors)) > 20
