"""Laws that every relation obeys, over all of the registry and sums of it."""

from __future__ import annotations

import copy
import itertools
import pickle
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.effort import examples

from relatask.notices import InputError
from relatask.relations import (
    Alternating,
    Chain,
    Diagonal,
    Dirty,
    Edges,
    FeatureQuadratic,
    Graph,
    LowRank,
    Mixed,
    Pairwise,
    Proximal,
    Quadratic,
    Relation,
    Ridge,
    SharedSparsity,
    Smooth,
    Sparse,
    Split,
    Sum,
    TaskKernel,
    TaskPrecision,
    TraceForm,
    TraceNorm,
    parameters,
    parts,
    registry,
    split,
    strengths,
    with_parameters,
)

QUADRATICS = sorted(name for name, kind in registry().items() if issubclass(kind, Quadratic))
PROXIMAL = sorted(name for name, kind in registry().items() if issubclass(kind, Proximal))
NORMS = [name for name in PROXIMAL if registry()[name].conjugate is Proximal.conjugate]
SPLIT = sorted(name for name, kind in registry().items() if issubclass(kind, Split))
CONVEX = (Quadratic, FeatureQuadratic, Proximal, Split)
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 7)

SOME = examples(25, 100)  # for laws that evaluate every relation several times: some values are minimisations


def psd(t: int, rng: np.random.Generator) -> np.ndarray:
    """A positive semidefinite matrix, of deficient rank more often than not."""
    B = rng.normal(size=(t, rng.integers(1, t + 2)))
    return B @ B.T


def graph(t: int, rng: np.random.Generator) -> np.ndarray:
    A = np.triu(rng.exponential(size=(t, t)) * (rng.random((t, t)) < rng.random()), 1)
    return A + A.T


def draw(name: str, t: int, rng: np.random.Generator) -> Relation:
    """A random relation of this name for t tasks; one that is not known here is drawn as its example."""
    s = float(rng.exponential())
    if name == "Graph":
        return Graph(graph(t, rng), s)
    if name == "Chain":
        return Chain(s, tuple(int(k) for k in rng.permutation(t)))
    if name in ("TaskPrecision", "TraceForm"):
        return registry()[name](psd(t, rng), s)
    if name == "TaskKernel":
        return TaskKernel(psd(t, rng), s, jitter=0.3)
    if name in ("Ridge", "Pairwise", "TraceNorm", "SharedSparsity", "Sparse"):
        return registry()[name](s)
    if name in ("LearnedCovariance", "RobustLowRank", "RobustSparse", "SparseLowRank"):
        return registry()[name](s, float(rng.exponential()))
    if name == "GramTarget":
        return registry()[name](psd(t, rng) - 0.1 * np.eye(t), s)
    if name == "TaskDescriptors":
        Z = rng.normal(size=(t, rng.integers(1, 4))) * (rng.random(t) < 0.7)[:, None]
        return registry()[name](Z, s, float(rng.exponential()) * rng.integers(2))
    if name == "LearnedGraph":
        return registry()[name](s, float(rng.exponential()), precision=psd(t, rng) + 0.1 * np.eye(t))
    if name == "TaskRelationNetwork":
        return registry()[name](2, s, 1.0, 0.3, order=[int(k) for k in rng.permutation(t)])
    if name in ("Clustered", "SharedSubspace"):
        return registry()[name](int(rng.integers(1, t + 1)), s, float(rng.exponential() + 0.01))
    if name == "Dirty":
        return Dirty(s, float(rng.exponential()), str(rng.choice(["max", "l2"])))
    if name in ("FusedSparse", "Progression"):
        others = (float(x) for x in rng.exponential(size=2))
        return registry()[name](s, *others, tuple(int(k) for k in rng.permutation(t)))
    if name in ("HierarchicalClusters", "TreeGuided"):
        levels = rng.exponential(size=4 if name == "TreeGuided" else 3)
        levels[0] *= rng.integers(2)
        return registry()[name](clusters(t, rng), s, levels)
    return registry()[name].example(t)


