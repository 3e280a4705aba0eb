"""The dirty model, fused sparsity, progression and trees against sums written out, cvxpy and scipy; on School too."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from relatask.linear import MultiTaskRegressor
from relatask.notices import InputError
from relatask.relations import (
    Chain,
    Dense,
    Diagonal,
    Dirty,
    FusedSparse,
    HierarchicalClusters,
    LowRank,
    Pairwise,
    Progression,
    Proximal,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    TreeGuided,
    with_parameters,
)
from relatask.relations.variation import smoothed

T, D = 6, 3
ORDER = (2, 0, 5, 1, 4, 3)
TREE: list[Any] = [[0, [1, 4]], [2, 3], 5]
ALONE = {"standardize": False, "weighting": "sum", "intercept": "none"}


def at(seed: int) -> np.ndarray:
    """Random W, in part zero, in part with ties."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(T, D)) * (rng.random((T, D)) < 0.8)
    return np.round(W) if seed % 3 == 0 else W


def dirty(V: Any, strength: float, sparse: float, norm: Callable[[Any], Any]) -> Any:
    P = cp.Variable((T, D))
    return strength * sum(norm(P[:, j]) for j in range(D)) + sparse * cp.sum(cp.abs(V - P))


def along(V: Any, cost: Callable[[Any], Any]) -> Any:
    return sum(cost(V[a] - V[b]) for a, b in itertools.pairwise(ORDER))


def shared(V: Any) -> Any:
    return sum(cp.norm2(V[:, j]) for j in range(D))


def leaves(node: Any) -> list[int]:
    return [leaf for child in node for leaf in leaves(child)] if isinstance(node, list) else [node]


def groups(V: Any, weights: list[float], node: Any = TREE, depth: int = 0) -> Any:
    """The norms of a node and of all below it; a task that hangs high is a group on every level below too."""
    if not isinstance(node, list):
        return sum(weights[depth:]) * cp.sum(cp.abs(V[node]))
    own = weights[depth] * shared(V[leaves(node)])
    return own + sum(groups(V, weights, child, depth + 1) for child in node)


def kim_xing(V: Any, node: Any = TREE, depth: int = 0, above: float = 1.0) -> Any:
    """Kim and Xing's weights with s = levels below / (1 + levels): g = 1 - s of what is left stays at the node."""
    if not isinstance(node, list):
        return above * cp.sum(cp.abs(V[node]))
    s = (3 - depth) / 4
    own = (1 - s) * above * shared(V[leaves(node)])
    return own + sum(kim_xing(V, child, depth + 1, s * above) for child in node)


def clusters(V: Any, levels: list[float], node: Any = TREE, depth: int = 0) -> Any:
    total = 0.0
    for child in node:
        own, all_ = leaves(child), leaves(node)
        apart = cp.sum(V[own], axis=0) / len(own) - cp.sum(V[all_], axis=0) / len(all_)
        total += levels[depth] * len(own) * cp.sum_squares(apart)
        total += clusters(V, levels, child, depth + 1) if isinstance(child, list) else 0.0
    return total


