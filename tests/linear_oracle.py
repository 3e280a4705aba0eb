"""The linear models' objective written out row by row, and its optimum by other people's solvers: slow and plain."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from relatask.relations import (
    Chain,
    Dirty,
    FusedSparse,
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
    TreeGuided,
    parts,
)

WEIGHTINGS = ("sum", "task", "sample")
INTERCEPTS = ("free", "tied", "common", "none")
LAYOUTS = ("groups", "columns", "holes")


@dataclass(frozen=True)
class Case:
    """Data of one of three layouts: rows of groups, columns that share rows, columns with missing labels."""

    X: np.ndarray
    y: np.ndarray
    tasks: np.ndarray | None
    weights: np.ndarray | None
    t: int

    @property
    def arguments(self) -> dict[str, Any]:
        y = self.y[:, 0] if self.y.ndim == 2 and self.t == 1 else self.y
        return {"X": self.X, "y": y, "tasks": self.tasks, "sample_weight": self.weights}

    def labels(self) -> list[tuple[int, np.ndarray, float, float]]:
        """(task, x, label, weight) of every observed label."""
        out = []
        for i in range(len(self.X)):
            s = 1.0 if self.weights is None else float(self.weights[i])
            for k in range(self.t) if self.tasks is None else [int(self.tasks[i])]:
                label = float(self.y[i] if self.tasks is not None else self.y[i, k])
                if s > 0 and not np.isnan(label):
                    out.append((k, self.X[i], label, s))
        return out


def case(
    layout: str = "groups",
    seed: int = 0,
    t: int = 3,
    d: int = 4,
    n: int = 9,
    weighted: bool = False,
    noise: float = 1.0,
) -> Case:
    """A small random case; about n labels a task. Columns have their own means and scales."""
    rng = np.random.default_rng([seed, LAYOUTS.index(layout), t, d])
    W = rng.normal(size=(1, d)) + 0.5 * rng.normal(size=(t, d))
    intercept = rng.normal(size=t) * 3
    rows = n * t if layout == "groups" else n
    X = (rng.normal(size=(rows, d)) + rng.normal(size=d)) * np.exp(rng.normal(size=d))
    weights = rng.integers(0, 4, size=rows).astype(float) if weighted else None
    if layout == "groups":
        tasks = np.concatenate([np.arange(t), rng.integers(0, t, size=rows - t)])
        if weights is not None:
            weights[:t] = 1.0
        y = np.einsum("nd,nd->n", X, W[tasks]) + intercept[tasks] + noise * rng.normal(size=rows)
        X[tasks == 0] += 1.0  # tasks differ in where their rows lie
        return Case(X, y, tasks, weights, t)
    Y = X @ W.T + intercept + noise * rng.normal(size=(rows, t))
    if layout == "holes":
        Y[rng.random(Y.shape) < 0.3] = np.nan
        Y[:2] = rng.normal(size=(2, t))
    if weights is not None:
        weights[:2] = 1.0
    return Case(X, Y, None, weights, t)


def center_and_scale(data: Case, standardize: bool) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation of each column over the rows that have a label."""
    d = data.X.shape[1]
    if not standardize:
        return np.zeros(d), np.ones(d)
    s = np.ones(len(data.X)) if data.weights is None else data.weights
    seen = ~np.isnan(data.y) if data.y.ndim == 1 else ~np.isnan(data.y).all(1)
    s = s * seen
    mean = (s[:, None] * data.X).sum(0) / s.sum()
    spread = np.sqrt((s[:, None] * (data.X - mean) ** 2).sum(0) / s.sum())
    return mean, np.where(spread > 1e-12 * np.abs(mean), spread, 1.0)


def loss_weights(data: Case, weighting: str) -> np.ndarray:
    size = np.zeros(data.t)
    for k, _, _, s in data.labels():
        size[k] += s
    return {"sum": np.ones(data.t), "task": 1 / size, "sample": np.full(data.t, data.t / size.sum())}[weighting]


WRITTEN_OUT = (
    *(Ridge, Pairwise, Graph, Chain, TaskPrecision, TaskKernel, TraceForm),
    *(TraceNorm, SharedSparsity, Sparse),
)


