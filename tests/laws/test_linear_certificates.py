"""What a fit says of itself is true: it reaches its tolerance, and the optimum is no further away than it certifies."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linear_oracle import INTERCEPTS, LAYOUTS, WEIGHTINGS, Case, case, objective, quadratic_optimum
from relatask.linear import MultiTaskRegressor
from relatask.linear.input import reading
from relatask.linear.losses.squared import Squared
from relatask.linear.path import Model
from relatask.linear.solvers import objective as target_of
from relatask.linear.solvers.certificate import Objective
from relatask.notices import RelataskWarning
from relatask.relations import Proximal, Quadratic, Relation, Split, Sum, parts, registry, strengths, with_parameters

SEEDS = st.integers(0, 2**32 - 1)
QUADRATICS = sorted(name for name, kind in registry().items() if issubclass(kind, Quadratic))
BEYOND = sorted(
    name
    for name, kind in registry().items()
    if any(isinstance(term, Proximal | Split) for term in kind.example(3).terms())
)
"""Convex relations that are not quadratic."""
ROADS = st.fixed_dictionaries(
    {"weighting": st.sampled_from(WEIGHTINGS), "intercepts": st.sampled_from(INTERCEPTS), "standardize": st.booleans()}
)


def draw(names: list[str], t: int, rng: np.random.Generator) -> Relation:
    """A relation, or a sum of up to three of these names; quadratic strengths from 1e-4 to 1e4, others' to 10."""
    chosen = [registry()[str(name)].example(t) for name in rng.choice(names, size=rng.integers(1, 4))]
    drawn = []
    for part in chosen:
        low, high = (-4, 4) if isinstance(part, Quadratic) else (-3, 1)
        drawn.append(with_parameters(part, **{name: float(10 ** rng.uniform(low, high)) for name in strengths(part)}))
    return drawn[0] if len(drawn) == 1 else Sum(tuple(drawn))


def draw_case(rng: np.random.Generator) -> Case:
    t, d = int(rng.integers(1, 5)), int(rng.integers(1, 6))
    layout = LAYOUTS[rng.integers(3)]
    return case(layout, int(rng.integers(2**31)), t, d, int(rng.integers(2, 8)), weighted=bool(rng.integers(2)))


def fit(data: Case, relation: Relation, road: dict, **more: object) -> MultiTaskRegressor:
    settings_ = {"weighting": road["weighting"], "standardize": road["standardize"], "intercept": road["intercepts"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelataskWarning)
        return MultiTaskRegressor(relation, **settings_, **more).fit(**data.arguments)


@given(SEEDS, ROADS)
@settings(max_examples=150, deadline=None)
def test_quadratic_relations_reach_the_optimum(seed: int, road: dict) -> None:
    rng = np.random.default_rng(seed)
    data = draw_case(rng)
    relation = draw(QUADRATICS, data.t, rng)
    model = fit(data, relation, road)
    assert model.residual_ <= model.tol
    optimum = quadratic_optimum(data, relation, **road)
    size = objective(data, relation, 0 * model.coef_, 0 * model.intercept_, **road)
    assert model.objective_ == pytest.approx(optimum, rel=1e-6, abs=1e-9 * size)
    assert objective(data, relation, model.coef_, model.intercept_, **road) == pytest.approx(
        optimum, rel=1e-6, abs=1e-9 * size
    )


@given(SEEDS, ROADS, st.sampled_from([1e-2, 1e-4, 1e-6]))
@settings(max_examples=80, deadline=None)
def test_convex_relations_are_certified_and_the_certificate_is_honest(seed: int, road: dict, tol: float) -> None:
    rng = np.random.default_rng(seed)
    data = draw_case(rng)
    names = BEYOND + QUADRATICS
    relation = draw(names, data.t, rng)
    if not any(isinstance(term, Proximal | Split) for part in parts(relation) for term in part.terms()):
        relation = relation + registry()[BEYOND[seed % len(BEYOND)]].example(data.t)
    model = fit(data, relation, road, tol=tol)
    assert 0 <= model.residual_ <= tol, (relation, data.t, model.n_iter_)
    best = fit(data, relation, road, tol=1e-9, max_iter=50_000)
    rounding = 1e-9 * objective(data, relation, 0 * best.coef_, 0 * best.intercept_, **road)
    reached = objective(data, relation, model.coef_, model.intercept_, **road)
    if any(isinstance(term, Split) for part in parts(relation) for term in part.terms()):
        # The solver's components need not be the cheapest that add up to its W.
        assert reached <= model.objective_ * (1 + 1e-7) + rounding
    else:
        assert reached == pytest.approx(model.objective_, rel=1e-7, abs=rounding)
    # best is within its own residual of the optimum.
    assert model.objective_ - best.objective_ <= model.residual_ * abs(model.objective_) + rounding
    assert best.objective_ - model.objective_ <= best.residual_ * abs(best.objective_) + rounding


@pytest.mark.parametrize("name", BEYOND)
@pytest.mark.parametrize("solver", ["admm", "fista"])
def test_a_solver_that_is_stopped_says_how_far_it_is(solver: str, name: str) -> None:
    data = case("groups", 1, t=4, d=5, n=8)
    relation = registry()[name].example(4)
    if solver == "fista" and not isinstance(relation, Proximal):
        pytest.skip("FISTA takes one relation with a prox")
    best = MultiTaskRegressor(relation, tol=1e-10).fit(**data.arguments)
    for max_iter in (1, 2, 3, 5, 6):
        model = MultiTaskRegressor(relation, solver=solver, tol=1e-12, max_iter=max_iter)
        with pytest.warns(RelataskWarning, match=r"RT015: the \w+ solver stopped after \d+ iterations? at a relative"):
            model.fit(**data.arguments)
        assert model.n_iter_ == max_iter
        assert -1e-9 <= (model.objective_ - best.objective_) / model.objective_ <= model.residual_ + 1e-9


@given(SEEDS, ROADS)
@settings(max_examples=60, deadline=None)
def test_no_point_gives_a_bound_above_the_optimum(seed: int, road: dict) -> None:
    rng = np.random.default_rng(seed)
    data = draw_case(rng)
    relation = draw(BEYOND, data.t, rng)
    if seed % 2:
        relation = relation + registry()[QUADRATICS[seed % len(QUADRATICS)]].example(data.t)
    best = fit(data, relation, road, tol=1e-9, max_iter=50_000)
    target = problem_of(data, relation, road)
    shape = target.problem.shape
    rounding = 1e-9 * target.problem.constant
    for size in (0.0, 1e-3, 0.1, 1.0, 10.0, 1e3):
        W, *split = (size * rng.normal(size=shape) for _ in range(4))
        duals = split[: len(target.terms)]
        product = target.smooth_product(W)
        assert target.bound_from_residual(W, product, duals) <= best.objective_ + rounding
        assert target.bound_from_dual(duals, W if target.precision is not None else None) <= best.objective_ + rounding


def problem_of(data: Case, relation: Relation, road: dict) -> Objective:
    _, design = reading.design(data.X, **{k: v for k, v in data.arguments.items() if k != "X"})
    fit_ = Squared(road["weighting"], road["intercepts"])
    problem = Model(fit_, road["standardize"], False, "auto", 1e-6, 100).prepare(design.statistics())[3]
    return target_of(problem, relation)
