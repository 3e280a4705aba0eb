"""Newton's method for smooth losses under any relation: each step is a squared problem, with a line search around it.

A quadratic relation's step is one linear system; another's is a squared problem under the same relation (proximal
Newton: Lee, Sun, Saunders 2014), begun where the last one ended and solved as far as the outer gap makes sense.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from relatask.linear.newton.local import DataTerm, Local, Point, Slopes
from relatask.linear.newton.penalty import Penalty, Pieces, guessed, penalty
from relatask.linear.newton.search import LOOSE, TIGHT, Progress, between, damped, promised, search
from relatask.linear.problem import Problem, Solution
from relatask.linear.solvers import solve
from relatask.linear.solvers.auto import Start
from relatask.linear.solvers.certificate import relative_gap
from relatask.linear.solvers.working_sets import sparse_penalty
from relatask.linear.sums.forms import Array
from relatask.relations import Relation

INNER = 1e-5
"""A linear system is solved to this, times the solver's own margin: the next step mends what is left."""
INNER_ITERATIONS, NORM_ITERATIONS = 10_000, 1_000
RANK = 1e-10
"""Eigenvalues below this share of the largest are none."""
ZERO = 1e-11
"""Slopes of intercepts below this share of the features' are rounding."""
FLAT = 0.1
"""A linear system solved no further than this has no solution."""
MOVES = 1e-10
"""An objective that falls by this share of itself is not at its end."""
PATIENCE = 10
"""Steps without any progress."""
GONE = 1e-9
"""An objective that still falls at this share of where it began falls for ever, but for rounding."""
FALLING = 0.1
"""A task whose next step promises this share of its loss has none that is smallest: separable labels."""
DEEP = 100.0
"""Working sets take models whose least value is below 0 by this many times the objective at most."""


def newton(
    data: DataTerm,
    relation: Relation,
    *,
    solver: str,
    tol: float,
    max_iter: int,
    start: tuple[Array, Array, Start | None] | None = None,
) -> tuple[Solution, Point, Start | None]:
    """Minimise F(W, b) + R(W).

    Parameters
    ----------
    data : DataTerm
        F.
    relation : Relation
        Convex, bound to the tasks.
    solver : str
        Of the steps, as `relatask.linear.solvers.solve` takes it.
    tol : float
        Relative gradient norm (quadratic relations) or relative duality gap to reach.
    max_iter : int
        Newton steps at most.
    start : (W, b, Start), optional
        To begin with, where it is better than zero.

    Returns
    -------
    solution : Solution, certified where the relation has terms that are not quadratic
    point : Point
    inner : Start of the last step's solver
    """
    part = penalty(relation, data.shape[0])
    zero = data.zero()
    now = _begin(data, part, zero, start)
    one = _Quadratic(data, part, relation, solver, zero) if not part.terms else _Norms(data, part, relation, solver)
    best, n_iter, stuck, lowest = (np.inf, now), 0, 0, np.inf
    while True:
        residual, slopes, now = one.residual(now)
        moves = residual < 0.5 * best[0] or now.value < lowest - MOVES * abs(now.value)
        stuck, lowest = 0 if moves else stuck + 1, min(lowest, now.value)
        # Where rounding keeps the objective from falling, the smallest residual; before, the lowest objective.
        if residual <= best[0] or now.value < best[1].value - MOVES * abs(now.value):
            best = (residual, now)
        gone = one.falling > FALLING and now.value < GONE * zero.value
        if residual <= tol or n_iter >= max_iter or stuck > PATIENCE or gone:
            break
        after = one.step(now, slopes)
        n_iter += 1
        if after is None:
            residual, _, now = one.residual(now)  # the bound may have risen at the end
            best = (residual, now) if residual <= best[0] else best
            break
        now = after
    residual, now = best
    kind = one.kind
    components = tuple(p for p in now.pieces if len(p) > 1)
    found = Solution(now.point.W, now.value, residual, n_iter, f"newton-{kind}", bool(part.terms), components)
    return found, now.point, now.inner


