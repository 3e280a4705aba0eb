"""Strengths chosen: leave-one-out against refits, likelihoods against dense normal densities, folds by hand."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

from choosing_cases import INTERCEPTS, RING, STRUCTURES, precision_of, rows_of, setting
from linear_oracle import case
from relatask.data import load
from relatask.linear import MultiTaskClassifier, MultiTaskClassifierCV, MultiTaskRegressor, MultiTaskRegressorCV
from relatask.linear.choosing import choice, reml
from relatask.linear.choosing.leaving_out import generalised, prepared
from relatask.linear.losses import Huber
from relatask.linear.solvers.family import family
from relatask.linear.solvers.selected import selected
from relatask.notices import InputError, RelataskWarning
from relatask.relations import (
    Chain,
    Graph,
    HierarchicalPrior,
    Manifold,
    Pairwise,
    Relation,
    Ridge,
    SharedSparsity,
    TraceNorm,
    strengths,
    with_parameters,
)
from relatask.study import splits


@pytest.mark.parametrize("layout", ["groups", "columns", "holes"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_blocks_are_those_of_the_dense_inverse(structure: str, layout: str) -> None:
    relation = STRUCTURES[structure]
    for d, intercept in ((3, "free"), (3, "tied"), (14, "none")):
        data = case(layout, 1, t=4, d=d, n=9)
        _, stats, model = setting(data, intercept)
        problem = model.prepare(stats)[3]
        t, p = problem.shape
        many = [with_parameters(relation, **{k: f * v for k, v in strengths(relation).items()}) for f in range(1, 11)]
        grams, found = problem.forms.dense(), selected(problem, family(many, t))
        for s in (0, 9):
            whole = np.einsum("ij,ab->iajb", family(many, t).member(s).dense(), np.eye(p))
            for k in range(t):
                whole[k, :, k] += grams[k]
            inverse = np.linalg.pinv(whole.reshape(t * p, t * p)).reshape(t, p, t, p)
            for k in range(t):
                values, vectors = np.linalg.eigh(grams[k])
                rows = np.arange(1.0, p + 1)[:, None] * vectors.T
                rows = rows[values > 1e-10 * values[-1]]
                block = found.block(k)
                expected = np.einsum("nd,de,ne->n", rows, inverse[k, :, k], rows)
                np.testing.assert_allclose(block.forms(block.coordinates(rows))[:, s], expected, rtol=1e-9)
                assert block.freedom()[s] == pytest.approx(np.vdot(inverse[k, :, k], grams[k]), rel=1e-9)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("layout", ["groups", "columns", "holes"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_leave_one_out_is_that_of_refits_with_loss_weights_held(structure: str, layout: str, intercept: str) -> None:
    relation = STRUCTURES[structure]
    data = case(layout, 3, t=4, d=2, n=7, weighted=True)
    names = tuple(strengths(relation))
    grid = {name: [0.02, 1.5] for name in names}
    model = MultiTaskRegressorCV(
        relation, cv="loo", strengths=grid, intercept=intercept, weighting="task", tol=1e-10
    ).fit(**data.arguments)
    A, y, weight, s, task = rows_of(data, intercept, "task")
    width = 2 + (intercept == "tied")
    for m, values in enumerate(model.path_.strengths):
        P = precision_of(
            with_parameters(relation, **dict(zip(names, values.tolist(), strict=True))),
            4,
            width,
            A.shape[1] - 4 * width,
        )
        eigen, basis = np.linalg.eigh(P)
        root = (np.sqrt(np.maximum(eigen, 0.0)) * basis).T
        errors = np.empty(len(y))
        for i in range(len(y)):
            own = np.sqrt(np.where(np.arange(len(y)) == i, 0.0, weight))
            rows = np.vstack([A * own[:, None], root])
            found = np.linalg.lstsq(rows, np.concatenate([own * y, np.zeros(len(P))]), rcond=1e-12)[0]
            errors[i] = (y[i] - A[i] @ found) ** 2
        assert model.cv_errors_[m] == pytest.approx(s @ errors / s.sum(), rel=1e-8)
        each = np.bincount(task, s * errors) / np.bincount(task, s)
        np.testing.assert_allclose(model.task_errors_[m], each, rtol=1e-8)
    assert model.left_out_ == 0


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_one_task_is_ridge_regression_of_scikit_learn(fit_intercept: bool) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 5)) + 2.0
    y = X @ rng.normal(size=5) + rng.normal(size=30) + 7.0
    grid = [0.01, 1.0, 30.0]
    peer = RidgeCV(grid, fit_intercept=fit_intercept, store_cv_results=True).fit(X, y)
    model = MultiTaskRegressorCV(
        Ridge(), strengths=grid, standardize=False, weighting="sum", intercept="free" if fit_intercept else "none"
    ).fit(X, y)
    np.testing.assert_allclose(model.cv_errors_, peer.cv_results_.mean(0), rtol=1e-8)
    assert model.strengths_["strength"] == peer.alpha_
    np.testing.assert_allclose(model.coef_[0], peer.coef_, rtol=1e-7)
    squares = peer.cv_results_
    np.testing.assert_allclose(model.cv_standard_errors_, squares.std(0) / np.sqrt(30), rtol=1e-7)


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("relation", [Pairwise(0.2), Chain(0.3) + Ridge(0.1), Graph(RING, 0.2)], ids=repr)
def test_generalised_errors_are_those_of_the_hat_matrix(relation: Relation, intercept: str) -> None:
    data = case("groups", 5, t=4, d=2, n=6)
    names = tuple(strengths(relation))
    values = tuple(strengths(relation).values())
    _, stats, model = setting(data, intercept, "sum")
    criterion, freedom = generalised(prepared(stats, relation, names, [values], model))
    own = MultiTaskRegressor(relation, intercept=intercept, weighting="sum", tol=1e-9)
    hat = np.empty((len(data.y), len(data.y)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelataskWarning)  # unit labels are constant in most tasks
        for i, unit in enumerate(np.eye(len(data.y))):
            hat[:, i] = own.fit(data.X, unit, data.tasks).predict(data.X, data.tasks)
    assert freedom[0] == pytest.approx(np.trace(hat), rel=1e-7)
    residual = data.y - hat @ data.y
    expected = np.mean(residual**2) / (1 - np.trace(hat) / len(data.y)) ** 2
    assert criterion[0] == pytest.approx(expected, rel=1e-6)


def test_features_that_tasks_lack_sparse_rows_and_units_of_targets() -> None:
    data = case("groups", 7, t=3, d=4, n=12)
    X = data.X.copy()
    X[data.tasks == 1, 2] = np.nan
    words = {"weighting": "sum", "standardize": False, "missing_features": "block", "tol": 1e-10}
    grid = [0.05, 2.0]
    model = MultiTaskRegressorCV(Pairwise(), strengths=grid, cv="loo", **words).fit(X, data.y, data.tasks)
    for m, strength in enumerate(grid):
        errors = []
        for i in range(len(data.y)):
            rest = np.arange(len(data.y)) != i
            own = MultiTaskRegressor(Pairwise(strength), **words).fit(X[rest], data.y[rest], data.tasks[rest])
            errors.append((data.y[i] - own.predict(X[[i]], data.tasks[[i]])[0]) ** 2)
        assert model.cv_errors_[m] == pytest.approx(np.mean(errors), rel=1e-8)
    for intercept in ("free", "tied"):
        dense = MultiTaskRegressorCV(Pairwise() + Ridge(), intercept=intercept).fit(data.X, data.y, data.tasks)
        stored = MultiTaskRegressorCV(Pairwise() + Ridge(), intercept=intercept).fit(
            sparse.csr_array(data.X), data.y, data.tasks
        )
        np.testing.assert_allclose(stored.cv_errors_, dense.cv_errors_, rtol=1e-8)
    unit = np.array([1.0, 10.0, 1000.0])[data.tasks]
    scaled = MultiTaskRegressorCV(Pairwise(), scale_targets=True).fit(data.X, data.y, data.tasks)
    again = MultiTaskRegressorCV(Pairwise(), scale_targets=True).fit(data.X, unit * data.y, data.tasks)
    np.testing.assert_allclose(scaled.cv_errors_, again.cv_errors_, rtol=1e-8)


def test_wide_sparse_rows_need_no_array_of_features_by_features() -> None:
    rng = np.random.default_rng(3)
    tasks = np.repeat(np.arange(3), 8)
    X = sparse.random_array((24, 400), density=0.05, rng=rng, format="csr")
    y = np.asarray(X @ rng.normal(size=400)) + rng.normal(size=24)
    found = [
        MultiTaskRegressorCV(Pairwise() + Ridge(), strengths={"Pairwise__strength": [0.1], "Ridge__strength": [0.2]})
        .fit(rows, y, tasks)
        .cv_errors_
        for rows in (X, X.toarray())
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-8)


def test_unlabelled_rows_are_data_to_leave_one_out() -> None:
    data = case("groups", 8, t=3, d=3, n=8)
    pool = np.random.default_rng(0).normal(size=(40, 3))
    words = {"weighting": "sum", "standardize": False, "tol": 1e-10}
    relation = Pairwise(0.3) + Manifold(pool, 0.5)
    grid = {"Manifold__strength": [0.1, 5.0]}
    model = MultiTaskRegressorCV(relation, strengths=grid, cv="loo", **words).fit(data.X, data.y, data.tasks)
    for m, strength in enumerate(grid["Manifold__strength"]):
        given, errors = with_parameters(relation, Manifold__strength=strength), []
        for i in range(len(data.y)):
            rest = np.arange(len(data.y)) != i
            own = MultiTaskRegressor(given, **words).fit(data.X[rest], data.y[rest], data.tasks[rest])
            errors.append((data.y[i] - own.predict(data.X[[i]], data.tasks[[i]])[0]) ** 2)
        assert model.cv_errors_[m] == pytest.approx(np.mean(errors), rel=1e-7)
    with pytest.raises(InputError, match="cv='gcv' does not take Manifold"):
        MultiTaskRegressorCV(relation, cv="gcv").fit(data.X, data.y, data.tasks)


def test_a_label_that_fits_itself_is_left_out_and_counted() -> None:
    data = case("groups", 2, t=3, d=2, n=8)
    more = np.vstack([data.X, [[0.3, 0.4]]]), np.append(data.y, 100.0), np.append(data.tasks, 9)
    with pytest.warns(RelataskWarning, match="one label only"):
        model = MultiTaskRegressorCV(Ridge()).fit(*more)
    assert model.left_out_ == 1
    assert np.isnan(model.task_errors_[:, 3]).all()
    assert np.isnan(model.best_per_task_[3]).all()
    with pytest.warns(RelataskWarning, match="one label only"):
        whole = MultiTaskRegressorCV(Ridge(), intercept="tied").fit(*more)
    assert whole.left_out_ == 0


def test_a_grid_costs_one_eigendecomposition_a_task_and_no_refit(monkeypatch: pytest.MonkeyPatch) -> None:
    from relatask.linear import learning
    from relatask.linear.choosing import leaving_out
    from relatask.linear.sums.forms import Bucket

    counts = {"spectra": 0, "solves": 0, "fits": 0}

    def counted(name: str, real: Any) -> Any:
        def wrapped(*args: Any, **words: Any) -> Any:
            counts[name] += 1
            return real(*args, **words)

        return wrapped

    monkeypatch.setattr(Bucket, "spectrum", counted("spectra", Bucket.spectrum))
    monkeypatch.setattr(leaving_out, "direct", counted("solves", leaving_out.direct))
    monkeypatch.setattr(learning, "fit_statistics", counted("fits", learning.fit_statistics))
    data = case("groups", 1, t=5, d=3, n=30)
    model = MultiTaskRegressorCV(Pairwise(), intercept="tied").fit(data.X, data.y, data.tasks)
    assert len(model.cv_errors_) == 25
    buckets = len(model._statistics.forms.buckets)
    assert counts["spectra"] <= 2 * buckets
    assert (counts["solves"], counts["fits"]) == (1, 1)


def by_hand(model: Any, pairs: list, X: np.ndarray, y: np.ndarray, tasks: np.ndarray) -> list[np.ndarray]:
    """Squared errors of the plain model on each fold."""
    found = []
    for train, test in pairs:
        own = model.fit(X[train], y[train], tasks[train])
        found.append((y[test] - own.predict(X[test], tasks[test])) ** 2)
    return found


def test_splitters_see_groups_and_rows_that_have_labels() -> None:
    data = case("groups", 9, t=3, d=2, n=20)
    X, y, tasks = data.X, data.y.copy(), data.tasks
    group = np.arange(len(y)) % 7
    y[5] = np.nan
    kept = ~np.isnan(y)
    grid = [0.1, 3.0]
    model = MultiTaskRegressorCV(Pairwise(), strengths=grid, cv=GroupKFold(3)).fit(X, y, tasks, groups=group)
    pairs = list(GroupKFold(3).split(X[kept], y[kept], group[kept]))
    for m, strength in enumerate(grid):
        errors = by_hand(MultiTaskRegressor(Pairwise(strength)), pairs, X[kept], y[kept], tasks[kept])
        assert model.cv_errors_[m] == pytest.approx(np.concatenate(errors).mean(), rel=1e-7)
        means = [e.mean() for e in errors]
        assert model.cv_standard_errors_[m] == pytest.approx(np.std(means, ddof=1) / np.sqrt(3), rel=1e-6)
    where = np.flatnonzero(kept)
    again = MultiTaskRegressorCV(Pairwise(), strengths=grid, cv=[(where[a], where[b]) for a, b in pairs])
    np.testing.assert_array_equal(again.fit(X, y, tasks).cv_errors_, model.cv_errors_)


def test_time_splits_are_of_each_task() -> None:
    data = case("groups", 10, t=3, d=2, n=20)
    order = np.random.default_rng(0).permutation(len(data.y))
    X, y, tasks = data.X[order], data.y[order], data.tasks[order]
    X, y, tasks = np.vstack([X, X[:2]]), np.append(y, [1.0, 2.0]), np.append(tasks, [7, 7])  # too few rows to cut
    grid = [0.1, 3.0]
    model = MultiTaskRegressorCV(Pairwise(), strengths=grid, cv=TimeSeriesSplit(4)).fit(X, y, tasks)
    pairs: list[tuple[list, list]] = [([], []) for _ in range(4)]
    for k in range(3):
        own = np.flatnonzero(tasks == k)
        for (train, test), (a, b) in zip(pairs, TimeSeriesSplit(4).split(own), strict=True):
            train.extend(own[a])
            test.extend(own[b])
    for train, _ in pairs:
        train.extend(np.flatnonzero(tasks == 7))
    for m, strength in enumerate(grid):
        errors = by_hand(MultiTaskRegressor(Pairwise(strength)), pairs, X, y, tasks)
        assert model.cv_errors_[m] == pytest.approx(np.concatenate(errors).mean(), rel=1e-7)
    assert np.isnan(model.task_errors_[:, 3]).all()


def test_norms_other_losses_and_classes_by_folds() -> None:
    data = case("groups", 11, t=3, d=3, n=20)
    pairs = list(KFold(3).split(data.X))
    words = {"cv": KFold(3), "tol": 1e-8}
    grid = [0.05, 0.5]
    for relation, loss in ((TraceNorm(), "squared"), (Pairwise(), "huber")):
        model = MultiTaskRegressorCV(relation, strengths=grid, loss=loss, **words).fit(data.X, data.y, data.tasks)
        for m, strength in enumerate(grid):
            own = MultiTaskRegressor(with_parameters(relation, strength=strength), loss=loss, tol=1e-8)
            errors = np.sqrt(np.concatenate(by_hand(own, pairs, data.X, data.y, data.tasks)))
            value = Huber().value(errors, 0.0 * errors) if loss == "huber" else errors**2
            assert model.cv_errors_[m] == pytest.approx(value.mean(), rel=1e-2)
    label = np.where(data.y > np.median(data.y), "yes", "no")
    found = MultiTaskClassifierCV(SharedSparsity(), strengths=grid, cv=StratifiedKFold(3), scoring="task")
    found.fit(data.X, label, data.tasks)
    losses, held = np.zeros((2, 3)), np.zeros(3)
    for train, test in StratifiedKFold(3).split(data.X, label == "yes"):
        held += np.bincount(data.tasks[test], minlength=3)
        for m, strength in enumerate(grid):
            own = MultiTaskClassifier(SharedSparsity(strength)).fit(data.X[train], label[train], data.tasks[train])
            chance = own.predict_proba(data.X[test], data.tasks[test])[np.arange(len(test)), (label[test] == "yes") * 1]
            losses[m] -= np.bincount(data.tasks[test], np.log(chance), minlength=3)
    np.testing.assert_allclose(found.task_errors_, losses / held, rtol=1e-2)
    np.testing.assert_allclose(found.cv_errors_, (losses / held).mean(1), rtol=1e-2)


def test_the_rule_of_one_standard_error_and_tasks_in_their_own_units() -> None:
    data = case("groups", 12, t=4, d=3, n=15)
    best = MultiTaskRegressorCV().fit(data.X, data.y, data.tasks)
    strong = MultiTaskRegressorCV(rule="one_se").fit(data.X, data.y, data.tasks)
    place = best.path_.best
    near = np.flatnonzero(best.cv_errors_ <= best.cv_errors_[place] + best.cv_standard_errors_[place])
    assert strong.path_.best == near[-1]
    assert strong.path_.best > place
    own = MultiTaskRegressorCV(scoring="task").fit(data.X, data.y, data.tasks)
    variance = np.array([data.y[data.tasks == k].var() for k in range(4)])
    np.testing.assert_allclose(own.cv_errors_, (own.task_errors_ / variance).mean(1), rtol=1e-10)
    each = best.path_.strengths[best.task_errors_.argmin(0)]
    np.testing.assert_array_equal(best.best_per_task_, each)


def test_what_has_nothing_to_choose_is_just_fitted() -> None:
    data = case("groups", 13, t=5, d=2, n=15)
    model = MultiTaskRegressorCV(HierarchicalPrior()).fit(data.X, data.y, data.tasks)
    plain = MultiTaskRegressor(HierarchicalPrior()).fit(data.X, data.y, data.tasks)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    assert model.path_ is None
    assert model.cv_errors_ is None


def test_what_is_chosen_is_fitted_saved_and_handed_on(tmp_path: Any) -> None:
    data = case("groups", 14, t=4, d=2, n=15)
    model = MultiTaskRegressorCV(Pairwise("auto") + Ridge(0.1)).fit(data.X, data.y, data.tasks)
    assert model.path_.names == ("Pairwise__strength",)
    assert model.strengths_["Ridge__strength"] == 0.1
    plain = MultiTaskRegressor(model.relation_).fit(data.X, data.y, data.tasks)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    model.save(tmp_path / "model")
    again = MultiTaskRegressorCV.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(data.X, data.tasks), model.predict(data.X, data.tasks))
    np.testing.assert_array_equal(again.task_errors_, model.task_errors_)
    handed = model.as_regressor()
    assert handed.get_params()["relation__Pairwise__strength"] == model.strengths_["Pairwise__strength"]
    np.testing.assert_array_equal(handed.predict(data.X, data.tasks), model.predict(data.X, data.tasks))
    model.set_params(relation__Ridge__strength=0.7)
    assert model.get_params()["relation__Ridge__strength"] == 0.7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"cv": "ten"}, "cv='ten' is unknown"),
        ({"cv": 1}, "expected at least 2 folds"),
        ({"cv": True}, "cv=True is unknown"),
        ({"cv": GroupKFold(3)}, "groups are passed as fit"),
        ({"cv": [(np.arange(5), np.arange(0))]}, "holds out no label"),
        ({"cv": []}, "holds out no label"),
        ({"cv": [np.arange(5)]}, "expected pairs"),
        ({"cv": [([0, 1], [99])]}, "expected positions below 36"),
        ({"strengths": []}, "are empty"),
        ({"strengths": [1.0, -2.0]}, "hold -2.0"),
        ({"strengths": "many"}, "expected a sequence"),
        ({"strengths": {"Chain__strength": [1.0]}}, "strengths names 'Chain__strength'; Pairwise has 'strength'"),
        ({"relation": Pairwise() + Ridge(), "strengths": [1.0]}, "give a mapping from names to values"),
        ({"relation": Pairwise() + Ridge() + Chain()}, "at most two can be chosen"),
        ({"relation": TraceNorm(), "cv": "loo"}, "for quadratic relations, and TraceNorm is none"),
        ({"loss": "huber", "cv": "loo"}, "is for the squared loss"),
        ({"cv": "reml", "rule": "one_se"}, "one number for all labels"),
        ({"cv": "gcv", "scoring": "task"}, "one number for all labels"),
        ({"cv": "reml", "strengths": [1.0]}, "without a grid"),
        ({"rule": "worst"}, "rule='worst' is unknown"),
        ({"scoring": "auc"}, "scoring='auc' is unknown"),
        ({"pairs": True}, "the relation has 0"),
        ({"pairs": True, "cv": 5}, "use cv='reml' or None"),
        ({"pairs": 3}, "pairs=3"),
        ({"strengths": np.array(1.0)}, "expected a sequence of numbers >= 0"),
        ({"strengths": [10**400]}, "expected finite numbers >= 0"),
        ({"cv": [([[0], [1, 2]], [3])]}, "cv holds .* not lists"),
        ({"relation": Ridge(), "strengths": [0.0]}, None),
    ],
)
def test_what_cannot_be_used_is_named(words: dict[str, Any], message: str | None) -> None:
    data = case("groups", 15, t=3, d=2, n=12)
    model = MultiTaskRegressorCV(**words)
    if message is None:
        assert model.fit(data.X, data.y, data.tasks).strengths_["strength"] == 0.0
        return
    with pytest.raises(InputError, match=message):
        model.fit(data.X, data.y, data.tasks)
    assert not hasattr(model, "coef_")


def test_what_else_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    data = case("groups", 16, t=3, d=9, n=5)
    with pytest.raises(InputError, match="groups has shape"):
        MultiTaskRegressorCV(cv=GroupKFold(2)).fit(data.X, data.y, data.tasks, groups=[1, 2])
    with pytest.raises(InputError, match=r"groups holds .* not lists"):
        MultiTaskRegressorCV(cv=GroupKFold(2)).fit(data.X, data.y, data.tasks, groups=[[1], [1, 2]])
    with pytest.raises(InputError, match="every label fits itself"):
        MultiTaskRegressorCV(Ridge(), strengths=[0.0, 1.0], cv="loo").fit(data.X, data.y, data.tasks)
    rng = np.random.default_rng(0)
    many = rng.normal(size=(300, 30)), rng.normal(size=300), np.arange(300) % 100
    dense = Graph(np.ones((100, 100)) + np.diag(np.arange(100)))
    monkeypatch.setattr(choice, "WIDEST", 2_000)
    monkeypatch.setattr(reml, "WIDEST", 2_000)
    for words in ({"cv": "loo"}, {"cv": "gcv"}, {"cv": "reml"}, {"pairs": True}):
        with pytest.raises(InputError, match="would invert a matrix of order 2970"):
            MultiTaskRegressorCV(dense, **words).fit(*many)
    wide = case("groups", 16, t=2, d=40, n=8)
    # The mean of all tasks is free under Pairwise, and with 40 features it goes through every label.
    with pytest.raises(InputError, match="add a Ridge to the relation"):
        MultiTaskRegressorCV(cv="loo").fit(wide.X, wide.y, wide.tasks)
    assert MultiTaskRegressorCV().fit(wide.X, wide.y, wide.tasks).path_.criterion == "folds"
    with pytest.raises(InputError, match=r"has 9 labels for as many coefficients"):
        MultiTaskRegressorCV(Pairwise(), cv="reml").fit(data.X[:9], data.y[:9], np.repeat([0, 1, 2], 3))
    with pytest.raises(InputError, match="cv='loo' is for the squared loss"):
        MultiTaskClassifierCV(cv="loo").fit(data.X, data.y > 0, data.tasks)


@pytest.mark.parametrize(("cv", "relation"), [("gcv", None), ("reml", Pairwise() + Ridge()), (None, None)])
def test_batches_choose_from_sums_alone(cv: str | None, relation: Relation | None) -> None:
    data = case("groups", 17, t=3, d=2, n=15)
    batches = [(data.X[i::3], data.y[i::3], data.tasks[i::3]) for i in range(3)]
    model = MultiTaskRegressorCV(relation, cv=cv).fit_batches(batches)
    assert model.path_.criterion == (cv or "folds")
    if cv is not None:
        whole = MultiTaskRegressorCV(relation, cv=cv).fit(data.X, data.y, data.tasks)
        np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-6)
    plain = MultiTaskRegressor(model.relation_).fit(data.X, data.y, data.tasks)
    np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-8)
    with pytest.raises(InputError, match="keeps sums and no rows"):
        MultiTaskRegressorCV(cv="loo").fit_batches(batches)


@pytest.mark.parametrize("pairs", [False, True])
def test_rows_that_come_later_leave_strengths_as_they_were_chosen(pairs: bool) -> None:
    data = case("groups", 18, t=4, d=2, n=15)
    first = np.arange(len(data.y)) % 3 > 0
    relation = Graph(RING, 1.0) + Ridge(1.0)
    model = MultiTaskRegressorCV(relation, pairs=pairs).fit(data.X[first], data.y[first], data.tasks[first])
    chosen = model.relation_
    model.partial_fit(data.X[~first], data.y[~first], data.tasks[~first])
    plain = MultiTaskRegressor(chosen).fit(data.X, data.y, data.tasks)
    np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-8)


@pytest.mark.parametrize("cv", ["loo", "gcv"])
def test_two_strengths_are_looked_at_again_about_the_best(cv: str) -> None:
    data = case("groups", 19, t=5, d=3, n=12)
    model = MultiTaskRegressorCV(Pairwise() + Ridge(), cv=cv).fit(data.X, data.y, data.tasks)
    assert len(model.cv_errors_) == 2 * 81
    assert model.cv_errors_[model.path_.best] == model.cv_errors_.min()
    low, high = model.path_.strengths[81:].min(0), model.path_.strengths[81:].max(0)
    coarse = model.path_.strengths[model.cv_errors_[:81].argmin()]
    assert (low <= coarse * (1 + 1e-9)).all()
    assert (coarse <= high * (1 + 1e-9)).all()
    names = model.path_.names
    given = {name: sorted(set(model.path_.strengths[81:, q])) for q, name in enumerate(names)}
    again = MultiTaskRegressorCV(Pairwise() + Ridge(), cv=cv, strengths=given).fit(data.X, data.y, data.tasks)
    np.testing.assert_allclose(again.cv_errors_, model.cv_errors_[81:], rtol=1e-9)


@pytest.mark.data
@pytest.mark.skipif("RELATASK_DATA" not in os.environ, reason="needs the public data sets: set RELATASK_DATA")
@pytest.mark.filterwarnings("ignore:RT017")
@pytest.mark.parametrize("cv", ["loo", "gcv", "reml", None])
def test_school_is_explained_without_a_strength_given(cv: str | None) -> None:
    # None: HierarchicalPrior, which has no strength.
    school = load("school")
    X, y, tasks = np.asarray(school.X, float), np.asarray(school.y, float), np.asarray(school.tasks)
    scores = []
    for split in splits.random(repeats=10).draw(np.arange(len(y)), tasks, len(y)):
        model: Any = MultiTaskRegressorCV(HierarchicalPrior() if cv is None else None, cv=cv, intercept="tied")
        model.fit(X[split.train], y[split.train], tasks[split.train])
        scores.append(model.score(X[split.test], y[split.test], tasks[split.test]))
    assert np.mean(scores) >= 0.276
