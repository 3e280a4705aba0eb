"""Laws of chosen strengths: what may not change them, and how errors, rules and likelihoods must behave."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, cross_val_score

from linear_oracle import INTERCEPTS, LAYOUTS, case
from relatask.linear import MultiTaskRegressorCV
from relatask.relations import Chain, Pairwise, Relation, Ridge, strengths

RELATIONS = [Pairwise(), Ridge(), Chain(), Pairwise() + Ridge()]
GRID = [0.01, 0.1, 1.0, 10.0]

pytestmark = pytest.mark.filterwarnings("ignore:RT005", "ignore:RT017")


def words(relation: Relation) -> dict:
    return {"relation": relation, "strengths": dict.fromkeys(strengths(relation), GRID)}


@given(
    seed=st.integers(0, 10_000),
    layout=st.sampled_from(LAYOUTS),
    intercept=st.sampled_from(INTERCEPTS),
    relation=st.sampled_from(RELATIONS),
    cv=st.sampled_from(["loo", "gcv"]),
)
def test_neither_order_nor_units_change_what_is_chosen(
    seed: int, layout: str, intercept: str, relation: Relation, cv: str
) -> None:
    data = case(layout, seed, t=3, d=2, n=9, weighted=True)
    order = np.random.default_rng(seed).permutation(len(data.X))
    tasks = None if data.tasks is None else data.tasks[order]
    model = MultiTaskRegressorCV(**words(relation), cv=cv, intercept=intercept).fit(**data.arguments)
    moved = MultiTaskRegressorCV(**words(relation), cv=cv, intercept=intercept)
    moved.fit(3.0 * data.X[order], -10.0 * data.y[order], tasks, data.weights[order])
    np.testing.assert_allclose(moved.cv_errors_, 100.0 * model.cv_errors_, rtol=1e-6)
    assert moved.strengths_ == model.strengths_


@given(seed=st.integers(0, 10_000), relation=st.sampled_from(RELATIONS), layout=st.sampled_from(LAYOUTS))
def test_one_label_out_of_a_label_is_never_better_than_fitted(seed: int, relation: Relation, layout: str) -> None:
    data = case(layout, seed, t=3, d=2, n=9)
    model = MultiTaskRegressorCV(**words(relation), cv="loo", weighting="sum").fit(**data.arguments)
    residual = data.y - model.predict(data.X, data.tasks)
    # 1 - h is between 0 and 1, so that no error shrinks.
    assert model.cv_errors_[model.path_.best] >= np.nanmean(np.square(residual)) * (1 - 1e-9)


@given(seed=st.integers(0, 10_000), layout=st.sampled_from(LAYOUTS), scoring=st.sampled_from(["overall", "task"]))
def test_the_careful_rule_is_never_weaker(seed: int, layout: str, scoring: str) -> None:
    data = case(layout, seed, t=3, d=2, n=9)
    best, careful = (
        MultiTaskRegressorCV(strengths=GRID, rule=rule, scoring=scoring, cv="loo").fit(**data.arguments)
        for rule in ("best", "one_se")
    )
    assert careful.strengths_["strength"] >= best.strengths_["strength"]
    place = best.path_.best
    assert careful.cv_errors_[careful.path_.best] <= best.cv_errors_[place] + best.cv_standard_errors_[place]
    np.testing.assert_array_equal(best.cv_errors_, careful.cv_errors_)


@given(seed=st.integers(0, 10_000), intercept=st.sampled_from(["free", "none"]))
def test_without_ties_tasks_are_judged_each_for_itself(seed: int, intercept: str) -> None:
    data = case("groups", seed, t=3, d=2, n=9)
    shared = {"standardize": False, "weighting": "sum", "intercept": intercept, "strengths": GRID}
    model = MultiTaskRegressorCV(Ridge(), **shared).fit(data.X, data.y, data.tasks)
    for k in range(3):
        own = data.tasks == k
        if own.sum() > 1:
            alone = MultiTaskRegressorCV(Ridge(), **shared).fit(data.X[own], data.y[own])
            np.testing.assert_allclose(model.task_errors_[:, k], alone.cv_errors_, rtol=1e-7)


@given(seed=st.integers(0, 10_000), relation=st.sampled_from(RELATIONS), layout=st.sampled_from(LAYOUTS))
def test_the_likeliest_strengths_know_no_units(seed: int, relation: Relation, layout: str) -> None:
    # Labels that a model of this kind made, so that the likelihood has its best strengths inside.
    rng = np.random.default_rng(seed)
    data = case(layout, seed, t=5, d=2, n=25)
    model = MultiTaskRegressorCV(relation, cv="reml").fit(**data.arguments)
    scaled = MultiTaskRegressorCV(relation, cv="reml")
    scaled.fit(data.X * rng.uniform(0.1, 10.0), data.y * 50.0, data.tasks)
    near = scaled.cv_errors_.min() - model.cv_errors_.min()
    rows = int(np.isfinite(data.y).sum()) - 5
    flat = 0 if strengths(relation).keys() & {"Ridge__strength"} or isinstance(relation, Ridge) else 2
    assert near == pytest.approx((rows - flat) * np.log(50.0**2), rel=1e-6)


def test_groups_are_routed() -> None:
    data = case("groups", 0, t=3, d=2, n=20)
    group = np.arange(len(data.y)) % 8
    with sklearn.config_context(enable_metadata_routing=True):
        model = MultiTaskRegressorCV(strengths=GRID, cv=GroupKFold(3))
        scores = cross_val_score(model, data.X, data.y, params={"tasks": data.tasks, "groups": group}, cv=3)
    assert len(scores) == 3
    assert np.isfinite(scores).all()
