"""Laws of the working sets: certified, honest, invariant, zero from the null strength on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relatask.linear.problem import Problem
from relatask.linear.solvers.working_sets import SparsePenalty, gap_at, working_sets
from relatask.linear.sums.forms import Bucket, Forms
from sparse_cases import LAYOUTS, Rows, null_strength, optimum, rows

KINDS = st.sampled_from(["rows", "entries"])
CASES = st.builds(
    lambda layout, seed, t, d, n, common: rows(layout, seed, t, d, n, common=common),
    st.sampled_from(LAYOUTS),
    st.integers(0, 2**32 - 1),
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(2, 12),
    st.booleans(),
)
SHARES = st.floats(0.01, 0.9)
RIDGES = st.sampled_from([0.0, 0.1, 10.0])


def penalty_of(data: Rows, kind: str, share: float, ridge: float) -> SparsePenalty:
    t, d = data.problem.shape
    rng = np.random.default_rng(t * d)
    spread = rng.uniform(0.5, 1.5, d if kind == "rows" else (t, d))
    return SparsePenalty(kind, max(share * null_strength(data.problem, kind), 1e-6) * spread, ridge)


@given(CASES, KINDS, SHARES, RIDGES, st.sampled_from([1e-3, 1e-6, 1e-9]))
@settings(max_examples=50, deadline=None)
def test_certified_and_the_bound_lies_below_the_optimum(
    data: Rows, kind: str, share: float, ridge: float, tol: float
) -> None:
    penalty = penalty_of(data, kind, share, ridge)
    solution = working_sets(data.problem, penalty, tol=tol)
    assert solution.certified
    assert 0 <= solution.residual <= tol
    best, _ = optimum(data, penalty)
    rounding = 1e-7 * data.problem.constant  # of the oracle
    assert solution.objective >= best - rounding
    assert solution.objective - best <= tol * abs(solution.objective) + rounding


@given(CASES, KINDS, SHARES, RIDGES, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_gap_of_any_coefficients_bounds_the_optimum(
    data: Rows, kind: str, share: float, ridge: float, seed: int
) -> None:
    penalty = penalty_of(data, kind, share, ridge)
    W = np.random.default_rng(seed).standard_normal(data.problem.shape)
    gap = gap_at(data.problem, penalty, W, -data.problem.gradient(W) - ridge * W)
    best, _ = optimum(data, penalty)
    rounding = 1e-7 * data.problem.constant
    assert gap.bound <= best + rounding
    assert gap.primal >= best - rounding


@given(CASES, KINDS, st.floats(1.0, 10.0), RIDGES)
@settings(max_examples=40, deadline=None)
def test_zero_from_the_null_strength_on(data: Rows, kind: str, times: float, ridge: float) -> None:
    top = max(null_strength(data.problem, kind), 1e-300)
    solution = working_sets(data.problem, SparsePenalty(kind, times * top * (1 + 1e-12), ridge), tol=1e-10)
    assert not solution.W.any()
    assert solution.n_iter == 0
    assert solution.residual <= 1e-10
    if times > 1:
        below = working_sets(data.problem, SparsePenalty(kind, 0.99 * top, ridge), tol=1e-10)
        assert below.W.any() == (top > 1e-200)


@given(CASES, KINDS, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_order_of_tasks_and_features_is_without_meaning(data: Rows, kind: str, seed: int) -> None:
    penalty = penalty_of(data, kind, 0.2, 0.5)
    t, d = data.problem.shape
    rng = np.random.default_rng(seed)
    tasks, columns = rng.permutation(t), rng.permutation(d)
    place = np.argsort(tasks)
    buckets = tuple(_permuted(b, place, columns) for b in data.problem.forms.buckets)
    coupling = data.problem.coupling
    other = Problem(
        Forms(buckets, t, d),
        data.problem.cross[tasks][:, columns],
        data.problem.constant,
        None if coupling is None else coupling[tasks][:, columns],
    )
    strength = np.asarray(penalty.strength)
    moved = strength[columns] if kind == "rows" else strength[tasks][:, columns]
    one = working_sets(data.problem, penalty, tol=1e-11)
    two = working_sets(other, replace(penalty, strength=moved), tol=1e-11)
    assert one.objective == pytest.approx(two.objective, rel=1e-9)
    size = np.abs(one.W).max(initial=1e-12)
    np.testing.assert_allclose(one.W[tasks][:, columns], two.W, atol=1e-4 * size)


@given(CASES, KINDS, SHARES, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_any_start_leads_to_the_same_optimum(data: Rows, kind: str, share: float, seed: int) -> None:
    penalty = penalty_of(data, kind, share, 0.1)
    start = 10 * np.random.default_rng(seed).standard_normal(data.problem.shape)
    cold = working_sets(data.problem, penalty, tol=1e-9)
    kept = start.copy()
    warm = working_sets(data.problem, penalty, tol=1e-9, start=start)
    assert warm.residual <= 1e-9
    assert warm.objective == pytest.approx(cold.objective, rel=3e-9)
    np.testing.assert_array_equal(start, kept)


@given(CASES, KINDS, st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_what_stops_early_says_so(data: Rows, kind: str, passes: int) -> None:
    penalty = penalty_of(data, kind, 0.05, 0.0)
    solution = working_sets(data.problem, penalty, tol=0.0, max_iter=passes)
    assert solution.n_iter <= passes
    best, _ = optimum(data, penalty)
    assert solution.objective - best <= solution.residual * solution.objective + 1e-7 * data.problem.constant


@given(KINDS, st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_task_without_data_or_columns_that_do_not_vary_stay_zero(kind: str, seed: int) -> None:
    data = rows("own", seed, 3, 6, 8)
    forms = data.problem.forms
    buckets = []
    for bucket in forms.buckets:
        base = bucket.base.copy()
        base[bucket.tasks == 1] = 0.0
        base[:, :, 2] = 0.0
        buckets.append(replace(bucket, rows=base))
    cross = data.problem.cross.copy()
    cross[1], cross[:, 2] = 0.0, 0.0
    problem = replace(data.problem, forms=replace(forms, buckets=tuple(buckets)), cross=cross)
    solution = working_sets(problem, penalty_of(replace(data, problem=problem), kind, 0.1, 0.0), tol=1e-9)
    assert solution.residual <= 1e-9
    assert not solution.W[1].any()
    assert not solution.W[:, 2].any()


def _permuted(bucket: Bucket, place: np.ndarray, columns: np.ndarray) -> Bucket:
    """The bucket where task k has become task place[k]."""
    base = bucket.base[:, :, columns]
    if bucket.gram is not None:
        base = base[:, columns]
    return Bucket(
        place[bucket.tasks],
        bucket.scale,
        gram=base if bucket.gram is not None else None,
        rows=base if bucket.rows is not None else None,
    )