def penalty(relation: Relation, W: np.ndarray) -> float:
    """R(W) by double loops over tasks; of relations not written out here the value itself, which others test."""
    t = len(W)
    total = 0.0
    for part in parts(relation):
        if not isinstance(part, WRITTEN_OUT):
            total += float(part(W))
            continue
        s: float = part.strength  # type: ignore[attr-defined]
        if isinstance(part, Sparse):
            total += s * sum(abs(float(v)) for v in W.ravel())
        elif isinstance(part, SharedSparsity):
            total += s * sum(float(np.sqrt(sum(W[k, j] ** 2 for k in range(t)))) for j in range(W.shape[1]))
        elif isinstance(part, TraceNorm):
            total += s * float(np.linalg.svd(W, compute_uv=False).sum())
        elif isinstance(part, Pairwise | Chain | Graph):
            A = graph(part, t)
            total += s * sum(A[i, j] * float(np.sum((W[i] - W[j]) ** 2)) for i in range(t) for j in range(t))
        else:
            P = precision(part, t)
            total += 0.5 * sum(P[i, j] * float(W[i] @ W[j]) for i in range(t) for j in range(t))
    return total


def precision(part: Relation, t: int) -> np.ndarray:
    """P of a quadratic relation, from its formula, entry by entry; of those not written out here, its own."""
    if not isinstance(part, WRITTEN_OUT):
        return part.precision(t).dense()  # type: ignore[attr-defined]
    s: float = part.strength  # type: ignore[attr-defined]
    if isinstance(part, Ridge):
        return s * np.eye(t)
    if isinstance(part, TaskPrecision):
        return s * part.K
    if isinstance(part, TaskKernel):
        return s * np.linalg.inv(part.K + part.jitter * np.eye(t))
    if isinstance(part, TraceForm):
        return 2 * s * part.A
    A = graph(part, t)
    P = np.zeros((t, t))
    for i in range(t):
        for j in range(t):
            if i != j:  # s A_ij ||w_i - w_j||^2 = 1/2 (2 s A_ij) (e_i - e_j)'(e_i - e_j)
                P[i, i] += 2 * s * A[i, j]
                P[j, j] += 2 * s * A[i, j]
                P[i, j] -= 2 * s * A[i, j]
                P[j, i] -= 2 * s * A[i, j]
    return P


def graph(part: Relation, t: int) -> np.ndarray:
    """A of a relation strength * sum over i, j of A_ij ||w_i - w_j||^2."""
    if isinstance(part, Pairwise):
        return np.ones((t, t))
    A = np.zeros((t, t))
    if isinstance(part, Chain):
        order = list(range(t)) if part.order is None else list(part.order)
        for a, b in itertools.pairwise(order):
            A[a, b] = A[b, a] = 0.5
        return A
    assert isinstance(part, Graph)
    if not isinstance(part.A, tuple):
        return part.A
    for a, b, weight in part.A:
        A[a, b] = A[b, a] = weight
    return A


def objective(
    data: Case,
    relation: Relation,
    coef: np.ndarray,
    intercept: np.ndarray,
    *,
    weighting: str = "sample",
    intercepts: str = "free",
    standardize: bool = True,
) -> float:
    """The objective at coefficients in original units."""
    c = loss_weights(data, weighting)
    total = 0.0
    for k, x, label, s in data.labels():
        total += c[k] * s * 0.5 * float(x @ coef[k] + intercept[k] - label) ** 2
    center, scale = center_and_scale(data, standardize)
    W = coef * scale
    if intercepts == "tied":
        W = np.hstack([W, (intercept + coef @ center)[:, None]])
    return total + penalty(relation, W)


@dataclass(frozen=True)
class System:
    """Weighted rows A theta ~ b of all tasks in one matrix, theta = (W ravelled, intercepts)."""

    A: np.ndarray
    b: np.ndarray
    t: int
    d: int
    penalised: int

    def W(self, theta: Any) -> list[list[Any]]:
        return [[theta[k * self.penalised + j] for j in range(self.penalised)] for k in range(self.t)]


def system(data: Case, *, weighting: str, intercepts: str, standardize: bool) -> System:
    c = loss_weights(data, weighting)
    center, scale = center_and_scale(data, standardize)
    t, d = data.t, data.X.shape[1]
    width = d + (intercepts == "tied")
    extra = {"free": t, "common": 1}.get(intercepts, 0)
    rows, targets = [], []
    for k, x, label, s in data.labels():
        row = np.zeros(t * width + extra)
        # Without an intercept the columns keep their origin.
        row[k * width : k * width + d] = (x - (center if intercepts != "none" else 0)) / scale
        if intercepts == "tied":
            row[k * width + d] = 1.0
        elif intercepts == "free":
            row[t * width + k] = 1.0
        elif intercepts == "common":
            row[t * width] = 1.0
        rows.append(np.sqrt(c[k] * s) * row)
        targets.append(np.sqrt(c[k] * s) * label)
    return System(np.array(rows), np.array(targets), t, d, width)


