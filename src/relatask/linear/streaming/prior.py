"""The hierarchical prior of very many tasks: searched on some of them, finished on all, their forms some at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from relatask.linear.losses.squared import Intercept
from relatask.linear.prior.marginal import NO_NOISE, Point
from relatask.linear.prior.reml import MEMORY, Optimum, Shape, criterion, maximise
from relatask.linear.prior.setting import Moments, Prepared, coordinates, prepared, varying
from relatask.linear.streaming.blocks import BLOCK, blocks, in_blocks, part, without_forms
from relatask.linear.sums.forms import Array
from relatask.linear.sums.informed import information, unpacked
from relatask.linear.sums.statistics import Statistics
from relatask.relations.hierarchical_prior import HierarchicalPrior

FEW = 2_000
"""Tasks on which the search begins."""

SOME = 20_000
"""Tasks on which it goes on, and of which the curvature is taken for that of all."""

SHARE = 12
"""Of very many it is every so many: the more there are, the fewer looks at all are needed."""

ENOUGH = 1e-4
"""Change at which the search on some tasks ends: they differ from all by more."""

STRONG = 1e8
"""Effects so much larger than the noise would lose digits here: such tasks are left to their compressed rows."""

FLAT = 1e-6
"""Curvatures below this share of the largest are raised to it."""

CLIMB = 1_000
"""Iterations on a parabola, at most: they cost nothing beside a look at the tasks."""

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
        return Point(float(value), mean, level, inverse_root, gradient, np.zeros(0), ())

    def curvature(self, point: Point) -> Array:
        """(r r, r r) of minus the value in S / level at the last evaluation, the mean held; the level at its best.

        With N_k = R' X_k' V_k^-1 X_k R and s_k the scores, of a change D of S / level it is
        sum_k s_k' D N_k D s_k / level - 1/2 tr(N_k D N_k D), less 1/2 <sum_k s_k s_k', D>^2 / (level^2 freedom).
        """
        r = self.random.shape[1]
        mixed, square, total = np.zeros((r * r, r * r)), np.zeros((r * r, r * r)), np.zeros((r, r))
        for some in self._blocks():
            own = unpacked(self.packed[some], len(self.random))
            scores = (self.seen[some] - own @ (self.fixed @ point.mean)) @ self.random
            own = (self.random.T @ own @ self.random).reshape(-1, r * r)
            outer = (scores[:, :, None] * scores[:, None, :]).reshape(-1, r * r)
            mixed, square, total = mixed + outer.T @ own, square + own.T @ own, total + scores.T @ scores
        turned = mixed.reshape(r, r, r, r).transpose(0, 2, 3, 1).reshape(r * r, r * r) / point.level
        turned -= 0.5 * square.reshape(r, r, r, r).transpose(0, 3, 1, 2).reshape(r * r, r * r)
        turned -= np.multiply.outer(total.ravel(), total.ravel()) / (2 * self.freedom * point.level**2)
        # Of symmetric changes only: the same whichever index of a pair comes first.
        turned = turned.reshape(r, r, r, r)
        turned = (turned + turned.transpose(1, 0, 2, 3)) / 2
        turned = ((turned + turned.transpose(0, 1, 3, 2)) / 2).reshape(r * r, r * r)
        values, vectors = np.linalg.eigh((turned + turned.T) / 2)
        # Far from an optimum it may have no upper bound in some directions: there it is taken for flat.
        return np.asarray((vectors * np.maximum(values, FLAT * values[-1])) @ vectors.T)

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
