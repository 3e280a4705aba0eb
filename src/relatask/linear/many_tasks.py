"""Very many tasks pulled to their mean, some at a time: nothing is held but their sums and their coefficients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from relatask.linear.features import prices_features
from relatask.linear.losses.squared import Squared
from relatask.linear.path import Model
from relatask.linear.problem import Problem, Solution
from relatask.linear.solvers.auto import Start
from relatask.linear.solvers.direct import AIM
from relatask.linear.solvers.family import family
from relatask.linear.solvers.structured import complete_graph, pseudo_inverse
from relatask.linear.sums import batched
from relatask.linear.sums.forms import Array, Bucket, Forms
from relatask.linear.sums.shifted import SAFE
from relatask.linear.sums.statistics import Statistics
from relatask.relations import Relation, is_quadratic

TASKS = 20_000
"""From this many tasks on, forms are prepared and solved block by block."""

BLOCK = 256
"""Tasks of a block: their forms fit in a processor's cache."""


def in_blocks(stats: Statistics) -> bool:
    """Whether there are very many tasks, each with a small Gram of its own."""
    bucket = stats.forms.buckets[0]
    return (
        stats.n_tasks >= TASKS
        and stats.absent is None
        and stats.n_features < batched.SMALL
        and len(stats.forms.buckets) == 1
        and type(bucket) is Bucket
        and bucket.gram is not None
        and len(bucket.gram) == stats.n_tasks
        and bool((bucket.tasks == np.arange(stats.n_tasks)).all())
    )


def blocks(stats: Statistics, model: Model, size: int = BLOCK) -> Iterator[tuple[slice, Statistics, Problem]]:
    """Some tasks at a time as `Model.prepare` has them: their places, scaled statistics and problem.

    Intercepts are eliminated within tasks; a common one, which ties blocks together, is not for this.
    """
    weight = model.datafit.loss_weights(stats)
    for first in range(0, stats.n_tasks, size):
        some = slice(first, min(first + size, stats.n_tasks))
        own = replace(
            model,
            datafit=Squared("sum", model.datafit.intercept, tuple(weight[some].tolist())),
            target_scale=None if model.target_scale is None else model.target_scale[some],
        )
        scaled, _, _, problem = own.prepare(part(stats, some))
        yield some, scaled, problem


def part(stats: Statistics, some: slice | NDArray[np.intp]) -> Statistics:
    """The statistics of some tasks, columns' means and spreads being those of all."""
    bucket = stats.forms.buckets[0]
    assert bucket.gram is not None
    n = len(stats.weight[some])
    own = Bucket(np.arange(n), bucket.scale[some], gram=bucket.gram[some])
    return replace(
        stats,
        count=stats.count[some],
        weight=stats.weight[some],
        mean_x=stats.mean_x[some],
        mean_y=stats.mean_y[some],
        forms=Forms((own,), n, stats.n_features),
        cross=stats.cross[some],
        yy=stats.yy[some],
    )


def without_forms(stats: Statistics) -> Statistics:
    """The same, of which nothing is asked about the forms."""
    return replace(stats, forms=Forms((), stats.n_tasks, stats.n_features))


def solve_in_blocks(stats: Statistics, relation: Relation, model: Model) -> tuple[Solution, Start] | None:
    """Solve where every task is pulled to the mean of all (and to 0), in two passes over the tasks' forms.

    None where this is not so, where tasks are few or wide, or where the pull is too weak beside a task's form for
    Cholesky factors to keep their digits.
    """
    if not (in_blocks(stats) and is_quadratic(relation) and model.datafit.intercept != "common") or model.pooled:
        return None
    if model.solver not in ("auto", "direct") or prices_features(relation):
        return None
    units = family([relation], stats.n_tasks)
    strengths = [complete_graph(unit) for unit in units.units]
    known = np.array([s for s in strengths if s is not None])
    if len(known) < len(strengths):
        return None
    ridge, pull = (known.T @ units.strengths)[:, 0].tolist()
    pulled = _Pulled(stats, model, ridge, pull)
    found = pulled.gain()
    if found is None:
        return None
    gain, total = found
    W, gradient, size, value = pulled.solve(gain, total, None)
    residual = float(np.linalg.norm(gradient)) / (size or 1.0)
    if residual > AIM * model.tol:
        step, _, _, _ = pulled.solve(gain, pulled.total(-gradient), -gradient)
        _, again, _, better = pulled.at(W + step)
        finer = float(np.linalg.norm(again)) / (size or 1.0)
        if finer < residual:
            W, residual, value = W + step, finer, better
    return Solution(W, value, residual, 1, "direct", certified=False), Start(W)