CASES: dict[str, tuple[Relation, Callable[[Any], Any]]] = {
    "Dirty": (Dirty(1.2, 0.5), lambda V: dirty(V, 1.2, 0.5, cp.norm_inf)),
    "Dirty, all shared": (Dirty(0.4, 0.5), lambda V: dirty(V, 0.4, 0.5, cp.norm_inf)),
    "Dirty, a multiple": (Dirty(1.5, 0.5), lambda V: dirty(V, 1.5, 0.5, cp.norm_inf)),
    "Dirty, none shared": (Dirty(4.0, 0.5), lambda V: dirty(V, 4.0, 0.5, cp.norm_inf)),
    "Dirty l2": (Dirty(0.8, 0.5, "l2"), lambda V: dirty(V, 0.8, 0.5, cp.norm2)),
    "Dirty l2, none shared": (Dirty(1.5, 0.5, "l2"), lambda V: dirty(V, 1.5, 0.5, cp.norm2)),
    "FusedSparse": (
        FusedSparse(0.7, 0.2, 0.3, ORDER),
        lambda V: 0.7 * along(V, cp.norm1) + 0.2 * cp.sum(cp.abs(V)) + 0.3 * shared(V),
    ),
    "FusedSparse, no features": (
        FusedSparse(0.7, 0.2, 0.0, ORDER),
        lambda V: 0.7 * along(V, cp.norm1) + 0.2 * cp.sum(cp.abs(V)),
    ),
    "FusedSparse, features only": (
        FusedSparse(0.7, 0.0, 0.3, ORDER),
        lambda V: 0.7 * along(V, cp.norm1) + 0.3 * shared(V),
    ),
    "Progression": (
        Progression(0.2, 0.7, 0.3, ORDER),
        lambda V: 0.2 * cp.sum_squares(V) + 0.7 * along(V, cp.sum_squares) + 0.3 * shared(V),
    ),
    "TreeGuided": (TreeGuided(TREE, 0.7), lambda V: 0.7 * kim_xing(V)),
    "TreeGuided, levels": (TreeGuided(TREE, 0.7, [0, 1, 2, 0.5]), lambda V: 0.7 * groups(V, [0, 1, 2, 0.5])),
    "HierarchicalClusters": (HierarchicalClusters(TREE, 0.7), lambda V: 0.7 * clusters(V, [1, 2, 4])),
    "HierarchicalClusters, levels": (
        HierarchicalClusters(TREE, 0.7, [3, 0.5, 0]),
        lambda V: 0.7 * clusters(V, [3, 0.5, 0]),
    ),
}
NORMS = [name for name, (relation, _) in CASES.items() if isinstance(relation, Proximal)]


def least(cost: Any, constraints: Any = ()) -> float:
    problem = cp.Problem(cp.Minimize(cost), list(constraints))
    tight = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "may be inaccurate", at tolerances as tight as these
        problem.solve(solver=cp.CLARABEL, **tight)
    return float(problem.value)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CASES)
def test_values_are_the_formulas(name: str, seed: int) -> None:
    relation, formula = CASES[name]
    assert relation(at(seed)) == pytest.approx(least(formula(cp.Constant(at(seed)))), rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NORMS)
def test_the_prox_is_no_worse_than_what_cvxpy_finds(name: str, seed: int) -> None:
    relation, formula = CASES[name]
    V, W = cp.Variable((T, D)), at(seed)
    found = relation.prox(W, 0.9)  # type: ignore[attr-defined]
    reached = 0.9 * relation(found) + 0.5 * np.sum((found - W) ** 2)
    assert reached <= least(0.9 * formula(V) + cp.sum_squares(V - W) / 2) + 1e-9


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NORMS)
def test_the_gauge_is_the_dual_norm_and_not_below_it(name: str, seed: int) -> None:
    relation, formula = CASES[name]
    assert isinstance(relation, Proximal)
    V, Z = cp.Variable((T, D)), at(seed)
    gauge = float(relation.gauge(Z))
    assert gauge == pytest.approx(-least(-cp.sum(cp.multiply(Z, V)), [formula(V) <= 1]), rel=1e-6)
    # At the true dual norm the prox is zero; a gauge too small by more than 1e-12 would leave something.
    assert np.abs(relation.prox(Z, gauge * (1 + 1e-12))).max() <= 1e-14
    assert relation.prox(Z, gauge * (1 - 1e-9)).any()


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_differences(name: str) -> None:
    torch = pytest.importorskip("torch")
    relation, W = CASES[name][0], np.random.default_rng(5).normal(size=(T, D))
    leaf = torch.tensor(W, requires_grad=True)
    (gradient,) = torch.autograd.grad(relation(leaf), leaf)
    expected = approx_fprime(W.ravel(), lambda v: float(relation(v.reshape(T, D))), 1e-7)
    np.testing.assert_allclose(gradient.numpy().ravel(), expected, atol=2e-5)


