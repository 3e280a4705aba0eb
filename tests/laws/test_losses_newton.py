"""Laws of Newton's method on losses: certificates, ends that stay finite, and where nothing more is learned."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.loss_oracle import labelled

from relatask.linear.losses import ByTask, Huber, Logistic, Multinomial, Poisson, RootSquared, SquaredError
from relatask.linear.newton import solve_loss
from relatask.linear.newton.driver import newton
from relatask.linear.newton.penalty import penalty
from relatask.linear.newton.prepare import prepared, row_term
from relatask.notices import InputError
from relatask.relations import (
    CappedSparse,
    Chain,
    LearnedGraph,
    Pairwise,
    Ridge,
    RobustLowRank,
    SharedSparsity,
    Sparse,
    TraceNorm,
    surrogate,
)

LOSSES = [SquaredError(), Huber(0.7), Logistic(), Poisson()]
EVERY = [*LOSSES, RootSquared(), Multinomial(3), ByTask(("regression", "binary", "count"))]
NORMS = [TraceNorm(0.1), SharedSparsity(0.1), Sparse(0.05), Sparse(0.03) + TraceNorm(0.03) + Ridge(0.1)]


@pytest.mark.parametrize("loss", EVERY, ids=lambda loss: type(loss).__name__)
@given(
    seed=st.integers(0, 50),
    pick=st.integers(0, len(NORMS) - 1),
    mode=st.sampled_from(["free", "tied", "common", "none"]),
)
@settings(deadline=None, max_examples=12)
def test_certificates_are_lower_bounds_of_a_better_solution(loss, seed: int, pick: int, mode: str) -> None:
    data = labelled(loss, "groups", seed=seed, n=10)
    ends = [
        solve_loss(data.X, data.y, data.tasks, loss, NORMS[pick], n_tasks=data.t, intercept=mode, tol=tol).solution
        for tol in (1e-1, 1e-3, 1e-9)
    ]
    best = ends[-1].objective
    assert ends[-1].certified
    assert ends[-1].residual <= 1e-6
    for end in ends:
        size = max(end.objective, best)
        assert end.objective >= best - 1e-8 * size
        assert end.objective - end.residual * end.objective <= best + 1e-8 * size


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@given(seed=st.integers(0, 100), size=st.floats(0, 3))
@settings(deadline=None, max_examples=20)
def test_bounds_hold_at_any_point(loss, seed: int, size: float) -> None:
    data = labelled(loss, "groups", seed=seed, n=8)
    term = row_term(prepared(data.X, data.y, data.tasks, data.t, None, "sample", "free", True), loss)
    relation = Ridge(0.1) + Sparse(0.05)
    least = newton(term, relation, solver="auto", tol=1e-10, max_iter=100)[0].objective
    rng = np.random.default_rng(seed)
    point = term.balanced(term.at(size * rng.normal(size=term.shape), np.zeros((data.t, 1))))
    guess = [0.1 * rng.normal(size=term.shape)]
    bound = penalty(relation, data.t).bound(term, point, term.slopes(point), guess, rng.normal(size=term.shape))
    assert bound <= least + 1e-9 * (1 + abs(least))


@pytest.mark.parametrize("loss", EVERY, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("relation", [Pairwise(0.02) + Ridge(0.01), SharedSparsity(0.1)], ids=["quadratic", "norm"])
def test_order_of_rows_does_not_matter_and_warm_starts_end_at_once(loss, relation) -> None:
    data = labelled(loss, "groups", seed=3, n=12, weighted=True)
    order = np.random.default_rng(0).permutation(len(data.X))
    first = solve_loss(data.X, data.y, data.tasks, loss, relation, n_tasks=3, weights=data.weights, tol=1e-9)
    assert data.tasks is not None
    assert data.weights is not None
    second = solve_loss(
        data.X[order],
        data.y[order],
        data.tasks[order],
        loss,
        relation,
        n_tasks=3,
        weights=data.weights[order],
        tol=1e-9,
    )
    np.testing.assert_allclose(first.coef, second.coef, rtol=1e-4, atol=1e-5)
    assert second.solution.objective == pytest.approx(first.solution.objective, rel=1e-8)
    again = solve_loss(
        data.X, data.y, data.tasks, loss, relation, n_tasks=3, weights=data.weights, tol=1e-8, start=first.start
    )
    assert again.solution.n_iter <= 2
    assert again.solution.objective == pytest.approx(first.solution.objective, rel=1e-8)


def test_weights_repeat_rows() -> None:
    data = labelled(Logistic(), "groups", seed=4, n=12)
    times = np.random.default_rng(0).integers(1, 4, size=len(data.X))
    assert data.tasks is not None
    relation = Pairwise(0.05) + Sparse(0.01)
    weighted = solve_loss(data.X, data.y, data.tasks, Logistic(), relation, n_tasks=3, weights=times.astype(float))
    again = np.repeat(np.arange(len(data.X)), times)
    repeated = solve_loss(data.X[again], data.y[again], data.tasks[again], Logistic(), relation, n_tasks=3)
    assert weighted.solution.objective == pytest.approx(repeated.solution.objective, rel=2e-6)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_root_squared_has_a_null_strength_that_units_do_not_move(scale: float) -> None:
    data = labelled(RootSquared(), "columns", seed=5, n=30)
    Y = data.y * np.array([1.0, scale, 1.0])
    Z, labels = (data.X - data.X.mean(0)) / data.X.std(0), Y - Y.mean(0)
    # The gradient at 0 is the correlation of labels and standardised columns.
    null = np.abs(Z.T @ labels / np.linalg.norm(labels, axis=0)).max() / np.sqrt(30)
    above, below = (
        solve_loss(data.X, Y, None, RootSquared(), Sparse(null * f), n_tasks=3, tol=1e-9) for f in (1.001, 0.999)
    )
    assert not above.W.any()
    assert below.W.any()


def separable(n: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X, tasks = rng.normal(size=(2 * n, 2)), np.repeat([0, 1], n)
    X[:, 0] += np.sign(X[:, 0])
    return X, (X[:, 0] > 0).astype(float), tasks


@pytest.mark.parametrize("loss", [Logistic(), Multinomial(2)], ids=str)
@pytest.mark.parametrize("mode", ["free", "tied", "common", "none"])
def test_separable_labels_without_a_ridge_end_finite_and_uncertified(loss, mode: str) -> None:
    X, y, tasks = separable()
    for relation in (Ridge(0.0), Pairwise(0.1)):
        found = solve_loss(X, y, tasks, loss, relation, n_tasks=2, intercept=mode)
        assert np.isfinite(found.coef).all()
        assert np.isfinite(found.intercept).all()
        assert found.solution.residual > 1e-2
    fine = solve_loss(X, y, tasks, loss, Ridge(1e-3), n_tasks=2, intercept=mode)
    assert fine.solution.residual <= 1e-6


@pytest.mark.parametrize("relation", [Pairwise(0.1) + Ridge(0.01), Sparse(0.02)], ids=["quadratic", "norm"])
@pytest.mark.parametrize("loss", [Logistic(), Poisson(), Multinomial(3)], ids=str)
def test_a_task_with_labels_at_the_edge_only(loss, relation) -> None:
    data = labelled(loss, "groups", seed=6, n=12)
    y = data.y.copy()
    y[data.tasks == 1] = 0.0
    found = solve_loss(data.X, y, data.tasks, loss, relation, n_tasks=3)
    assert found.solution.residual <= 1e-6
    assert np.abs(found.intercept).max() < 100
    if isinstance(loss, Multinomial):
        assert (found.intercept[0, 1] - found.intercept[1:, 1] > 10).all()
    else:
        assert found.intercept[1] < -10


@pytest.mark.parametrize("mode", ["free", "tied", "common", "none"])
def test_counts_in_the_millions_and_outliers_far_away(mode: str) -> None:
    rng = np.random.default_rng(1)
    X, tasks = 3 * rng.normal(size=(90, 2)), np.repeat([0, 1, 2], 30)
    counts = np.floor(np.exp(np.clip(X[:, 0] * 1.5, 0, 14)))
    for relation in (Ridge(1e-3), Ridge(1e-3) + Sparse(0.1)):
        found = solve_loss(X, counts, tasks, Poisson(), relation, n_tasks=3, intercept=mode)
        assert np.isfinite(found.coef).all()
        assert found.solution.residual <= 1e-6
    y = X[:, 0] + 1e4 * np.sign(rng.normal(size=90))  # nothing is within delta of anything
    for relation in (Ridge(1e-3), Pairwise(0.1), Sparse(0.01)):
        found = solve_loss(X, y, tasks, Huber(0.1), relation, n_tasks=3, intercept=mode)
        assert np.isfinite(found.coef).all()
        assert found.solution.residual <= 1e-6


def test_the_bound_is_tight_where_rounding_ends_damped_steps() -> None:
    rng = np.random.default_rng(14)
    X, tasks = 3 * rng.normal(size=(90, 2)), np.repeat([0, 1, 2], 30)
    y = X[:, 0] + 1e4 * np.sign(rng.normal(size=90))
    assert solve_loss(X, y, tasks, Huber(0.1), Sparse(0.01), n_tasks=3).solution.residual <= 1e-6


def test_constant_labels_and_empty_tasks() -> None:
    rng = np.random.default_rng(2)
    X, tasks = rng.normal(size=(40, 3)), np.repeat([0, 2], 20)  # task 1 has no rows
    for loss in (SquaredError(), Huber(), RootSquared(), Poisson()):
        y = np.where(tasks == 0, 2.0, rng.integers(0, 5, size=40).astype(float))
        for relation in (Ridge(0.1) + Pairwise(0.1), TraceNorm(0.1)):
            found = solve_loss(X, y, tasks, loss, relation, n_tasks=3)
            assert np.isfinite(found.coef).all()
            assert found.solution.residual <= 1e-6


def test_newton_takes_few_steps_of_chains() -> None:
    data = labelled(Logistic(), "groups", seed=7, n=30)
    found = solve_loss(data.X, data.y, data.tasks, Logistic(), Chain(0.1) + Ridge(0.01), n_tasks=3, tol=1e-10)
    assert found.solution.residual <= 1e-10
    assert found.solution.n_iter <= 10


@pytest.mark.parametrize(
    "relation", [CappedSparse(0.05, 0.3), LearnedGraph(0.05, 0.1) + Ridge(0.05)], ids=["capped", "graph"]
)
@pytest.mark.parametrize("loss", [Logistic(), Poisson()], ids=str)
def test_relations_that_learn_end_where_nothing_more_is_learned(loss, relation) -> None:
    data = labelled(loss, "groups", seed=9, n=30)
    found = solve_loss(data.X, data.y, data.tasks, loss, relation, n_tasks=3)
    assert found.solution.residual <= 1e-6
    assert not found.solution.certified
    learned = found.solution.relation
    assert learned is not None
    # From scratch, under what was learned: the same objective.
    again = solve_loss(data.X, data.y, data.tasks, loss, surrogate(learned), n_tasks=3)
    term = row_term(prepared(data.X, data.y, data.tasks, 3, None, "sample", "free", True), loss)
    here = term.balanced(term.at(found.W, np.zeros((3, 1)))).value + float(surrogate(learned)(found.W))
    assert here == pytest.approx(again.solution.objective, rel=3e-6)


def test_what_is_not_for_several_classes_is_told() -> None:
    with pytest.raises(InputError, match="CappedSparse is not for several classes; use a convex relation"):
        solve_loss(np.eye(2), np.arange(2.0), np.zeros(2, dtype=int), Multinomial(2), CappedSparse(1.0, 1.0), n_tasks=1)


def test_relations_of_components() -> None:
    data = labelled(Logistic(), "groups", seed=10, n=30)
    relation = RobustLowRank(0.1, 0.1)
    found = solve_loss(data.X, data.y, data.tasks, Logistic(), relation, n_tasks=3, tol=1e-7)
    assert found.solution.residual <= 1e-7
    (pieces,) = found.solution.components
    np.testing.assert_allclose(np.sum(pieces, axis=0), found.W, atol=1e-10)
