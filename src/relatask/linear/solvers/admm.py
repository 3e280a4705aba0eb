"""Alternating direction method of multipliers: the data by one eigendecomposition per task, each relation by its prox.

minimise F(W) + R_q(V_0) + sum_i R_i(V_i) with V_i = W, over-relaxed, its step adapted to the balance of the primal and
dual residuals (Boyd et al. 2011, sections 3.4.1, 3.4.3 and 7.1), accelerated as a fixed-point iteration of what the
proximal operators are applied to (Anderson), stopped by a certified duality gap. A relation of W as
a sum of components has a copy of each, and V_i is their sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from relatask.linear.problem import Solution
from relatask.linear.solvers.certificate import Objective, relative_gap
from relatask.linear.sums.forms import Array
from relatask.relations import Proximal, Split
from relatask.relations.anderson import Anderson

RELAX = 1.6
MEMORY, SLACK, REACH = 8, 1.5, 100.0
"""Points that the acceleration remembers, and how bold it is."""
CHECK = 10
"""Iterations between two certificates, and between two looks at the step."""
EARLY = (2, 4, 7)
"""Iterations of a first look: along a path, begun where the last strength ended, a few are often enough."""
FAR = 5.0
"""The step is changed where the relative residuals are further apart than this."""
SETTLE = 200
"""From here on the step is looked at ten times less often: a step that keeps changing need not converge."""


@dataclass(frozen=True)
class State:
    """Where a solve ended, to begin the next one there: copies V of each term's components, unscaled duals, the step.

    `duals` are those of the terms, in their order; a quadratic's comes last.
    """

    V: list[list[Array]]
    duals: list[list[Array]]
    rho: float

    def multipliers(self) -> list[Array]:
        """One Z (t, d) a term: the mean over its components, which agree at the optimum."""
        return [np.mean(duals, axis=0) for duals in self.duals]


def admm(objective: Objective, *, tol: float, max_iter: int, start: State | None = None) -> tuple[Solution, State]:
    """Minimise the objective to a relative duality gap of `tol`.

    Returns
    -------
    solution : Solution, with the certified gap that was reached
    state : State, for a warm start
    """
    problem, precision, terms = objective.problem, objective.precision, objective.terms
    proxes = _proxes(objective)
    shape = problem.shape
    # A term of m components holds W by a spring of 1/m: they share what W moves.
    stiffness = float(sum(1 / len(p) for p in proxes))
    copies = Copies(tuple(len(p) for p in proxes))
    # An earlier fit's relation may have had other terms or components.
    start = start if start and tuple(len(own) for own in start.V) == copies.counts else None
    rho = start.rho if start else first_step(objective)
    V = copies.stacked(start.V) if start else np.zeros((copies.total, *shape))
    U = copies.stacked(start.duals) / rho if start else np.zeros((copies.total, *shape))
    data_step = _data_step(objective, rho * stiffness)
    best = Candidate(np.inf, np.zeros(shape), ())
    best_bound, gap = -np.inf, np.inf
    anderson = Anderson(MEMORY, SLACK, REACH)
    flat = [prox for parts in proxes for prox in parts]
    for iteration in range(1, max_iter + 1):
        before, held = V, V - U
        sums = copies.sums(held)
        W = data_step(problem.cross + rho * copies.mean(sums))
        split = copies.split(held, sums, W)
        points = V + U
        # The step is changed at plain points only.
        relaxed = anderson.step(points, points + RELAX * (split - V), plain=iteration % CHECK == 0)
        V = np.empty_like(relaxed)
        for c, prox in enumerate(flat):
            V[c] = prox(relaxed[c], rho)
        U = relaxed - V
        if iteration % CHECK and iteration not in EARLY and iteration != max_iter:
            continue
        of_terms = copies.by_term(V)
        duals = [rho * np.mean(us, axis=0) for us in copies.by_term(U)[: len(terms)]]
        best_bound = max(
            best_bound, objective.bound_from_dual(duals, of_terms[-1][0] if precision is not None else None)
        )
        for candidate in candidates(objective, of_terms):
            if candidate.value < best.value:
                best = candidate
            product = objective.smooth_product(candidate.W)
            best_bound = max(best_bound, objective.bound_from_residual(candidate.W, product, duals))
        gap = relative_gap(best.value, best_bound)
        if gap <= tol:
            break
        if iteration % (CHECK if iteration <= SETTLE else 10 * CHECK):
            continue
        factor = _adapt(split, before, V, U)
        if factor != 1.0:
            rho *= factor
            anderson = Anderson(MEMORY, SLACK, REACH)
            U = U / factor
            data_step = _data_step(objective, rho * stiffness)
    solution = Solution(best.W, best.value, gap, iteration, "admm", certified=True, components=best.components)
    return solution, State(copies.by_term(V), copies.by_term(rho * U), rho)


@dataclass(frozen=True)
class Copies:
    """How copies (c, t, d) of W belong to terms: so many components for each."""

    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """C."""
        return sum(self.counts)

    @property
    def single(self) -> bool:
        """Whether every term has one copy."""
        return self.total == len(self.counts)

    def stacked(self, by_term: Sequence[Sequence[Array]]) -> Array:
        """All copies in one array."""
        return np.stack([copy for own in by_term for copy in own])

    def by_term(self, copies: Array) -> list[list[Array]]:
        """The other way round."""
        ends = np.cumsum(self.counts)
        return [list(copies[end - count : end]) for end, count in zip(ends, self.counts, strict=True)]

    def sums(self, copies: Array) -> Array:
        """(terms, t, d)."""
        if self.single:
            return copies
        return np.stack([np.sum(own, axis=0) for own in self.by_term(copies)])

    def mean(self, sums: Array) -> Array:
        """Sums over terms, each of so many components by its own spring."""
        if self.single:
            return sums[0] if len(sums) == 1 else sums.sum(0)
        return (sums / np.array(self.counts)[:, None, None]).sum(0)

    def split(self, copies: Array, sums: Array, W: Array) -> Array:
        """Copies moved so that those of a term add up to W, each by the same."""
        if self.single:
            return np.broadcast_to(W, copies.shape)
        counts = np.array(self.counts)
        return copies + np.repeat((W - sums) / counts[:, None, None], counts, axis=0)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A point, an upper bound of the objective there, and the components of each split term that give it."""

    value: float
    W: Array
    components: tuple[tuple[Array, ...], ...]


