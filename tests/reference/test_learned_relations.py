"""Relations that learn, and those that are not convex: against scikit-learn, cvxpy, scipy and sums written out."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.covariance import graphical_lasso as peer_graphical_lasso

from linear_oracle import Case, case, convex_optimum
from relatask.linear import MultiTaskRegressor
from relatask.linear.choosing import grid
from relatask.linear.input.design import grouped_design
from relatask.linear.losses.squared import Squared
from relatask.linear.problem import Problem
from relatask.linear.solvers import solve
from relatask.linear.solvers.alternation import stages
from relatask.linear.solvers.network import Joint
from relatask.notices import InputError
from relatask.relations import (
    CappedSparse,
    Chain,
    GramTarget,
    LearnedGraph,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    TaskDescriptors,
    TaskRelationNetwork,
)
from relatask.relations.glasso import graphical_lasso

PLAIN = {"weighting": "sum", "intercept": "none", "standardize": False}


def problem_of(data: Case, intercept: str = "free") -> Problem:
    stats = grouped_design(data.X, data.y, data.tasks, None).statistics()
    return Squared("sum", intercept).problem(stats, np.zeros(data.X.shape[1]))  # type: ignore[arg-type]


def slopes(f: Callable[[np.ndarray], float], W: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """Central differences."""
    out = np.zeros_like(W)
    for place in np.ndindex(W.shape):
        e = np.zeros_like(W)
        e[place] = h
        out[place] = (f(W + e) - f(W - e)) / (2 * h)
    return out


# ---------------------------------------------------------------------------------------------------- graphical lasso


def covariance(seed: int, t: int, d: int, jitter: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(t, d)) * np.exp(rng.normal(size=(t, 1)))
    return W @ W.T / d + jitter * np.eye(t)


def price_of(theta: np.ndarray, S: np.ndarray, alpha: float) -> float:
    off = np.abs(theta).sum() - np.abs(np.diag(theta)).sum()
    return float(np.trace(S @ theta) - np.linalg.slogdet(theta)[1] + alpha * off)


@pytest.mark.parametrize(("t", "d", "alpha"), [(2, 9, 0.3), (5, 20, 0.1), (8, 30, 0.05), (20, 60, 0.1)])
def test_the_graphical_lasso_is_scikit_learns(t: int, d: int, alpha: float) -> None:
    S = covariance(t, t, d, 1e-2)
    ours = graphical_lasso(S, alpha)
    _, theirs = peer_graphical_lasso(S, alpha, tol=1e-9, enet_tol=1e-9, max_iter=1000)
    assert ours.gap <= 1e-10
    np.testing.assert_allclose(ours.precision, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())
    np.testing.assert_array_equal(ours.precision, ours.precision.T)
    assert price_of(ours.precision, S, alpha) <= price_of(theirs, S, alpha) + 1e-9 * t
    # The optimality conditions, and zeros that are zeros.
    V, off = np.linalg.inv(ours.precision) - S, ~np.eye(t, dtype=bool)
    assert np.abs(V[off]).max() <= alpha * (1 + 1e-4)
    used = off & (ours.precision != 0)
    np.testing.assert_allclose(V[used], alpha * np.sign(ours.precision[used]), atol=1e-4 * alpha)
    again = graphical_lasso(S, alpha, start=ours.precision)
    np.testing.assert_allclose(again.precision, ours.precision, rtol=1e-4, atol=1e-6)


def test_the_graphical_lasso_where_tasks_outnumber_columns() -> None:
    """scikit-learn gives up here; cvxpy does not."""
    S = covariance(0, 8, 3, 1e-2)
    ours = graphical_lasso(S, 0.02)
    theta = cp.Variable((8, 8), PSD=True)
    off = np.ones((8, 8)) - np.eye(8)
    goal = cp.trace(S @ theta) - cp.log_det(theta) + 0.02 * cp.sum(cp.multiply(off, cp.abs(theta)))
    value = cp.Problem(cp.Minimize(goal)).solve(solver=cp.SCS, eps=1e-7, max_iters=100_000)
    assert ours.gap <= 1e-10
    assert price_of(ours.precision, S, 0.02) == pytest.approx(value, abs=1e-4)
    assert price_of(graphical_lasso(S, 0.0).precision, S, 0.0) == pytest.approx(np.linalg.slogdet(S)[1] + 8)


# -------------------------------------------------------------------------------------------------------- learned graph


def joint_value(problem: Problem, relation: LearnedGraph, W: np.ndarray, theta: np.ndarray) -> float:
    """The formula, written out."""
    d = W.shape[1]
    total = 0.5 * relation.strength * sum(theta[i, j] * W[i] @ W[j] for i in range(len(W)) for j in range(len(W)))
    total -= d / 2 * relation.strength * np.log(np.linalg.det(theta))
    total += relation.sparsity * sum(abs(theta[i, j]) for i in range(len(W)) for j in range(len(W)) if i != j)
    total += d / 2 * relation.strength * relation.jitter * np.trace(theta)
    return problem.value(W) + float(total)


@pytest.mark.parametrize("relation", [LearnedGraph(0.3, 0.2), LearnedGraph(3.0, 5.0, jitter=0.1)])
def test_a_learned_graph_is_stationary_in_the_tasks_and_in_the_graph(relation: LearnedGraph) -> None:
    problem = problem_of(case("groups", 3, t=4, d=5, n=8))
    solution, _ = solve(problem, relation, tol=1e-12)  # of the objective: the square of the gradient's
    learned = solution.relation
    assert isinstance(learned, LearnedGraph)
    W, theta = solution.W, learned.precision
    assert solution.residual <= 1e-12
    assert not solution.certified
    assert solution.objective == pytest.approx(joint_value(problem, relation, W, theta), rel=1e-9)
    slope = slopes(lambda V: joint_value(problem, relation, V, theta), W)
    assert np.linalg.norm(slope) <= 1e-5 * np.linalg.norm(problem.cross)
    assert (
        graphical_lasso(W @ W.T / 5 + relation.jitter * np.eye(4), 2 * relation.sparsity / (5 * relation.strength)).gap
        <= 1e-10
    )
    for other in (solve(problem, Ridge(1.0))[0].W, 0.5 * W, W + 0.1):  # learning from other tasks is not lower
        assert joint_value(problem, relation, other, relation.given(other).precision) >= solution.objective - 1e-9
    expected = -theta / np.sqrt(np.outer(np.diag(theta), np.diag(theta)))
    np.testing.assert_allclose(learned.graph[~np.eye(4, dtype=bool)], expected[~np.eye(4, dtype=bool)])


def test_stages_never_rise_and_each_solves_its_convex_problem() -> None:
    problem = problem_of(case("groups", 1, t=5, d=4, n=9))
    for relation in (LearnedGraph(0.5, 0.3), LearnedGraph(0.5, 0.3) + SharedSparsity(2.0)):
        seen = [stage for stage, _ in itertools.islice(stages(problem, relation, solve, tol=1e-9, max_iter=20_000), 12)]
        values = [stage.objective for stage in seen]
        assert all(b <= a + 1e-8 * abs(a) for a, b in itertools.pairwise(values))
        assert values[-1] < values[0]
        assert seen[-1].residual < seen[0].residual


def test_with_a_norm_beside_it_the_pair_is_optimal_each_given_the_other() -> None:
    data = case("groups", 2, t=3, d=4, n=8)
    model = MultiTaskRegressor(LearnedGraph(0.5, 0.2) + SharedSparsity(1.0), tol=1e-8, **PLAIN).fit(**data.arguments)
    graph = model.relation_.parts[0]
    held = graph.surrogate() + SharedSparsity(1.0)
    optimum = convex_optimum(data, held, weighting="sum", intercepts="none", standardize=False)
    reached = model.objective_ - float(model.relation_(model.coef_)) + float(held(model.coef_))
    assert reached == pytest.approx(optimum, rel=1e-6)
    again = graph.given(model.coef_)
    np.testing.assert_allclose(again.precision, graph.precision, rtol=1e-3, atol=1e-4 * np.abs(graph.precision).max())


# --------------------------------------------------------------------------------------------------------- capped norm


def test_every_stage_of_the_capped_norm_is_a_lasso_and_the_last_a_fixed_point() -> None:
    data = case("groups", 4, t=3, d=5, n=12, noise=0.3)
    problem = problem_of(data, "none")
    relation = CappedSparse(12.0, cap=2.0)
    rows = [(data.X[data.tasks == k], data.y[data.tasks == k]) for k in range(3)]
    free = np.zeros(5)
    changed = 0
    for stage, _ in itertools.islice(stages(problem, relation, solve, tol=1e-9, max_iter=50_000), 6):
        W = cp.Variable((3, 5))
        loss = sum(0.5 * cp.sum_squares(X @ W[k] - y) for k, (X, y) in enumerate(rows))
        price = 12.0 * sum(cp.norm1(W[:, j]) for j in range(5) if not free[j])
        optimum = cp.Problem(cp.Minimize(loss + price)).solve(
            solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10
        )
        found = problem.value(stage.W) + 12.0 * float(np.abs(stage.W[:, free == 0]).sum())
        assert found == pytest.approx(optimum, rel=1e-7)
        after = (np.abs(stage.W).sum(0) >= 2.0).astype(float)
        changed += int((after != free).any())
        free = after
        if stage.residual <= 1e-9:
            break
    assert changed >= 1  # there was a second stage, other than the lasso
    assert stage.residual <= 1e-9
    solution, _ = solve(problem, relation, tol=1e-9)
    assert isinstance(solution.relation, CappedSparse)
    np.testing.assert_array_equal(solution.relation.free > 0, np.abs(solution.W).sum(0) >= 2.0)
    assert solution.objective <= stage.objective + 1e-7
    assert solution.objective == pytest.approx(problem.value(solution.W) + float(relation(solution.W)), rel=1e-9)


def test_without_a_cap_it_is_the_lasso_and_features_beyond_the_cap_are_not_shrunk() -> None:
    data = case("groups", 5, t=3, d=4, n=20, noise=0.1)
    lasso = MultiTaskRegressor(Sparse(0.2), tol=1e-12).fit(**data.arguments)
    same = MultiTaskRegressor(CappedSparse(0.2, float("inf")), tol=1e-12).fit(**data.arguments)
    np.testing.assert_allclose(same.coef_, lasso.coef_, atol=1e-6)
    capped = MultiTaskRegressor(CappedSparse(0.2, 1e-3), tol=1e-9).fit(**data.arguments)
    used = capped.relation_.free > 0
    assert used.any()
    if used.all():
        plain = MultiTaskRegressor(Ridge(0.0)).fit(**data.arguments)
        np.testing.assert_allclose(capped.coef_, plain.coef_, atol=1e-6)
    assert np.abs(capped.coef_).sum() > np.abs(lasso.coef_).sum()


# --------------------------------------------------------------------------------------------------------- Gram target


@pytest.mark.parametrize("strength", [0.05, 1.0, 30.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_gram_target_is_met_as_well_as_from_twenty_random_starts(seed: int, strength: float) -> None:
    """A law of these small cases, not a guarantee: what is guaranteed is a stationary point."""
    rng = np.random.default_rng(seed)
    problem = problem_of(case("groups", seed, t=3, d=3, n=7))
    root = rng.normal(size=(3, 3))
    relation = GramTarget(root @ root.T - 0.2 * np.eye(3), strength)

    def value(w: np.ndarray) -> float:
        W = w.reshape(3, 3)
        return problem.value(W) + strength * float(np.sum((W @ W.T - relation.omega) ** 2))

    solution, _ = solve(problem, relation, tol=1e-7)
    assert solution.residual <= 1e-7
    assert solution.objective == pytest.approx(value(solution.W.ravel()), rel=1e-10)
    np.testing.assert_allclose(
        problem.gradient(solution.W) + relation.gradient(solution.W),
        slopes(lambda W: value(W.ravel()), solution.W),
        atol=1e-5 * (1 + strength),
    )
    others = [minimize(value, 2 * rng.normal(size=9), method="BFGS", options={"gtol": 1e-7}).fun for _ in range(20)]
    assert solution.objective <= min(others) + 1e-6 * (1 + abs(min(others)))


def test_a_gram_target_with_a_quadratic_beside_it_and_at_strength_zero() -> None:
    data = case("groups", 6, t=3, d=4, n=8)
    model = MultiTaskRegressor(GramTarget(np.ones((3, 3)), 1e-9) + Ridge(0.3)).fit(**data.arguments)
    alone = MultiTaskRegressor(Ridge(0.3)).fit(**data.arguments)
    np.testing.assert_allclose(model.coef_, alone.coef_, atol=1e-5)
    none = MultiTaskRegressor(GramTarget(np.ones((3, 3)), 0.0)).fit(**data.arguments)
    np.testing.assert_allclose(none.coef_, MultiTaskRegressor(Ridge(0.0)).fit(**data.arguments).coef_, atol=1e-4)
    strong = MultiTaskRegressor(GramTarget(np.full((3, 3), 4.0), 1e4), intercept="free").fit(**data.arguments)
    W = strong.coef_ * strong.scale_
    np.testing.assert_allclose(W @ W.T, np.full((3, 3), 4.0), atol=0.05)  # all tasks one vector of length two


# --------------------------------------------------------------------------------------------------------- descriptors


def two_level(data: Case, Z: np.ndarray, strength: float, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """(W, B) minimising over V and B at once, by least squares on all of it."""
    t, d, c = data.t, data.X.shape[1], Z.shape[1]
    rows, targets = [], []
    for k, x, label, s in data.labels():
        v, b = np.zeros((t, d)), np.outer(Z[k], x)
        v[k] = x
        rows.append(np.sqrt(s) * np.concatenate([v.ravel(), b.ravel()]))
        targets.append(np.sqrt(s) * label)
    price = np.concatenate([np.full(t * d, np.sqrt(strength)), np.full(c * d, np.sqrt(ridge))])
    theta = np.linalg.lstsq(np.vstack([rows, np.diag(price)]), np.concatenate([targets, 0 * price]), rcond=None)[0]
    V, B = theta[: t * d].reshape(t, d), theta[t * d :].reshape(c, d)
    return Z @ B + V, B


@pytest.mark.parametrize(("strength", "ridge"), [(1.0, 1.0), (10.0, 0.01), (0.1, 5.0), (2.0, 0.0), (0.0, 1.0)])
def test_descriptors_are_the_two_level_model(strength: float, ridge: float) -> None:
    data = case("groups", 7, t=5, d=3, n=8)
    Z = np.random.default_rng(0).normal(size=(5, 2))
    model = MultiTaskRegressor(TaskDescriptors(Z, strength, ridge), **PLAIN).fit(**data.arguments)
    W, B = two_level(data, Z, strength, ridge)
    np.testing.assert_allclose(model.coef_, W, atol=1e-6)
    if strength:
        by_label = TaskDescriptors(Z, strength, ridge, labels=range(5)).bind(range(5))
        np.testing.assert_allclose(by_label.extrapolate(W, [3, 1]), Z[[3, 1]] @ B, atol=1e-6)


@pytest.mark.parametrize("intercept", ["free", "tied", "common", "none"])
@pytest.mark.parametrize("standardize", [True, False])
def test_tasks_never_seen_are_predicted_by_their_descriptors(intercept: str, standardize: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    names = list("abcdefgh")
    Z = dict(zip(names, np.column_stack([np.ones(8), rng.normal(size=8)]), strict=True))
    B, X = rng.normal(size=(2, 3)), rng.normal(size=(120, 3)) * [1.0, 5.0, 0.2]
    tasks = np.repeat(names, 15)
    seen = np.isin(tasks, names[:6])
    X -= X[seen].mean(0)  # so that the level of every task is its label where features are zero
    y = np.einsum("nd,nd->n", X, np.array([Z[k] @ B for k in tasks]))
    if intercept == "tied":
        y = y + np.array([Z[k] @ [2.0, 1.0] for k in tasks])
    elif intercept != "none":
        y = y + 3.0
    pandas = pytest.importorskip("pandas")
    relation = TaskDescriptors(pandas.DataFrame(Z).T, 1.0, 1e-9)
    model = MultiTaskRegressor(relation, intercept=intercept, standardize=standardize)
    model.fit(X[seen], y[seen], tasks[seen])
    found = model.predict(X, tasks)
    np.testing.assert_allclose(found, y, atol=1e-4)  # nothing but the descriptors decides
    mixed = ["h", "a", "g"]
    np.testing.assert_allclose(
        model.predict(X[:3], mixed), [model.predict(X[i : i + 1], [k])[0] for i, k in enumerate(mixed)]
    )
    assert model.score(X[~seen], y[~seen], tasks[~seen]) > 0.95
    model.save(tmp_path / "model")
    again = MultiTaskRegressor.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(X, tasks), found)
    with pytest.raises(InputError, match="unknown task 'zz': TaskDescriptors has no description"):
        model.predict(X[:1], ["zz"])


def test_the_level_of_a_task_never_seen_is_the_mean_of_the_others() -> None:
    data = case("groups", 8, t=4, d=3, n=9)
    tasks = np.array(list("abcd"))[data.tasks]
    Z = {k: [1.0, float(i)] for i, k in enumerate("abcde")}
    model = MultiTaskRegressor(TaskDescriptors(Z, 1.0, 0.1), intercept="free").fit(data.X, data.y, tasks)
    middle = data.X.mean(0)
    levels = model.intercept_ + model.coef_ @ middle
    assert model.predict([middle], ["e"])[0] == pytest.approx(np.average(levels, weights=model.n_labels_))


def test_descriptors_that_do_not_fit_are_refused() -> None:
    data = case("groups", 9, t=4, d=3, n=9)
    with pytest.raises(InputError, match="Z has 3 rows, but there are 4 tasks"):
        MultiTaskRegressor(TaskDescriptors(np.ones((3, 2)))).fit(**data.arguments)
    with pytest.raises(InputError, match="no description of 3; the labels of Z are 0, 1, 2"):
        MultiTaskRegressor(TaskDescriptors({0: [1.0], 1: [2.0], 2: [3.0]})).fit(**data.arguments)
    with pytest.raises(InputError, match="one row per task"):
        TaskDescriptors([1.0, 2.0])
    with pytest.raises(InputError, match="rows of numbers, all of one length"):
        TaskDescriptors({"a": [1.0], "b": [1.0, 2.0]})
    with pytest.raises(InputError, match="describes 'a' more than once"):
        TaskDescriptors(np.ones((2, 1)), labels=["a", "a"])
    with pytest.raises(InputError, match="2 rows, but 1 labels"):
        TaskDescriptors(np.ones((2, 1)), labels=["a"])
    with pytest.raises(InputError, match="NaN or infinity"):
        TaskDescriptors([[np.nan]])
    by_position = MultiTaskRegressor(TaskDescriptors(np.ones((4, 1)))).fit(**data.arguments)
    with pytest.raises(InputError, match="by position, which name no other task"):
        by_position.predict(data.X[:1], [9])
    apart = TaskDescriptors({0: [1.0], 1: [2.0]}, strength=0.0).bind([0])
    with pytest.raises(InputError, match="strength=0 nothing is learned"):
        apart.extrapolate(np.ones((1, 2)), [1])


# ------------------------------------------------------------------------------------------------------------- network


def network_value(problem: Problem, relation: TaskRelationNetwork, W: np.ndarray, R: np.ndarray) -> float:
    """The objective with n_relations matrices R_s = R / n_relations, written out."""
    single = R / relation.n_relations
    total = problem.value((np.eye(len(W)) + sum(single for _ in range(relation.n_relations))) @ W)
    total += relation.chain * sum(float(np.sum((W[k] - W[k + 1]) ** 2)) for k in range(len(W) - 1))
    total += relation.beta * sum(float(np.sum(single**2)) for _ in range(relation.n_relations))
    return total + relation.ridge / 2 * float(np.sum(W**2))


@pytest.mark.parametrize("intercept", ["free", "common"])
@pytest.mark.parametrize(("t", "d"), [(3, 5), (5, 2)])
def test_a_relation_network_is_stationary_in_tasks_and_relations(t: int, d: int, intercept: str) -> None:
    problem = problem_of(case("groups", 10, t=t, d=d, n=9), intercept)
    relation = TaskRelationNetwork(3, 0.5, 2.0, 0.3)
    solution, _ = solve(problem, relation, tol=1e-7)
    learned = solution.relation
    assert isinstance(learned, TaskRelationNetwork)
    W, R = learned.W, learned.R
    assert solution.residual <= 1e-7
    np.testing.assert_allclose(solution.W, learned.apply(W))
    assert solution.objective == pytest.approx(network_value(problem, relation, W, R), rel=1e-9)
    assert float(learned(W)) + problem.value(solution.W) == pytest.approx(solution.objective, rel=1e-9)
    size = np.linalg.norm(problem.cross)
    assert np.linalg.norm(slopes(lambda V: network_value(problem, relation, V, R), W)) <= 1e-5 * size
    assert np.linalg.norm(slopes(lambda Q: network_value(problem, relation, W, Q), R)) <= 1e-5 * size
    assert np.abs(R).max() > 1e-3
    # R is eliminated exactly at any W: no other R is lower, and the reduced gradient is the reduced value's.
    rng, joint = np.random.default_rng(0), Joint(problem, relation)
    V = rng.normal(size=(t, d))
    assert np.linalg.norm(slopes(lambda Q: network_value(problem, relation, V, Q), joint.best(V))) <= 1e-5 * size
    np.testing.assert_allclose(
        joint.reduced(V)[1], slopes(lambda U: joint.reduced(U)[0], V), atol=1e-6 * np.abs(problem.cross).max()
    )

    def flat(w: np.ndarray) -> float:
        return network_value(problem, relation, w[: t * d].reshape(t, d), w[t * d :].reshape(t, t))

    assert flat(np.concatenate([W.ravel(), R.ravel()])) <= min(
        flat(np.concatenate([(W + 0.1 * rng.normal(size=W.shape)).ravel(), R.ravel()])) for _ in range(20)
    )


def test_without_relations_the_network_is_a_chain_with_a_ridge() -> None:
    data = case("groups", 11, t=4, d=3, n=8)
    order = [2, 0, 3, 1]
    model = MultiTaskRegressor(TaskRelationNetwork(2, 0.7, 1e9, 0.2, order=order)).fit(**data.arguments)
    plain = MultiTaskRegressor(Chain(0.7, order) + Ridge(0.2)).fit(**data.arguments)
    assert np.abs(model.relation_.R).max() < 1e-6
    np.testing.assert_allclose(model.coef_, plain.coef_, atol=1e-5)
    two = MultiTaskRegressor(TaskRelationNetwork(2, 0.7, 2.0, 0.2)).fit(**data.arguments)
    four = MultiTaskRegressor(TaskRelationNetwork(4, 0.7, 4.0, 0.2)).fit(**data.arguments)
    np.testing.assert_allclose(four.coef_, two.coef_, atol=1e-4)  # the number of relations is a factor
    assert four.objective_ == pytest.approx(two.objective_, rel=1e-6)


# ----------------------------------------------------------------------------------------------- all of them, as models


EVERY = {
    "GramTarget": GramTarget(np.eye(3) + 1.0, 0.2),
    "LearnedGraph": LearnedGraph(0.3, 0.1),
    "CappedSparse": CappedSparse(0.2, 1.0),
    "TaskDescriptors": TaskDescriptors([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], 0.5, 0.1),
    "TaskRelationNetwork": TaskRelationNetwork(2, 0.2, 1.0, 0.3),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("intercept", ["free", "tied", "common", "none"])
def test_models_end_stationary_and_are_saved_with_what_they_learned(name: str, intercept: str, tmp_path: Path) -> None:
    data = case("groups", 12, t=3, d=4, n=9)
    flat = np.column_stack([data.X[:, :2], np.full(len(data.X), 7.0), data.X[:, 2:]])  # a column that no datum sees
    model = MultiTaskRegressor(EVERY[name], intercept=intercept).fit(flat, data.y, data.tasks)
    assert 0 <= model.residual_ <= model.tol
    if intercept != "none":
        assert (model.coef_[:, 2] == 0).all()
    model.save(tmp_path / "model")
    again = MultiTaskRegressor.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(flat, data.tasks), model.predict(flat, data.tasks))
    for field in ("precision", "free", "R", "W"):
        if hasattr(model.relation_, field) and field in type(model.relation_).__dataclass_fields__:
            np.testing.assert_array_equal(getattr(again.relation_, field), getattr(model.relation_, field))
            width = getattr(model.relation_, field).shape[-1]
            assert width == (3 if field in ("precision", "R") else 5 + (intercept == "tied"))
    with pytest.raises(InputError, match=r"solver='admm'|quadratic"):
        MultiTaskRegressor(EVERY[name], solver="admm").fit(flat, data.y, data.tasks)


@pytest.mark.parametrize(
    ("relation", "names"),
    [
        (CappedSparse("auto", 1.0), ["strength"]),
        (TaskDescriptors([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], "auto", "auto"), ["strength", "ridge"]),
        (TaskRelationNetwork(1, 0.1, "auto", 0.3), ["beta"]),
        (LearnedGraph(0.3, "auto"), ["sparsity"]),
    ],
)
def test_strengths_are_chosen_and_set(relation: Relation, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "GRID", 3)
    monkeypatch.setattr(grid, "GRID_OF_TWO", 3)
    data = case("groups", 13, t=3, d=3, n=8)
    model = MultiTaskRegressor(relation).fit(**data.arguments)
    assert set(names) <= set(model.strengths_)
    for place, name in enumerate(names):
        tried = model.path_.strengths[:, place]
        assert tried.min() <= model.strengths_[name] <= tried.max()
        assert len(np.unique(tried)) == 3
    fixed = MultiTaskRegressor(relation).set_params(**{f"relation__{name}": model.strengths_[name] for name in names})
    np.testing.assert_allclose(fixed.fit(**data.arguments).coef_, model.coef_, atol=1e-4 * np.abs(model.coef_).max())


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="jitter=0 is not usable"):
        LearnedGraph(jitter=0)
    with pytest.raises(InputError, match="sparsity=-1 is not usable"):
        LearnedGraph(1.0, -1)
    with pytest.raises(InputError, match="the precision is singular"):
        LearnedGraph(precision=np.ones((2, 2)))
    with pytest.raises(InputError, match="no graph before it is learned"):
        _ = LearnedGraph().graph
    with pytest.raises(InputError, match="cap=0 is not usable"):
        CappedSparse(1.0, 0)
    with pytest.raises(InputError, match="free has shape"):
        CappedSparse(free=[[1.0]])
    with pytest.raises(InputError, match="3 columns, but the relation learned 2"):
        CappedSparse(free=[0.0, 1.0]).surrogate()(np.ones((2, 3)))
    with pytest.raises(InputError, match="n_relations=0 is not usable"):
        TaskRelationNetwork(0)
    with pytest.raises(InputError, match="beta=0 leaves the objective without a minimum"):
        TaskRelationNetwork(beta=0.0)
    with pytest.raises(InputError, match="ridge=0 leaves the objective without a minimum"):
        TaskRelationNetwork(ridge=0.0)
    with pytest.raises(InputError, match="R is 2 x 2, but there are 3 tasks"):
        TaskRelationNetwork(R=np.eye(2)).bind([0, 1, 2])
    with pytest.raises(InputError, match="omega is not symmetric"):
        GramTarget([[1.0, 2.0], [0.0, 1.0]])
    with pytest.raises(InputError, match="omega is 2 x 2, but there are 3 tasks"):
        GramTarget(np.eye(2)).bind([0, 1, 2])
