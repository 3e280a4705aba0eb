"""The linear models reach the optimum of their objective, by every road through weighting and intercepts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from linear_oracle import (
    INTERCEPTS,
    LAYOUTS,
    WEIGHTINGS,
    case,
    convex_optimum,
    objective,
    quadratic_optimum,
)
from relatask.linear import MultiTaskRegressor
from relatask.relations import (
    Chain,
    Graph,
    Pairwise,
    Relation,
    Ridge,
    SharedSparsity,
    Sparse,
    TaskKernel,
    TaskPrecision,
    TraceForm,
    TraceNorm,
)

K = np.array([[2.0, 0.9, -0.3, 0.1], [0.9, 1.5, 0.2, 0.0], [-0.3, 0.2, 1.0, 0.4], [0.1, 0.0, 0.4, 1.2]])
SINGULAR = np.outer([1.0, -1.0, 0.5, 2.0], [1.0, -1.0, 0.5, 2.0])
WEIGHTS = np.array([[0.0, 1.0, 0.5, 0.0], [1.0, 0.0, 0.3, 0.0], [0.5, 0.3, 0.0, 0.2], [0.0, 0.0, 0.2, 0.0]])

QUADRATICS: dict[str, Relation] = {
    "ridge": Ridge(0.7),
    "no ridge": Ridge(0.0),
    "pairwise": Pairwise(0.05),
    "strong pairwise": Pairwise(1e4),
    "graph": Graph(WEIGHTS, 0.4),
    "graph in two parts": Graph([(0, 1, 2.0), (2, 3, 0.5)], 0.4),
    "chain": Chain(0.6),
    "chain in another order": Chain(0.6, order=(2, 0, 3, 1)),
    "precision": TaskPrecision(K, 0.3),
    "singular precision": TaskPrecision(SINGULAR, 0.3),
    "kernel": TaskKernel(K, 0.3),
    "trace form": TraceForm(K, 0.3),
    "ridge and pairwise": Ridge(0.2) + Pairwise(0.1),
    "chain and pairwise": Chain(0.5) + Pairwise(0.02),
    "chain and ridge": Chain(0.5) + Ridge(0.1),
    "graph, precision and ridge": Graph(WEIGHTS, 0.2) + TaskPrecision(SINGULAR, 0.1) + Ridge(0.05),
}
NORMS: dict[str, Relation] = {
    "trace norm": TraceNorm(0.8),
    "shared sparsity": SharedSparsity(0.6),
    "sparse": Sparse(0.3),
    "trace norm and ridge": TraceNorm(0.5) + Ridge(0.2),
    "sparse and pairwise": Sparse(0.2) + Pairwise(0.05),
    "shared and chain": SharedSparsity(0.3) + Chain(0.3),
    "all norms": TraceNorm(0.2) + SharedSparsity(0.2) + Sparse(0.1),
    "norms and graph": TraceNorm(0.3) + Sparse(0.1) + Graph(WEIGHTS, 0.2),
}
ROADS = list(itertools.product(WEIGHTINGS, INTERCEPTS, (True, False)))


@pytest.mark.filterwarnings("ignore:RT005")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", QUADRATICS)
def test_quadratic_relations_against_dense_normal_equations(name: str, layout: str) -> None:
    relation = QUADRATICS[name]
    for seed, (weighting, intercepts, standardize) in enumerate(ROADS):
        # Few rows every third time, so that tasks are underdetermined.
        data = case(layout, seed, t=4, d=4, n=4 if seed % 3 == 0 else 10, weighted=seed % 2 == 1)
        settings = {"weighting": weighting, "intercepts": intercepts, "standardize": standardize}
        optimum = quadratic_optimum(data, relation, **settings)
        model = MultiTaskRegressor(relation, weighting=weighting, intercept=intercepts, standardize=standardize)
        model.fit(**data.arguments)
        reached = objective(data, relation, model.coef_, model.intercept_, **settings)
        where = f"{name}, {layout}, {settings}, seed {seed}"
        assert model.residual_ <= model.tol, where
        assert reached == pytest.approx(optimum, rel=1e-6, abs=1e-9), where
        assert model.objective_ == pytest.approx(reached, rel=1e-7, abs=1e-9), where
        assert reached >= optimum - 1e-9 * max(1, abs(optimum)), where


@pytest.mark.filterwarnings("ignore:RT005")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", NORMS)
def test_norms_against_cvxpy(name: str, layout: str) -> None:
    relation = NORMS[name]
    first = (list(NORMS).index(name) + LAYOUTS.index(layout)) % 3
    for seed, (weighting, intercepts, standardize) in list(enumerate(ROADS))[first::3]:
        data = case(layout, seed, t=4, d=3, n=8, weighted=seed % 2 == 1)
        settings = {"weighting": weighting, "intercepts": intercepts, "standardize": standardize}
        optimum = convex_optimum(data, relation, **settings)
        model = MultiTaskRegressor(
            relation, weighting=weighting, intercept=intercepts, standardize=standardize, tol=1e-7
        ).fit(**data.arguments)
        reached = objective(data, relation, model.coef_, model.intercept_, **settings)
        where = f"{name}, {layout}, {settings}, seed {seed}"
        assert model.residual_ <= model.tol, where
        assert reached == pytest.approx(optimum, rel=1e-6, abs=1e-9), where
        assert model.objective_ == pytest.approx(reached, rel=1e-8, abs=1e-9), where
        # The certificate is honest: the true optimum is no further below than it says.
        assert reached - optimum <= model.residual_ * abs(reached) + 1e-8 * abs(optimum), where
        assert reached >= optimum - 1e-7 * abs(optimum), where