def candidates(objective: Objective, V: Sequence[Sequence[Array]]) -> list[Candidate]:
    """One point per copy: the sum of its components. Of the others' components the first takes the difference."""
    found = []
    for own in V:
        W = np.sum(own, axis=0) if len(own) > 1 else own[0]
        value, components = objective.smooth_value(W, objective.smooth_product(W)), []
        for term, vs in zip(objective.terms, V, strict=False):
            if isinstance(term, Split):
                rest = list(vs[1:])
                pieces = (W - np.sum(rest, axis=0), *rest)
                components.append(pieces)
                value += sum(float(r.value(v)) for r, v in zip(term.summands().values(), pieces, strict=True))
            else:
                value += float(term.value(W))
        found.append(Candidate(value, W, tuple(components)))
    return found


def _proxes(objective: Objective) -> list[list[Callable[[Array, float], Array]]]:
    """For every term its components' proximal operators (V, rho) -> V; a quadratic's last."""
    proxes = [
        [_prox_of(part) for part in (term.summands().values() if isinstance(term, Split) else (term,))]
        for term in objective.terms
    ]
    if (precision := objective.precision) is not None:
        proxes.append([lambda V, rho: rho * precision.solve(rho, V)])
    return proxes


def _prox_of(relation: Proximal) -> Callable[[Array, float], Array]:
    return lambda V, rho: relation.prox(V, 1 / rho)


def _data_step(objective: Objective, shift: float) -> Callable[[Array], Array]:
    """(H + shift I)^-1, with a common intercept by Sherman and Morrison."""
    problem = objective.problem
    shifted = problem.forms.spectrum.shifted(np.full((problem.shape[0], 1), shift))

    def blocks(B: Array) -> Array:
        return shifted(B[:, None, :])[:, 0]

    if problem.coupling is None:
        return blocks
    u = problem.coupling
    solved = blocks(u)
    slack = 1.0 - float(np.vdot(u, solved))

    def coupled(B: Array) -> Array:
        W = blocks(B)
        return W + solved * (float(np.vdot(u, W)) / slack)

    return coupled


def first_step(objective: Objective) -> float:
    """A step of the size of the forms' typical eigenvalue."""
    diagonal = objective.problem.forms.diagonal()
    positive = diagonal[diagonal > 0]
    return float(np.exp(np.log(positive).mean())) if positive.size else 1.0


def _adapt(split: Array, before: Array, V: Array, U: Array) -> float:
    """The factor by which to change the step, from the ratio of the relative residuals."""
    primal, change = float(np.linalg.norm(split - V)), float(np.linalg.norm(V - before))
    size, dual_size = max(float(np.linalg.norm(split)), float(np.linalg.norm(V))), float(np.linalg.norm(U))
    if change == 0 or primal == 0:
        # The copies stand still (at zero, say) while the data's solution is elsewhere, or the other way round.
        return 10.0 if primal > 0 else 0.1 if change > 0 else 1.0
    if dual_size == 0:
        return 1.0  # nothing has a price yet
    ratio = (primal / size) / (change / dual_size)
    return float(np.clip(np.sqrt(ratio), 0.1, 10.0)) if ratio > FAR or ratio < 1 / FAR else 1.0
