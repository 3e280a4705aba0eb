"""Working sets against an interior-point solver on the rows, scikit-learn, and the splitting."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, MultiTaskLasso

from relatask.linear.problem import Problem
from relatask.linear.solvers import inner, kernels, solve, working_sets
from relatask.linear.solvers.working_sets import SparsePenalty, applies, sparse_penalty
from relatask.linear.sums.forms import Bucket, Forms
from relatask.linear.sums.sparse_bucket import SparseBucket
from relatask.linear.sums.sparse_rows import SparseRows
from relatask.notices import InputError
from relatask.relations import Pairwise, Relation, Ridge, SharedSparsity, Sparse, TraceNorm
from sparse_cases import LAYOUTS, Rows, null_strength, optimum, rows, value

KINDS = ("rows", "entries")


def run(data: Rows, penalty: SparsePenalty, tol: float = 1e-9, **more):
    return working_sets.working_sets(data.problem, penalty, tol=tol, **more)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("n", "d"), [(6, 14), (20, 6)])
@pytest.mark.parametrize("common", [False, True])
def test_the_interior_point_optimum(layout: str, kind: str, n: int, d: int, common: bool) -> None:
    data = rows(layout, n + d, 3, d, n, common=common)
    rng = np.random.default_rng(d)
    top = null_strength(data.problem, kind)
    shape = d if kind == "rows" else (3, d)
    for share, ridge in ((0.3, 0.0), (0.05, 0.7)):
        penalty = SparsePenalty(kind, share * top * rng.uniform(0.8, 1.2, shape), ridge)
        solution = run(data, penalty)
        best, W = optimum(data, penalty, tol=1e-10)
        assert solution.certified
        assert solution.residual <= 1e-9
        assert solution.objective == pytest.approx(best, rel=1e-8)
        assert value(data, penalty, solution.W) == pytest.approx(solution.objective, rel=1e-10)
        if ridge > 0:  # then there is one minimiser only
            np.testing.assert_allclose(solution.W, W, atol=1e-4 * np.abs(W).max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", ["shared", "holes", "own", "mixed"])
@pytest.mark.parametrize("common", [False, True])
def test_every_way_to_sweep_has_one_answer(
    layout: str, kind: str, common: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = rows(layout, 3, 4, 40, 12, common=common)
    penalty = SparsePenalty(kind, 0.1 * null_strength(data.problem, kind), 0.1)
    answers = {}
    for way in ("OverGram", "OverBlocks", "OverOwn"):
        if way == "OverOwn" and layout != "own":
            continue
        made = getattr(inner, way)
        seen = []

        def pick(local, W, correlation, made=made, seen=seen):
            seen.append(made)
            return made(local, W, correlation) if made is inner.OverGram else made(local, W)

        monkeypatch.setattr(working_sets, "inner", pick)
        monkeypatch.setattr(inner, "BLOCK", 7)
        answers[way] = run(data, penalty, 1e-10)
        assert seen
        assert answers[way].residual <= 1e-10
    for answer in answers.values():
        np.testing.assert_allclose(answer.W, answers["OverGram"].W, atol=1e-5)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
@pytest.mark.parametrize(("n", "d"), [(40, 400), (200, 30)])
def test_scikit_learn_on_shared_rows(share: float, n: int, d: int) -> None:
    rng = np.random.default_rng(d)
    X, W = rng.standard_normal((n, d)), np.zeros((d, 5))
    W[:8] = rng.standard_normal((8, 5))
    Y = X @ W + rng.standard_normal((n, 5))
    data = shared(X, Y)
    for kind, model in (("rows", MultiTaskLasso), ("entries", Lasso)):
        strength = share * null_strength(data, kind)
        ours = working_sets.working_sets(data, SparsePenalty(kind, strength), tol=1e-9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = model(alpha=strength / n, fit_intercept=False, tol=1e-12, max_iter=100_000)
            theirs = np.atleast_2d(fitted.fit(X, Y).coef_)
        gap = working_sets.gap_at(data, SparsePenalty(kind, strength), theirs, -data.gradient(theirs))
        assert ours.residual <= 1e-9
        assert ours.objective <= gap.primal * (1 + 1e-9)
        assert ours.objective >= gap.bound
        np.testing.assert_allclose(ours.W, theirs, atol=1e-3 * np.abs(theirs).max())


@pytest.mark.parametrize("layout", ["own", "gram", "mixed"])
@pytest.mark.parametrize("share", [0.3, 0.03])
def test_scikit_learn_on_own_rows_entry_by_entry(layout: str, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working_sets, "FIRST", 10)
    data = rows(layout, 5, 4, 150, 30)
    strength = share * null_strength(data.problem, "entries")
    seen = []
    made = working_sets.localise

    def watch(problem, chosen, *rest):
        seen.append(chosen.shape)
        return made(problem, chosen, *rest)

    monkeypatch.setattr(working_sets, "localise", watch)
    ours = run(data, SparsePenalty("entries", strength), 1e-10)
    assert ours.residual <= 1e-10
    assert all(len(shape) == 2 and shape[0] == 4 for shape in seen)  # every task has a working set of its own
    for k, (x, y, c) in enumerate(zip(data.X, data.y, data.c, strict=True)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = Lasso(strength / c / len(x), fit_intercept=False, tol=1e-14, max_iter=1_000_000).fit(x, y)
        np.testing.assert_allclose(ours.W[k], model.coef_, atol=1e-4 * np.abs(model.coef_).max())


@pytest.mark.parametrize(("kind", "norm"), [("rows", SharedSparsity), ("entries", Sparse)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_splitting(kind: str, norm: type, layout: str) -> None:
    data = rows(layout, 7, 4, 30, 12)
    strength = 0.2 * null_strength(data.problem, kind)
    ours = run(data, SparsePenalty(kind, strength, 0.3), 1e-8)
    theirs, _ = solve(data.problem, norm(strength) + Ridge(0.3), solver="admm", tol=1e-8, max_iter=50_000)
    assert ours.objective == pytest.approx(theirs.objective, rel=2e-8)
    np.testing.assert_allclose(ours.W, theirs.W, atol=1e-3)


@pytest.mark.parametrize("equal", [True, False])
def test_the_norm_of_a_row_solves_its_equation(equal: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        c, h = rng.standard_normal(4), np.ones(4) if equal else 10 ** rng.uniform(-3, 3, 4)
        strength = np.linalg.norm(c) * rng.uniform(0.01, 0.99)
        r = kernels.radius(c, h, strength, rng.choice([0.0, 100.0]))
        assert np.sum((c / (h * r + strength)) ** 2) == pytest.approx(1.0, rel=1e-10)
        w = c * r / (h * r + strength)
        np.testing.assert_allclose(h * w + strength * w / np.linalg.norm(w), c, rtol=1e-8, atol=1e-12)
        assert kernels.radius(c, h, np.linalg.norm(c) * 1.0001, 1.0) == 0.0


def test_few_features_are_looked_at_where_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    X, W = rng.standard_normal((100, 3_000)), np.zeros((3_000, 4))
    W[:10] = rng.standard_normal((10, 4))
    data = shared(X, X @ W + 0.1 * rng.standard_normal((100, 4)))
    penalty = SparsePenalty("rows", 0.1 * null_strength(data, "rows"))
    seen: set[int] = set()
    made = working_sets.localise

    def watch(problem, columns, *rest):
        seen.update(columns.ravel().tolist())
        return made(problem, columns, *rest)

    monkeypatch.setattr(working_sets, "localise", watch)
    solution = working_sets.working_sets(data, penalty, tol=1e-8)
    kept = np.flatnonzero(solution.W.any(0))
    assert solution.residual <= 1e-8
    assert set(kept.tolist()) <= seen
    assert len(seen) < 0.15 * 3_000
    # A start at the answer leaves nothing to do, one nearby little.
    again = working_sets.working_sets(data, penalty, tol=1e-8, start=solution.W)
    assert again.n_iter == 0
    near = SparsePenalty("rows", 0.95 * penalty.strength)
    warm = working_sets.working_sets(data, near, tol=1e-8, start=solution.W)
    cold = working_sets.working_sets(data, near, tol=1e-8)
    assert warm.n_iter < cold.n_iter
    assert warm.objective == pytest.approx(cold.objective, rel=1e-8)


def test_screened_features_are_zero_at_the_optimum() -> None:
    rng = np.random.default_rng(2)
    data = shared(rng.standard_normal((30, 900)), rng.standard_normal((30, 3)))
    penalty = SparsePenalty("rows", 0.6 * null_strength(data, "rows"))
    dropped = []
    made = working_sets.screen

    def watch(W, correlation, state, *rest):
        out = made(W, correlation, state, *rest)
        dropped.append(set(range(900)) - set(out[2].columns[~out[2].dead[0]].tolist()))
        return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(working_sets, "screen", watch)
        working_sets.working_sets(data, penalty, tol=1e-6)
    exact = np.flatnonzero(working_sets.working_sets(data, penalty, tol=1e-11).W.any(0))
    assert dropped[-1]
    assert all(a <= b for a, b in pairwise(dropped))
    assert not dropped[-1] & set(exact.tolist())


def test_what_it_takes() -> None:
    problem = rows("own", 0, 3, 5, 4).problem
    assert applies(problem, SparsePenalty("rows", 1.0))
    assert not applies(problem, SparsePenalty("rows", 0.0))
    assert not applies(problem, SparsePenalty("rows", np.array([1.0, 1.0, 0.0, 1.0, 1.0])))
    assert not applies(problem, SparsePenalty("entries", np.inf))
    assert not applies(problem, SparsePenalty("rows", 1.0, ridge=-1.0))


def test_the_relations_it_is_for() -> None:
    assert as_tuple(SharedSparsity(2.0)) == ("rows", 2.0, 0.0)
    assert as_tuple(Sparse(2.0) + Ridge(0.5) + Sparse(1.0) + Ridge(1.0)) == ("entries", 3.0, 1.5)
    assert as_tuple(SharedSparsity(2.0) + Sparse(0.0)) == ("rows", 2.0, 0.0)
    for other in (Ridge(1.0), Sparse(0.0), Sparse(1.0) + SharedSparsity(1.0), Sparse(1.0) + Pairwise(1.0)):
        assert sparse_penalty(other) is None


def as_tuple(relation: Relation) -> tuple[object, ...]:
    penalty = sparse_penalty(relation)
    assert penalty is not None
    return penalty.kind, penalty.strength, penalty.ridge


def shared(X: np.ndarray, Y: np.ndarray) -> Problem:
    t = Y.shape[1]
    bucket = Bucket(np.arange(t), np.ones(t), rows=X[None])
    return Problem(Forms((bucket,), t, X.shape[1]), Y.T @ X, 0.5 * float(np.square(Y).sum()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", ["shared", "own"])
@pytest.mark.parametrize("common", [False, True])
@pytest.mark.parametrize("gram", [0, 320])
def test_sparse_rows_give_the_interior_point_optimum(
    layout: str, kind: str, common: bool, gram: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inner, "GRAM", gram)  # 0: nothing is written out
    monkeypatch.setattr(working_sets, "FIRST", 5)
    data = rows(layout, 4, 3, 90, 14, common=common)
    buckets = tuple(held_sparse(bucket) for bucket in data.problem.forms.buckets)
    problem = replace(data.problem, forms=Forms(buckets, 3, 90))
    top = null_strength(problem, kind)
    for share, ridge in ((0.3, 0.0), (0.05, 0.7)):
        penalty = SparsePenalty(kind, share * top, ridge)
        solution = working_sets.working_sets(problem, penalty, tol=1e-9)
        assert solution.residual <= 1e-9
        assert value(data, penalty, solution.W) == pytest.approx(solution.objective, rel=1e-10)
        assert solution.objective == pytest.approx(optimum(data, penalty, tol=1e-10)[0], rel=1e-8)


def held_sparse(bucket: Bucket) -> SparseBucket:
    """Rows as a sparse part and one of rank two."""
    rng = np.random.default_rng(0)
    right, left = rng.standard_normal((2, bucket.base.shape[2])), rng.standard_normal((bucket.height, 2))
    blocks = [sparse.csr_array(base - left @ right) for base in bucket.base]
    held = SparseRows.stacked(blocks, [left] * len(blocks), [right] * len(blocks))
    return SparseBucket(bucket.tasks, bucket.scale, held=held)


@pytest.mark.parametrize("relation", [SharedSparsity(0.1), Sparse(0.05) + Ridge(0.1)], ids=["rows", "entries"])
def test_many_features_are_solved_on_working_sets_and_few_are_not(relation: Relation) -> None:
    for layout, d, n, name in (
        ("gram", 20, 30, "admm"),
        ("gram", 220, 230, "working_sets"),
        ("own", 80, 9, "working_sets"),
    ):
        problem = rows(layout, 0, 3, d, n).problem
        found, start = solve(problem, relation)
        assert found.solver == name
        assert found.residual <= 1e-6
        again, _ = solve(problem, relation, start=start)
        assert again.n_iter <= min(found.n_iter, 10)
    named, _ = solve(rows("gram", 0, 3, 20, 30).problem, relation, solver="working_sets")
    assert named.solver == "working_sets"


def test_what_working_sets_do_not_reach_the_splitting_does() -> None:
    problem = rows("own", 1, 3, 100, 12).problem
    few = working_sets.working_sets(problem, sparse_penalty(Sparse(0.01) + Ridge(0.1)), tol=1e-8, max_iter=60)
    assert few.residual > 1e-8
    found, _ = solve(problem, Sparse(0.01) + Ridge(0.1), tol=1e-8, max_iter=60)
    assert found.residual < few.residual


@pytest.mark.parametrize("relation", [TraceNorm(0.1), SharedSparsity(0.1) + Pairwise(0.1), Ridge(0.1)])
def test_other_relations_are_refused_by_name(relation: Relation) -> None:
    with pytest.raises(
        InputError, match=r"takes SharedSparsity or Sparse, alone or with Ridge, given|is for relations"
    ):
        solve(rows("gram", 0, 3, 6, 20).problem, relation, solver="working_sets")
