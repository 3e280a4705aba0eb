"""The classifier and the model of several kinds against other people's solvers, and what they do with odd labels."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from sklearn.linear_model import Ridge as SkRidge

from relatask.linear import MultiTaskClassifier, MultiTaskLinear, MultiTaskRegressor
from relatask.linear.losses import Huber, Logistic, Poisson
from relatask.notices import InputError, RelataskWarning
from relatask.relations import (
    Dirty,
    Graph,
    HierarchicalPrior,
    Pairwise,
    Progression,
    Ridge,
    RobustLowRank,
    RobustSparse,
    SharedSparsity,
    Sparse,
    TaskDescriptors,
    TraceNorm,
)


def rows(seed: int = 0, n: int = 120, t: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X, tasks = rng.normal(size=(n, 4)), np.arange(n) % t
    W = rng.normal(size=4) + 0.5 * rng.normal(size=(t, 4))
    return X, np.einsum("nd,nd->n", X, W[tasks]) + 0.3 * tasks, tasks


def test_two_classes_are_scikit_learns_ridge_penalised_logistic_regression() -> None:
    X, eta, tasks = rows()
    y = eta + np.random.default_rng(1).logistic(size=len(eta)) > 0
    plain = {"weighting": "sum", "standardize": False, "tol": 1e-9}
    model = MultiTaskClassifier(Ridge(0.5), **plain).fit(X, y, tasks)
    for k in range(3):
        own = LogisticRegression(C=2.0, tol=1e-12, max_iter=10_000).fit(X[tasks == k], y[tasks == k])
        np.testing.assert_allclose(model.coef_[k], own.coef_[0], rtol=1e-5)
        np.testing.assert_allclose(model.intercept_[k], own.intercept_[0], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(
            model.predict_proba(X[tasks == k], tasks[tasks == k]), own.predict_proba(X[tasks == k]), atol=1e-6
        )


def test_several_classes_are_scikit_learns_multinomial_regression() -> None:
    X, eta, tasks = rows(2)
    noise = np.random.default_rng(3).gumbel(size=(len(eta), 3))
    y = np.array(["low", "mid", "high"])[(noise + np.column_stack([-eta, 0 * eta, X[:, 0]])).argmax(1)]
    model = MultiTaskClassifier(Ridge(0.5), weighting="sum", standardize=False, tol=1e-9).fit(X, y, tasks)
    assert model.classes_.tolist() == ["high", "low", "mid"]
    assert model.coef_.shape == (3, 3, 4)
    for k in range(3):
        own = LogisticRegression(C=2.0, tol=1e-12, max_iter=10_000).fit(X[tasks == k], y[tasks == k])
        np.testing.assert_allclose(model.coef_[k], own.coef_, rtol=1e-4, atol=1e-6)
        assert (model.predict(X[tasks == k], tasks[tasks == k]) == own.predict(X[tasks == k])).all()


def test_columns_are_tasks_with_missing_labels_and_balanced_classes() -> None:
    X, eta, _ = rows(4)
    rng = np.random.default_rng(5)
    Y = (np.column_stack([eta, eta + 1]) + rng.logistic(size=(len(eta), 2)) > 0.5).astype(object)
    Y[rng.random(Y.shape) < 0.2] = None
    frame = pd.DataFrame(Y, columns=["clicked", "bought"])
    plain = {"weighting": "sum", "standardize": False, "tol": 1e-9}
    model = MultiTaskClassifier(Ridge(1.0), class_weight="balanced", **plain).fit(X, frame)
    assert model.tasks_.tolist() == ["clicked", "bought"]
    assert model.predict_proba(X).shape == (len(X), 2, 2)
    for k, name in enumerate(frame):
        seen = frame[name].notna().to_numpy()
        own = LogisticRegression(C=1.0, class_weight="balanced", tol=1e-12, max_iter=10_000)
        own.fit(X[seen], frame[name][seen].astype(bool))
        np.testing.assert_allclose(model.coef_[k], own.coef_[0], rtol=1e-5)
    right = [(model.predict(X)[i, k] == Y[i, k]) for i in range(len(X)) for k in range(2) if Y[i, k] is not None]
    assert model.score(X, frame) == pytest.approx(np.mean(right))


def test_numbers_classes_and_counts_without_a_tie_are_three_models() -> None:
    X, eta, _ = rows(6)
    rng = np.random.default_rng(7)
    price = 1000 + 50 * (eta + rng.normal(size=len(eta)))
    sold = (eta + rng.logistic(size=len(eta)) > 0).astype(float)
    visits = rng.poisson(np.exp(0.5 * eta)).astype(float)
    Y = np.column_stack([price, sold, visits])
    kinds = ["regression", "binary", "count"]
    model = MultiTaskLinear(kinds, Ridge(0.5), weighting="sum", standardize=False, tol=1e-10).fit(X, Y)
    spread = price.std()
    ridge = SkRidge(alpha=0.5).fit(X, price / spread)
    np.testing.assert_allclose(model.coef_[0], ridge.coef_ * spread, rtol=1e-6)
    np.testing.assert_allclose(model.intercept_[0], ridge.intercept_ * spread, rtol=1e-8)
    logistic = LogisticRegression(C=2.0, tol=1e-12, max_iter=10_000).fit(X, sold)
    np.testing.assert_allclose(model.coef_[1], logistic.coef_[0], rtol=1e-5)
    # scikit-learn's mean of half deviances: its alpha is ours over n.
    poisson = PoissonRegressor(alpha=0.5 / len(X), tol=1e-10, max_iter=10_000).fit(X, visits)
    np.testing.assert_allclose(model.coef_[2], poisson.coef_, rtol=1e-4)
    mean = model.predict_mean(X)
    np.testing.assert_allclose(mean[:, 1], logistic.predict_proba(X)[:, 1], atol=1e-6)
    np.testing.assert_allclose(mean[:, 2], poisson.predict(X), rtol=1e-4)
    assert set(np.unique(model.predict(X)[:, 1])) <= {0.0, 1.0}
    shares = [ridge.score(X, price / spread), model.score(X, Y) * 3, poisson.score(X, visits)]
    null = sold.mean()
    deviance = [
        float(np.sum(Logistic().value(e, sold))) for e in (logistic.decision_function(X), np.log(null / (1 - null)))
    ]
    assert shares[1] == pytest.approx(shares[0] + shares[2] + 1 - deviance[0] / deviance[1], rel=1e-5)


@pytest.mark.parametrize(
    "relation", [Pairwise(0.3), Graph(np.ones((3, 3)), 0.1) + Ridge(0.1), TraceNorm(1.0), SharedSparsity(1.0)]
)
def test_a_relation_ties_tasks_of_several_kinds(relation: object) -> None:
    X, eta, tasks = rows(8, n=150)
    rng = np.random.default_rng(9)
    y = np.where(
        tasks == 0, 10 * eta + 5, np.where(tasks == 1, eta + rng.logistic(size=150) > 0, rng.poisson(np.exp(0.3 * eta)))
    )
    kinds = {0: "regression", 1: "binary", 2: "count"}
    model = MultiTaskLinear(kinds, relation, tol=1e-8).fit(X, y, tasks)
    assert model.residual_ <= 1e-8
    scale = np.where(X.std(0) > 0, X.std(0), 1.0)
    spread = model.target_scale_

    def value(coef: np.ndarray, intercept: np.ndarray) -> float:
        total = relation(coef * scale / spread[:, None])  # type: ignore[operator]
        for k in range(3):
            at, own = X[tasks == k] @ coef[k] + intercept[k], y[tasks == k]
            if k == 0:
                loss = 0.5 * np.square((at - own) / spread[0])
            else:
                loss = (Logistic() if k == 1 else Poisson()).value(at, own)
            total = total + loss.mean()
        return float(total)

    best = value(model.coef_, model.intercept_)
    assert best == pytest.approx(model.objective_, rel=1e-9)
    for _ in range(50):
        step = 1e-3 * rng.normal(size=model.coef_.shape) * spread[:, None]
        assert value(model.coef_ + step, model.intercept_ + 1e-3 * rng.normal(size=3)) >= best * (1 - 1e-8)


def test_strengths_are_chosen_on_held_out_loss() -> None:
    X, eta, tasks = rows(10, n=90, t=6)
    y = eta + 0.5 * np.random.default_rng(11).logistic(size=90) > 0
    model = MultiTaskClassifier(Pairwise("auto")).fit(X, y, tasks)
    assert model.path_ is not None
    assert model.path_.errors.shape == (25,)
    assert model.strengths_["strength"] == model.path_.strengths[np.nanargmin(model.path_.errors), 0]
    again = MultiTaskClassifier(Pairwise(model.strengths_["strength"])).fit(X, y, tasks)
    np.testing.assert_allclose(again.coef_, model.coef_, rtol=1e-4, atol=1e-6)


def test_odd_labels_are_told() -> None:
    X, eta, tasks = rows(12)
    y = (eta > 0).astype(int)
    with pytest.raises(InputError, match="Unknown label type: continuous"):
        MultiTaskClassifier().fit(X, eta, tasks)
    with pytest.raises(InputError, match="only one class"):
        MultiTaskClassifier().fit(X, 0 * y, tasks)
    with pytest.raises(InputError, match=r"class_weight names 'maybe', but the classes are 0, 1"):
        MultiTaskClassifier(class_weight={"maybe": 2.0}).fit(X, y, tasks)
    with pytest.raises(InputError, match="class_weight='even' is unknown"):
        MultiTaskClassifier(class_weight="even").fit(X, y, tasks)
    alone = np.where(tasks == 1, 1, y)
    with pytest.warns(RelataskWarning, match=r"RT005: tasks with labels of one class only: 1"):
        model = MultiTaskClassifier(Pairwise(1.0)).fit(X, alone, tasks)
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.intercept_).all()
    assert model.predict_proba(X[:1], [1])[0, 1] > 0.99
    Y = np.column_stack([eta, y, np.round(np.exp(eta))])
    kinds = ["regression", "binary", "count"]
    with pytest.raises(InputError, match=r"task 1 \(kind 'binary'\): Logistic: y holds 7"):
        MultiTaskLinear(kinds).fit(X, np.where(np.arange(3) == 1, 7.0, Y))
    with pytest.raises(InputError, match=r"task 2 \(kind 'count'\): Poisson: y holds -1"):
        MultiTaskLinear(kinds).fit(X, np.where(np.arange(3) == 2, -1.0, Y))
    with pytest.raises(InputError, match="kinds has 2 entries for 3 tasks"):
        MultiTaskLinear(kinds[:2]).fit(X, Y)
    with pytest.raises(InputError, match=r"kinds names no kind for 'c'"):
        MultiTaskLinear({"a": "count", "b": "binary"}).fit(X, pd.DataFrame(Y, columns=list("abc")))
    with pytest.raises(InputError, match="MultiTaskClassifier"):
        MultiTaskLinear(["multiclass", *kinds[1:]]).fit(X, Y)


def test_separable_labels_give_finite_numbers_and_say_so() -> None:
    X = np.column_stack([np.linspace(-1, 1, 40), np.tile([0.0, 1.0], 20)])
    y, tasks = X[:, 0] > 0, np.repeat([0, 1], 20)
    y[[3, 30]] = [True, False]
    y[tasks == 0] = X[tasks == 0, 0] > -0.5
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MultiTaskClassifier(Ridge(0.0)).fit(X, y, tasks)
    assert np.isfinite(model.coef_).all()
    if model.residual_ > model.tol:
        assert any("RT015" in str(w.message) for w in caught)
    assert (model.predict(X[tasks == 0], tasks[tasks == 0]) == y[tasks == 0]).all()


def test_saved_classifiers_predict_as_before(tmp_path: object) -> None:
    X, eta, tasks = rows(13)
    y = np.array(["no", "yes"])[(eta > 0).astype(int)]
    model = MultiTaskClassifier(Pairwise(0.5) + Ridge(0.1), class_weight={"yes": 2.0}).fit(X, y, tasks)
    model.save(f"{tmp_path}/model")
    again = MultiTaskClassifier.load(f"{tmp_path}/model")
    np.testing.assert_array_equal(again.predict_proba(X, tasks), model.predict_proba(X, tasks))
    assert again.classes_.tolist() == ["no", "yes"]
    Y = np.column_stack([eta, eta > 0])
    mixed = MultiTaskLinear({0: "regression", 1: "binary"}, Ridge(0.1)).fit(X, Y)
    mixed.save(f"{tmp_path}/mixed")
    np.testing.assert_array_equal(MultiTaskLinear.load(f"{tmp_path}/mixed").predict_mean(X), mixed.predict_mean(X))


def test_squared_loss_and_numbers_agree() -> None:
    X, eta, tasks = rows(14)
    y = 3 * eta + np.random.default_rng(15).normal(size=len(eta))
    spread = np.array([y[tasks == k].std() for k in range(3)])
    mixed = MultiTaskLinear(["regression"] * 3, Pairwise(0.2), tol=1e-10).fit(X, y, tasks)
    squared = MultiTaskRegressor(Pairwise(0.2), weighting="task").fit(X, y / spread[tasks], tasks)
    np.testing.assert_allclose(mixed.coef_ / spread[:, None], squared.coef_, rtol=1e-7)


def test_regressors_take_other_losses_by_name_and_by_value(tmp_path: Path) -> None:
    X, eta, tasks = rows(16)
    rng = np.random.default_rng(17)
    counts = rng.poisson(np.exp(0.5 * eta))
    plain = {"weighting": "sum", "standardize": False, "tol": 1e-10}
    model = MultiTaskRegressor(Ridge(0.5), loss="poisson", **plain).fit(X, counts, tasks)
    for k in range(3):
        at = tasks == k
        own = PoissonRegressor(alpha=0.5 / at.sum(), tol=1e-10, max_iter=10_000).fit(X[at], counts[at])
        np.testing.assert_allclose(model.predict(X[at], tasks[at]), own.predict(X[at]), rtol=1e-4)
    y = eta + rng.standard_t(2, size=len(eta))
    wide = MultiTaskRegressor(Ridge(0.5), loss=Huber(1e6), **plain).fit(X, y, tasks)
    squared = MultiTaskRegressor(Ridge(0.5), **plain).fit(X, y, tasks)
    np.testing.assert_allclose(wide.coef_, squared.coef_, rtol=1e-7)
    calibrated = MultiTaskRegressor(SharedSparsity(3.0), loss="root_squared", weighting="sum", tol=1e-10)
    in_grams = calibrated.fit(X, y, tasks).coef_
    assert in_grams.any()  # one strength, whatever the unit
    np.testing.assert_allclose(calibrated.fit(X, 1000 * y, tasks).coef_, 1000 * in_grams, rtol=1e-5, atol=1e-3)
    robust = MultiTaskRegressor(Pairwise(0.1), loss=Huber(0.5), scale_targets=True).fit(X, y, tasks)
    assert robust.target_scale_ == pytest.approx([y[tasks == k].std() for k in range(3)])
    in_units = MultiTaskRegressor(Pairwise(0.1), loss=Huber(0.5)).fit(X, y / robust.target_scale_[tasks], tasks)
    np.testing.assert_allclose(robust.coef_, in_units.coef_ * robust.target_scale_[:, None], rtol=1e-5)
    robust.save(tmp_path / "huber")
    again = MultiTaskRegressor.load(tmp_path / "huber")
    assert again.loss == Huber(0.5)
    np.testing.assert_array_equal(again.predict(X, tasks), robust.predict(X, tasks))
    with pytest.raises(InputError, match="loss='log' is unknown"):
        MultiTaskRegressor(loss="log").fit(X, y, tasks)
    with pytest.raises(InputError, match="counts have no unit"):
        MultiTaskRegressor(loss="poisson", scale_targets=True).fit(X, counts, tasks)
    with pytest.raises(InputError, match="loss='huber' has no meaning under HierarchicalPrior"):
        MultiTaskRegressor(HierarchicalPrior(), loss="huber").fit(X, y, tasks)


def test_weights_of_tasks_multiply_last_under_every_loss() -> None:
    X, eta, tasks = rows(18)
    y = eta + np.random.default_rng(19).normal(size=len(eta))
    twice = MultiTaskRegressor(Pairwise(0.2), loss=Huber(1e6), task_weight={1: 2.0}, tol=1e-10).fit(X, y, tasks)
    squared = MultiTaskRegressor(Pairwise(0.2), task_weight={1: 2.0}).fit(X, y, tasks)
    np.testing.assert_allclose(twice.coef_, squared.coef_, rtol=1e-6)


def test_a_prior_knows_new_tasks_and_how_far_off_it_may_be() -> None:
    X, eta, tasks = rows(20, n=400, t=20)
    y = eta + np.random.default_rng(21).normal(size=len(eta))
    model = MultiTaskRegressor(HierarchicalPrior(), intercept="tied").fit(X, y, tasks)
    mean, spread = model.predict(X[:4], ["new", *tasks[1:4]], return_std=True)
    assert mean[0] == pytest.approx(X[0] @ model.prior_mean_ + model.prior_intercept_)
    assert spread[0] > spread[1:].max()
    assert model.strengths_ == {}
    with pytest.raises(InputError, match="return_std is defined where predictions are linear in the labels"):
        MultiTaskRegressor(TraceNorm(0.1)).fit(X, y, tasks).predict(X, tasks, return_std=True)
    Y = np.column_stack([eta, 100 * eta]) + np.random.default_rng(22).normal(size=(len(eta), 2)) * [1, 100]
    columns = MultiTaskRegressor(HierarchicalPrior(), scale_targets=True).fit(X, Y)
    mean, spread = columns.predict(X, return_std=True)
    assert mean.shape == spread.shape == Y.shape
    np.testing.assert_allclose(columns.noise_, np.square(spread.min(0)), rtol=0.2)


def test_parts_that_the_strengths_leave_no_room_are_told_once() -> None:
    X, eta, tasks = rows(23)
    for relation, told in (
        (Dirty(1.0, 2.0), "Dirty's 'sparse' is zero"),
        (Dirty(9.0, 2.0), "Dirty's 'shared' is zero"),
        (Dirty(0.0, 2.0), "Dirty has a strength of 0"),
        (RobustLowRank(1.0, 2.0), "RobustLowRank's 'outliers' is zero"),
        (RobustLowRank(1.0, 0.5), "RobustLowRank's 'shared' is zero"),
        (RobustSparse(1.0, 2.5), "RobustSparse's 'outliers' is zero"),
    ):
        with pytest.warns(RelataskWarning, match=f"RT018: {told}") as caught:
            model = MultiTaskRegressor(relation, tol=1e-8).fit(X, eta, tasks)
        assert sum("RT018" in str(w.message) for w in caught) == 1
        if "is zero" in told:
            assert np.abs(model.components_[told.split("'")[-2]]).max() <= 1e-6 * np.abs(model.coef_).max()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MultiTaskRegressor(Dirty(1.0, 0.7)).fit(X, eta, tasks)


@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_a_warm_start_survives_another_relation(loss: str) -> None:
    X, y, tasks = rows()
    model = MultiTaskRegressor(loss=loss, warm_start=True, tol=1e-8)
    relations = (
        TraceNorm(0.1) + Sparse(0.1),
        Pairwise(0.1),
        RobustLowRank(0.1, 0.08),
        SharedSparsity(0.1) + Ridge(0.1),
        Progression(1.0, 1.0, 0.5),
        Progression(1.0, 1.0, 0.0),
        TraceNorm(0.1),
    )
    for relation in relations:
        cold = MultiTaskRegressor(relation, loss=loss, tol=1e-8).fit(X, y, tasks)
        warm = model.set_params(relation=relation).fit(X, y, tasks)
        assert warm.objective_ == pytest.approx(cold.objective_, rel=2e-8)


@pytest.mark.parametrize("intercept", ["tied", "free", "common", "none"])
@pytest.mark.parametrize("standardize", [True, False])
def test_an_unseen_task_is_the_same_under_squared_loss_and_a_wide_huber(intercept: str, standardize: bool) -> None:
    X, y, tasks = rows()
    X = X + 3.0
    relation = TaskDescriptors({k: [1.0, float(k)] for k in range(4)}, 1.0, 0.1)
    squared, huber = (
        MultiTaskRegressor(relation, loss=loss, standardize=standardize, intercept=intercept, tol=1e-10).fit(
            X, y, tasks
        )
        for loss in ("squared", Huber(1e6))
    )
    np.testing.assert_allclose(squared.predict(X[:5], [3] * 5), huber.predict(X[:5], [3] * 5), rtol=1e-6)


def test_score_takes_a_weight_for_every_label() -> None:
    X, eta, _ = rows()
    Y = np.column_stack([eta, eta > 0]).astype(float)
    weights = np.ones(Y.shape)
    weights[:5, 0] = 0.0
    holes = np.where(weights > 0, Y, np.nan)
    model = MultiTaskLinear(["regression", "binary"]).fit(X, Y, sample_weight=weights)
    assert model.score(X, Y, sample_weight=weights) == pytest.approx(model.score(X, holes))
    numbers = MultiTaskRegressor().fit(X, Y)
    assert numbers.score(X, Y, sample_weight=weights) == pytest.approx(numbers.score(X, holes))
