"""The network of related tasks from statistics: R eliminated exactly at every W, W by limited-memory BFGS.

Given W, the best row R_k solves (W G_k W' + c I) R_k = W (b_k - G_k w_k), c = 2 beta/S: one ridge regression a task.
What is left is a smooth function of W alone, and its gradient is that of the joint objective at that R.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from relatask.linear.problem import Problem, Solution
from relatask.linear.solvers.direct import direct
from relatask.linear.solvers.family import family
from relatask.linear.solvers.smooth import descend
from relatask.linear.sums.forms import Array
from relatask.relations import Chain, Ridge, TaskRelationNetwork
from relatask.relations.precision import Precision

STIFF = 100.0
"""One of the starts has its chain this many times stronger."""


@dataclass(frozen=True, eq=False)
class Joint:
    """f(W, R) = F((I + R) W) + 1/2 tr(W' P W) + price/2 ||R||_F^2."""

    problem: Problem
    relation: TaskRelationNetwork

    def best(self, W: Array) -> Array:
        """R (t, t), the best given W: one system a task, of size t or d, whichever is smaller."""
        t, d = W.shape
        u, price = self.problem.coupling, self.relation.price()
        own = self.problem.cross - self.problem.forms.apply(W[:, None, :])[:, 0]
        right = own[:, :, None] if u is None else np.stack([own, u], axis=2)
        if t <= d:
            R = np.linalg.solve(W @ self._grams @ W.T + price * np.eye(t), W @ right)
        else:  # (W G W' + c I)^-1 W = W (G W' W + c I)^-1
            R = W @ np.linalg.solve(self._grams @ (W.T @ W) + price * np.eye(d), right)
        if u is None:
            return np.asarray(R[:, :, 0])
        # The intercept that all tasks share adds u * s to what is to be explained, s = <u, (I + R) W>.
        without, slope = float(np.vdot(u, W + R[:, :, 0] @ W)), float(np.vdot(u, R[:, :, 1] @ W))
        return np.asarray(R[:, :, 0] + without / (1 - slope) * R[:, :, 1])

    def value(self, W: Array, R: Array) -> float:
        """f(W, R)."""
        cost = float(np.vdot(W, self._precision.apply(W))) + self.relation.price() * float(np.vdot(R, R))
        return self.problem.value(W + R @ W) + cost / 2

    def gradient(self, W: Array, R: Array) -> tuple[Array, Array]:
        """Its gradients in W and in R."""
        slope = self.problem.gradient(W + R @ W)
        return slope + R.T @ slope + self._precision.apply(W), slope @ W.T + self.relation.price() * R

    def reduced(self, W: Array) -> tuple[float, Array]:
        """The least f over R, and its gradient in W."""
        R = self.best(W)
        return self.value(W, R), self.gradient(W, R)[0]

    @cached_property
    def _grams(self) -> Array:
        return self.problem.forms.dense()

    @cached_property
    def _precision(self) -> Precision:
        return self.relation.quadratic(self.problem.shape[0])


def network(
    problem: Problem,
    relation: TaskRelationNetwork,
    *,
    tol: float,
    max_iter: int,
    start: Array | None = None,
    alone: bool = False,
) -> Solution:
    """Find a stationary point of the joint objective in W and R.

    Begun at 0, at the solutions without relationships (the chain as it is, none, and a hundred times as strong) and at
    the W of `start` (there `alone`, along a path); the lowest end is returned.
    The residual is the norm of the gradient in W and R over that at
    W = 0, R = 0. Memory is t d^2, whatever the forms are held as.

    Returns
    -------
    Solution, its W the coefficients (I + R) W, its `relation` holding R and the tasks' own W
    """
    joint = Joint(problem, relation)
    chain, ridge = float(relation.chain), float(relation.ridge)
    zero = np.zeros(problem.shape)
    begin = [zero]
    factors = (1.0, 0.0, STIFF) if chain > 0 else (0.0,)
    for factor in () if alone and start is not None else factors:
        one = family([Chain(chain * factor, relation.order) + Ridge(ridge)], problem.shape[0])
        begin.append(direct(problem, one, tol=tol, max_iter=max_iter)[0][:, 0])
    if start is not None:
        begin = [start] if alone else [*begin, start]
    best, _, n_iter = descend(joint.reduced, begin, tol=tol, max_iter=max_iter, zero=zero)
    W, R = best.W, joint.best(best.W)
    slope = float(np.sqrt(sum(np.sum(np.square(part)) for part in joint.gradient(W, R))))
    size = float(np.linalg.norm(problem.cross))
    learned = replace(relation, R=R, W=W)
    return Solution(
        W + R @ W,
        joint.value(W, R),
        slope / size if size > 0 else 0.0,
        n_iter,
        "lbfgs",
        certified=False,
        relation=learned,
    )
