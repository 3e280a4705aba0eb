"""Datafits: how a task's data enter the objective. Squared loss needs sufficient statistics only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from relatask.linear.problem import Problem
from relatask.linear.sums.buckets import uncentred
from relatask.linear.sums.common import joined
from relatask.linear.sums.forms import Array, Bucket, Forms
from relatask.linear.sums.statistics import Statistics

Weighting = Literal["sum", "task", "sample"]
Intercept = Literal["free", "tied", "common", "none"]


@dataclass(frozen=True)
class Squared:
    """sum_k c_k sum_i s_i 1/2 (x_i w_k + b_k - y_i)^2, with c_k = 1, 1/n_k or t/N, and intercepts eliminated.

    A task's own weight multiplies c_k last.

    ``intercept="tied"`` adds a constant column, so that the relation acts on the intercepts too; ``"common"``
    eliminates one intercept for all tasks, which couples them; ``"free"`` eliminates one a task.
    """

    weighting: Weighting = "sample"
    intercept: Intercept = "free"
    task_weight: tuple[float, ...] | None = None

    def loss_weights(self, stats: Statistics) -> Array:
        """(t,) c_k."""
        own = np.ones(stats.n_tasks) if self.task_weight is None else np.array(self.task_weight)
        if self.weighting == "sum":
            return own
        if self.weighting == "task":
            return np.divide(own, stats.weight, out=np.zeros(stats.n_tasks), where=stats.weight > 0)
        return own * (stats.n_tasks / stats.weight.sum())

    def problem(self, stats: Statistics, center: Array) -> Problem:
        """The objective in W alone, for features measured from (d,) `center`."""
        c = self.loss_weights(stats)
        n, mean_y = stats.weight, stats.mean_y
        if self.intercept == "free":
            forms, cross, yy = stats.forms, stats.cross, stats.yy
        else:
            shift = stats.mean_x - center
            if self.intercept == "common":
                # The intercept takes any offset of y: taken out first, it cannot drown the digits of the rest.
                mean_y = mean_y - (c * n) @ mean_y / (c @ n)
            one = np.ones((stats.n_tasks, 1)) if self.intercept == "tied" else np.zeros((stats.n_tasks, 0))
            mean = np.hstack([shift, one])
            forms = uncentred(stats.forms, mean, n, extra=one.shape[1])
            cross = np.hstack([stats.cross, 0 * one]) + (n * mean_y)[:, None] * mean
            yy = stats.yy + n * mean_y**2
        problem = Problem(forms.scaled(c), cross * c[:, None], 0.5 * float(c @ yy))
        if self.intercept != "common":
            return problem
        return replace(problem, coupling=(c * n)[:, None] * shift / np.sqrt(c @ n))

    def intercepts(self, stats: Statistics, center: Array, W: Array) -> tuple[Array, Array]:
        """Split W into coefficients (t, d) and intercepts (t,), for features measured from 0."""
        if self.intercept == "free":
            return W, stats.mean_y - np.einsum("td,td->t", stats.mean_x, W)
        if self.intercept == "tied":
            return W[:, :-1], W[:, -1] - W[:, :-1] @ center
        if self.intercept == "none":
            return W, np.zeros(stats.n_tasks)
        weight = self.loss_weights(stats) * stats.weight
        residual = stats.mean_y - np.einsum("td,td->t", stats.mean_x - center, W)
        return W, weight @ residual / weight.sum() - W @ center


def pooled(problem: Problem) -> Problem:
    """The same objective with one coefficient vector for all tasks: a problem of one task."""
    t, d = problem.shape
    if (rows := joined(problem.forms, np.ones(t))) is not None:
        coupling = None if problem.coupling is None else problem.coupling.sum(0, keepdims=True)
        return Problem(Forms((rows,), 1, d), problem.cross.sum(0, keepdims=True), problem.constant, coupling)
    gram = problem.forms.combined(np.ones(t))
    coupling = None if problem.coupling is None else problem.coupling.sum(0)
    if coupling is not None:
        gram = gram - np.multiply.outer(coupling, coupling)
    bucket = Bucket(np.zeros(1, dtype=np.intp), np.ones(1), gram=gram[None])
    return Problem(Forms((bucket,), 1, d), problem.cross.sum(0, keepdims=True), problem.constant)
