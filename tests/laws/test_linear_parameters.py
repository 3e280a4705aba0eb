"""Parameters, the relation's included: read, set, cloned, searched; nothing that was passed is changed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from sklearn.base import clone

from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.notices import InputError
from relatask.relations import (
    Chain,
    FeatureQuadratic,
    Graph,
    HierarchicalPrior,
    Manifold,
    Pairwise,
    Relation,
    Ridge,
    Sum,
    TraceNorm,
    parameters,
    registry,
    strengths,
)

RELATIONS = [
    *(kind.example(3) for kind in registry().values() if not issubclass(kind, FeatureQuadratic)),
    *(Manifold.example(3, 2), Sum.example(3), Ridge(1.0) + Ridge(2.0)),
]


def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 2)), rng.normal(size=30), np.arange(30) % 3


@pytest.mark.parametrize("relation", [None, *RELATIONS])
def test_setting_what_was_read_changes_nothing(relation: Relation | None) -> None:
    model = MultiTaskRegressor(relation, tol=1e-4)
    before = model.get_params()
    assert model.set_params(**model.get_params()) is model
    assert model.relation is relation
    after = model.get_params()
    assert before.keys() == after.keys()
    assert all(before[key] is after[key] for key in before)
    model.set_params(**model.get_params(deep=False))
    assert model.relation is relation


@pytest.mark.filterwarnings("ignore:RT018")  # equal strengths leave some components no room
@pytest.mark.parametrize("relation", RELATIONS)
def test_nothing_that_was_passed_is_changed(relation: Relation) -> None:
    kept = copy.deepcopy(parameters(relation))
    model = MultiTaskRegressor(relation)
    names = [f"relation__{name}" for name in strengths(relation)]
    assert names or isinstance(relation, HierarchicalPrior)  # which learns all that it has
    model.set_params(**dict.fromkeys(names, 0.123))
    assert all(model.get_params()[name] == 0.123 for name in names)
    assert model.relation is not relation or not names
    X, y, tasks = rows()
    copies = X.copy(), y.copy(), tasks.copy()
    model.fit(X, y, tasks)
    assert model.get_params()["relation"] is model.relation
    for given, copied in zip((X, y, tasks), copies, strict=True):
        np.testing.assert_array_equal(given, copied)
    for name, value in parameters(relation).items():
        assert type(value) is type(kept[name])
        np.testing.assert_array_equal(value, kept[name])


def test_parameters_of_relations_by_name() -> None:
    model = MultiTaskRegressor(Ridge(0.1) + Pairwise(0.2) + Ridge(0.3))
    params = model.get_params()
    assert params["relation__Ridge__strength"] == 0.1
    assert params["relation__Ridge_2__strength"] == 0.3
    assert "relation__Ridge__strength" not in model.get_params(deep=False)
    model.set_params(relation__Ridge_2__strength="auto", tol=1e-3)
    assert model.get_params()["relation__Ridge_2__strength"] == "auto"
    assert model.get_params()["relation__Ridge__strength"] == 0.1
    assert model.tol == 1e-3
    # A new relation and its parameters at once.
    model.set_params(relation=Chain(1.0), relation__order=(2, 1, 0), relation__strength=5.0)
    assert model.relation == Chain(5.0, order=(2, 1, 0))


def test_unknown_parameters_are_named_and_nothing_is_set() -> None:
    model = MultiTaskRegressor(Pairwise(0.2))
    with pytest.raises(InputError, match="Invalid parameter 'strengths' for estimator MultiTaskRegressor"):
        model.set_params(tol=0.5, strengths=1.0)
    with pytest.raises(InputError, match="Pairwise has no parameter 'Ridge__strength'; it has strength"):
        model.set_params(tol=0.5, relation__Ridge__strength=1.0)
    with pytest.raises(InputError, match=r"strength=-1\.0 is not usable"):
        model.set_params(tol=0.5, relation__strength=-1.0)
    assert model.tol == 1e-6
    assert model.relation == Pairwise(0.2)
    with pytest.raises(InputError, match=r"its relation is None; give it one first, such as relation=Pairwise\(1.0\)"):
        MultiTaskRegressor().set_params(relation__strength=1.0)


def test_clones_share_nothing_that_can_change() -> None:
    A = np.ones((3, 3))
    model = MultiTaskRegressor(Graph(A, 0.2) + TraceNorm(0.1), task_column="g", warm_start=True)
    copied = clone(model)
    assert copied.relation is not model.relation
    assert copied.get_params()["task_column"] == "g"
    A[:] = 7.0
    X, y, tasks = rows()
    model.set_params(task_column=None).fit(X, y, tasks)
    copied.set_params(task_column=None).fit(X, y, tasks)
    np.testing.assert_array_equal(model.coef_, copied.coef_)
    assert not hasattr(clone(model), "coef_")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weighting": "rows"}, "weighting='rows' is unknown; expected one of 'sum', 'task', 'sample'"),
        ({"intercept": True}, "intercept=True is unknown; expected one of 'free', 'tied', 'common', 'none'"),
        (
            {"solver": "lbfgs"},
            "solver='lbfgs' is unknown; expected one of 'auto', 'direct', 'admm', 'fista', 'working_sets'",
        ),
        ({"tol": 0.0}, "tol=0.0 is not usable; expected a number between 0 and 1"),
        ({"tol": "small"}, "tol='small' is not usable"),
        ({"max_iter": 0}, "max_iter=0 is not usable; expected a whole number >= 1"),
        ({"max_iter": 1.5}, "max_iter=1.5 is not usable"),
        ({"relation": "ridge"}, r"relation='ridge' is not a relation; expected one of relatask.relations, such as Pa"),
        ({"relation": Pairwise}, "is not a relation"),
        ({"solver": "direct", "relation": TraceNorm(1.0)}, "solver='direct' takes quadratic relations only, given Tr"),
        ({"solver": "fista"}, "solver='fista' is for relations with a norm; this one is quadratic: use 'direct'"),
        (
            {"solver": "fista", "relation": TraceNorm(1.0) + TraceNorm(1.0)},
            "takes one relation with a prox, given TraceNorm, Trace",
        ),
        ({"relation": Ridge("auto") + Pairwise("auto") + Chain("auto")}, "3 strengths are 'auto'.*at most two can be"),
    ],
)
def test_parameters_are_checked_in_fit(given: dict, message: str) -> None:
    model = MultiTaskRegressor(**given)
    with pytest.raises(InputError, match=message):
        model.fit(*rows())
    assert not hasattr(model, "coef_")


def test_parameters_of_pooled_models() -> None:
    with pytest.raises(InputError, match="intercept='tied' ties tasks under a relation; pooled models take 'common'"):
        PooledRegressor(intercept="tied").fit(*rows())
    with pytest.raises(InputError, match="strength=-2 is not usable; expected a finite number >= 0, or 'auto'"):
        PooledRegressor(-2).fit(*rows())
    with pytest.raises(InputError, match="Invalid parameter 'relation__strength' for estimator PooledRegressor"):
        PooledRegressor().set_params(relation__strength=1.0)
    assert PooledRegressor().set_params(strength=3.0).fit(*rows()).strengths_ == {"strength": 3.0}