@pytest.mark.filterwarnings("ignore:RT018")  # some strengths leave a component no room, on purpose
@pytest.mark.parametrize("name", CASES)
def test_fits_are_certified_and_no_worse_than_cvxpy(name: str, tmp_path: Path) -> None:
    relation, formula = CASES[name]
    rng = np.random.default_rng(8)
    X, tasks = rng.normal(size=(8 * T, D)), np.arange(8 * T) % T
    y = np.sum(X * (1.0 + rng.normal(size=(T, D)))[tasks], axis=1) + rng.normal(size=8 * T)
    model = MultiTaskRegressor(relation, **ALONE).fit(X, y, tasks)
    V = cp.Variable((T, D))
    loss = sum(cp.sum_squares(X[tasks == k] @ V[k] - y[tasks == k]) / 2 for k in range(T))
    assert model.objective_ <= least(loss + formula(V)) * (1 + 1e-6)
    assert 0 <= model.residual_ <= model.tol
    residual = y - np.sum(X * model.coef_[tasks], axis=1)
    assert model.objective_ == pytest.approx(0.5 * residual @ residual + float(relation(model.coef_)), rel=1e-9)
    model.save(tmp_path / "model")
    again = MultiTaskRegressor.load(tmp_path / "model")
    assert (again.predict(X, tasks) == model.predict(X, tasks)).all()
    assert again.relation_ == model.relation_


@pytest.mark.filterwarnings("ignore:RT018")  # some strengths leave a component no room, on purpose
@pytest.mark.parametrize("name", NORMS)
def test_fista_and_admm_agree_beside_clusters(name: str) -> None:
    # The precision of clusters has entries of both signs, and steps of FISTA depend on its largest eigenvalue.
    rng = np.random.default_rng(9)
    X, tasks = rng.normal(size=(8 * T, D)), np.arange(8 * T) % T
    y = X.sum(axis=1) + rng.normal(size=8 * T)
    whole = CASES[name][0] + HierarchicalClusters(TREE, 50.0, [1, 0, 0]) + Pairwise(0.1)
    found = [MultiTaskRegressor(whole, solver=solver, **ALONE).fit(X, y, tasks) for solver in ("admm", "fista")]
    assert found[0].objective_ == pytest.approx(found[1].objective_, rel=3e-6)
    assert all(model.residual_ <= model.tol for model in found)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(-3, 2))
@settings(max_examples=100, deadline=None)
def test_total_variation_is_at_its_minimum(seed: int, t: int, exponent: float) -> None:
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(t, 4))
    Z[:, 1], Z[:, 2], Z[:, 3] = np.cumsum(Z[:, 1]), np.round(Z[:, 2]), 1e6 + Z[:, 3]
    weight = 10.0**exponent
    X = smoothed(Z, weight)
    for j in range(4):
        u = np.cumsum(X[:, j] - Z[:, j])  # the optimality conditions
        assert np.abs(u).max() <= weight * (1 + 1e-9) + 1e-9 * np.abs(Z[:, j]).max()
        jumps = np.diff(X[:, j])
        assert np.sum(np.abs(jumps)) * weight == pytest.approx(np.sum(u[:-1] * jumps), rel=1e-9, abs=1e-8)


def test_what_is_smoothed_is_left_as_it_was() -> None:
    Z = np.asfortranarray(np.random.default_rng(3).normal(size=(30, 5)))
    before = Z.copy()
    found = smoothed(Z, 0.5)
    np.testing.assert_array_equal(Z, before)
    np.testing.assert_allclose(found, smoothed(np.ascontiguousarray(Z), 0.5), atol=0)


def test_differences_alone_bound_no_common_part() -> None:
    alone = FusedSparse(0.5, 0.0, 0.0)
    Z = np.array([[1.0, 2.0], [-3.0, -2.0], [2.0, 0.0]])
    # What flows along the chain is 1, -2 and 2, 0.
    assert alone.gauge(Z) == pytest.approx(2 / 0.5)
    assert alone.gauge(Z + 1e-3) == np.inf
    rng = np.random.default_rng(8)
    X, tasks = rng.normal(size=(24, 2)), np.arange(24) % 3
    model = MultiTaskRegressor(alone, **ALONE).fit(X, X.sum(1) + rng.normal(size=24), tasks)
    assert model.residual_ <= model.tol


