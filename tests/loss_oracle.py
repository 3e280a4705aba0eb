"""Losses beyond the squared one, written out label by label, and their optimum by cvxpy: slow and plain."""

from __future__ import annotations

import warnings
from typing import Any

import cvxpy as cp
import numpy as np
from tests.linear_oracle import Case, _root, case, center_and_scale, loss_weights, precision

from relatask.linear.losses import ByTask, Huber, Logistic, Multinomial, Poisson, RootSquared, SquaredError
from relatask.relations import Pairwise, Relation, SharedSparsity, Sparse, TraceNorm, parts

QUIET = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}


def labelled(loss: Any, layout: str, seed: int = 0, **settings: Any) -> Case:
    """A case whose labels the loss can have, every class in every task."""
    data = case(layout, seed=seed, **settings)
    rng = np.random.default_rng([seed, 7])
    y = data.y
    tasks = np.arange(data.t) if data.tasks is None else data.tasks
    out = np.array(y)
    for k in range(data.t):
        own = (..., k) if data.tasks is None else tasks == k
        out[own] = _like(loss.losses[k] if isinstance(loss, ByTask) else loss, y[own], rng)
    return Case(data.X, out, data.tasks, data.weights, data.t)


def _like(loss: Any, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    z = (y - np.nanmean(y)) / np.nanstd(y) + rng.normal(size=len(y))
    if isinstance(loss, Logistic):
        return np.where(np.isnan(z), np.nan, (z > np.nanmedian(z)).astype(float))
    if isinstance(loss, Poisson):
        return np.where(np.isnan(z), np.nan, np.floor(np.exp(0.7 * np.nan_to_num(z)) + 0.5))
    if isinstance(loss, Multinomial):
        cuts = np.nanquantile(z, np.arange(1, loss.n_classes) / loss.n_classes)
        return np.where(np.isnan(z), np.nan, np.searchsorted(cuts, np.nan_to_num(z)).astype(float))
    return z


def optimum(
    data: Case, loss: Any, relation: Relation, *, weighting: str, intercepts: str, standardize: bool = True
) -> float:
    """The least objective, by cvxpy and CLARABEL."""
    mean, scale = center_and_scale(data, standardize)
    center = mean if standardize and intercepts in ("tied", "common") else np.zeros(len(mean))
    t, d = data.t, data.X.shape[1] + (intercepts == "tied")
    c = loss_weights(data, weighting)
    n_classes = loss.n_classes if isinstance(loss, Multinomial) else 1
    W = [cp.Variable((t, d)) for _ in range(n_classes)]
    b = [cp.Variable(t) for _ in range(n_classes)]
    total: Any = 0
    rows: list[list[tuple[np.ndarray, float, float]]] = [[] for _ in range(t)]
    for k, x, label, s in data.labels():
        z = (x - center) / scale
        rows[k].append((np.append(z, 1.0) if intercepts == "tied" else z, label, s))
    for k in range(t):
        Z, y, s = (np.array(v) for v in zip(*rows[k], strict=True))
        eta = []
        for one in range(n_classes):
            offset = {"free": b[one][k], "common": b[one][0]}.get(intercepts, 0.0)
            eta.append(Z @ W[one][k] + offset)
        own = loss.losses[k] if isinstance(loss, ByTask) else loss
        floor = 1e-3 * np.sqrt(s @ (y - s @ y / s.sum()) ** 2)
        total += c[k] * _loss(own, eta, y, s, floor)
    for own in W:
        total += _relation(relation, own, t, d)
    problem = cp.Problem(cp.Minimize(total))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.solve(solver=cp.CLARABEL, **QUIET)
    return float(problem.value)


def _loss(loss: Any, etas: list[Any], y: np.ndarray, s: np.ndarray, floor: float) -> Any:
    eta = etas[0]
    if isinstance(loss, Logistic):
        return s @ (cp.logistic(eta) - cp.multiply(y, eta))
    if isinstance(loss, Poisson):
        constant = np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0)), 0.0) - y
        return s @ (cp.exp(eta) - cp.multiply(y, eta) + constant)
    if isinstance(loss, Huber):
        return s @ (0.5 * cp.huber(eta - y, loss.delta))
    if isinstance(loss, SquaredError):
        return 0.5 * cp.sum_squares(cp.multiply(np.sqrt(s), eta - y))
    if isinstance(loss, RootSquared):
        # sqrt(q), smoothed below f: the infimal convolution of a norm with a square.
        v = cp.Variable(len(y))
        norm = cp.norm2(cp.multiply(np.sqrt(s), eta - y) - v)
        return np.sqrt(s.sum()) * (norm + cp.sum_squares(v) / (2 * floor) + 0.5 * floor)
    assert isinstance(loss, Multinomial)
    stacked = cp.vstack(etas).T
    hot = (y[:, None] == np.arange(loss.n_classes)).astype(float)
    return s @ (cp.log_sum_exp(stacked, axis=1) - cp.sum(cp.multiply(hot, stacked), axis=1))


def _relation(relation: Relation, W: Any, t: int, d: int) -> Any:
    total: Any = 0
    for part in parts(relation):
        strength = part.strength  # type: ignore[attr-defined]
        if isinstance(part, Sparse):
            total += strength * cp.norm1(W)
        elif isinstance(part, SharedSparsity):
            total += strength * sum(cp.norm2(W[:, j]) for j in range(d))
        elif isinstance(part, TraceNorm):
            total += strength * cp.normNuc(W)
        else:
            total += 0.5 * cp.sum_squares(_root(precision(part, t)) @ W)
    return total


__all__ = ["Pairwise", "labelled", "optimum"]
