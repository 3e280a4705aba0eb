"""The hierarchical prior of very many tasks: searched on some of them, finished on all, their forms some at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from relatask.linear.losses.squared import Intercept
from relatask.linear.prior.marginal import NO_NOISE, Point
from relatask.linear.prior.reml import MEMORY, Optimum, Shape, criterion, maximise
from relatask.linear.prior.setting import Moments, Prepared, coordinates, prepared, varying
from relatask.linear.streaming.blocks import BLOCK, blocks, in_blocks, part, without_forms
from relatask.linear.sums.forms import Array
from relatask.linear.sums.informed import information, unpacked
from relatask.linear.sums.statistics import Statistics
from relatask.relations.hierarchical_prior import HierarchicalPrior

SOME = 20_000
"""Tasks on which the search begins."""

STRONG = 1e8
"""Effects so much larger than the noise would lose digits here: such tasks are left to their compressed rows."""

SLOW = 0.2
"""Where a round leaves more than this share of the change that the one before left, more tasks are taken."""

ROUNDS = 20
"""Looks at all tasks, at most."""

Source = Callable[[], Iterator[tuple[slice, Array, Array]]]
"""Gives the tasks' Grams (k, q, q) and cross products (k, q), some tasks at a time, every time it is called."""


class TooStrongError(Exception):
    """Effects are so much larger than the noise that differences of Grams would lose digits."""


@dataclass(frozen=True, eq=False)
class Sums:
    """The likelihood of `relatask.linear.prior.marginal.Marginal`, from the tasks' Grams instead of their rows.

    Attributes
    ----------
    source : the tasks.
    n_tasks, count, square : how many, their numbers of labels in all, and sum of y_k' y_k.
    fixed, random : (q, f), (q, r) coordinates of the mean and of the effects.
    restricted, log_volume : as there.
    tilt : (r, r), of a term <tilt, S / level> that is added to the value; None for 0.
    packed, seen : what the last evaluation left of every task.
    """

    source: Source
    n_tasks: int
    count: float
    square: float
    fixed: Array
    random: Array
    restricted: bool
    log_volume: float
    packed: Array
    seen: Array
    tilt: Array | None = None
    rows: tuple[()] = field(default=())

    @property
    def freedom(self) -> float:
        """Numbers of labels, less what the mean uses where it is integrated out."""
        return self.count - self.fixed.shape[1] if self.restricted else self.count

    def at(self, root: Array, ratio: Array | None = None) -> Point:
        """Evaluate at P = root root', (r, r).

        Raises
        ------
        TooStrongError
            Where digits would be lost.
        """
        q, f = self.fixed.shape
        whole, from_labels = np.zeros((q, q)), np.zeros(q)
        log_det, square = 0.0, self.square
        effects = self.random @ root
        for some, gram, cross in self.source():
            logs, less, largest = information(gram, cross, effects, self.packed[some], self.seen[some])
            if not largest < STRONG or np.isnan(logs):
                raise TooStrongError
            log_det, square = log_det + logs, square - less
        for some in self._blocks():
            whole += unpacked(self.packed[some].sum(0, keepdims=True), q)[0]
            from_labels += self.seen[some].sum(0)
        lower = np.linalg.cholesky(self.fixed.T @ whole @ self.fixed)
        inverse_root = np.linalg.inv(lower)
        z = inverse_root @ (self.fixed.T @ from_labels)
        mean = inverse_root.T @ z
        level = max(square - float(z @ z), NO_NOISE * self.freedom) / self.freedom
        value = -0.5 * (self.freedom * (np.log(2 * np.pi * level) + 1) + log_det)
        if self.restricted:
            value -= 0.5 * (2 * float(np.log(np.diagonal(lower)).sum()) - self.log_volume)
        slope = -whole
        spread = self.fixed @ inverse_root.T
        for some in self._blocks():
            own = unpacked(self.packed[some], q)
            scores = self.seen[some] - own @ (self.fixed @ mean)
            slope += scores.T @ scores / level
            if self.restricted:
                half = (own.reshape(-1, q) @ spread).reshape(-1, q, f).swapaxes(1, 2).reshape(-1, q)
                slope += half.T @ half
        gradient = self.random.T @ slope @ self.random / 2
        if self.tilt is not None:
            value += float(np.vdot(self.tilt, root @ root.T))
            gradient = gradient + self.tilt
        return Point(float(value), mean, level, inverse_root, gradient, np.zeros(0), ())

    def informed(self, spread: float) -> Array:
        """(t, q (q + 1) / 2) the tasks' information over spread^2, in the place of `packed`."""
        self.packed[:] *= 0.0 if spread == 0 else 1 / spread**2
        return self.packed

    def scores(self, mean: Array) -> Array:
        """(t, q) X_k' V_k^-1 (y_k - X_k mean) at the last evaluation."""
        out = np.empty_like(self.seen)
        for some in self._blocks():
            out[some] = self.seen[some] - unpacked(self.packed[some], len(self.fixed)) @ (self.fixed @ mean)
        return out

    def _blocks(self) -> Iterator[slice]:
        return (slice(a, a + BLOCK) for a in range(0, self.n_tasks, BLOCK))