class _Quadratic:
    """Steps and the residual where the relation is quadratic."""

    def __init__(self, data: DataTerm, part: Penalty, relation: Relation, solver: str, zero: Point) -> None:
        self.data, self.part, self.relation, self.solver = data, part, relation, solver
        self.kind = "direct"
        self.size = float(np.linalg.norm(data.slopes(zero).W))
        # The share of its loss that the last step promised a task; none was taken yet.
        self.falling = 1.0 if data.endless else 0.0

    def residual(self, now: Progress) -> tuple[float, Slopes, Progress]:
        slopes = self.data.slopes(now.point)
        total = slopes.W + self.part.pull(now.point.W)
        norm = float(np.sqrt(np.vdot(total, total) + np.square(self.data.open_slopes(slopes)).sum()))
        residual = norm / self.size if self.size > 0 else float(norm > 0)
        if residual > 0 and self.falling > FALLING:
            residual = max(residual, self.falling)
        return residual, slopes, now

    def step(self, now: Progress, slopes: Slopes) -> Progress | None:
        pull = self.part.pull(now.point.W)
        damp = now.damp
        while True:
            local = self.data.local(now.point, slopes, damp)
            problem = local.step_problem(pull)
            D = self._linear(local, problem)
            e = local.follow(D)
            left = 0.0 if local.common else float(np.linalg.norm(problem.gradient(D) + self.part.pull(D)))
            # Where there is no curvature to go by, the system has no solution: the majorant has some everywhere.
            flat = left > FLAT * float(np.linalg.norm(problem.cross)) and damp < 1.0
            after = None if flat else search(self.data, self.part, now, slopes, D, e, _no_pieces)
            if after is not None:
                break
            if damp == 1.0:
                return None
            damp = 0.1 if damp < 0.1 else 1.0
        if self.data.endless:
            self.falling = promised(now.point, slopes, D, e)
        return damped(after[0], after[1], damp)

    def _linear(self, local: Local, problem: Problem) -> Array:
        """The step; with several intercepts in common by the identity of Woodbury."""

        def solved(one: Problem) -> Array:
            return solve(one, self.relation, solver=self.solver, tol=INNER, max_iter=INNER_ITERATIONS)[0].W

        D = solved(problem)
        if local.common is None:
            return D
        mixed, w, slope = local.common
        K = np.stack([solved(replace(problem, cross=u)) for u in np.moveaxis(mixed, 2, 0)], axis=2)
        own = w - np.einsum("tda,tdb->ab", mixed, K)
        e = np.linalg.pinv(0.5 * (own + own.T), rcond=RANK, hermitian=True) @ (slope + np.einsum("tda,td->a", mixed, D))
        return D + K @ e


