"""Relations of every structure, and a model's rows written out, for the tests of chosen strengths."""

from __future__ import annotations

import numpy as np

from linear_oracle import Case, center_and_scale, loss_weights
from relatask.linear.input import reading
from relatask.linear.input.design import Design
from relatask.linear.losses.squared import Squared
from relatask.linear.path import Model
from relatask.linear.sums.statistics import Statistics
from relatask.relations import Chain, Graph, Pairwise, Relation, Ridge, TaskPrecision, parts

INTERCEPTS = ("free", "tied", "common", "none")
RING = np.array([[0, 1, 0, 1], [1, 0, 2, 0], [0, 2, 0, 1], [1, 0, 1, 0.0]])
STRUCTURES: dict[str, Relation] = {
    "diagonal": Ridge(0.7),
    "complete graph": Pairwise(0.2),
    "complete graph and ridge": Pairwise(0.2) + Ridge(0.1),
    "forest": Chain(0.4, order=(2, 0, 3, 1)),
    "forest and ridge": Chain(0.4) + Ridge(0.1),
    "cycle": Graph(RING, 0.3),
    "dense": TaskPrecision(np.linalg.inv(0.5 * np.eye(4) + 0.5), 0.3),
    "graph on a complete graph": Graph(RING, 0.3) + Pairwise(0.1),
}


def setting(data: Case, intercept: str, weighting: str = "task") -> tuple[Design, Statistics, Model]:
    """Rows, their statistics, and a model of standardised columns."""
    design = reading.design(data.X, data.y, data.tasks, data.weights)[1]
    model = Model(Squared(weighting, intercept), True, False, "auto", 1e-9, 10_000)
    return design, design.statistics(), model


def rows_of(data: Case, intercept: str, weighting: str) -> tuple[np.ndarray, ...]:
    """Every label's row among all tasks' coefficients and intercepts, its value, loss weight and own weight, task."""
    center, scale = center_and_scale(data, True)
    c, d = loss_weights(data, weighting), data.X.shape[1]
    width = d + (intercept == "tied")
    extra = {"free": data.t, "common": 1}.get(intercept, 0)
    A = []
    for k, x, _, _ in data.labels():
        row = np.zeros(data.t * width + extra)
        row[k * width : k * width + d] = x / scale - (0.0 if intercept == "none" else center / scale)
        row[k * width + d : (k + 1) * width] = 1.0
        if extra:
            row[data.t * width + (k if intercept == "free" else 0)] = 1.0
        A.append(row)
    labels = data.labels()
    y, s = np.array([label[2] for label in labels]), np.array([label[3] for label in labels])
    task = np.array([label[0] for label in labels])
    return np.array(A), y, c[task] * s, s, task


def precision_of(relation: Relation, t: int, width: int, extra: int) -> np.ndarray:
    out = np.zeros((t * width + extra, t * width + extra))
    P = sum(part.precision(t).dense() for part in parts(relation))
    out[: t * width, : t * width] = np.kron(P, np.eye(width))
    return out