Right = Callable[[slice, Problem], Array]


@dataclass(frozen=True, eq=False)
class _Pulled:
    """G_k w_k + ridge w_k + pull (w_k - mean) = b_k for all k."""

    stats: Statistics
    model: Model
    ridge: float
    pull: float

    def gain(self) -> tuple[Array, Array] | None:
        """The system for the mean that the tasks make: its pseudo-inverse (d, d), and the right-hand side (d,).

        The system is sum_k (G_k + ridge I)(G_k + (ridge + pull) I)^-1: of a sum of differences
        t I - pull sum_k (...)^-1 few digits would be left where the pull is strong. None where a form is so much
        larger than its shift that factors would lose digits.
        """
        total, right = np.zeros(0), np.zeros(0)
        for some, _, problem in blocks(self.stats, self.model):
            gram, scale = _dense(problem)
            d = gram.shape[1]
            shift = np.full(len(gram), self.ridge + self.pull)
            largest = np.einsum("kdd->kd", gram).max(1) * scale
            inverses = None if (shift <= SAFE * largest).any() else batched.inverses(gram, scale, shift)
            if inverses is None:
                return None
            if not some.start:
                total, right = np.zeros((d, d)), np.zeros(d)
            right += np.einsum("kde,ke->d", inverses, problem.cross)
            total += self.ridge * inverses.sum(0)
            inverses *= scale[:, None, None]
            total += inverses.reshape(-1, d).T @ gram.reshape(-1, d)
        return pseudo_inverse(0.5 * (total + total.T)), right

    def total(self, right: Array) -> Array:
        """The right-hand side of the system for the mean, for other right-hand sides (t, d) of the tasks."""
        return sum((self._shifted(p, right[some]).sum(0) for some, _, p in blocks(self.stats, self.model)), np.zeros(1))

    def solve(self, gain: Array, total: Array, right: Array | None) -> tuple[Array, Array, float, float]:
        """Solve for the problem's own right-hand sides, or for `right` (t, d); what `at` gives of the solution."""
        mean = (gain @ total) * (self.pull > 0)
        return self._pass(lambda some, problem: self._given(problem, mean, None if right is None else right[some]))

    def at(self, W: Array) -> tuple[Array, Array, float, float]:
        """W (t, d) itself, the gradient of the objective there, the size of that at 0, and its value."""
        return self._pass(lambda some, problem: W[some])

    def _given(self, problem: Problem, mean: Array, right: Array | None) -> Array:
        """Coefficients of a block given the mean of all; a strong pull does not drown what the data say of it."""
        gram, scale = _dense(problem)
        b = problem.cross if right is None else right
        rest = b - (gram @ mean) * scale[:, None] - self.ridge * mean
        return mean + self._shifted(problem, rest)

    def _shifted(self, problem: Problem, right: Array) -> Array:
        gram, scale = _dense(problem)
        found = batched.solved(gram, scale, np.full(len(gram), self.ridge + self.pull), right)
        assert found is not None, "a positive semidefinite form with a safe shift is definite"
        return found

    def _pass(self, coefficients: Right) -> tuple[Array, Array, float, float]:
        t = self.stats.n_tasks
        W: Array | None = None
        for some, _, problem in blocks(self.stats, self.model):
            if W is None:
                W, gradient = np.empty((t, problem.shape[1])), np.empty((t, problem.shape[1]))
                square, value = 0.0, 0.0
            own = coefficients(some, problem)
            product = problem.apply(own)
            W[some], gradient[some] = own, product - problem.cross + (self.ridge + self.pull) * own
            square += float(np.vdot(problem.cross, problem.cross))
            value += 0.5 * float(np.vdot(own, product)) - float(np.vdot(problem.cross, own)) + problem.constant
        assert W is not None
        mean = W.mean(0)
        gradient -= self.pull * mean
        spread = sum(float(np.square(W[a : a + BLOCK] - mean).sum()) for a in range(0, t, BLOCK))
        value += 0.5 * (self.ridge * float(np.vdot(W, W)) + self.pull * spread)
        return W, gradient, float(np.sqrt(square)), value


def _dense(problem: Problem) -> tuple[Array, Array]:
    bucket = problem.forms.buckets[0]
    assert bucket.gram is not None
    return bucket.gram, bucket.scale
