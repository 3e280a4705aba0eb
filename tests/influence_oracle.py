"""Normal equations of all tasks at once, written out: hat matrices, and fits without rows, by least squares."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from linear_oracle import Case, center_and_scale, loss_weights, precision
from relatask.relations import (
    Chain,
    Graph,
    Pairwise,
    Relation,
    Ridge,
    TaskKernel,
    TaskPrecision,
)

A = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
K = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 1.0]])


RELATIONS: dict[str, Relation] = {
    "pairwise": Pairwise(0.05),
    "pairwise + ridge": Pairwise(0.05) + Ridge(0.1),
    "ridge": Ridge(0.3),
    "graph": Graph(A, 0.1),
    "chain": Chain(strength=0.2),
    "precision": TaskPrecision(K, 0.3),
    "kernel": TaskKernel(K, 0.3),
}


class Written:
    """The labels of a case one by one, and the normal equations of all coefficients at once, by least squares."""

    def __init__(self, data: Case, relation: Relation, intercept: str, weighting: str) -> None:
        self.data, self.t = data, data.t
        self.labels = data.labels()
        self.task = np.array([k for k, *_ in self.labels])
        self.y = np.array([y for *_, y, _ in self.labels])
        self.s = np.array([s for *_, s in self.labels])
        center, scale = center_and_scale(data, True)
        Z = (np.array([x for _, x, _, _ in self.labels]) - (center if intercept != "none" else 0)) / scale
        d = Z.shape[1]
        if intercept == "tied":
            Z = np.hstack([Z, np.ones((len(Z), 1))])
        q = Z.shape[1]
        own = np.zeros((len(Z), self.t, q))
        own[np.arange(len(Z)), self.task] = Z
        level = {"free": np.eye(self.t)[self.task], "common": np.ones((len(Z), 1))}.get(
            intercept, np.zeros((len(Z), 0))
        )
        self.rows = np.hstack([own.reshape(len(Z), -1), level])
        self.penalty = np.zeros((self.rows.shape[1],) * 2)
        P = sum(precision(part, self.t) for part in getattr(relation, "parts", (relation,)))
        self.penalty[: self.t * q, : self.t * q] = np.kron(P, np.eye(q))
        self.c = loss_weights(data, weighting)
        self.pull = self.c[self.task] * self.s
        self.scale, self.q, self.d = scale, q, d

    def hat(self, kept: np.ndarray) -> np.ndarray:
        """(N, N) from labels to fitted values of all rows, the labels that are not `kept` taken for missing."""
        pull = self.pull * kept
        normal = self.rows.T @ (pull[:, None] * self.rows) + self.penalty
        return self.rows @ np.linalg.lstsq(normal, self.rows.T * pull, rcond=1e-12)[0]

    def left_out(self, kept: np.ndarray) -> np.ndarray:
        """(N,) squared leave-one-out errors by fits without the label, NaN at leverage 1."""
        found = np.full(len(self.y), np.nan)
        for a in np.flatnonzero(kept):
            without = kept.copy()
            without[a] = False
            if self.hat(kept)[a, a] < 1 - 1e-9:
                found[a] = (self.y[a] - self.hat(without)[a] @ self.y) ** 2
        return found


def shares(H: np.ndarray, task: np.ndarray, s: np.ndarray) -> np.ndarray:
    t = task.max() + 1
    whitened = np.square(np.sqrt(s)[:, None] * H / np.sqrt(s))
    T = np.array([[whitened[np.ix_(task == i, task == j)].sum() for j in range(t)] for i in range(t)])
    return T / T.sum(1, keepdims=True)


def quiet(fit: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit()
