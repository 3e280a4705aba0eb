"""What must not change a linear model: order, repetition, units, origins, where a solver begins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linear_oracle import INTERCEPTS, WEIGHTINGS, Case, case
from relatask.linear import MultiTaskRegressor, PooledRegressor
from relatask.relations import (
    Chain,
    Graph,
    Pairwise,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    TaskKernel,
    TraceNorm,
)

pytestmark = pytest.mark.filterwarnings("ignore:RT005")  # some of these small tasks have one row

RELATIONS: list[Relation] = [
    Ridge(0.3),
    Pairwise(0.1),
    Chain(0.4),
    Graph([(0, 2, 1.0), (1, 2, 0.5)], 0.3) + Ridge(0.1),
    TaskKernel([[1.0, 0.5, 0.1], [0.5, 1.0, 0.3], [0.1, 0.3, 1.0]], 0.2),
    TraceNorm(0.3),
    SharedSparsity(0.3),
    Sparse(0.1) + Pairwise(0.05),
]
SEEDS = st.integers(0, 2**31 - 1)
ANY = {"weighting": st.sampled_from(WEIGHTINGS), "intercept": st.sampled_from(INTERCEPTS)}
MODELS = st.builds(
    lambda relation, **more: MultiTaskRegressor(relation, tol=1e-10, max_iter=100_000, **more),
    st.sampled_from(RELATIONS),
    standardize=st.booleans(),
    **ANY,
)


def predictions(model: Any, data: Case, at: np.ndarray | None = None) -> np.ndarray:
    """Predictions for every task at some rows, (rows, t)."""
    model.fit(**data.arguments)
    at = data.X[:5] if at is None else at
    return at @ model.coef_.T + model.intercept_


def same(a: np.ndarray, b: np.ndarray, size: float = 1.0) -> None:
    np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4 * size)


@given(SEEDS, MODELS)
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_does_not_matter(seed: int, model: MultiTaskRegressor) -> None:
    data = case("groups", seed, t=3, d=3, n=6, weighted=True)
    order = np.random.default_rng(seed).permutation(len(data.X))
    other = Case(data.X[order], data.y[order], data.tasks[order], data.weights[order], 3)
    same(predictions(model, data), predictions(model, other, data.X[:5]))


@given(SEEDS, MODELS)
@settings(max_examples=60, deadline=None)
def test_the_order_of_columns_does_not_matter(seed: int, model: MultiTaskRegressor) -> None:
    data = case("groups", seed, t=3, d=4, n=6)
    order = np.random.default_rng(seed).permutation(4)
    other = Case(data.X[:, order], data.y, data.tasks, None, 3)
    same(predictions(model, data), predictions(model, other))


@given(SEEDS, st.sampled_from([Ridge(0.3), Pairwise(0.1), TraceNorm(0.3), SharedSparsity(0.2), Sparse(0.1)]))
@settings(max_examples=40, deadline=None)
def test_the_names_of_tasks_do_not_matter_to_relations_that_treat_them_alike(seed: int, relation: Relation) -> None:
    data = case("groups", seed, t=4, d=3, n=6)
    order = np.random.default_rng(seed).permutation(4)
    names = np.array(["d", "a", "c", "b"])[order]
    model = MultiTaskRegressor(relation, tol=1e-10)
    plain = model.fit(**data.arguments).predict(data.X, data.tasks)
    same(plain, model.fit(data.X, data.y, names[data.tasks]).predict(data.X, names[data.tasks]))


@given(SEEDS, MODELS)
@settings(max_examples=60, deadline=None)
def test_weights_are_repeated_rows_and_no_weight_is_no_row(seed: int, model: MultiTaskRegressor) -> None:
    data = case("groups", seed, t=3, d=3, n=6, weighted=True)
    times = data.weights.astype(int)
    repeated = Case(data.X.repeat(times, 0), data.y.repeat(times), data.tasks.repeat(times), None, 3)
    same(predictions(model, data), predictions(model, repeated, data.X[:5]))


@given(SEEDS, MODELS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_missing_label_is_an_absent_row(seed: int, model: MultiTaskRegressor, weighted: bool) -> None:
    data = case("groups", seed, t=3, d=3, n=6, weighted=weighted)
    gone = np.random.default_rng(seed).random(len(data.y)) < 0.2
    gone[:3] = False
    holes = Case(data.X, np.where(gone, np.nan, data.y), data.tasks, data.weights, 3)
    rest = Case(
        data.X[~gone], data.y[~gone], data.tasks[~gone], None if data.weights is None else data.weights[~gone], 3
    )
    at = data.X[:5]
    assert (predictions(model, holes, at) == predictions(model, rest, at)).all()


@given(SEEDS, MODELS)
@settings(max_examples=60, deadline=None)
def test_columns_with_holes_are_groups_of_their_own_rows(seed: int, model: MultiTaskRegressor) -> None:
    data = case("holes", seed, t=3, d=3, n=9)
    row, task = np.nonzero(~np.isnan(data.y))
    groups = Case(data.X[row], data.y[row, task], task, None, 3)
    # What is standard deviates: a row counts once in one layout, once for each label in the other.
    model.set_params(standardize=False)
    same(predictions(model, data), predictions(model, groups, data.X[:5]))


@given(SEEDS, MODELS)
@settings(max_examples=60, deadline=None)
def test_origins_do_not_matter_with_free_intercepts(seed: int, model: MultiTaskRegressor) -> None:
    data = case("groups", seed, t=3, d=3, n=6)
    model.set_params(intercept="free")
    shift = np.array([5.0, -3.0, 100.0])
    own = np.array([1.0, -20.0, 7.0])[data.tasks]
    other = Case(data.X + shift, data.y + own, data.tasks, None, 3)
    at = data.X[:5]
    same(predictions(model, data, at) + np.array([1.0, -20.0, 7.0]), predictions(model, other, at + shift), size=20)


@given(SEEDS, st.sampled_from(RELATIONS), st.sampled_from(WEIGHTINGS), st.sampled_from(["free", "tied", "common"]))
@settings(max_examples=60, deadline=None)
def test_units_of_columns_do_not_matter_where_they_are_standardised(
    seed: int, relation: Relation, weighting: str, intercept: str
) -> None:
    data = case("groups", seed, t=3, d=4, n=6)
    units, origin = np.array([1e-8, 1e8, 1.0, 1e3]), np.array([0.0, 1e9, 3.0, -1e4])
    other = Case(data.X * units + origin, data.y, data.tasks, None, 3)
    model = MultiTaskRegressor(relation, weighting=weighting, intercept=intercept, tol=1e-10, max_iter=100_000)
    same(predictions(model, data), predictions(model, other, data.X[:5] * units + origin))


@given(SEEDS, MODELS, st.sampled_from([1e-8, 1e-3, 1e6]))
@settings(max_examples=60, deadline=None)
def test_units_of_labels_scale_quadratic_models(seed: int, model: MultiTaskRegressor, unit: float) -> None:
    data = case("groups", seed, t=3, d=3, n=6)
    model.set_params(relation=RELATIONS[seed % 5])
    other = Case(data.X, data.y * unit, data.tasks, None, 3)
    same(predictions(model, data), predictions(model, other) / unit)


@given(SEEDS, MODELS)
@settings(max_examples=40, deadline=None)
def test_a_warm_start_ends_where_a_cold_one_does(seed: int, model: MultiTaskRegressor) -> None:
    data = case("groups", seed, t=3, d=3, n=6)
    other = case("groups", seed + 1, t=3, d=3, n=7)
    cold = predictions(model, data)
    model.set_params(warm_start=True)
    predictions(model, other)
    same(cold, predictions(model, data))
    same(cold, predictions(model, data))


@pytest.mark.parametrize("solver", ["auto", "fista"])
def test_a_warm_start_survives_another_relation(solver: str) -> None:
    data = case("groups", 3, t=3, d=4, n=10)
    chain = [TraceNorm(0.1), TraceNorm(0.1) + Ridge(0.1), Sparse(0.1) + TraceNorm(0.2), Sparse(0.0) + TraceNorm(0.2)]
    for first in [*chain, Pairwise(0.1)]:
        for second in [*chain, Pairwise(0.1)]:
            model = MultiTaskRegressor(first, warm_start=True, tol=1e-8).fit(**data.arguments)
            one_norm = solver == "fista" and second in chain[:2]
            model.set_params(relation=second, solver=solver if one_norm else "auto").fit(**data.arguments)
            cold = MultiTaskRegressor(second, tol=1e-8).fit(**data.arguments)
            assert model.objective_ == pytest.approx(cold.objective_, rel=2e-8)


def test_a_warm_start_saves_iterations_and_survives_other_data() -> None:
    data = case("groups", 3, t=5, d=6, n=20)
    model = MultiTaskRegressor(TraceNorm(0.3), tol=1e-8, warm_start=True).fit(**data.arguments)
    first = model.n_iter_
    assert model.fit(**data.arguments).n_iter_ < first
    # Another number of tasks or columns begins anew.
    assert model.fit(**case("groups", 3, t=4, d=6, n=20).arguments).coef_.shape == (4, 6)
    assert model.fit(**case("groups", 3, t=4, d=2, n=20).arguments).coef_.shape == (4, 2)


@pytest.mark.parametrize(
    "model", [MultiTaskRegressor(Pairwise("auto")), PooledRegressor(), PooledRegressor(intercept="free")]
)
def test_a_chosen_strength_knows_neither_order_nor_repetition(model: Any) -> None:
    data = case("groups", 4, t=4, d=3, n=12, weighted=True)
    order = np.random.default_rng(0).permutation(len(data.X))
    shuffled = Case(data.X[order], data.y[order], data.tasks[order], data.weights[order], 4)
    times = data.weights.astype(int)
    repeated = Case(data.X.repeat(times, 0), data.y.repeat(times), data.tasks.repeat(times), None, 4)
    expected, chosen = predictions(model, data), dict(model.fit(**data.arguments).strengths_)
    for other in (shuffled, repeated):
        same(expected, predictions(model, other, data.X[:5]))
        assert model.strengths_ == pytest.approx(chosen)


def test_two_fits_agree_bit_for_bit() -> None:
    data = case("groups", 5, t=4, d=3, n=12)
    for relation in (Pairwise("auto"), TraceNorm("auto"), Sparse(0.1) + Chain(0.2)):
        first, second = (MultiTaskRegressor(relation).fit(**data.arguments) for _ in range(2))
        assert (first.coef_ == second.coef_).all()
        assert first.objective_ == second.objective_


def test_float32_gives_nearly_the_same() -> None:
    data = case("groups", 6, t=4, d=3, n=12)
    for relation in RELATIONS[:2] + RELATIONS[5:6]:
        wide = MultiTaskRegressor(relation).fit(**data.arguments)
        narrow = MultiTaskRegressor(relation).fit(data.X.astype(np.float32), data.y.astype(np.float32), data.tasks)
        np.testing.assert_allclose(wide.coef_, narrow.coef_, rtol=1e-3, atol=1e-4)
        assert narrow.coef_.dtype == np.float64