def fitted_in_blocks(
    stats: Statistics, relation: HierarchicalPrior, intercept: Intercept, standardize: bool, tol: float, max_iter: int
) -> tuple[Optimum, Array, Array, HierarchicalPrior, Statistics, Array, Array, Moments] | None:
    """The optimum of very many tasks, its coordinates, the relation, scaled statistics, center, scale, what was fitted.

    None where tasks are few or wide, where each has its own noise, or where effects drown the noise.
    """
    if not in_blocks(stats) or relation.noise != "common":
        return None
    own = prepared(stats, intercept, standardize)
    scaled, center, scale, _ = own.model.prepare(without_forms(own.stats))
    total = np.zeros((own.width, own.width))
    for _, _, problem in blocks(own.stats, own.model):
        total += problem.forms.combined(np.ones(problem.shape[0]))
    columns = varying(np.diagonal(total))
    total = total[np.ix_(columns, columns)]
    count = float(own.count.sum())
    kinds = ("isotropic", "diagonal", "full") if relation.covariance == "auto" else (relation.covariance,)
    found = [coordinates(total, count, kind, stats.n_tasks, intercept) for kind in kinds]
    fixed = found[0][1]

    def sums(of: Prepared) -> Sums:
        t, q = of.stats.n_tasks, len(columns)
        return Sums(
            partial(_source, of, columns),
            t,
            float(of.count.sum()),
            float(of.yy.sum()),
            fixed,
            found[0][2],
            relation.method == "reml",
            fixed.shape[1] * float(np.log(count)),
            np.empty((t, q * (q + 1) // 2)),
            np.empty((t, q)),
        )

    every = sums(own)

    def sample(n: int) -> Sums:
        if 2 * n >= stats.n_tasks:
            return every
        chosen = np.sort(np.random.default_rng(0).choice(stats.n_tasks, n, replace=False))
        return sums(replace(own, stats=part(own.stats, chosen), yy=own.yy[chosen], count=own.count[chosen]))

    try:
        best = searched(sample, every, [f[0] for f in found], [f[2] for f in found], tol, max_iter)
    except TooStrongError:
        return None
    random = best.marginal.random  # type: ignore[attr-defined]
    facts = Moments((), total, columns, own.width, own.last, own.offset, own.unit)
    return best, fixed, random, relation, scaled, center, scale, facts


def _source(of: Prepared, columns: NDArray[np.intp]) -> Iterator[tuple[slice, Array, Array]]:
    """Grams and cross products of the columns that vary, some tasks at a time."""
    for some, _, problem in blocks(of.stats, of.model):
        problem = problem if len(columns) == problem.shape[1] else problem.restricted(columns)
        bucket = problem.forms.buckets[0]
        assert bucket.gram is not None
        gram = bucket.gram if (bucket.scale == 1).all() else bucket.gram * bucket.scale[:, None, None]
        yield some, gram, problem.cross if of.unit else 0 * problem.cross


def searched(
    sample: Callable[[int], Sums],
    every: Sums,
    shapes: Sequence[Shape],
    randoms: Sequence[Array],
    tol: float,
    max_iter: int,
) -> Optimum:
    """The optimum over all tasks, of the kind of covariance that is best on some of them.

    At an optimum of the likelihood of some tasks, its gradient is corrected by a linear term to that of all tasks, and
    the corrected likelihood is maximised in turn: each round costs one look at all tasks, and leaves of the distance
    to their optimum what the two curvatures differ by. Where that is much, more tasks are taken.

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

    References
    ----------
    Shamir, Srebro, Zhang: Communication-efficient distributed optimization using an approximate Newton-type method,
    2014, ICML, equation 13.
    """
    some = sample(SOME)
    times = every.n_tasks / some.n_tasks
    best: tuple[float, Optimum, Array] | None = None
    for shape, random in zip(shapes, randoms, strict=True):
        found = maximise(replace(some, random=random), shape, own_noise=False, tol=tol, max_iter=max_iter)  # type: ignore[arg-type]
        # As it would be if all tasks were like these; what the free numbers cost counts once.
        price = criterion(found) + shape.n_variances * float(np.log(times)) - 2 * (times - 1) * found.point.value
        if best is None or price < best[0]:
            best = price, found, random
    assert best is not None
    _, ahead, random = best
    every, shape, root = replace(every, random=random), ahead.shape, ahead.root
    history: list[float] = []
    for _ in range(ROUNDS):
        point, before = every.at(root), ahead.residual
        change = shape.change(root, point.gradient, every.n_tasks)
        slow = bool(history) and change > SLOW * before
        history.append(point.value)
        ahead = Optimum(shape, every, root, None, point, np.array(history), change)  # type: ignore[arg-type]
        if change <= tol:
            break
        if slow and 2 * some.n_tasks < every.n_tasks:
            some = sample(4 * some.n_tasks)
        near = replace(some, random=random)
        tilt = point.gradient * (some.n_tasks / every.n_tasks) - near.at(root).gradient
        root = _climbed(replace(near, tilt=tilt), shape, root, min(0.1 * tol, 0.01 * change), max_iter)
    return ahead


def _climbed(near: Sums, shape: Shape, root: Array, tol: float, max_iter: int) -> Array:
    """The root of the covariance at which the corrected likelihood is largest, from `root` on, by L-BFGS."""
    last: dict[str, Array | float] = {}

    def objective(x: Array) -> tuple[float, Array]:
        here = shape.root(x)
        point = near.at(here)
        last["change"] = shape.change(here, point.gradient, near.n_tasks)
        return -point.value / near.n_tasks, -shape.gradient(here, point.gradient) / near.n_tasks

    def watch(intermediate_result: object) -> None:
        if last["change"] <= tol:
            raise StopIteration

    options = {"maxcor": MEMORY, "maxiter": max_iter, "ftol": 0.0, "gtol": 0.0}
    end = minimize(objective, shape.free(root), jac=True, method="L-BFGS-B", callback=watch, options=options)  # type: ignore[call-overload]
    return shape.root(end.x)