def test_progression_is_its_terms() -> None:
    W = at(1)
    whole = Ridge(0.4) + Chain(0.7, ORDER) + SharedSparsity(0.3)
    assert CASES["Progression"][0](W) == pytest.approx(whole(W), rel=1e-12)
    data = np.random.default_rng(2)
    X, y, tasks = data.normal(size=(60, D)), data.normal(size=60), np.arange(60) % T
    for part in (Progression(0.2, 0.7, 0.0, ORDER), Progression(0.0, 0.7, 0.3, ORDER), Progression(0.0, 0.0, 0.3)):
        model = MultiTaskRegressor(part, **ALONE).fit(X, y, tasks)
        other = MultiTaskRegressor(Ridge(0) + part.terms()[0] + part.terms()[1] + part.terms()[2], **ALONE)
        assert model.objective_ == pytest.approx(other.fit(X, y, tasks).objective_, rel=1e-6)


def test_dirty_components_add_up_and_cost_the_value() -> None:
    for seed, (name, norm) in itertools.product(range(6), {"max": np.inf, "l2": 2}.items()):
        for strength in (0.3, 0.8, 1.0, 1.3, 9.0):
            relation = Dirty(strength, 0.5, name)
            P, Q = relation.components(at(seed)).values()
            np.testing.assert_allclose(P + Q, at(seed), atol=1e-15)
            cost = strength * np.linalg.norm(P, norm, axis=0).sum() + 0.5 * np.abs(Q).sum()
            assert cost == pytest.approx(relation(at(seed)), rel=1e-12)


def test_clusters_of_equal_levels_are_a_pull_to_the_mean_whatever_the_tree() -> None:
    W = at(1)
    assert HierarchicalClusters(TREE, 0.3, [1, 1, 1])(W) == pytest.approx(0.3 * np.sum((W - W.mean(0)) ** 2), rel=1e-12)
    flat = HierarchicalClusters(list(range(T)), 0.3)
    np.testing.assert_allclose(flat.precision(T).dense(), Pairwise(0.15 / T).precision(T).dense(), atol=1e-15)