def clusters(t: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Tasks in random order, their clusters, and clusters of these."""
    fine = np.sort(rng.integers(0, t, size=t))
    return [rng.permutation(t), fine, np.sort(rng.integers(0, 3, size=t))[fine]]


def draw_each(seed: int, t: int) -> list[Relation]:
    """A random relation of every name, and every example; those whose value is a minimisation in one draw of four."""
    rng = np.random.default_rng(seed)
    fixed = [kind.example(t) for kind in registry().values() if seed % 4 == 0 or not issubclass(kind, Split)]
    return [draw(name, t, rng) for name in registry()] + fixed


def is_convex(relation: Relation) -> bool:
    return all(isinstance(term, CONVEX) for part in parts(relation) for term in part.terms())


def draw_all(seed: int, t: int) -> list[Relation]:
    """A random relation of every name, every example, and a sum of all that are convex."""
    single = draw_each(seed, t)
    return [*single, Sum(tuple(relation for relation in single if is_convex(relation))), Sum.example(t)]


def draw_convex(seed: int, t: int) -> list[Relation]:
    return [relation for relation in draw_all(seed, t) if is_convex(relation)]


def size_of(relation: Relation, W: np.ndarray, value: float) -> float:
    """What rounding may be compared with, where `value` is that of the relation at W."""
    return 1.0 + float(np.sum(W * W)) + abs(value) + abs(float(relation(np.zeros_like(W))))


def w(seed: int, t: int, d: int = 4) -> np.ndarray:
    rng = np.random.default_rng([seed, 1])
    W = rng.normal(size=(t, d)) * 10.0 ** rng.integers(-3, 4)
    return W * (rng.random((t, d)) < 0.8)


def test_the_registry_holds_what_the_room_exports() -> None:
    assert {
        *("Ridge", "Pairwise", "Graph", "Chain", "TaskPrecision", "TaskKernel", "TraceForm"),
        *("TraceNorm", "SharedSparsity", "Sparse"),
    } <= set(registry())
    for name, kind in registry().items():
        assert kind.__name__ == name
        assert kind.formula
        assert kind.source
        assert "Examples" in (kind.__doc__ or "")


@SOME
@given(SEEDS, SIZES)
def test_values_are_scalars_and_convex_ones_are_zero_at_zero(seed: int, t: int) -> None:
    W = w(seed, t)
    for relation in draw_all(seed, t):
        value = relation(W)
        assert np.ndim(value) == 0
        assert np.isfinite(value)
        assert relation.value(W) == value
        if is_convex(relation):
            assert relation(np.zeros((t, 4))) == 0
            assert value >= -1e-9 * (1 + np.sum(W * W))


@SOME
@given(SEEDS, SIZES, st.floats(0, 1))
def test_convex_along_every_segment(seed: int, t: int, a: float) -> None:
    V, W = w(seed, t), w(seed + 1, t)
    for relation in draw_convex(seed, t):
        ends = relation(V), relation(W)
        chord = a * ends[0] + (1 - a) * ends[1]
        between, bound = relation(a * V + (1 - a) * W), chord + 1e-9 * (1 + abs(chord))
        assert between <= bound or between <= bound + slack(relation, V, W)


def slack(relation: Relation, *points: np.ndarray) -> float:
    """How far the value of a relation that is itself a minimum over components may be off."""
    split = [part for part in parts(relation) if isinstance(part, Split)]
    return 1e-8 * sum(abs(float(part(W))) for part in split for W in points)


@given(SEEDS, SIZES, st.floats(-50, 50).filter(lambda c: abs(c) > 1e-3))
def test_quadratics_are_of_degree_two_and_norms_of_degree_one(seed: int, t: int, c: float) -> None:
    W = w(seed, t)
    rng = np.random.default_rng(seed)
    for name in QUADRATICS + NORMS:
        relation = draw(name, t, rng)
        power = 2 if isinstance(relation, Quadratic) else 1
        assert relation(c * W) == pytest.approx(abs(c) ** power * relation(W), rel=1e-8, abs=1e-9 * (c * c + 1))


def reordered(relation: Relation, order: np.ndarray) -> Relation:
    """The same relation for tasks that stand in another order."""
    if isinstance(relation, Sum):
        return Sum(tuple(reordered(part, order) for part in relation.parts))
    if isinstance(relation, Chain | Graph) and not isinstance(getattr(relation, "A", ()), np.ndarray):
        return relation.bind(order.tolist())  # row r now holds the task labelled order[r]
    if hasattr(relation, "order") or hasattr(relation, "tree"):
        return relation.bind(order.tolist())
    if isinstance(relation, FeatureQuadratic):  # every task alike
        return relation
    for field in fields(relation):
        matrix = getattr(relation, field.name)
        if isinstance(matrix, np.ndarray) and field.name == "Z":
            return replace(relation, Z=matrix[order])
        if isinstance(matrix, np.ndarray):
            return replace(relation, **{field.name: matrix[np.ix_(order, order)]})
    return relation


@SOME
@given(SEEDS, SIZES)
def test_the_order_of_tasks_does_not_matter(seed: int, t: int) -> None:
    W = w(seed, t)
    order = np.random.default_rng(seed).permutation(t)
    for relation in draw_all(seed, t):
        if getattr(relation, "order", ()) is None:  # the order of the tasks is what it is about
            continue
        again, value = reordered(relation, order)(W[order]), relation(W)
        rounding = 1e-9 * size_of(relation, W, float(value))
        if again != pytest.approx(value, rel=1e-9, abs=rounding):
            assert again == pytest.approx(value, rel=1e-9, abs=rounding + slack(relation, W))


@given(SEEDS, SIZES)
def test_value_is_half_the_trace_with_the_precision(seed: int, t: int) -> None:
    W = w(seed, t)
    rng = np.random.default_rng(seed)
    for relation in [draw(name, t, rng) for name in QUADRATICS]:
        P = relation.precision(t).dense()
        scale = np.abs(P).max() * np.sum(W * W)
        assert relation(W) == pytest.approx(0.5 * np.trace(W.T @ P @ W), rel=1e-9, abs=1e-10 * scale)


def least(P: np.ndarray, W: np.ndarray, kept: list[int]) -> float:
    """The least of 1/2 tr(V' P V) over V whose rows `kept` are W, by least squares on a root of P."""
    eigenvalues, basis = np.linalg.eigh(P)
    root = np.sqrt(np.maximum(eigenvalues, 0.0))[:, None] * basis.T
    free = np.delete(root, kept, axis=1)
    target = root[:, kept] @ W
    return 0.5 * float(np.sum((target - free @ np.linalg.lstsq(free, target, rcond=1e-7)[0]) ** 2))


@SOME
@given(SEEDS, st.integers(2, 7))
def test_tasks_left_out_are_free_to_be_optimal(seed: int, t: int) -> None:
    rng = np.random.default_rng(seed)
    kept = sorted(rng.choice(t, size=rng.integers(1, t), replace=False).tolist())
    W = w(seed, len(kept))
    for bound in [relation.bind(range(t)) for relation in draw_convex(seed, t)]:
        left = bound.among(kept)
        whole = np.zeros((t, W.shape[1]))
        whole[kept] = W
        rounding = 1e-8 * (1 + np.sum(W * W))
        if isinstance(bound, Sum):  # each part by itself
            assert left(W) == pytest.approx(sum(float(part.among(kept)(W)) for part in bound.parts))
        elif isinstance(bound, Pairwise) or type(bound).among is Relation.among:
            assert left is bound  # a formula about the tasks there are
            if not isinstance(bound, Quadratic):  # rows of zeros add nothing
                assert left(W) == pytest.approx(bound(whole), rel=1e-8)
        elif not isinstance(bound, Quadratic):
            value = left(W)
            assert np.isfinite(value)
            assert value <= bound(whole) + rounding + slack(bound, whole)
        else:
            P = bound.precision(t).dense()
            assert left(W) == pytest.approx(least(P, W, kept), rel=1e-6, abs=rounding * np.abs(P).max())
            assert left.precision(len(kept)).n_tasks == len(kept)
            assert left(W) <= bound(whole) + rounding * np.abs(P).max()
            assert bound.among(range(t))(whole) == pytest.approx(bound(whole), rel=1e-8, abs=1e-12)


def test_what_is_left_of_graphs_stays_a_graph_and_open_strengths_stay_open() -> None:
    left = Chain("auto", ["d", "c", "b", "a"]).bind("abcd").among([0, 2, 3])
    assert isinstance(left, Graph)
    assert left.strength == "auto"
    np.testing.assert_allclose(left.A.toarray(), [[0, 0.25, 0], [0.25, 0, 0.5], [0, 0.5, 0]])
    sparse = Graph([("a", "b"), ("b", "c"), ("d", "e", 2.0)], "auto").bind("abcde").among([0, 2, 4])
    np.testing.assert_allclose(sparse.A.toarray() * (1 - np.eye(3)), [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]])
    with pytest.raises(InputError, match="after bind"):
        Graph([("a", "b")]).among([0])


@given(SEEDS, SIZES, st.floats(-3, 2), st.integers(1, 3))
def test_structured_precisions_do_what_dense_ones_do(seed: int, t: int, exponent: float, terms: int) -> None:
    W, shift = w(seed, t), 10.0**exponent
    rng = np.random.default_rng(seed)
    chosen = [draw(str(rng.choice(QUADRATICS)), t, rng) for _ in range(terms)]
    P, D = split(Sum(tuple(chosen)), t)[0], sum(part.precision(t).dense() for part in chosen)
    assert P is not None
    size = np.abs(D).max() + shift
    assert P.n_tasks == t
    np.testing.assert_allclose(P.dense(), D, atol=1e-12 * size)
    np.testing.assert_allclose(P.diagonal(), np.diag(D), atol=1e-12 * size)
    np.testing.assert_allclose(P.apply(W), D @ W, atol=1e-11 * size * (1 + np.abs(W).max()))
    np.testing.assert_allclose(P.scaled(0.5).dense(), D / 2, atol=1e-12 * size)
    for at in (shift, 2 * shift, shift):  # again and again: factors are kept
        back = at * P.solve(at, W) + D @ P.solve(at, W)
        np.testing.assert_allclose(back, W, atol=1e-8 * (1 + size / at) * (1e-3 + np.abs(W).max()))
    close = {"rtol": 1e-6, "atol": 1e-6 * np.abs(W).max()}
    np.testing.assert_allclose(P.scaled(3.0).solve(shift, W), np.linalg.solve(shift * np.eye(t) + 3 * D, W), **close)
    N = P.null_space()
    np.testing.assert_allclose(N.T @ N, np.eye(N.shape[1]), atol=1e-10)
    np.testing.assert_allclose(D @ N, 0, atol=1e-8 * size)
    assert N.shape[1] == t - np.linalg.matrix_rank(D, tol=1e-8 * size, hermitian=True)
    again = pickle.loads(pickle.dumps(P))
    np.testing.assert_allclose(again.solve(shift, W), P.solve(shift, W), **close)


def test_sums_of_precisions_stay_structured() -> None:
    ridge, pairwise, chain = (relation.precision(6) for relation in (Ridge(1.0), Pairwise(1.0), Chain(1.0)))
    assert isinstance(ridge + ridge, Diagonal)
    assert isinstance(ridge + pairwise, LowRank)
    assert isinstance(pairwise + pairwise, LowRank)
    assert isinstance(ridge + chain, Edges)
    for total in (
        chain + pairwise,
        pairwise + chain,
        chain + pairwise + chain,
        (chain + pairwise) + (pairwise + chain),
    ):
        assert isinstance(total, Mixed)
    twice = chain + Chain(1.0, order=tuple(range(6))).precision(6)
    assert isinstance(twice, Edges)
    assert twice.is_path
    uneven = pairwise + Diagonal(np.arange(6.0))
    np.testing.assert_allclose(uneven.dense(), pairwise.dense() + np.diag(np.arange(6.0)))
    with pytest.raises(ValueError, match="entries of base differ"):
        LowRank(np.arange(6.0), np.ones((6, 1)), np.ones(1))
    with pytest.raises(ValueError, match="6 and 5 tasks"):
        ridge + Ridge(1.0).precision(5)


def test_a_million_tasks_never_make_a_square() -> None:
    t = 1_000_000
    W = np.linspace(-1.0, 1.0, 2 * t).reshape(t, 2)
    total = Ridge(0.1) + Pairwise(1e-6) + Chain(0.5)
    assert np.isfinite(total(W))
    P, norms = split(total, t)
    assert norms == ()
    assert total(W) == pytest.approx(0.5 * np.sum(W * P.apply(W)), rel=1e-9)
    V = P.solve(0.7, W)
    np.testing.assert_allclose(0.7 * V + P.apply(V), W, atol=1e-9)
    assert Pairwise(1.0).precision(t).null_space().shape == (t, 1)
    order, parent = Chain(1.0).precision(t).elimination_order()
    assert len(order) == t
    assert (parent == -1).sum() == 1


@given(SEEDS, st.integers(1, 12))
def test_forests_can_be_eliminated_leaves_first(seed: int, t: int) -> None:
    rng = np.random.default_rng(seed)
    name = rng.permutation(t)  # a random forest: every task may hang on one before it
    links = [(int(name[k]), int(name[rng.integers(k)]), float(rng.exponential() + 0.1)) for k in range(1, t)]
    kept = [link for link in links if rng.random() < 0.8]
    P = Graph(tuple(kept), 0.25).precision(t)
    assert isinstance(P, Edges)
    assert P.is_forest
    order, parent = P.elimination_order()
    assert sorted(order) == list(range(t))
    place = np.empty(t, dtype=int)
    place[order] = np.arange(t)
    assert all(parent[k] == -1 or place[parent[k]] > place[k] for k in range(t))
    assert {frozenset((k, int(p))) for k, p in enumerate(parent) if p >= 0} == {frozenset(link[:2]) for link in kept}
    if P.is_path:  # then neighbours in the order are neighbours in the chain, or there is a gap
        assert all(parent[a] in (b, -1) for a, b in itertools.pairwise(order))


def test_a_cycle_is_no_forest() -> None:
    ring = Graph(((0, 1), (1, 2), (2, 0))).precision(3)
    assert not ring.is_forest
    assert ring.elimination_order() is None


@given(SEEDS, SIZES, st.floats(1e-3, 1e2))
def test_prox_minimises_what_it_says(seed: int, t: int, step: float) -> None:
    W = w(seed, t)
    rng = np.random.default_rng(seed)
    for relation in proximal_ones(seed, t):
        V = relation.prox(W, step)
        G = (W - V) / step  # must be a subgradient at V
        for U in (w(seed + 1, t), W, np.zeros_like(W), V + 1e-3 * rng.normal(size=V.shape)):
            rounding = 1e-8 * np.abs(G).max() + 1e-13 * np.abs(W).max() / step
            slack = (1e-8 + rounding * (1 + np.abs(U).max() + np.abs(V).max())) * W.size
            assert relation(U) >= relation(V) + np.sum(G * (U - V)) - slack


def proximal_ones(seed: int, t: int) -> list[Quadratic | Proximal]:
    """Everything with a prox: relations, and what others are sums or splits of."""
    found: list[Quadratic | Proximal] = []
    for relation in draw_each(seed, t):
        for term in relation.terms():
            inner = term.summands().values() if isinstance(term, Split) else (term,)
            found.extend(part for part in inner if isinstance(part, Quadratic | Proximal))
    return found


@given(SEEDS, SIZES, st.floats(1e-3, 1e2))
def test_conjugates_are_what_the_certificates_need(seed: int, t: int, step: float) -> None:
    Z, W = w(seed, t), w(seed + 1, t)
    for relation in proximal_ones(seed, t):
        if not isinstance(relation, Proximal) or relation.vanishes:
            continue
        # Fenchel and Young: R(W) + R*(Z) >= <Z, W> wherever R* is finite ...
        Y = Z / max(1.0, float(relation.gauge(Z)))
        assert relation.gauge(Y) <= 1 + 1e-9
        scale = 1e-9 * (np.abs(Y).sum() * np.abs(W).max() + 1e-3)
        assert relation(W) + relation.conjugate(Y) >= np.sum(Y * W) - scale
        # ... with equality at a subgradient, which every prox gives.
        V = relation.prox(Z, step)
        G = (Z - V) / step
        assert relation.gauge(G) <= 1 + 1e-7 + 1e-13 * np.abs(Z).max() / step / (np.abs(G).max() + 1e-300)
        G = G / max(1.0, float(relation.gauge(G)))
        total = relation(V) + relation.conjugate(G)
        # V and G are differences of numbers like Z: where they are 0 but for rounding, R and R* of that are left.
        noise = 1e-15 * np.abs(Z).sum() * W / (np.abs(W).max() or 1.0)
        slope = noise / step / max(1.0, float(relation.gauge(noise / step)))
        rounding = float(relation(noise) + relation.conjugate(slope))
        size = np.abs(V).max() * (np.abs(G).max() + 1e-6 * np.abs(Z).max() / step) * Z.size
        assert total == pytest.approx(np.sum(G * V), rel=1e-8, abs=1e-9 * size + rounding)


@given(SEEDS, SIZES, st.floats(1e-3, 1e2), st.sampled_from(NORMS))
def test_the_prox_of_a_norm_is_zero_from_its_gauge_on(seed: int, t: int, step: float, name: str) -> None:
    Z = w(seed, t)
    norm = draw(name, t, np.random.default_rng(seed))
    gauge = float(norm.gauge(Z)) if not norm.vanishes else 0.0
    if gauge > 0:
        assert np.abs(norm.prox(Z, gauge * (1 + 1e-9))).max() <= 1e-12 * gauge
        assert norm.prox(Z, gauge * 0.999).any()


@given(SEEDS, SIZES, st.sampled_from(SPLIT or ["none"]))
def test_components_add_up_and_cost_what_the_value_says(seed: int, t: int, name: str) -> None:
    if name == "none":
        pytest.skip("no relation is a sum of components yet")
    relation, W = draw(name, t, np.random.default_rng(seed)), w(seed, t)
    assert isinstance(relation, Split)
    pieces = relation.components(W)
    np.testing.assert_allclose(np.sum(list(pieces.values()), axis=0), W, atol=1e-12 * np.abs(W).max())
    cost = sum(float(part(pieces[key])) for key, part in relation.summands().items())
    assert relation(W) == pytest.approx(cost, rel=1e-8, abs=1e-12)
    for other in (w(seed + 1, t), np.zeros_like(W)):  # no other way to divide W is cheaper
        first, second = relation.summands().values()
        assert cost <= float(first(W - other)) + float(second(other)) + 1e-7 * cost + 1e-9 * size_of(relation, W, cost)


@examples(10, 25)
@given(SEEDS, SIZES)
def test_torch_agrees_and_differentiates(seed: int, t: int) -> None:
    torch = pytest.importorskip("torch")
    W = np.random.default_rng(seed).normal(size=(t, 4))
    for relation in draw_all(seed, t):
        leaf = torch.tensor(W, requires_grad=True)
        value, expected = relation(leaf), relation(W)
        assert value.shape == ()
        assert value.dtype == torch.float64
        assert value.item() == pytest.approx(expected, rel=1e-10, abs=1e-10)
        single = relation(torch.tensor(W, dtype=torch.float32))
        assert single.dtype == torch.float32
        assert single.item() == pytest.approx(expected, rel=1e-4, abs=1e-4)
        assert relation(W.astype(np.float32)).dtype == np.float32
        if isinstance(relation, Quadratic):
            (gradient,) = torch.autograd.grad(value, leaf)
            np.testing.assert_allclose(gradient, relation.precision(t).apply(W), rtol=1e-8, atol=1e-9)
        if isinstance(relation, Quadratic | Proximal):
            np.testing.assert_allclose(relation.prox(torch.tensor(W), 0.3), relation.prox(W, 0.3), atol=1e-10)
        if isinstance(relation, Proximal):
            assert relation.gauge(torch.tensor(W)).item() == pytest.approx(relation.gauge(W))


@pytest.mark.parametrize("name", sorted(registry()))
def test_gradients_are_right_and_finite_where_the_relation_has_a_kink(name: str) -> None:
    torch = pytest.importorskip("torch")
    relation = draw(name, 3, np.random.default_rng(0))
    W = torch.tensor(np.random.default_rng(1).normal(size=(3, 4)), requires_grad=True)
    assert torch.autograd.gradcheck(relation, (W,))
    rank_one = torch.ones(3, 4, dtype=torch.float64)
    sparse_row = torch.tensor([[0.0, 1.0, 0.0, 0.0]] * 3, dtype=torch.float64)
    repeated = torch.eye(4, dtype=torch.float64)[:3]
    for point in (torch.zeros(3, 4, dtype=torch.float64), rank_one, sparse_row, repeated, torch.zeros(3, 4)):
        leaf = point.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(relation(leaf), leaf)
        assert torch.isfinite(gradient).all()
        if name in NORMS:  # a subgradient lies in the dual ball and carries the whole value
            assert relation.gauge(gradient) <= 1 + 1e-6
            assert (gradient * point).sum().item() == pytest.approx(relation(point).item(), abs=1e-6)


@examples(15, 100)
@given(SEEDS, SIZES)
def test_relations_are_values(seed: int, t: int) -> None:
    W = w(seed, t)
    for relation in draw_all(seed, t):
        before = relation(W)
        for other in (copy.deepcopy(relation), copy.copy(relation), pickle.loads(pickle.dumps(relation))):
            assert type(other) is type(relation)
            assert other(W) == pytest.approx(before, rel=1e-12, abs=1e-12)
        if is_convex(relation):
            assert relation.given(W)(W) == pytest.approx(before, rel=1e-12)
        elif isinstance(relation, Alternating):  # what it learns of W makes it no worse there
            assert relation.given(W)(W) <= before + 1e-9 * size_of(relation, W, float(before))
        assert relation.bind(list(range(t)))(W) == pytest.approx(before, rel=1e-12, abs=1e-12)
        for name in strengths(relation):
            stronger = with_parameters(relation, **{name: 1e3})
            assert parameters(stronger)[name] == 1e3
        assert relation(W) == before
        assert not relation.vanishes or before == 0
        with pytest.raises(AttributeError):
            relation.strength = 2.0
        with pytest.raises(InputError, match="has no parameter 'strenght'"):
            with_parameters(relation, strenght=1.0)


@SOME
@given(SEEDS, SIZES)
def test_sums_are_flat_named_and_add_up(seed: int, t: int) -> None:
    W = w(seed, t)
    members = [relation for relation in draw_each(seed, t) if is_convex(relation)]
    total = sum(members[1:], start=members[0])
    assert isinstance(total, Sum)
    assert total.parts == tuple(members) == parts(total)
    assert len(set(total.names)) == len(members)
    assert total(W) == pytest.approx(sum(float(part(W)) for part in members), rel=1e-9)
    assert total.part("Ridge_2") == Ridge.example(t)
    assert total.with_part("Ridge_2", Ridge(9.0)).part("Ridge_2") == Ridge(9.0)
    with pytest.raises(InputError, match="Manifold prices features, not tasks"):
        split(total, t)
    terms = [term for part in members for term in part.terms() if not isinstance(term, FeatureQuadratic)]
    total = Sum(tuple(term for term in terms))
    assert split(total, t)[1] == tuple(term for term in terms if isinstance(term, Proximal | Split))


def test_what_cannot_be_added_is_refused_by_name() -> None:
    for name, kind in registry().items():
        relation = kind.example(3)
        if kind.alone:
            with pytest.raises(InputError, match=f"{name} is a whole model and cannot be combined"):
                relation + Ridge(1.0)
        elif issubclass(kind, Smooth):
            assert isinstance(relation + Pairwise(1.0), Sum)
            with pytest.raises(InputError, match=f"{name} is not convex .* leave out TraceNorm"):
                relation + TraceNorm(1.0)
        else:
            assert isinstance(relation + TraceNorm(1.0), Sum)


def test_matrices_given_are_copied_and_cannot_be_written() -> None:
    K = np.eye(3)
    relation = TaskPrecision(K)
    K[0, 0] = 100.0
    assert relation.K[0, 0] == 1.0
    assert not relation.K.flags.writeable
    assert replace(relation, strength=2.0).K is relation.K
    assert TraceForm(np.eye(2, dtype=int)).A.dtype == np.float64
    assert SharedSparsity(1) == SharedSparsity(1.0)
    assert hash(TraceNorm(1)) == hash(TraceNorm(1.0))
    assert type(Sparse(np.float64(1.0)).strength) is float