class _Norms:
    """Steps and the residual where the relation has terms that are not quadratic."""

    def __init__(self, data: DataTerm, part: Penalty, relation: Relation, solver: str) -> None:
        self.data, self.part, self.relation, self.solver = data, part, relation, solver
        self.kind = "admm" if solver == "auto" else solver
        self.sparse = solver in ("auto", "working_sets") and sparse_penalty(relation) is not None
        self.bound, self.last, self.value = -np.inf, np.inf, np.inf
        # Norms keep W from running away.
        self.falling = 0.0

    def residual(self, now: Progress) -> tuple[float, Slopes, Progress]:
        point = self.data.balanced(now.point)
        slopes = self.data.slopes(point)
        now = replace(now, point=point, value=now.value - now.point.value + point.value)
        guess = guessed(self.part.terms, now.inner, point.W.shape)
        self.bound = max(self.bound, self.part.bound(self.data, point, slopes, guess, point.W))
        gap = relative_gap(now.value, self.bound)
        inner_tol = LOOSE * gap
        if gap > 0.1 * self.last and self.value - now.value < 0.1 * gap * abs(now.value):
            # A step that mends little was not solved far enough.
            inner_tol = min(inner_tol, 0.01 * now.inner_tol)
        self.last, self.value = min(gap, self.last), now.value
        now = replace(now, inner_tol=max(inner_tol, TIGHT))
        return gap, slopes, now

    def step(self, now: Progress, slopes: Slopes) -> Progress | None:
        damp, inner_tol = now.damp, now.inner_tol
        while True:
            local = self.data.local(now.point, slopes, damp)
            found, inner = self._solved(now, local, inner_tol)
            self.kind = found.solver
            D, ends = found.W - now.point.W, self.part.solved(found)
            if damp == 0:
                self._second(now.point, slopes, local, inner, D)
            pieces = between(now.pieces, ends)
            after = search(self.data, self.part, now, slopes, D, local.follow(D), pieces)
            now = replace(now, inner=inner)
            if after is not None:
                progress, alpha = after
                return damped(replace(progress, inner=inner, inner_tol=inner_tol), alpha, damp)
            if inner_tol > TIGHT:
                inner_tol = max(1e-3 * inner_tol, TIGHT)
            elif damp < 1.0:
                damp = 1.0
            else:
                self._last(now, slopes)
                return None

    def _last(self, now: Progress, slopes: Slopes) -> None:
        """A bound from a step that is not damped, where rounding hides what steps gain: damped ones bound loosely."""
        local = self.data.local(now.point, slopes, 0.0)
        found, inner = self._solved(now, local, TIGHT)
        self._second(now.point, slopes, local, inner, found.W - now.point.W)

    def _solved(self, now: Progress, local: Local, tol: float) -> tuple[Solution, Start]:
        """The squared problem of a step.

        Working sets need one that is bounded without the relation, as a squared loss is: its constant is raised so
        that its least value is 0 or more. Where that is too far below, they are not for it.
        """
        problem, solver = local.problem(now.point), self.solver
        start = None if now.inner is None else replace(now.inner, W=now.point.W)
        if self.sparse and local.least < 0:
            size = abs(now.value) - local.least
            if size <= DEEP * abs(now.value):
                problem = replace(problem, constant=problem.constant - local.least)
                tol *= abs(now.value) / size
            else:
                solver = "admm"
        return solve(problem, self.relation, solver=solver, tol=tol, max_iter=NORM_ITERATIONS, start=start)

    def _second(self, point: Point, slopes: Slopes, local: Local, inner: Start, D: Array) -> None:
        """A bound from slopes as the model has them after the step, where its duals are met exactly if they are known.

        What these are off is of second order in what the step is off.
        """
        ends, duals = point.W + D, [np.zeros_like(D) for _ in self.part.terms]
        if inner.admm is not None:
            duals = inner.admm.multipliers()[: len(self.part.terms)]
            ends = inner.admm.V[-1][0] if self.part.precision is not None else np.zeros_like(point.W)
            step = local.dual_step(np.sum(duals, axis=0) + self.part.pull(ends))
            if step is None:
                return
            D = step
        elif len(duals) > 1:
            return
        after = self.data.extrapolated(point, slopes, D, local.follow(D))
        if np.abs(self.data.open_slopes(after)).max() <= ZERO * max(float(np.abs(after.W).max()), 1e-300):
            self.bound = max(self.bound, self.part.bound(self.data, point, after, duals, ends))


def _begin(data: DataTerm, part: Penalty, zero: Point, start: tuple[Array, Array, Start | None] | None) -> Progress:
    """Zero, or where an earlier solve ended if that is lower."""
    empty = part.pieces(zero.W)
    now = Progress(zero, empty, zero.value + part.value(zero.W, empty))
    if start is None:
        return now
    point = data.at(start[0], start[1])
    pieces = part.pieces(point.W)
    value = point.value + part.value(point.W, pieces)
    return Progress(point, pieces, value, start[2]) if value <= now.value else now


def _no_pieces(alpha: float) -> Pieces:
    """A quadratic relation has no components."""
    return ()
