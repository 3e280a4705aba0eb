"""Every way of solving a quadratic relation directly, against one dense system of all tasks."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from relatask.linear import MultiTaskRegressor
from relatask.linear.losses.squared import Squared
from relatask.linear.problem import Problem
from relatask.linear.solvers import conjugate, structured
from relatask.linear.solvers.conjugate import conjugate_gradients
from relatask.linear.solvers.direct import direct
from relatask.linear.solvers.family import family
from relatask.linear.solvers.preconditioners import large_eigenvalues, spectral
from relatask.linear.sums import forms as forms_module
from relatask.linear.sums import passes
from relatask.linear.sums.forms import Bucket, Forms, sandwich
from relatask.linear.sums.shifted import Inverses, Spectral, Whitened, one_shift, shifted
from relatask.notices import RelataskWarning
from relatask.relations import Chain, Graph, Pairwise, Relation, Ridge, TaskPrecision

T, D = 6, 12
RNG = np.random.default_rng(7)
ROOT = RNG.normal(size=(T, 2))
TURN = np.linalg.qr(RNG.normal(size=(T, T)))[0]
ILL = (TURN * np.geomspace(1e-7, 10.0, T)) @ TURN.T
TREE = Graph([(0, 1, 1.0), (1, 2, 0.5), (1, 3, 2.0), (3, 4, 1.0), (3, 5, 0.3)], 0.4)
RING = Graph([(0, 1, 1.0), (1, 2, 0.5), (2, 0, 2.0), (3, 4, 1.0)], 0.4)  # and task 5 alone
RELATIONS: dict[str, Relation] = {
    "pairwise": Pairwise(0.1),
    "pairwise and ridge": Pairwise(0.1) + Ridge(0.3),
    "chain": Chain(0.7),
    "tree": TREE,
    "graph in three parts": RING,
    "low-rank precision": TaskPrecision(ROOT @ ROOT.T, 0.8),
    "ill-conditioned precision": TaskPrecision(ILL, 3.0),
}


def problem(layout: str, monkeypatch: pytest.MonkeyPatch, intercept: str = "free") -> Problem:
    """Tasks that hold Grams, rows of several lengths, or some of each."""
    rng = np.random.default_rng(3)
    count = {"grams": [30, 25, 20, 18, 16, 14], "rows": [5, 4, 5, 3, 2, 5], "mixed": [30, 4, 20, 5, 3, 14]}[layout]
    codes = np.repeat(np.arange(T), count)
    X = rng.normal(size=(len(codes), D)) * np.geomspace(0.1, 10, D)
    y = X @ rng.normal(size=D) + rng.normal(size=len(codes)) + codes
    monkeypatch.setattr(passes, "THIN", 4)
    stats = passes.grouped(X, y, codes, T, rng.uniform(0.5, 2.0, len(codes)))
    held = {name for bucket in stats.forms.buckets for name in ("gram", "rows") if getattr(bucket, name) is not None}
    assert held == {"grams": {"gram"}, "rows": {"rows"}, "mixed": {"gram", "rows"}}[layout]
    return Squared("task", intercept).problem(stats, np.zeros(D))  # type: ignore[arg-type]


def dense_system(p: Problem, precision: np.ndarray) -> np.ndarray:
    """H + P x I, (t d, t d)."""
    t, d = p.shape
    H = np.zeros((t, d, t, d))
    H[np.arange(t), :, np.arange(t)] = p.forms.dense()
    if p.coupling is not None:
        H -= np.multiply.outer(p.coupling, p.coupling)
    return H.reshape(t * d, t * d) + np.kron(precision, np.eye(d))


def smallest(p: Problem, precision: np.ndarray) -> np.ndarray:
    """The solution of minimum norm, (t, d)."""
    return (np.linalg.pinv(dense_system(p, precision), rcond=1e-13, hermitian=True) @ p.cross.ravel()).reshape(p.shape)


@pytest.mark.parametrize("intercept", ["free", "common"])
@pytest.mark.parametrize("layout", ["grams", "rows", "mixed"])
@pytest.mark.parametrize("name", RELATIONS)
def test_one_strength_and_a_path_against_the_dense_system(
    name: str, layout: str, intercept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = problem(layout, monkeypatch, intercept)
    relation = RELATIONS[name]
    one = family([relation], T)
    W, residual, _ = direct(p, one, tol=1e-8, max_iter=5_000)
    assert residual[0] <= 1e-8
    expected = smallest(p, one.member(0).dense())
    np.testing.assert_allclose(W[:, 0], expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    path = family([relation], T)
    path = type(path)(path.units, path.strengths * np.array([[0.1, 1.0, 10.0]]))
    W, residual, _ = direct(p, path, tol=1e-8, max_iter=5_000)
    assert (residual <= 1e-8).all()
    for s in range(3):
        expected = smallest(p, path.member(s).dense())
        np.testing.assert_allclose(W[:, s], expected, rtol=0, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("layout", ["grams", "rows", "mixed"])
def test_shifted_systems_by_factors_and_by_spectra(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forms = problem(layout, monkeypatch).forms.scaled(np.array([1.0, 2.0, 0.0, 0.5, 1.0, 3.0]))
    shift = np.array([1.0, 0.2, 3.0, 0.0, 1e-12, 50.0])
    B = np.random.default_rng(0).normal(size=(T, 2, D))
    solve = one_shift(forms, shift)
    assert solve is not None
    assert not solve.is_safe
    kinds = {type(part) for part in solve.parts}
    assert kinds == {"grams": {Inverses}, "rows": {Whitened}, "mixed": {Inverses, Whitened}}[layout] | {Spectral}
    for k, matrix in enumerate(forms.dense()):
        if shift[k] == 1e-12:
            continue  # Between pseudo-inverse and inverse: only that it is finite is asked.
        expected = np.linalg.pinv(matrix + shift[k] * np.eye(D), rcond=1e-12, hermitian=True) @ B[k].T
        np.testing.assert_allclose(solve(B)[k], expected.T, atol=1e-9 * max(1.0, np.abs(expected).max()))
    assert np.isfinite(solve(B)).all()
    # The spectra say the same.
    forms.spectrum.shifted(np.ones((T, 1)))
    assert one_shift(forms, shift) is None
    safe = np.full((T, 1), 0.7)
    other = Forms(forms.buckets, T, D)
    np.testing.assert_allclose(shifted(other, safe)(B), shifted(forms, safe)(B), rtol=0, atol=1e-10)
    assert "spectrum" not in other.__dict__


@pytest.mark.parametrize("layout", ["grams", "rows", "mixed"])
@pytest.mark.parametrize(("ridge", "pull"), [(0.0, 2.0), (0.5, 0.1), (1e-3, 1e8)])
def test_what_the_tasks_say_about_their_mean(
    layout: str, ridge: float, pull: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = problem(layout, monkeypatch).forms
    factors = one_shift(forms, np.full(T, ridge + pull))
    assert factors is not None
    assert factors.is_safe
    eye = np.eye(D)
    expected = sum((G + ridge * eye) @ np.linalg.inv(G + (ridge + pull) * eye) for G in forms.dense())
    np.testing.assert_allclose(
        factors.gain(forms, ridge, pull), expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max()
    )


@pytest.mark.parametrize("layout", ["grams", "rows", "mixed"])
@pytest.mark.parametrize("K", [ROOT @ ROOT.T, ILL], ids=["low rank", "ill-conditioned"])
def test_the_spectral_preconditioner_is_nearly_the_inverse(
    K: np.ndarray, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = problem(layout, monkeypatch)
    precision = TaskPrecision(K, 2.0).precision(T)
    kept = large_eigenvalues(p, precision)
    assert kept is not None
    vectors, values, delta = kept
    # What it is the inverse of, written out.
    changed = (vectors * (values - delta)) @ vectors.T + delta * np.eye(T)
    A = dense_system(p, changed)
    R = A @ np.random.default_rng(1).normal(size=T * D)
    Z = spectral(p, *kept)(R.reshape(T, 1, D))
    # Its parts are as large as 1 / delta, so that this many digits are lost.
    share = 10 * np.finfo(float).eps * np.linalg.norm(A, 2) / delta
    assert share < 0.05
    np.testing.assert_allclose(A @ Z.ravel(), R, rtol=0, atol=share * np.abs(R).max())


def test_few_iterations_where_block_jacobi_needs_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    t, d = 60, 8
    codes = np.repeat(np.arange(t), 5)
    X = rng.normal(size=(len(codes), d)) * np.geomspace(0.1, 10, d)
    stats = passes.grouped(X, X @ rng.normal(size=d) + rng.normal(size=len(codes)), codes, t)
    p = Squared().problem(stats, np.zeros(d))
    F = rng.normal(size=(t, 12))
    one = family([TaskPrecision(F @ F.T, 5.0)], t)
    W, residual, n_iter = direct(p, one, tol=1e-6, max_iter=300)
    assert residual[0] <= 1e-9
    assert n_iter < conjugate.LOOK + 15
    expected = dense_system(p, one.member(0).dense()) @ W.ravel()
    np.testing.assert_allclose(expected, p.cross.ravel(), rtol=0, atol=1e-8 * np.abs(p.cross).max())
    monkeypatch.setattr(conjugate, "PATIENCE", np.inf)
    _, n_iter = conjugate_gradients(p, one, target=1e-10, max_iter=300, start=None)
    assert n_iter == 300


def test_a_precision_of_many_equal_eigenvalues_is_left_to_block_jacobi(monkeypatch: pytest.MonkeyPatch) -> None:
    p = problem("grams", monkeypatch)
    monkeypatch.setattr("relatask.linear.solvers.preconditioners.DIRECTIONS", 2 * D)
    assert large_eigenvalues(p, TaskPrecision(np.eye(T) + 0.1 * ILL, 1.0).precision(T)) is None
    assert large_eigenvalues(p, TaskPrecision(np.zeros((T, T)), 1.0).precision(T)) is None
    assert large_eigenvalues(p, TaskPrecision(ROOT @ ROOT.T, 1.0).precision(T)) is not None


@pytest.mark.parametrize("relation", [Pairwise(0.1), Chain(0.7), RING, RELATIONS["low-rank precision"]])
@pytest.mark.parametrize("layout", ["rows", "mixed"])
def test_tasks_that_hold_rows_are_never_written_out(
    layout: str, relation: Relation, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = problem(layout, monkeypatch)
    monkeypatch.setattr(Bucket, "dense", lambda _: pytest.fail("a (d, d) array for every task"))
    assert direct(p, family([relation], T), tol=1e-6, max_iter=5_000)[1][0] <= 1e-6


def test_elimination_of_a_forest_survives_a_form_that_rounding_left_indefinite() -> None:
    matrix = np.diag([1.0, -1e-3])
    np.testing.assert_allclose(structured._inverse(matrix, 1e-4), np.diag([1 / 1.0001, 1 / (1e-4 - 1e-3)]))
    np.testing.assert_allclose(structured._inverse(np.diag([1.0, 2.0]), 1.0), np.diag([1 / 2, 1 / 3]))


def test_a_null_space_in_pieces_is_searched_however_large(monkeypatch: pytest.MonkeyPatch) -> None:
    p = problem("mixed", monkeypatch)
    monkeypatch.setattr(conjugate, "NULL_SPACE_LIMIT", D)
    one = family([RING], T)
    W = direct(p, one, tol=1e-8, max_iter=5_000)[0][:, 0]
    expected = smallest(p, one.member(0).dense())
    np.testing.assert_allclose(W, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    # Four null vectors of a dense precision overlap in every task.
    with pytest.warns(RelataskWarning, match="RT017: the relation leaves 4 directions"):
        direct(p, family([RELATIONS["low-rank precision"]], T), tol=1e-8, max_iter=5_000)


@pytest.mark.parametrize("slab", [1, 50, 10**6])
@pytest.mark.parametrize("shared", [False, True])
def test_products_through_rows_some_tasks_at_a_time(slab: int, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms_module, "SLAB", slab)
    rng = np.random.default_rng(2)
    rows, B, factor = (
        rng.normal(size=(1 if shared else 5, 3, 7)),
        rng.normal(size=(5, 1, 7)),
        rng.normal(size=(5, 4, 3)),
    )
    every = np.broadcast_to(rows, (5, 3, 7))
    expected = np.einsum("ksd,kmd,kme->kse", B, every, every)
    np.testing.assert_allclose(sandwich(B, rows), expected, atol=1e-12)
    expected = np.einsum("kd,kmd,ksm,kme->kse", B[:, 0], every, factor, every)
    np.testing.assert_allclose(sandwich(B, rows, factor), expected, atol=1e-12)


def test_rows_are_padded_by_a_quarter_at_most() -> None:
    rng = np.random.default_rng(0)
    few = {k: rng.normal(size=(n, 3)) for k, n in enumerate([1, 2, 3, 5, 8, 9, 13, 17, 31, 33, 60, 64, 65, 100])}
    buckets = passes._buckets(np.zeros((0, 3, 3)), np.zeros(0, dtype=np.intp), few)
    seen = []
    for bucket in buckets:
        for place, k in enumerate(bucket.tasks):
            seen.append(k)
            assert bucket.rows is not None
            assert bucket.rows.shape[1] <= 1.25 * len(few[k])
            np.testing.assert_array_equal(bucket.rows[place, : len(few[k])], few[k])
            assert not bucket.rows[place, len(few[k]) :].any()
    assert sorted(seen) == list(few)


def test_a_graph_far_stronger_than_the_data_is_solved_where_conjugate_gradients_stop() -> None:
    rng = np.random.default_rng(0)
    cycle = [(0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0), (0, 3, 1.0), (0, 2, 2.0)]
    X, y, tasks = rng.normal(size=(4, 4)), rng.normal(size=4), np.arange(4)
    plain = {"weighting": "task", "intercept": "common", "standardize": False}
    for strength in (1.0, 1e4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RelataskWarning)  # RT005: one label a task
            model = MultiTaskRegressor(Graph(cycle, strength), max_iter=3, **plain).fit(X, y, tasks)
        assert model.residual_ <= 1e-9
        pooled = np.linalg.lstsq(X - X.mean(0), y - y.mean(), rcond=None)[0]
        if strength == 1e4:
            np.testing.assert_allclose(model.coef_, np.tile(pooled, (4, 1)), rtol=1e-2)