def test_precisions_of_clusters_are_structured() -> None:
    t = 100_000
    codes = np.arange(t) % 4
    relation = HierarchicalClusters([np.arange(t), codes, codes // 2], 0.3)
    P = relation.precision(t)
    assert isinstance(P, LowRank)
    assert P.factor.shape[1] == 1 + 2 + 4
    W = np.random.default_rng(0).normal(size=(t, 2))
    assert relation(W) == pytest.approx(0.5 * np.sum(W * P.apply(W)), rel=1e-9)
    assert isinstance(HierarchicalClusters([[0, 1], [2, 3]], 0.3).precision(4), LowRank)
    assert isinstance(HierarchicalClusters([[0, [1, 2]], 3], 0.3).precision(4), Dense)
    assert isinstance(HierarchicalClusters([0], 0.3).precision(1), Diagonal)
    assert not HierarchicalClusters([[0], [[[0 + 1]]]], 0.3, [0, 1, 1, 1]).precision(2).dense().any()


ALIKE = {
    "nested": [["a", "b"], ["c", ["d", "e"]]],
    "tuples": (("a", "b"), ("c", ("d", "e"))),
    "arrays": [np.array(["a", "b"]), ["c", pd.Series(["d", "e"])]],
    "dict": {"x": ["a", "b"], "y": {"1": ["d", "e"], "2": ["c"]}},
    "parents": {"a": "x", "b": "x", "c": "y", "d": "z", "e": "z", "z": "y", "x": "top", "y": "top"},
    "parents, no top": {"a": "x", "b": "x", "c": "y", "d": "z", "e": "z", "z": "y", "x": None},
    "series": pd.Series({"a": "x", "b": "x", "c": "y", "d": "z", "e": "z", "z": "y", "x": None}),
    "levels": [np.array(list("aebcd")), np.array(["a", "z", "a", "c", "z"]), pd.Series(["x", "y", "x", "y", "y"])],
}


@pytest.mark.parametrize("kind", ALIKE)
def test_a_tree_can_be_given_in_many_ways(kind: str) -> None:
    W = np.random.default_rng(4).normal(size=(5, 2))
    tasks = ["c", "a", "e", "b", "d"]
    for make in (HierarchicalClusters, TreeGuided):
        expected = make([[1, 3], [0, [4, 2]]], 0.6)(W)
        if kind == "levels":  # there a and b are one cluster on the lower level too
            expected = make([[[1, 3]], [0, [4, 2]]], 0.6)(W)
        assert make(ALIKE[kind], 0.6).bind(tasks)(W) == pytest.approx(expected, rel=1e-12)


CIRCLE: list[Any] = ["a"]
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize("make", [HierarchicalClusters, TreeGuided])
@pytest.mark.parametrize(
    ("tree", "told"),
    [
        ([["a", "b"], ["a"]], "task 'a' stands twice in the tree"),
        ([["a", "b"], []], r"node \(1,\) is empty"),
        ([], "the tree is empty"),
        ({"x": ["a"], "y": {}}, r"node \(1,\) is empty"),
        ({"x": ["a"], "y": "b"}, "cluster 'y' is 'b'; expected a list of its tasks"),
        ({"a": "x", "x": "y", "y": "x"}, "'x' is among its own parents"),
        ({"a": "x", "p": "q", "q": "p"}, "'p' is among its own parents"),
        ({"p": "q", "q": "p"}, "'p' is among its own parents"),
        (CIRCLE, "the tree holds itself"),
        ([np.array(["a", "b"]), np.array(["x", "x"]), np.array(["r", "s"])], "cluster 'x' is in 'r' and in 's'"),
        ([np.array(["a", "b"]), np.array(["x"])], "the levels have 2, 1 entries"),
        ("a", "expected nested lists of task labels"),
        (None, "expected nested lists of task labels"),
        ([["a", "z"], ["b"]], "leaves of the tree name 'z', which no task is called"),
        ([["a"]], "the tree leaves out 'b'"),
    ],
)
def test_what_is_no_tree_is_told(make: Any, tree: Any, told: str) -> None:
    with pytest.raises(InputError, match=f"{make.__name__}: .*{told}"):
        make(tree, 1.0).bind(["a", "b"])


def test_levels_strengths_and_options_are_checked() -> None:
    with pytest.raises(
        InputError, match=r"levels has 2 numbers, but the tree has 3 levels.* all tasks, clusters, tasks"
    ):
        TreeGuided([["a"], ["b"]], 1.0, [1, 2])
    with pytest.raises(InputError, match=r"levels has 3 numbers, but the tree has 2 levels.* clusters, tasks"):
        HierarchicalClusters([["a"], ["b"]], 1.0, [1, 2, 3])
    with pytest.raises(InputError, match="levels holds -1; expected finite numbers >= 0"):
        TreeGuided(["a", "b"], 1.0, [1, -1])
    with pytest.raises(InputError, match="levels are all zero"):
        HierarchicalClusters(["a", "b"], 1.0, [0])
    with pytest.raises(InputError, match="levels='high' is not usable"):
        HierarchicalClusters(["a", "b"], 1.0, "high")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the tree has 2 tasks, but there are 3"):
        TreeGuided([0, 1])(np.zeros((3, 1)))
    with pytest.raises(InputError, match="TreeGuided: 'a' is a task label"):
        TreeGuided(["a", "b"])(np.zeros((2, 1)))
    with pytest.raises(InputError, match=r"TreeGuided: .*call among after bind"):
        TreeGuided(["a", "b"]).among([0])
    with pytest.raises(InputError, match="Dirty: shared='l1' is unknown"):
        Dirty(1.0, 1.0, "l1")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Dirty: sparse=-1"):
        Dirty(1.0, -1)
    with pytest.raises(InputError, match="FusedSparse: shared='auto' has no value yet"):
        FusedSparse(1.0, 1.0, "auto")(np.zeros((2, 1)))
    with pytest.raises(InputError, match="Progression: chain='auto' has no value yet"):
        Progression(1.0, "auto")(np.zeros((2, 1)))
    with pytest.raises(InputError, match="FusedSparse: task 'a' stands twice"):
        FusedSparse(order=["a", "a"])
    with pytest.raises(InputError, match="Progression: the order leaves out 'b'"):
        Progression(order=["a"]).bind(["a", "b"])
    with pytest.raises(InputError, match="FusedSparse: the order has 2 tasks, but there are 3"):
        FusedSparse(order=["a", "b"]).bind(["a", "b"]).bind(["a", "b", "c"])


def test_some_of_the_tasks() -> None:
    W, kept = at(1), [0, 2, 3, 5]
    part = W[kept]
    assert FusedSparse(0.7, 0.2, 0.3, ORDER).bind(range(T)).among(kept)(part) == pytest.approx(
        FusedSparse(0.7, 0.2, 0.3, [1, 0, 3, 2])(part)
    )
    assert FusedSparse(0.7).among(kept)(part) == FusedSparse(0.7)(part)
    whole = W.copy()
    whole[[1, 4]] = 0
    guided = TreeGuided(TREE, 0.7).bind(range(T))
    assert guided.among(kept)(part) == pytest.approx(guided(whole))  # a cluster that goes takes no level with it
    open_ = Progression("auto", 0.7, "auto", ORDER).bind(range(T)).among(kept)
    assert (open_.parts[0].strength, open_.parts[2].strength) == ("auto", "auto")


@pytest.mark.filterwarnings("ignore:RT018")  # the strengths that are chosen may leave a component no room
@pytest.mark.parametrize(
    "relation",
    [
        Dirty("auto", "auto"),
        Dirty("auto", 0.5, "l2"),
        FusedSparse("auto", 0.1, "auto", ["n", "s", "w", "e"]),
        FusedSparse("auto", "auto"),
        Progression("auto", "auto", 0.1, ["n", "s", "w", "e"]),
        Progression(0.1, 0.1, "auto"),
        TreeGuided([["n", "s"], ["w", "e"]], "auto"),
        HierarchicalClusters({"x": ["n", "s"], "y": ["w", "e"]}, "auto"),
        HierarchicalClusters([["n", "s"], ["w", "e"]], "auto") + Sparse("auto"),
    ],
)
def test_strengths_are_chosen_for_labelled_frames(relation: Relation) -> None:
    rng = np.random.default_rng(6)
    X = pd.DataFrame(rng.normal(size=(48, D)), columns=list("abc"))
    tasks = pd.Series(np.array(["n", "s", "w", "e"])[np.arange(48) % 4])
    y = X["a"] * np.where(tasks.isin(["n", "s"]), 3.0, 1.0) + rng.normal(size=48)
    model = MultiTaskRegressor(relation, tol=1e-4).fit(X, y, tasks)
    assert model.path_ is not None
    assert all(np.isfinite(list(model.strengths_.values())))
    assert model.path_.strengths.shape[1] == sum(v == "auto" for v in _strengths(relation))
    assert model.score(X, y, tasks) > 0.3
    names = [name for name in model.get_params() if name.split("__")[-1] in ("strength", "sparse", "ridge")]
    assert all(model.set_params(**{name: 0.25}).get_params()[name] == 0.25 for name in names)
    fixed = with_parameters(model.relation_, **{name.removeprefix("relation__"): 0.25 for name in names})
    assert MultiTaskRegressor(fixed).fit(X, y, tasks).path_ is None


def _strengths(relation: Relation) -> list[Any]:
    from relatask.relations import strengths

    return list(strengths(relation).values())


@pytest.mark.data
@pytest.mark.parametrize(
    ("relation", "recorded"),
    # MALSAR's dirty model has no 1/2 before the squares: half the objective at half the strengths.
    [(Progression(1.0, 10.0, 200.0), 829501.439492251), (Dirty(1000.0, 100.0), 1595963.7388585 / 2)],
)
def test_school_is_below_what_malsar_reached(relation: Relation, recorded: float) -> None:
    folder = os.environ.get("RELATASK_DATA")
    if not folder:
        pytest.skip("set RELATASK_DATA to the folder of the public data")
    from relatask.data import load

    school = load("school")
    codes = np.unique(school.tasks, return_inverse=True)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MultiTaskRegressor(relation, **ALONE).fit(np.asarray(school.X, float), school.y, codes)
    assert model.objective_ < recorded
    assert 0 <= model.residual_ <= 1e-6
    assert model.n_iter_ <= 400
