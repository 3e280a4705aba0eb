"""Every relation under every loss: solved to what is claimed, or refused by name."""

from __future__ import annotations

import warnings
import zlib

import numpy as np
import pytest

from relatask.linear import MultiTaskClassifier, MultiTaskLinear, MultiTaskRegressor
from relatask.notices import InputError, RelataskWarning
from relatask.relations import (
    Alternating,
    Dirty,
    FeatureQuadratic,
    HierarchicalPrior,
    LearnedCovariance,
    LearnedGraph,
    Relation,
    Smooth,
    is_quadratic,
    registry,
    strengths,
    with_parameters,
)

T, N, D = 4, 9, 3
LOSSES = ("squared", "root_squared", "huber", "poisson", "logistic", "multinomial")
PLAIN = {"weighting": "sum", "intercept": "none", "standardize": False}


def drawn(kind: type[Relation], rng: np.random.Generator) -> Relation:
    """The kind's example, its strengths up to ten times smaller or larger."""
    relation = kind.example(T, D) if issubclass(kind, FeatureQuadratic) else kind.example(T)
    names = {name: value for name, value in strengths(relation).items() if value}
    return with_parameters(relation, **{k: v * 10 ** rng.uniform(-1, 1) for k, v in names.items()})


def labels(loss: str, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels that follow a linear predictor (n,), with noise."""
    z = eta + rng.normal(size=len(eta))
    if loss == "poisson":
        return rng.poisson(np.exp(np.clip(0.5 * eta, -3, 2))).astype(float)
    if loss == "logistic":
        return (z > 0).astype(float)
    return np.digitize(z, [-0.7, 0.7]).astype(float) if loss == "multinomial" else z


def value_and_slopes(loss: str, eta: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """One task's loss at predictors (n,) or (n, 3), and its slopes."""
    r = eta - y[:, None] if loss != "multinomial" else eta
    if loss == "squared":
        return 0.5 * float(np.sum(r**2)), r
    if loss == "root_squared":
        norm = float(np.linalg.norm(r))
        return np.sqrt(len(y)) * norm, np.sqrt(len(y)) * r / norm
    if loss == "huber":
        delta = 1.35
        return float(np.where(np.abs(r) <= delta, 0.5 * r**2, delta * (np.abs(r) - 0.5 * delta)).sum()), r.clip(
            -delta, delta
        )
    if loss == "poisson":
        entropy = np.where(y > 0, y * np.log(np.maximum(y, 1.0)) - y, 0.0)
        return float(np.sum(np.exp(eta[:, 0]) - y * eta[:, 0] + entropy)), np.exp(eta) - y[:, None]
    if loss == "logistic":
        return float(np.sum(np.logaddexp(0, eta[:, 0]) - y * eta[:, 0])), 1 / (1 + np.exp(-eta)) - y[:, None]
    hot = y[:, None] == np.arange(3)
    top = np.logaddexp.reduce(eta, axis=1, keepdims=True)
    return float(np.sum(top[:, 0] - eta[hot])), np.exp(eta - top) - hot


def whole(loss: str, X: np.ndarray, y: np.ndarray, W: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss of all tasks at W (t, C, d), and its gradient."""
    total, gradient = 0.0, np.zeros_like(W)
    for k in range(T):
        x, own = X[k * N : (k + 1) * N], y[k * N : (k + 1) * N]
        value, slopes = value_and_slopes(loss, x @ W[k].T, own)
        total, gradient[k] = total + value, slopes.T @ x
    return total, gradient


def price(relation: Relation, W: np.ndarray) -> float:
    """The relation on each class of W (t, C, d)."""
    return sum(float(relation(W[:, c])) for c in range(W.shape[1]))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", registry().values(), ids=lambda kind: kind.__name__)
def test_every_fit_ends_where_it_claims_to(kind: type[Relation], loss: str) -> None:
    rng = np.random.default_rng(zlib.crc32(f"{kind.__name__} {loss}".encode()))
    relation = drawn(kind, rng)
    X, tasks = rng.normal(size=(T * N, D)), np.repeat(np.arange(T), N)
    truth = rng.normal(size=D) + 0.5 * rng.normal(size=(T, D))
    y = labels(loss, np.einsum("nd,nd->n", X, truth[tasks]), rng)
    classes = loss in ("logistic", "multinomial")
    # A prior over tasks weighs them by their noise, and has intercepts of its own.
    plain = {} if kind is HierarchicalPrior else PLAIN
    settings = plain | ({} if classes else {"loss": loss})
    model = (MultiTaskClassifier if classes else MultiTaskRegressor)(relation, **settings)
    bent = isinstance(relation, Alternating | Smooth)
    if loss != "squared" and kind.alone:
        told = f"{kind.__name__} is for the squared loss alone|{kind.__name__}, which takes squared loss"
        with pytest.raises(InputError, match=told):
            model.fit(X, y, tasks)
        return
    if loss == "multinomial" and bent:
        with pytest.raises(InputError, match=f"{kind.__name__} is not for several classes"):
            model.fit(X, y, tasks)
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="RT018", category=RelataskWarning)  # a part that vanishes
        model.fit(X, y, tasks)
    W = model.coef_ if model.coef_.ndim == 3 else model.coef_[:, None, :]
    assert np.isfinite(W).all()
    assert 0 <= model.residual_ <= model.tol
    if kind.alone:  # asked elsewhere: their objectives are not of W alone
        return
    reached = whole(loss, X, y, W)[0] + price(model.relation_, W)
    assert model.objective_ == pytest.approx(reached, rel=1e-6, abs=1e-8)
    if bent:
        return
    start = float(np.linalg.norm(whole(loss, X, y, np.zeros_like(W))[1]))
    for size in (1e-5, 1e-3, 0.1, 1.0):
        for _ in range(3):
            step = size * rng.normal(size=W.shape)
            near = whole(loss, X, y, W + step)[0] + price(relation, W + step)
            # A gap of the objective; or a gradient, and what it promises at most.
            gap = start * float(np.linalg.norm(step)) if is_quadratic(relation) else abs(reached)
            assert near >= reached - model.residual_ * gap - 1e-9 * max(1.0, abs(reached))


def test_what_is_learned_and_what_is_added_up_is_there_under_other_losses() -> None:
    rng = np.random.default_rng(0)
    X, tasks = rng.normal(size=(T * 20, D)), np.repeat(np.arange(T), 20)
    y = (X[:, 0] + 0.7 * rng.normal(size=len(X)) > 0).astype(int)
    assert MultiTaskClassifier(LearnedCovariance(0.1, 0.1)).fit(X, y, tasks).relation_.covariance.shape == (T, T)
    assert MultiTaskClassifier(LearnedGraph(0.1, 0.1)).fit(X, y, tasks).relation_.precision.shape == (T, T)
    for model in (MultiTaskClassifier(Dirty(0.012, 0.006)), MultiTaskRegressor(Dirty(0.012, 0.006), loss="huber")):
        model.fit(X, y, tasks)
        assert set(model.components_) == {"shared", "sparse"}
        np.testing.assert_allclose(sum(model.components_.values()), model.coef_, atol=1e-12)
    kinds = dict.fromkeys(range(T), "binary") | {0: "regression"}
    for name in ("TaskRelationNetwork", "HierarchicalPrior"):
        with pytest.raises(InputError, match=f"{name} is for the squared loss alone"):
            MultiTaskLinear(kinds, registry()[name].example(T)).fit(X, y, tasks)
