"""The search for the prior of very many tasks: on few, on some, on all, by steps whose curvature is that of some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from relatask.linear.prior.reml import MEMORY, Optimum, Shape, criterion, maximise
from relatask.linear.prior.sums import Sums
from relatask.linear.sums.forms import Array

FEW = 2_000
"""Tasks on which the search begins."""

SOME = 20_000
"""Tasks on which it goes on, and of which the curvature is taken for that of all."""

SHARE = 12
"""Of very many it is every so many: the more there are, the fewer looks at all are needed."""

ENOUGH = 1e-4
"""Change at which the search on some tasks ends: they differ from all by more."""

CLIMB = 1_000
"""Iterations on a parabola, at most: they cost nothing beside a look at the tasks."""

ROUNDS = 20
"""Looks at all tasks, at most."""


def searched(
    sample: Callable[[int], Sums],
    every: Sums,
    shapes: Sequence[Shape],
    randoms: Sequence[Array],
    tol: float,
    max_iter: int,
) -> Optimum:
    """The optimum over all tasks, of the kind of covariance that is best on some of them.

    The search begins on few tasks, goes on with some more, and ends on all: each step maximises a parabola in the
    covariance whose slope is that of all tasks and whose curvature that of some, corrected by what the slopes of the
    steps before said of it.

    Parameters
    ----------
    sample : callable
        Gives a sample of so many tasks; all of them where that is most.
    every : Sums
        All tasks.
    shapes, randoms : sequences
        The kinds of covariance that may be taken, and the effects' coordinates in each.
    tol, max_iter : float, int
        As `maximise` has them.
    """
    few, some = sample(FEW), sample(max(SOME, every.n_tasks // SHARE))
    times = every.n_tasks / some.n_tasks
    best: tuple[float, Optimum, Array] | None = None
    for shape, random in zip(shapes, randoms, strict=True):
        found = maximise(replace(few, random=random), shape, own_noise=False, tol=tol, max_iter=max_iter)  # type: ignore[arg-type]
        own = replace(some, random=random)
        found = _stepped(own, own, shape, found.root, max(tol, ENOUGH))
        # As it would be if all tasks were like these; what the free numbers cost counts once.
        price = criterion(found) + shape.n_variances * float(np.log(times)) - 2 * (times - 1) * found.point.value
        if best is None or price < best[0]:
            best = price, found, random
    assert best is not None
    _, found, random = best
    return _stepped(replace(every, random=random), replace(some, random=random), found.shape, found.root, tol)


def _stepped(every: Sums, some: Sums, shape: Shape, root: Array, tol: float) -> Optimum:
    """The optimum over `every` task from `root` on, by steps of the curvature of `some`."""
    history: list[float] = []
    curvature, before = np.zeros((0, 0)), (root, np.zeros(0))
    for _ in range(ROUNDS):
        point = every.at(root)
        change = shape.change(root, point.gradient, every.n_tasks)
        history.append(point.value)
        found = Optimum(shape, every, root, None, point, np.array(history), change)  # type: ignore[arg-type]
        if change <= tol:
            break
        slope = point.gradient.ravel() / every.n_tasks
        if not len(curvature):
            curvature = some.curvature(some.at(root)) / some.n_tasks
        else:
            curvature = _secant(curvature, (root @ root.T).ravel() - before[0], before[1] - slope)
        before = (root @ root.T).ravel(), slope
        root = _climbed(before, curvature, shape, root, min(0.1 * tol, 0.01 * change))
    return found


def _secant(curvature: Array, step: Array, change: Array) -> Array:
    """The curvature corrected so that `step` changes the slope by `change`: Broyden, Fletcher, Goldfarb, Shanno."""
    product = curvature @ step
    along = float(step @ change)
    if along <= 0:
        return curvature
    found = curvature + np.multiply.outer(change, change) / along
    return np.asarray(found - np.multiply.outer(product, product) / float(step @ product))


def _climbed(here: tuple[Array, Array], curvature: Array, shape: Shape, root: Array, tol: float) -> Array:
    """The root of the S that maximises <slope, D> - 1/2 <D, curvature D>, D = S - S_0, by L-BFGS from `root` on."""
    start, slope = here
    last = {"change": np.inf}

    def objective(x: Array) -> tuple[float, Array]:
        free = shape.root(x)
        step = (free @ free.T).ravel() - start
        bent = curvature @ step
        gradient = (slope - bent).reshape(root.shape)
        last["change"] = shape.change(free, gradient, 1)
        return float(0.5 * step @ bent - slope @ step), -shape.gradient(free, gradient)

    def watch(intermediate_result: OptimizeResult) -> None:
        if last["change"] <= tol:
            raise StopIteration

    options = {"maxcor": MEMORY, "maxiter": CLIMB, "ftol": 0.0, "gtol": 0.0}
    end = minimize(objective, shape.free(root), jac=True, method="L-BFGS-B", callback=watch, options=options)  # type: ignore[call-overload]
    return shape.root(end.x)