def quadratic_optimum(data: Case, relation: Relation, **settings: Any) -> float:
    """The least objective of a quadratic relation: dense least squares of all tasks at once, P's root as more rows."""
    S = system(data, **settings)
    root = _root(np.sum([precision(part, S.t) for part in parts(relation)], axis=0))
    more = np.zeros((S.t * S.penalised, S.A.shape[1]))
    more[:, : S.t * S.penalised] = np.kron(root, np.eye(S.penalised))
    A, b = np.vstack([S.A, more]), np.concatenate([S.b, np.zeros(len(more))])
    theta = np.linalg.lstsq(A, b, rcond=1e-13)[0]
    return 0.5 * float(np.sum((A @ theta - b) ** 2))


def convex_optimum(data: Case, relation: Relation, **settings: Any) -> float:
    """The least objective by cvxpy and CLARABEL."""
    import cvxpy as cp

    S = system(data, **settings)
    width, size = S.penalised, S.t * S.penalised
    theta = cp.Variable(S.A.shape[1])
    W = cp.reshape(theta[:size], (S.t, width), order="C")
    total = 0.5 * cp.sum_squares(S.A @ theta - S.b)
    for part in [term for whole in parts(relation) for term in whole.terms()]:
        s: float = part.strength  # type: ignore[attr-defined]
        if isinstance(part, Dirty):
            P, norm = cp.Variable(W.shape), cp.norm_inf if part.shared == "max" else cp.norm2
            total += s * sum(norm(P[:, j]) for j in range(width)) + part.sparse * cp.norm1(W - P)
        elif isinstance(part, FusedSparse):
            order = range(S.t) if part.order is None else part.order
            total += s * sum(cp.norm1(W[a] - W[b]) for a, b in itertools.pairwise(order))
            total += part.sparse * cp.norm1(W) + part.shared * sum(cp.norm2(W[:, j]) for j in range(width))
        elif isinstance(part, TreeGuided):
            total += s * sum(c * cp.norm2(W[rows, j]) for c, rows in nodes(part) for j in range(width))
        elif isinstance(part, Sparse):
            total += s * cp.norm1(W)
        elif isinstance(part, SharedSparsity):
            total += s * sum(cp.norm2(W[:, j]) for j in range(width))
        elif isinstance(part, TraceNorm):
            total += s * cp.normNuc(W)
        else:
            total += 0.5 * cp.sum_squares(_root(precision(part, S.t)) @ W)
    problem = cp.Problem(cp.Minimize(total))
    tight = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}
    with warnings.catch_warnings():
        # It says "may be inaccurate" where it stops a little short of tolerances as tight as these.
        warnings.simplefilter("ignore", UserWarning)
        problem.solve(solver=cp.CLARABEL, **tight)
    return float(problem.value)


def nodes(part: TreeGuided) -> list[tuple[float, list[int]]]:
    """(weight, tasks) of every group of a tree over tasks 0 .. t - 1."""
    depth = len(part.tree[0])
    paths = {path[0]: (0, *path[1:], path[0]) for path in part.tree}
    weights = part.levels or [
        (1 + level) / (depth + 1) * float(np.prod([(depth - above) / (depth + 1) for above in range(level)]))
        for level in range(depth + 1)
    ]
    found: dict[tuple[int, Any], list[int]] = {}
    for task, path in paths.items():
        for level, group in enumerate(path):
            found.setdefault((level, group), []).append(task)
    return [(weights[level], tasks) for (level, _), tasks in found.items()]


def _root(P: np.ndarray) -> np.ndarray:
    """R with R'R = P; what is rounding among the eigenvalues would be a ridge, and is cut."""
    values, vectors = np.linalg.eigh(P)
    return (vectors * np.sqrt(np.where(values > 1e-13 * values[-1], values, 0))).T


def with_strength(relation: Relation, strength: float) -> Relation:
    return replace(relation, strength=strength)  # type: ignore[call-arg]
